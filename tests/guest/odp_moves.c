// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The address space moves under the NIC: after each change every operation of a peer finds the process's bytes, or
 * gets the error that it is owed, and a neighbour in the same page tables is not disturbed meanwhile.
 */
#include "ext4.h"
#include "pair.h"
#include "swap.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PART_BYTES (2 * MIB)  /* what moves; aligned to it */
#define SIDE_BYTES (64 * KIB) /* the neighbour's, behind it */
#define ALL_BYTES  (PART_BYTES + 2 * MIB)
#define USED	   (100 * KIB) /* as much of it is looked at */

/*
 * What a peer does to the region, and what its owner does with it as the requester: an atomic adds
 * one to the first eight bytes, or puts there what was at the peer.
 */
enum act_kind {
	ACT_WRITE,
	ACT_READ,
	ACT_SEND,
	ACT_ATOMIC,
	ACT_LOCAL_SOURCE,
	ACT_LOCAL_TARGET,
	ACT_LOCAL_ATOMIC,
	ACTS
};

static const struct {
	const char *name;
	enum ibv_wr_opcode opcode;
	enum ibv_wc_status refused;
} acts[ACTS] = {
	[ACT_WRITE] = { "a write", IBV_WR_RDMA_WRITE, IBV_WC_REM_ACCESS_ERR },
	[ACT_READ] = { "a read", IBV_WR_RDMA_READ, IBV_WC_REM_ACCESS_ERR },
	[ACT_SEND] = { "a send", IBV_WR_SEND, IBV_WC_REM_OP_ERR },
	[ACT_ATOMIC] = { "an atomic", IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WC_REM_ACCESS_ERR },
	[ACT_LOCAL_SOURCE] = { "a write from here", IBV_WR_RDMA_WRITE, IBV_WC_LOC_PROT_ERR },
	[ACT_LOCAL_TARGET] = { "a read to here", IBV_WR_RDMA_READ, IBV_WC_LOC_PROT_ERR },
	[ACT_LOCAL_ATOMIC] = { "an atomic's answer", IBV_WR_ATOMIC_FETCH_AND_ADD,
			       IBV_WC_LOC_PROT_ERR },
};

struct scene {
	struct pair pair;
	struct end c, d; /* the neighbour's */
	struct buf region, local, side;
	int fd;
	uint8_t *part;
	pthread_t thread;
	pthread_mutex_t turn; /* held by the neighbour for a round */
	volatile bool stop;
	volatile unsigned long rounds;
	const char *volatile failure;
};

static const char *side_round(struct scene *s, uint32_t seed)
{
	enum ibv_wr_opcode ops[2] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;
	struct ibv_wc wc;
	int i;

	pattern_fill(s->side.data, SIDE_BYTES, seed, 0);
	for (i = 0; i < 2; i++) {
		sge = buf_sge(&s->side, i * SIDE_BYTES, SIDE_BYTES);
		wr = wr_rdma(ops[i], &sge, 1, &s->region, PART_BYTES);
		if (ibv_post_send(s->c.qp, &wr, &bad))
			return "the neighbour cannot post";
		if (!cq_poll_bounded(s->c.scq, &wc, BOUND_S))
			return "the neighbour's request does not complete";
		if (wc.status != IBV_WC_SUCCESS)
			return ibv_wc_status_str(wc.status);
	}
	return pattern_differs(s->side.data + SIDE_BYTES, SIDE_BYTES, seed, 0, "the neighbour") ?
		       "the neighbour's bytes are wrong" :
		       NULL;
}

static void *neighbour(void *arg)
{
	struct scene *s = arg;
	uint32_t seed;

	for (seed = 1; !s->stop && !s->failure; seed++, s->rounds++) {
		pthread_mutex_lock(&s->turn);
		s->failure = side_round(s, seed);
		pthread_mutex_unlock(&s->turn);
	}
	return NULL;
}

/* The region is one mapping, aligned to 2 MiB: a private one, or one of that file. */
static struct scene *begin_with(int fd)
{
	/* A test that fails leaves its neighbour at work: it keeps its scene. */
	struct scene *s = calloc(1, sizeof(*s));
	struct conn conn = CONN;
	uint8_t *map;

