// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A shared receive queue: two connections draw from it in turn, and every receive is used exactly once. */
#include "pair.h"

enum { N = 20, BYTES = 3000 };

static void two_connections(void **state)
{
	struct conn conn = CONN, plain = CONN;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct end c, d = { 0 };
	struct pair pair;
	char used[2 * N] = "";
	struct ibv_sge sge;
	struct ibv_wc wc;
	int i, odp;

	conn.srq_b = true;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	/* The second connection's receiver shares the queue. */
	memset(&c, 0, sizeof(c));
	d.srq = pair.b.srq;
	end_create(&c, pair.a.rig, &plain);
	end_create(&d, pair.b.rig, &plain);
	ends_connect(&c, &d, &plain);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * N * BYTES, 5, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 2 * N * BYTES, 6, ACCESS_ALL | odp);
	pattern_fill(from.data, from.bytes, 1, 0);
	for (i = 0; i < 2 * N; i++) {
		sge = buf_sge(&to, i * BYTES, BYTES);
		end_post_recv(&pair.b, i, &sge, 1);
	}
	for (i = 0; i < 2 * N; i++) {
		sge = buf_sge(&from, i * BYTES, BYTES);
		wr = wr_make(IBV_WR_SEND_WITH_IMM, &sge, 1);
		wr.imm_data = i;
		end_post(i % 2 ? &c : &pair.a, &wr);
	}
	for (i = 0; i < 2 * N; i++) {
		struct end *receiver = i % 2 ? &d : &pair.b;

		wc = cq_success(receiver->rcq);
		assert_in_range(wc.wr_id, 0, 2 * N - 1);
		assert_int_equal(used[wc.wr_id]++, 0);
		assert_int_equal(wc.qp_num, receiver->qp->qp_num);
		assert_int_equal(wc.byte_len, BYTES);
		/* Each connection keeps its order. */
		assert_int_equal(wc.imm_data, i);
		pattern_check(to.data + wc.wr_id * BYTES, BYTES, 1, (size_t)wc.imm_data * BYTES,
			      "an SRQ receive");
		cq_success(i % 2 ? c.scq : pair.a.scq);
	}
	buf_free(&from);
	buf_free(&to);
	d.srq = NULL;
	end_close(&c);
	end_close(&d);
	pair_close(&pair);
}

/* An empty SRQ is receiver not ready; the sender comes back when there is a receive. */
static void empty_is_rnr(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;

	(void)state;
	conn.srq_b = true;
	conn.min_rnr_timer = 20; /* 10 ms */
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 5, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 6, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, 1, 0);
	sge = buf_sge(&from, 0, BYTES);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&pair.a, &wr);
	assert_int_equal(cq_poll_bounded(pair.a.scq, &(struct ibv_wc){ 0 }, 0.1), 0);
	sge = buf_sge(&to, 0, BYTES);
	end_post_recv(&pair.b, 1, &sge, 1);
	cq_success(pair.a.scq);
	cq_success(pair.b.rcq);
	pattern_check(to.data, BYTES, 1, 0, "a send that waited for a receive");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(two_connections), TEST(empty_is_rnr))
