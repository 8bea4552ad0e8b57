// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What may not be bound is not, and what was bound before stays: a bind that breaks a rule completes with an error of its own. And
 * a window is for those that it was bound for: queue pairs of its domain, of type 2 for one of them, and peers alone.
 */
#include "method.h"
#include "mw.h"

#define REGION (2 * PAGE)
#define AT     64UL
#define BYTES  1024UL

struct bed {
	struct pair pair;
	struct rig *rig; /* b's */
	struct buf local, region;
	struct ibv_mw *mw;
};

static void bed_open(struct bed *bed, enum ibv_mw_type type, int region_access)
{
	struct conn conn = CONN;

	pair_open(&bed->pair, &conn);
	bed->rig = bed->pair.b.rig;
	buf_make(&bed->local, bed->pair.a.rig->pd, MEM_ANON, REGION, 0, ACCESS_ALL);
	buf_make(&bed->region, bed->rig->pd, MEM_ANON, REGION, 0, region_access);
	bed->mw = mw_make(bed->rig->pd, type);
}

static void bed_close(struct bed *bed)
{
	mw_free(bed->mw);
	buf_free(&bed->local);
	buf_free(&bed->region);
	pair_close(&bed->pair);
}

static void failed_at(const char *file, int line, struct bed *bed, uint32_t reason)
{
	struct rxe_odp_access_error error;

	cq_expect_at(file, line, bed->pair.b.scq, IBV_WC_MW_BIND_ERR);
	end_await_state(&bed->pair.b, IBV_QPS_ERR);
	if (!rig_is_stock()) {
		assert_zero(qp_access_error(bed->pair.b.qp, &error, sizeof(error)));
		if (error.reason != reason)
			fail_at(file, line, "reason %u and not %u", error.reason, reason);
	}
	pair_reconnect(&bed->pair);
}

#define failed(bed, reason) failed_at(__FILE__, __LINE__, bed, RXE_ODP_REASON_##reason)

/* Of the bed's window to its region, by the next key. */
static void try_bind(struct bed *bed, uint64_t addr, uint64_t bytes, int access)
{
	mw_post_bind_as(&bed->pair.b, bed->mw, ibv_inc_rkey(bed->mw->rkey), bed->region.mr, addr,
			bytes, access);
}

/* C10-73 */
static void region_that_does_not_permit_it(void **state)
{
	struct bed bed;

	bed_open(&bed, IBV_MW_TYPE_2, 0);
	buf_dereg(&bed.region);
	buf_reg(&bed.region, bed.rig->pd, ACCESS_ALL | mode(&bed.pair.rig, state));
	try_bind(&bed, (uintptr_t)bed.region.data, BYTES, IBV_ACCESS_REMOTE_READ);
	failed(&bed, REGION_ACCESS);
	bed_close(&bed);
}

/* C10-74: who lets a peer write must be able to. */
static void region_that_is_only_read(void **state)
{
	uint64_t addr;
	struct bed bed;

	bed_open(&bed, IBV_MW_TYPE_2, 0);
	buf_dereg(&bed.region);
	buf_reg(&bed.region, bed.rig->pd,
		IBV_ACCESS_REMOTE_READ | IBV_ACCESS_MW_BIND | mode(&bed.pair.rig, state));
	addr = (uintptr_t)bed.region.data;
	try_bind(&bed, addr, BYTES, IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
	failed(&bed, REGION_ACCESS);
	try_bind(&bed, addr, BYTES, IBV_ACCESS_REMOTE_ATOMIC);
	failed(&bed, REGION_ACCESS);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, IBV_ACCESS_REMOTE_READ);
	mw_granted(&bed.pair, IBV_WR_RDMA_READ, &bed.local, BYTES, bed.mw->rkey, addr);
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.mw->rkey, addr);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	bed_close(&bed);
}

/* C10-75 */
static void outside_of_the_region(void **state)
{
	uint64_t addr;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	addr = (uintptr_t)bed.region.data;
	try_bind(&bed, addr - 1, BYTES, ACCESS_WINDOW);
	failed(&bed, RANGE);
	try_bind(&bed, addr + 1, REGION, ACCESS_WINDOW);
	failed(&bed, RANGE);
	try_bind(&bed, addr, REGION + 1, ACCESS_WINDOW | IBV_ACCESS_ZERO_BASED);
	failed(&bed, RANGE);
	try_bind(&bed, addr + 1, UINT64_MAX, ACCESS_WINDOW);
	failed(&bed, RANGE);
	try_bind(&bed, 0, BYTES, ACCESS_WINDOW | IBV_ACCESS_ZERO_BASED);
	failed(&bed, RANGE);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, REGION, ACCESS_WINDOW);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	bed_close(&bed);
}

