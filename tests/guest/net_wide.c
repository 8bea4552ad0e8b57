// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Wide packets, which have the payload of several where they do not leave this kernel: every operation and length is right over
 * both families, several path MTUs, veth and lo, also where pages are missing or go; a netdev that does not carry them, or
 * changes or loses some, gets what it carries and the message arrives all the same; nobody else makes one.
 */
#include "discard.h"
#include "netdev.h"
#include "netem.h"
#include "pair.h"
#include "roce.h"
#include "sniff.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#define GSO  "/sys/module/rxe_odp/parameters/gso"
#define ICRC "/sys/module/rxe_odp/parameters/icrc"
/* What a netdev has to have to carry what is longer than its MTU. */
#define FEATURE "tx-sctp-segmentation"
/* Of a wide packet, at most. */
#define WIDE_BYTES (28 * KIB)

static const struct {
	enum ibv_mtu mtu;
	size_t bytes;
} mtus[] = { { IBV_MTU_256, 256 }, { IBV_MTU_1024, 1024 }, { IBV_MTU_4096, 4096 } };

static char gso_was[8], icrc_was[8];

static int set_up(void **state)
{
	(void)state;
	read_text(GSO, gso_was, sizeof(gso_was));
	read_text(ICRC, icrc_was, sizeof(icrc_was));
	return write_text(GSO, "Y") || write_text(ICRC, "N");
}

static int tear_down(void **state)
{
	int saved;

	(void)state;
	netem_end();
	netdev_set_feature("veth0", FEATURE, true);
	saved = netns_enter_peer();
	netdev_set_feature("veth1", FEATURE, true);
	netns_leave(saved);
	return write_text(GSO, gso_was) || write_text(ICRC, icrc_was);
}

static struct conn connection(bool wire, enum ibv_mtu mtu, bool ipv6)
{
	struct conn conn = CONN;

	conn.wire = wire;
	conn.mtu = mtu;
	conn.ipv6 = ipv6;
	/* 8.6 s: what is sent again after the machine has stood still may come out of order. */
	conn.timeout = 21;
	return conn;
}

struct bed {
	struct pair pair;
	struct buf a, b; /* pinned, for what is moved to see how */
	struct sniff sniff;
};

static void bed_open(struct bed *bed, const struct conn *conn)
{
	pair_open(&bed->pair, conn);
	buf_make(&bed->a, bed->pair.a.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	buf_make(&bed->b, bed->pair.b.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	sniff_open(&bed->sniff, conn->wire ? "veth0" : "lo");
}

static void bed_close(struct bed *bed)
{
	sniff_close(&bed->sniff);
	buf_free(&bed->a);
	buf_free(&bed->b);
	pair_close(&bed->pair);
}

/* The most PSNs of a packet that went by since this was asked the last time, of requests and of answers. */
static void widest(struct bed *bed, unsigned int *request, unsigned int *response)
{
	struct sniffed packet;

	*request = 1;
	*response = 1;
	while (sniff_next(&bed->sniff, &packet)) {
		/* Probes are no data. */
		if (!packet.roce || packet.opcode >= 0xc0 || packet.psns == 1)
			continue;
		if (packet.opcode >= 0x0d && packet.opcode <= 0x10)
			*response = packet.psns > *response ? packet.psns : *response;
		else
			*request = packet.psns > *request ? packet.psns : *request;
	}
}

/* Of 64 KiB that are written, and read. */
static void widest_of_64k(struct bed *bed, unsigned int *request, unsigned int *response)
{
	widest(bed, request, response);
	pair_move_checked(&bed->pair, OP_WRITE, &bed->a, &bed->b, 1);
	pair_move_checked(&bed->pair, OP_READ, &bed->a, &bed->b, 2);
	widest(bed, request, response);
}

/* Whoever asks whether they arrive is answered by the wire first, one kind of packets after the other. */
static void await_wide(struct bed *bed, bool wide)
{
	double end = seconds() + BOUND_S;
	unsigned int request, response;

	do {
		if (seconds() > end)
			fail_because("packets are wide, or are not, still");
		widest_of_64k(bed, &request, &response);
	} while ((request > 1) != wide || (response > 1) != wide);
}

static void move(struct pair *pair, size_t bytes, int odp, uint32_t seed)
{
	struct buf from, to;
	enum op op;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, bytes, 3, ACCESS_ALL | odp);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, bytes, 40, ACCESS_ALL | odp);
	for (op = 0; op < OP_KINDS; op++)
		pair_move_checked(pair, op, &from, &to, seed + op);
	buf_free(&from);
	buf_free(&to);
}

