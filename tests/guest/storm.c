// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Storm: queue pairs that write, send, read and count in on-demand-paging regions of private, shared and ext4 memory, while
 * threads do to that memory all that a process may do to its memory, at random. STORM_S seconds (20), FUZZ_SEED.
 *
 * The memory is cut into slices, one for each worker. What takes data away (DONTNEED, FREE, unmapping, moving, holes,
 * protection) is done by the one who holds the slice's lock, between two transactions of its worker: neighbours in
 * the same page tables have theirs under way. What must not take data away (paging out, collapsing, splitting,
 * forks, migration, soft-dirty, KSM) is done at any time. The last three slices are wild: everything is done to them at any
 * time, truncation and secret memory too, their workers take the errors that they are owed, and connect anew.
 *
 * Meanwhile other owners of regions come and go on the same device: killed, gone or turned into another program in the middle of
 * traffic, and of faults that never end.
 *
 * rdma-odp: timeout 60
 */
#include "ext4.h"
#include "pair.h"
#include "random.h"
#include "swap.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORIES    3
#define WORKERS	    (3 * MEMORIES)
#define WILD	    (2 * MEMORIES) /* and those behind it: one in each kind of memory */
#define SLICE_BYTES (768 * KIB)	   /* 2 MiB tables hold parts of several */
#define HUGE_BYTES  (2 * MIB)
#define MAX_BYTES   (48 * KIB)
#define PIECES	    4
#define MAX_WRS	    (2 * PIECES + 1)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum kind { PRIVATE, SHARED, EXT4 };

struct memory {
	enum kind kind;
	int fd;
	void *room; /* data lies in it, aligned */
	uint8_t *data;
	struct ibv_mr *mr;
};

/* Work requests that are posted as one list. */
struct flight {
	struct ibv_send_wr wr[MAX_WRS];
	struct ibv_sge sge[MAX_WRS];
	unsigned int wrs, recvs;
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
	struct buf local, back, old, count;
	unsigned long done, owed, reconnects;
	char failure[200];
};

/* What was done to the memory, and how often the kernel did it or said no. */
enum deed {
	DONTNEED,
	UNMAPPED,
	MOVED,
	PROTECTED,
	READ_ONLY,
	FREED,
	HOLE,
	SECRET,
	CUT,
	TAKES_AWAY, /* those before it must be done */
	PAGED_OUT = TAKES_AWAY,
	LOCAL_PAGED_OUT,
	COLLAPSED,
	SPLIT,
	MERGED,
	SOFT_DIRTY,
	COMPACTED,
	FORKED,
	KILLED,
	EXECUTED,
	EXITED,
	DEEDS
};

static struct {
	const char *name;
	unsigned long done, refused;
	int error;
} deeds[DEEDS] = {
	[DONTNEED] = { .name = "MADV_DONTNEED" },
	[UNMAPPED] = { .name = "munmap" },
	[MOVED] = { .name = "mremap" },
	[PROTECTED] = { .name = "mprotect and back" },
	[READ_ONLY] = { .name = "mprotect for a while" },
	[FREED] = { .name = "MADV_FREE" },
	[HOLE] = { .name = "hole punched" },
	[SECRET] = { .name = "memfd_secret" },
	[CUT] = { .name = "truncated" },
	[PAGED_OUT] = { .name = "MADV_PAGEOUT" },
	[LOCAL_PAGED_OUT] = { .name = "MADV_PAGEOUT, local" },
	[COLLAPSED] = { .name = "MADV_COLLAPSE" },
	[SPLIT] = { .name = "MADV_(NO)HUGEPAGE" },
	[MERGED] = { .name = "MADV_(UN)MERGEABLE" },
	[SOFT_DIRTY] = { .name = "soft-dirty cleared" },
	[COMPACTED] = { .name = "compaction" },
	[FORKED] = { .name = "fork" },
	[KILLED] = { .name = "owner killed" },
	[EXECUTED] = { .name = "owner calls exec" },
	[EXITED] = { .name = "owner exits" },
};