	assert_non_null(s);
	conn.mtu = IBV_MTU_4096;
	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, 0, 0);
	ends_open(&s->c, &s->pair.rig, &s->d, &s->pair.rig, &conn);
	s->fd = fd;
	if (fd >= 0)
		assert_zero(ftruncate(fd, ALL_BYTES));
	map = mmap(NULL, ALL_BYTES + PART_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	s->region.map = map;
	s->region.map_bytes = ALL_BYTES + PART_BYTES;
	s->region.data = (uint8_t *)(((uintptr_t)map + PART_BYTES - 1) & ~(PART_BYTES - 1));
	s->region.bytes = ALL_BYTES;
	s->part = mmap(s->region.data, ALL_BYTES, PROT_READ | PROT_WRITE,
		       MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), fd, 0);
	assert_ptr_equal(s->part, s->region.data);
	buf_reg(&s->region, s->pair.rig.pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&s->local, s->pair.rig.pd, MEM_ANON, USED, 8, ACCESS_ALL);
	buf_make(&s->side, s->pair.rig.pd, MEM_ANON, 2 * SIDE_BYTES, 0, ACCESS_ALL);
	assert_zero(pthread_mutex_init(&s->turn, NULL));
	assert_zero(pthread_create(&s->thread, NULL, neighbour, s));
	return s;
}

static struct scene *begin(void)
{
	return begin_with(-1);
}

static void end(struct scene *s)
{
	while (!s->rounds && !s->failure)
		usleep(1000);
	s->stop = true;
	pthread_join(s->thread, NULL);
	if (s->failure)
		fail_because("the neighbour: %s", s->failure);
	buf_dereg(&s->region);
	munmap(s->region.map, s->region.map_bytes);
	buf_free(&s->local);
	buf_free(&s->side);
	end_close(&s->c);
	end_close(&s->d);
	pair_close(&s->pair);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static enum ibv_wc_status act_on(struct scene *s, enum act_kind act, size_t at, size_t bytes)
{
	enum ibv_wr_opcode opcode = acts[act].opcode;
	bool here = act >= ACT_LOCAL_SOURCE;
	struct ibv_sge sge = here ? buf_sge(&s->region, at, bytes) : buf_sge(&s->local, 0, bytes);
	const struct buf *remote = here ? &s->local : &s->region;
	size_t remote_at = here ? 0 : at;
	struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, remote, remote_at);
	struct ibv_wc wc;

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		wr = wr_atomic(opcode, &sge, remote, remote_at, 1, 0);
	if (act == ACT_SEND) {
		struct ibv_sge to = buf_sge(&s->region, at, bytes);

		end_post_recv(&s->pair.b, 1, &to, 1);
	}
	end_post(&s->pair.a, &wr);
	wc = cq_wait(s->pair.a.scq);
	if (act == ACT_SEND && wc.status == IBV_WC_SUCCESS)
		cq_success(s->pair.b.rcq);
	return wc.status;
}

static void must(struct scene *s, enum act_kind act, size_t at, size_t bytes)
{
	enum ibv_wc_status status = act_on(s, act, at, bytes);

	if (status != IBV_WC_SUCCESS)
		fail_because("%s at +%zu: \"%s\"", acts[act].name, at, ibv_wc_status_str(status));
	/* On User Mode Linux this thread would read the page that was there before, until it enters the kernel (docs/testing.md). */
	if (slow_kernel())
		syscall(SYS_getppid);
}

/* It is refused, nothing of it arrives, and the pair connects again. */
static void must_not(struct scene *s, enum act_kind act, size_t at)
{
	enum ibv_wc_status status;

	memset(s->local.data, 0x66, 8);
	status = act_on(s, act, at, 8);
	if (status != acts[act].refused)
		fail_because("%s at +%zu: \"%s\" and not \"%s\"", acts[act].name, at,
			     ibv_wc_status_str(status), ibv_wc_status_str(acts[act].refused));
	if (act == ACT_SEND)
		cq_expect(s->pair.b.rcq, IBV_WC_LOC_PROT_ERR);
	/* The answer alone is refused: the peer has added its one. */
	assert_int_equal(s->local.data[0], act == ACT_LOCAL_ATOMIC ? 0x67 : 0x66);
	pair_reconnect(&s->pair);
}

