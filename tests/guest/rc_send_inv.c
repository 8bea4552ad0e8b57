// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * SEND with invalidate leaves, posted in either way, inline or from memory, in one packet or in several. A key that the peer
 * has not, or that is of a plain region, cannot be invalidated: that is a remote access error, and the receive is flushed.
 * What is done with one that can is in peer_rxe and kernel_reg.
 */
#include "event.h"

#include <infiniband/verbs.h>

#define MESSAGE_BYTES 3000
#define INLINE_BYTES  64
#define KEY	      0x12345678

struct bed {
	struct pair pair;
	struct buf from, to;
};

static void bed_open(struct bed *bed)
{
	struct conn conn = CONN;

	pair_open(&bed->pair, &conn);
	buf_make(&bed->from, bed->pair.a.rig->pd, MEM_ANON, MESSAGE_BYTES, 0, ACCESS_ALL);
	buf_make(&bed->to, bed->pair.b.rig->pd, MEM_ANON, MESSAGE_BYTES, 0, ACCESS_ALL);
}

static void bed_close(struct bed *bed)
{
	buf_free(&bed->from);
	buf_free(&bed->to);
	pair_close(&bed->pair);
}

static void post_receive(struct bed *bed)
{
	struct ibv_sge sge = buf_sge(&bed->to, 0, MESSAGE_BYTES);

	end_post_recv(&bed->pair.b, 7, &sge, 1);
}

static void is_refused(struct bed *bed)
{
	struct ibv_wc wc = cq_expect(bed->pair.a.scq, IBV_WC_REM_ACCESS_ERR);

	assert_int_equal(wc.wr_id, 3);
	wc = cq_expect(bed->pair.b.rcq, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(wc.wr_id, 7);
	async_expect(bed->pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);
	end_await_state(&bed->pair.a, IBV_QPS_ERR);
	end_await_state(&bed->pair.b, IBV_QPS_ERR);
}

static void posted(void **state)
{
	static const struct {
		unsigned int flags;
		uint32_t bytes;
	} ways[] = {
		{ 0, 0 },
		{ 0, 100 },
		{ 0, MESSAGE_BYTES },
		{ IBV_SEND_INLINE, INLINE_BYTES },
	};
	struct bed bed;
	size_t i;

	(void)state;
	bed_open(&bed);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		struct ibv_sge sge = buf_sge(&bed.from, 0, ways[i].bytes);
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_INV, &sge, 1);

		wr.wr_id = 3;
		wr.send_flags |= ways[i].flags;
		wr.invalidate_rkey = i % 2 ? KEY : bed.to.mr->rkey;
		post_receive(&bed);
		end_post(&bed.pair.a, &wr);
		is_refused(&bed);
		pair_reconnect(&bed.pair);
	}
	pair_assert_works(&bed.pair);
	bed_close(&bed);
}

/* In the place of end a's. */
static struct ibv_qp_ex *extended_qp(struct pair *pair)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_RC,
		.send_cq = pair->a.scq,
		.recv_cq = pair->a.rcq,
		.pd = pair->rig.pd,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_SEND_WITH_INV | IBV_QP_EX_WITH_RDMA_WRITE,
		.cap = { .max_send_wr = 8, .max_recv_wr = 8, .max_send_sge = 1, .max_recv_sge = 1 },
	};

	assert_zero(ibv_destroy_qp(pair->a.qp));
	pair->a.qp = ibv_create_qp_ex(pair->rig.ctx, &attr);
	assert_non_null(pair->a.qp);
	pair_reconnect(pair);
	return ibv_qp_to_qp_ex(pair->a.qp);
}

static void posted_by_builder(void **state)
{
	struct ibv_qp_ex *qp;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	qp = extended_qp(&bed.pair);
	post_receive(&bed);
	ibv_wr_start(qp);
	qp->wr_id = 3;
	qp->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send_inv(qp, KEY);
	ibv_wr_set_sge(qp, bed.from.mr->lkey, (uintptr_t)bed.from.data, MESSAGE_BYTES);
	assert_zero(ibv_wr_complete(qp));
	is_refused(&bed);
	pair_reconnect(&bed.pair);
	pair_assert_works(&bed.pair);
	bed_close(&bed);
}

TEST_MAIN(TEST(posted), TEST(posted_by_builder))
