/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A parsed packet, and its headers by the opcode table. Pure.
 *
 * The accessors take the address of a BTH, and a header's place from the opcode in it: they
 * may be used as soon as the BTH is filled, and only for headers that the opcode has.
 */
#ifndef RXO_PKT_H
#define RXO_PKT_H

#include "wire/wire.h"

#define RXO_NO_VLAN	0xffff

/* Immutable after parsing, except @done_bytes and @flushed_pages. */
struct rxo_pkt {
	u32 psn;
	u32 qpn;		/* destination QP */
	u32 flags;		/* of the opcode: RXO_OP_* in wire.h */
	u32 done_bytes;		/* payload already placed, while the packet is held for a fault */
	u32 flushed_pages;	/* of a FLUSH, likewise: whole pages that were written back */
	u16 payload_off;	/* from the BTH */
	u16 payload_bytes;	/* without the pad */
	u16 pkey;
	u16 vlan_id;		/* of the netdev that a received datagram is for, or RXO_NO_VLAN */
	u8 opcode;		/* IB_OPCODE_* */
	u8 psns;		/* from @psn on; more than one in a wide packet, see wire.h */
	bool solicited;
	bool ack_req;
	bool ce;		/* congestion experienced: the mark of the IP header */
};

/**
 * rxo_pkt_parse - read the headers of a received packet
 * @pkt: filled
 * @data: at the BTH
 * @bytes: from there to the end of the pad
 *
 * Any context. 0, or -EINVAL for what is not a whole packet of an opcode that we speak.
 */
int rxo_pkt_parse(struct rxo_pkt *pkt, const void *data, u32 bytes);

static inline const struct rxo_opcode_info *rxo_bth_info(const void *bth)
{
	return &rxo_opcodes[((const struct rxo_bth *)bth)->opcode];
}

static inline struct rxo_xrceth *rxo_bth_xrceth(void *bth)
{
	return bth + rxo_bth_info(bth)->xrceth;
}

static inline struct rxo_deth *rxo_bth_deth(void *bth)
{
	return bth + rxo_bth_info(bth)->deth;
}

static inline struct rxo_reth *rxo_bth_reth(void *bth)
{
	return bth + rxo_bth_info(bth)->reth;
}

static inline struct rxo_aeth *rxo_bth_aeth(void *bth)
{
	return bth + rxo_bth_info(bth)->aeth;
}

static inline struct rxo_atomic_eth *rxo_bth_atomic_eth(void *bth)
{
	return bth + rxo_bth_info(bth)->atomic_eth;
}

static inline struct rxo_atomic_ack_eth *rxo_bth_atomic_ack_eth(void *bth)
{
	return bth + rxo_bth_info(bth)->atomic_ack_eth;
}

static inline struct rxo_immdt *rxo_bth_imm(void *bth)
{
	return bth + rxo_bth_info(bth)->imm;
}

static inline struct rxo_ieth *rxo_bth_ieth(void *bth)
{
	return bth + rxo_bth_info(bth)->ieth;
}

static inline struct rxo_feth *rxo_bth_feth(void *bth)
{
	return bth + rxo_bth_info(bth)->feth;
}

static inline struct rxo_probeth *rxo_bth_probeth(void *bth)
{
	return bth + sizeof(struct rxo_bth);
}

#endif /* RXO_PKT_H */
