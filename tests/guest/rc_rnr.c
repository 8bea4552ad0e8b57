// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Receiver not ready: the sender waits as long as it was asked to and comes back; rnr_retry counts, and 7 is for ever;
 * order is kept, and other requests of the QP go on behind.
 */
#include "pair.h"

#include <unistd.h>

static void post_send(struct pair *pair, struct buf *from, uint64_t wr_id)
{
	struct ibv_sge sge = buf_sge(from, 0, from->bytes);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);

	wr.wr_id = wr_id;
	end_post(&pair->a, &wr);
}

static void seven_is_for_ever(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	int i, odp;

	conn.rnr_retry = 7;
	conn.min_rnr_timer = 14; /* 1.28 ms */
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 9000, 5, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 9000, 6, ACCESS_ALL | odp);
	pattern_fill(from.data, from.bytes, 2, 0);
	for (i = 0; i < 3; i++)
		post_send(&pair, &from, i);
	/* Far more than seven times 1.28 ms. */
	assert_int_equal(cq_poll_bounded(pair.a.scq, &wc, 0.3), 0);
	sge = buf_sge(&to, 0, to.bytes);
	for (i = 0; i < 3; i++) {
		memset(to.data, 0, to.bytes);
		end_post_recv(&pair.b, i, &sge, 1);
		assert_int_equal(cq_success(pair.b.rcq).wr_id, i);
		assert_int_equal(cq_success(pair.a.scq).wr_id, i);
		pattern_check(to.data, to.bytes, 2, 0, "a send that waited");
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void retries_are_counted(void **state)
{
	struct conn conn = CONN;
	struct buf from;
	struct pair pair;

	(void)state;
	conn.rnr_retry = 2;
	conn.min_rnr_timer = 14;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 5, ACCESS_ALL);
	post_send(&pair, &from, 1);
	post_send(&pair, &from, 2);
	assert_int_equal(cq_expect(pair.a.scq, IBV_WC_RNR_RETRY_EXC_ERR).wr_id, 1);
	assert_int_equal(cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR).wr_id, 2);
	end_await_state(&pair.a, IBV_QPS_ERR);
	/* An RNR NAK is no error of the responder. */
	assert_int_equal(end_state(&pair.b), IBV_QPS_RTS);
	buf_free(&from);
	pair_close(&pair);
}

/* WRITE with immediate needs a receive as well: no byte counts as arrived before it. */
static void write_imm_waits(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 5000, 5, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 5000, 6, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, 4, 0);
	sge = buf_sge(&from, 0, 5000);
	wr = wr_rdma(IBV_WR_RDMA_WRITE_WITH_IMM, &sge, 1, &to, 0);
	wr.imm_data = 77;
	end_post(&pair.a, &wr);
	assert_int_equal(cq_poll_bounded(pair.a.scq, &wc, 0.1), 0);
	cq_assert_empty(pair.b.rcq);
	end_post_recv(&pair.b, 9, NULL, 0);
	wc = cq_success(pair.b.rcq);
	assert_int_equal(wc.wr_id, 9);
	assert_int_equal(wc.imm_data, 77);
	cq_success(pair.a.scq);
	pattern_check(to.data, 5000, 4, 0, "a write with immediate that waited");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(seven_is_for_ever), TEST(retries_are_counted), TEST(write_imm_waits))
