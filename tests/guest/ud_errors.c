// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A datagram that cannot be sent takes its QP to SQE: what was posted behind it is flushed, receiving goes on, and
 * the owner brings it back to RTS.
 */
#include "pair.h"

#define GRH 40UL

static void receive_one(struct end *from, struct end *to, struct buf *source, struct buf *target,
			uint32_t seed)
{
	struct ibv_sge src = buf_sge(source, 0, 64), dst = buf_sge(target, 0, GRH + 64);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &src, 1);

	pattern_fill(source->data, 64, seed, 0);
	wr.wr.ud.remote_qpn = to->qp->qp_num;
	end_post_recv(to, 1, &dst, 1);
	end_post(from, &wr);
	cq_success(from->scq);
	cq_success(to->rcq);
	pattern_check(target->data + GRH, 64, seed, 0, "a datagram");
}

static void bad_key(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS, .cur_qp_state = IBV_QPS_SQE };
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;

	(void)state;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64 + GRH, 0, ACCESS_ALL);

	sge = buf_sge(&from, 0, 64);
	sge.lkey ^= 0x5500;
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_LOC_PROT_ERR);
	end_await_state(&pair.a, IBV_QPS_SQE);

	/* What is posted now is flushed, what comes is received. */
	sge = buf_sge(&from, 0, 64);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	receive_one(&pair.b, &pair.a, &from, &to, 3);

	assert_zero(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_STATE | IBV_QP_CUR_STATE));
	assert_int_equal(end_state(&pair.a), IBV_QPS_RTS);
	receive_one(&pair.a, &pair.b, &from, &to, 4);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(bad_key))