static struct pair pair;
static struct memory memories[MEMORIES];
static struct worker workers[WORKERS];
static pthread_t chaos_threads[2];
/* While a slice has a hole, nobody may ask for an address: it could be one in there. */
static pthread_mutex_t hole_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile bool stop;

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

static void did(enum deed deed, int rc, int error)
{
	if (!rc) {
		__sync_fetch_and_add(&deeds[deed].done, 1);
		return;
	}
	__sync_fetch_and_add(&deeds[deed].refused, 1);
	deeds[deed].error = error;
}

static bool is_wild(const struct worker *w)
{
	return w->nr >= WILD;
}

/* What a peer is owed for memory that is not there, or not to be written. */
static bool is_owed(enum ibv_wr_opcode opcode, enum ibv_wc_status status)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_READ:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
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

/* Posts them and takes all completions. False when the worker must end, or must leave this transaction. */
static bool fly(struct worker *w, struct flight *f)
{
	enum ibv_wc_status first = IBV_WC_SUCCESS;
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	unsigned int i;

	for (i = 0; i < f->wrs; i++) {
		f->wr[i].wr_id = i;
		f->wr[i].next = i + 1 < f->wrs ? &f->wr[i + 1] : NULL;
	}
	if (ibv_post_send(w->a.qp, f->wr, &bad))
		return failed(w, "ibv_post_send");
	for (i = 0; i < f->wrs; i++) {
		if (!cq_poll_bounded(w->a.scq, &wc, BOUND_S))
			return failed(w, "no completion of opcode %d within %d s", f->wr[i].opcode,
				      BOUND_S);
		if (wc.wr_id != i)
			return failed(w, "completion of request %u comes as number %u",
				      (unsigned int)wc.wr_id, i);
		if (first == IBV_WC_SUCCESS) {
			first = wc.status;
			if (first == IBV_WC_SUCCESS ||
			    (is_wild(w) && is_owed(f->wr[i].opcode, first)))
				continue;
		} else if (wc.status == IBV_WC_WR_FLUSH_ERR) {
			continue;
		}
		return failed(w, "request %u of %u, opcode %d: \"%s\" is not owed", i, f->wrs,
			      f->wr[i].opcode, ibv_wc_status_str(wc.status));
	}
	if (lazy_mmu)
		sched_yield();
	if (first != IBV_WC_SUCCESS) {
		w->owed++;
		reconnect(w);
		return false;
	}
	for (i = 0; i < f->recvs; i++)
		if (!cq_poll_bounded(w->b.rcq, &wc, BOUND_S) || wc.status != IBV_WC_SUCCESS)
			return failed(w, "a SEND arrived, its receive did not complete");
	return true;
}

static void add_wr(struct worker *w, struct flight *f, enum ibv_wr_opcode opcode,
		   const struct buf *local, size_t local_at, size_t at, size_t bytes)
{
	struct ibv_send_wr *wr = &f->wr[f->wrs];

	f->sge[f->wrs] = buf_sge(local, local_at, bytes);
	*wr = wr_make(opcode, &f->sge[f->wrs], 1);
	wr->wr.rdma.remote_addr = (uintptr_t)w->slice + at;
	wr->wr.rdma.rkey = w->memory->mr->rkey;
	f->wrs++;
}

static void add_recv(struct worker *w, struct flight *f, size_t at, size_t bytes)
{
	struct ibv_sge sge = { (uintptr_t)w->slice + at, bytes, w->memory->mr->lkey };
	struct ibv_recv_wr recv = { .sg_list = &sge, .num_sge = 1 }, *bad;

	if (ibv_post_recv(w->b.qp, &recv, &bad))
		failed(w, "ibv_post_recv");
	f->recvs++;
}

