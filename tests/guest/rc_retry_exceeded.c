// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A peer that does not answer: the transport retries, then ends with "retry exceeded" for every retry_cnt, seven
 * among them (7 is seven here: only RNR has an infinite count), after exactly as many retries.
 */
#include "pair.h"

static void silent_peer(uint8_t retry_cnt)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr, second;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	long timeouts, packets;

	conn.retry_cnt = retry_cnt;
	conn.timeout = 12; /* 17 ms */
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	/* A QP in RESET drops what comes. */
	assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
	timeouts = rig_counter("ack_timeout");
	packets = rig_counter("retried_pkts");
	sge = buf_sge(&from, 0, 64);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	wr.wr_id = 1;
	second = wr;
	second.wr_id = 2;
	/* One doorbell: no timer can run between them. */
	wr.next = &second;
	end_post(&pair.a, &wr);
	assert_int_equal(cq_expect(pair.a.scq, IBV_WC_RETRY_EXC_ERR).wr_id, 1);
	assert_int_equal(cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR).wr_id, 2);
	end_await_state(&pair.a, IBV_QPS_ERR);
	/* The last timeout is the one that gives up; a retry sends both packets. */
	if (!rig_is_stock()) {
		assert_int_equal(rig_counter("ack_timeout") - timeouts, retry_cnt + 1);
		assert_int_equal(rig_counter("retried_pkts") - packets, 2 * retry_cnt);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void no_retry(void **state)
{
	(void)state;
	silent_peer(0);
}

static void some_retries(void **state)
{
	(void)state;
	silent_peer(3);
}

static void seven_means_seven(void **state)
{
	(void)state;
	if (rig_is_stock())
		skip_because("the stock driver takes 7 for infinite");
	silent_peer(7);
}

TEST_MAIN(TEST(no_retry), TEST(some_retries), TEST(seven_means_seven))
