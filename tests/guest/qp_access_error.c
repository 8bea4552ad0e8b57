// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A queue pair says which access to memory it reported last as an error: whose, to what, and why. Each reason by what brings it
 * about: as the target of a peer, and in a list of our own.
 */
#include "method.h"
#include "pair.h"
#include "ring.h"

#include <fcntl.h>
#include <inttypes.h>
#include <rdma/rdma_user_rxe.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define TARGET (4 * PAGE)
#define AT     (2 * PAGE) /* where in the target is what is done */
#define BYTES  64U
#define WR_ID  0x1234567890abcdefULL

struct scene {
	struct pair pair;
	struct rig other;
	struct buf local;
	uint8_t *map;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
};

static struct rxe_odp_access_error error_of(const struct ibv_qp *qp)
{
	struct rxe_odp_access_error error;

	memset(&error, 0xee, sizeof(error));
	assert_int_equal(qp_access_error(qp, &error, sizeof(error)), 0);
	return error;
}

static void begin(struct scene *s, int qp_access)
{
	struct conn conn = CONN;

	memset(s, 0, sizeof(*s));
	conn.access = qp_access;
	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, 0, 0);
	s->pd = s->pair.rig.pd;
	s->map = mmap(NULL, TARGET, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->map, MAP_FAILED);
	buf_make(&s->local, s->pair.rig.pd, MEM_ANON, TARGET, 0, ACCESS_ALL);
	assert_int_equal(error_of(s->pair.a.qp).count, 0);
	assert_int_equal(error_of(s->pair.b.qp).count, 0);
}

static void target(struct scene *s, int access)
{
	s->mr = ibv_reg_mr(s->pd, s->map, TARGET, access | IBV_ACCESS_ON_DEMAND);
	assert_non_null(s->mr);
	s->sge = buf_sge(&s->local, 0, BYTES);
	s->wr = (struct ibv_send_wr){ .wr_id = WR_ID,
				      .sg_list = &s->sge,
				      .num_sge = 1,
				      .opcode = IBV_WR_RDMA_WRITE,
				      .send_flags = IBV_SEND_SIGNALED,
				      .wr.rdma = { (uintptr_t)s->map + AT, s->mr->rkey } };
}

static void end(struct scene *s)
{
	if (s->mr)
		assert_zero(ibv_dereg_mr(s->mr));
	buf_free(&s->local);
	munmap(s->map, TARGET);
	pair_close(&s->pair);
}

/* The peer's request failed at b: what b says of it, and what a knows. */
static struct rxe_odp_access_error refused(struct scene *s, enum ibv_wc_status status,
					   uint32_t reason)
{
	struct rxe_odp_access_error at_b, at_a;

	end_post(&s->pair.a, &s->wr);
	cq_expect(s->pair.a.scq, status);
	at_b = error_of(s->pair.b.qp);
	assert_int_equal(at_b.count, 1);
	assert_int_equal(at_b.side, RXE_ODP_SIDE_REQUEST);
	assert_int_equal(at_b.reason, reason);
	assert_int_not_equal(at_b.error, 0);
	assert_int_equal(at_b.address, s->wr.wr.rdma.remote_addr);
	at_a = error_of(s->pair.a.qp);
	if (status != IBV_WC_REM_ACCESS_ERR) {
		assert_int_equal(at_a.count, 0);
		return at_b;
	}
	assert_int_equal(at_a.side, RXE_ODP_SIDE_PEER);
	assert_int_equal(at_a.wr_id, WR_ID);
	assert_int_equal(at_a.address, s->wr.wr.rdma.remote_addr);
	assert_int_equal(at_a.opcode, s->wr.opcode);
	assert_int_equal(at_a.psn, at_b.psn);
	return at_b;
}

static void assert_region(const struct scene *s, const struct rxe_odp_access_error *error)
{
	assert_int_equal(error->key, s->mr->lkey);
	assert_int_equal(error->region_key, s->mr->lkey);
	assert_int_equal(error->region_address, (uintptr_t)s->map);
	assert_int_equal(error->region_length, TARGET);
}