static void every_length_over(bool wire, void **state)
{
	unsigned int i, k, ipv6, request, response;
	struct conn conn;
	struct bed bed;
	int odp;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		for (i = 0; i < ARRAY_SIZE(mtus); i++) {
			size_t mtu = mtus[i].bytes;
			const size_t lengths[] = { 1,
						   mtu + 1,
						   2 * mtu,
						   3 * mtu + 2,
						   WIDE_BYTES - 1,
						   WIDE_BYTES,
						   WIDE_BYTES + 1,
						   2 * WIDE_BYTES + mtu,
						   200001,
						   MIB };

			conn = connection(wire, mtus[i].mtu, ipv6);
			bed_open(&bed, &conn);
			odp = mode(&bed.pair.rig, state);
			await_wide(&bed, true);
			for (k = 0; k < ARRAY_SIZE(lengths); k++)
				move(&bed.pair, lengths[k], odp, k);
			widest(&bed, &request, &response);
			/* As wide as they may be; a READ is asked for in pieces of 64 PSNs. */
			assert_int_equal(request, WIDE_BYTES / mtu);
			assert_int_equal(response, mtu == 256 ? 64 : WIDE_BYTES / mtu);
			bed_close(&bed);
		}
	}
}

static void every_length(void **state)
{
	long gaps = rig_counter("out_of_seq_request"), bad = rig_counter("rx_icrc_encapsulated");

	every_length_over(true, state);
	every_length_over(false, state);
	assert_int_equal(rig_counter("rx_icrc_encapsulated"), bad);
	/* None was lost. For a page that is late packets come again. */
	if (!*state)
		assert_int_equal(rig_counter("out_of_seq_request"), gaps);
}

