// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile network: random and mutated RoCEv2 packets from a raw socket of the peer's namespace, with right and with
 * wrong ICRCs, to live QPs, QP1 and numbers that nobody has. Nothing may be written outside of a region, nothing may
 * break but the QPs that were lied to, and a fresh pair works afterwards.
 *
 * rdma-odp: timeout 60
 */
#include "pair.h"
#include "random.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROCE_PORT  4791
#define MAX_PACKET 1500UL
#define BTH_BYTES  12UL
#define ICRC_BYTES 4UL

struct target {
	struct pair *pair;
	struct buf *buf;
};

/* CRC-32 as Ethernet has it, reflected, without the final complement. */
static uint32_t crc32_more(uint32_t crc, const uint8_t *data, size_t bytes)
{
	while (bytes--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

/* RoCEv2 annex A17.3.3: what routers may change counts as ones, and so do eight bytes before the packet. */
static uint32_t icrc(const uint8_t *packet, size_t bytes)
{
	uint8_t copy[MAX_PACKET], ones[8];
	struct iphdr *ip = (void *)copy;
	struct udphdr *udp = (void *)(copy + sizeof(*ip));

	memcpy(copy, packet, bytes);
	memset(ones, 0xff, sizeof(ones));
	ip->tos = 0xff;
	ip->ttl = 0xff;
	ip->check = 0xffff;
	udp->check = 0xffff;
	copy[sizeof(*ip) + sizeof(*udp) + 4] = 0xff; /* resv8a of the BTH */
	return ~crc32_more(crc32_more(0xffffffff, ones, sizeof(ones)), copy, bytes);
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, 4);
}

static void put64(uint8_t *at, uint64_t value)
{
	put32(at, value >> 32);
	put32(at + 4, value);
}

static uint32_t some_qpn(struct rnd *r, const struct target *t)
{
	switch (rnd_below(r, 8)) {
	case 0:
		return 1; /* QP1 */
	case 1:
		return rnd_next(r) & 0xffffff;
	default:
		return t->pair->a.qp->qp_num;
	}
}

/* About what the QP expects, mostly. */
static uint32_t some_psn(struct rnd *r, const struct target *t)
{
	if (rnd_one_in(r, 8))
		return rnd_next(r) & 0xffffff;
	return (t->pair->b.psn + rnd_below(r, 6) - 2) & 0xffffff;
}

static uint32_t some_length(struct rnd *r)
{
	static const uint32_t lengths[] = { 0,	       1,	 64,	   4096,
					    65536,     1U << 30, 1U << 31, (1U << 31) + 1,
					    0xffffffff };

	return rnd_one_in(r, 3) ? rnd_next(r) : lengths[rnd_below(r, ARRAY_SIZE(lengths))];
}

static uint64_t some_va(struct rnd *r, const struct target *t)
{
	if (rnd_one_in(r, 6))
		return rnd_next(r);
	return (uintptr_t)t->buf->data + rnd_below(r, 3 * t->buf->bytes) - t->buf->bytes;
}

/* The header that such an opcode has, with values that are nearly right. */
static size_t extended_header(struct rnd *r, const struct target *t, uint8_t opcode, uint8_t *at)
{
	uint32_t rkey = rnd_one_in(r, 6) ? rnd_next(r) : t->buf->mr->rkey;

	switch (opcode & 0x1f) {
	case 0x06: /* RDMA WRITE first, only, only with immediate; RDMA READ request */
	case 0x0a:
	case 0x0b:
	case 0x0c:
		put64(at, some_va(r, t));
		put32(at + 8, rkey);
		put32(at + 12, some_length(r));
		return 16;
	case 0x13: /* atomics */
	case 0x14:
		put64(at, some_va(r, t));
		put32(at + 8, rkey);
		rnd_fill(r, at + 12, 16);
		return 28;
	default: /* AETH, DETH, immediate, or none */
		rnd_fill(r, at, 16);
		if (opcode >> 5 == 3)
			put32(at, UD_QKEY);
		return 4 * rnd_below(r, 5);
	}
}

static size_t build(struct rnd *r, const struct target *t, uint8_t *packet)
{
	struct iphdr *ip = (void *)packet;
	struct udphdr *udp = (void *)(packet + sizeof(*ip));
	uint8_t *bth = packet + sizeof(*ip) + sizeof(*udp), *at = bth + BTH_BYTES;
	uint8_t opcode = rnd_one_in(r, 10) ? rnd_next(r) :
			 rnd_one_in(r, 4)  ? 0x64 + rnd_below(r, 2) :
					     rnd_below(r, 0x18);
	size_t payload = rnd_one_in(r, 3) ? 1024 : rnd_below(r, 1100), bytes;
	uint32_t crc;

	rnd_fill(r, bth, BTH_BYTES);
	bth[0] = opcode;
	if (!rnd_one_in(r, 8))
		bth[1] = (bth[1] & 0x80) | (-payload & 3) << 4; /* solicited, pad, version 0 */
	if (!rnd_one_in(r, 8))
		memset(bth + 2, 0xff, 2); /* P_Key */
	put32(bth + 4, some_qpn(r, t));
	put32(bth + 8, some_psn(r, t) | (rnd_next(r) & 0x80000000));
	at += extended_header(r, t, opcode, at);
	rnd_fill(r, at, payload);
	at += payload + (-payload & 3);
	/* Cut anywhere, or with a byte changed. */
	if (rnd_one_in(r, 8))
		at = bth + rnd_below(r, at - bth + 1);
	if (rnd_one_in(r, 6) && at > bth)
		bth[rnd_below(r, at - bth)] ^= 1 << rnd_below(r, 8);

	bytes = at - packet;
	memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->id = htons(0x1234);
	ip->frag_off = htons(0x4000);
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = inet_addr("10.77.0.2");
	ip->daddr = inet_addr("10.77.0.1");
	ip->tot_len = htons(bytes + ICRC_BYTES);
	udp->source = htons(0xc000 | rnd_below(r, 0x4000));
	udp->dest = htons(ROCE_PORT);
	udp->len = htons(bytes - sizeof(*ip) + ICRC_BYTES);
	udp->check = 0;
	crc = rnd_one_in(r, 8) ? rnd_next(r) : bytes < 41 ? 0 : icrc(packet, bytes);
	memcpy(packet + bytes, &crc, ICRC_BYTES); /* little endian on the wire */
	return bytes + ICRC_BYTES;
}

static int raw_socket(void)
{
	int saved = netns_enter_peer(), fd;

	if (saved < 0)
		skip_because("there is no namespace peer");
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	netns_leave(saved);
	if (fd < 0)
		fail_because("a raw socket: errno %d", errno);
	return fd;
}

/* Something of ours is under way, so that answers mean something too. */
static void post_some(struct pair *pair, struct buf *mine, struct buf *theirs)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_READ, IBV_WR_RDMA_WRITE,
						      IBV_WR_SEND };
	struct ibv_sge sge = buf_sge(mine, 0, mine->bytes);
	unsigned int i;

	for (i = 0; i < 4; i++)
		end_post_recv(&pair->a, i, &sge, 1);
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct ibv_send_wr wr = wr_rdma(opcodes[i], &sge, 1, theirs, 0);

		end_post(&pair->a, &wr);
	}
}

