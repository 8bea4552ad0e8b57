// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UD: datagrams up to the MTU arrive behind 40 bytes of GRH; what fits no receive, or has a wrong Q_Key, is dropped; the first
 * one is no event.
 */
#include "event.h"

#define GRH 40UL

static const size_t lengths[] = { 0, 1, 3, 255, 1000, 1024, 2048, 4096 };

static void ud_conn(struct conn *conn, bool wire)
{
	*conn = CONN;
	conn->type = IBV_QPT_UD;
	conn->wire = wire;
}

static struct ibv_wc datagram(struct pair *pair, struct buf *from, struct buf *to, size_t bytes,
			      bool imm)
{
	struct ibv_sge src = buf_sge(from, 0, bytes), dst = buf_sge(to, 0, GRH + bytes);
	struct ibv_send_wr wr = wr_make(imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND, &src, 1);
	struct ibv_wc wc;

	wr.wr.ud.remote_qpn = pair->b.qp->qp_num;
	wr.imm_data = 0x12345678;
	end_post_recv(&pair->b, bytes, &dst, 1);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	wc = cq_success(pair->b.rcq);
	assert_int_equal(wc.byte_len, GRH + bytes);
	assert_int_equal(wc.wr_id, bytes);
	assert_int_equal(wc.src_qp, pair->a.qp->qp_num);
	assert_true(wc.wc_flags & IBV_WC_GRH);
	assert_int_equal(!!(wc.wc_flags & IBV_WC_WITH_IMM), imm);
	if (imm)
		assert_int_equal(wc.imm_data, 0x12345678);
	return wc;
}

static void run(void **state, bool wire, bool ipv6)
{
	struct buf from, to;
	struct conn conn;
	struct pair pair;
	size_t i;
	int odp;

	ud_conn(&conn, wire);
	conn.ipv6 = ipv6;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	if (odp)
		rig_need_odp(&pair.rig, 0, IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV);
	for (i = 0; i < 2 * ARRAY_SIZE(lengths); i++) {
		size_t bytes = lengths[i / 2];

		buf_make(&from, pair.a.rig->pd, MEM_ANON, 4096, 3 * i, ACCESS_ALL | odp);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, 4096 + GRH, 4090 + i, ACCESS_ALL | odp);
		pattern_fill(from.data, 4096, i, 0);
		memset(to.data, 0, to.bytes);
		datagram(&pair, &from, &to, bytes, i % 2);
		pattern_check(to.data + GRH, bytes, i, 0, "a datagram");
		if (ipv6) {
			assert_int_equal(to.data[0] >> 4, 6);
			assert_memory_equal(to.data + 8, pair.a.gid.raw, 16);
			assert_memory_equal(to.data + 24, pair.b.gid.raw, 16);
		} else {
			/* Annex A17: the IPv4 header is the last 20 of the 40 bytes. */
			assert_int_equal(to.data[20], 0x45);
			assert_memory_equal(to.data + 32, pair.a.gid.raw + 12, 4);
			assert_memory_equal(to.data + 36, pair.b.gid.raw + 12, 4);
		}
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

static void ipv4(void **state)
{
	run(state, false, false);
}
static void ipv6(void **state)
{
	run(state, false, true);
}
static void ipv4_wire(void **state)
{
	run(state, true, false);
}
static void ipv6_wire(void **state)
{
	run(state, true, true);
}

static void wrong_qkey_is_dropped(void **state)
{
	struct ibv_send_wr wr, *bad;
	struct buf from, to;
	struct ibv_sge sge;
	struct conn conn;
	struct pair pair;

	(void)state;
	ud_conn(&conn, false);
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64 + GRH, 0, ACCESS_ALL);
	pattern_fill(to.data, to.bytes, 3, 0);
	sge = buf_sge(&from, 0, 64);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	wr.wr.ud.ah = pair.a.ah;
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	wr.wr.ud.remote_qkey = UD_QKEY + 1;
	assert_zero(ibv_post_send(pair.a.qp, &wr, &bad));
	cq_success(pair.a.scq);
	/* The next one, with the right key, finds the same receive. */
	datagram(&pair, &from, &to, 8, false);
	cq_assert_empty(pair.b.rcq);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* No receive: dropped, and the sender never learns of it. */
static void no_receive_is_dropped(void **state)
{
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct conn conn;
	struct pair pair;

	(void)state;
	ud_conn(&conn, false);
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64 + GRH, 0, ACCESS_ALL);
	sge = buf_sge(&from, 0, 64);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	pattern_fill(from.data, 64, 9, 0);
	/*
	 * The dropped datagram may still be under way when the receive is posted; what counts is that
	 * both ends go on.
	 */
	cq_poll_bounded(pair.b.rcq, &(struct ibv_wc){ 0 }, 0.2);
	datagram(&pair, &from, &to, 64, false);
	pattern_check(to.data + GRH, 64, 9, 0, "a datagram after a dropped one");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* The event is raised before the datagram is received, so it would be there. */
static void no_communication_is_established(void **state)
{
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct buf to;

	(void)state;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 40, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, 40);
	assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
	assert_zero(end_to_init(&pair.b, &conn));
	end_post_recv(&pair.b, 1, &sge, 1);
	assert_zero(end_to_rtr(&pair.b, &pair.a, &conn));
	wr = wr_make(IBV_WR_SEND, NULL, 0);
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	cq_success(pair.b.rcq);
	if (async_any(pair.b.rig->ctx, 0, &event))
		fail_because("an event: %s", ibv_event_type_str(event.event_type));
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(ipv4), TEST_BOTH(ipv6), TEST_BOTH(ipv4_wire), TEST_BOTH(ipv6_wire),
	  TEST(wrong_qkey_is_dropped), TEST(no_receive_is_dropped),
	  TEST(no_communication_is_established))
