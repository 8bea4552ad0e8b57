// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* UD over a shared receive queue. */
#include "pair.h"

#define GRH   40UL
#define BYTES 1000UL
#define N     16

static void many_datagrams(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	int i, odp;

	conn.type = IBV_QPT_UD;
	conn.srq_b = true;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	if (odp)
		rig_need_odp(&pair.rig, 0, IBV_ODP_SUPPORT_SRQ_RECV);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, N * BYTES, 5, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, N * (BYTES + GRH), 6, ACCESS_ALL | odp);
	pattern_fill(from.data, from.bytes, 1, 0);
	for (i = 0; i < N; i++) {
		sge = buf_sge(&to, i * (BYTES + GRH), BYTES + GRH);
		end_post_recv(&pair.b, i, &sge, 1);
	}
	/* One at a time: nothing may be dropped for want of a place. */
	for (i = 0; i < N; i++) {
		sge = buf_sge(&from, i * BYTES, BYTES);
		wr = wr_make(IBV_WR_SEND, &sge, 1);
		wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		wc = cq_success(pair.b.rcq);
		assert_int_equal(wc.wr_id, i);
		pattern_check(to.data + i * (BYTES + GRH) + GRH, BYTES, 1, i * BYTES, "a datagram");
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(many_datagrams))
