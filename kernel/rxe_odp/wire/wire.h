/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The wire: IBTA transport headers and what each opcode carries.
 *
 * Pure: no kernel state, so that the same text is tested and fuzzed in user
 * space. A RoCEv2 packet is Ethernet, IP, UDP to port 4791, BTH, extension
 * headers, payload, 0 to 3 bytes of pad, ICRC. Everything is big-endian except
 * the ICRC. Structs are packed: nothing promises alignment behind an IP header.
 */
#ifndef RXO_WIRE_H
#define RXO_WIRE_H

#include <linux/types.h>
#include <asm/byteorder.h>
#include <rdma/ib_pack.h>

#include "wire/psn.h"

#define RXO_ICRC_BYTES		4
#define RXO_GRH_BYTES		40
#define RXO_QPN_MASK		0xffffffU
#define RXO_MSN_MASK		0xffffffU

struct rxo_bth {
	u8 opcode;
	u8 flags;		/* RXO_BTH_*: SE, M, pad count, transport version */
	__be16 pkey;
	__be32 qpn;		/* FECN, BECN, resv8a: 8, destination QP: 24 */
	__be32 apsn;		/* AckReq: 1, reserved: 7, PSN: 24 */
} __packed;

#define RXO_BTH_SE		0x80
#define RXO_BTH_MIG		0x40
#define RXO_BTH_PAD		0x30
#define RXO_BTH_PAD_SHIFT	4
#define RXO_BTH_TVER		0x0f
#define RXO_BTH_BECN		0x40000000U	/* in qpn: congestion, told back */
#define RXO_BTH_RESV8A		0xff000000U	/* in qpn; not covered by the ICRC */
#define RXO_BTH_ACK_REQ		0x80000000U	/* in apsn */
/*
 * In apsn, reserved by IBTA: how many PSNs more than one a wide packet has. Its payload is that of
 * so many packets in a row, and its opcode says what the first and the last of them are. Only
 * within one kernel, or on a connection on which one end has asked whether long packets pass: all
 * else has one PSN, whatever stands here. In a probe it tells kinds apart (transport/peer.c).
 */
#define RXO_BTH_MORE_PSNS	0x7f000000U
#define RXO_BTH_MORE_PSNS_SHIFT	24

struct rxo_deth {
	__be32 qkey;
	__be32 sqp;		/* reserved: 8, source QP: 24 */
} __packed;

struct rxo_reth {
	__be64 va;
	__be32 rkey;
	__be32 len;
} __packed;

struct rxo_aeth {
	__be32 smsn;		/* syndrome: 8, MSN: 24 */
} __packed;

struct rxo_atomic_eth {
	__be64 va;
	__be32 rkey;
	__be64 swap_add;
	__be64 comp;
} __packed;

struct rxo_atomic_ack_eth {
	__be64 orig;
} __packed;

struct rxo_immdt {
	__be32 imm;
} __packed;

struct rxo_ieth {
	__be32 rkey;
} __packed;

/* Behind the BTH of every XRC request (annex A14): whose receives and keys it is about. */
struct rxo_xrceth {
	__be32 srqn;		/* reserved: 8, XRC SRQ: 24 */
} __packed;

#define RXO_SRQN_MASK		0xffffffU

/* What a FLUSH asks for (annex A19): the rest is reserved. */
struct rxo_feth {
	__be32 bits;		/* RXO_FETH_* */
} __packed;

#define RXO_FETH_GLOBAL		0x01U	/* placement: seen by everybody */
#define RXO_FETH_PERSISTENT	0x02U	/* outlives a loss of power */
#define RXO_FETH_PLACEMENT	0x0fU
#define RXO_FETH_SELECT		0x30U	/* 0: the range of the RETH */
#define RXO_FETH_SELECT_MR	0x10U	/* the whole region of the key */

/* Congestion notification: 16 reserved bytes behind the BTH (RoCEv2 annex, A17.9.3). */
#define RXO_OPCODE_CNP		0x81
#define RXO_CNP_BYTES		16