static void no_key(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	s.wr.wr.rdma.rkey ^= 1;
	error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_NO_KEY);
	assert_int_equal(error.key, s.mr->rkey ^ 1);
	assert_int_equal(error.length, BYTES);
	assert_int_equal(error.access, IBV_ACCESS_REMOTE_WRITE);
	assert_int_equal(error.region_key, 0);
	end(&s);
}

static void other_pd(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	s.pd = ibv_alloc_pd(s.pair.rig.ctx);
	assert_non_null(s.pd);
	target(&s, ACCESS_ALL);
	error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_OTHER_PD);
	/* Of a region in another domain nothing is told. */
	assert_int_equal(error.region_length, 0);
	assert_zero(ibv_dereg_mr(s.mr));
	s.mr = NULL;
	assert_zero(ibv_dealloc_pd(s.pd));
	end(&s);
}

/* Nor that another process, which has another context, has such a key. */
static void key_of_another(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	rig_open(&s.other);
	s.pd = s.other.pd;
	target(&s, ACCESS_ALL);
	refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_NO_KEY);
	assert_zero(ibv_dereg_mr(s.mr));
	s.mr = NULL;
	rig_close(&s.other);
	end(&s);
}

static void right_of_the_region(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_REGION_ACCESS);
	assert_region(&s, &error);
	assert_int_equal(error.region_access & ACCESS_ALL,
			 IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
	end(&s);
}

static void out_of_range(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	s.wr.opcode = IBV_WR_RDMA_READ;
	s.wr.wr.rdma.remote_addr = (uintptr_t)s.map + TARGET - BYTES + 1;
	error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_RANGE);
	assert_region(&s, &error);
	assert_int_equal(error.access, IBV_ACCESS_REMOTE_READ);
	assert_int_equal(error.opcode, 0x0c);
	end(&s);
}

static void right_of_the_queue_pair(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, IBV_ACCESS_REMOTE_READ);
	target(&s, ACCESS_ALL);
	refused(&s, IBV_WC_REM_INV_REQ_ERR, RXE_ODP_REASON_QP_ACCESS);
	end(&s);
}

/* The library posts no atomic at such an address: so the last one is posted again by hand, at another. */
static void post_atomic_again(struct scene *s, uint64_t address)
{
	struct ring rings[32];
	unsigned int nr = rings_find(rings, ARRAY_SIZE(rings)), i;

	for (i = 0; i < nr; i++) {
		uint32_t *producer = (uint32_t *)(rings[i].addr + RING_PRODUCER_AT);
		uint32_t mask = *(uint32_t *)(rings[i].addr + RING_MASK_AT);
		uint8_t *data = rings[i].addr + RING_DATA_AT;
		struct rxe_send_wqe *last, *next;

		last = (void *)(data + ((*producer - 1) & mask) * rings[i].elem_bytes);
		if (rings[i].elem_bytes < sizeof(*last) || last->wr.wr_id != WR_ID)
			continue;
		next = (void *)(data + (*producer & mask) * rings[i].elem_bytes);
		memcpy(next, last, rings[i].elem_bytes);
		next->wr.wr.atomic.remote_addr = address;
		__atomic_store_n(producer, (*producer + 1) & mask, __ATOMIC_RELEASE);
		ring_doorbell(s->pair.a.qp);
		return;
	}
	fail_because("the send queue is not mapped");
}

static void alignment(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	s.sge.length = 8;
	s.wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	s.wr.wr.atomic.remote_addr = (uintptr_t)s.map + AT;
	s.wr.wr.atomic.rkey = s.mr->rkey;
	end_post(&s.pair.a, &s.wr);
	cq_success(s.pair.a.scq);
	post_atomic_again(&s, (uintptr_t)s.map + AT + 4);
	cq_expect(s.pair.a.scq, IBV_WC_REM_INV_REQ_ERR);
	error = error_of(s.pair.b.qp);
	assert_int_equal(error.reason, RXE_ODP_REASON_ALIGNMENT);
	assert_int_equal(error.address, (uintptr_t)s.map + AT + 4);
	assert_int_equal(error.access, IBV_ACCESS_REMOTE_ATOMIC);
	end(&s);
}

enum taken { UNMAPPED, READ_ONLY, UNREADABLE, FRAMES, BEHIND_THE_END, TAKEN };

