// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The opcode table: for each BTH opcode that we speak, what kind of packet it
 * is and where its extension headers are; and the parser that rests on it.
 *
 * Headers follow the BTH in one fixed order (IBTA 9.2, table 38), of which each
 * opcode has a subset: DETH, RETH, AETH, AtomicETH, AtomicAckETH, ImmDt, IETH.
 * So the flags of an opcode give all its offsets, at compile time. UC, RD and
 * XRC are not spoken, nor FLUSH and ATOMIC WRITE: their rows are zero.
 */
#include <linux/errno.h>
#include <linux/build_bug.h>

#include "pkt.h"

#define HDR_BYTES(f, flag, type)	((f) & (flag) ? sizeof(struct type) : 0)

/* The offset behind each header, one resting on the other. */
#define AFTER_BTH(f)		sizeof(struct rxo_bth)
#define AFTER_DETH(f)		(AFTER_BTH(f) + HDR_BYTES(f, RXO_OP_DETH, rxo_deth))
#define AFTER_RETH(f)		(AFTER_DETH(f) + HDR_BYTES(f, RXO_OP_RETH, rxo_reth))
#define AFTER_AETH(f)		(AFTER_RETH(f) + HDR_BYTES(f, RXO_OP_AETH, rxo_aeth))
#define AFTER_ATOMIC(f)		(AFTER_AETH(f) + \
				 HDR_BYTES(f, RXO_OP_ATOMIC_ETH, rxo_atomic_eth))
#define AFTER_ATOMIC_ACK(f)	(AFTER_ATOMIC(f) + \
				 HDR_BYTES(f, RXO_OP_ATOMIC_ACK_ETH, rxo_atomic_ack_eth))
#define AFTER_IMM(f)		(AFTER_ATOMIC_ACK(f) + HDR_BYTES(f, RXO_OP_IMM, rxo_immdt))
#define AFTER_IETH(f)		(AFTER_IMM(f) + HDR_BYTES(f, RXO_OP_IETH, rxo_ieth))

#define OFFSET(f, flag, after)	((f) & (flag) ? after(f) : 0)

#define INFO(f) {							\
	.flags = RXO_OP_VALID | (f),					\
	.hdr_bytes = AFTER_IETH(f),					\
	.deth = OFFSET(f, RXO_OP_DETH, AFTER_BTH),			\
	.reth = OFFSET(f, RXO_OP_RETH, AFTER_DETH),			\
	.aeth = OFFSET(f, RXO_OP_AETH, AFTER_RETH),			\
	.atomic_eth = OFFSET(f, RXO_OP_ATOMIC_ETH, AFTER_AETH),		\
	.atomic_ack_eth = OFFSET(f, RXO_OP_ATOMIC_ACK_ETH, AFTER_ATOMIC), \
	.imm = OFFSET(f, RXO_OP_IMM, AFTER_ATOMIC_ACK),			\
	.ieth = OFFSET(f, RXO_OP_IETH, AFTER_IMM),			\
}

#define OF_SEND		(RXO_OP_REQ | RXO_OP_SEND | RXO_OP_PAYLOAD | RXO_OP_RECV)
#define OF_WRITE	(RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_PAYLOAD)
#define OF_WRITE_IMM	(OF_WRITE | RXO_OP_IMM | RXO_OP_RECV)
#define OF_READ_RESP	(RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_PAYLOAD)
#define OF_ATOMIC	(RXO_OP_REQ | RXO_OP_ATOMIC | RXO_OP_ONLY | RXO_OP_ATOMIC_ETH)

#define RC(op, f)	[IB_OPCODE_RC_##op] = INFO(RXO_OP_RC | (f))
#define UD(op, f)	[IB_OPCODE_UD_##op] = INFO(RXO_OP_UD | (f))

