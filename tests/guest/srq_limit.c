// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The SRQ's limit: one event when fewer receives than that are left, then none until it is armed again. */
#include "event.h"

static void one_event(void **state)
{
	struct ibv_srq_attr attr = { .srq_limit = 3 };
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	(void)state;
	conn.srq_b = true;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, 16);
	for (i = 0; i < 5; i++)
		end_post_recv(&pair.b, i, &sge, 1);
	assert_zero(ibv_modify_srq(pair.b.srq, &attr, IBV_SRQ_LIMIT));
	assert_zero(ibv_query_srq(pair.b.srq, &attr));
	assert_int_equal(attr.srq_limit, 3);
	/* pair_move posts one receive for each it uses: only sends consume here. */
	for (i = 0; i < 4; i++) {
		struct ibv_sge src = buf_sge(&from, 0, 16);
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &src, 1);

		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		cq_success(pair.b.rcq);
		if (i < 2)
			assert_false(async_any(pair.b.rig->ctx, 50, &event));
	}
	event = async_expect(pair.b.rig->ctx, IBV_EVENT_SRQ_LIMIT_REACHED);
	assert_ptr_equal(event.element.srq, pair.b.srq);
	assert_false(async_any(pair.b.rig->ctx, 100, &event));
	assert_zero(ibv_query_srq(pair.b.srq, &attr));
	assert_int_equal(attr.srq_limit, 0);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(one_event))