static void nobody_may(struct scene *s)
{
	enum act_kind act;

	for (act = 0; act < ACTS; act++)
		must_not(s, act, 8);
}

static void nobody_may_write(struct scene *s, size_t at)
{
	static const enum act_kind writers[] = { ACT_WRITE, ACT_SEND, ACT_ATOMIC, ACT_LOCAL_TARGET,
						 ACT_LOCAL_ATOMIC };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(writers); i++)
		must_not(s, writers[i], at);
}

/* The peer reads so many bytes, or is written to from them: into s->local. */
static void fetch(struct scene *s, enum act_kind act, size_t bytes)
{
	memset(s->local.data, 0x55, bytes);
	must(s, act, 0, bytes);
}

/* By a peer and from here; which of them is first, and may find no page, depends on the seed. */
static void reads(struct scene *s, uint32_t seed, const char *what)
{
	int i;

	for (i = 0; i < 2; i++) {
		fetch(s, (seed + i) & 1 ? ACT_READ : ACT_LOCAL_SOURCE, USED);
		pattern_check(s->local.data, USED, seed, 0, what);
	}
}

/*
 * Everything that writes; which is first depends on the seed: the process sees it, and so does the
 * peer, with one added to it and what was there put back.
 */
static void writes(struct scene *s, uint32_t seed, const char *what)
{
	static const enum act_kind writers[] = { ACT_WRITE, ACT_SEND, ACT_LOCAL_TARGET };
	uint64_t before, now;
	int i;

	for (i = 0; i < 3; i++) {
		uint32_t each = seed + (2 - i) * 1000;

		pattern_fill(s->local.data, USED, each, 0);
		must(s, writers[(seed + i) % 3], 0, USED);
		pattern_check(s->part, USED, each, 0, what);
	}
	memcpy(&before, s->part, 8);
	must(s, ACT_ATOMIC, 0, 8);
	memcpy(&now, s->part, 8);
	assert_true(now == before + 1);
	memcpy(&now, s->local.data, 8);
	assert_true(now == before);
	must(s, ACT_LOCAL_ATOMIC, 0, 8);
	memcpy(&now, s->local.data, 8);
	assert_true(now == before + 1);
	reads(s, seed, what);
}

static void reads_zeros(struct scene *s)
{
	int act;
	size_t i;

	for (act = ACT_READ; act <= ACT_LOCAL_SOURCE; act += ACT_LOCAL_SOURCE - ACT_READ) {
		fetch(s, act, USED);
		for (i = 0; i < USED; i++)
			if (s->local.data[i])
				fail_because("%s: byte %zu is %#x, not 0", acts[act].name, i,
					     s->local.data[i]);
	}
}