/*
 * Between our own drivers alone: a probe of whether both ends are on one host, and of how long
 * packets may be (transport/peer.c). The opcode is a manufacturer's (IBTA 9.2.1). Other drivers
 * drop it for its transport version, which is undefined, before they look at the rest: stock rxe of
 * some kernels reads past the end of a packet whose opcode it does not know.
 */
#define RXO_OPCODE_PROBE	0xc0
#define RXO_PROBE_TVER		0x0f

/*
 * Behind the BTH of a probe. In an answer to a probe as long as a frame (and in the answer to
 * that), the PSN of the BTH is how many bytes of payload the probe that arrived had room for.
 */
struct rxo_probeth {
	__be64 from;		/* cookie of the sender */
	__be64 to;		/* cookie of the queue pair that it answers; 0: it is a question */
} __packed;

/* What is added to RC's opcodes (annex A14); <rdma/ib_pack.h> has no XRC. */
#define RXO_OPCODE_XRC		0xa0
#define RXO_OPCODE_OPERATION	0x1f	/* the bits that say what, not by which service */

#define RXO_MAX_HDR_BYTES	(sizeof(struct rxo_bth) + sizeof(struct rxo_xrceth) + \
				 sizeof(struct rxo_atomic_eth))

/* AETH syndromes, IBTA 9.7.5.2.1: bits 6:5 are the type, 4:0 credits, timer or reason. */
#define RXO_AETH_TYPE		0xe0
#define RXO_AETH_VALUE		0x1f
#define RXO_AETH_ACK		0x1f	/* with "credit count invalid" */
#define RXO_AETH_ACK_TYPE	0x00
#define RXO_AETH_RNR		0x20	/* | timer */
#define RXO_AETH_NAK		0x60	/* | reason */
#define RXO_AETH_NAK_PSN_SEQ	0x60
#define RXO_AETH_NAK_INV_REQ	0x61
#define RXO_AETH_NAK_REM_ACC	0x62
#define RXO_AETH_NAK_REM_OP	0x63
#define RXO_AETH_NAK_INV_RD	0x64	/* XRC: the SRQ that a request names */

enum rxo_op_flags {
	RXO_OP_VALID		= 1 << 0,
	RXO_OP_RC		= 1 << 1,
	RXO_OP_UD		= 1 << 2,
	RXO_OP_REQ		= 1 << 3,	/* goes to the responder */
	RXO_OP_ACK		= 1 << 4,	/* goes to the requester */
	RXO_OP_START		= 1 << 5,	/* first or only packet of a message */
	RXO_OP_MIDDLE		= 1 << 6,
	RXO_OP_END		= 1 << 7,	/* last or only packet of a message */
	RXO_OP_SEND		= 1 << 8,
	RXO_OP_WRITE		= 1 << 9,
	RXO_OP_READ		= 1 << 10,
	RXO_OP_ATOMIC		= 1 << 11,
	RXO_OP_READ_RESP	= 1 << 12,
	RXO_OP_ATOMIC_ACK	= 1 << 13,
	RXO_OP_PAYLOAD		= 1 << 14,	/* may carry payload; without it none and no pad */
	RXO_OP_RECV		= 1 << 15,	/* its message consumes a receive WQE */
	RXO_OP_DETH		= 1 << 16,
	RXO_OP_RETH		= 1 << 17,
	RXO_OP_AETH		= 1 << 18,
	RXO_OP_ATOMIC_ETH	= 1 << 19,
	RXO_OP_ATOMIC_ACK_ETH	= 1 << 20,
	RXO_OP_IMM		= 1 << 21,
	RXO_OP_IETH		= 1 << 22,
	RXO_OP_CNP		= 1 << 23,
	RXO_OP_UC		= 1 << 24,
	RXO_OP_FETH		= 1 << 25,
	RXO_OP_FLUSH		= 1 << 26,
	RXO_OP_ATOMIC_WRITE	= 1 << 27,
	RXO_OP_XRC		= 1 << 28,
	RXO_OP_XRCETH		= 1 << 29,
	RXO_OP_PROBE		= 1 << 30,

	/* Answered like a READ: with a response that completes the request, never by an ACK. */
	RXO_OP_ANSWERED		= RXO_OP_READ | RXO_OP_ATOMIC | RXO_OP_FLUSH | RXO_OP_ATOMIC_WRITE,

