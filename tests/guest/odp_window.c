// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How many faults a message, or a run of messages, takes: one asks for all that is left of it, a run finds what the process has
 * mapped further and further ahead, and messages here and there take a page each. After fork() only what was written since.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "method.h"
#include "pair.h"

#define LEAF_PAGES 512
#define PAGES	   (4 * LEAF_PAGES)
#define BYTES	   (PAGES * PAGE)
#define STEP	   357 /* prime to PAGES */
/* Windows of 1, 2, 4, ... 512 pages, and the rest of a leaf. */
#define RAMP 11

struct scene {
	struct pair pair;
	struct buf near, far;
};

static void begin(struct scene *s)
{
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ, 0);
	buf_make(&s->near, s->pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_map(&s->far, MEM_ANON, BYTES, 0);
	madvise(s->far.map, s->far.map_bytes, MADV_NOHUGEPAGE);
	buf_reg(&s->far, s->pair.b.rig->pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
}

static void end(struct scene *s)
{
	buf_free(&s->near);
	buf_free(&s->far);
	pair_close(&s->pair);
}

static struct rxe_odp_mr_stats stats_of(const struct scene *s)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(s->far.mr, &stats, sizeof(stats)));
	return stats;
}

/*
 * One for the first leaf. How many of the others the message waits for depends on who is faster, the fault or the message: one for
 * each at most, and one more where the buffer begins in the middle of one.
 */
static void a_message_takes_one_fault_a_leaf_at_most(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	pattern_fill(s.near.data, BYTES, 1, 0);
	pair_move(&s.pair, OP_WRITE, &s.near, 0, &s.far, 0, BYTES);
	pattern_check(s.far.data, BYTES, 1, 0, "written");
	assert_int_equal(stats_of(&s).fault_pages, PAGES);
	assert_in_range(stats_of(&s).faults, 1, PAGES / LEAF_PAGES + 2);
	end(&s);
}

static void read_one(struct scene *s, size_t page)
{
	struct ibv_sge sge = buf_sge(&s->near, page * PAGE, 64);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &s->far, page * PAGE);

	end_post(&s->pair.a, &wr);
	cq_success(s->pair.a.scq);
}

static void a_run_of_reads_looks_further_and_further(void **state)
{
	struct scene s;
	size_t i;

	(void)state;
	begin(&s);
	pattern_fill(s.far.data, BYTES, 2, 0);
	for (i = 0; i < PAGES; i++)
		read_one(&s, i);
	for (i = 0; i < PAGES; i++)
		pattern_check(s.near.data + i * PAGE, 64, 2, i * PAGE, "read");
	assert_int_equal(stats_of(&s).resident_pages, PAGES);
	assert_in_range(stats_of(&s).faults, PAGES / LEAF_PAGES, RAMP + PAGES / LEAF_PAGES);
	end(&s);
}

static void reads_here_and_there_take_a_page_each(void **state)
{
	struct scene s;
	size_t i;

	(void)state;
	begin(&s);
	memset(s.far.data, 3, BYTES);
	for (i = 0; i < PAGES / 8; i++)
		read_one(&s, i * STEP % PAGES);
	assert_int_equal(stats_of(&s).faults, PAGES / 8);
	assert_int_equal(stats_of(&s).resident_pages, PAGES / 8);
	end(&s);
}

static void read_all(struct scene *s)
{
	pair_move(&s->pair, OP_READ, &s->far, 0, &s->near, 0, BYTES);
	assert_memory_equal(s->near.data, s->far.data, BYTES);
}

static void after_fork_what_was_written(void **state)
{
	struct rxe_odp_mr_stats before;
	int go[2], status;
	struct scene s;
	pid_t child;
	size_t i;

	(void)state;
	begin(&s);
	pattern_fill(s.near.data, BYTES, 4, 0);
	pair_move(&s.pair, OP_WRITE, &s.near, 0, &s.far, 0, BYTES);
	before = stats_of(&s);
	assert_zero(pipe(go));
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(go[1]);
		_exit(read(go[0], &status, 1) != 0);
	}
	close(go[0]);
	read_all(&s);
	assert_int_equal(stats_of(&s).faults, before.faults);
	assert_int_equal(stats_of(&s).resident_pages, PAGES);
	for (i = 0; i < PAGES; i += 16)
		s.far.data[i * PAGE] ^= 1;
	/* Those have gone, which are others now, and nothing beside them. */
	assert_int_equal(stats_of(&s).resident_pages, PAGES - PAGES / 16);
	read_all(&s);
	assert_int_equal(stats_of(&s).resident_pages, PAGES);
	assert_in_range(stats_of(&s).faults, before.faults + 1, before.faults + PAGES / 16);
	close(go[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	end(&s);
}

TEST_MAIN(TEST(a_message_takes_one_fault_a_leaf_at_most),
	  TEST(a_run_of_reads_looks_further_and_further),
	  TEST(reads_here_and_there_take_a_page_each), TEST(after_fork_what_was_written))
