// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets that stay in this host have no ICRC (the module's parameter icrc), and say so by a UDP checksum that is still open: every
 * operation is right over both families; who asks for the ICRC, and who computes the checksum on the way, gets it; what is changed
 * on the way, or is made by somebody else, is dropped.
 */
#include "netdev.h"
#include "netem.h"
#include "pair.h"
#include "roce.h"
#include "sniff.h"

#include <unistd.h>

#define PARAMETER "/sys/module/rxe_odp/parameters/icrc"
#define GSO	  "/sys/module/rxe_odp/parameters/gso"
#define FEATURE	  "tx-checksum-ip-generic"
/* What it takes to carry wide packets, see net_wide. */
#define WIDE_FEATURE "tx-sctp-segmentation"
#define SMALL	     16UL
/* Of the netdevs. */
#define MTU 9000

#define WRITE_ONLY	   0x0a
#define READ_RESPONSE_ONLY 0x10

static char was[8];

static int set_up(void **state)
{
	(void)state;
	read_text(PARAMETER, was, sizeof(was));
	return write_text(PARAMETER, "N");
}

static int tear_down(void **state)
{
	(void)state;
	netem_end();
	netdev_set_feature("veth0", FEATURE, true);
	netdev_set_feature("veth0", WIDE_FEATURE, true);
	return write_text(PARAMETER, was);
}

static struct conn over_the_wire(bool ipv6)
{
	struct conn conn = CONN;

	conn.wire = true;
	conn.ipv6 = ipv6;
	return conn;
}

struct bed {
	struct pair pair;
	struct buf a, b; /* for small requests between the two */
	struct sniff sniff;
};

/* The packets of a small READ by b, to which a answers, and of a small WRITE by a. */
struct small {
	struct sniffed request, response, write;
};

static void bed_open(struct bed *bed, const struct conn *conn)
{
	pair_open(&bed->pair, conn);
	buf_make(&bed->a, bed->pair.a.rig->pd, MEM_ANON, SMALL, 0, ACCESS_ALL);
	buf_make(&bed->b, bed->pair.b.rig->pd, MEM_ANON, SMALL, 0, ACCESS_ALL);
	sniff_open(&bed->sniff, "veth0");
}

static void bed_close(struct bed *bed)
{
	sniff_close(&bed->sniff);
	buf_free(&bed->a);
	buf_free(&bed->b);
	pair_close(&bed->pair);
}

static struct small small_requests(struct bed *bed)
{
	struct sniffed packet;
	struct small small = { 0 };

	pair_move_checked(&bed->pair, OP_READ, &bed->a, &bed->b, 1);
	pair_move_checked(&bed->pair, OP_WRITE, &bed->a, &bed->b, 2);
	while (sniff_next(&bed->sniff, &packet))
		if (!packet.roce)
			continue;
		else if (packet.opcode == ROCE_READ)
			small.request = packet;
		else if (packet.opcode == READ_RESPONSE_ONLY)
			small.response = packet;
		else if (packet.opcode == WRITE_ONLY)
			small.write = packet;
	assert_true(small.request.roce && small.response.roce && small.write.roce);
	return small;
}

/* Until the checksums of all are open, or closed: whoever asks that is answered by the wire first. */
static struct small await_sums(struct bed *bed, bool open)
{
	double end = seconds() + BOUND_S;
	struct small small;

	do {
		if (seconds() > end)
			fail_because("some packets have an ICRC, or none, still");
		small = small_requests(bed);
	} while (small.request.sum_open != open || small.response.sum_open != open ||
		 small.write.sum_open != open);
	return small;
}

static void move_all(struct bed *bed, int odp)
{
	static const size_t lengths[] = { 1, 1023, 1024, 1025, 4097, 65536, 300001 };
	struct buf from, to;
	enum op op;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		buf_make(&from, bed->pair.a.rig->pd, MEM_ANON, lengths[i], 3, ACCESS_ALL | odp);
		buf_make(&to, bed->pair.b.rig->pd, MEM_ANON, lengths[i], 40, ACCESS_ALL | odp);
		for (op = 0; op < OP_KINDS; op++)
			pair_move_checked(&bed->pair, op, &from, &to, 7 * i + op);
		buf_free(&from);
		buf_free(&to);
	}
}

static void every_operation(void **state)
{
	long again = rig_counter("retried_pkts"), bad = rig_counter("rx_icrc_encapsulated");
	struct conn conn;
	struct bed bed;
	int ipv6, odp;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		conn = over_the_wire(ipv6);
		bed_open(&bed, &conn);
		odp = mode(&bed.pair.rig, state);
		await_sums(&bed, true);
		move_all(&bed, odp);
		bed_close(&bed);
	}
	assert_int_equal(rig_counter("rx_icrc_encapsulated"), bad);
	/* For a page that is late packets come again. */
	if (!odp)
		assert_int_equal(rig_counter("retried_pkts"), again);
}

