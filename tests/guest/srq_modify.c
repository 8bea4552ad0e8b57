// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* SRQ attributes: what was asked for is there, a resized queue keeps its receives in order, nonsense is refused. */
#include "pair.h"

static void resize_keeps_receives(void **state)
{
	struct ibv_srq_attr attr;
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	(void)state;
	conn.srq_b = true;
	conn.recv_wr = 8;
	pair_open(&pair, &conn);
	if (!(pair.rig.attr.orig_attr.device_cap_flags & IBV_DEVICE_SRQ_RESIZE))
		skip_because("the device does not resize SRQs");
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, 16);
	for (i = 0; i < 6; i++)
		end_post_recv(&pair.b, i, &sge, 1);
	attr.max_wr = 200;
	assert_zero(ibv_modify_srq(pair.b.srq, &attr, IBV_SRQ_MAX_WR));
	assert_zero(ibv_query_srq(pair.b.srq, &attr));
	assert_true(attr.max_wr >= 200);
	for (i = 6; i < 100; i++)
		end_post_recv(&pair.b, i, &sge, 1);
	for (i = 0; i < 100; i++) {
		struct ibv_sge src = buf_sge(&from, 0, 16);
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &src, 1);

		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		assert_int_equal(cq_success(pair.b.rcq).wr_id, i);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void limit_above_size_is_refused(void **state)
{
	struct ibv_srq_attr attr;
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	conn.srq_b = true;
	pair_open(&pair, &conn);
	assert_zero(ibv_query_srq(pair.b.srq, &attr));
	assert_true(attr.max_wr >= conn.recv_wr && attr.max_sge >= conn.sge);
	attr.srq_limit = attr.max_wr + 1;
	assert_int_not_equal(ibv_modify_srq(pair.b.srq, &attr, IBV_SRQ_LIMIT), 0);
	pair_close(&pair);
}

TEST_MAIN(TEST(resize_keeps_receives), TEST(limit_above_size_is_refused))
