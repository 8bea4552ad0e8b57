// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The end of a binding, in each way: no key of before is good afterwards, and a region is deregistered when no window is left over
 * it. Queue pairs, windows and processes end in any order.
 */
#include "method.h"
#include "mw.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (2 * PAGE)

struct bed {
	struct pair pair;
	struct buf local, region;
	struct ibv_mw *mw;
	uint64_t addr;
};

static void bed_open(struct bed *bed, enum ibv_mw_type type, void **state)
{
	struct conn conn = CONN;

	pair_open(&bed->pair, &conn);
	buf_make(&bed->local, bed->pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&bed->region, bed->pair.b.rig->pd, MEM_ANON, BYTES, 0,
		 ACCESS_BIND | mode(&bed->pair.rig, state));
	bed->addr = (uintptr_t)bed->region.data;
	bed->mw = mw_make(bed->pair.b.rig->pd, type);
	mw_bind(&bed->pair.b, bed->mw, &bed->region, 0, BYTES, ACCESS_WINDOW);
	mw_granted(&bed->pair, IBV_WR_RDMA_WRITE, &bed->local, BYTES, bed->mw->rkey, bed->addr);
}

static void bed_close(struct bed *bed)
{
	if (bed->mw)
		mw_free(bed->mw);
	buf_free(&bed->local);
	buf_free(&bed->region);
	pair_close(&bed->pair);
}

static void is_good(struct bed *bed, uint32_t key)
{
	mw_granted(&bed->pair, IBV_WR_RDMA_WRITE, &bed->local, BYTES, key, bed->addr);
}

static void is_stale(struct bed *bed, uint32_t key)
{
	mw_refused(&bed->pair, IBV_WR_RDMA_WRITE, &bed->local, BYTES, key, bed->addr);
	mw_refused(&bed->pair, IBV_WR_RDMA_READ, &bed->local, 1, key, bed->addr);
}

static void bound_anew(void **state)
{
	uint32_t old;
	struct bed bed;

	bed_open(&bed, IBV_MW_TYPE_1, state);
	old = bed.mw->rkey;
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW);
	assert_int_not_equal(bed.mw->rkey, old);
	is_stale(&bed, old);
	is_good(&bed, bed.mw->rkey);
	old = bed.mw->rkey;
	mw_unbind(&bed.pair.b, bed.mw, &bed.region);
	is_stale(&bed, old);
	is_stale(&bed, bed.mw->rkey);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW);
	is_good(&bed, bed.mw->rkey);
	bed_close(&bed);
}

static void invalidated(void **state)
{
	uint32_t old;
	struct bed bed;
	int remote;

	bed_open(&bed, IBV_MW_TYPE_2, state);
	for (remote = 0; remote < 2; remote++) {
		old = bed.mw->rkey;
		if (remote)
			mw_send_inv(&bed.pair, old);
		else
			mw_local_inv(&bed.pair.b, old);
		is_stale(&bed, old);
		mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW);
		is_stale(&bed, old);
		is_good(&bed, bed.mw->rkey);
	}
	bed_close(&bed);
}

/* Nor a second time, nor one of type 1, by a peer. */
static void not_to_be_invalidated(void **state)
{
	struct ibv_mw *mw1;
	uint32_t keys[3];
	struct bed bed;
	size_t i;

	bed_open(&bed, IBV_MW_TYPE_2, state);
	mw1 = mw_make(bed.pair.b.rig->pd, IBV_MW_TYPE_1);
	mw_bind(&bed.pair.b, mw1, &bed.region, 0, BYTES, ACCESS_WINDOW);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	keys[0] = bed.mw->rkey;
	keys[1] = mw1->rkey;
	keys[2] = bed.region.mr->rkey;
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_INV, NULL, 0);

		wr.invalidate_rkey = keys[i];
		end_post_recv(&bed.pair.b, 1, NULL, 0);
		end_post(&bed.pair.a, &wr);
		cq_expect(bed.pair.a.scq, IBV_WC_REM_ACCESS_ERR);
		cq_expect(bed.pair.b.rcq, IBV_WC_WR_FLUSH_ERR);
		pair_reconnect(&bed.pair);
	}
	is_good(&bed, mw1->rkey);
	mw_free(mw1);
	bed_close(&bed);
}

static void deallocated(void **state)
{
	enum ibv_mw_type type;
	uint32_t old;
	struct bed bed;

	for (type = IBV_MW_TYPE_1; type <= IBV_MW_TYPE_2; type++) {
		bed_open(&bed, type, state);
		old = bed.mw->rkey;
		mw_free(bed.mw);
		bed.mw = NULL;
		is_stale(&bed, old);
		bed_close(&bed);
	}
}