/* The whole of it, in pieces that are posted one behind the other. */
static void add_pieces(struct worker *w, struct flight *f, enum ibv_wr_opcode opcode,
		       const struct buf *local, size_t at, size_t bytes)
{
	size_t n = 1 + rnd_below(&w->rnd, PIECES), i;

	if (n > bytes)
		n = 1;
	for (i = 0; i < n; i++) {
		size_t from = bytes * i / n, piece = bytes * (i + 1) / n - from;

		if (opcode == IBV_WR_SEND)
			add_recv(w, f, at + from, piece);
		add_wr(w, f, opcode, local, from, at + from, piece);
	}
}

/* What is there after the transaction: a pattern, and a sum in its middle. */
struct content {
	uint32_t seed;
	size_t bytes, sum_at; /* sum_at == bytes: no sum */
	uint64_t before, sum;
};

static uint8_t content_byte(const struct content *c, size_t i)
{
	if (i >= c->sum_at && i < c->sum_at + 8)
		return c->sum >> 8 * (i - c->sum_at);
	return pattern_byte(c->seed, i);
}

/* What is wild may be gone; it is never somebody else's. */
static bool is_right(struct worker *w, const uint8_t *data, const struct content *c,
		     const char *where)
{
	size_t i;

	for (i = 0; i < c->bytes; i++) {
		if (data[i] == content_byte(c, i) ||
		    (is_wild(w) && (!data[i] || (i >= c->sum_at && i < c->sum_at + 8))))
			continue;
		return failed(w, "byte %zu of %zu %s is %#x, not %#x", i, c->bytes, where, data[i],
			      content_byte(c, i));
	}
	return true;
}

static void is_seen(struct worker *w, size_t at, const struct content *c)
{
	const uint8_t *data = w->slice + at;

	if (lazy_mmu) {
		if (pread(self_mem, w->back.data, c->bytes, (uintptr_t)data) != (ssize_t)c->bytes) {
			failed(w, "/proc/self/mem: errno %d", errno);
			return;
		}
		sched_yield();
		data = w->back.data;
	}
	is_right(w, data, c, "seen by the CPU");
}

/* Adds to eight bytes of what was written. */
static void add_sum(struct worker *w, struct flight *f, size_t at, struct content *c)
{
	size_t first = -at & 7, i;
	struct ibv_send_wr *wr;

	c->sum_at = c->bytes;
	if (c->bytes < first + 8 || !rnd_one_in(&w->rnd, 3))
		return;
	c->sum_at = first + 8 * rnd_below(&w->rnd, (c->bytes - first) / 8);
	for (i = 0, c->before = 0; i < 8; i++)
		c->before |= (uint64_t)pattern_byte(c->seed, c->sum_at + i) << 8 * i;
	wr = &f->wr[f->wrs];
	add_wr(w, f, IBV_WR_ATOMIC_FETCH_AND_ADD, &w->old, 0, at + c->sum_at, 8);
	wr->wr.atomic.remote_addr = (uintptr_t)w->slice + at + c->sum_at;
	wr->wr.atomic.rkey = w->memory->mr->rkey;
	wr->wr.atomic.compare_add = rnd_next(&w->rnd);
	c->sum = c->before + wr->wr.atomic.compare_add;
}

/* Puts a pattern there, adds to it and gets it back, all in flight at once; then the CPU looks. */
static void transaction(struct worker *w)
{
	struct content c = { .bytes = 1 + rnd_below(&w->rnd, MAX_BYTES),
			     .seed = rnd_next(&w->rnd) };
	size_t at = rnd_below(&w->rnd, SLICE_BYTES - c.bytes);
	struct flight f = { .wrs = 0 };
	uint64_t old;

	pattern_fill(w->local.data, c.bytes, c.seed, 0);
	memset(w->back.data, 0x77, c.bytes);
	add_pieces(w, &f, rnd_one_in(&w->rnd, 2) ? IBV_WR_RDMA_WRITE : IBV_WR_SEND, &w->local, at,
		   c.bytes);
	add_sum(w, &f, at, &c);
	add_pieces(w, &f, IBV_WR_RDMA_READ, &w->back, at, c.bytes);
	if (!fly(w, &f) || !is_right(w, w->back.data, &c, "read back"))
		return;
	memcpy(&old, w->old.data, 8);
	if (!is_wild(w) && c.sum_at < c.bytes && old != c.before) {
		failed(w, "an atomic returns %#lx, not %#lx", (long)old, (long)c.before);
		return;
	}
	/* The wild one's may be unmapped: the CPU would be killed. */
	if (!is_wild(w))
		is_seen(w, at, &c);
	w->done++;
}