/* As they are where a netdev carries no wide ones: without an ICRC, and as one. */
static void together(void **state)
{
	struct conn conn = over_the_wire(false);
	struct sniffed packet;
	struct buf from, to;
	size_t longest = 0;
	char gso[8];
	struct bed bed;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	read_text(GSO, gso, sizeof(gso));
	assert_zero(write_text(GSO, "Y"));
	assert_true(netdev_set_feature("veth0", WIDE_FEATURE, false));
	bed_open(&bed, &conn);
	await_sums(&bed, true);
	buf_make(&from, bed.pair.a.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	buf_make(&to, bed.pair.b.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	pair_move_checked(&bed.pair, OP_WRITE, &from, &to, 1);
	while (sniff_next(&bed.sniff, &packet))
		if (packet.roce && packet.sum_open && packet.bytes > longest)
			longest = packet.bytes;
	buf_free(&from);
	buf_free(&to);
	bed_close(&bed);
	assert_zero(write_text(GSO, gso));
	printf("the longest packet has %zu bytes\n", longest);
	assert_true(longest > MTU);
}

static void on_request(void **state)
{
	struct conn conn = over_the_wire(false);
	struct small small;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn);
	await_sums(&bed, true);
	assert_zero(write_text(PARAMETER, "Y"));
	small = small_requests(&bed);
	assert_false(small.request.sum_open || small.response.sum_open || small.write.sum_open);
	assert_zero(write_text(PARAMETER, "N"));
	await_sums(&bed, true);
	bed_close(&bed);
}

/* In the namespace of this thread. */
static long udp_bad_sums(void)
{
	FILE *f = fopen("/proc/thread-self/net/snmp", "r");
	char names[512], values[512], *name, *value, *at_names, *at_values;
	static const char ends[] = "\n ";
	long count = -1;

	assert_non_null(f);
	while (count < 0 && fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		if (strncmp(names, "Udp:", 4))
			continue;
		name = strtok_r(names, ends, &at_names);
		value = strtok_r(values, ends, &at_values);
		while (name && value && strcmp(name, "InCsumErrors")) {
			name = strtok_r(NULL, ends, &at_names);
			value = strtok_r(NULL, ends, &at_values);
		}
		if (name && value)
			count = strtol(value, NULL, 10);
	}
	fclose(f);
	assert_true(count >= 0);
	return count;
}

/* Datagrams that UDP has dropped for their checksum, in both namespaces. */
static long bad_sums(void)
{
	long sum = 0;
	int saved;

	sum += udp_bad_sums();
	saved = netns_enter_peer();
	sum += udp_bad_sums();
	netns_leave(saved);
	return sum;
}

/* As one that puts packets on a medium does: what has no ICRC is lost. */
static void a_netdev_that_computes_it(void **state)
{
	struct conn conn = over_the_wire(false);
	long bad = rig_counter("rx_icrc_encapsulated");
	struct bed bed;
	int odp;

	conn.timeout = 14;
	bed_open(&bed, &conn);
	odp = mode(&bed.pair.rig, state);
	await_sums(&bed, true);
	assert_true(netdev_set_feature("veth0", FEATURE, false));
	move_all(&bed, odp);
	await_sums(&bed, false);
	bed_close(&bed);

	bed_open(&bed, &conn);
	move_all(&bed, odp);
	await_sums(&bed, false);
	assert_false(netdev_set_feature("veth0", FEATURE, true));
	await_sums(&bed, true);
	bed_close(&bed);
	assert_int_equal(rig_counter("rx_icrc_encapsulated"), bad);
}

static void spoilt_on_the_way(void **state)
{
	struct conn conn = over_the_wire(false);
	double end = seconds() + BOUND_S;
	long bad_sum = bad_sums();
	struct bed bed;

	conn.timeout = 14;
	/* Each goes with an ICRC once a packet was lost. */
	do {
		if (seconds() > end)
			fail_because("no packet without an ICRC was spoilt");
		bed_open(&bed, &conn);
		await_sums(&bed, true);
		if (!netem_begin("corrupt 10%"))
			fail_because("no netem");
		move_all(&bed, mode(&bed.pair.rig, state));
		netem_end();
		bed_close(&bed);
	} while (bad_sums() == bad_sum);
}

static void lost_on_the_way(void **state)
{
	struct conn conn = over_the_wire(false);
	double end = seconds() + BOUND_S;
	struct bed bed;
	struct small small;

	conn.timeout = 14;
	bed_open(&bed, &conn);
	await_sums(&bed, true);
	if (!netem_begin("loss 10%"))
		fail_because("no netem");
	do {
		if (seconds() > end)
			fail_because("packets have no ICRC still, or none is lost");
		move_all(&bed, mode(&bed.pair.rig, state));
		small = small_requests(&bed);
	} while (small.request.sum_open || small.response.sum_open || small.write.sum_open);
	netem_end();
	bed_close(&bed);
}

static void await_counter(const char *name, long value)
{
	double end = seconds() + BOUND_S;

	while (rig_counter(name) != value)
		if (seconds() > end)
			fail_because("%s is %ld, not %ld", name, rig_counter(name), value);
}

/* What stands in the place of the ICRC is of no use behind a checksum, and no other number is of any. */
static void made_by_others(void **state)
{
	struct conn conn = over_the_wire(false);
	struct sniffed *request;
	struct small small;
	struct roce_path path;
	struct bed bed;
	long bad, twice;
	int fd, saved;

	(void)state;
	bed_open(&bed, &conn);
	small = await_sums(&bed, true);
	request = &small.request;
	assert_true(request->bth_bytes > ROCE_ICRC_BYTES);
	path = roce_path(&bed.pair.b, &bed.pair.a);
	saved = netns_enter_peer();
	fd = roce_user_socket(&path);
	netns_leave(saved);

	bad = rig_counter("rx_icrc_encapsulated");
	twice = rig_counter("duplicate_request");
	roce_user_replay(fd, &path, request->bth, request->bth_bytes, false);
	await_counter("rx_icrc_encapsulated", bad + 1);
	roce_user_replay(fd, &path, request->bth, request->bth_bytes, true);
	await_counter("duplicate_request", twice + 1);
	request->bth[request->bth_bytes - 1] ^= 0x10;
	roce_user_replay(fd, &path, request->bth, request->bth_bytes, true);
	await_counter("rx_icrc_encapsulated", bad + 2);
	assert_int_equal(rig_counter("duplicate_request"), twice + 1);
	close(fd);
	pair_assert_works(&bed.pair);
	bed_close(&bed);
}

/* Packets of 4 KiB that a queue pair has in queues of this host when it begins to wait for room. */
#define QUEUED 64
/* And what it sends when it has waited: at once. */
#define REST 28

/* From a; it names no cookie but a's own. */
static bool is_question(const struct bed *bed, const struct sniffed *packet)
{
	static const uint8_t nobody[8];

	return packet->roce && packet->out && packet->opcode == ROCE_PROBE &&
	       packet->dest_qpn == bed->pair.b.qp->qp_num && packet->bth_bytes >= 28 &&
	       !memcmp(packet->bth + 20, nobody, sizeof(nobody));
}

static bool is_data(const struct bed *bed, const struct sniffed *packet)
{
	return packet->roce && packet->out && packet->opcode < ROCE_READ &&
	       packet->dest_qpn == bed->pair.b.qp->qp_num;
}

/* The end of a message had to wait for room: behind that it is asked again, so that what comes next finds an answer. */
static void asked_behind_what_waited(void **state)
{
	struct conn conn = over_the_wire(false);
	unsigned int data = 0;
	struct sniffed packet;
	bool asked = false;
	struct buf from, to;
	struct bed bed;
	double end;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	conn.timeout = 21;
	bed_open(&bed, &conn);
	buf_make(&from, bed.pair.a.rig->pd, MEM_ANON, MIB, 0, ACCESS_ALL);
	buf_make(&to, bed.pair.b.rig->pd, MEM_ANON, MIB, 0, ACCESS_ALL);
	/* Its window is open from then on. */
	pair_move_checked(&bed.pair, OP_WRITE, &from, &to, 1);
	if (!wire_shape("tbf rate 10mbit burst 10k limit 4mb"))
		skip_because("no tbf");
	sniff_close(&bed.sniff);
	sniff_open(&bed.sniff, "veth0");
	pair_move(&bed.pair, OP_WRITE, &from, 0, &to, 0, (QUEUED + REST) * 4 * KIB);
	for (end = seconds() + BOUND_S; !asked;) {
		if (seconds() > end)
			fail_because("no question behind %u packets", data);
		if (!sniff_next(&bed.sniff, &packet))
			continue;
		data += is_data(&bed, &packet);
		asked = data > QUEUED && is_question(&bed, &packet);
	}
	netem_end();
	buf_free(&from);
	buf_free(&to);
	bed_close(&bed);
}

/* clang-format off */
#define ICRC(fn)     { #fn " (pinned)", fn, set_up, tear_down, NULL }
#define ICRC_ODP(fn) { #fn " (odp)", fn, set_up, tear_down, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(ICRC(every_operation), ICRC_ODP(every_operation), ICRC(together), ICRC(on_request),
	  ICRC(a_netdev_that_computes_it), ICRC_ODP(a_netdev_that_computes_it),
	  ICRC(spoilt_on_the_way), ICRC(lost_on_the_way), ICRC(made_by_others),
	  ICRC(asked_behind_what_waited))
