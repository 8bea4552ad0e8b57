// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The two ends see one another through a third namespace, which forwards: wide packets pass whole where its netdevs have room for what
 * the sender calls a segment, and else are dropped there, so that narrow ones go instead. Where it translates addresses nothing
 * arrives, since an ICRC is computed over them; when that ends, what was posted goes on.
 *
 * rdma-odp: timeout 180
 */
#include "wide.h"

#define ROUTER "ip netns exec router "
#define PEER   "ip netns exec peer "

/* Two links beside the usual ones, so that these stay as they are. */
static const char begin[] =
	"ip netns add router &&\n"
	"ip link add wide_a mtu 9000 type veth peer name wide_ra mtu 9000 netns router &&\n"
	"ip -n peer link add wide_b mtu 9000 type veth peer name wide_rb mtu 9000 netns router &&\n"
	"ip -n router addr add 10.78.1.254/24 dev wide_ra &&\n"
	"ip -n router addr add fd78:1::254/64 dev wide_ra nodad &&\n"
	"ip -n router addr add 10.78.2.254/24 dev wide_rb &&\n"
	"ip -n router addr add fd78:2::254/64 dev wide_rb nodad &&\n"
	"ip -n router link set lo up && ip -n router link set wide_ra up &&\n"
	"ip -n router link set wide_rb up &&\n" ROUTER
	"sysctl -q net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 &&\n"
	"side()\n"
	"{\n"
	"	ip addr add 10.78.$1.1/24 dev $2 && ip addr add fd78:$1::1/64 dev $2 nodad &&\n"
	"	ip link set $2 up &&\n"
	"	ip route add 10.78.$((3 - $1)).0/24 via 10.78.$1.254 &&\n"
	"	ip route add fd78:$((3 - $1))::/64 via fd78:$1::254 &&\n"
	"	rdma link add $3 type rxe_odp netdev $2\n"
	"}\n"
	"await_gids()\n"
	"{\n"
	"	for _ in {1..600}; do\n"
	"		grep -qsi ffff:0a4e:0${1}01 /sys/class/infiniband/$2/ports/1/gids/{0..7} &&\n"
	"			grep -qsi fd78:000${1}: /sys/class/infiniband/$2/ports/1/gids/{0..7} && return\n"
	"		sleep 0.05\n"
	"	done\n"
	"	return 1\n"
	"}\n"
	"side 1 wide_a routed0 && await_gids 1 routed0 &&\n" PEER
	"bash -c \"$(declare -f side); side 2 wide_b routed1\" &&\n"
	/* Some kernels make each link in the initial namespace. */
	"{ ! rdma dev show routed1 >/dev/null 2>&1 || rdma dev set routed1 netns peer; } &&\n" PEER
	"bash -c \"$(declare -f await_gids); await_gids 2 routed1\"\n";

static const char end[] = "{\n" ROUTER "nft delete table ip nat\n"
			  "rdma link delete routed0\n" PEER "rdma link delete routed1\n"
			  "rdma link delete routed1\n"
			  "ip link del wide_a\n"
			  "ip -n peer link del wide_b\n"
			  "ip netns del router\n"
			  "} 2>/dev/null\n"
			  "true\n";

/* By bash, whose functions can be told to another. */
static int run(const char *script)
{
	FILE *bash = popen("bash", "w");

	assert_non_null(bash);
	fputs(script, bash);
	return pclose(bash);
}

static int set_up(void **state)
{
	setenv("RDMA_ODP_DEVICE", "routed0", 1);
	if (wide_set_up(state))
		return -1;
	if (!run(begin))
		return 0;
	printf("no router\n");
	run(end);
	return -1;
}

static int tear_down(void **state)
{
	int err = run(end) || wide_tear_down(state);

	unsetenv("RDMA_ODP_DEVICE");
	return err;
}

static void routed_open(struct wide *bed, bool ipv6, enum ibv_mtu mtu)
{
	struct conn conn = wide_conn(true, mtu, ipv6);

	/* 0.5 s, eight times: a busy machine that stands still for a moment does not use the retries up. */
	conn.timeout = 17;
	wide_open_on(bed, &conn, "wide_a");
}

static void expect(bool ipv6, enum ibv_mtu mtu, bool is_wide)
{
	struct wide bed;

	routed_open(&bed, ipv6, mtu);
	pair_move_every(&bed.pair, 300001, 0, 1);
	wide_await(&bed, is_wide);
	pair_move_every(&bed.pair, 300001, 0, 2);
	wide_await(&bed, is_wide);
	wide_close(&bed);
}

static void forwarded(void **state)
{
	int ipv6;

	(void)state;
	for (ipv6 = 0; ipv6 < 2; ipv6++)
		expect(ipv6, IBV_MTU_4096, true);
}

/*
 * The router drops what is longer than its way on, and tells the sender's host: wide packets arrive as soon as that has learned
 * of it, and not before.
 */
static void through_a_narrow_link(void **state)
{
	struct wide bed;
	int ipv6;

	(void)state;
	assert_zero(run("ip -n router link set wide_rb mtu 1500\n" PEER
			"ip link set wide_b mtu 1500\n"));
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		routed_open(&bed, ipv6, IBV_MTU_1024);
		pair_move_every(&bed.pair, 300001, 0, 1);
		pair_move_every(&bed.pair, 300001, 0, 2);
		wide_close(&bed);
	}
}