/* A counter of each worker's own, in memory that nobody takes away. */
static void count_one(struct worker *w)
{
	struct flight f = { .wrs = 1 };
	uint64_t before, old;

	f.sge[0] = buf_sge(&w->old, 0, 8);
	f.wr[0] = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &f.sge[0], &w->count, 0, 1, 0);
	memcpy(&before, w->count.data, 8);
	if (!fly(w, &f))
		return;
	memcpy(&old, w->old.data, 8);
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

static int map_again(struct worker *w, uint8_t *at, size_t bytes)
{
	bool file = w->memory->kind != PRIVATE;
	int flags = MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

	if (mmap(at, bytes, PROT_READ | PROT_WRITE, flags, w->memory->fd,
		 file ? at - w->memory->data : 0) != MAP_FAILED)
		return 0;
	failed(w, "mmap: errno %d", errno);
	return -1;
}

static int move_away_and_back(struct worker *w, uint8_t *at, size_t bytes)
{
	void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *away = mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, room);

	if (away == MAP_FAILED) {
		/* Other advice has cut it in several mappings: not all kernels move those, and some stop midway. */
		if (errno != EFAULT && errno != EINVAL)
			failed(w, "mremap away: errno %d", errno);
		map_again(w, at, bytes);
		munmap(room, bytes);
		return -1;
	}
	away[0]++; /* its mapping is the process's, and no longer the region's */
	away[0]--;
	if (mremap(away, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		failed(w, "mremap back: errno %d", errno);
	return 0;
}

/* For a while there is memory that no device may touch. */
static int secret(struct rnd *r, struct worker *w, uint8_t *at, size_t bytes)
{
	int fd = syscall(SYS_memfd_secret, 0), rc = -1;

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, bytes) &&
	    mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED) {
		usleep(rnd_below(r, 300));
		rc = map_again(w, at, bytes);
	}
	close(fd);
	return rc;
}

/* The last slice lies at the end of its file. */
static int cut(struct rnd *r, struct worker *w)
{
	off_t end = (off_t)WORKERS * SLICE_BYTES;

	if (ftruncate(w->memory->fd, end - 1 - (off_t)rnd_below(r, SLICE_BYTES)))
		return -1;
	usleep(rnd_below(r, 300));
	return ftruncate(w->memory->fd, end);
}

/* What takes data, or access to it, away; under the slice's lock, or to the wild one. */
static void take_away(struct rnd *r, struct worker *w)
{
	enum deed deed = rnd_below(r, is_wild(w) ? TAKES_AWAY : SECRET);
	size_t bytes;
	uint8_t *at = some_pages(r, w, &bytes);
	int rc = -1;

	switch (deed) {
	case DONTNEED:
		rc = madvise(at, bytes, MADV_DONTNEED);
		break;
	case UNMAPPED:
		pthread_mutex_lock(&hole_lock);
		rc = munmap(at, bytes);
		map_again(w, at, bytes);
		pthread_mutex_unlock(&hole_lock);
		break;
	case MOVED:
		pthread_mutex_lock(&hole_lock);
		rc = move_away_and_back(w, at, bytes);
		pthread_mutex_unlock(&hole_lock);
		break;
	case PROTECTED:
		rc = mprotect(at, bytes, rnd_one_in(r, 2) ? PROT_NONE : PROT_READ) |
		     mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	case READ_ONLY:
		rc = mprotect(at, bytes, PROT_READ);
		usleep(rnd_below(r, 300));
		rc |= mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	case FREED:
		if (w->memory->kind != PRIVATE)
			return;
		rc = madvise(at, bytes, MADV_FREE);
		break;
	case HOLE:
		if (w->memory->kind == PRIVATE)
			return;
		rc = fallocate(w->memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       at - w->memory->data, bytes);
		break;
	case SECRET:
		rc = secret(r, w, at, bytes);
		break;
	case CUT:
		if (w->memory->kind != EXT4)
			return;
		rc = cut(r, w);
		break;
	default:
		break;
	}
	did(deed, rc, errno);
}