static void munmap_and_mmap(void **state)
{
	struct scene *s;

	(void)state;
	s = begin();
	writes(s, 1, "before");
	assert_zero(munmap(s->part, PART_BYTES));
	nobody_may(s);
	assert_ptr_equal(mmap(s->part, PART_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 s->part);
	reads_zeros(s);
	writes(s, 2, "the new mapping");
	end(s);
}

/* Out of the region: nothing is there. Into it: the region shows what has come. */
static void mremap_both_ends(void **state)
{
	uint8_t *away;
	struct scene *s;

	(void)state;
	s = begin();
	writes(s, 1, "before");
	away = mmap(NULL, PART_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_equal(
		mremap(s->part, PART_BYTES, PART_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, away), away);
	nobody_may(s);
	pattern_check(away, USED, 1, 0, "what was moved away");
	pattern_fill(away, USED, 2, 0);
	assert_ptr_equal(mremap(away, PART_BYTES, PART_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
				s->part),
			 s->part);
	reads(s, 2, "what was moved in");
	writes(s, 3, "after");
	end(s);
}

static void mprotect_and_back(void **state)
{
	struct scene *s;

	(void)state;
	s = begin();
	writes(s, 1, "before");
	assert_zero(mprotect(s->part, PART_BYTES, PROT_NONE));
	nobody_may(s);
	assert_zero(mprotect(s->part, PART_BYTES, PROT_READ));
	reads(s, 1, "read only");
	nobody_may_write(s, 8);
	pattern_check(s->part, USED, 1, 0, "after what was refused");
	assert_zero(mprotect(s->part, PART_BYTES, PROT_READ | PROT_WRITE));
	writes(s, 2, "writable again");
	end(s);
}

/* It sees that pattern; when asked, it writes another, which nobody else sees, and which stays. */
static int child(struct scene *s, uint32_t seed, int fd)
{
	char c;

	if (read(fd, &c, 1) != 1 || pattern_differs(s->part, USED, seed, 0, "the child"))
		return 1;
	pattern_fill(s->part, USED, ~seed, 0);
	if (write(fd, "", 1) != 1 || read(fd, &c, 1) != 1)
		return 1;
	return pattern_differs(s->part, USED, ~seed, 0, "the child's own");
}

static pid_t child_begin(struct scene *s, uint32_t seed, int *tell)
{
	int fds[2];
	pid_t pid;

	assert_zero(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* The parent's end is closed here too: a parent that fails ends its child. */
		close(fds[1]);
		_exit(child(s, seed, fds[0]));
	}
	close(fds[0]);
	*tell = fds[1];
	return pid;
}

static void child_writes(int tell)
{
	char c;

	assert_int_equal(write(tell, "", 1), 1);
	if (read(tell, &c, 1) != 1)
		fail_because("the child sees other bytes");
}

static void child_end(pid_t pid, int tell)
{
	int status;

	assert_int_equal(write(tell, "", 1), 1);
	close(tell);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void fork_and_copy_on_write(void **state)
{
	struct scene *s;
	pid_t pid;
	int tell;

	(void)state;
	s = begin();
	/* The NIC is the first to write. */
	writes(s, 1, "before");
	pid = child_begin(s, 1, &tell);
	reads(s, 1, "shared with the child");
	writes(s, 2, "the parent's");
	child_writes(tell);
	reads(s, 2, "beside the child's own");
	child_end(pid, tell);
	/* The CPU is, and the NIC comes behind. */
	pid = child_begin(s, 2, &tell);
	pattern_fill(s->part, USED, 3, 0);
	reads(s, 3, "written by the CPU");
	child_writes(tell);
	writes(s, 4, "the parent's, once more");
	child_end(pid, tell);
	/* The child is, while the NIC has the shared pages. */
	pid = child_begin(s, 4, &tell);
	reads(s, 4, "shared once more");
	child_writes(tell);
	reads(s, 4, "left to the parent");
	writes(s, 5, "the parent's alone");
	child_end(pid, tell);
	reads(s, 5, "without the child");
	end(s);
}

static void dontneed(void **state)
{
	struct scene *s;

	(void)state;
	s = begin();
	writes(s, 1, "before");
	assert_zero(madvise(s->part, PART_BYTES, MADV_DONTNEED));
	reads_zeros(s);
	writes(s, 2, "after");
	end(s);
}

/* A page that was written since is not free. */
static void lazily_freed(void **state)
{
	struct scene *s;

	(void)state;
	swap_begin();
	s = begin();
	writes(s, 1, "before");
	assert_zero(madvise(s->part, PART_BYTES, MADV_FREE));
	pattern_fill(s->local.data, USED, 2, 0);
	must(s, ACT_WRITE, 0, USED);
	assert_true(page_out(s->part, USED));
	reads(s, 2, "written after MADV_FREE");
	writes(s, 3, "after");
	end(s);
}

static void paged_out(void **state)
{
	struct scene *s;
	uint32_t seed;

	(void)state;
	swap_begin();
	s = begin();
	for (seed = 1; seed <= 4; seed++) {
		writes(s, seed, "while it is paged out over and over");
		assert_true(page_out(s->part, USED));
		reads(s, seed, "back from swap");
	}
	end(s);
}

static uint64_t pfn_of(const void *addr)
{
	return pagemap_entry(addr) & PAGEMAP_PFN;
}

static bool part_is_huge(struct scene *s)
{
	return smaps_kb(s->part, "AnonHugePages") == PART_BYTES / KIB;
}

static void collapsed_and_split(void **state)
{
	struct scene *s;
	size_t at;

	(void)state;
	s = begin();
	/* Wherever huge pages are given unasked, too, the first ones are small. */
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	writes(s, 1, "small pages");
	assert_false(part_is_huge(s));
	madvise(s->part, PART_BYTES, MADV_HUGEPAGE);
	if (mem_collapse(s->part, PART_BYTES)) {
		int err = errno;

		end(s);
		skip_because("MADV_COLLAPSE: %s", strerror(err));
	}
	assert_true(part_is_huge(s));
	reads(s, 1, "collapsed");
	writes(s, 2, "one huge page");
	/* A page in the middle goes, and splits it. */
	at = 8 * PAGE;
	assert_zero(madvise(s->part + at, PAGE, MADV_DONTNEED));
	assert_false(part_is_huge(s));
	fetch(s, ACT_READ, USED);
	pattern_check(s->local.data, at, 2, 0, "before the hole");
	pattern_check(s->local.data + at + PAGE, USED - at - PAGE, 2, at + PAGE, "behind the hole");
	assert_int_equal(s->local.data[at], 0);
	pattern_fill(s->part + at, PAGE, 2, at);
	reads(s, 2, "the hole is filled");
	assert_zero(mem_collapse(s->part, PART_BYTES));
	assert_true(part_is_huge(s));
	reads(s, 2, "collapsed again");
	assert_zero(mprotect(s->part + at, PAGE, PROT_READ));
	nobody_may_write(s, at);
	reads(s, 2, "one page of it is read only");
	assert_zero(mprotect(s->part + at, PAGE, PROT_READ | PROT_WRITE));
	writes(s, 3, "after");
	end(s);
}

#define EQUAL_PAGES 16

/* How many of the equal pages are where the first one is. */
static unsigned int merged_pages(struct scene *s)
{
	uint64_t first = pfn_of(s->part);
	unsigned int num = 0, i;

	for (i = 0; i < EQUAL_PAGES; i++)
		num += pfn_of(s->part + i * PAGE) == first;
	return num;
}

static void equal_pages_are(struct scene *s, enum act_kind act, int other)
{
	int i;

	fetch(s, act, EQUAL_PAGES * PAGE);
	for (i = 0; i < EQUAL_PAGES; i++)
		pattern_check(s->local.data + i * PAGE, PAGE, i == other ? 2 : 1, 0,
			      acts[act].name);
}

/* Equal pages become one, for reading. Who writes gets a copy, and the others keep theirs. */
static void merged_by_ksm(void **state)
{
	double last = seconds() + BOUND_S;
	struct scene *s;
	size_t i;

	(void)state;
	if (write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000"))
		skip_because("no KSM");
	s = begin();
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	for (i = 0; i < EQUAL_PAGES; i++)
		pattern_fill(s->part + i * PAGE, PAGE, 1, 0);
	/* The NIC has them, for writing too. */
	must(s, ACT_ATOMIC, 0, 8);
	must(s, ACT_LOCAL_ATOMIC, 0, 8);
	equal_pages_are(s, ACT_READ, -1);
	assert_zero(madvise(s->part, EQUAL_PAGES * PAGE, MADV_MERGEABLE));
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "1"));
	while (merged_pages(s) < EQUAL_PAGES) {
		if (seconds() > last)
			fail_because("KSM merged %u of %d pages", merged_pages(s), EQUAL_PAGES);
		usleep(10000);
	}
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "0"));
	equal_pages_are(s, ACT_READ, -1);
	equal_pages_are(s, ACT_LOCAL_SOURCE, -1);
	/* Who reads leaves them merged. */
	assert_int_equal(merged_pages(s), EQUAL_PAGES);
	pattern_fill(s->local.data, PAGE, 2, 0);
	must(s, ACT_WRITE, 4 * PAGE, PAGE);
	assert_int_equal(merged_pages(s), EQUAL_PAGES - 1);
	equal_pages_are(s, ACT_READ, 4);
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "2"));
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "0"));
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "100");
	assert_int_equal(merged_pages(s), 1);
	equal_pages_are(s, ACT_LOCAL_SOURCE, 4);
	equal_pages_are(s, ACT_READ, 4);
	for (i = 0; i < EQUAL_PAGES; i++)
		pattern_check(s->part + i * PAGE, PAGE, i == 4 ? 2 : 1, 0, "read by the CPU");
	end(s);
}

