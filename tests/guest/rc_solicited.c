// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A CQ armed for solicited completions is silent on others, and speaks on a solicited one and on an error. */
#include "event.h"

static void send_one(struct pair *pair, struct buf *from, struct buf *to, unsigned int flags)
{
	struct ibv_sge src = buf_sge(from, 0, 16), dst = buf_sge(to, 0, 16);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &src, 1);

	end_post_recv(&pair->b, 1, &dst, 1);
	wr.send_flags |= flags;
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
}

static void only_solicited(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	assert_zero(ibv_req_notify_cq(pair.b.rcq, 1));
	send_one(&pair, &from, &to, 0);
	cq_success(pair.b.rcq);
	assert_false(cq_event(pair.b.channel, pair.b.rcq, 200));
	send_one(&pair, &from, &to, IBV_SEND_SOLICITED);
	assert_true(cq_event(pair.b.channel, pair.b.rcq, BOUND_S * 1000));
	cq_success(pair.b.rcq);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* C11-31: an unsuccessful completion counts as solicited. */
static void errors_too(void **state)
{
	struct conn conn = CONN;
	struct pair pair;
	struct ibv_sge sge;
	struct buf to;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, 16);
	end_post_recv(&pair.b, 1, &sge, 1);
	assert_zero(ibv_req_notify_cq(pair.b.rcq, 1));
	assert_zero(end_set_state(&pair.b, IBV_QPS_ERR));
	assert_true(cq_event(pair.b.channel, pair.b.rcq, BOUND_S * 1000));
	cq_expect(pair.b.rcq, IBV_WC_WR_FLUSH_ERR);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(only_solicited), TEST(errors_too))
