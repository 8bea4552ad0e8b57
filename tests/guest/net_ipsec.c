// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * IPsec: where a policy says so, nothing of a connection leaves in clear, from the moment the policy is there until it
 * is taken away, with either family, connected or by an address handle that is as old.
 */
#include "pair.h"
#include "sniff.h"

#include <netinet/in.h>

#define GRH_BYTES 40
#define BYTES	  20000

static const char *const addresses[2][2] = { { "10.77.0.1", "10.77.0.2" },
					     { "fd77::1", "fd77::2" } };

/* "ip xfrm" of the end's namespace. */
static int xfrm(int end, const char *fmt, ...)
{
	char cmd[400];
	va_list args;
	int n;

	n = snprintf(cmd, sizeof(cmd), "ip %s xfrm ", end ? "-n peer" : "");
	va_start(args, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - n, fmt, args);
	va_end(args);
	strncat(cmd, " 2>/dev/null", sizeof(cmd) - strlen(cmd) - 1);
	return system(cmd);
}

static bool states_add(const char *const address[2])
{
	int end, from;

	for (end = 0; end < 2; end++)
		for (from = 0; from < 2; from++)
			if (xfrm(end,
				 "state add src %s dst %s proto esp spi 0x100%d mode transport "
				 "aead 'rfc4106(gcm(aes))' 0x%040x 128",
				 address[from], address[!from], from, from + 1))
				return false;
	return true;
}

static void policies(const char *verb, const char *const address[2])
{
	bool add = !strcmp(verb, "add");
	int end, out;

	for (end = 0; end < 2; end++)
		for (out = 0; out < 2; out++) {
			int from = out ? end : !end;

			assert_zero(xfrm(end,
					 "policy %s src %s dst %s proto udp dport 4791 dir %s %s",
					 verb, address[from], address[!from], out ? "out" : "in",
					 add ? "tmpl proto esp mode transport" : ""));
		}
}

static void flush(void)
{
	int end;

	for (end = 0; end < 2; end++) {
		(void)!xfrm(end, "policy flush");
		(void)!xfrm(end, "state flush");
	}
}

static int end(void **state)
{
	(void)state;
	flush();
	return 0;
}

static void check_wire(struct sniff *sniff, bool clear)
{
	unsigned int roce = 0, esp = 0;
	struct sniffed packet;

	while (sniff_next(sniff, &packet)) {
		roce += packet.roce;
		esp += packet.protocol == IPPROTO_ESP;
	}
	printf("%u in clear, %u encrypted\n", roce, esp);
	assert_int_equal(roce > 0, clear);
	assert_int_equal(esp > 0, !clear);
}

static void open_sniff(struct sniff *sniff)
{
	int saved = netns_enter_peer();

	assert_true(saved >= 0);
	sniff_open(sniff, "veth1");
	netns_leave(saved);
}

typedef void (*traffic_fn)(struct pair *pair, struct buf *from, struct buf *to, uint32_t seed);

static void rc_traffic(struct pair *pair, struct buf *from, struct buf *to, uint32_t seed)
{
	pair_move_checked(pair, OP_WRITE, from, to, seed);
	pair_move_checked(pair, OP_READ, from, to, seed + 1);
}

static void post_datagram(struct pair *pair, struct buf *from)
{
	struct ibv_sge sge = buf_sge(from, 0, 1000);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);

	wr.wr.ud.remote_qpn = pair->b.qp->qp_num;
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
}

static void ud_traffic(struct pair *pair, struct buf *from, struct buf *to, uint32_t seed)
{
	struct ibv_sge sge = buf_sge(to, 0, GRH_BYTES + 1000);

	pattern_fill(from->data, 1000, seed, 0);
	end_post_recv(&pair->b, 1, &sge, 1);
	post_datagram(pair, from);
	cq_success(pair->b.rcq);
	pattern_check(to->data + GRH_BYTES, 1000, seed, 0, "a datagram");
}

static void run(enum ibv_qp_type type, bool ipv6)
{
	const char *const *address = addresses[ipv6];
	traffic_fn traffic = type == IBV_QPT_UD ? ud_traffic : rc_traffic;
	struct conn conn = CONN;
	struct sniff sniff;
	struct buf from, to;
	struct pair pair;

	if (!states_add(address)) {
		flush();
		skip_because("this kernel has no IPsec, or not ESP");
	}
	conn.type = type;
	conn.wire = true;
	conn.ipv6 = ipv6;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 40, ACCESS_ALL);
	open_sniff(&sniff);
	traffic(&pair, &from, &to, 1);
	check_wire(&sniff, true);

	policies("add", address);
	traffic(&pair, &from, &to, 11);
	check_wire(&sniff, false);

	policies("delete", address);
	traffic(&pair, &from, &to, 21);
	check_wire(&sniff, true);
	sniff_close(&sniff);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
	flush();
}

static void rc(void **state)
{
	(void)state;
	run(IBV_QPT_RC, false);
}

static void rc_ipv6(void **state)
{
	(void)state;
	run(IBV_QPT_RC, true);
}

static void ud(void **state)
{
	(void)state;
	run(IBV_QPT_UD, false);
}

static void ud_ipv6(void **state)
{
	(void)state;
	run(IBV_QPT_UD, true);
}

/* A policy whose keys are not there yet, or no more: the packets are lost, and not seen. */
static void without_keys(void **state)
{
	struct conn conn = CONN;
	struct sniffed packet;
	struct sniff sniff;
	struct pair pair;
	struct buf from;

	(void)state;
	if (!states_add(addresses[0])) {
		flush();
		skip_because("this kernel has no IPsec, or not ESP");
	}
	conn.type = IBV_QPT_UD;
	conn.wire = true;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 1000, 0, ACCESS_ALL);
	policies("add", addresses[0]);
	post_datagram(&pair, &from);
	open_sniff(&sniff);
	assert_zero(xfrm(0, "state flush"));
	post_datagram(&pair, &from);
	while (sniff_next(&sniff, &packet))
		assert_true(!packet.roce && packet.protocol != IPPROTO_ESP);
	sniff_close(&sniff);
	buf_free(&from);
	pair_close(&pair);
	flush();
}

/* clang-format off */
#define IPSEC(fn) { #fn, fn, NULL, end, NULL }
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = { IPSEC(rc), IPSEC(rc_ipv6), IPSEC(ud), IPSEC(ud_ipv6),
					    IPSEC(without_keys) };
	int rc;

	/* Where it is built in, or cannot be had, that shows when it is used. */
	(void)!system("modprobe -aq xfrm_user esp4 esp6");
	rc = test_run(tests, ARRAY_SIZE(tests));
	(void)!system("modprobe -rq esp4 esp6");
	return rc;
}