	RXO_OP_ONLY		= RXO_OP_START | RXO_OP_END,
};

/* Offsets are from the BTH; 0 where the opcode has no such header. */
struct rxo_opcode_info {
	u32 flags;		/* RXO_OP_*; 0 for what we do not speak */
	u8 hdr_bytes;		/* BTH and all extension headers: where payload begins */
	u8 xrceth;
	u8 deth;
	u8 reth;
	u8 aeth;
	u8 atomic_eth;
	u8 atomic_ack_eth;
	u8 imm;
	u8 ieth;
	u8 feth;
};

extern const struct rxo_opcode_info rxo_opcodes[256];

static inline u8 rxo_bth_pad(const struct rxo_bth *bth)
{
	return (bth->flags & RXO_BTH_PAD) >> RXO_BTH_PAD_SHIFT;
}

static inline bool rxo_bth_solicited(const struct rxo_bth *bth)
{
	return bth->flags & RXO_BTH_SE;
}

static inline bool rxo_bth_ack_req(const struct rxo_bth *bth)
{
	return be32_to_cpu(bth->apsn) & RXO_BTH_ACK_REQ;
}

static inline u32 rxo_bth_qpn(const struct rxo_bth *bth)
{
	return be32_to_cpu(bth->qpn) & RXO_QPN_MASK;
}

static inline u32 rxo_bth_psn(const struct rxo_bth *bth)
{
	return be32_to_cpu(bth->apsn) & RXO_PSN_MASK;
}

static inline u8 rxo_bth_psns(const struct rxo_bth *bth)
{
	return 1 + ((be32_to_cpu(bth->apsn) & RXO_BTH_MORE_PSNS) >> RXO_BTH_MORE_PSNS_SHIFT);
}

/* @psns: from 1 to 128. After rxo_bth_init(). */
static inline void rxo_bth_set_psns(struct rxo_bth *bth, u8 psns)
{
	u32 more = (u32)(psns - 1) << RXO_BTH_MORE_PSNS_SHIFT;

	bth->apsn |= cpu_to_be32(more & RXO_BTH_MORE_PSNS);
}

/*
 * M is one: a channel adapter without automatic path migration is always in
 * the migrated state (IBTA 17.2.8).
 */
static inline void rxo_bth_init(struct rxo_bth *bth, u8 opcode, bool solicited, u8 pad, u16 pkey,
				u32 qpn, bool ack_req, u32 psn)
{
	bth->opcode = opcode;
	bth->flags = RXO_BTH_MIG | (solicited ? RXO_BTH_SE : 0) |
		     ((pad << RXO_BTH_PAD_SHIFT) & RXO_BTH_PAD);
	bth->pkey = cpu_to_be16(pkey);
	bth->qpn = cpu_to_be32(qpn & RXO_QPN_MASK);
	bth->apsn = cpu_to_be32((psn & RXO_PSN_MASK) | (ack_req ? RXO_BTH_ACK_REQ : 0));
}

/* Pad that brings a payload of @bytes to a multiple of four. */
static inline u8 rxo_pad(u32 bytes)
{
	return -bytes & 3;
}

static inline void rxo_aeth_init(struct rxo_aeth *aeth, u8 syndrome, u32 msn)
{
	aeth->smsn = cpu_to_be32((u32)syndrome << 24 | (msn & RXO_MSN_MASK));
}

static inline u8 rxo_aeth_syndrome(const struct rxo_aeth *aeth)
{
	return be32_to_cpu(aeth->smsn) >> 24;
}

static inline u32 rxo_aeth_msn(const struct rxo_aeth *aeth)
{
	return be32_to_cpu(aeth->smsn) & RXO_MSN_MASK;
}

static inline u32 rxo_xrceth_srqn(const struct rxo_xrceth *xrceth)
{
	return be32_to_cpu(xrceth->srqn) & RXO_SRQN_MASK;
}

static inline u32 rxo_deth_sqp(const struct rxo_deth *deth)
{
	return be32_to_cpu(deth->sqp) & RXO_QPN_MASK;
}

#endif /* RXO_WIRE_H */