static void round_of(struct rnd *r, int fd, enum ibv_qp_type type, int odp)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { inet_addr("10.77.0.1") } };
	struct conn conn = CONN;
	struct buf mine, theirs;
	struct target target;
	struct pair pair;
	unsigned int i;

	conn.type = type;
	conn.wire = true;
	pair_open(&pair, &conn);
	buf_make(&mine, pair.a.rig->pd, MEM_ANON, 64 * KIB, 40, ACCESS_ALL | odp);
	buf_make(&theirs, pair.b.rig->pd, MEM_ANON, 64 * KIB, 40, ACCESS_ALL);
	if (type == IBV_QPT_RC)
		post_some(&pair, &mine, &theirs);
	target = (struct target){ &pair, &mine };
	for (i = 0; i < 150; i++) {
		uint8_t packet[MAX_PACKET];
		size_t bytes = build(r, &target, packet);

		if (sendto(fd, packet, bytes, 0, (void *)&to, sizeof(to)) < 0 && errno != ENOBUFS)
			fail_because("sendto of %zu bytes: errno %d", bytes, errno);
	}
	buf_free(&mine);
	buf_free(&theirs);
	pair_close(&pair);
}

static void random_packets(void **state)
{
	double end = seconds() + env_number("FUZZ_S", 5);
	struct rnd r = { rnd_seed() };
	struct conn conn = CONN;
	unsigned int rounds = 0;
	struct pair pair;
	int fd = raw_socket();

	(void)state;
	do {
		round_of(&r, fd, rounds % 4 ? IBV_QPT_RC : IBV_QPT_UD,
			 rounds & 1 ? IBV_ACCESS_ON_DEMAND : 0);
		rounds++;
	} while (seconds() < end);
	close(fd);
	printf("%u rounds of 150 packets\n", rounds);
	conn.wire = true;
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

/* What the fuzzer calls a right ICRC, the device must: or it would test nothing but the check of that. */
static void icrc_is_right(void **state)
{
	char path[160];
	struct rnd r = { 1 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { inet_addr("10.77.0.1") } };
	struct conn conn = CONN;
	struct target target;
	struct pair pair;
	struct buf buf;
	long before;
	unsigned int i;
	int fd = raw_socket();

	(void)state;
	if (rig_is_stock())
		skip_because("the counter's name is ours");
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/rcvd_pkts",
		 rig_device_name());
	conn.wire = true;
	pair_open(&pair, &conn);
	buf_make(&buf, pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	target = (struct target){ &pair, &buf };
	before = read_number(path, -1);
	for (i = 0; i < 100; i++) {
		uint8_t packet[MAX_PACKET];
		size_t bytes = build(&r, &target, packet);

		assert_true(sendto(fd, packet, bytes, 0, (void *)&to, sizeof(to)) > 0);
	}
	usleep(50000); /* ib_core shows what it read up to 10 ms ago */
	assert_true(read_number(path, -1) - before > 20);
	close(fd);
	buf_free(&buf);
	pair_close(&pair);
}

TEST_MAIN(TEST(icrc_is_right), TEST(random_packets))