/* Of what can be read: it may have been forked while there was a hole. */
static uint64_t sum_of(int mem, const uint8_t *at, size_t bytes)
{
	uint64_t sum = 0;
	uint8_t page[PAGE];
	size_t i;

	for (; bytes; bytes -= PAGE, at += PAGE)
		if (pread(mem, page, PAGE, (uintptr_t)at) == (ssize_t)PAGE)
			for (i = 0; i < PAGE; i += 61)
				sum = sum * 31 + page[i];
	return sum;
}

static int look_twice(const uint8_t *at, size_t bytes)
{
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint64_t first;

	if (mem < 0)
		return 2;
	first = sum_of(mem, at, bytes);
	usleep(1000);
	return first != sum_of(mem, at, bytes);
}

/* A child sees the private memory as it was, however the NIC writes to its parent's. */
static void fork_and_look(struct rnd *r, struct worker *w)
{
	size_t bytes;
	const uint8_t *at = some_pages(r, w, &bytes);
	int status;
	pid_t pid;

	if (w->memory->kind != PRIVATE || is_wild(w))
		return;
	pid = fork();
	if (!pid)
		_exit(look_twice(at, bytes));
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		failed(w, "a child's copy changed: status %#x", status);
	did(FORKED, pid < 0, errno);
}

/* One mapping of 2 MiB, as far as nobody cuts it meanwhile. */
static int collapse(struct rnd *r, struct memory *m)
{
	uint8_t *at = m->data + HUGE_BYTES * rnd_below(r, WORKERS * SLICE_BYTES / HUGE_BYTES);

	madvise(at, HUGE_BYTES, MADV_UNMERGEABLE);
	madvise(at, HUGE_BYTES, MADV_HUGEPAGE);
	return madvise(at, HUGE_BYTES, MADV_COLLAPSE);
}