/* C10-72: window, region and queue pair are of one domain. */
static void of_another_domain(void **state)
{
	struct ibv_mr other_mr;
	struct ibv_mw *own;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	pd = ibv_alloc_pd(bed.rig->ctx);
	assert_non_null(pd);
	mr = ibv_reg_mr(pd, bed.region.data, REGION, ACCESS_BIND);
	assert_non_null(mr);
	other_mr = *mr;
	mw_post_bind_as(&bed.pair.b, bed.mw, ibv_inc_rkey(bed.mw->rkey), &other_mr,
			(uintptr_t)bed.region.data, BYTES, ACCESS_WINDOW);
	failed(&bed, OTHER_PD);
	own = bed.mw;
	bed.mw = mw_make(pd, IBV_MW_TYPE_2);
	try_bind(&bed, (uintptr_t)bed.region.data, BYTES, ACCESS_WINDOW);
	failed(&bed, NO_KEY);
	mw_free(bed.mw);
	bed.mw = own;
	assert_zero(ibv_dereg_mr(mr));
	assert_zero(ibv_dealloc_pd(pd));
	bed_close(&bed);
}

static void by_wrong_keys(void **state)
{
	uint64_t addr;
	struct ibv_mr mr;
	struct ibv_mw mw;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	addr = (uintptr_t)bed.region.data;
	mw = *bed.mw;
	mw.rkey ^= 1;
	mw_post_bind_as(&bed.pair.b, &mw, mw.rkey, bed.region.mr, addr, BYTES, ACCESS_WINDOW);
	failed(&bed, NO_KEY);
	mw.rkey = bed.region.mr->rkey;
	mw_post_bind_as(&bed.pair.b, &mw, mw.rkey, bed.region.mr, addr, BYTES, ACCESS_WINDOW);
	failed(&bed, NO_KEY);
	mr = *bed.region.mr;
	mr.lkey ^= 1;
	mw_post_bind_as(&bed.pair.b, bed.mw, bed.mw->rkey, &mr, addr, BYTES, ACCESS_WINDOW);
	failed(&bed, NO_KEY);
	mr.lkey = bed.mw->rkey;
	mw_post_bind_as(&bed.pair.b, bed.mw, bed.mw->rkey, &mr, addr, BYTES, ACCESS_WINDOW);
	failed(&bed, NO_KEY);
	bed_close(&bed);
}

/* A zero-based region has no addresses of which a window could have some. */
static void over_a_region_from_zero(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND | IBV_ACCESS_ZERO_BASED);
	try_bind(&bed, 0, BYTES, ACCESS_WINDOW);
	failed(&bed, REGION_ACCESS);
	bed_close(&bed);
}

/* One of type 2 is bound when it is free, and to something; and what was bound before stays. */
static void type_2_while_it_is_bound(void **state)
{
	uint64_t addr;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	addr = (uintptr_t)bed.region.data;
	try_bind(&bed, addr, 0, 0);
	failed(&bed, WINDOW);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW);
	try_bind(&bed, addr, BYTES, ACCESS_WINDOW);
	failed(&bed, WINDOW);
	try_bind(&bed, addr, 0, 0);
	failed(&bed, WINDOW);
	mw_granted(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, BYTES, bed.mw->rkey, addr + AT);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	/* Its key may be any, the same as well. */
	mw_post_bind_as(&bed.pair.b, bed.mw, bed.mw->rkey, bed.region.mr, addr, BYTES,
			ACCESS_WINDOW);
	cq_success(bed.pair.b.scq);
	mw_granted(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, BYTES, bed.mw->rkey, addr);
	bed_close(&bed);
}

/* One of type 1 has a new key each time, does not begin at zero, and is invalidated by nobody. */
static void type_1(void **state)
{
	uint64_t addr;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_1, ACCESS_BIND);
	addr = (uintptr_t)bed.region.data;
	try_bind(&bed, addr, BYTES, ACCESS_WINDOW | IBV_ACCESS_ZERO_BASED);
	failed(&bed, WINDOW);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW);
	mw_post_bind_as(&bed.pair.b, bed.mw, bed.mw->rkey, bed.region.mr, addr, BYTES,
			ACCESS_WINDOW);
	failed(&bed, WINDOW);
	mw_post_local_inv(&bed.pair.b, bed.mw->rkey);
	failed(&bed, REGION_ACCESS);
	mw_granted(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, BYTES, bed.mw->rkey, addr + AT);
	bed_close(&bed);
}

