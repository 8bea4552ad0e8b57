// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Wide packets, which have the payload of several where they do not leave this kernel: every operation and length is right over
 * both families, several path MTUs, veth and lo, also where pages are missing or go; a netdev that does not carry them, or
 * changes, loses, repeats or reorders some, gets what it carries and the message arrives all the same; nobody else makes one. What is
 * sent again: net_wide_again. Netdevs, routes and queues that change: net_wide_path, net_wide_routed. No memory: net_wide_nomem.
 */
#include "discard.h"
#include "netdev.h"
#include "roce.h"
#include "wide.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of a wide packet, at most. */
#define WIDE_BYTES (28 * KIB)

static const struct {
	enum ibv_mtu mtu;
	size_t bytes;
} mtus[] = { { IBV_MTU_256, 256 }, { IBV_MTU_1024, 1024 }, { IBV_MTU_4096, 4096 } };

static void every_length_over(bool wire, void **state)
{
	unsigned int i, k, ipv6, request, response, want, want_response;
	struct conn conn;
	struct wide bed;
	double end;
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

			conn = wide_conn(wire, mtus[i].mtu, ipv6);
			wide_open(&bed, &conn);
			odp = mode(&bed.pair.rig, state);
			/* As wide as they may be; a READ is asked for in pieces of 64 PSNs. */
			want = WIDE_BYTES / mtu;
			want_response = mtu == 256 ? 64 : want;
			end = seconds() + BOUND_S;
			/* Where the machine stands still, or a page comes late, they are plain for a while. */
			do {
				wide_await(&bed, true);
				for (k = 0; k < ARRAY_SIZE(lengths); k++)
					pair_move_every(&bed.pair, lengths[k], odp, k);
				wide_widest(&bed, &request, &response);
			} while ((request != want || response != want_response) && seconds() < end);
			assert_int_equal(request, want);
			assert_int_equal(response, want_response);
			wide_close(&bed);
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
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	struct discarder from_discard, to_discard;
	struct buf from, to;
	struct wide bed;
	unsigned int i;
	enum op op;

	(void)state;
	wide_open(&bed, &conn);
	rig_need_odp(&bed.pair.rig, 0, 0);
	wide_await(&bed, true);
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
	wide_await(&bed, true);
	wide_close(&bed);
}

static void a_netdev_that_carries_none(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	struct wide bed;

	(void)state;
	conn.timeout = 14;
	wide_open(&bed, &conn);
	wide_await(&bed, true);
	assert_true(netdev_set_feature("veth0", WIDE_FEATURE, false));
	pair_move_every(&bed.pair, MIB, 0, 1);
	wide_await(&bed, false);
	assert_false(netdev_set_feature("veth0", WIDE_FEATURE, true));
	wide_await(&bed, true);
	wide_close(&bed);
}

/* On the way back: what is asked whether it arrives does not, and nothing that matters is lost. */
static void a_peer_that_carries_none(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	unsigned int request, response, i;
	struct wide bed;
	long gaps;
	int saved;

	(void)state;
	saved = netns_enter_peer();
	netdev_set_feature("veth1", WIDE_FEATURE, false);
	netns_leave(saved);
	gaps = rig_counter("out_of_seq_request");
	wide_open(&bed, &conn);
	for (i = 0; i < 100; i++) {
		wide_widest_of_64k(&bed, &request, &response);
		assert_int_equal(request, 1);
		assert_int_equal(response, 1);
	}
	wide_close(&bed);
	assert_int_equal(rig_counter("out_of_seq_request"), gaps);
}

static void few_are_lost(void **state)
{
	(void)state;
	wide_until_counted("netem loss 1%", "retried_pkts", 0);
}

/* To spoil a byte of one netem takes it apart, which nobody can. */
static void some_are_spoilt(void **state)
{
	(void)state;
	wide_until_counted("netem corrupt 10%", "retried_pkts", 0);
}

/* Many datagrams that a program sends as one skb are datagrams where they arrive, and none of ours. */
static void segments_of_others(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ROCE_PORT) };
	double end = seconds() + BOUND_S;
	int fd, segment = 1400;
	uint8_t bytes[14000];
	struct wide bed;
	unsigned int i;
	long bad;

	(void)state;
	wide_open(&bed, &conn);
	wide_await(&bed, true);
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
	pair_move_every(&bed.pair, 300001, 0, 1);
	wide_close(&bed);
}

/* A packet with a right ICRC has one PSN, whatever its reserved bits say. */
static void reserved_bits_of_others(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
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
#define WIDE(fn)     { #fn " (pinned)", fn, wide_set_up, wide_tear_down, NULL }
#define WIDE_ODP(fn) { #fn " (odp)", fn, wide_set_up, wide_tear_down, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(WIDE(every_length), WIDE_ODP(every_length), WIDE_ODP(pages_go),
	  WIDE(a_netdev_that_carries_none), WIDE(a_peer_that_carries_none),
	  WIDE(wide_some_are_lost), WIDE_ODP(wide_some_are_lost), WIDE(few_are_lost),
	  WIDE(some_are_spoilt), WIDE(wide_some_come_twice), WIDE(wide_some_overtake_others),
	  WIDE(segments_of_others), WIDE(reserved_bits_of_others))
