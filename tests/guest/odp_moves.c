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
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PART_BYTES (2 * MIB)  /* what moves; aligned to it */
#define SIDE_BYTES (64 * KIB) /* the neighbour's, behind it */
#define ALL_BYTES  (PART_BYTES + 2 * MIB)
#define USED	   (100 * KIB) /* as much of it is looked at */

/* What a peer does; an atomic adds to the first eight bytes. */
enum peer_act { ACT_WRITE, ACT_READ, ACT_SEND, ACT_ATOMIC, ACTS };

static const enum ibv_wr_opcode opcodes[ACTS] = {
	[ACT_WRITE] = IBV_WR_RDMA_WRITE,
	[ACT_READ] = IBV_WR_RDMA_READ,
	[ACT_SEND] = IBV_WR_SEND,
	[ACT_ATOMIC] = IBV_WR_ATOMIC_FETCH_AND_ADD,
};

struct scene {
	struct pair pair;
	struct end c, d; /* the neighbour's */
	struct buf region, local, side;
	int fd;
	uint8_t *part;
	pthread_t thread;
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

	for (seed = 1; !s->stop && !s->failure; seed++, s->rounds++)
		s->failure = side_round(s, seed);
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

static enum ibv_wc_status act_on(struct scene *s, enum peer_act act, size_t at, size_t bytes)
{
	struct ibv_sge sge = buf_sge(&s->local, 0, bytes);
	struct ibv_send_wr wr = wr_rdma(opcodes[act], &sge, 1, &s->region, at);
	struct ibv_wc wc;

