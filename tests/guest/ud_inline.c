// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* UD with inline data: the buffer may be reused as soon as the request is posted. */
#include "pair.h"

static void inline_datagrams(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge src, dst;
	struct pair pair;
	uint8_t text[64];
	struct buf to;
	int i;

	(void)state;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 104, 0, ACCESS_ALL);
	for (i = 0; i <= 64; i++) {
		dst = buf_sge(&to, 0, 104);
		end_post_recv(&pair.b, i, &dst, 1);
		pattern_fill(text, sizeof(text), i, 0);
		src = (struct ibv_sge){ (uintptr_t)text, i, 0 };
		wr = wr_make(IBV_WR_SEND, &src, 1);
		wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
		wr.send_flags |= IBV_SEND_INLINE;
		end_post(&pair.a, &wr);
		memset(text, 0, sizeof(text));
		cq_success(pair.a.scq);
		assert_int_equal(cq_success(pair.b.rcq).byte_len, 40 + i);
		pattern_check(to.data + 40, i, i, 0, "an inline datagram");
	}
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(inline_datagrams))
