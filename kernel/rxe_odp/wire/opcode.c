// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The opcode table: for each BTH opcode that we speak, what kind of packet it
 * is and where its extension headers are; and the parser that rests on it.
 *
 * Headers follow the BTH in one fixed order (IBTA 9.2, table 38), of which each
 * opcode has a subset: XRCETH, DETH, FETH, RETH, AETH, AtomicETH, AtomicAckETH, ImmDt, IETH.
 * RD, and FLUSH and ATOMIC WRITE of XRC, are not spoken: their rows are zero.
 */
#include <linux/errno.h>
#include <linux/build_bug.h>

#include "wire/pkt.h"

enum header_bytes {
	BTH		= sizeof(struct rxo_bth),
	XRCETH		= sizeof(struct rxo_xrceth),
	DETH		= sizeof(struct rxo_deth),
	RETH		= sizeof(struct rxo_reth),
	AETH		= sizeof(struct rxo_aeth),
	ATOMIC_ETH	= sizeof(struct rxo_atomic_eth),
	ATOMIC_ACK_ETH	= sizeof(struct rxo_atomic_ack_eth),
	IMM		= sizeof(struct rxo_immdt),
	IETH		= sizeof(struct rxo_ieth),
	FETH		= sizeof(struct rxo_feth),
};

/* Which headers follow the BTH, and where; the flags say the same once more. */
#define EXT_NONE	.hdr_bytes = BTH
#define EXT_DETH	.hdr_bytes = BTH + DETH, .deth = BTH
#define EXT_DETH_IMM	.hdr_bytes = BTH + DETH + IMM, .deth = BTH, .imm = BTH + DETH
#define EXT_RETH	.hdr_bytes = BTH + RETH, .reth = BTH
#define EXT_RETH_IMM	.hdr_bytes = BTH + RETH + IMM, .reth = BTH, .imm = BTH + RETH
#define EXT_AETH	.hdr_bytes = BTH + AETH, .aeth = BTH
#define EXT_AETH_ATOMIC	.hdr_bytes = BTH + AETH + ATOMIC_ACK_ETH, .aeth = BTH, \
			.atomic_ack_eth = BTH + AETH
#define EXT_ATOMIC	.hdr_bytes = BTH + ATOMIC_ETH, .atomic_eth = BTH
#define EXT_IMM		.hdr_bytes = BTH + IMM, .imm = BTH
#define EXT_CNP		.hdr_bytes = BTH + RXO_CNP_BYTES
#define EXT_PROBE	.hdr_bytes = BTH + sizeof(struct rxo_probeth)
#define EXT_IETH	.hdr_bytes = BTH + IETH, .ieth = BTH
#define EXT_FETH_RETH	.hdr_bytes = BTH + FETH + RETH, .feth = BTH, .reth = BTH + FETH
#define EXT_XRC		.hdr_bytes = BTH + XRCETH, .xrceth = BTH
#define EXT_XRC_RETH	.hdr_bytes = BTH + XRCETH + RETH, .xrceth = BTH, .reth = BTH + XRCETH
#define EXT_XRC_RETH_IMM .hdr_bytes = BTH + XRCETH + RETH + IMM, .xrceth = BTH, \
			.reth = BTH + XRCETH, .imm = BTH + XRCETH + RETH
#define EXT_XRC_ATOMIC	.hdr_bytes = BTH + XRCETH + ATOMIC_ETH, .xrceth = BTH, \
			.atomic_eth = BTH + XRCETH
#define EXT_XRC_IMM	.hdr_bytes = BTH + XRCETH + IMM, .xrceth = BTH, .imm = BTH + XRCETH
#define EXT_XRC_IETH	.hdr_bytes = BTH + XRCETH + IETH, .xrceth = BTH, .ieth = BTH + XRCETH