static void unknown_rights(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	try_bind(&bed, (uintptr_t)bed.region.data, BYTES, 1 << 16);
	failed(&bed, WINDOW);
	bed_close(&bed);
}

/* b's peer through another queue pair of b's domain, and of another domain. */
static void by_another_queue_pair(void **state)
{
	struct rxe_odp_access_error error;
	struct conn conn = CONN;
	struct pair other, own;
	struct ibv_mw *mw1;
	uint64_t addr;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	own = bed.pair;
	addr = (uintptr_t)bed.region.data;
	mw1 = mw_make(bed.rig->pd, IBV_MW_TYPE_1);
	mw_bind(&own.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW);
	mw_bind(&own.b, mw1, &bed.region, 0, BYTES, ACCESS_WINDOW);
	memset(&other, 0, sizeof(other));
	other.conn = conn;
	ends_open(&other.a, own.a.rig, &other.b, bed.rig, &conn);
	mw_granted(&other, IBV_WR_RDMA_WRITE, &bed.local, BYTES, mw1->rkey, addr);
	assert_int_equal(mw_try(&other, IBV_WR_RDMA_WRITE, &bed.local, BYTES, bed.mw->rkey, addr),
			 IBV_WC_REM_ACCESS_ERR);
	end_await_state(&other.b, IBV_QPS_ERR);
	if (!rig_is_stock()) {
		assert_zero(qp_access_error(other.b.qp, &error, sizeof(error)));
		assert_int_equal(error.reason, RXE_ODP_REASON_OTHER_QP);
		assert_int_equal(error.region_address, addr);
		assert_int_equal(error.region_length, BYTES);
	}
	pair_reconnect(&other);
	/* Nor is it that one's to invalidate. */
	mw_post_local_inv(&other.b, bed.mw->rkey);
	cq_expect(other.b.scq, IBV_WC_MW_BIND_ERR);
	mw_granted(&own, IBV_WR_RDMA_WRITE, &bed.local, BYTES, bed.mw->rkey, addr);
	end_close(&other.a);
	end_close(&other.b);
	mw_free(mw1);
	bed_close(&bed);
}

static void by_another_domain(void **state)
{
	struct conn conn = CONN;
	struct pair other;
	struct ibv_pd *own;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_1, ACCESS_BIND);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW);
	memset(&other, 0, sizeof(other));
	other.conn = conn;
	own = bed.rig->pd;
	bed.rig->pd = ibv_alloc_pd(bed.rig->ctx);
	ends_open(&other.a, bed.rig, &other.b, bed.rig, &conn);
	buf_dereg(&bed.local);
	buf_reg(&bed.local, bed.rig->pd, ACCESS_ALL);
	mw_refused(&other, IBV_WR_RDMA_WRITE, &bed.local, BYTES, bed.mw->rkey,
		   (uintptr_t)bed.region.data);
	end_close(&other.a);
	end_close(&other.b);
	buf_dereg(&bed.local);
	assert_zero(ibv_dealloc_pd(bed.rig->pd));
	bed.rig->pd = own;
	bed_close(&bed);
}

/* A window's key is a remote one. */
static void as_a_local_key(void **state)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2, ACCESS_BIND);
	mw_bind(&bed.pair.b, bed.mw, &bed.region, 0, BYTES, ACCESS_WINDOW | IBV_ACCESS_LOCAL_WRITE);
	sge = buf_sge(&bed.region, 0, BYTES);
	sge.lkey = bed.mw->rkey;
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &bed.local, 0);
	end_post(&bed.pair.b, &wr);
	cq_expect(bed.pair.b.scq, IBV_WC_LOC_PROT_ERR);
	pair_reconnect(&bed.pair);
	wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &bed.local, 0);
	end_post(&bed.pair.b, &wr);
	cq_expect(bed.pair.b.scq, IBV_WC_LOC_PROT_ERR);
	pair_reconnect(&bed.pair);
	bed_close(&bed);
}

TEST_MAIN(TEST_BOTH(region_that_does_not_permit_it), TEST_BOTH(region_that_is_only_read),
	  TEST(outside_of_the_region), TEST(of_another_domain), TEST(by_wrong_keys),
	  TEST(over_a_region_from_zero), TEST(type_2_while_it_is_bound), TEST(type_1),
	  TEST(unknown_rights), TEST(by_another_queue_pair), TEST(by_another_domain),
	  TEST(as_a_local_key))
