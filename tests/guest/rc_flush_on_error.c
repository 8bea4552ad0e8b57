// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A QP in error: every request that was posted completes once, in order, flushed; posting goes on and is flushed;
 * back through RESET it works again.
 */
#include "pair.h"

static void everything_is_flushed(void **state)
{
	enum { N = 30 };
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	int i;

	(void)state;
	conn.min_rnr_timer = 30; /* 327 ms: the first send is still waiting */
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, 64);
	for (i = 0; i < N; i++)
		end_post_recv(&pair.a, i, &sge, 1);
	sge = buf_sge(&from, 0, 64);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	for (i = 0; i < N; i++) {
		wr.wr_id = i;
		/* Requests that are not signalled are reported as well when they are flushed. */
		wr.send_flags = i % 2 ? IBV_SEND_SIGNALED : 0;
		end_post(&pair.a, &wr);
	}
	assert_zero(end_set_state(&pair.a, IBV_QPS_ERR));
	for (i = 0; i < N; i++) {
		assert_int_equal(cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR).wr_id, i);
		wc = cq_expect(pair.a.rcq, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(wc.wr_id, i);
		assert_int_equal(wc.qp_num, pair.a.qp->qp_num);
	}
	wr.wr_id = 99;
	end_post(&pair.a, &wr);
	assert_int_equal(cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR).wr_id, 99);
	sge = buf_sge(&to, 0, 64);
	end_post_recv(&pair.a, 98, &sge, 1);
	assert_int_equal(cq_expect(pair.a.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 98);
	cq_assert_empty(pair.a.scq);
	cq_assert_empty(pair.a.rcq);

	assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
	ends_connect(&pair.a, &pair.b, &conn);
	pair_assert_works(&pair);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(everything_is_flushed))
