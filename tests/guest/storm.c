// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Storm: queue pairs that write, read, send and count in on-demand-paging regions, while threads do to that memory all
 * that a process may do to its memory, at random. STORM_S seconds (20), FUZZ_SEED.
 *
 * The memory is cut into slices, one for each worker. What takes data away (DONTNEED, FREE, unmapping, moving, holes,
 * protection) is done by the one who holds the slice's lock, between two transactions of its worker: neighbours in
 * the same page tables have theirs under way. What must not take data away (paging out, collapsing, splitting,
 * forks, migration, soft-dirty, KSM) is done at any time. The last two slices are wild: everything is done to them at any
 * time, their workers take the errors that they are owed, and connect anew.
 *
 * rdma-odp: timeout 60
 */
#include "pair.h"
#include "random.h"
#include "swap.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS	    6
#define WILD	    4		/* and those behind it: one in private, one in shared memory */
#define SLICE_BYTES (768 * KIB) /* 2 MiB tables hold parts of several */
#define MAX_BYTES   (48 * KIB)
#define LOCAL_BYTES MAX_BYTES

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

struct memory {
	bool shared;
	int fd;
	uint8_t *data;
	struct ibv_mr *mr;
};

struct worker {
	pthread_t thread;
	unsigned int nr;
	struct rnd rnd;
	struct memory *memory;
	uint8_t *slice;
	pthread_mutex_t lock; /* of the slice's mapping and content */
	volatile int wanted;  /* chaos waits for it */
	struct end a, b;
	struct buf local, count;
	unsigned long done, owed, reconnects;
	char failure[200];
};

static struct pair pair;
static struct memory memories[2];
static struct worker workers[WORKERS];
static pthread_t chaos_threads[2];
/* While a slice has a hole, nobody may ask for an address: it could be one in there. */
static pthread_mutex_t hole_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile bool stop;
static unsigned long chaos_done;

/*
 * User Mode Linux does not interrupt a process that runs on another CPU when its page tables change: until its next system call
 * it reads and writes the old pages (docs/testing.md). There, a worker makes one before it looks, looks at slices through the
 * kernel, and nothing moves the memory that it fills itself.
 */
static bool lazy_mmu;
static int self_mem;

static bool failed(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Other threads cannot assert: they say why, and everything stops. */
static bool failed(struct worker *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->failure, sizeof(w->failure), fmt, args);
	va_end(args);
	stop = true;
	return false;
}

static bool is_wild(const struct worker *w)
{
	return w->nr >= WILD;
}

/* What a peer is owed for memory that is not there, or not to be written. Counters lie elsewhere. */
static bool is_owed(enum ibv_wr_opcode opcode, enum ibv_wc_status status)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_READ:
		return status == IBV_WC_REM_ACCESS_ERR;
	case IBV_WR_SEND:
		return status == IBV_WC_REM_OP_ERR;
	default:
		return false;
	}
}

static bool reconnect(struct worker *w)
{
	struct ibv_wc wc;

	if (end_set_state(&w->a, IBV_QPS_RESET) || end_set_state(&w->b, IBV_QPS_RESET))
		return failed(w, "a QP does not go to RESET");
	while (ibv_poll_cq(w->a.scq, 1, &wc) || ibv_poll_cq(w->b.rcq, 1, &wc))
		;
	if (end_to_init(&w->a, &pair.conn) || end_to_init(&w->b, &pair.conn) ||
	    end_to_rtr(&w->a, &w->b, &pair.conn) || end_to_rtr(&w->b, &w->a, &pair.conn) ||
	    end_to_rts(&w->a, &pair.conn) || end_to_rts(&w->b, &pair.conn))
		return failed(w, "a QP does not connect again");
	w->reconnects++;
	return true;
}

/* One work request of end a. False when the worker must end, or must leave this transaction. */
static bool one(struct worker *w, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc;

	if (ibv_post_send(w->a.qp, wr, &bad))
		return failed(w, "ibv_post_send");
	if (!cq_poll_bounded(w->a.scq, &wc, BOUND_S))
		return failed(w, "no completion of opcode %d within %d s", wr->opcode, BOUND_S);
	if (lazy_mmu)
		sched_yield();
	if (wc.status == IBV_WC_SUCCESS)
		return true;
	if (!is_wild(w) || !is_owed(wr->opcode, wc.status))
		return failed(w, "opcode %d: \"%s\" is not owed", wr->opcode,
			      ibv_wc_status_str(wc.status));
	w->owed++;
	reconnect(w);
	return false;
}