	if (act == ACT_ATOMIC)
		wr = wr_atomic(opcodes[act], &sge, &s->region, at, 1, 0);
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

static void must(struct scene *s, enum peer_act act, size_t at, size_t bytes)
{
	enum ibv_wc_status status = act_on(s, act, at, bytes);

	if (status != IBV_WC_SUCCESS)
		fail_because("opcode %d at +%zu: \"%s\"", opcodes[act], at,
			     ibv_wc_status_str(status));
}

/* The peer is told that it may not; the pair connects again. */
static void must_not(struct scene *s, enum peer_act act, size_t at)
{
	enum ibv_wc_status owed = act == ACT_SEND ? IBV_WC_REM_OP_ERR : IBV_WC_REM_ACCESS_ERR;
	enum ibv_wc_status status = act_on(s, act, at, 8);
	struct ibv_wc wc;

	if (status != owed)
		fail_because("opcode %d at +%zu: \"%s\" and not \"%s\"", opcodes[act], at,
			     ibv_wc_status_str(status), ibv_wc_status_str(owed));
	if (act == ACT_SEND)
		cq_expect(s->pair.b.rcq, IBV_WC_LOC_PROT_ERR);
	assert_zero(end_set_state(&s->pair.a, IBV_QPS_RESET));
	assert_zero(end_set_state(&s->pair.b, IBV_QPS_RESET));
	while (ibv_poll_cq(s->pair.b.rcq, 1, &wc))
		;
	ends_connect(&s->pair.a, &s->pair.b, &s->pair.conn);
}

static void nobody_may(struct scene *s)
{
	enum peer_act act;

	for (act = 0; act < ACTS; act++)
		must_not(s, act, 8);
}

static void reads(struct scene *s, uint32_t seed, const char *what)
{
	memset(s->local.data, 0x55, USED);
	must(s, ACT_READ, 0, USED);
	pattern_check(s->local.data, USED, seed, 0, what);
}

/* The peer writes, or sends; the process sees it, and so does the peer, with one added to it and taken away. */
static void writes(struct scene *s, uint32_t seed, const char *what)
{
	uint64_t before, after;

	pattern_fill(s->local.data, USED, seed, 0);
	must(s, seed & 1 ? ACT_WRITE : ACT_SEND, 0, USED);
	pattern_check(s->part, USED, seed, 0, what);
	memcpy(&before, s->part, 8);
	must(s, ACT_ATOMIC, 0, 8);
	memcpy(&after, s->part, 8);
	assert_true(after == before + 1);
	memcpy(s->part, &before, 8);
	reads(s, seed, what);
}

static void reads_zeros(struct scene *s)
{
	size_t i;

	memset(s->local.data, 0x55, USED);
	must(s, ACT_READ, 0, USED);
	for (i = 0; i < USED; i++)
		if (s->local.data[i])
			fail_because("byte %zu is %#x, not 0", i, s->local.data[i]);
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
	must_not(s, ACT_WRITE, 8);
	must_not(s, ACT_SEND, 8);
	must_not(s, ACT_ATOMIC, 8);
	pattern_check(s->part, USED, 1, 0, "after what was refused");
	assert_zero(mprotect(s->part, PART_BYTES, PROT_READ | PROT_WRITE));
	writes(s, 2, "writable again");
	end(s);
}

/* The child waits for a byte, and tells by its status whether it sees that pattern. */
static pid_t child_looks(struct scene *s, uint32_t seed, int *tell)
{
	int fds[2];
	pid_t pid;
	char c;

	assert_zero(pipe2(fds, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(read(fds[0], &c, 1) != 1 ||
		      pattern_differs(s->part, USED, seed, 0, "the child"));
	close(fds[0]);
	*tell = fds[1];
	return pid;
}

static void child_is_right(pid_t pid, int tell)
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
	pid = child_looks(s, 1, &tell);
	reads(s, 1, "shared with the child");
	writes(s, 2, "the parent's");
	child_is_right(pid, tell);
	/* The CPU is, and the NIC comes behind. */
	pid = child_looks(s, 2, &tell);
	pattern_fill(s->part, USED, 3, 0);
	reads(s, 3, "written by the CPU");
	writes(s, 4, "the parent's, once more");
	child_is_right(pid, tell);
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
	assert_true(page_out(s->part, PART_BYTES));
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
		assert_true(page_out(s->part, PART_BYTES));
		reads(s, seed, "back from swap");
	}
	end(s);
}

static void collapsed_and_split(void **state)
{
	struct scene *s;
	size_t at;

	(void)state;
	s = begin();
	writes(s, 1, "small pages");
	if (madvise(s->part, PART_BYTES, MADV_COLLAPSE)) {
		int err = errno;

		end(s);
		skip_because("MADV_COLLAPSE: %s", strerror(err));
	}
	reads(s, 1, "collapsed");
	writes(s, 2, "one huge page");
	/* A page in the middle goes, and splits it. */
	at = 8 * PAGE;
	assert_zero(madvise(s->part + at, PAGE, MADV_DONTNEED));
	must(s, ACT_READ, 0, USED);
	pattern_check(s->local.data, at, 2, 0, "before the hole");
	pattern_check(s->local.data + at + PAGE, USED - at - PAGE, 2, at + PAGE, "behind the hole");
	assert_int_equal(s->local.data[at], 0);
	assert_zero(madvise(s->part, PART_BYTES, MADV_COLLAPSE));
	assert_zero(mprotect(s->part + at, PAGE, PROT_READ));
	must_not(s, ACT_WRITE, at);
	assert_zero(mprotect(s->part + at, PAGE, PROT_READ | PROT_WRITE));
	writes(s, 3, "after");
	end(s);
}

static bool ksm_merges(void)
{
	double last = seconds() + BOUND_S;

	while (read_number("/sys/kernel/mm/ksm/pages_sharing", 0) < 8) {
		if (seconds() > last)
			return false;
		usleep(10000);
	}
	return true;
}

/* Equal pages become one, for reading. Who writes gets a copy, and the others keep theirs. */
static void merged_by_ksm(void **state)
{
	struct scene *s;
	size_t i;

	(void)state;
	if (write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000"))
		skip_because("no KSM");
	s = begin();
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	for (i = 0; i < 16; i++)
		pattern_fill(s->part + i * PAGE, PAGE, 1, 0);
	must(s, ACT_READ, 0, USED);
	assert_zero(madvise(s->part, 16 * PAGE, MADV_MERGEABLE));
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "1"));
	if (!ksm_merges())
		fail_because("KSM merges nothing");
	pattern_fill(s->local.data, PAGE, 2, 0);
	must(s, ACT_WRITE, 4 * PAGE, PAGE);
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "2"));
	assert_zero(write_text("/sys/kernel/mm/ksm/run", "0"));
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "100");
	must(s, ACT_READ, 0, 16 * PAGE);
	for (i = 0; i < 16; i++) {
		pattern_check(s->local.data + i * PAGE, PAGE, i == 4 ? 2 : 1, 0, "read by the NIC");
		pattern_check(s->part + i * PAGE, PAGE, i == 4 ? 2 : 1, 0, "read by the CPU");
	}
	end(s);
}

