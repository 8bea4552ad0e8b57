// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast of datagrams, over both families and across the wire: each queue pair that is attached to the group gets a copy, with
 * its header and by its Q_Key, on the sender's device too; nobody else does. The netdev is in the group as long as one is.
 */
#include "failslab.h"
#include "pair.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRH	       40UL
#define BYTES	       1000UL
#define MULTICAST_QPN  0xffffff
#define CONTEXT_GROUPS 64U
#define OTHERS	       60U /* some of them where the driver looks for the group */

static union ibv_gid gid_of(const char *address)
{
	union ibv_gid gid;

	assert_int_equal(inet_pton(AF_INET6, address, gid.raw), 1);
	return gid;
}

struct bed {
	struct pair pair; /* a sends; b and c are members on the other device, d on a's */
	struct end c, d;
	struct end *ends[4];
	uint32_t qkeys[4];
	struct buf from, to[4];	  /* room for two datagrams in each */
	struct ibv_ah *ah, *to_a; /* to the group; to the device of a and d */
	union ibv_gid group;
};

static void member_open(struct end *end, struct rig *rig, const struct conn *conn)
{
	memset(end, 0, sizeof(*end));
	end_create(end, rig, conn);
	assert_zero(end_to_init(end, conn));
	assert_zero(end_to_rtr(end, end, conn));
	assert_zero(end_to_rts(end, conn));
}

static struct ibv_ah *ah_make(struct bed *bed, const union ibv_gid *to)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = *to, .sgid_index = bed->pair.a.gid_index, .hop_limit = 1 },
	};
	struct ibv_ah *ah = ibv_create_ah(bed->pair.rig.pd, &attr);

	assert_non_null(ah);
	return ah;
}

static void bed_open(struct bed *bed, bool ipv6, void **state)
{
	struct conn conn = CONN;
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
	bed->ah = ah_make(bed, &bed->group);
	bed->to_a = ah_make(bed, &bed->pair.a.gid);
	memcpy(bed->ends, ((struct end *[]){ &bed->pair.a, &bed->pair.b, &bed->c, &bed->d }),
	       sizeof(bed->ends));
	buf_make(&bed->from, bed->pair.a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL | odp);
	for (i = 0; i < 4; i++) {
		bed->qkeys[i] = UD_QKEY;
		buf_make(&bed->to[i], bed->ends[i]->rig->pd, MEM_ANON, 2 * (GRH + BYTES), 5,
			 ACCESS_ALL | odp);
	}
}

static void bed_close(struct bed *bed)
{
	unsigned int i;

	assert_zero(ibv_destroy_ah(bed->ah));
	assert_zero(ibv_destroy_ah(bed->to_a));
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

static void datagram(struct bed *bed, struct ibv_ah *ah, uint32_t qpn, uint32_t qkey, uint32_t imm)
{
	struct ibv_sge sge = buf_sge(&bed->from, 0, BYTES);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_IMM, &sge, 1), *bad;

	pattern_fill(bed->from.data, BYTES, imm, 0);
	wr.imm_data = imm;
	wr.wr.ud.ah = ah;
	wr.wr.ud.remote_qpn = qpn;
	wr.wr.ud.remote_qkey = qkey;
	assert_zero(ibv_post_send(bed->pair.a.qp, &wr, &bad));
	cq_success(bed->pair.a.scq);
}

static void check_datagram(struct bed *bed, unsigned int who, unsigned int nth,
			   const union ibv_gid *to, uint32_t imm)
{
	const uint8_t *data = bed->to[who].data + nth * (GRH + BYTES);
	struct ibv_wc wc = cq_success(bed->ends[who]->rcq);

	assert_int_equal(wc.byte_len, GRH + BYTES);
	assert_true(wc.wc_flags & IBV_WC_GRH);
	assert_int_equal(wc.src_qp, bed->pair.a.qp->qp_num);
	assert_int_equal(wc.wr_id, nth);
	assert_int_equal(wc.imm_data, imm);
	pattern_check(data + GRH, BYTES, imm, 0, "a datagram");
	if (bed->pair.conn.ipv6)
		assert_memory_equal(data + 24, to->raw, 16);
	else
		assert_memory_equal(data + 36, to->raw + 12, 4);
}

