// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile network: random and mutated RoCEv2 packets from a raw socket of the peer's namespace,
 * over IPv4 and IPv6, with right and with wrong ICRCs, to live QPs, QP1 and numbers that nobody
 * has. Nothing may be written outside of a region, nothing may break but the QPs that were lied to:
 * a bystander's QPs work all the time.
 *
 * In most rounds of connected QPs the peer is deaf: what ours asks for stays outstanding, and
 * whatever completes it was forged.
 *
 * rdma-odp: timeout 90
 */
#include "random.h"
#include "roce.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define QP1_QKEY      0x80010000
#define QP1_MAX	      256 /* bytes of a management datagram */
#define UD_SEND	      0x64
#define FLUSH	      0x1c
#define ATOMIC_WRITE  0x1d
#define UC	      0x20   /* its opcodes are RC's and this */
#define LOCAL_BYTES   4096UL /* of one of our requests, at most */
#define LARGE_BYTES   (3 * GIB)
#define ROUND	      150
#define CONNECTED_OPS (IBV_QP_EX_WITH_FLUSH | IBV_QP_EX_WITH_ATOMIC_WRITE)
#define RECEIVES      16

/* Where packets go: end a of a pair, and what they may say about it. */
struct target {
	struct pair *pair;
	const struct buf *buf;
	uint32_t request_psn;	      /* that it expects */
	uint32_t answer_psn, answers; /* that it waits for, from there on */
	uint32_t spared_qpn;
	bool answering;
};

/* What came through, in a way that nothing but forged packets explains. */
struct seen {
	unsigned long datagrams, sends, unreliable, writes, answers, naks;
};

static size_t ip_bytes(const struct target *t)
{
	return roce_ip_bytes(t->pair->conn.ipv6);
}

static uint32_t get_qpn(const uint8_t *bth)
{
	return bth[5] << 16 | bth[6] << 8 | bth[7];
}

/* The headers before so many bytes from the BTH on. */
static void put_headers(const struct target *t, struct rnd *r, uint8_t *packet, size_t bytes)
{
	const struct roce_path path = roce_path(&t->pair->b, &t->pair->a);
	struct udphdr *udp = (void *)(packet + ip_bytes(t));

	roce_put_ip(&path, packet, ROCE_UDP_BYTES + bytes);
	if (path.ipv6)
		roce_put32(packet, 6 << 28 | rnd_below(r, 1 << 28)); /* class, flow label */
	else
		packet[5] = 0x34; /* an id: a raw socket gives one to a packet that has none */
	*udp = (struct udphdr){
		.source = htons(0xc000 | rnd_below(r, 0x4000)),
		.dest = htons(ROCE_PORT),
		.len = htons(ROCE_UDP_BYTES + bytes),
	};
}