const struct rxo_opcode_info rxo_opcodes[256] = {
	RC(SEND_FIRST,			OF_SEND | RXO_OP_START),
	RC(SEND_MIDDLE,			OF_SEND | RXO_OP_MIDDLE),
	RC(SEND_LAST,			OF_SEND | RXO_OP_END),
	RC(SEND_LAST_WITH_IMMEDIATE,	OF_SEND | RXO_OP_END | RXO_OP_IMM),
	RC(SEND_ONLY,			OF_SEND | RXO_OP_ONLY),
	RC(SEND_ONLY_WITH_IMMEDIATE,	OF_SEND | RXO_OP_ONLY | RXO_OP_IMM),
	RC(SEND_LAST_WITH_INVALIDATE,	OF_SEND | RXO_OP_END | RXO_OP_IETH),
	RC(SEND_ONLY_WITH_INVALIDATE,	OF_SEND | RXO_OP_ONLY | RXO_OP_IETH),

	RC(RDMA_WRITE_FIRST,		OF_WRITE | RXO_OP_START | RXO_OP_RETH),
	RC(RDMA_WRITE_MIDDLE,		OF_WRITE | RXO_OP_MIDDLE),
	RC(RDMA_WRITE_LAST,		OF_WRITE | RXO_OP_END),
	RC(RDMA_WRITE_LAST_WITH_IMMEDIATE, OF_WRITE_IMM | RXO_OP_END),
	RC(RDMA_WRITE_ONLY,		OF_WRITE | RXO_OP_ONLY | RXO_OP_RETH),
	RC(RDMA_WRITE_ONLY_WITH_IMMEDIATE, OF_WRITE_IMM | RXO_OP_ONLY | RXO_OP_RETH),

	RC(RDMA_READ_REQUEST,		RXO_OP_REQ | RXO_OP_READ | RXO_OP_ONLY | RXO_OP_RETH),
	RC(RDMA_READ_RESPONSE_FIRST,	OF_READ_RESP | RXO_OP_START | RXO_OP_AETH),
	RC(RDMA_READ_RESPONSE_MIDDLE,	OF_READ_RESP | RXO_OP_MIDDLE),
	RC(RDMA_READ_RESPONSE_LAST,	OF_READ_RESP | RXO_OP_END | RXO_OP_AETH),
	RC(RDMA_READ_RESPONSE_ONLY,	OF_READ_RESP | RXO_OP_ONLY | RXO_OP_AETH),

	RC(ACKNOWLEDGE,			RXO_OP_ACK | RXO_OP_ONLY | RXO_OP_AETH),
	RC(ATOMIC_ACKNOWLEDGE,		RXO_OP_ACK | RXO_OP_ATOMIC_ACK | RXO_OP_ONLY |
					RXO_OP_AETH | RXO_OP_ATOMIC_ACK_ETH),
	RC(COMPARE_SWAP,		OF_ATOMIC),
	RC(FETCH_ADD,			OF_ATOMIC),

	UD(SEND_ONLY,			OF_SEND | RXO_OP_ONLY | RXO_OP_DETH),
	UD(SEND_ONLY_WITH_IMMEDIATE,	OF_SEND | RXO_OP_ONLY | RXO_OP_DETH | RXO_OP_IMM),
};

static_assert(sizeof(struct rxo_bth) == 12);
static_assert(sizeof(struct rxo_deth) == 8);
static_assert(sizeof(struct rxo_reth) == 16);
static_assert(sizeof(struct rxo_aeth) == 4);
static_assert(sizeof(struct rxo_atomic_eth) == 28);
static_assert(sizeof(struct rxo_atomic_ack_eth) == 8);
static_assert(sizeof(struct rxo_immdt) == 4);
static_assert(sizeof(struct rxo_ieth) == 4);

int rxo_pkt_parse(struct rxo_pkt *pkt, const void *data, u32 bytes)
{
	const struct rxo_bth *bth = data;
	const struct rxo_opcode_info *info;
	u32 rest;

	if (bytes < sizeof(*bth) || bytes > U16_MAX || bytes % 4 || bth->flags & RXO_BTH_TVER)
		return -EINVAL;

	info = &rxo_opcodes[bth->opcode];
	if (!info->flags || bytes < info->hdr_bytes)
		return -EINVAL;

	rest = bytes - info->hdr_bytes;
	if (rest < rxo_bth_pad(bth) || (rest && !(info->flags & RXO_OP_PAYLOAD)))
		return -EINVAL;

	*pkt = (struct rxo_pkt) {
		.psn = rxo_bth_psn(bth),
		.qpn = rxo_bth_qpn(bth),
		.flags = info->flags,
		.payload_off = info->hdr_bytes,
		.payload_bytes = rest - rxo_bth_pad(bth),
		.pkey = be16_to_cpu(bth->pkey),
		.opcode = bth->opcode,
		.solicited = rxo_bth_solicited(bth),
		.ack_req = rxo_bth_ack_req(bth),
	};
	return 0;
}
