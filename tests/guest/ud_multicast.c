// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast of datagrams, over both families and across the wire: each queue pair that is attached to the group gets a copy, with
 * its header and by its Q_Key, on the sender's device too; nobody else does. The netdev is in the group as long as one is.
 */
#include "pair.h"

#include <arpa/inet.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRH	      40UL
#define BYTES	      1000UL
#define MULTICAST_QPN 0xffffff

static union ibv_gid gid_of(const char *address)
{
	union ibv_gid gid;

	assert_int_equal(inet_pton(AF_INET6, address, gid.raw), 1);
	return gid;
}

struct bed {
	struct pair pair; /* a sends; b and c are members on the other device, d on a's */
	struct end c, d;
	struct buf from, to[4];
	struct ibv_ah *ah;
	union ibv_gid group, other;
};

static void member_open(struct end *end, struct rig *rig, const struct conn *conn)
{
	memset(end, 0, sizeof(*end));
	end_create(end, rig, conn);
	assert_zero(end_to_init(end, conn));
	assert_zero(end_to_rtr(end, end, conn));
	assert_zero(end_to_rts(end, conn));
}

static void bed_open(struct bed *bed, bool ipv6, void **state)
{
	struct conn conn = CONN;
	struct ibv_ah_attr attr;
	unsigned int i;
	int odp;

	conn.type = IBV_QPT_UD;
	conn.wire = true;
	conn.ipv6 = ipv6;
	pair_open(&bed->pair, &conn);
	odp = mode(&bed->pair.rig, state);
	member_open(&bed->c, bed->pair.b.rig, &conn);
	member_open(&bed->d, bed->pair.a.rig, &conn);
	bed->group = gid_of(ipv6 ? "ff0e::7777" : "::ffff:239.7.7.7");
	bed->other = gid_of(ipv6 ? "ff0e::7778" : "::ffff:239.7.7.8");
	attr = (struct ibv_ah_attr){
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = bed->group, .sgid_index = bed->pair.a.gid_index, .hop_limit = 1 },
	};
	bed->ah = ibv_create_ah(bed->pair.rig.pd, &attr);
	assert_non_null(bed->ah);
	buf_make(&bed->from, bed->pair.a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL | odp);
	for (i = 0; i < 4; i++)
		buf_make(&bed->to[i], (i == 0 || i == 3 ? bed->pair.a.rig : bed->pair.b.rig)->pd,
			 MEM_ANON, GRH + BYTES, 5, ACCESS_ALL | odp);
}

static void bed_close(struct bed *bed)
{
	unsigned int i;

	assert_zero(ibv_destroy_ah(bed->ah));
	end_close(&bed->c);
	end_close(&bed->d);
	for (i = 0; i < 4; i++)
		buf_free(&bed->to[i]);
	buf_free(&bed->from);
	pair_close(&bed->pair);
}

static void attach(struct bed *bed, struct end *end)
{
	assert_zero(ibv_attach_mcast(end->qp, &bed->group, 0));
}

static void detach(struct bed *bed, struct end *end)
{
	assert_zero(ibv_detach_mcast(end->qp, &bed->group, 0));
}

static void check_copy(struct bed *bed, struct end *end, const struct buf *to, uint32_t imm)
{
	struct ibv_wc wc = cq_success(end->rcq);
	bool ipv6 = bed->pair.conn.ipv6;

	assert_int_equal(wc.byte_len, GRH + BYTES);
	assert_true(wc.wc_flags & IBV_WC_GRH);
	assert_int_equal(wc.src_qp, bed->pair.a.qp->qp_num);
	assert_int_equal(wc.imm_data, imm);
	pattern_check(to->data + GRH, BYTES, imm, 0, "a datagram to a group");
	if (ipv6)
		assert_memory_equal(to->data + 24, bed->group.raw, 16);
	else
		assert_memory_equal(to->data + 36, bed->group.raw + 12, 4);
}

/* One to the group, and one by one for those that it is for: 'a' to 'd'. Nobody else gets it. */
static void send_to_group(struct bed *bed, const char *who)
{
	struct end *ends[] = { &bed->pair.a, &bed->pair.b, &bed->c, &bed->d };
	struct ibv_sge sge = buf_sge(&bed->from, 0, BYTES);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_IMM, &sge, 1), *bad;
	static uint32_t imm = 40;
	unsigned int i;

	pattern_fill(bed->from.data, BYTES, ++imm, 0);
	wr.imm_data = imm;
	wr.wr.ud.ah = bed->ah;
	wr.wr.ud.remote_qpn = MULTICAST_QPN;
	wr.wr.ud.remote_qkey = UD_QKEY;
	for (i = 0; i < 4; i++) {
		struct ibv_sge to = buf_sge(&bed->to[i], 0, GRH + BYTES);

		if (strchr(who, "abcd"[i]))
			end_post_recv(ends[i], imm, &to, 1);
	}
	assert_zero(ibv_post_send(bed->pair.a.qp, &wr, &bad));
	cq_success(bed->pair.a.scq);
	for (i = 0; i < 4; i++)
		if (strchr(who, "abcd"[i]))
			check_copy(bed, ends[i], &bed->to[i], imm);
	for (i = 0; i < 4; i++)
		cq_assert_empty(ends[i]->rcq);
}

