// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Asynchronous events of an RC QP: communication established in RTR, the last WQE of an SRQ's QP, the drained queue. */
#include "event.h"

static void communication_established(void **state)
{
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
	assert_zero(end_to_init(&pair.b, &conn));
	end_post_recv(&pair.b, 1, NULL, 0);
	assert_zero(end_to_rtr(&pair.b, &pair.a, &conn));
	wr = wr_make(IBV_WR_SEND, NULL, 0);
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	event = async_expect(pair.b.rig->ctx, IBV_EVENT_COMM_EST);
	assert_ptr_equal(event.element.qp, pair.b.qp);
	cq_success(pair.b.rcq);
	pair_close(&pair);
}

static void last_wqe_of_an_srq(void **state)
{
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	conn.srq_b = true;
	pair_open(&pair, &conn);
	assert_zero(end_set_state(&pair.b, IBV_QPS_ERR));
	event = async_expect(pair.b.rig->ctx, IBV_EVENT_QP_LAST_WQE_REACHED);
	assert_ptr_equal(event.element.qp, pair.b.qp);
	pair_close(&pair);
}

static void send_queue_drained(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	assert_zero(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	event = async_expect(pair.a.rig->ctx, IBV_EVENT_SQ_DRAINED);
	assert_ptr_equal(event.element.qp, pair.a.qp);
	/* And on again. */
	attr.qp_state = IBV_QPS_RTS;
	assert_zero(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_STATE));
	pair_assert_works(&pair);
	pair_close(&pair);
}

TEST_MAIN(TEST(communication_established), TEST(last_wqe_of_an_srq), TEST(send_queue_drained))