/* While they are wide. Then the sender is told of it, and has segments that pass. */
static void the_way_gets_narrow(void **state)
{
	struct wide bed;
	int ipv6;

	(void)state;
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		routed_open(&bed, ipv6, IBV_MTU_1024);
		wide_await(&bed, true);
		assert_zero(run("ip -n router link set wide_rb mtu 1500\n"));
		pair_move_every(&bed.pair, 300001, 0, 3);
		wide_close(&bed);
		assert_zero(run("ip route change 10.78.2.0/24 via 10.78.1.254 mtu 1500 &&\n"
				"ip route change fd78:2::/64 via fd78:1::254 mtu 1500\n"));
		expect(ipv6, IBV_MTU_1024, true);
		assert_zero(run("ip route change 10.78.2.0/24 via 10.78.1.254 &&\n"
				"ip route change fd78:2::/64 via fd78:1::254 &&\n"
				"ip -n router link set wide_rb mtu 9000\n"));
		expect(ipv6, IBV_MTU_1024, true);
	}
}

/* The router's netdev has whom to pass them on to, but cannot. */
static void a_router_that_carries_none(void **state)
{
	(void)state;
	assert_zero(run(ROUTER "ethtool -K wide_rb " WIDE_FEATURE " off\n"));
	expect(false, IBV_MTU_4096, false);
}

static void need_nft(void)
{
	if (run(ROUTER "nft list tables >/dev/null 2>&1\n"))
		skip_because("no nft, or this kernel has no nf_tables");
}

/* Followed by conntrack, which looks into them. */
static void tracked(void **state)
{
	int ipv6;

	(void)state;
	need_nft();
	assert_zero(run(ROUTER
			"nft -f - <<'END'\n"
			"table inet track {\n"
			"	chain forward {\n"
			"		type filter hook forward priority filter; policy accept;\n"
			"		ct state invalid counter drop\n"
			"		udp dport 4791 ip dscp set cs1\n"
			"	}\n"
			"}\n"
			"END\n"));
	for (ipv6 = 0; ipv6 < 2; ipv6++)
		expect(ipv6, IBV_MTU_4096, true);
}

/* Source addresses in one direction, destinations in the other. */
static void translated(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct wide bed;
	double last;
	long again;
	int i;

	(void)state;
	need_nft();
	/* 1 s, seven times: it is to outlast what starts a few programs. */
	conn.timeout = 18;
	wide_open_on(&bed, &conn, "wide_a");
	buf_make(&from, bed.pair.a.rig->pd, MEM_ANON, 300001, 3, ACCESS_ALL);
	buf_make(&to, bed.pair.b.rig->pd, MEM_ANON, 300001, 40, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, 5, 0);
	memset(to.data, 0x5a, to.bytes);
	wide_await(&bed, true);
	assert_zero(run(ROUTER "nft -f - <<'END'\n"
			       "table ip nat {\n"
			       "	chain post {\n"
			       "		type nat hook postrouting priority srcnat;\n"
			       "		oifname wide_rb masquerade\n"
			       "	}\n"
			       "	chain pre {\n"
			       "		type nat hook prerouting priority dstnat;\n"
			       "		iifname wide_rb udp dport 4791 dnat to 10.78.1.1\n"
			       "	}\n"
			       "}\n"
			       "END\n"));
	again = rig_counter("ack_timeout");
	sge = buf_sge(&from, 0, from.bytes);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	end_post(&bed.pair.a, &wr);
	last = seconds() + BOUND_S;
	while (rig_counter("ack_timeout") < again + 2)
		if (seconds() > last)
			fail_because("nothing is lost");
	cq_assert_empty(bed.pair.a.scq);
	for (i = 0; i < (int)to.bytes; i++)
		assert_int_equal(to.data[i], 0x5a);
	assert_zero(run(ROUTER "nft delete table ip nat\n"));
	cq_success(bed.pair.a.scq);
	pattern_check(to.data, to.bytes, 5, 0, "what waited");
	buf_free(&from);
	buf_free(&to);
	wide_close(&bed);
}

/* For good. */
static void always_translated(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct wide bed;

	(void)state;
	need_nft();
	conn.timeout = 14;
	assert_zero(run(ROUTER "nft -f - <<'END'\n"
			       "table ip nat {\n"
			       "	chain post {\n"
			       "		type nat hook postrouting priority srcnat;\n"
			       "		oifname wide_rb snat to 10.78.2.254\n"
			       "	}\n"
			       "}\n"
			       "END\n"));
	wide_open_on(&bed, &conn, "wide_a");
	memset(bed.b.data, 0x5a, bed.b.bytes);
	sge = buf_sge(&bed.a, 0, bed.a.bytes);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &bed.b, 0);
	end_post(&bed.pair.a, &wr);
	cq_expect(bed.pair.a.scq, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(bed.b.data[0], 0x5a);
	wide_close(&bed);
}

/* clang-format off */
#define ROUTED(fn) { #fn, fn, set_up, tear_down, NULL }
/* clang-format on */

TEST_MAIN(ROUTED(forwarded), ROUTED(through_a_narrow_link), ROUTED(the_way_gets_narrow),
	  ROUTED(a_router_that_carries_none), ROUTED(tracked), ROUTED(translated),
	  ROUTED(always_translated))