/* The packet is there from the BTH to the payload: all that the network adds. */
static size_t seal(const struct target *t, struct rnd *r, uint8_t *packet, size_t bth_bytes,
		   bool right)
{
	size_t bytes = ip_bytes(t) + ROCE_UDP_BYTES + bth_bytes;
	uint32_t crc;

	put_headers(t, r, packet, bth_bytes + ROCE_ICRC_BYTES);
	crc = right && bth_bytes >= ROCE_BTH_BYTES ? roce_icrc(t->pair->conn.ipv6, packet, bytes) :
						     rnd_next(r);
	memcpy(packet + bytes, &crc, ROCE_ICRC_BYTES); /* little endian on the wire */
	return bytes + ROCE_ICRC_BYTES;
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

static bool is_answer(uint8_t opcode)
{
	return opcode >= 0x0d && opcode <= 0x12;
}

/* About what the QP expects, mostly. */
static uint32_t some_psn(struct rnd *r, const struct target *t, uint8_t opcode)
{
	if (rnd_one_in(r, 8))
		return rnd_next(r) & 0xffffff;
	if (is_answer(opcode))
		return (t->answer_psn + rnd_below(r, rnd_one_in(r, 2) ? 3 : t->answers + 2)) &
		       0xffffff;
	return (t->request_psn + (rnd_one_in(r, 2) ? 0 : rnd_below(r, 6) - 2)) & 0xffffff;
}

static uint32_t some_length(struct rnd *r, size_t payload)
{
	static const uint32_t lengths[] = { 0,	       1,	 64,	   4096,
					    65536,     1U << 30, 1U << 31, (1U << 31) + 1,
					    0xffffffff };

	if (rnd_one_in(r, 2))
		return payload;
	return rnd_one_in(r, 3) ? rnd_next(r) : lengths[rnd_below(r, ARRAY_SIZE(lengths))];
}

static uint64_t some_va(struct rnd *r, const struct target *t)
{
	const uint64_t start = (uintptr_t)t->buf->data;

	switch (rnd_below(r, 6)) {
	case 0:
		return rnd_next(r);
	case 1: /* anywhere, and around it */
		return start + rnd_below(r, 3 * t->buf->bytes) - t->buf->bytes;
	default:
		return (start + rnd_below(r, 64 * KIB)) & (rnd_one_in(r, 2) ? ~7UL : ~0UL);
	}
}

/* Bytes between the BTH and the payload, by RC's opcode. */
static const uint8_t rc_headers[0x1e] = {
	[0x03] = 4,	  [0x05] = 4,  [0x06] = 16, [0x09] = 4, [0x0a] = 16,  [0x0b] = 20,
	[ROCE_READ] = 16, [0x0d] = 4,  [0x0f] = 4,  [0x10] = 4, [0x11] = 4,   [0x12] = 12,
	[0x13] = 28,	  [0x14] = 28, [0x16] = 4,  [0x17] = 4, [FLUSH] = 20, [ATOMIC_WRITE] = 16,
};

/* READ requests, acknowledgments, atomics, FLUSH: a payload makes them malformed. */
static bool has_payload(uint8_t opcode)
{
	return opcode != ROCE_READ && opcode != FLUSH && (opcode < 0x11 || opcode > 0x14);
}

static void put_reth(struct rnd *r, const struct target *t, uint32_t length, uint8_t *at)
{
	roce_put64(at, some_va(r, t));
	if (!rnd_one_in(r, 6))
		roce_put32(at + 8, t->buf->mr->rkey);
	roce_put32(at + 12, length);
}

/* The header that such an opcode has, with values that are nearly right. */
static size_t extended_header(struct rnd *r, const struct target *t, uint8_t opcode, uint32_t qpn,
			      size_t payload, uint8_t *at)
{
	rnd_fill(r, at, 28);
	switch (opcode) {
	case 0x06: /* RDMA WRITE first, only, only with immediate; RDMA READ request */
	case 0x0a:
	case 0x0b:
	case ROCE_READ:
	case ATOMIC_WRITE:
		put_reth(r, t, some_length(r, payload), at);
		break;
	case FLUSH:
		put_reth(r, t, some_length(r, 4096), at + 4);
		if (!rnd_one_in(r, 4))
			roce_put32(at, 1 | rnd_below(r, 2) << 4);
		break;
	case 0x13: /* atomics: what RETHs have as their length is the first half of a value */
	case 0x14:
		put_reth(r, t, rnd_next(r), at);
		break;
	case UD_SEND:
	case UD_SEND + 1:
		if (!rnd_one_in(r, 8))
			roce_put32(at, qpn == 1 ? QP1_QKEY : UD_QKEY);
		return opcode == UD_SEND ? 8 : 12;
	default: /* AETH: an ACK, mostly, or a NAK that there is */
		if (is_answer(opcode) && !rnd_one_in(r, 8))
			at[0] = rnd_one_in(r, 3) ? 0x60 | rnd_below(r, 5) : at[0] & 0x1f;
	}
	if (opcode >= ARRAY_SIZE(rc_headers) || rnd_one_in(r, 16))
		return 4 * rnd_below(r, 8);
	return rc_headers[opcode];
}

static uint8_t some_opcode(struct rnd *r, const struct target *t, uint32_t qpn)
{
	if (rnd_one_in(r, 10))
		return rnd_next(r);
	if (qpn == 1 || t->pair->conn.type == IBV_QPT_UD ? !rnd_one_in(r, 4) : rnd_one_in(r, 10))
		return UD_SEND + rnd_below(r, 2);
	if (!t->answering)
		return rnd_below(r, ARRAY_SIZE(rc_headers));
	return rnd_one_in(r, 2) ? ROCE_ACK : 0x0d + rnd_below(r, 6);
}

static size_t some_payload(struct rnd *r, uint8_t opcode, uint32_t qpn)
{
	if (!has_payload(opcode) && !rnd_one_in(r, 8))
		return 0;
	if (qpn == 1 && !rnd_one_in(r, 4))
		return QP1_MAX;
	if (opcode == ATOMIC_WRITE && !rnd_one_in(r, 4))
		return 8;
	return rnd_one_in(r, 2) ? 1024 : rnd_below(r, 1100);
}

static size_t build(struct rnd *r, const struct target *t, uint8_t *packet)
{
	uint8_t *bth = packet + ip_bytes(t) + ROCE_UDP_BYTES, *at = bth + ROCE_BTH_BYTES;
	uint32_t qpn = some_qpn(r, t);
	uint8_t opcode = some_opcode(r, t, qpn);
	size_t payload = some_payload(r, opcode, qpn);

	rnd_fill(r, bth, ROCE_BTH_BYTES);
	bth[0] = opcode;
	if (t->pair->conn.type == IBV_QPT_UC && opcode < UC && !rnd_one_in(r, 16))
		bth[0] |= UC;
	if (!rnd_one_in(r, 8))
		bth[1] = (bth[1] & 0x80) | (-payload & 3) << 4; /* solicited, pad, version 0 */
	if (!rnd_one_in(r, 8))
		memset(bth + 2, 0xff, 2); /* P_Key */
	roce_put32(bth + 4, qpn);
	roce_put32(bth + 8, some_psn(r, t, opcode) | (rnd_next(r) & 0x80000000));
	at += extended_header(r, t, opcode, qpn, payload, at);
	rnd_fill(r, at, payload);
	if (qpn == 1)
		at[0] = 1; /* the version of management datagrams: ib_core logs others */
	at += payload + (-payload & 3);
	/* Cut anywhere, or with a byte changed. */
	if (rnd_one_in(r, 8))
		at = bth + rnd_below(r, at - bth + 1);
	if (rnd_one_in(r, 6) && at > bth)
		bth[rnd_below(r, at - bth)] ^= 1 << rnd_below(r, 8);
	if (get_qpn(bth) == t->spared_qpn)
		roce_put32(bth + 4, qpn == t->spared_qpn ? 2 : qpn);
	return seal(t, r, packet, at - bth, !rnd_one_in(r, 8));
}

static int raw_socket(int family)
{
	int saved = netns_enter_peer(), fd;

	if (saved < 0)
		skip_because("there is no namespace peer");
	fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	netns_leave(saved);
	if (fd < 0)
		fail_because("a raw socket: errno %d", errno);
	return fd;
}

/* Sockets of both families. */
struct wire {
	int fd4, fd6;
};

static struct wire wire_open(void)
{
	return (struct wire){ raw_socket(AF_INET), raw_socket(AF_INET6) };
}

static void wire_close(const struct wire *wire)
{
	close(wire->fd4);
	close(wire->fd6);
}

static void wire_send(const struct wire *wire, const struct target *t, const uint8_t *packet,
		      size_t bytes)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	ssize_t sent;

	memcpy(&to4.sin_addr, t->pair->a.gid.raw + 12, 4);
	memcpy(&to6.sin6_addr, t->pair->a.gid.raw, 16);
	if (t->pair->conn.ipv6)
		sent = sendto(wire->fd6, packet, bytes, 0, (void *)&to6, sizeof(to6));
	else
		sent = sendto(wire->fd4, packet, bytes, 0, (void *)&to4, sizeof(to4));
	if (sent < 0 && errno != ENOBUFS)
		fail_because("sendto of %zu bytes: errno %d", bytes, errno);
}

