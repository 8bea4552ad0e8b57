// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Reregistration: other access, another protection domain, another range, another kind of memory; the old terms end with it.
 * The stock provider has no ibv_rereg_mr(): the call is made by hand.
 */
#include "dmabuf.h"
#include "method.h"
#include "pair.h"

#include <sys/mman.h>
#include <unistd.h>

#define BYTES 10000UL

static enum ibv_wc_status try_write(struct buf *from, struct buf *to, struct ibv_mr *mr,
				    struct pair *pair)
{
	struct ibv_sge sge = buf_sge(from, 0, 64);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, to, 0);

	wr.wr.rdma.rkey = mr->rkey;
	end_post(&pair->a, &wr);
	return cq_wait(pair->a.scq).status;
}

static void reconnect(struct pair *pair)
{
	assert_zero(end_set_state(&pair->a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
	ends_connect(&pair->a, &pair->b, &pair->conn);
}

static void access_and_domain(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	struct ibv_pd *pd;
	int odp, rc;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	pd = ibv_alloc_pd(pair.b.rig->ctx);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_SUCCESS);
	rc = mr_rereg(to.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
		      IBV_ACCESS_REMOTE_READ | odp);
	assert_int_equal(rc, 0);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	reconnect(&pair);
	rc = mr_rereg(to.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL | odp);
	assert_int_equal(rc, 0);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_SUCCESS);
	rc = mr_rereg(to.mr, IBV_REREG_MR_CHANGE_PD, pd, NULL, 0, 0);
	assert_int_equal(rc, 0);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	buf_free(&from);
	buf_free(&to);
	assert_zero(ibv_dealloc_pd(pd));
	pair_close(&pair);
}

static void another_range(void **state)
{
	struct conn conn = CONN;
	struct buf from, first, second;
	struct pair pair;
	int odp, rc;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	buf_make(&first, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	buf_map(&second, MEM_ANON, BYTES, 99);
	rc = mr_rereg(first.mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, second.data, BYTES, 0);
	if (rc == EOPNOTSUPP || rc == ENOSYS)
		skip_because("the device does not change a region's range");
	assert_int_equal(rc, 0);
	second.mr = first.mr;
	first.mr = NULL;
	pair_move_checked(&pair, OP_WRITE, &from, &second, 1);
	first.mr = second.mr;
	assert_int_equal(try_write(&from, &first, second.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	first.mr = NULL;
	buf_free(&from);
	buf_free(&first);
	buf_free(&second);
	pair_close(&pair);
}

static uint32_t kind_of(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(mr, &stats, sizeof(stats)));
	return stats.kind;
}

/* What is pinned and what is on demand change into one another where they are, and anywhere else. */
static void from_kind_to_kind(void **state)
{
	struct buf from, first, second;
	struct conn conn = CONN;
	struct pair pair;
	struct ibv_mr *mr;
	int now, next, turn;

	pair_open(&pair, &conn);
	now = mode(&pair.rig, state);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&first, pair.b.rig->pd, MEM_ANON, BYTES, 7, ACCESS_ALL | now);
	buf_map(&second, MEM_ANON, BYTES, 99);
	mr = first.mr;
	for (turn = 0; turn < 3; turn++, now = next) {
		next = now ^ IBV_ACCESS_ON_DEMAND;
		assert_zero(
			mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL | next));
		assert_int_equal(kind_of(mr), next ? RXE_ODP_MR_ON_DEMAND : RXE_ODP_MR_PINNED);
		pair_move_checked(&pair, OP_WRITE, &from, &first, turn);
	}
	first.mr = NULL;
	second.mr = mr;
	next = now ^ IBV_ACCESS_ON_DEMAND;
	assert_zero(mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS | IBV_REREG_MR_CHANGE_TRANSLATION, NULL,
			     second.data, BYTES, ACCESS_ALL | next));
	assert_int_equal(kind_of(mr), next ? RXE_ODP_MR_ON_DEMAND : RXE_ODP_MR_PINNED);
	pair_move_checked(&pair, OP_WRITE, &from, &second, 9);
	buf_free(&from);
	buf_free(&first);
	buf_free(&second);
	pair_close(&pair);
}

/* Nothing to pin there: the region stays what it was. */
static void refused_changes_nothing(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	void *hole = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int odp, flags = IBV_REREG_MR_CHANGE_ACCESS | IBV_REREG_MR_CHANGE_TRANSLATION;

	assert_ptr_not_equal(hole, MAP_FAILED);
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	assert_int_equal(mr_rereg(to.mr, flags, NULL, hole, BYTES, ACCESS_ALL), EFAULT);
	assert_int_equal(kind_of(to.mr), odp ? RXE_ODP_MR_ON_DEMAND : RXE_ODP_MR_PINNED);
	pair_move_checked(&pair, OP_WRITE, &from, &to, 3);
	buf_free(&from);
	buf_free(&to);
	munmap(hole, BYTES);
	pair_close(&pair);
}

/* A dma-buf takes other rights and another domain, cannot be on demand, and gives way to memory. */
static void dma_buf(void **state)
{
	struct conn conn = CONN;
	struct buf from, to, second;
	struct ibv_mr *mr;
	struct pair pair;

	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_map(&second, MEM_ANON, BYTES, 99);
	dmabuf_make(&to, pair.b.rig->pd, EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, BYTES, 0,
		    IBV_ACCESS_REMOTE_READ);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	reconnect(&pair);
	assert_int_equal(mr_rereg(to.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
				  ACCESS_ALL | IBV_ACCESS_ON_DEMAND),
			 EINVAL);
	assert_int_equal(kind_of(to.mr), RXE_ODP_MR_DMABUF);
	assert_zero(mr_rereg(to.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL));
	pair_move_checked(&pair, OP_WRITE, &from, &to, 1);
	mr = to.mr;
	assert_zero(mr_rereg(mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, second.data, BYTES, 0));
	assert_int_equal(kind_of(mr), RXE_ODP_MR_PINNED);
	assert_int_equal(dmabuf_uses(to.fd).attachments, 0);
	second.mr = mr;
	pair_move_checked(&pair, OP_WRITE, &from, &second, 2);
	second.mr = NULL;
	/* Which frees what a dma-buf's region needed. */
	dmabuf_free(&to);
	buf_free(&second);
	buf_free(&from);
	pair_close(&pair);
}

/* What may only be read stays so. */
static void dma_buf_for_reading(void **state)
{
	int fd = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_READ, PAGE);
	struct ibv_mr *mr;
	struct rig rig;

	rig_open(&rig);
	mr = dmabuf_reg(rig.pd, 0, PAGE, 0, fd, IBV_ACCESS_REMOTE_READ);
	assert_non_null(mr);
	assert_int_equal(mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL),
			 EACCES);
	assert_zero(mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, 0));
	assert_zero(dmabuf_dereg(mr));
	close(fd);
	rig_close(&rig);
}

TEST_MAIN(TEST_BOTH(from_kind_to_kind), TEST_BOTH(refused_changes_nothing), TEST(dma_buf),
	  TEST(dma_buf_for_reading), TEST_BOTH(access_and_domain), TEST_BOTH(another_range))