/* Pages go while messages are under way, so that wide packets meet some that are there and some that are not. */
static void pages_go(void **state)
{
	struct conn conn = connection(true, IBV_MTU_4096, false);
	struct discarder from_discard, to_discard;
	struct buf from, to;
	struct bed bed;
	unsigned int i;
	enum op op;

	(void)state;
	bed_open(&bed, &conn);
	rig_need_odp(&bed.pair.rig, 0, 0);
	await_wide(&bed, true);
	sniff_close(&bed.sniff);
	/* A file's pages come back as they were. */
	buf_make(&from, bed.pair.a.rig->pd, MEM_SHARED, 300001, 3,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, bed.pair.b.rig->pd, MEM_SHARED, 300001, 40,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	discard_begin(&from_discard, from.data, from.bytes, false);
	discard_begin(&to_discard, to.data, to.bytes, false);
	for (i = 0; i < 20; i++)
		for (op = 0; op < OP_KINDS; op++)
			pair_move_checked(&bed.pair, op, &from, &to, 7 * i + op);
	discard_end(&from_discard);
	discard_end(&to_discard);
	buf_free(&from);
	buf_free(&to);
	sniff_open(&bed.sniff, "veth0");
	await_wide(&bed, true);
	bed_close(&bed);
}

static void a_netdev_that_carries_none(void **state)
{
	struct conn conn = connection(true, IBV_MTU_4096, false);
	struct bed bed;

	(void)state;
	conn.timeout = 14;
	bed_open(&bed, &conn);
	await_wide(&bed, true);
	assert_true(netdev_set_feature("veth0", FEATURE, false));
	move(&bed.pair, MIB, 0, 1);
	await_wide(&bed, false);
	assert_false(netdev_set_feature("veth0", FEATURE, true));
	await_wide(&bed, true);
	bed_close(&bed);
}

/* On the way back: what is asked whether it arrives does not, and nothing that matters is lost. */
static void a_peer_that_carries_none(void **state)
{
	struct conn conn = connection(true, IBV_MTU_4096, false);
	unsigned int request, response, i;
	struct bed bed;
	long gaps;
	int saved;

	(void)state;
	saved = netns_enter_peer();
	netdev_set_feature("veth1", FEATURE, false);
	netns_leave(saved);
	gaps = rig_counter("out_of_seq_request");
	bed_open(&bed, &conn);
	for (i = 0; i < 100; i++) {
		widest_of_64k(&bed, &request, &response);
		assert_int_equal(request, 1);
		assert_int_equal(response, 1);
	}
	bed_close(&bed);
	assert_int_equal(rig_counter("out_of_seq_request"), gaps);
}

static void on_a_bad_wire(const char *options, void **state)
{
	struct conn conn = connection(true, IBV_MTU_1024, false);
	long before = rig_counter("retried_pkts");
	double end = seconds() + BOUND_S;
	struct bed bed;

	conn.timeout = 14;
	/* After a loss there are none for a while. */
	do {
		if (seconds() > end)
			fail_because("nothing was lost");
		bed_open(&bed, &conn);
		await_wide(&bed, true);
		if (!netem_begin(options))
			fail_because("no netem");
		move(&bed.pair, 300001, mode(&bed.pair.rig, state), 1);
		netem_end();
		bed_close(&bed);
	} while (rig_counter("retried_pkts") == before);
}

static void some_are_lost(void **state)
{
	on_a_bad_wire("loss 10%", state);
}

/* To spoil a byte of one netem takes it apart, which nobody can. */
static void some_are_spoilt(void **state)
{
	on_a_bad_wire("corrupt 10%", state);
}

/* Many datagrams that a program sends as one skb are datagrams where they arrive, and none of ours. */
static void segments_of_others(void **state)
{
	struct conn conn = connection(true, IBV_MTU_4096, false);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ROCE_PORT) };
	double end = seconds() + BOUND_S;
	int fd, segment = 1400;
	uint8_t bytes[14000];
	struct bed bed;
	unsigned int i;
	long bad;

	(void)state;
	bed_open(&bed, &conn);
	await_wide(&bed, true);
	memcpy(&to.sin_addr, bed.pair.b.gid.raw + 12, 4);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_zero(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)));
	/* Each a WRITE, of which the ICRC alone is wrong. */
	memset(bytes, 0, sizeof(bytes));
	for (i = 0; i < sizeof(bytes); i += segment)
		memcpy(bytes + i, "\x0a\x40\xff\xff", 4);
	bad = rig_counter("rx_icrc_encapsulated");
	for (i = 0; i < 16; i++)
		assert_int_equal(sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&to,
					sizeof(to)),
				 sizeof(bytes));
	close(fd);
	while (rig_counter("rx_icrc_encapsulated") != bad + 16 * 10)
		if (seconds() > end)
			fail_because("%ld of 160 datagrams came",
				     rig_counter("rx_icrc_encapsulated") - bad);
	move(&bed.pair, 300001, 0, 1);
	bed_close(&bed);
}

/* A packet with a right ICRC has one PSN, whatever its reserved bits say. */
static void reserved_bits_of_others(void **state)
{
	struct conn conn = connection(true, IBV_MTU_4096, false);
	struct buf from, to;
	struct ibv_send_wr wr;
	struct roce_path path;
	struct ibv_sge sge;
	struct pair pair;
	int fd;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	path = roce_path(&pair.a, &pair.b);
	fd = roce_user_socket(&path);

	/* In place of the first one of a, whose own is a duplicate then. */
	sge = buf_sge(&to, 0, 64);
	end_post_recv(&pair.b, 1, &sge, 1);
	end_post_recv(&pair.b, 2, &sge, 1);
	assert_zero(roce_user_send(fd, &path, ROCE_SEND_ONLY, pair.b.qp->qp_num,
				   pair.a.psn | 0x7f000000, NULL, 0, 8));
	assert_int_equal(cq_success(pair.b.rcq).wr_id, 1);
	sge = buf_sge(&from, 0, 8);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	/* The next is the one that is expected. */
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	assert_int_equal(cq_success(pair.b.rcq).wr_id, 2);
	close(fd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* clang-format off */
#define WIDE(fn)     { #fn " (pinned)", fn, set_up, tear_down, NULL }
#define WIDE_ODP(fn) { #fn " (odp)", fn, set_up, tear_down, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(WIDE(every_length), WIDE_ODP(every_length), WIDE_ODP(pages_go),
	  WIDE(a_netdev_that_carries_none), WIDE(a_peer_that_carries_none), WIDE(some_are_lost),
	  WIDE_ODP(some_are_lost), WIDE(some_are_spoilt), WIDE(segments_of_others),
	  WIDE(reserved_bits_of_others))