static void post_receive(struct rnd *r, struct pair *pair, const struct buf *mine)
{
	struct ibv_sge sge = buf_sge(mine, rnd_below(r, mine->bytes - LOCAL_BYTES), LOCAL_BYTES);

	end_post_recv(&pair->a, 0, &sge, 1);
}

/* What answers may mean: every operation, of a few packets at most. */
static void post_some(struct rnd *r, struct pair *pair, const struct buf *mine,
		      const struct buf *theirs)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE,	     IBV_WR_SEND,  IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_FLUSH, IBV_WR_ATOMIC_WRITE
	};
	unsigned int i;

	for (i = 0; i < RECEIVES; i++)
		post_receive(r, pair, mine);
	if (pair->conn.type != IBV_QPT_RC)
		return;
	for (i = 0; i < 10; i++) {
		enum ibv_wr_opcode opcode = opcodes[rnd_below(r, ARRAY_SIZE(opcodes))];
		struct ibv_sge sge = buf_sge(mine, rnd_below(r, mine->bytes - LOCAL_BYTES),
					     1024 * (1 + rnd_below(r, 3)));
		struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, theirs, 0);

		if (opcode == IBV_WR_FLUSH) {
			end_post_flush(&pair->a, theirs->mr->rkey, 0, 0, IBV_FLUSH_GLOBAL,
				       IBV_FLUSH_MR);
			continue;
		}
		if (opcode == IBV_WR_ATOMIC_WRITE) {
			end_post_atomic_write(&pair->a, theirs, 0, i);
			continue;
		}
		if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
			sge.length = 8;
			wr = wr_atomic(opcode, &sge, theirs, 0, 1, 0);
		}
		end_post(&pair->a, &wr);
	}
}