/* By its filter, which has addresses of Ethernet. */
static bool netdev_is_member(bool ipv6)
{
	return !system(
		ipv6 ? "ip netns exec peer ip maddr show dev veth1 | grep -q 33:33:00:00:77:77" :
		       "ip netns exec peer ip maddr show dev veth1 | grep -q 01:00:5e:07:07:07");
}

static void members(bool ipv6, void **state)
{
	struct ibv_sge none = { 0 };
	struct bed bed;

	bed_open(&bed, ipv6, state);
	assert_false(netdev_is_member(ipv6));
	attach(&bed, &bed.pair.b);
	assert_true(netdev_is_member(ipv6));
	send_to_group(&bed, "b");
	attach(&bed, &bed.c);
	send_to_group(&bed, "bc");
	detach(&bed, &bed.pair.b);
	assert_true(netdev_is_member(ipv6));
	send_to_group(&bed, "c");
	/* Another group is another matter, and a receive is not enough. */
	assert_zero(ibv_attach_mcast(bed.d.qp, &bed.other, 0));
	end_post_recv(&bed.d, 1, &none, 0);
	send_to_group(&bed, "c");
	assert_zero(ibv_detach_mcast(bed.d.qp, &bed.other, 0));
	detach(&bed, &bed.c);
	assert_false(netdev_is_member(ipv6));
	bed_close(&bed);
}

static void members_ipv4(void **state)
{
	members(false, state);
}
static void members_ipv6(void **state)
{
	members(true, state);
}

static void on_the_same_host(bool ipv6, void **state)
{
	struct bed bed;

	bed_open(&bed, ipv6, state);
	attach(&bed, &bed.pair.b);
	attach(&bed, &bed.d);
	send_to_group(&bed, "bd");
	attach(&bed, &bed.pair.a);
	send_to_group(&bed, "abd");
	detach(&bed, &bed.pair.b);
	send_to_group(&bed, "ad");
	detach(&bed, &bed.pair.a);
	detach(&bed, &bed.d);
	bed_close(&bed);
}

static void on_the_same_host_ipv4(void **state)
{
	on_the_same_host(false, state);
}
static void on_the_same_host_ipv6(void **state)
{
	on_the_same_host(true, state);
}

static void by_its_qkey(void **state)
{
	struct ibv_qp_attr attr = { .qkey = UD_QKEY + 1 };
	struct ibv_sge none = { 0 };
	struct bed bed;

	bed_open(&bed, false, state);
	attach(&bed, &bed.pair.b);
	attach(&bed, &bed.c);
	assert_zero(ibv_modify_qp(bed.c.qp, &attr, IBV_QP_QKEY));
	end_post_recv(&bed.c, 1, &none, 0);
	send_to_group(&bed, "b");
	detach(&bed, &bed.pair.b);
	detach(&bed, &bed.c);
	bed_close(&bed);
}

/* A member is not destroyed; a process that ends takes its memberships along. */
static void process_ends(void **state)
{
	struct bed bed;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		bed_open(&bed, false, state);
		attach(&bed, &bed.pair.b);
		attach(&bed, &bed.c);
		_exit(ibv_destroy_qp(bed.c.qp) != EBUSY || !netdev_is_member(false));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(netdev_is_member(false));
}

static void refused(void **state)
{
	struct conn conn = CONN;
	struct bed bed;
	struct pair rc;

	bed_open(&bed, false, state);
	assert_int_equal(ibv_attach_mcast(bed.c.qp, &bed.pair.a.gid, 0), EINVAL);
	assert_int_equal(ibv_detach_mcast(bed.c.qp, &bed.group, 0), EINVAL);
	pair_open(&rc, &conn);
	assert_int_equal(ibv_attach_mcast(rc.a.qp, &bed.group, 0), EINVAL);
	/* A connection has one peer. */
	assert_zero(end_set_state(&rc.a, IBV_QPS_RESET));
	assert_zero(end_to_init(&rc.a, &conn));
	rc.b.gid = bed.group;
	assert_int_not_equal(end_to_rtr(&rc.a, &rc.b, &conn), 0);
	pair_close(&rc);
	bed_close(&bed);
}

TEST_MAIN(TEST_BOTH(members_ipv4), TEST_BOTH(members_ipv6), TEST(on_the_same_host_ipv4),
	  TEST(on_the_same_host_ipv6), TEST(by_its_qkey), TEST(process_ends), TEST(refused))
