// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion notification: armed once gives one event, not armed gives none, armed between poll and wait loses
 * nothing (a ping-pong that only ever sleeps on events).
 */
#include "event.h"

static void post_one(struct pair *pair, struct buf *from, struct buf *to)
{
	struct ibv_sge sge = buf_sge(from, 0, 8);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, to, 0);

	end_post(&pair->a, &wr);
}

static void one_event_for_one_arming(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	post_one(&pair, &from, &to);
	cq_success(pair.a.scq);
	assert_false(cq_event(pair.a.channel, pair.a.scq, 50));
	assert_zero(ibv_req_notify_cq(pair.a.scq, 0));
	post_one(&pair, &from, &to);
	assert_true(cq_event(pair.a.channel, pair.a.scq, BOUND_S * 1000));
	cq_success(pair.a.scq);
	post_one(&pair, &from, &to);
	cq_success(pair.a.scq);
	assert_false(cq_event(pair.a.channel, pair.a.scq, 50));
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* Arm, poll, and only then sleep: the idiom of every program. It must not need the poll to find late ones. */
static void wait_by_events(struct end *end, struct ibv_cq *cq)
{
	struct ibv_wc wc;
	int n;

	for (;;) {
		n = ibv_poll_cq(cq, 1, &wc);
		if (n == 0) {
			assert_zero(ibv_req_notify_cq(cq, 0));
			n = ibv_poll_cq(cq, 1, &wc);
		}
		if (n == 1) {
			assert_int_equal(wc.status, IBV_WC_SUCCESS);
			return;
		}
		if (!cq_event(end->channel, cq, BOUND_S * 1000))
			fail_because("the event was lost");
	}
}

static void ping_pong(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct pair pair;
	int i;

	(void)state;
	pair_open(&pair, &conn);
	end_post_recv(&pair.b, 1, NULL, 0);
	for (i = 0; i < 300; i++) {
		end_post_recv(&pair.a, 1, NULL, 0);
		wr = wr_make(IBV_WR_SEND, NULL, 0);
		end_post(&pair.a, &wr);
		wait_by_events(&pair.b, pair.b.rcq);
		end_post_recv(&pair.b, 1, NULL, 0);
		wr = wr_make(IBV_WR_SEND, NULL, 0);
		end_post(&pair.b, &wr);
		/* The send queues' completions are polled, so that the channel speaks of the receives alone. */
		cq_success(pair.a.scq);
		cq_success(pair.b.scq);
		wait_by_events(&pair.a, pair.a.rcq);
	}
	pair_close(&pair);
}

TEST_MAIN(TEST(one_event_for_one_arming), TEST(ping_pong))