struct round {
	struct pair pair;
	struct target target;
	struct buf mine, theirs, open; /* for our requests, at the peer, for packets */
	bool deaf;
};

static void look(struct rnd *r, struct round *round, struct seen *seen)
{
	enum ibv_qp_type type = round->pair.conn.type;
	struct ibv_wc wc;

	while (ibv_poll_cq(round->pair.a.scq, 1, &wc) > 0) {
		if (!round->deaf)
			continue;
		seen->answers += wc.status == IBV_WC_SUCCESS;
		seen->naks += wc.status == IBV_WC_REM_ACCESS_ERR ||
			      wc.status == IBV_WC_REM_INV_REQ_ERR || wc.status == IBV_WC_REM_OP_ERR;
	}
	while (ibv_poll_cq(round->pair.a.rcq, 1, &wc) > 0) {
		if (wc.status != IBV_WC_SUCCESS)
			continue;
		seen->datagrams += type == IBV_QPT_UD;
		seen->sends += type == IBV_QPT_RC;
		seen->unreliable += type == IBV_QPT_UC;
		post_receive(r, &round->pair, &round->mine);
	}
}

static void begin(struct rnd *r, struct round *round)
{
	if (round->deaf)
		assert_zero(end_set_state(&round->pair.b, IBV_QPS_ERR));
	post_some(r, &round->pair, &round->mine, &round->theirs);
}

/* Aims, and gives the QP another life when it has lost one. */
static void aim(struct rnd *r, struct round *round, bool again)
{
	struct target *t = &round->target;
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	const int mask = IBV_QP_STATE | IBV_QP_RQ_PSN | IBV_QP_SQ_PSN;

	/* One wrong request ends what answers would be for. */
	if (again)
		t->answering = round->pair.conn.type != IBV_QPT_UC && rnd_one_in(r, 2);
	assert_zero(ibv_query_qp(round->pair.a.qp, &attr, mask, &init));
	if (round->pair.conn.type != IBV_QPT_UD &&
	    (again || (attr.qp_state == IBV_QPS_ERR && rnd_one_in(r, 2)))) {
		/* What was still on its way may fail them at once: then there is a next time. */
		if (!ends_reconnect(&round->pair.a, &round->pair.b, &round->pair.conn))
			begin(r, round);
		assert_zero(ibv_query_qp(round->pair.a.qp, &attr, mask, &init));
	}
	t->request_psn = attr.rq_psn;
	t->answer_psn = round->pair.a.psn;
	t->answers = (attr.sq_psn - round->pair.a.psn) & 0xffffff;
}

/*
 * The region that packets know. On demand it is larger than any message, and empty: a READ finds
 * the zero page there, and a WRITE makes 2 MiB at most.
 */
static void open_make(struct round *round, int odp)
{
	struct buf *open = &round->open;

	if (!odp) {
		buf_make(open, round->pair.a.rig->pd, MEM_ANON, 64 * KIB, 40,
			 ACCESS_ALL | IBV_ACCESS_FLUSH_GLOBAL);
		return;
	}
	*open = (struct buf){ .bytes = LARGE_BYTES };
	open->data = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(open->data, MAP_FAILED);
	buf_reg(open, round->pair.a.rig->pd, ACCESS_ALL | IBV_ACCESS_FLUSH_GLOBAL | odp);
}

static void open_free(struct round *round)
{
	struct buf *open = &round->open;

	if (open->map) {
		buf_free(open);
		return;
	}
	buf_dereg(open);
	munmap(open->data, open->bytes);
}

static void round_open(struct round *round, const struct conn *conn, int odp, uint32_t spared_qpn)
{
	pair_open(&round->pair, conn);
	buf_make(&round->mine, round->pair.a.rig->pd, MEM_ANON, 64 * KIB, 40, ACCESS_ALL | odp);
	buf_make(&round->theirs, round->pair.b.rig->pd, MEM_ANON, 64 * KIB, 40, ACCESS_ALL);
	open_make(round, odp);
	round->target = (struct target){ .pair = &round->pair,
					 .buf = &round->open,
					 .spared_qpn = spared_qpn };
}