#define OF_RC		(RXO_OP_VALID | RXO_OP_RC)
#define OF_UC		(RXO_OP_VALID | RXO_OP_UC)
#define OF_XRC		(RXO_OP_VALID | RXO_OP_XRC)
#define OF_SEND		(RXO_OP_REQ | RXO_OP_SEND | RXO_OP_PAYLOAD | RXO_OP_RECV)
#define OF_WRITE	(RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_PAYLOAD)
#define OF_ATOMIC	(RXO_OP_REQ | RXO_OP_ATOMIC | RXO_OP_ONLY | RXO_OP_ATOMIC_ETH)
#define OF_READ_RESP	(RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_PAYLOAD)

#define RC_SEND		(OF_RC | OF_SEND)
#define RC_WRITE	(OF_RC | OF_WRITE)
#define RC_WRITE_IMM	(OF_RC | OF_WRITE | RXO_OP_IMM | RXO_OP_RECV)
#define RC_READ		(OF_RC | RXO_OP_REQ | RXO_OP_READ | RXO_OP_ONLY | RXO_OP_RETH)
#define RC_READ_RESP	(OF_RC | OF_READ_RESP)
#define RC_ACK		(OF_RC | RXO_OP_ACK | RXO_OP_ONLY | RXO_OP_AETH)
#define RC_ATOMIC	(OF_RC | OF_ATOMIC)
#define RC_ATOMIC_WRITE	(OF_RC | RXO_OP_REQ | RXO_OP_ATOMIC_WRITE | RXO_OP_PAYLOAD | \
			 RXO_OP_ONLY | RXO_OP_RETH)
#define RC_FLUSH	(OF_RC | RXO_OP_REQ | RXO_OP_FLUSH | RXO_OP_ONLY | RXO_OP_FETH | \
			 RXO_OP_RETH)
#define RC_ATOMIC_ACK	(RC_ACK | RXO_OP_ATOMIC_ACK | RXO_OP_ATOMIC_ACK_ETH)
#define UC_SEND		(OF_UC | OF_SEND)
#define UC_WRITE	(OF_UC | OF_WRITE)
#define UC_WRITE_IMM	(OF_UC | OF_WRITE | RXO_OP_IMM | RXO_OP_RECV)
#define XRC_SEND	(OF_XRC | OF_SEND | RXO_OP_XRCETH)
#define XRC_WRITE	(OF_XRC | OF_WRITE | RXO_OP_XRCETH)
#define XRC_WRITE_IMM	(XRC_WRITE | RXO_OP_IMM | RXO_OP_RECV)
#define XRC_READ	(OF_XRC | RXO_OP_REQ | RXO_OP_READ | RXO_OP_ONLY | RXO_OP_XRCETH | \
			 RXO_OP_RETH)
#define XRC_READ_RESP	(OF_XRC | OF_READ_RESP)
#define XRC_ACK		(OF_XRC | RXO_OP_ACK | RXO_OP_ONLY | RXO_OP_AETH)
#define XRC_ATOMIC	(OF_XRC | OF_ATOMIC | RXO_OP_XRCETH)
#define XRC_ATOMIC_ACK	(XRC_ACK | RXO_OP_ATOMIC_ACK | RXO_OP_ATOMIC_ACK_ETH)
#define UD_SEND		(RXO_OP_VALID | RXO_OP_UD | OF_SEND | RXO_OP_ONLY | RXO_OP_DETH)

/* RC's are the operations themselves. */
#define XRC(operation)	(RXO_OPCODE_XRC + IB_OPCODE_RC_##operation)

