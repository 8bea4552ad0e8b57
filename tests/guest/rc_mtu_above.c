// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A path MTU above the netdev's, as programs have it that always ask for 4096: accepted, kept, and every message is
 * right. The netdevs carry 1500 bytes, at both ends or one, from the beginning or from some time on.
 */
#include "netem.h"
#include "pair.h"

#define SMALL	1500
#define USUAL	9000
#define MANY	4
#define MANY_MB 1

/* What fits in a packet of the netdev's (with either family) or not, in one of the path MTU or not. */
static const size_t lengths[] = { 1,	1023, 1024, 1025, 1380, 1416,  1500,
				  4095, 4096, 4097, 8192, 8193, 20011, 65536 };

static void set_mtus(int a, int b)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd),
		 "ip link set veth0 mtu %d && ip netns exec peer ip link set veth1 mtu %d", a, b);
	assert_zero(system(cmd));
}

/* What a netdev of the usual MTU is to send to one of the small: the administrator says so by a route. */
static void set_peer_route(const char *mtu)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd),
		 "ip -n peer route change 10.77.0.0/24 dev veth1 proto kernel scope link "
		 "src 10.77.0.2 %s",
		 mtu);
	assert_zero(system(cmd));
}

static struct conn above(void)
{
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	conn.wire = true;
	return conn;
}

static void swap_ends(struct pair *pair)
{
	struct end a = pair->a;

	pair->a = pair->b;
	pair->b = a;
}

static void move_all(struct pair *pair, int odp)
{
	struct buf from, to;
	enum op op;
	size_t i;

	for (op = 0; op < OP_KINDS; op++) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			buf_make(&from, pair->a.rig->pd, MEM_ANON, lengths[i], 7 * i,
				 ACCESS_ALL | odp);
			buf_make(&to, pair->b.rig->pd, MEM_ANON, lengths[i], 4090 + i,
				 ACCESS_ALL | odp);
			pair_move_checked(pair, op, &from, &to, 16 * op + i);
			buf_free(&from);
			buf_free(&to);
		}
	}
}

static void move_both_ways(struct pair *pair, int odp)
{
	move_all(pair, odp);
	swap_ends(pair);
	move_all(pair, odp);
	swap_ends(pair);
}

static void accepted_and_kept(void **state)
{
	struct ibv_qp_init_attr init;
	struct ibv_port_attr port;
	struct ibv_qp_attr attr;
	struct conn conn = above();
	struct pair pair;

	(void)state;
	set_mtus(SMALL, SMALL);
	pair_open(&pair, &conn);
	assert_zero(ibv_query_port(pair.rig.ctx, 1, &port));
	assert_int_equal(port.active_mtu, IBV_MTU_1024);
	assert_zero(ibv_query_qp(pair.a.qp, &attr, IBV_QP_PATH_MTU, &init));
	assert_int_equal(attr.path_mtu, IBV_MTU_4096);
	assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
	assert_zero(end_to_init(&pair.a, &conn));
	conn.mtu = IBV_MTU_4096 + 1;
	assert_int_equal(end_to_rtr(&pair.a, &pair.b, &conn), EINVAL);
	pair_close(&pair);
}

static void both_ends_small(void **state)
{
	struct conn conn = above();
	struct pair pair;

	set_mtus(SMALL, SMALL);
	pair_open(&pair, &conn);
	move_both_ways(&pair, mode(&pair.rig, state));
	pair_close(&pair);
}

static void both_ends_small_ipv6(void **state)
{
	struct conn conn = above();
	struct pair pair;

	set_mtus(SMALL, SMALL);
	conn.ipv6 = true;
	pair_open(&pair, &conn);
	move_both_ways(&pair, mode(&pair.rig, state));
	pair_close(&pair);
}

/* The loopback device carries it whole, whatever the netdev does. */
static void one_device(void **state)
{
	struct conn conn = above();
	struct pair pair;

	conn.wire = false;
	set_mtus(SMALL, SMALL);
	pair_open(&pair, &conn);
	move_all(&pair, mode(&pair.rig, state));
	pair_close(&pair);
}

static void one_end_small(void **state)
{
	struct conn conn = above();
	struct pair pair;

	set_mtus(SMALL, USUAL);
	set_peer_route("mtu 1500");
	pair_open(&pair, &conn);
	move_both_ways(&pair, mode(&pair.rig, state));
	pair_close(&pair);
	set_peer_route("");
}

/* Under a QP that is connected the netdevs shrink, and grow again. */
static void changes_meanwhile(void **state)
{
	struct conn conn = above();
	struct pair pair;
	int odp;

	set_mtus(USUAL, USUAL);
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	move_all(&pair, odp);
	set_mtus(SMALL, SMALL);
	move_both_ways(&pair, odp);
	set_mtus(USUAL, USUAL);
	move_all(&pair, odp);
	pair_close(&pair);
}

/*
 * A fragment that is lost, or comes twice or late or altered, is a packet that is: never a wrong byte. Pinned memory over IPv4, the
 * other over IPv6.
 */
static void bad_wire(void **state)
{
	struct conn conn = above();
	struct pair pair;

	conn.timeout = 14;
	conn.ipv6 = *state;
	set_mtus(SMALL, SMALL);
	if (!netem_begin("delay 1ms reorder 98% loss 1% corrupt 1% duplicate 1%"))
		skip_because("this kernel has no netem");
	pair_open(&pair, &conn);
	move_all(&pair, mode(&pair.rig, state));
	pair_close(&pair);
	netem_end();
}

/* Several queue pairs at once, whose fragments mix. */
static void many_at_once(void **state)
{
	struct buf from[MANY], to[MANY];
	struct end a[MANY], b[MANY];
	struct conn conn = above();
	struct ibv_send_wr wr;
	struct pair pair;
	struct ibv_sge sge;
	int i, odp;

	set_mtus(SMALL, SMALL);
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	for (i = 0; i < MANY; i++) {
		ends_open(&a[i], &pair.rig, &b[i], &pair.peer, &conn);
		buf_make(&from[i], pair.rig.pd, MEM_ANON, MANY_MB * MIB, 0, ACCESS_ALL | odp);
		buf_make(&to[i], pair.peer.pd, MEM_ANON, MANY_MB * MIB, 9, ACCESS_ALL | odp);
		pattern_fill(from[i].data, MANY_MB * MIB, i, 0);
	}
	for (i = 0; i < MANY; i++) {
		sge = buf_sge(&from[i], 0, MANY_MB * MIB);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to[i], 0);
		end_post(&a[i], &wr);
	}
	for (i = 0; i < MANY; i++) {
		cq_success(a[i].scq);
		pattern_check(to[i].data, MANY_MB * MIB, i, 0, "one of many writes");
		end_close(&a[i]);
		end_close(&b[i]);
		buf_free(&from[i]);
		buf_free(&to[i]);
	}
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accepted_and_kept),
		TEST_BOTH(both_ends_small),
		TEST_BOTH(both_ends_small_ipv6),
		TEST_BOTH(one_device),
		TEST_BOTH(one_end_small),
		TEST_BOTH(changes_meanwhile),
		TEST_BOTH(bad_wire),
		TEST_BOTH(many_at_once),
	};
	int rc = test_run(tests, ARRAY_SIZE(tests));

	/* Also behind a test that failed. */
	netem_end();
	set_peer_route("");
	set_mtus(USUAL, USUAL);
	return rc;
}