static const struct {
	const char *name;
	uint32_t reason;
} takings[TAKEN] = {
	[UNMAPPED] = { "not mapped", RXE_ODP_REASON_NOT_MAPPED },
	[READ_ONLY] = { "read only", RXE_ODP_REASON_MAP_ACCESS },
	[UNREADABLE] = { "not readable", RXE_ODP_REASON_MAP_ACCESS },
	[FRAMES] = { "page frames", RXE_ODP_REASON_MAP_SPECIAL },
	[BEHIND_THE_END] = { "behind the end", RXE_ODP_REASON_NO_PAGE },
};

/* The page at AT cannot be had from now on. */
static void take(struct scene *s, enum taken how)
{
	uint8_t *page = s->map + AT;
	int fd;

	switch (how) {
	case UNMAPPED:
		munmap(page, PAGE);
		return;
	case READ_ONLY:
		assert_zero(mprotect(page, PAGE, PROT_READ));
		return;
	case UNREADABLE:
		assert_zero(mprotect(page, PAGE, PROT_NONE));
		return;
	case FRAMES:
		fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_ptr_equal(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				      fd, 0xf0000),
				 page);
		close(fd);
		return;
	default:
		fd = memfd_create("short", MFD_CLOEXEC);
		assert_true(fd >= 0);
		assert_ptr_equal(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				      fd, 0),
				 page);
		close(fd);
	}
}

/* A message that begins in the page before: what is said is where it failed. */
static void memory_of_the_target(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;
	int i;

	(void)state;
	for (i = 0; i < TAKEN; i++) {
		printf("%s\n", takings[i].name);
		begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
		target(&s, ACCESS_ALL);
		take(&s, i);
		s.wr.wr.rdma.remote_addr = (uintptr_t)s.map + AT - 10;
		error = refused(&s, IBV_WC_REM_ACCESS_ERR, takings[i].reason);
		assert_region(&s, &error);
		assert_int_equal(error.fault_address, (uintptr_t)s.map + AT);
		assert_int_equal(error.error, EFAULT);
		end(&s);
	}
}

static void memory_of_the_target_of_a_read(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	take(&s, UNMAPPED);
	s.sge.length = 2 * PAGE;
	s.wr.opcode = IBV_WR_RDMA_READ;
	s.wr.wr.rdma.remote_addr = (uintptr_t)s.map + PAGE;
	error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_NOT_MAPPED);
	assert_int_equal(error.fault_address, (uintptr_t)s.map + AT);
	end(&s);
}

static void hear(int signal)
{
	(void)signal;
}

/* A page that the kernel was told is broken, and takes out of use. Its frame, so that it can be given back. */
static uint64_t page_broken(uint8_t *page)
{
	sighandler_t handler;
	uint64_t pfn;
	int err;

	*page = 1;
	pfn = pagemap_entry(page) & PAGEMAP_PFN;
	/* The owner is told at once, and may not ignore it; cmocka would take it for a failure. */
	handler = signal(SIGBUS, hear);
	err = madvise(page, PAGE, MADV_HWPOISON);
	signal(SIGBUS, handler);
	if (err) {
		assert_int_equal(errno, EINVAL);
		skip_because("this kernel is built without memory failures");
	}
	return pfn;
}

static void frame_give_back(uint64_t pfn)
{
	char text[24];

	assert_zero(system("modprobe hwpoison_inject"));
	snprintf(text, sizeof(text), "%#" PRIx64, pfn);
	assert_zero(write_text("/sys/kernel/debug/hwpoison/unpoison-pfn", text));
	assert_zero(system("modprobe -r hwpoison_inject"));
}

/* Written to and read from. What lies before the broken page is not touched by that. */
static void broken_memory(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;
	uint64_t pfn;
	int read;

	(void)state;
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	for (read = 0; read < 2; read++) {
		begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
		target(&s, ACCESS_ALL);
		/* It is in the table when it breaks. */
		s.wr.opcode = read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
		end_post(&s.pair.a, &s.wr);
		cq_success(s.pair.a.scq);
		pfn = page_broken(s.map + AT);
		s.wr.wr.rdma.remote_addr = (uintptr_t)s.map + AT - 10;
		error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_POISONED);
		assert_region(&s, &error);
		assert_int_equal(error.fault_address, (uintptr_t)s.map + AT);
		assert_int_equal(error.error, EHWPOISON);
		pair_reconnect(&s.pair);
		s.wr.wr.rdma.remote_addr = (uintptr_t)s.map + AT - BYTES;
		end_post(&s.pair.a, &s.wr);
		cq_success(s.pair.a.scq);
		end(&s);
		frame_give_back(pfn);
	}
}