/*
 * Pages with holes between them, the region's among them: compaction has something to do. Returns how
 * many of the region's moved.
 */
static unsigned int compact(struct scene *s, uint32_t seed)
{
	uint64_t pfns[USED / PAGE];
	size_t bytes = 16 * MIB, at;
	unsigned int moved = 0;
	uint8_t *holes;

	holes = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(holes, MAP_FAILED);
	madvise(holes, bytes, MADV_NOHUGEPAGE);
	assert_zero(madvise(s->part, PART_BYTES, MADV_DONTNEED));
	for (at = 0; at < bytes; at += PAGE) {
		holes[at] = 1;
		if (at % (64 * PAGE) == 0 && at / 64 < USED)
			s->part[at / 64] = 1;
	}
	writes(s, seed, "before");
	for (at = 0; at < USED / PAGE; at++)
		pfns[at] = pfn_of(s->part + at * PAGE);
	for (at = 0; at < bytes; at += PAGE)
		if (at / PAGE % 8)
			madvise(holes + at, PAGE, MADV_DONTNEED);
	/* It moves the neighbour's stack too: User Mode Linux would let the neighbour write to where that was (docs/testing.md). */
	if (slow_kernel())
		pthread_mutex_lock(&s->turn);
	assert_zero(write_text("/proc/sys/vm/compact_memory", "1"));
	if (slow_kernel())
		pthread_mutex_unlock(&s->turn);
	for (at = 0; at < USED / PAGE; at++)
		moved += pfns[at] != pfn_of(s->part + at * PAGE);
	reads(s, seed, "after the move");
	munmap(holes, bytes);
	return moved;
}

