// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Inline data: taken when it is posted, needs no lkey, and more than the QP allows is refused at once. */
#include "pair.h"

static void buffer_may_be_reused(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge[2];
	char text[64];
	struct buf to;
	struct pair pair;
	int i, odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64 * 16, 4000, ACCESS_ALL | odp);
	for (i = 0; i < 16; i++) {
		pattern_fill(text, 64, 3, i * 64);
		sge[0] = (struct ibv_sge){ (uintptr_t)text, 23, 0xdead };
		sge[1] = (struct ibv_sge){ (uintptr_t)text + 23, 41, 0xbeef };
		wr = wr_rdma(IBV_WR_RDMA_WRITE, sge, 2, &to, i * 64);
		wr.send_flags |= IBV_SEND_INLINE;
		end_post(&pair.a, &wr);
		memset(text, 0xee, sizeof(text));
	}
	for (i = 0; i < 16; i++)
		cq_success(pair.a.scq);
	pattern_check(to.data, 64 * 16, 3, 0, "inline writes");
	buf_free(&to);
	pair_close(&pair);
}

static void send_inline(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge, dst;
	char text[33];
	struct buf to;
	struct pair pair;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 4000, ACCESS_ALL | odp);
	memset(to.data, 0, 64);
	dst = buf_sge(&to, 0, 64);
	end_post_recv(&pair.b, 1, &dst, 1);
	pattern_fill(text, sizeof(text), 8, 0);
	sge = (struct ibv_sge){ (uintptr_t)text, sizeof(text), 0 };
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	wr.send_flags |= IBV_SEND_INLINE;
	end_post(&pair.a, &wr);
	memset(text, 0, sizeof(text));
	cq_success(pair.a.scq);
	assert_int_equal(cq_success(pair.b.rcq).byte_len, 33);
	pattern_check(to.data, 33, 8, 0, "an inline send");
	assert_int_equal(to.data[33], 0);
	buf_free(&to);
	pair_close(&pair);
}

static void too_much_is_refused(void **state)
{
	struct ibv_qp_init_attr init;
	struct ibv_send_wr wr, *bad;
	struct conn conn = CONN;
	struct ibv_qp_attr attr;
	struct ibv_sge sge;
	struct pair pair;
	struct buf to;
	char *text;

	(void)state;
	pair_open(&pair, &conn);
	assert_zero(ibv_query_qp(pair.a.qp, &attr, IBV_QP_CAP, &init));
	assert_true(init.cap.max_inline_data >= conn.inline_bytes);
	text = calloc(1, init.cap.max_inline_data + 1);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	sge = (struct ibv_sge){ (uintptr_t)text, init.cap.max_inline_data + 1, 0 };
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	wr.send_flags |= IBV_SEND_INLINE;
	assert_int_not_equal(ibv_post_send(pair.a.qp, &wr, &bad), 0);
	cq_assert_empty(pair.a.scq);
	pair_assert_works(&pair);
	free(text);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(buffer_may_be_reused), TEST_BOTH(send_inline), TEST(too_much_is_refused))