static void deregistered_while_it_waits(void **state)
{
	struct rxe_odp_access_error error;
	struct uffd u;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	uffd_register(&u, s.map, TARGET);
	end_post(&s.pair.a, &s.wr);
	assert_ptr_equal(uffd_next(&u, 60000), s.map + AT);
	assert_zero(ibv_dereg_mr(s.mr));
	s.mr = NULL;
	cq_expect(s.pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	error = error_of(s.pair.b.qp);
	/* The peer may have been told to come back: then it finds no key. */
	assert_true(error.reason == RXE_ODP_REASON_DEREGISTERED ||
		    error.reason == RXE_ODP_REASON_NO_KEY);
	uffd_close(&u);
	end(&s);
}

/* In a child: memory of its own under the parent's context. Tells the handle, and waits until it is to go. */
static void register_and_wait(const struct scene *s, int tell, int wait)
{
	uint32_t handle;
	char c;

	if (raw_reg_mr(s->pair.rig.ctx->cmd_fd, s->pd->handle, s->map, TARGET,
		       ACCESS_ALL | IBV_ACCESS_ON_DEMAND, &handle) ||
	    write(tell, &handle, sizeof(handle)) != sizeof(handle) || read(wait, &c, 1) != 0)
		_exit(1);
	_exit(0);
}

static void owner_gone(void **state)
{
	struct rxe_odp_access_error error;
	struct rxe_odp_mr_stats stats;
	int told[2], wait[2], status;
	uint32_t handle;
	struct scene s;
	pid_t child;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	assert_zero(pipe2(told, O_CLOEXEC));
	assert_zero(pipe2(wait, O_CLOEXEC));
	child = fork();
	if (!child) {
		close(wait[1]);
		register_and_wait(&s, told[1], wait[0]);
	}
	assert_int_equal(read(told[0], &handle, sizeof(handle)), sizeof(handle));
	close(wait[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(raw_mr_stats(s.pair.rig.ctx->cmd_fd, handle, &stats), 0);
	target(&s, ACCESS_ALL);
	s.wr.wr.rdma.rkey = stats.key;
	error = refused(&s, IBV_WC_REM_ACCESS_ERR, RXE_ODP_REASON_OWNER_GONE);
	assert_int_equal(error.error, EOWNERDEAD);
	assert_int_equal(error.region_key, stats.key);
	assert_int_equal(error.fault_address, (uintptr_t)s.map + AT);
	close(told[0]);
	close(told[1]);
	close(wait[0]);
	assert_int_equal(raw_dereg_mr(s.pair.rig.ctx->cmd_fd, handle), 0);
	end(&s);
}

/* In a list: its second entry is bad. */
static void of_a_list(struct scene *s, struct ibv_sge list[2])
{
	list[0] = buf_sge(&s->local, 0, 100);
	list[1] = (struct ibv_sge){ (uintptr_t)s->map + AT - 50, 200, s->mr->lkey };
	s->wr.sg_list = list;
	s->wr.num_sge = 2;
	s->wr.wr.rdma.remote_addr = (uintptr_t)s->local.data;
	s->wr.wr.rdma.rkey = s->local.mr->rkey;
}

static struct rxe_odp_access_error failed_here(struct scene *s, uint32_t reason, uint32_t access)
{
	struct rxe_odp_access_error error;

	end_post(&s->pair.a, &s->wr);
	cq_expect(s->pair.a.scq, IBV_WC_LOC_PROT_ERR);
	error = error_of(s->pair.a.qp);
	assert_int_equal(error.count, 1);
	assert_int_equal(error.side, RXE_ODP_SIDE_SEND);
	assert_int_equal(error.reason, reason);
	assert_int_equal(error.wr_id, WR_ID);
	assert_int_equal(error.opcode, s->wr.opcode);
	assert_int_equal(error.access, access);
	return error;
}

static void list_of_a_send(void **state)
{
	struct rxe_odp_access_error error;
	struct ibv_sge list[2];
	struct scene s;
	int read, bad;

	(void)state;
	for (read = 0; read < 2; read++) {
		for (bad = 0; bad < 2; bad++) {
			begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
			target(&s, ACCESS_ALL);
			of_a_list(&s, list);
			s.wr.opcode = read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
			if (bad)
				list[1].lkey ^= 1;
			else
				take(&s, UNMAPPED);
			error = failed_here(&s,
					    bad ? RXE_ODP_REASON_NO_KEY : RXE_ODP_REASON_NOT_MAPPED,
					    read ? IBV_ACCESS_LOCAL_WRITE : 0);
			assert_int_equal(error.key, list[1].lkey);
			assert_int_equal(error.address, list[1].addr);
			assert_int_equal(error.length, 200);
			assert_int_equal(error.fault_address,
					 bad ? list[1].addr : (uintptr_t)s.map + AT);
			end(&s);
		}
	}
}

static void list_of_a_receive(void **state)
{
	struct rxe_odp_access_error error;
	struct ibv_sge to;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	take(&s, READ_ONLY);
	to = (struct ibv_sge){ (uintptr_t)s.map + AT - 50, 200, s.mr->lkey };
	end_post_recv(&s.pair.b, 77, &to, 1);
	s.wr.opcode = IBV_WR_SEND;
	end_post(&s.pair.a, &s.wr);
	cq_expect(s.pair.a.scq, IBV_WC_REM_OP_ERR);
	cq_expect(s.pair.b.rcq, IBV_WC_LOC_PROT_ERR);
	error = error_of(s.pair.b.qp);
	assert_int_equal(error.side, RXE_ODP_SIDE_RECEIVE);
	assert_int_equal(error.reason, RXE_ODP_REASON_MAP_ACCESS);
	assert_int_equal(error.wr_id, 77);
	assert_int_equal(error.address, to.addr);
	assert_int_equal(error.fault_address, (uintptr_t)s.map + AT);
	assert_int_equal(error.access, IBV_ACCESS_LOCAL_WRITE);
	end(&s);
}

/* What comes after the first is its consequence; a queue pair that works again reports the next. */
static void counts(void **state)
{
	struct rxe_odp_access_error error;
	struct scene s;
	int i;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	target(&s, ACCESS_ALL);
	for (i = 1; i <= 3; i++) {
		s.wr.wr.rdma.rkey = s.mr->rkey ^ i;
		end_post(&s.pair.a, &s.wr);
		cq_expect(s.pair.a.scq, IBV_WC_REM_ACCESS_ERR);
		error = error_of(s.pair.b.qp);
		assert_int_equal(error.count, i);
		assert_int_equal(error.key, s.wr.wr.rdma.rkey);
		pair_reconnect(&s.pair);
	}
	end(&s);
}

static void lengths_and_handles(void **state)
{
	struct rxe_odp_access_error error;
	struct ibv_qp fake;
	struct scene s;

	(void)state;
	begin(&s, ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE);
	assert_int_equal(qp_access_error(s.pair.a.qp, &error, 7), EINVAL);
	assert_int_equal(qp_access_error(s.pair.a.qp, &error, 8), 0);
	assert_int_equal(qp_access_error(s.pair.a.qp, NULL, 8), EFAULT);
	fake = *s.pair.a.qp;
	fake.handle += 1000;
	assert_int_equal(qp_access_error(&fake, &error, sizeof(error)), ENOENT);
	fake.handle = s.local.mr->handle;
	assert_int_equal(qp_access_error(&fake, &error, sizeof(error)), EINVAL);
	end(&s);
}

TEST_MAIN(TEST(no_key), TEST(other_pd), TEST(key_of_another), TEST(right_of_the_region),
	  TEST(out_of_range), TEST(right_of_the_queue_pair), TEST(alignment),
	  TEST(memory_of_the_target), TEST(memory_of_the_target_of_a_read), TEST(broken_memory),
	  TEST(deregistered_while_it_waits), TEST(owner_gone), TEST(list_of_a_send),
	  TEST(list_of_a_receive), TEST(counts), TEST(lengths_and_handles))