/* What must take nothing away. Another thread may just have made a hole there: it says so. */
static void disturb(struct rnd *r, struct worker *w)
{
	enum deed deed = TAKES_AWAY + rnd_below(r, KILLED - TAKES_AWAY);
	size_t bytes;
	uint8_t *at = some_pages(r, w, &bytes);
	int rc = -1;

	switch (deed) {
	case PAGED_OUT:
		rc = madvise(at, bytes, MADV_PAGEOUT);
		break;
	case LOCAL_PAGED_OUT:
		if (lazy_mmu)
			return;
		rc = madvise(w->local.map, w->local.map_bytes, MADV_PAGEOUT) |
		     madvise(w->back.map, w->back.map_bytes, MADV_PAGEOUT);
		break;
	case COLLAPSED:
		rc = collapse(r, w->memory);
		break;
	case SPLIT:
		rc = madvise(at, bytes, rnd_one_in(r, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	case MERGED:
		rc = madvise(at, bytes, rnd_one_in(r, 2) ? MADV_MERGEABLE : MADV_UNMERGEABLE);
		break;
	case SOFT_DIRTY:
		rc = write_text("/proc/self/clear_refs", "4");
		break;
	case COMPACTED:
		/* It takes its time. */
		if (lazy_mmu || !rnd_one_in(r, 8))
			return;
		rc = write_text("/proc/sys/vm/compact_memory", "1");
		break;
	case FORKED:
		fork_and_look(r, w);
		return;
	default:
		break;
	}
	did(deed, rc, errno);
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
		usleep(rnd_below(r, 400));
	}
	return NULL;
}

/* Another owner, in a program of its own: traffic without end, and perhaps a fault without one. */
static int victim(bool never, enum deed end)
{
	struct ibv_send_wr wr, *bad;
	struct conn conn = CONN;
	struct buf from, to, late;
	struct ibv_sge sge;
	struct uffd uffd;
	struct pair one;
	struct end c, d;
	struct ibv_wc wc;
	unsigned int i;

	pair_open(&one, &conn);
	ends_open(&c, &one.rig, &d, &one.rig, &conn);
	buf_make(&from, one.rig.pd, MEM_ANON, 64 * KIB, 5, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, one.rig.pd, MEM_SHARED, 64 * KIB, 7, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&late, one.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	sge = buf_sge(&from, 0, 64);
	if (never) {
		uffd_register(&uffd, late.data, PAGE);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &late, 0);
		end_post(&c, &wr);
	}
	for (i = 0;; i++) {
		buf_forget(i & 1 ? &to : &from);
		sge = buf_sge(&from, 0, from.bytes);
		wr = wr_rdma(i % 3 ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, &sge, 1, &to, 0);
		if (ibv_post_send(one.a.qp, &wr, &bad))
			return 2;
		if (i == 1 && write(STDOUT_FILENO, "", 1) != 1)
			return 3;
		if (i >= 3 && end == EXITED)
			return 0;
		if (i >= 3 && end == EXECUTED)
			execl("/bin/true", "true", NULL);
		while (!ibv_poll_cq(one.a.scq, 1, &wc))
			usleep(20);
		if (wc.status != IBV_WC_SUCCESS)
			return 4;
	}
}

static void one_victim(struct rnd *r, enum deed end)
{
	char *never = rnd_one_in(r, 3) ? "never" : "", how[8], byte;
	int fds[2], status;
	pid_t pid;

	snprintf(how, sizeof(how), "%d", end);
	if (pipe2(fds, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		execl("/proc/self/exe", "victim", how, never, NULL);
		_exit(5);
	}
	close(fds[1]);
	/* A victim that has no memory or no device left fails; that is seen by its status. */
	if (read(fds[0], &byte, 1) == 1 && end == KILLED) {
		usleep(rnd_below(r, 20000));
		kill(pid, SIGKILL);
	}
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid ||
	    (end == KILLED ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status))
		failed(&workers[0], "another owner ended with status %#x", status);
	did(end, 0, 0);
}

static void *victims(void *arg)
{
	struct rnd *r = arg;

	while (!stop) {
		one_victim(r, KILLED + rnd_below(r, DEEDS - KILLED));
		usleep(rnd_below(r, 100000));
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

static int file_make(enum kind kind)
{
	switch (kind) {
	case SHARED:
		return memfd_create("storm", MFD_CLOEXEC);
	case EXT4:
		assert_zero(ext4_begin());
		return open(EXT4_DIR "/storm", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	default:
		return -1;
	}
}

/* Aligned, so that huge pages fit. */
static void memory_make(struct memory *m, enum kind kind)
{
	size_t bytes = WORKERS * SLICE_BYTES;
	uintptr_t room;

	m->kind = kind;
	m->fd = file_make(kind);
	if (kind != PRIVATE) {
		assert_true(m->fd >= 0);
		assert_zero(ftruncate(m->fd, bytes));
	}
	m->room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(m->room, MAP_FAILED);
	room = ((uintptr_t)m->room + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	m->data = mmap((void *)room, bytes, PROT_READ | PROT_WRITE,
		       MAP_FIXED | (kind == PRIVATE ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
		       m->fd, 0);
	assert_ptr_not_equal(m->data, MAP_FAILED);
	m->mr = ibv_reg_mr(pair.rig.pd, m->data, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(m->mr);
}

static void memory_free(struct memory *m)
{
	assert_zero(ibv_dereg_mr(m->mr));
	munmap(m->room, WORKERS * SLICE_BYTES + HUGE_BYTES);
	if (m->fd >= 0)
		close(m->fd);
}

static void worker_make(struct worker *w, unsigned int nr, uint64_t seed)
{
	int odp = nr & 2 ? IBV_ACCESS_ON_DEMAND : 0;

	w->nr = nr;
	w->rnd.state = seed + nr;
	w->memory = &memories[nr % MEMORIES];
	w->slice = w->memory->data + nr * SLICE_BYTES;
	pthread_mutex_init(&w->lock, NULL);
	ends_open(&w->a, &pair.rig, &w->b, &pair.rig, &pair.conn);
	buf_make(&w->local, pair.rig.pd, MEM_ANON, MAX_BYTES, 100 * nr, ACCESS_ALL | odp);
	buf_make(&w->back, pair.rig.pd, MEM_ANON, MAX_BYTES, 200 * nr, ACCESS_ALL | odp);
	buf_make(&w->old, pair.rig.pd, MEM_ANON, 8, 8 * nr, ACCESS_ALL | odp);
	buf_make(&w->count, pair.rig.pd, MEM_ANON, 8, 64, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	memset(w->count.data, 0, 8);
}

static void worker_free(struct worker *w)
{
	end_close(&w->a);
	end_close(&w->b);
	buf_free(&w->local);
	buf_free(&w->back);
	buf_free(&w->old);
	buf_free(&w->count);
}

/* What takes data away must have happened; of the rest, a kernel may lack some. */
static void tell_deeds(void)
{
	unsigned int i;

	for (i = 0; i < DEEDS; i++) {
		printf("%-22s %8lu times", deeds[i].name, deeds[i].done);
		if (deeds[i].refused)
			printf(", refused %lu times (%s)", deeds[i].refused,
			       strerror(deeds[i].error));
		printf("\n");
	}
	for (i = 0; i < TAKES_AWAY; i++) {
		if (i == SECRET && deeds[i].error == ENOSYS)
			continue;
		if (!deeds[i].done || (deeds[i].refused && i != MOVED))
			fail_because("%s: %lu times, refused %lu times", deeds[i].name,
				     deeds[i].done, deeds[i].refused);
	}
}

static void storm(void **state)
{
	pthread_t threads[3];
	void *(*const functions[3])(void *) = { chaos, chaos, victims };
	struct rnd rnds[3];
	struct conn conn = CONN;
	uint64_t seed = rnd_seed();
	double end;
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
	for (i = 0; i < MEMORIES; i++)
		memory_make(&memories[i], i);
	for (i = 0; i < WORKERS; i++)
		worker_make(&workers[i], i, seed);
	end = seconds() + env_number("STORM_S", 20);
	for (i = 0; i < WORKERS; i++)
		assert_zero(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		rnds[i].state = seed + 1000 * (i + 1);
		assert_zero(pthread_create(&threads[i], NULL, functions[i], &rnds[i]));
	}
	while (!stop && seconds() < end)
		usleep(100000);
	stop = true;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		printf("worker %u%s: %lu transactions, %lu errors that were owed, %lu reconnects\n",
		       i, is_wild(w) ? " (wild)" : "", w->done, w->owed, w->reconnects);
	}
	for (i = 0; i < WORKERS; i++)
		if (workers[i].failure[0])
			fail_because("worker %u: %s", i, workers[i].failure);
	tell_deeds();
	for (i = 0; i < WORKERS; i++) {
		assert_true(workers[i].done > 0);
		worker_free(&workers[i]);
	}
	for (i = 0; i < MEMORIES; i++)
		memory_free(&memories[i]);
	close(self_mem);
	pair_close(&pair);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { TEST(storm) };
	int rc;

	if (argc == 3)
		return victim(argv[2][0], atoi(argv[1]));
	rc = test_run(tests, ARRAY_SIZE(tests));
	ksm(false);
	swap_end();
	return ext4_end() ? 1 : rc;
}
