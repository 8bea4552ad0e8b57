// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets that go through the host as one skb (the module's parameter gso): every operation and length is right over both families
 * and several path MTUs; they are one for whoever looks at the netdev; who cannot carry them, or changes or loses some, gets them
 * one by one, loses them together, and the message arrives all the same.
 */
#include "netem.h"
#include "netdev.h"
#include "pair.h"
#include "sniff.h"

/* What a netdev has to have to carry such packets. */
#define FEATURE	  "tx-gso-list"
#define PARAMETER "/sys/module/rxe_odp/parameters/gso"
/* Of the netdevs. */
#define MTU 9000

static const struct {
	enum ibv_mtu mtu;
	size_t bytes;
} mtus[] = { { IBV_MTU_256, 256 }, { IBV_MTU_1024, 1024 }, { IBV_MTU_4096, 4096 } };

static char was[8];

static int set_up(void **state)
{
	FILE *f = fopen(PARAMETER, "r");
	bool got = f && fgets(was, sizeof(was), f);

	(void)state;
	if (f)
		fclose(f);
	return !got || write_text(PARAMETER, "Y");
}

static int tear_down(void **state)
{
	(void)state;
	netem_end();
	netdev_set_feature("veth0", FEATURE, true);
	return write_text(PARAMETER, was);
}

static struct conn over_the_wire(enum ibv_mtu mtu, bool ipv6)
{
	struct conn conn = CONN;

	conn.wire = true;
	conn.mtu = mtu;
	conn.ipv6 = ipv6;
	return conn;
}

/* The longest packet that left, or came, since it was asked the last time. */
static size_t longest(struct sniff *sniff, bool out)
{
	struct sniffed packet;
	size_t bytes = 0;

	while (sniff_next(sniff, &packet))
		if (packet.roce && packet.out == out && packet.bytes > bytes)
			bytes = packet.bytes;
	return bytes;
}

static void every_length(void **state)
{
	long again = rig_counter("retried_pkts"), bad = rig_counter("rx_icrc_encapsulated");
	struct conn conn;
	struct pair pair;
	unsigned int i, k;
	int odp, ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		for (i = 0; i < ARRAY_SIZE(mtus); i++) {
			size_t mtu = mtus[i].bytes;
			const size_t lengths[] = { 1,	     2 * mtu,	  2 * mtu + 1,
						   3 * mtu,  3 * mtu + 2, 16 * mtu - 3,
						   60 * KIB, 64 * KIB,	  200001 };

			conn = over_the_wire(mtus[i].mtu, ipv6);
			pair_open(&pair, &conn);
			odp = mode(&pair.rig, state);
			for (k = 0; k < ARRAY_SIZE(lengths); k++)
				pair_move_every(&pair, lengths[k], odp, k);
			pair_close(&pair);
		}
	}
	assert_int_equal(rig_counter("rx_icrc_encapsulated"), bad);
	/* For a page that is late packets come again. */
	if (!odp)
		assert_int_equal(rig_counter("retried_pkts"), again);
}

/* How much longer than the netdev's packets the longest one is, in 64 KiB that are written. */
static size_t longest_of_a_write(struct pair *pair, struct sniff *sniff, bool out)
{
	struct buf from, to;
	size_t bytes;

	longest(sniff, out);
	buf_make(&from, pair->a.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	pair_move_checked(pair, OP_WRITE, &from, &to, 1);
	buf_free(&from);
	buf_free(&to);
	bytes = longest(sniff, out);
	printf("the longest packet has %zu bytes\n", bytes);
	assert_true(bytes > 4096);
	return bytes;
}

static void one_for_who_looks(void **state)
{
	struct conn conn = over_the_wire(IBV_MTU_4096, false);
	struct sniff sniff, peer;
	long sent;
	struct pair pair;
	int saved;

	(void)state;
	pair_open(&pair, &conn);
	sniff_open(&sniff, "veth0");
	saved = netns_enter_peer();
	sniff_open(&peer, "veth1");
	netns_leave(saved);

	sent = rig_counter("sent_pkts");
	assert_true(longest_of_a_write(&pair, &sniff, true) > MTU);
	/* Counted as what they are. */
	sent = rig_counter("sent_pkts") - sent;
	if (sent < 16)
		fail_because("%ld packets are counted", sent);
	assert_true(longest_of_a_write(&pair, &peer, false) > MTU);

	assert_zero(write_text(PARAMETER, "N"));
	assert_true(longest_of_a_write(&pair, &sniff, true) <= MTU);
	assert_zero(write_text(PARAMETER, "Y"));
	sniff_close(&sniff);
	sniff_close(&peer);
	pair_close(&pair);
}

static void a_netdev_that_carries_none(void **state)
{
	struct conn conn = over_the_wire(IBV_MTU_4096, false);
	struct sniff sniff;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	sniff_open(&sniff, "veth0");
	assert_true(netdev_set_feature("veth0", FEATURE, false));
	assert_true(longest_of_a_write(&pair, &sniff, true) <= MTU);
	assert_false(netdev_set_feature("veth0", FEATURE, true));
	assert_true(longest_of_a_write(&pair, &sniff, true) > MTU);
	sniff_close(&sniff);
	pair_close(&pair);
}

static void on_a_bad_wire(const char *options, void **state, const char *counter)
{
	struct conn conn = over_the_wire(IBV_MTU_1024, false);
	long before = rig_counter(counter);
	struct pair pair;
	unsigned int i;
	int odp;

	conn.timeout = 14;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	if (!netem_begin(options))
		fail_because("no netem");
	for (i = 0; i < 8; i++)
		pair_move_every(&pair, 100000, odp, i);
	netem_end();
	assert_true(rig_counter(counter) > before);
	pair_close(&pair);
}

static void lost_together(void **state)
{
	on_a_bad_wire("loss 10%", state, "retried_pkts");
}

/* To spoil a byte of one of them netem takes them apart, before the netdev. */
static void one_is_spoilt(void **state)
{
	on_a_bad_wire("corrupt 10%", state, "rx_icrc_encapsulated");
}

/* clang-format off */
#define GSO(fn)	    { #fn " (pinned)", fn, set_up, tear_down, NULL }
#define GSO_ODP(fn) { #fn " (odp)", fn, set_up, tear_down, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(GSO(every_length), GSO_ODP(every_length), GSO(one_for_who_looks),
	  GSO(a_netdev_that_carries_none), GSO(lost_together), GSO_ODP(lost_together),
	  GSO(one_is_spoilt))