static void round_close(struct round *round)
{
	open_free(round);
	buf_free(&round->mine);
	buf_free(&round->theirs);
	pair_close(&round->pair);
}

static void round_of(struct rnd *r, const struct wire *wire, const struct conn *conn, int odp,
		     uint32_t spared_qpn, struct seen *seen)
{
	struct round round = { .deaf = conn->type == IBV_QPT_RC && !rnd_one_in(r, 4) };
	uint8_t packet[ROCE_MAX_PACKET];
	unsigned int i;

	round_open(&round, conn, odp, spared_qpn);
	begin(r, &round);
	aim(r, &round, true);
	for (i = 0; i < ROUND; i++) {
		wire_send(wire, &round.target, packet, build(r, &round.target, packet));
		look(r, &round, seen);
		/* A QP that answers a long READ does nothing else. */
		aim(r, &round, i % 50 == 49);
	}
	for (i = 0; i < 64 * KIB; i++)
		seen->writes += !!round.open.data[i];
	round_close(&round);
}

static bool seen_all(const struct seen *seen)
{
	return seen->datagrams && seen->sends && seen->unreliable && seen->writes &&
	       seen->answers && seen->naks;
}

/* It has nothing to do with any of this. */
struct bystander {
	struct pair pair;
	struct buf from, to;
};

static void bystander_open(struct bystander *by)
{
	struct conn conn = CONN;

	conn.wire = true;
	pair_open(&by->pair, &conn);
	buf_make(&by->from, by->pair.a.rig->pd, MEM_ANON, 16 * KIB, 40, ACCESS_ALL);
	buf_make(&by->to, by->pair.b.rig->pd, MEM_ANON, 16 * KIB, 72, ACCESS_ALL);
}

static void bystander_close(struct bystander *by)
{
	buf_free(&by->from);
	buf_free(&by->to);
	pair_close(&by->pair);
}

static void random_packets(void **state)
{
	static const char *const counters[] = { "duplicate_request", "out_of_seq_request",
						"rcv_dropped", "rx_icrc_encapsulated" };
	double end = seconds() + env_number("FUZZ_S", 5);
	const struct wire wire = wire_open();
	struct rnd r = { rnd_seed() };
	struct conn conn = CONN;
	long before[ARRAY_SIZE(counters)];
	unsigned int rounds = 0, i;
	struct seen seen = { 0 };
	struct bystander by;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		before[i] = rig_counter(counters[i]);
	bystander_open(&by);
	conn.wire = true;
	conn.access |= IBV_ACCESS_FLUSH_GLOBAL;
	/* A slow kernel is given what it takes until each kind of packet has come through. */
	do {
		conn.type = rnd_one_in(&r, 4) ? IBV_QPT_UD :
			    rnd_one_in(&r, 3) ? IBV_QPT_UC :
						IBV_QPT_RC;
		conn.send_ops = conn.type == IBV_QPT_RC ? CONNECTED_OPS : 0;
		conn.ipv6 = rnd_one_in(&r, 2);
		round_of(&r, &wire, &conn, rnd_one_in(&r, 2) ? IBV_ACCESS_ON_DEMAND : 0,
			 by.pair.a.qp->qp_num, &seen);
		pair_move_checked(&by.pair, rounds % OP_KINDS, &by.from, &by.to, rounds);
		rounds++;
	} while (seconds() < end || !seen_all(&seen));
	bystander_close(&by);
	wire_close(&wire);
	printf("%u rounds of %u packets: %lu datagrams, %lu sends, %lu of UC, %lu bytes written, ",
	       rounds, ROUND, seen.datagrams, seen.sends, seen.unreliable, seen.writes);
	printf("%lu answers, %lu NAKs\n", seen.answers, seen.naks);
	assert_true(seen_all(&seen));
	if (rig_is_stock())
		return;
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (rig_counter(counters[i]) <= before[i])
			fail_because("%s has not grown", counters[i]);
}