static uint64_t pagemap_entry(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &entry, 8, (uintptr_t)addr / PAGE * 8), 8);
	close(fd);
	return entry;
}

#define PFN_MASK   ((1ULL << 55) - 1)
#define SOFT_DIRTY (1ULL << 55)

/* Pages with holes between them: compaction has something to do. */
static void migrated(void **state)
{
	size_t bytes = 16 * MIB, at;
	unsigned int moved = 0;
	struct scene *s;
	uint64_t pfns[USED / PAGE];
	uint8_t *holes;

	(void)state;
	if (write_text("/proc/sys/vm/compact_memory", "1"))
		skip_because("no compaction");
	s = begin();
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	holes = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(holes, MAP_FAILED);
	madvise(holes, bytes, MADV_NOHUGEPAGE);
	/* The region's pages lie among those that go. */
	for (at = 0; at < bytes; at += PAGE) {
		holes[at] = 1;
		if (at % (64 * PAGE) == 0 && at / 64 < USED)
			s->part[at / 64] = 1;
	}
	writes(s, 1, "before");
	for (at = 0; at < USED / PAGE; at++)
		pfns[at] = pagemap_entry(s->part + at * PAGE) & PFN_MASK;
	for (at = 0; at < bytes; at += PAGE)
		if (at / PAGE % 8)
			madvise(holes + at, PAGE, MADV_DONTNEED);
	assert_zero(write_text("/proc/sys/vm/compact_memory", "1"));
	for (at = 0; at < USED / PAGE; at++)
		moved += pfns[at] != (pagemap_entry(s->part + at * PAGE) & PFN_MASK);
	reads(s, 1, "after the move");
	writes(s, 2, "after");
	munmap(holes, bytes);
	end(s);
	printf("%u of %zu pages moved\n", moved, (size_t)(USED / PAGE));
	if (!moved)
		skip_because("compaction moved none of the pages");
}

/* A checkpoint sees what the NIC has written since the last one. */
static void soft_dirty(void **state)
{
	struct scene *s;

	(void)state;
	s = begin();
	madvise(s->part, PART_BYTES, MADV_NOHUGEPAGE);
	writes(s, 1, "before");
	if (!(pagemap_entry(s->part) & SOFT_DIRTY)) {
		end(s);
		skip_because("no soft-dirty bits");
	}
	assert_zero(write_text("/proc/self/clear_refs", "4"));
	assert_false(pagemap_entry(s->part + PAGE) & SOFT_DIRTY);
	reads(s, 1, "after clearing");
	assert_false(pagemap_entry(s->part + PAGE) & SOFT_DIRTY);
	must(s, ACT_WRITE, PAGE, 8);
	assert_true(pagemap_entry(s->part + PAGE) & SOFT_DIRTY);
	assert_false(pagemap_entry(s->part + 2 * PAGE) & SOFT_DIRTY);
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