static void migrated(void **state)
{
	unsigned int moved = 0, tries;
	struct scene *s;

	(void)state;
	if (access("/proc/sys/vm/compact_memory", W_OK))
		skip_because("no compaction");
	s = begin();
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	/* Where the pages lie is the kernel's choice: they may be where compaction wants them. */
	for (tries = 0; moved < USED / PAGE / 2 && tries < 10; tries++)
		moved += compact(s, tries);
	writes(s, tries, "after");
	end(s);
	printf("%u pages moved in %u attempts with %lu each\n", moved, tries, USED / PAGE);
	if (!moved)
		fail_because("compaction moved none of the pages");
}

/* A checkpoint sees what the NIC has written since the last one. */
static void soft_dirty(void **state)
{
	struct scene *s;

	(void)state;
	s = begin();
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	writes(s, 1, "before");
	if (!(pagemap_entry(s->part) & PAGEMAP_SOFT_DIRTY)) {
		end(s);
		skip_because("no soft-dirty bits");
	}
	assert_zero(write_text("/proc/self/clear_refs", "4"));
	assert_false(pagemap_entry(s->part + PAGE) & PAGEMAP_SOFT_DIRTY);
	reads(s, 1, "after clearing");
	assert_false(pagemap_entry(s->part + PAGE) & PAGEMAP_SOFT_DIRTY);
	must(s, ACT_WRITE, PAGE, 8);
	assert_true(pagemap_entry(s->part + PAGE) & PAGEMAP_SOFT_DIRTY);
	assert_false(pagemap_entry(s->part + 2 * PAGE) & PAGEMAP_SOFT_DIRTY);
	writes(s, 2, "after");
	end(s);
}

static void holes_in(int fd)
{
	struct scene *s;

	assert_true(fd >= 0);
	s = begin_with(fd);
	writes(s, 1, "before");
	assert_zero(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, USED + PAGE - 1));
	reads_zeros(s);
	writes(s, 2, "in the hole");
	end(s);
}

static void hole_in_shmem(void **state)
{
	(void)state;
	holes_in(memfd_create("hole", MFD_CLOEXEC));
}

static void hole_in_ext4(void **state)
{
	(void)state;
	assert_zero(ext4_begin());
	holes_in(open(EXT4_DIR "/hole", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(munmap_and_mmap),	 TEST(mremap_both_ends),
		TEST(mprotect_and_back), TEST(fork_and_copy_on_write),
		TEST(dontneed),		 TEST(lazily_freed),
		TEST(paged_out),	 TEST(collapsed_and_split),
		TEST(merged_by_ksm),	 TEST(migrated),
		TEST(soft_dirty),	 TEST(hole_in_shmem),
		TEST(hole_in_ext4),
	};
	int rc = test_run(tests, ARRAY_SIZE(tests));

	swap_end();
	return ext4_end() ? 1 : rc;
}