static struct ibv_send_wr rdma(struct worker *w, enum ibv_wr_opcode opcode, struct ibv_sge *sge,
			       size_t at, size_t bytes)
{
	struct ibv_send_wr wr;

	*sge = buf_sge(&w->local, 0, bytes);
	wr = wr_make(opcode, sge, 1);
	wr.wr.rdma.remote_addr = (uintptr_t)w->slice + at;
	wr.wr.rdma.rkey = w->memory->mr->rkey;
	return wr;
}

static bool put(struct worker *w, size_t at, size_t bytes)
{
	struct ibv_recv_wr recv = { .num_sge = 1 }, *bad;
	struct ibv_sge sge, to;
	struct ibv_send_wr wr;
	struct ibv_wc wc;

	if (rnd_one_in(&w->rnd, 2)) {
		wr = rdma(w, IBV_WR_RDMA_WRITE, &sge, at, bytes);
		return one(w, &wr);
	}
	to = (struct ibv_sge){ (uintptr_t)w->slice + at, bytes, w->memory->mr->lkey };
	recv.sg_list = &to;
	if (ibv_post_recv(w->b.qp, &recv, &bad))
		return failed(w, "ibv_post_recv");
	wr = rdma(w, IBV_WR_SEND, &sge, 0, bytes);
	if (!one(w, &wr))
		return false;
	if (!cq_poll_bounded(w->b.rcq, &wc, BOUND_S) || wc.status != IBV_WC_SUCCESS)
		return failed(w, "a SEND arrived, its receive did not complete");
	return true;
}

/* What is wild may be gone; it is never somebody else's. */
static bool is_right(struct worker *w, const uint8_t *data, size_t bytes, uint32_t seed,
		     const char *where)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (data[i] != pattern_byte(seed, i) && !(is_wild(w) && !data[i]))
			return failed(w, "byte %zu of %zu %s is %#x, not %#x", i, bytes, where,
				      data[i], pattern_byte(seed, i));
	return true;
}

static void is_seen(struct worker *w, size_t at, size_t bytes, uint32_t seed)
{
	const uint8_t *data = w->slice + at;

	if (lazy_mmu) {
		if (pread(self_mem, w->local.data, bytes, (uintptr_t)data) != (ssize_t)bytes) {
			failed(w, "/proc/self/mem: errno %d", errno);
			return;
		}
		sched_yield();
		data = w->local.data;
	}
	is_right(w, data, bytes, seed, "seen by the CPU");
}

/* Puts a pattern there and gets it back, by the NIC and by the CPU. */
static void transaction(struct worker *w)
{
	size_t bytes = 1 + rnd_below(&w->rnd, MAX_BYTES);
	size_t at = rnd_below(&w->rnd, SLICE_BYTES - bytes);
	uint32_t seed = rnd_next(&w->rnd);
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	pattern_fill(w->local.data, bytes, seed, 0);
	if (!put(w, at, bytes))
		return;
	memset(w->local.data, 0x77, bytes);
	wr = rdma(w, IBV_WR_RDMA_READ, &sge, at, bytes);
	if (!one(w, &wr) || !is_right(w, w->local.data, bytes, seed, "read back"))
		return;
	/* The wild one's may be unmapped: the CPU would be killed. */
	if (!is_wild(w))
		is_seen(w, at, bytes, seed);
	w->done++;
}

/* A counter of each worker's own, in memory that nobody takes away. */
static void count_one(struct worker *w)
{
	struct ibv_sge sge = buf_sge(&w->local, 0, 8);
	struct ibv_send_wr wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &w->count, 0, 1, 0);
	uint64_t before, old;

	memcpy(&before, w->count.data, 8);
	if (!one(w, &wr))
		return;
	memcpy(&old, w->local.data, 8);
	if (old != before || *(volatile uint64_t *)w->count.data != before + 1)
		failed(w, "an atomic was lost or done twice");
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!stop) {
		if (!is_wild(w))
			pthread_mutex_lock(&w->lock);
		if (rnd_one_in(&w->rnd, 8))
			count_one(w);
		else
			transaction(w);
		if (!is_wild(w))
			pthread_mutex_unlock(&w->lock);
		while (!is_wild(w) && w->wanted)
			usleep(20);
	}
	return NULL;
}