const struct rxo_opcode_info rxo_opcodes[256] = {
	[IB_OPCODE_RC_SEND_FIRST] = {
		.flags = RC_SEND | RXO_OP_START, EXT_NONE,
	},
	[IB_OPCODE_RC_SEND_MIDDLE] = {
		.flags = RC_SEND | RXO_OP_MIDDLE, EXT_NONE,
	},
	[IB_OPCODE_RC_SEND_LAST] = {
		.flags = RC_SEND | RXO_OP_END, EXT_NONE,
	},
	[IB_OPCODE_RC_SEND_LAST_WITH_IMMEDIATE] = {
		.flags = RC_SEND | RXO_OP_IMM | RXO_OP_END, EXT_IMM,
	},
	[IB_OPCODE_RC_SEND_ONLY] = {
		.flags = RC_SEND | RXO_OP_ONLY, EXT_NONE,
	},
	[IB_OPCODE_RC_SEND_ONLY_WITH_IMMEDIATE] = {
		.flags = RC_SEND | RXO_OP_IMM | RXO_OP_ONLY, EXT_IMM,
	},
	[IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE] = {
		.flags = RC_SEND | RXO_OP_IETH | RXO_OP_END, EXT_IETH,
	},
	[IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE] = {
		.flags = RC_SEND | RXO_OP_IETH | RXO_OP_ONLY, EXT_IETH,
	},
	[IB_OPCODE_RC_RDMA_WRITE_FIRST] = {
		.flags = RC_WRITE | RXO_OP_RETH | RXO_OP_START, EXT_RETH,
	},
	[IB_OPCODE_RC_RDMA_WRITE_MIDDLE] = {
		.flags = RC_WRITE | RXO_OP_MIDDLE, EXT_NONE,
	},
	[IB_OPCODE_RC_RDMA_WRITE_LAST] = {
		.flags = RC_WRITE | RXO_OP_END, EXT_NONE,
	},
	[IB_OPCODE_RC_RDMA_WRITE_LAST_WITH_IMMEDIATE] = {
		.flags = RC_WRITE_IMM | RXO_OP_END, EXT_IMM,
	},
	[IB_OPCODE_RC_RDMA_WRITE_ONLY] = {
		.flags = RC_WRITE | RXO_OP_RETH | RXO_OP_ONLY, EXT_RETH,
	},
	[IB_OPCODE_RC_RDMA_WRITE_ONLY_WITH_IMMEDIATE] = {
		.flags = RC_WRITE_IMM | RXO_OP_RETH | RXO_OP_ONLY, EXT_RETH_IMM,
	},
	[IB_OPCODE_RC_RDMA_READ_REQUEST] = {
		.flags = RC_READ, EXT_RETH,
	},
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST] = {
		.flags = RC_READ_RESP | RXO_OP_AETH | RXO_OP_START, EXT_AETH,
	},
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE] = {
		.flags = RC_READ_RESP | RXO_OP_MIDDLE, EXT_NONE,
	},
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST] = {
		.flags = RC_READ_RESP | RXO_OP_AETH | RXO_OP_END, EXT_AETH,
	},
	[IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY] = {
		.flags = RC_READ_RESP | RXO_OP_AETH | RXO_OP_ONLY, EXT_AETH,
	},
	[IB_OPCODE_RC_ACKNOWLEDGE] = {
		.flags = RC_ACK, EXT_AETH,
	},
	[IB_OPCODE_RC_ATOMIC_ACKNOWLEDGE] = {
		.flags = RC_ATOMIC_ACK, EXT_AETH_ATOMIC,
	},
	[IB_OPCODE_RC_COMPARE_SWAP] = {
		.flags = RC_ATOMIC, EXT_ATOMIC,
	},
	[IB_OPCODE_RC_FETCH_ADD] = {
		.flags = RC_ATOMIC, EXT_ATOMIC,
	},
	[IB_OPCODE_RC_FLUSH] = {
		.flags = RC_FLUSH, EXT_FETH_RETH,
	},
	[IB_OPCODE_RC_ATOMIC_WRITE] = {
		.flags = RC_ATOMIC_WRITE, EXT_RETH,
	},
	[IB_OPCODE_UC_SEND_FIRST] = {
		.flags = UC_SEND | RXO_OP_START, EXT_NONE,
	},
	[IB_OPCODE_UC_SEND_MIDDLE] = {
		.flags = UC_SEND | RXO_OP_MIDDLE, EXT_NONE,
	},
	[IB_OPCODE_UC_SEND_LAST] = {
		.flags = UC_SEND | RXO_OP_END, EXT_NONE,
	},
	[IB_OPCODE_UC_SEND_LAST_WITH_IMMEDIATE] = {
		.flags = UC_SEND | RXO_OP_IMM | RXO_OP_END, EXT_IMM,
	},
	[IB_OPCODE_UC_SEND_ONLY] = {
		.flags = UC_SEND | RXO_OP_ONLY, EXT_NONE,
	},
	[IB_OPCODE_UC_SEND_ONLY_WITH_IMMEDIATE] = {
		.flags = UC_SEND | RXO_OP_IMM | RXO_OP_ONLY, EXT_IMM,
	},
	[IB_OPCODE_UC_RDMA_WRITE_FIRST] = {
		.flags = UC_WRITE | RXO_OP_RETH | RXO_OP_START, EXT_RETH,
	},
	[IB_OPCODE_UC_RDMA_WRITE_MIDDLE] = {
		.flags = UC_WRITE | RXO_OP_MIDDLE, EXT_NONE,
	},
	[IB_OPCODE_UC_RDMA_WRITE_LAST] = {
		.flags = UC_WRITE | RXO_OP_END, EXT_NONE,
	},
	[IB_OPCODE_UC_RDMA_WRITE_LAST_WITH_IMMEDIATE] = {
		.flags = UC_WRITE_IMM | RXO_OP_END, EXT_IMM,
	},
	[IB_OPCODE_UC_RDMA_WRITE_ONLY] = {
		.flags = UC_WRITE | RXO_OP_RETH | RXO_OP_ONLY, EXT_RETH,
	},
	[IB_OPCODE_UC_RDMA_WRITE_ONLY_WITH_IMMEDIATE] = {
		.flags = UC_WRITE_IMM | RXO_OP_RETH | RXO_OP_ONLY, EXT_RETH_IMM,
	},
	[IB_OPCODE_UD_SEND_ONLY] = {
		.flags = UD_SEND, EXT_DETH,
	},
	[IB_OPCODE_UD_SEND_ONLY_WITH_IMMEDIATE] = {
		.flags = UD_SEND | RXO_OP_IMM, EXT_DETH_IMM,
	},
	[XRC(SEND_FIRST)] = {
		.flags = XRC_SEND | RXO_OP_START, EXT_XRC,
	},
	[XRC(SEND_MIDDLE)] = {
		.flags = XRC_SEND | RXO_OP_MIDDLE, EXT_XRC,
	},
	[XRC(SEND_LAST)] = {
		.flags = XRC_SEND | RXO_OP_END, EXT_XRC,
	},
	[XRC(SEND_LAST_WITH_IMMEDIATE)] = {
		.flags = XRC_SEND | RXO_OP_IMM | RXO_OP_END, EXT_XRC_IMM,
	},
	[XRC(SEND_ONLY)] = {
		.flags = XRC_SEND | RXO_OP_ONLY, EXT_XRC,
	},
	[XRC(SEND_ONLY_WITH_IMMEDIATE)] = {
		.flags = XRC_SEND | RXO_OP_IMM | RXO_OP_ONLY, EXT_XRC_IMM,
	},
	[XRC(SEND_LAST_WITH_INVALIDATE)] = {
		.flags = XRC_SEND | RXO_OP_IETH | RXO_OP_END, EXT_XRC_IETH,
	},
	[XRC(SEND_ONLY_WITH_INVALIDATE)] = {
		.flags = XRC_SEND | RXO_OP_IETH | RXO_OP_ONLY, EXT_XRC_IETH,
	},
	[XRC(RDMA_WRITE_FIRST)] = {
		.flags = XRC_WRITE | RXO_OP_RETH | RXO_OP_START, EXT_XRC_RETH,
	},
	[XRC(RDMA_WRITE_MIDDLE)] = {
		.flags = XRC_WRITE | RXO_OP_MIDDLE, EXT_XRC,
	},
	[XRC(RDMA_WRITE_LAST)] = {
		.flags = XRC_WRITE | RXO_OP_END, EXT_XRC,
	},
	[XRC(RDMA_WRITE_LAST_WITH_IMMEDIATE)] = {
		.flags = XRC_WRITE_IMM | RXO_OP_END, EXT_XRC_IMM,
	},
	[XRC(RDMA_WRITE_ONLY)] = {
		.flags = XRC_WRITE | RXO_OP_RETH | RXO_OP_ONLY, EXT_XRC_RETH,
	},
	[XRC(RDMA_WRITE_ONLY_WITH_IMMEDIATE)] = {
		.flags = XRC_WRITE_IMM | RXO_OP_RETH | RXO_OP_ONLY, EXT_XRC_RETH_IMM,
	},
	[XRC(RDMA_READ_REQUEST)] = {
		.flags = XRC_READ, EXT_XRC_RETH,
	},
	[XRC(RDMA_READ_RESPONSE_FIRST)] = {
		.flags = XRC_READ_RESP | RXO_OP_AETH | RXO_OP_START, EXT_AETH,
	},
	[XRC(RDMA_READ_RESPONSE_MIDDLE)] = {
		.flags = XRC_READ_RESP | RXO_OP_MIDDLE, EXT_NONE,
	},
	[XRC(RDMA_READ_RESPONSE_LAST)] = {
		.flags = XRC_READ_RESP | RXO_OP_AETH | RXO_OP_END, EXT_AETH,
	},
	[XRC(RDMA_READ_RESPONSE_ONLY)] = {
		.flags = XRC_READ_RESP | RXO_OP_AETH | RXO_OP_ONLY, EXT_AETH,
	},
	[XRC(ACKNOWLEDGE)] = {
		.flags = XRC_ACK, EXT_AETH,
	},
	[XRC(ATOMIC_ACKNOWLEDGE)] = {
		.flags = XRC_ATOMIC_ACK, EXT_AETH_ATOMIC,
	},
	[XRC(COMPARE_SWAP)] = {
		.flags = XRC_ATOMIC, EXT_XRC_ATOMIC,
	},
	[XRC(FETCH_ADD)] = {
		.flags = XRC_ATOMIC, EXT_XRC_ATOMIC,
	},
	[RXO_OPCODE_CNP] = {
		.flags = OF_RC | OF_UC | OF_XRC | RXO_OP_CNP, EXT_CNP,
	},
	[RXO_OPCODE_PROBE] = {
		.flags = OF_RC | RXO_OP_PROBE | RXO_OP_PAYLOAD, EXT_PROBE,
	},
};

