// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which pages of a region the NIC would find, page by page: after reads and writes of a peer, after madvise() and fork(), through a
 * region that may not be written, in huge entries. What is asked for is bounded, and anything may be asked.
 */
#include "method.h"
#include "pair.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Three leaves, begun in the middle of one. */
#define PAGES (2 * 512 + 60)
#define P     RXE_ODP_PAGE_PRESENT
#define W     RXE_ODP_PAGE_WRITABLE
#define H     RXE_ODP_PAGE_HUGE

struct scene {
	struct pair pair;
	struct buf local;
	uint8_t *map;
	size_t bytes;
	struct ibv_mr *mr;
	uint8_t want[PAGES], got[PAGES];
};

static void begin(struct scene *s)
{
	struct conn conn = CONN;

	memset(s, 0, sizeof(*s));
	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, 0, 0);
	buf_make(&s->local, s->pair.rig.pd, MEM_ANON, 4 * PAGE, 0, ACCESS_ALL);
	s->bytes = PAGES * PAGE;
	s->map = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(s->map, MAP_FAILED);
	madvise(s->map, s->bytes, MADV_NOHUGEPAGE);
	s->mr = ibv_reg_mr(s->pair.rig.pd, s->map, s->bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(s->mr);
}

static void end(struct scene *s)
{
	assert_zero(ibv_dereg_mr(s->mr));
	munmap(s->map, s->bytes);
	buf_free(&s->local);
	pair_close(&s->pair);
}

static void touch(struct scene *s, enum ibv_wr_opcode opcode, unsigned int page, size_t bytes)
{
	struct ibv_sge sge = buf_sge(&s->local, 0, bytes);
	struct ibv_send_wr wr = wr_make(opcode, &sge, 1);

	wr.wr.rdma.remote_addr = (uintptr_t)s->map + page * PAGE;
	wr.wr.rdma.rkey = s->mr->rkey;
	end_post(&s->pair.a, &wr);
	cq_success(s->pair.a.scq);
}

static void wants(struct scene *s, unsigned int first, unsigned int nr, uint8_t bits)
{
	memset(s->want + first, bits, nr);
}

static void check_at(int line, struct scene *s, const struct ibv_mr *mr)
{
	uint64_t nr = 0;
	size_t i;

	memset(s->got, 0xee, sizeof(s->got));
	assert_int_equal(mr_residency(mr, s->map, s->bytes, s->got, &nr), 0);
	assert_int_equal(nr, PAGES);
	for (i = 0; i < PAGES; i++)
		if (s->got[i] != s->want[i])
			fail_because("line %d, page %zu: %d and not %d", line, i, s->got[i],
				     s->want[i]);
}
#define check(s, mr) check_at(__LINE__, s, mr)

static void after_reads_and_writes(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	check(&s, s.mr);
	touch(&s, IBV_WR_RDMA_READ, 3, 2 * PAGE);
	wants(&s, 3, 2, P);
	check(&s, s.mr);
	touch(&s, IBV_WR_RDMA_WRITE, 4, 1);
	wants(&s, 4, 1, P | W);
	touch(&s, IBV_WR_RDMA_WRITE, PAGES - 1, PAGE);
	wants(&s, PAGES - 1, 1, P | W);
	touch(&s, IBV_WR_RDMA_WRITE, 600, 4 * PAGE);
	wants(&s, 600, 4, P | W);
	check(&s, s.mr);

	assert_zero(madvise(s.map + 601 * PAGE, 2 * PAGE, MADV_DONTNEED));
	wants(&s, 601, 2, 0);
	check(&s, s.mr);
	end(&s);
}

static void after_fork(void **state)
{
	struct scene s;
	pid_t child;
	int status;

	(void)state;
	begin(&s);
	touch(&s, IBV_WR_RDMA_WRITE, 10, 4 * PAGE);
	wants(&s, 10, 4, P | W);
	check(&s, s.mr);
	child = fork();
	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	/* What both had for a while is there to be read still. */
	wants(&s, 10, 4, P);
	check(&s, s.mr);
	touch(&s, IBV_WR_RDMA_WRITE, 11, 1);
	wants(&s, 11, 1, P | W);
	check(&s, s.mr);
	end(&s);
}