/* A packet as it should be. */
static void send_one(const struct wire *wire, const struct target *t, struct rnd *r, uint8_t opcode,
		     uint32_t qpn, const void *header, size_t header_bytes, size_t payload)
{
	uint8_t packet[ROCE_MAX_PACKET] = { 0 };
	uint8_t *bth = packet + ip_bytes(t) + ROCE_UDP_BYTES;

	bth[0] = opcode;
	memset(bth + 2, 0xff, 2);
	roce_put32(bth + 4, qpn);
	roce_put32(bth + 8, t->request_psn);
	memcpy(bth + ROCE_BTH_BYTES, header, header_bytes);
	bth[ROCE_BTH_BYTES + header_bytes] = 1;
	wire_send(wire, t, packet,
		  seal(t, r, packet, ROCE_BTH_BYTES + header_bytes + payload, true));
}

static void await_counter(const char *name, long value)
{
	double last = seconds() + BOUND_S;

	while (rig_counter(name) < value)
		if (seconds() > last)
			fail_because("%s is %ld, not %ld", name, rig_counter(name), value);
}

/*
 * A datagram of the fuzzer's is one for the device as well: over both families, by its Q_Key, to QP1
 * and to QPs of users.
 */
static void datagrams_are_taken(void **state)
{
	static const struct {
		uint32_t qkey;
		bool qp1, taken;
	} ways[] = {
		{ QP1_QKEY, true, true },
		{ UD_QKEY, true, false },
		{ UD_QKEY, false, true },
		{ QP1_QKEY, false, false },
	};
	const struct wire wire = wire_open();
	struct rnd r = { 1 };
	struct conn conn = CONN;
	struct round round;
	unsigned int way, i;

	(void)state;
	if (rig_is_stock())
		skip_because("the counters are ours");
	conn.type = IBV_QPT_UD;
	conn.wire = true;
	for (way = 0; way < 2 * ARRAY_SIZE(ways); way++) {
		long dropped = rig_counter("rcv_dropped"), received = rig_counter("rcvd_pkts");
		bool taken = ways[way / 2].taken, qp1 = ways[way / 2].qp1;
		struct seen seen = { 0 };
		uint8_t deth[8] = { 0 };

		conn.ipv6 = way % 2;
		memset(&round, 0, sizeof(round));
		round_open(&round, &conn, 0, 0);
		begin(&r, &round);
		roce_put32(deth, ways[way / 2].qkey);
		for (i = 0; i < RECEIVES; i++)
			send_one(&wire, &round.target, &r, UD_SEND,
				 qp1 ? 1 : round.pair.a.qp->qp_num, deth, sizeof(deth), QP1_MAX);
		await_counter("rcvd_pkts", received + RECEIVES);
		if (!taken)
			await_counter("rcv_dropped", dropped + RECEIVES);
		/* They are counted before they are placed. */
		do
			look(&r, &round, &seen);
		while (taken && !qp1 && seen.datagrams < RECEIVES);
		assert_int_equal(rig_counter("rcv_dropped") - dropped, taken ? 0 : RECEIVES);
		assert_int_equal(seen.datagrams, taken && !qp1 ? RECEIVES : 0);
		round_close(&round);
	}
	wire_close(&wire);
}

/* A forged READ of the longest message there may be ends with the QP, wherever it stands. */
static void long_read_ends(void **state)
{
	const struct wire wire = wire_open();
	struct rnd r = { 1 };
	struct conn conn = CONN;
	struct round round = { 0 };
	double last = seconds() + BOUND_S;
	uint8_t reth[16];
	long enough, sent, before = -1;

	(void)state;
	conn.wire = true;
	round_open(&round, &conn, IBV_ACCESS_ON_DEMAND, 0);
	assert_zero(end_set_state(&round.pair.b, IBV_QPS_ERR));
	aim(&r, &round, false);
	roce_put64(reth, (uintptr_t)round.open.data);
	roce_put32(reth + 8, round.open.mr->rkey);
	roce_put32(reth + 12, 1U << 31);
	/*
	 * More than it looks ahead at a time. A page that is late ends the answer: then it is asked
	 * again.
	 */
	for (enough = rig_counter("sent_pkts") + 8 * MIB / 1024;
	     (sent = rig_counter("sent_pkts")) < enough; before = sent) {
		if (seconds() > last)
			fail_because("sent_pkts is %ld, not %ld", sent, enough);
		if (sent == before || before < 0)
			send_one(&wire, &round.target, &r, ROCE_READ, round.pair.a.qp->qp_num, reth,
				 sizeof(reth), 0);
	}
	wire_close(&wire);
	assert_zero(ends_reconnect(&round.pair.a, &round.pair.b, &conn));
	pair_assert_works(&round.pair);
	round_close(&round);
}

TEST_MAIN(TEST(datagrams_are_taken), TEST(long_read_ends), TEST(random_packets))
