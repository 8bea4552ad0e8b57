// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * SQD: what was begun is finished, what is posted afterwards waits for RTS, and the drained queue says so.
 */
#include "pair.h"

#include <unistd.h>

static bool draining(struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	assert_zero(ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init));
	assert_int_equal(attr.qp_state, IBV_QPS_SQD);
	return attr.sq_draining;
}

static void waits_for_rts(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	pattern_fill(from.data, PAGE, 8, 0);
	assert_zero(end_set_state(&pair.a, IBV_QPS_SQD));
	sge = buf_sge(&from, 0, PAGE);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	end_post(&pair.a, &wr);
	/* Even one that is malformed waits its turn. */
	sge.lkey ^= 0x5500;
	end_post(&pair.a, &wr);
	assert_false(cq_poll_bounded(pair.a.scq, &(struct ibv_wc){ 0 }, 0.2));
	assert_false(draining(&pair.a));

	assert_zero(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_STATE));
	cq_success(pair.a.scq);
	pattern_check(to.data, PAGE, 8, 0, "what was posted in SQD");
	cq_expect(pair.a.scq, IBV_WC_LOC_PROT_ERR);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* A message that has begun, and cannot end before its page comes. */
static void drains(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct uffd uffd;
	struct ibv_sge sge;
	struct pair pair;
	unsigned int i;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	pattern_fill(from.data, PAGE, 8, 0);
	uffd_register(&uffd, to.data, PAGE);
	uffd_serve(&uffd, 6, 300);
	sge = buf_sge(&from, 0, PAGE);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	end_post(&pair.a, &wr);
	for (i = 0; !uffd.asked && i < 100 * BOUND_S; i++)
		usleep(10000);
	assert_int_equal(uffd.asked, 1);
	assert_zero(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	assert_zero(ibv_get_async_event(pair.rig.ctx, &event));
	while (event.event_type != IBV_EVENT_SQ_DRAINED) {
		ibv_ack_async_event(&event);
		assert_zero(ibv_get_async_event(pair.rig.ctx, &event));
	}
	assert_ptr_equal(event.element.qp, pair.a.qp);
	ibv_ack_async_event(&event);
	assert_false(draining(&pair.a));
	cq_success(pair.a.scq);
	pattern_check(to.data, PAGE, 8, 0, "what had begun");
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(waits_for_rts), TEST(drains))
