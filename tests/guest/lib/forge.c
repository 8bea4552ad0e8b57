// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "forge.h"
#include "roce.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_TVER 0x0f /* kernel/rxe_odp/wire/wire.h */

static size_t ip_bytes(const struct forge_target *t)
{
	return roce_ip_bytes(t->pair->conn.ipv6);
}

static uint32_t get_qpn(const uint8_t *bth)
{
	return bth[5] << 16 | bth[6] << 8 | bth[7];
}

/* The headers before so many bytes from the BTH on. */
static void put_headers(const struct forge_target *t, struct rnd *r, uint8_t *packet, size_t bytes)
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

size_t forge_seal(const struct forge_target *t, struct rnd *r, uint8_t *packet, size_t bth_bytes,
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

static uint32_t some_qpn(struct rnd *r, const struct forge_target *t)
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
static uint32_t some_psn(struct rnd *r, const struct forge_target *t, uint8_t opcode)
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

static uint64_t some_va(struct rnd *r, const struct forge_target *t)
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
	[0x03] = 4,	  [0x05] = 4,	     [0x06] = 16,
	[0x09] = 4,	  [0x0a] = 16,	     [0x0b] = 20,
	[ROCE_READ] = 16, [0x0d] = 4,	     [0x0f] = 4,
	[0x10] = 4,	  [0x11] = 4,	     [0x12] = 12,
	[0x13] = 28,	  [0x14] = 28,	     [0x16] = 4,
	[0x17] = 4,	  [ROCE_FLUSH] = 20, [ROCE_ATOMIC_WRITE] = 16,
};

/* READ requests, acknowledgments, atomics, FLUSH: a payload makes them malformed. */
static bool has_payload(uint8_t opcode)
{
	return opcode != ROCE_READ && opcode != ROCE_FLUSH && (opcode < 0x11 || opcode > 0x14);
}

static void put_reth(struct rnd *r, const struct forge_target *t, uint32_t length, uint8_t *at)
{
	roce_put64(at, some_va(r, t));
	if (!rnd_one_in(r, 6))
		roce_put32(at + 8, t->buf->mr->rkey);
	roce_put32(at + 12, length);
}

/* The header that such an opcode has, with values that are nearly right. */
static size_t extended_header(struct rnd *r, const struct forge_target *t, uint8_t opcode,
			      uint32_t qpn, size_t payload, uint8_t *at)
{
	rnd_fill(r, at, 28);
	switch (opcode) {
	case 0x06: /* RDMA WRITE first, only, only with immediate; RDMA READ request */
	case 0x0a:
	case 0x0b:
	case ROCE_READ:
	case ROCE_ATOMIC_WRITE:
		put_reth(r, t, some_length(r, payload), at);
		break;
	case ROCE_FLUSH:
		put_reth(r, t, some_length(r, 4096), at + 4);
		if (!rnd_one_in(r, 4))
			roce_put32(at, 1 | rnd_below(r, 2) << 4);
		break;
	case 0x13: /* atomics: what RETHs have as their length is the first half of a value */
	case 0x14:
		put_reth(r, t, rnd_next(r), at);
		break;
	case ROCE_UD_SEND:
	case ROCE_UD_SEND + 1:
		if (!rnd_one_in(r, 8))
			roce_put32(at, qpn == 1 ? FORGE_QP1_QKEY : UD_QKEY);
		return opcode == ROCE_UD_SEND ? 8 : 12;
	default: /* AETH: an ACK, mostly, or a NAK that there is */
		if (is_answer(opcode) && !rnd_one_in(r, 8))
			at[0] = rnd_one_in(r, 3) ? 0x60 | rnd_below(r, 5) : at[0] & 0x1f;
	}
	if (opcode >= ARRAY_SIZE(rc_headers) || rnd_one_in(r, 16))
		return 4 * rnd_below(r, 8);
	return rc_headers[opcode];
}

static uint8_t some_opcode(struct rnd *r, const struct forge_target *t, uint32_t qpn)
{
	if (rnd_one_in(r, 10))
		return rnd_next(r);
	if (qpn == 1 || t->pair->conn.type == IBV_QPT_UD ? !rnd_one_in(r, 4) : rnd_one_in(r, 10))
		return ROCE_UD_SEND + rnd_below(r, 2);
	if (!t->answering)
		return rnd_below(r, ARRAY_SIZE(rc_headers));
	return rnd_one_in(r, 2) ? ROCE_ACK : 0x0d + rnd_below(r, 6);
}