/*
 * One to the group, at a queue pair's number, and one by one for those that it is for: 'a' to 'd'. All have a receive. One to each
 * alone is sent when those have it, since datagrams may overtake each other, and is the first that others get.
 */
static void send_to_group_at(struct bed *bed, uint32_t qpn, const char *who)
{
	static uint32_t imm = 40;
	unsigned int i, nth, copies[4];

	for (i = 0; i < 4; i++) {
		copies[i] = !!strchr(who, "abcd"[i]);
		for (nth = 0; nth <= copies[i]; nth++) {
			struct ibv_sge to = buf_sge(&bed->to[i], nth * (GRH + BYTES), GRH + BYTES);

			end_post_recv(bed->ends[i], nth, &to, 1);
		}
	}
	imm += 2;
	datagram(bed, bed->ah, qpn, UD_QKEY, imm);
	for (i = 0; i < 4; i++)
		if (copies[i])
			check_datagram(bed, i, 0, &bed->group, imm);
	for (i = 0; i < 4; i++)
		datagram(bed, bed->ends[i]->rig == &bed->pair.rig ? bed->to_a : bed->pair.a.ah,
			 bed->ends[i]->qp->qp_num, bed->qkeys[i], imm + 1);
	for (i = 0; i < 4; i++)
		check_datagram(bed, i, copies[i], &bed->ends[i]->gid, imm + 1);
}

static void send_to_group(struct bed *bed, const char *who)
{
	send_to_group_at(bed, MULTICAST_QPN, who);
}

/* By the netdev's filter, which has addresses of Ethernet. */
static bool is_member(const char *ip, const char *netdev, bool ipv6)
{
	char cmd[120];

	snprintf(cmd, sizeof(cmd), "%s maddr show dev %s | grep -q %s", ip, netdev,
		 ipv6 ? "33:33:00:00:77:77" : "01:00:5e:07:07:07");
	return !system(cmd);
}

static bool netdev_is_member(bool ipv6)
{
	return is_member("ip -n peer", "veth1", ipv6);
}

/* One of many others. */
static union ibv_gid other_group(struct bed *bed, unsigned int nth)
{
	union ibv_gid gid = bed->group;

	gid.raw[14] = 1;
	gid.raw[15] = nth;
	return gid;
}

static int attach_other(struct bed *bed, struct end *end, unsigned int nth)
{
	union ibv_gid gid = other_group(bed, nth);

	return ibv_attach_mcast(end->qp, &gid, 0);
}

static void detach_other(struct bed *bed, struct end *end, unsigned int nth)
{
	union ibv_gid gid = other_group(bed, nth);

	assert_zero(ibv_detach_mcast(end->qp, &gid, 0));
}

static void members(bool ipv6, void **state)
{
	struct bed bed;
	unsigned int i;

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
	/* Other groups are another matter. */
	for (i = 0; i < OTHERS; i++)
		assert_zero(attach_other(&bed, &bed.pair.b, i));
	send_to_group(&bed, "c");
	for (i = 0; i < OTHERS; i++)
		detach_other(&bed, &bed.pair.b, i);
	detach(&bed, &bed.c);
	assert_false(netdev_is_member(ipv6));
	send_to_group(&bed, "");
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

/* The port's counter, as exporters of metrics read it, of the sender's device. */
static long port_counter(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/counters/%s",
		 rig_device_name(), name);
	read_text(path, text, sizeof(text));
	return atol(text);
}

