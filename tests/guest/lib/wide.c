// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "wide.h"
#include "netdev.h"
#include "netem.h"

#define GSO    "/sys/module/rxe_odp/parameters/gso"
#define ICRC   "/sys/module/rxe_odp/parameters/icrc"
#define FRAMES "/sys/module/rxe_odp/parameters/frames"

static char gso_was[8], icrc_was[8], frames_was[8];

int wide_set_up(void **state)
{
	(void)state;
	read_text(GSO, gso_was, sizeof(gso_was));
	read_text(ICRC, icrc_was, sizeof(icrc_was));
	read_text(FRAMES, frames_was, sizeof(frames_was));
	return write_text(GSO, "Y") || write_text(ICRC, "N") || write_text(FRAMES, "N");
}

int wide_tear_down(void **state)
{
	int saved, err;

	(void)state;
	netem_end();
	netdev_set_feature("veth0", WIDE_FEATURE, true);
	saved = netns_enter_peer();
	netdev_set_feature("veth1", WIDE_FEATURE, true);
	netns_leave(saved);
	err = write_text(GSO, gso_was);
	err |= write_text(ICRC, icrc_was);
	return err | write_text(FRAMES, frames_was);
}

int wide_set_up_frames(void **state)
{
	return wide_set_up(state) || write_text(ICRC, "Y") || write_text(FRAMES, "Y");
}

void wide_allow_frames(bool allow)
{
	assert_zero(write_text(FRAMES, allow ? "Y" : "N"));
}

void wide_allow_no_icrc(bool allow)
{
	assert_zero(write_text(ICRC, allow ? "N" : "Y"));
}

void wide_allow(bool allow)
{
	assert_zero(write_text(GSO, allow ? "Y" : "N"));
}

struct conn wide_conn(bool wire, enum ibv_mtu mtu, bool ipv6)
{
	struct conn conn = CONN;

	conn.wire = wire;
	conn.mtu = mtu;
	conn.ipv6 = ipv6;
	/* 8.6 s: what is sent again after the machine has stood still may come out of order. */
	conn.timeout = 21;
	return conn;
}

void wide_open_on(struct wide *wide, const struct conn *conn, const char *netdev)
{
	pair_open(&wide->pair, conn);
	buf_make(&wide->a, wide->pair.a.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	buf_make(&wide->b, wide->pair.b.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	sniff_open(&wide->sniff, netdev);
}

void wide_open(struct wide *wide, const struct conn *conn)
{
	wide_open_on(wide, conn, conn->wire ? "veth0" : "lo");
}

void wide_close(struct wide *wide)
{
	sniff_close(&wide->sniff);
	buf_free(&wide->a);
	buf_free(&wide->b);
	pair_close(&wide->pair);
}

void wide_widest(struct wide *wide, unsigned int *request, unsigned int *response)
{
	struct sniffed packet;
	unsigned int *widest;

	*request = 1;
	*response = 1;
	while (sniff_next(&wide->sniff, &packet)) {
		/* Probes are no data. */
		if (!packet.roce || packet.opcode >= 0xc0)
			continue;
		if (packet.dest_qpn == wide->pair.b.qp->qp_num && packet.opcode < 0x0d)
			wide->next_psn = (packet.psn + packet.psns) & 0xffffff;
		widest = packet.opcode >= 0x0d && packet.opcode <= 0x10 ? response : request;
		if (packet.psns > *widest)
			*widest = packet.psns;
	}
}

void wide_widest_of_64k(struct wide *wide, unsigned int *request, unsigned int *response)
{
	wide_widest(wide, request, response);
	pair_move_checked(&wide->pair, OP_WRITE, &wide->a, &wide->b, 1);
	pair_move_checked(&wide->pair, OP_READ, &wide->a, &wide->b, 2);
	wide_widest(wide, request, response);
}

/*
 * Whoever asks whether they arrive is answered by the wire first, one kind of packets after the other. Where the machine stands still
 * an answer is late, which is a loss, and after some in a row a connection has plain packets for minutes: another one begins anew.
 */
void wide_await(struct wide *wide, bool is_wide)
{
	double end = seconds() + BOUND_S, again = seconds() + BOUND_S / 10;
	unsigned int request = 0, response = 0;

	do {
		if (seconds() > end)
			fail_because("packets %s wide still: requests have %u PSNs, answers %u",
				     is_wide ? "are not" : "are", request, response);
		if (is_wide && seconds() > again) {
			pair_reconnect(&wide->pair);
			again = seconds() + BOUND_S / 10;
		}
		wide_widest_of_64k(wide, &request, &response);
	} while ((request > 1) != is_wide || (response > 1) != is_wide);
}

void wide_until_counted(const char *qdisc, const char *counter, int access)
{
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	long before = rig_counter(counter);
	double end = seconds() + BOUND_S;
	struct wide wide;

	conn.timeout = 14;
	do {
		if (seconds() > end)
			fail_because("%s: %s does not grow", qdisc, counter);
		wide_open(&wide, &conn);
		wide_await(&wide, true);
		if (!wire_shape(qdisc))
			fail_because("no %s", qdisc);
		pair_move_every(&wide.pair, 300001, access, 1);
		netem_end();
		wide_close(&wide);
	} while (rig_counter(counter) == before);
}

void wide_some_are_lost(void **state)
{
	wide_until_counted("netem loss 10%", "retried_pkts", *state ? IBV_ACCESS_ON_DEMAND : 0);
}

void wide_some_come_twice(void **state)
{
	(void)state;
	wide_until_counted("netem duplicate 20%", "duplicate_request", 0);
}

void wide_some_overtake_others(void **state)
{
	(void)state;
	wide_until_counted("netem delay 1ms reorder 75% 25%", "out_of_seq_request", 0);
}
