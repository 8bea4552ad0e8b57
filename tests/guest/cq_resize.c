// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Resizing a CQ keeps what is in it, in order; a size below its contents is refused. */
#include "pair.h"

static void keeps_completions(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	int i, done = 0;

	(void)state;
	conn.cqe = 64;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	sge = buf_sge(&from, 0, 8);
	for (i = 0; i < 40; i++) {
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);

		wr.wr_id = i;
		end_post(&pair.a, &wr);
		if (i == 5 || i == 25) {
			int bigger = i == 5 ? 100 : 500;

			assert_zero(ibv_resize_cq(pair.a.scq, bigger));
			assert_true(pair.a.scq->cqe >= bigger);
			assert_int_equal(cq_success(pair.a.scq).wr_id, done++);
		}
	}
	/* The last is read back so that all before it are in the CQ. */
	while (done < 30)
		assert_int_equal(cq_success(pair.a.scq).wr_id, done++);
	/* Smaller, with what is left. */
	assert_zero(ibv_resize_cq(pair.a.scq, 32));
	while (done < 40)
		assert_int_equal(cq_success(pair.a.scq).wr_id, done++);
	cq_assert_empty(pair.a.scq);
	pair_assert_works(&pair);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void too_small_is_refused(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	sge = buf_sge(&from, 0, 8);
	for (i = 0; i < 40; i++) {
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);

		wr.wr_id = i;
		end_post(&pair.a, &wr);
	}
	/* A read behind the writes: when it has brought its data, the writes have completed. */
	for (i = 0; i < 40; i++) {
		if (i == 39) {
			/* 39 are taken, 1 is left. */
			assert_int_equal(cq_success(pair.a.scq).wr_id, 39);
			break;
		}
		assert_int_equal(cq_success(pair.a.scq).wr_id, i);
	}
	assert_int_not_equal(ibv_resize_cq(pair.a.scq, 0), 0);
	assert_int_not_equal(ibv_resize_cq(pair.a.scq, pair.rig.attr.orig_attr.max_cqe + 1), 0);
	pair_assert_works(&pair);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(keeps_completions), TEST(too_small_is_refused))