/* send_to_group() sends one datagram to the group, and one to each of the four. */
static void counted_by_the_port(void **state)
{
	static const struct {
		const char *name;
		long grows;
	} counters[] = {
		{ "multicast_xmit_packets", 1 }, { "multicast_rcv_packets", 1 },
		{ "unicast_xmit_packets", 4 },	 { "unicast_rcv_packets", 2 },
		{ "port_xmit_packets", 5 },	 { "port_rcv_packets", 3 },
	};
	long before[ARRAY_SIZE(counters)];
	struct bed bed;
	size_t i;

	bed_open(&bed, false, state);
	attach(&bed, &bed.pair.b);
	attach(&bed, &bed.d);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		before[i] = port_counter(counters[i].name);
	send_to_group(&bed, "bd");
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (port_counter(counters[i].name) - before[i] != counters[i].grows)
			fail_because("%s has grown by %ld, not %ld", counters[i].name,
				     port_counter(counters[i].name) - before[i], counters[i].grows);
	detach(&bed, &bed.pair.b);
	detach(&bed, &bed.d);
	bed_close(&bed);
}

static void by_its_qkey(void **state)
{
	struct ibv_qp_attr attr = { .qkey = UD_QKEY + 1 };
	struct bed bed;

	bed_open(&bed, false, state);
	attach(&bed, &bed.pair.b);
	attach(&bed, &bed.c);
	assert_zero(ibv_modify_qp(bed.c.qp, &attr, IBV_QP_QKEY));
	bed.qkeys[2] = attr.qkey;
	send_to_group(&bed, "b");
	detach(&bed, &bed.pair.b);
	detach(&bed, &bed.c);
	bed_close(&bed);
}

/* A datagram to the group is none for a queue pair that it names, a member or not. */
static void at_one_queue_pair(bool ipv6, void **state)
{
	struct bed bed;
	long dropped;

	bed_open(&bed, ipv6, state);
	attach(&bed, &bed.c);
	dropped = rig_counter("rcv_dropped");
	send_to_group_at(&bed, bed.pair.b.qp->qp_num, "");
	send_to_group_at(&bed, bed.c.qp->qp_num, "");
	assert_true(rig_counter("rcv_dropped") >= dropped + 2);
	detach(&bed, &bed.c);
	bed_close(&bed);
}

static void at_one_queue_pair_ipv4(void **state)
{
	at_one_queue_pair(false, state);
}
static void at_one_queue_pair_ipv6(void **state)
{
	at_one_queue_pair(true, state);
}

/* So many groups are for a context, however many queue pairs are in each. */
static void groups_of_a_context(void **state)
{
	struct conn conn = CONN;
	struct rig rig;
	struct end stranger;
	struct bed bed;
	unsigned int i;

	bed_open(&bed, false, state);
	conn.type = IBV_QPT_UD;
	rig_open(&rig);
	member_open(&stranger, &rig, &conn);
	for (i = 0; i < CONTEXT_GROUPS; i++)
		assert_zero(attach_other(&bed, &bed.d, i));
	assert_int_equal(attach_other(&bed, &bed.d, i), ENOMEM);
	assert_zero(attach_other(&bed, &bed.pair.a, 0));
	detach_other(&bed, &bed.d, 0);
	assert_int_equal(attach_other(&bed, &bed.d, i), ENOMEM);
	/* It is another context's too, and that has as many of its own. */
	assert_zero(attach_other(&bed, &stranger, 0));
	assert_zero(attach_other(&bed, &stranger, i));
	detach_other(&bed, &bed.pair.a, 0);
	assert_zero(attach_other(&bed, &bed.d, i));
	assert_int_equal(attach_other(&bed, &bed.d, 0), ENOMEM);
	detach_other(&bed, &stranger, 0);
	detach_other(&bed, &stranger, i);
	for (i = 1; i <= CONTEXT_GROUPS; i++)
		detach_other(&bed, &bed.d, i);
	end_close(&stranger);
	rig_close(&rig);
	bed_close(&bed);
}