static size_t some_payload(struct rnd *r, uint8_t opcode, uint32_t qpn)
{
	if (!has_payload(opcode) && !rnd_one_in(r, 8))
		return 0;
	if (qpn == 1 && !rnd_one_in(r, 4))
		return FORGE_QP1_MAX;
	if (opcode == ROCE_ATOMIC_WRITE && !rnd_one_in(r, 4))
		return 8;
	return rnd_one_in(r, 2) ? 1024 : rnd_below(r, 1100);
}

/* The QP's, mostly. */
static uint8_t some_service(struct rnd *r, const struct forge_target *t)
{
	if (rnd_one_in(r, 16))
		return rnd_below(r, 8) << 5;
	if (t->pair->conn.type == IBV_QPT_UC)
		return ROCE_UC;
	return t->pair->conn.type == IBV_QPT_XRC_SEND ? ROCE_XRC : 0;
}

static bool has_xrceth(uint8_t opcode)
{
	return (opcode & 0xe0) == ROCE_XRC && !is_answer(opcode & 0x1f);
}

/* Its upper bits are reserved. */
static void put_xrceth(struct rnd *r, const struct forge_target *t, uint8_t *at)
{
	uint32_t num = rnd_one_in(r, 4) ? t->srqs[rnd_below(r, FORGE_SRQS)] : t->srqs[0];

	if (rnd_one_in(r, 16))
		num = rnd_next(r) & 0xffffff;
	roce_put32(at, num | (rnd_one_in(r, 4) ? rnd_next(r) << 24 : 0));
}

size_t forge_path_mtu_bytes(const struct forge_target *t)
{
	return 128UL << t->pair->conn.mtu;
}

/* For the BTH's reserved bits: how many PSNs more than one a payload has, mostly. */
static uint32_t some_more_psns(struct rnd *r, const struct forge_target *t, size_t payload)
{
	size_t psns = (payload + forge_path_mtu_bytes(t) - 1) / forge_path_mtu_bytes(t);

	if (rnd_one_in(r, 8))
		return rnd_below(r, 128) << 24;
	return psns > 1 ? (psns - 1) << 24 : 0;
}

/* What tells whether one of ours is at the other end; a cookie of ours nobody can guess. */
size_t forge_probe(struct rnd *r, const struct forge_target *t, uint8_t *packet)
{
	uint8_t *bth = packet + ip_bytes(t) + ROCE_UDP_BYTES, *at = bth + ROCE_BTH_BYTES;
	size_t payload = rnd_one_in(r, 2) ? 0 : 4 * rnd_below(r, 280);

	rnd_fill(r, bth, ROCE_BTH_BYTES + 16 + payload);
	bth[0] = ROCE_PROBE;
	bth[1] = PROBE_TVER;
	memset(bth + 2, 0xff, 2);
	roce_put32(bth + 4, t->pair->a.qp->qp_num);
	if (rnd_one_in(r, 2))
		roce_put32(bth + 8, some_more_psns(r, t, payload));
	if (!rnd_one_in(r, 4))
		roce_put64(at + 8, 0); /* it asks */
	if (rnd_one_in(r, 16))
		roce_put64(at, 0);
	return forge_seal(t, r, packet, ROCE_BTH_BYTES + 16 + payload, !rnd_one_in(r, 8));
}

size_t forge_packet(struct rnd *r, const struct forge_target *t, uint8_t *packet)
{
	uint8_t *bth = packet + ip_bytes(t) + ROCE_UDP_BYTES, *at = bth + ROCE_BTH_BYTES;
	uint32_t qpn = some_qpn(r, t);
	uint8_t opcode = some_opcode(r, t, qpn);
	size_t payload = some_payload(r, opcode, qpn);

	rnd_fill(r, bth, ROCE_BTH_BYTES);
	bth[0] = opcode;
	if (opcode < ROCE_UC)
		bth[0] |= some_service(r, t);
	if (!rnd_one_in(r, 8))
		bth[1] = (bth[1] & 0x80) | (-payload & 3) << 4; /* solicited, pad, version 0 */
	if (!rnd_one_in(r, 8))
		memset(bth + 2, 0xff, 2); /* P_Key */
	roce_put32(bth + 4, qpn);
	roce_put32(bth + 8, some_psn(r, t, opcode) | (rnd_next(r) & 0x80000000) |
				    some_more_psns(r, t, payload));
	if (has_xrceth(bth[0]) && !rnd_one_in(r, 32)) {
		put_xrceth(r, t, at);
		at += 4;
	}
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
	return forge_seal(t, r, packet, at - bth, !rnd_one_in(r, 8));
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

struct forge_wire forge_open(void)
{
	return (struct forge_wire){ raw_socket(AF_INET), raw_socket(AF_INET6) };
}

void forge_close(const struct forge_wire *wire)
{
	close(wire->fd4);
	close(wire->fd6);
}

void forge_send(const struct forge_wire *wire, const struct forge_target *t, const uint8_t *packet,
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
