// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UD with on-demand-paging memory that is cold: a send waits for its pages; a receive holds the datagram while it
 * faults, up to a bound, so one datagram into cold memory is not lost.
 */
#include "pair.h"

#define GRH   40UL
#define BYTES 4000UL

static void cold(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge src, dst;
	struct buf from, to;
	struct pair pair;
	int i;

	(void)state;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV);
	for (i = 0; i < 8; i++) {
		buf_make(&from, pair.a.rig->pd, MEM_SHARED, BYTES, 4000 + i,
			 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES + GRH, 4080 + i,
			 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		/* In the page cache, and in no page table of this mapping. */
		pattern_fill(from.alias + from.guard_before, BYTES, i, 0);
		src = buf_sge(&from, 0, BYTES);
		dst = buf_sge(&to, 0, BYTES + GRH);
		end_post_recv(&pair.b, 1, &dst, 1);
		wr = wr_make(IBV_WR_SEND, &src, 1);
		wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		assert_int_equal(cq_success(pair.b.rcq).byte_len, BYTES + GRH);
		pattern_check(to.data + GRH, BYTES, i, 0, "a datagram into cold memory");
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

TEST_MAIN(TEST(cold))
