// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The service level in the completion of a datagram tells RoCEv2 over IPv4 (10) from IPv6 (9), as hardware does; an address
 * handle that is made from the completion leads back all the same, and other completions say 0.
 */
#include "pair.h"

#define GRH	40UL
#define SL_IPV4 10
#define SL_IPV6 9

static void answered(void **state, bool wire, bool ipv6)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr, *bad;
	struct ibv_sge src, dst;
	struct buf from, to;
	struct pair pair;
	struct ibv_wc wc;

	(void)state;
	conn.type = IBV_QPT_UD;
	conn.wire = wire;
	conn.ipv6 = ipv6;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64 + GRH, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64 + GRH, 0, ACCESS_ALL);
	src = buf_sge(&from, GRH, 64);
	dst = buf_sge(&to, 0, 64 + GRH);
	end_post_recv(&pair.b, 1, &dst, 1);
	wr = wr_make(IBV_WR_SEND, &src, 1);
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	end_post(&pair.a, &wr);
	assert_int_equal(cq_success(pair.a.scq).sl, 0);
	wc = cq_success(pair.b.rcq);
	assert_int_equal(wc.sl, ipv6 ? SL_IPV6 : SL_IPV4);

	pattern_fill(to.data + GRH, 64, 5, 0);
	src = buf_sge(&to, GRH, 64);
	dst = buf_sge(&from, 0, 64 + GRH);
	end_post_recv(&pair.a, 2, &dst, 1);
	wr = wr_make(IBV_WR_SEND, &src, 1);
	wr.wr.ud.ah = ibv_create_ah_from_wc(pair.b.rig->pd, &wc, (struct ibv_grh *)to.data, 1);
	if (!wr.wr.ud.ah)
		fail_because("no address handle from the completion: %s", strerror(errno));
	wr.wr.ud.remote_qpn = wc.src_qp;
	wr.wr.ud.remote_qkey = UD_QKEY;
	assert_zero(ibv_post_send(pair.b.qp, &wr, &bad));
	cq_success(pair.b.scq);
	wc = cq_success(pair.a.rcq);
	assert_int_equal(wc.sl, ipv6 ? SL_IPV6 : SL_IPV4);
	pattern_check(from.data + GRH, 64, 5, 0, "the answer");
	assert_zero(ibv_destroy_ah(wr.wr.ud.ah));
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void ipv4(void **state)
{
	answered(state, false, false);
}

static void ipv6(void **state)
{
	answered(state, false, true);
}

static void ipv4_wire(void **state)
{
	answered(state, true, false);
}

static void ipv6_wire(void **state)
{
	answered(state, true, true);
}

static void connected_says_0(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge src, dst;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	src = buf_sge(&from, 0, 64);
	dst = buf_sge(&to, 0, 64);
	end_post_recv(&pair.b, 1, &dst, 1);
	wr = wr_make(IBV_WR_SEND, &src, 1);
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	assert_int_equal(cq_success(pair.b.rcq).sl, 0);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(ipv4), TEST(ipv6), TEST(ipv4_wire), TEST(ipv6_wire), TEST(connected_says_0))