/* Two regions over the same pages: what one may not do it is not told. */
static void of_a_region_without_the_right(void **state)
{
	struct ibv_mr *reads;
	struct scene s;

	(void)state;
	begin(&s);
	reads = ibv_reg_mr(s.pair.rig.pd, s.map, s.bytes,
			   IBV_ACCESS_REMOTE_READ | IBV_ACCESS_ON_DEMAND);
	assert_non_null(reads);
	touch(&s, IBV_WR_RDMA_WRITE, 0, 4 * PAGE);
	wants(&s, 0, 4, P | W);
	check(&s, s.mr);
	wants(&s, 0, 4, P);
	check(&s, reads);
	assert_zero(ibv_dereg_mr(reads));
	end(&s);
}

static void of_a_pinned_region(void **state)
{
	uint8_t got[4];
	struct buf buf;
	struct rig rig;
	uint64_t nr;

	(void)state;
	rig_open(&rig);
	buf_make(&buf, rig.pd, MEM_ANON, 2 * PAGE, 100, ACCESS_ALL);
	assert_int_equal(mr_residency(buf.mr, buf.data, buf.bytes, got, &nr), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(got[0] & got[1] & got[2], P | W);
	buf_free(&buf);
	rig_close(&rig);
}

static void huge_entries(void **state)
{
	struct conn conn = CONN;
	struct buf from, to = { .bytes = 4 * MIB };
	uint8_t got[1024], *map;
	struct pair pair;
	uint64_t nr;
	size_t i;

	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		skip_because("the kernel has no huge pages");
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	map = mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	to.data = (uint8_t *)(((uintptr_t)map + 2 * MIB - 1) & ~(2 * MIB - 1));
	assert_zero(madvise(to.data, to.bytes, MADV_HUGEPAGE));
	write_text("/proc/sys/vm/compact_memory", "1");
	memset(to.data, 1, to.bytes);
	buf_reg(&to, pair.rig.pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	pair_move(&pair, OP_WRITE, &from, 0, &to, 2 * MIB + 7 * PAGE, 1);
	assert_int_equal(mr_residency(to.mr, to.data, to.bytes, got, &nr), 0);
	assert_int_equal(nr, 1024);
	for (i = 0; i < 1024; i++)
		if (got[i] != (i < 512 ? 0 : P | W | H))
			fail_because("page %zu: %d", i, got[i]);
	/* A part of it goes: all of it does. */
	assert_zero(madvise(to.data + 2 * MIB, PAGE, MADV_DONTNEED));
	assert_int_equal(mr_residency(to.mr, to.data + 2 * MIB, PAGE, got, &nr), 0);
	assert_int_equal(got[0], 0);
	buf_dereg(&to);
	munmap(map, 6 * MIB);
	buf_free(&from);
	pair_close(&pair);
}

static void spans(void **state)
{
	uint8_t got[8];
	struct scene s;
	uint64_t nr = 7;
	char *map;

	(void)state;
	begin(&s);
	map = (char *)s.map;
	touch(&s, IBV_WR_RDMA_WRITE, 5, 1);
	assert_int_equal(mr_residency(s.mr, map, 0, NULL, &nr), 0);
	assert_int_equal(nr, 0);
	/* One byte of either page. */
	assert_int_equal(mr_residency(s.mr, map + 5 * PAGE - 1, 2, got, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1], P | W);
	assert_int_equal(mr_residency(s.mr, map - 1, 2, got, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, map + s.bytes - 1, 2, got, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, map + s.bytes, 1, got, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, map + 1, ~0ULL, got, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, (void *)~0UL, 2, got, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, map, PAGE, NULL, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, map, PAGE, (uint8_t *)~0UL, &nr), EFAULT);
	assert_int_equal(mr_residency(s.mr, map, PAGE, got, NULL), EFAULT);
	end(&s);
}

/* A shorter structure is refused, a longer one must end in zeros. */
static void lengths(void **state)
{
	uint8_t req[64] = { 0 }, got[1];
	struct scene s;
	uint64_t nr;
	size_t bytes;

	(void)state;
	begin(&s);
	memcpy(req, &(struct rxe_odp_mr_residency){ (uintptr_t)s.map, PAGE, (uintptr_t)got }, 24);
	for (bytes = 0; bytes < sizeof(req); bytes++) {
		struct method m = method_of(UVERBS_OBJECT_MR, RXE_ODP_METHOD_MR_RESIDENCY);

		method_handle(&m, RXE_ODP_ATTR_MR_RESIDENCY_HANDLE, s.mr->handle);
		method_in(&m, RXE_ODP_ATTR_MR_RESIDENCY_REQ, req, bytes);
		method_out(&m, RXE_ODP_ATTR_MR_RESIDENCY_RESP_PAGES, &nr, sizeof(nr));
		assert_int_equal(method_call(s.pair.rig.ctx->cmd_fd, &m), bytes < 24 ? EINVAL : 0);
		if (bytes <= 24)
			continue;
		req[bytes - 1] = 1;
		assert_int_equal(method_call(s.pair.rig.ctx->cmd_fd, &m), EOPNOTSUPP);
		req[bytes - 1] = 0;
	}
	end(&s);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* Much is given in parts where signals come, and too much at once not at all. */
static void much(void **state)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };
	uint64_t pages = RXE_ODP_RESIDENCY_MAX_PAGES / 16, done = 0, nr = 0;
	size_t bytes = (RXE_ODP_RESIDENCY_MAX_PAGES + 1) * PAGE;
	struct sigaction old, act = { .sa_handler = count_alarm };
	struct ibv_mr *mr;
	struct rig rig;
	uint8_t *to;
	char *map;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	mr = ibv_reg_mr(rig.pd, map, bytes, IBV_ACCESS_ON_DEMAND);
	assert_non_null(mr);
	to = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(to, MAP_FAILED);
	assert_int_equal(mr_residency(mr, map, bytes, to, &nr), E2BIG);

	assert_zero(sigaction(SIGALRM, &act, &old));
	assert_zero(setitimer(ITIMER_REAL, &often, NULL));
	while (done < pages) {
		assert_int_equal(mr_residency(mr, map + done * PAGE, (pages - done) * PAGE,
					      to + done, &nr),
				 0);
		assert_in_range(nr, 1, pages - done);
		done += nr;
	}
	assert_zero(setitimer(ITIMER_REAL, &off, NULL));
	assert_zero(sigaction(SIGALRM, &old, NULL));
	assert_zero(ibv_dereg_mr(mr));
	munmap(to, pages);
	munmap(map, bytes);
	rig_close(&rig);
}

struct asker {
	pthread_t thread;
	struct scene *scene;
	volatile bool stop;
	int unexpected;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	struct ibv_mr mr = *asker->scene->mr;
	uint8_t got[PAGES];
	struct rxe_odp_mr_stats stats;
	uint64_t nr;
	int err;

	while (!asker->stop) {
		mr.handle = __atomic_load_n(&asker->scene->mr->handle, __ATOMIC_RELAXED);
		err = mr_residency(&mr, asker->scene->map, asker->scene->bytes, got, &nr);
		/* It may be going, or be gone. */
		if (err && err != ENOENT && err != EBUSY)
			asker->unexpected = err;
		err = mr_stats(&mr, &stats, sizeof(stats));
		if (err && err != ENOENT && err != EBUSY)
			asker->unexpected = err;
	}
	return NULL;
}

/* Asked while it is written, taken away, and deregistered. */
static void asked_meanwhile(void **state)
{
	struct asker asker = { 0 };
	struct ibv_mr fixed, *mr;
	struct scene s;
	int i, err;

	(void)state;
	begin(&s);
	/* The threads read the handle of a struct that stays. */
	mr = s.mr;
	fixed = *mr;
	s.mr = &fixed;
	asker.scene = &s;
	assert_zero(pthread_create(&asker.thread, NULL, ask, &asker));
	for (i = 0; i < 100; i++) {
		touch(&s, IBV_WR_RDMA_WRITE, i, 4 * PAGE);
		assert_zero(madvise(s.map, s.bytes, MADV_DONTNEED));
		/* uverbs destroys nothing that is in use this moment. */
		while ((err = ibv_dereg_mr(mr)) == EBUSY)
			;
		assert_int_equal(err, 0);
		mr = ibv_reg_mr(s.pair.rig.pd, s.map, s.bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		assert_non_null(mr);
		fixed.rkey = mr->rkey;
		__atomic_store_n(&fixed.handle, mr->handle, __ATOMIC_RELAXED);
	}
	asker.stop = true;
	pthread_join(asker.thread, NULL);
	assert_int_equal(asker.unexpected, 0);
	s.mr = mr;
	end(&s);
}

TEST_MAIN(TEST(after_reads_and_writes), TEST(after_fork), TEST(of_a_region_without_the_right),
	  TEST(of_a_pinned_region), TEST(huge_entries), TEST(spans), TEST(lengths), TEST(much),
	  TEST(asked_meanwhile))
