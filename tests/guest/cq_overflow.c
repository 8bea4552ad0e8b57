// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * More completions than the CQ holds: the device says so with an error event of the CQ and one of the QP, no earlier completion
 * is overwritten, and other CQs and QPs are not disturbed.
 */
#include "event.h"

static void overflow(void **state)
{
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_cq *small;
	struct end c, d;
	int i, kept;

	(void)state;
	conn.cqe = 4;
	conn.send_wr = 500;
	pair_open(&pair, &conn);
	conn.cqe = 100;
	ends_open(&c, pair.a.rig, &d, pair.b.rig, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	small = pair.a.scq;
	sge = buf_sge(&from, 0, 8);
	for (i = 0; i < small->cqe + 8; i++) {
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);

		wr.wr_id = i;
		end_post(&pair.a, &wr);
	}
	event = async_expect(pair.a.rig->ctx, IBV_EVENT_CQ_ERR);
	assert_ptr_equal(event.element.cq, small);
	event = async_expect(pair.a.rig->ctx, IBV_EVENT_QP_FATAL);
	assert_ptr_equal(event.element.qp, pair.a.qp);
	kept = small->cqe < 4 ? small->cqe : 4;
	for (i = 0; i < kept; i++)
		assert_int_equal(cq_success(small).wr_id, i);
	/* The neighbours. */
	sge = buf_sge(&from, 0, 8);
	for (i = 0; i < 10; i++) {
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);

		end_post(&c, &wr);
		cq_success(c.scq);
	}
	buf_free(&from);
	buf_free(&to);
	end_close(&c);
	end_close(&d);
	pair_close(&pair);
}

TEST_MAIN(TEST(overflow))