/* Some whole pages of the slice. */
static uint8_t *some_pages(struct rnd *r, struct worker *w, size_t *bytes)
{
	size_t pages = SLICE_BYTES / PAGE, from = rnd_below(r, pages);

	*bytes =
		PAGE * (1 + rnd_below(r, rnd_one_in(r, 4) ? pages - from : 1 + (pages - from) / 8));
	return w->slice + from * PAGE;
}

static void map_again(struct worker *w, uint8_t *at, size_t bytes)
{
	int flags = MAP_FIXED | (w->memory->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

	if (mmap(at, bytes, PROT_READ | PROT_WRITE, flags, w->memory->fd,
		 w->memory->shared ? at - w->memory->data : 0) == MAP_FAILED)
		failed(w, "mmap: errno %d", errno);
}

static void move_away_and_back(struct worker *w, uint8_t *at, size_t bytes)
{
	void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *away = mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room);

	if (away == MAP_FAILED) {
		/* Other advice has cut it in several mappings: not all kernels move those, and some stop midway. */
		if (errno != EFAULT && errno != EINVAL)
			failed(w, "mremap away: errno %d", errno);
		map_again(w, at, bytes);
		munmap(room, bytes);
		return;
	}
	away[0]++; /* its mapping is the process's, and no longer the region's */
	away[0]--;
	if (mremap(away, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		failed(w, "mremap back: errno %d", errno);
}

/* What takes data, or access to it, away; under the slice's lock, or to the wild one. */
static void take_away(struct rnd *r, struct worker *w)
{
	size_t bytes;
	uint8_t *at = some_pages(r, w, &bytes);

	switch (rnd_below(r, 6)) {
	case 0:
		madvise(at, bytes, MADV_DONTNEED);
		break;
	case 1:
		pthread_mutex_lock(&hole_lock);
		munmap(at, bytes);
		map_again(w, at, bytes);
		pthread_mutex_unlock(&hole_lock);
		break;
	case 2:
		pthread_mutex_lock(&hole_lock);
		move_away_and_back(w, at, bytes);
		pthread_mutex_unlock(&hole_lock);
		break;
	case 3:
		mprotect(at, bytes, rnd_one_in(r, 2) ? PROT_NONE : PROT_READ);
		mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	case 4:
		if (w->memory->shared)
			fallocate(w->memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  at - w->memory->data, bytes);
		else
			madvise(at, bytes, MADV_FREE);
		break;
	case 5:
		mprotect(at, bytes, PROT_READ);
		usleep(rnd_below(r, 300));
		mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	}
}

/* A child sees the private memory as it was, however the NIC writes to its parent's. */
static void fork_and_look(struct rnd *r, struct worker *w)
{
	size_t bytes, i, round;
	const uint8_t *at = some_pages(r, w, &bytes);
	uint64_t sums[2] = { 0, 0 };
	int status;
	pid_t pid;

	if (w->memory->shared || is_wild(w))
		return;
	pid = fork();
	if (!pid) {
		for (round = 0; round < 2; round++, usleep(1000))
			for (i = 0; i < bytes; i += 61)
				sums[round] = sums[round] * 31 + at[i];
		_exit(sums[0] != sums[1]);
	}
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		failed(w, "a child's copy changed: status %#x", status);
}

/* What must take nothing away. */
static void disturb(struct rnd *r, struct worker *w)
{
	size_t bytes;
	uint8_t *at = some_pages(r, w, &bytes);

	switch (rnd_below(r, 8)) {
	case 0:
	case 1:
		madvise(at, bytes, MADV_PAGEOUT);
		break;
	case 2:
		madvise(w->memory->data, WORKERS * SLICE_BYTES, MADV_COLLAPSE);
		break;
	case 3:
		madvise(at, bytes, rnd_one_in(r, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	case 4:
		madvise(at, bytes, rnd_one_in(r, 2) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
		break;
	case 5:
		write_text("/proc/self/clear_refs", "4");
		break;
	case 6:
		if (!lazy_mmu)
			write_text("/proc/sys/vm/compact_memory", "1");
		break;
	case 7:
		fork_and_look(r, w);
		break;
	}
}

static void *chaos(void *arg)
{
	struct rnd *r = arg;

	while (!stop) {
		struct worker *w = &workers[rnd_one_in(r, 3) ? WILD + rnd_below(r, WORKERS - WILD) :
							       rnd_below(r, WORKERS)];

		if (rnd_one_in(r, 2)) {
			disturb(r, w);
		} else {
			/* The wild worker does not hold it; but two of us must not map over one another. */
			__sync_fetch_and_add(&w->wanted, 1);
			pthread_mutex_lock(&w->lock);
			__sync_fetch_and_sub(&w->wanted, 1);
			take_away(r, w);
			pthread_mutex_unlock(&w->lock);
		}
		__sync_fetch_and_add(&chaos_done, 1);
		usleep(rnd_below(r, 400));
	}
	return NULL;
}

/* Merging goes on by itself while it is switched on; 2 takes everything apart again. */
static void ksm(bool on)
{
	write_text("/sys/kernel/mm/ksm/pages_to_scan", on ? "2000" : "100");
	write_text("/sys/kernel/mm/ksm/run", on ? "1" : "2");
	if (!on)
		write_text("/sys/kernel/mm/ksm/run", "0");
}

static void memory_make(struct memory *m, bool shared)
{
	size_t bytes = WORKERS * SLICE_BYTES;

	m->shared = shared;
	m->fd = -1;
	if (shared) {
		m->fd = memfd_create("storm", MFD_CLOEXEC);
		assert_true(m->fd >= 0);
		assert_zero(ftruncate(m->fd, bytes));
	}
	m->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, m->fd, 0);
	assert_ptr_not_equal(m->data, MAP_FAILED);
	m->mr = ibv_reg_mr(pair.rig.pd, m->data, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(m->mr);
}

static void memory_free(struct memory *m)
{
	assert_zero(ibv_dereg_mr(m->mr));
	munmap(m->data, WORKERS * SLICE_BYTES);
	if (m->fd >= 0)
		close(m->fd);
}

static void worker_make(struct worker *w, unsigned int nr, uint64_t seed)
{
	int odp = nr & 2 ? IBV_ACCESS_ON_DEMAND : 0;

	w->nr = nr;
	w->rnd.state = seed + nr;
	w->memory = &memories[nr & 1];
	w->slice = w->memory->data + nr * SLICE_BYTES;
	pthread_mutex_init(&w->lock, NULL);
	ends_open(&w->a, &pair.rig, &w->b, &pair.rig, &pair.conn);
	buf_make(&w->local, pair.rig.pd, MEM_ANON, LOCAL_BYTES, 100 * nr, ACCESS_ALL | odp);
	buf_make(&w->count, pair.rig.pd, MEM_ANON, 8, 64, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	memset(w->count.data, 0, 8);
}

static void worker_free(struct worker *w)
{
	end_close(&w->a);
	end_close(&w->b);
	buf_free(&w->local);
	buf_free(&w->count);
}

static void storm(void **state)
{
	struct conn conn = CONN;
	uint64_t seed = rnd_seed();
	struct rnd chaos_rnd[2] = { { seed + 1000 }, { seed + 2000 } };
	double end = seconds() + env_number("STORM_S", 20);
	unsigned int i;

	(void)state;
	lazy_mmu = slow_kernel();
	self_mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(self_mem >= 0);
	swap_begin();
	ksm(true);
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	memory_make(&memories[0], false);
	memory_make(&memories[1], true);
	for (i = 0; i < WORKERS; i++)
		worker_make(&workers[i], i, seed);
	for (i = 0; i < WORKERS; i++)
		assert_zero(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	for (i = 0; i < ARRAY_SIZE(chaos_threads); i++)
		assert_zero(pthread_create(&chaos_threads[i], NULL, chaos, &chaos_rnd[i]));
	while (!stop && seconds() < end)
		usleep(100000);
	stop = true;
	for (i = 0; i < ARRAY_SIZE(chaos_threads); i++)
		pthread_join(chaos_threads[i], NULL);
	for (i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		printf("worker %u%s: %lu transactions, %lu errors that were owed, %lu reconnects\n",
		       i, is_wild(w) ? " (wild)" : "", w->done, w->owed, w->reconnects);
	}
	printf("%lu disturbances\n", chaos_done);
	for (i = 0; i < WORKERS; i++)
		if (workers[i].failure[0])
			fail_because("worker %u: %s", i, workers[i].failure);
	for (i = 0; i < WORKERS; i++) {
		assert_true(workers[i].done > 0);
		worker_free(&workers[i]);
	}
	memory_free(&memories[0]);
	memory_free(&memories[1]);
	close(self_mem);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(storm) };
	int rc = test_run(tests, ARRAY_SIZE(tests));

	ksm(false);
	swap_end();
	return rc;
}
