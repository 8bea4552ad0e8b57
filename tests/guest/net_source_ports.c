// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UDP source ports: by the QP numbers of both ends, as the kernel's rdma_get_udp_sport() has it, so that the network
 * spreads the flows of many queue pairs; by the flow label where there is one.
 */
#include "pair.h"
#include "sniff.h"

#define PAIRS	  64
#define FEW	  4
#define SPREAD	  50 /* of 64 */
#define GRH_BYTES 40
#define LABEL	  0xabcde

struct many {
	struct rig rig, peer;
	int pairs;
	struct end a[PAIRS], b[PAIRS];
};

static uint16_t port_of_label(uint32_t label)
{
	return 0xc000 | ((label & 0x3fff) ^ label >> 14);
}

static uint16_t port_of_qpns(uint32_t one, uint32_t other)
{
	uint64_t v = (uint64_t)one * other;

	v ^= v >> 20;
	v ^= v >> 40;
	return port_of_label(v & 0xfffff);
}

static void many_open(struct many *m, const struct conn *conn)
{
	int i;

	m->pairs = conn->flow_label ? FEW : PAIRS;
	rig_open(&m->rig);
	if (conn->wire)
		rig_open_peer(&m->peer);
	for (i = 0; i < m->pairs; i++)
		ends_open(&m->a[i], &m->rig, &m->b[i], conn->wire ? &m->peer : &m->rig, conn);
}

static void many_close(struct many *m, const struct conn *conn)
{
	int i;

	for (i = 0; i < m->pairs; i++) {
		end_close(&m->a[i]);
		end_close(&m->b[i]);
	}
	if (conn->wire)
		rig_close(&m->peer);
	rig_close(&m->rig);
}

/* One message from each a to its b. With an address handle of the first one for all: they share it. */
static void send_one_each(struct many *m, const struct conn *conn)
{
	bool ud = conn->type == IBV_QPT_UD;
	struct ibv_sge from_sge, to_sge;
	struct ibv_send_wr wr, *bad;
	struct buf from, to;
	int i;

	buf_make(&from, m->a[0].rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&to, m->b[0].rig->pd, MEM_ANON, GRH_BYTES + 8, 0, ACCESS_ALL);
	from_sge = buf_sge(&from, 0, 8);
	to_sge = buf_sge(&to, 0, to.bytes);
	for (i = 0; i < m->pairs; i++) {
		end_post_recv(&m->b[i], i, &to_sge, 1);
		wr = wr_make(IBV_WR_SEND, &from_sge, 1);
		if (ud) {
			wr.wr.ud.ah = m->a[0].ah;
			wr.wr.ud.remote_qpn = m->b[i].qp->qp_num;
			wr.wr.ud.remote_qkey = UD_QKEY;
		}
		assert_zero(ibv_post_send(m->a[i].qp, &wr, &bad));
		cq_success(m->a[i].scq);
		cq_success(m->b[i].rcq);
	}
	buf_free(&from);
	buf_free(&to);
}

static int pair_of(const struct many *m, uint32_t dest_qpn)
{
	int i;

	for (i = 0; i < m->pairs; i++)
		if (m->a[i].qp->qp_num == dest_qpn || m->b[i].qp->qp_num == dest_qpn)
			return i;
	fail_because("a packet to QP %u, which is none of ours", dest_qpn);
}

/* Every packet, answers too, has the port of its pair; returns how many ports there are. */
static unsigned int check_ports(const struct many *m, const struct conn *conn, struct sniff *sniff)
{
	static bool seen[1 << 16];
	struct sniffed packet;
	unsigned int ports = 0;
	int i, packets = 0;

	memset(seen, 0, sizeof(seen));
	while (sniff_next(sniff, &packet)) {
		if (!packet.roce)
			continue;
		i = pair_of(m, packet.dest_qpn);
		if (conn->flow_label)
			assert_int_equal(packet.src_port, port_of_label(conn->flow_label));
		else
			assert_int_equal(packet.src_port,
					 port_of_qpns(m->a[i].qp->qp_num, m->b[i].qp->qp_num));
		if (!seen[packet.src_port])
			ports++;
		seen[packet.src_port] = true;
		packets++;
	}
	assert_true(packets >= m->pairs * (conn->type == IBV_QPT_UD ? 1 : 2));
	printf("%d packets, %u ports\n", packets, ports);
	return ports;
}

static void open_sniff(struct sniff *sniff, bool wire)
{
	int saved;

	if (!wire) {
		/* Both ends are on one device: numbers 2i and 2i + 1, and the packets go by lo. */
		sniff_open(sniff, "lo");
		return;
	}
	saved = netns_enter_peer();
	assert_true(saved >= 0);
	sniff_open(sniff, "veth1");
	netns_leave(saved);
}

static void run(enum ibv_qp_type type, bool wire, bool ipv6, uint32_t flow_label)
{
	static struct many many;
	struct conn conn = CONN;
	struct sniff sniff;
	unsigned int ports;

	conn.type = type;
	conn.wire = wire;
	conn.ipv6 = ipv6;
	conn.flow_label = flow_label;
	many_open(&many, &conn);
	open_sniff(&sniff, wire);
	send_one_each(&many, &conn);
	ports = check_ports(&many, &conn, &sniff);
	if (flow_label)
		assert_int_equal(ports, 1);
	else
		assert_in_range(ports, SPREAD, PAIRS);
	sniff_close(&sniff);
	many_close(&many, &conn);
}

static void rc(void **state)
{
	(void)state;
	run(IBV_QPT_RC, true, false, 0);
}

static void rc_one_device(void **state)
{
	(void)state;
	run(IBV_QPT_RC, false, false, 0);
}

static void ud(void **state)
{
	(void)state;
	run(IBV_QPT_UD, true, false, 0);
}

static void ud_one_device(void **state)
{
	(void)state;
	run(IBV_QPT_UD, false, false, 0);
}

static void flow_label(void **state)
{
	(void)state;
	run(IBV_QPT_RC, true, false, LABEL);
	run(IBV_QPT_RC, true, true, LABEL);
	run(IBV_QPT_UD, true, false, LABEL);
	run(IBV_QPT_UD, true, true, LABEL);
}

TEST_MAIN(TEST(rc), TEST(rc_one_device), TEST(ud), TEST(ud_one_device), TEST(flow_label))