/* Whatever allocation fails, who is told that it is a member is one. */
static void no_memory(bool ipv6, void **state)
{
	unsigned int nth, left = 0;
	struct bed bed;
	int file, err;

	failslab_begin();
	file = fail_nth_open();
	bed_open(&bed, ipv6, state);
	for (nth = 1; !left; nth++) {
		fail_nth(file, nth);
		err = ibv_attach_mcast(bed.c.qp, &bed.group, 0);
		left = fail_nth_left(file);
		fail_nth(file, 0);
		assert_true(err == 0 || (err == ENOMEM && !left));
		if (!err) {
			send_to_group(&bed, "c");
			detach(&bed, &bed.c);
		}
	}
	assert_true(nth > 3);
	bed_close(&bed);
	close(file);
}

static void no_memory_ipv4(void **state)
{
	no_memory(false, state);
}
static void no_memory_ipv6(void **state)
{
	no_memory(true, state);
}

#define LINK "mcast0"

static int link_clean(void **state)
{
	(void)state;
	return system("ip link delete " LINK " 2>/dev/null; true");
}

/* A socket of somebody else's. */
static int other_member(bool ipv6, const union ibv_gid *group)
{
	struct ipv6_mreq mreq6 = { .ipv6mr_interface = if_nametoindex(LINK) };
	struct ip_mreqn mreq4 = { .imr_ifindex = if_nametoindex(LINK) };
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(&mreq6.ipv6mr_multiaddr, group->raw, 16);
	memcpy(&mreq4.imr_multiaddr, group->raw + 12, 4);
	assert_zero(
		ipv6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &mreq6, sizeof(mreq6)) :
		       setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq4, sizeof(mreq4)));
	return fd;
}

/* IP leaves the netdev, with all memberships, and comes back. Who leaves what is gone leaves it to others. */
static void ip_comes_back(bool ipv6)
{
	union ibv_gid group = gid_of(ipv6 ? "ff0e::7777" : "::ffff:239.7.7.7");
	struct conn conn = CONN;
	struct rig rig = { 0 };
	struct end end = { 0 };
	int fd;

	conn.type = IBV_QPT_UD;
	assert_zero(system("ip link add " LINK " up type dummy && "
			   "rdma link add " LINK " type rxe_odp netdev " LINK));
	rig.ctx = rig_context(LINK);
	assert_non_null(rig.ctx);
	rig.pd = ibv_alloc_pd(rig.ctx);
	assert_non_null(rig.pd);
	end_create(&end, &rig, &conn);
	assert_zero(ibv_attach_mcast(end.qp, &group, 0));
	assert_true(is_member("ip", LINK, ipv6));
	assert_zero(system("ip link set " LINK " mtu 60 && ip link set " LINK " mtu 1500"));
	assert_false(is_member("ip", LINK, ipv6));
	fd = other_member(ipv6, &group);
	assert_true(is_member("ip", LINK, ipv6));
	assert_zero(ibv_detach_mcast(end.qp, &group, 0));
	assert_true(is_member("ip", LINK, ipv6));
	assert_zero(ibv_attach_mcast(end.qp, &group, 0));
	close(fd);
	assert_true(is_member("ip", LINK, ipv6));
	assert_zero(ibv_detach_mcast(end.qp, &group, 0));
	assert_false(is_member("ip", LINK, ipv6));
	end_close(&end);
	rig_close(&rig);
	assert_zero(link_clean(NULL));
}

static void ip_comes_back_ipv4(void **state)
{
	(void)state;
	ip_comes_back(false);
}
static void ip_comes_back_ipv6(void **state)
{
	(void)state;
	ip_comes_back(true);
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

/* clang-format off */
#define LINKED(fn) { #fn, fn, NULL, link_clean, NULL }
/* clang-format on */

TEST_MAIN(TEST_BOTH(members_ipv4), TEST_BOTH(members_ipv6), TEST(on_the_same_host_ipv4),
	  TEST(on_the_same_host_ipv6), TEST(at_one_queue_pair_ipv4), TEST(at_one_queue_pair_ipv6),
	  TEST(counted_by_the_port), TEST(by_its_qkey), TEST(no_memory_ipv4), TEST(no_memory_ipv6),
	  TEST(groups_of_a_context), LINKED(ip_comes_back_ipv4), LINKED(ip_comes_back_ipv6),
	  TEST(process_ends), TEST(refused))