/* ibv_alloc_mw(3): "ibv_dereg_mr() fails if any memory window is still bound to this MR". Nor is it changed. */
static void region_under_a_window(void **state)
{
	struct ibv_mw *second;
	struct bed bed;
	int odp;

	bed_open(&bed, IBV_MW_TYPE_2, state);
	odp = mode(&bed.pair.rig, state);
	second = mw_make(bed.pair.b.rig->pd, IBV_MW_TYPE_1);
	mw_bind(&bed.pair.b, second, &bed.region, 0, BYTES, ACCESS_WINDOW);
	assert_int_equal(ibv_dereg_mr(bed.region.mr), EBUSY);
	assert_int_equal(mr_rereg(bed.region.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
				  ACCESS_ALL | odp),
			 EBUSY);
	assert_int_equal(mr_rereg(bed.region.mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL,
				  bed.local.data, BYTES, 0),
			 EBUSY);
	is_good(&bed, bed.mw->rkey);
	mw_send_inv(&bed.pair, bed.mw->rkey);
	assert_int_equal(ibv_dereg_mr(bed.region.mr), EBUSY);
	mw_unbind(&bed.pair.b, second, &bed.region);
	/* A change that fails leaves a region that windows can be bound to. */
	assert_int_equal(mr_rereg(bed.region.mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, NULL, 0, 0),
			 EINVAL);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW);
	is_good(&bed, bed.mw->rkey);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	assert_zero(mr_rereg(bed.region.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
			     ACCESS_BIND | odp));
	mw_bind(&bed.pair.b, second, &bed.region, 0, BYTES, ACCESS_WINDOW);
	is_good(&bed, second->rkey);
	mw_unbind(&bed.pair.b, second, &bed.region);
	buf_dereg(&bed.region);
	mw_free(second);
	bed_close(&bed);
}

/* Its queue pair gone, a window of type 2 is of use to nobody, but bound until it is deallocated. */
static void after_its_queue_pair(void **state)
{
	struct conn conn = CONN;
	struct bed bed;

	bed_open(&bed, IBV_MW_TYPE_2, state);
	end_close(&bed.pair.b);
	end_close(&bed.pair.a);
	assert_int_equal(ibv_dereg_mr(bed.region.mr), EBUSY);
	ends_open(&bed.pair.a, &bed.pair.rig, &bed.pair.b,
		  bed.pair.peer.ctx ? &bed.pair.peer : &bed.pair.rig, &conn);
	is_stale(&bed, bed.mw->rkey);
	mw_free(bed.mw);
	bed.mw = NULL;
	buf_dereg(&bed.region);
	bed_close(&bed);
}

static void child_dies_bound(bool mw_first)
{
	struct conn conn = CONN;
	struct ibv_mw *mw[2];
	struct buf region;
	struct pair pair;
	int i;

	pair_open(&pair, &conn);
	if (mw_first)
		mw[0] = mw_make(pair.b.rig->pd, IBV_MW_TYPE_1);
	buf_make(&region, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_BIND);
	if (!mw_first)
		mw[0] = mw_make(pair.b.rig->pd, IBV_MW_TYPE_1);
	mw[1] = mw_make(pair.b.rig->pd, IBV_MW_TYPE_2);
	for (i = 0; i < 2; i++)
		mw_bind(&pair.b, mw[i], &region, 0, BYTES, ACCESS_WINDOW);
	kill(getpid(), SIGKILL);
}

static void dies_window_first(void **state)
{
	(void)state;
	child_dies_bound(true);
}

static void dies_region_first(void **state)
{
	(void)state;
	child_dies_bound(false);
}

/* What was made last goes first, the region before a window that is bound over it. */
static void killed_while_bound(void **state)
{
	static const struct CMUnitTest deaths[] = { TEST(dies_window_first),
						    TEST(dies_region_first) };
	size_t i;
	int status;
	pid_t pid;

	(void)state;
	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(deaths); i++) {
		pid = fork();
		if (!pid)
			exit(test_run(&deaths[i], 1));
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

TEST_MAIN(TEST_BOTH(bound_anew), TEST_BOTH(invalidated), TEST(not_to_be_invalidated),
	  TEST_BOTH(deallocated), TEST_BOTH(region_under_a_window), TEST_BOTH(after_its_queue_pair),
	  TEST(killed_while_bound))