static_assert(sizeof(struct rxo_bth) == 12);
static_assert(sizeof(struct rxo_xrceth) == 4);
static_assert(sizeof(struct rxo_deth) == 8);
static_assert(sizeof(struct rxo_reth) == 16);
static_assert(sizeof(struct rxo_aeth) == 4);
static_assert(sizeof(struct rxo_atomic_eth) == 28);
static_assert(sizeof(struct rxo_atomic_ack_eth) == 8);
static_assert(sizeof(struct rxo_immdt) == 4);
static_assert(sizeof(struct rxo_ieth) == 4);
static_assert(sizeof(struct rxo_feth) == 4);
static_assert(sizeof(struct rxo_probeth) == 16);

int rxo_pkt_parse(struct rxo_pkt *pkt, const void *data, u32 bytes)
{
	const struct rxo_bth *bth = data;
	const struct rxo_opcode_info *info;
	u32 rest;

	if (bytes < sizeof(*bth) || bytes > U16_MAX || bytes % 4 ||
	    (bth->flags & RXO_BTH_TVER) != (bth->opcode == RXO_OPCODE_PROBE ? RXO_PROBE_TVER : 0))
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
		.psns = 1,
		.solicited = rxo_bth_solicited(bth),
		.ack_req = rxo_bth_ack_req(bth),
	};
	return 0;
}
