/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet inside the NIC: an skb whose control block is a struct rxo_pkt.
 *
 * Received: net.c hands over linear skbs, skb->data at the BTH, the ICRC
 * verified and trimmed, the IP header still reachable by skb_network_header().
 * Sent: the transport fills from the BTH to the padded payload; net.c puts the
 * ICRC behind it and UDP and IP before it.
 *
 * skb->data is at the BTH in both cases, and the accessors below take the
 * header's place from the opcode in it: they may be used as soon as the BTH is
 * filled, and only for headers that the opcode has.
 */
#ifndef RXO_PKT_H
#define RXO_PKT_H

#include <linux/skbuff.h>

#include "wire.h"

struct rxo_dev;

#define RXO_NO_VLAN	0xffff

/* Kept in skb->cb. Immutable after parsing, except @done_bytes. */
struct rxo_pkt {
	struct rxo_dev *dev;
	u32 psn;
	u32 qpn;		/* destination QP */
	u32 flags;		/* of the opcode: RXO_OP_* in wire.h */
	u32 done_bytes;		/* payload already placed, while the packet is held for a fault */
	u16 payload_off;	/* from skb->data */
	u16 payload_bytes;	/* without the pad */
	u16 pkey;
	u16 vlan_id;		/* of the netdev that a received datagram is for, or RXO_NO_VLAN */
	u8 opcode;		/* IB_OPCODE_* */
	bool solicited;
	bool ack_req;
};

/**
 * rxo_pkt_parse - read and check a packet's transport headers
 * @pkt: filled, except @dev and @vlan_id; undefined after an error
 * @bth: first byte of the BTH
 * @bytes: from there to the end of the pad, the ICRC not counted
 *
 * Any context; hostile bytes. Returns 0, or -EINVAL: too short for its opcode,
 * not a multiple of four, an opcode or a transport version we do not speak, a pad longer than the
 * payload, or a payload where the opcode has none.
 */
int rxo_pkt_parse(struct rxo_pkt *pkt, const void *bth, u32 bytes);

static inline struct rxo_pkt *rxo_pkt(const struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct rxo_pkt) > sizeof(skb->cb));
	return (struct rxo_pkt *)skb->cb;
}

static inline void *rxo_pkt_payload(const struct sk_buff *skb)
{
	return skb->data + rxo_pkt(skb)->payload_off;
}

static inline struct rxo_bth *rxo_pkt_bth(const struct sk_buff *skb)
{
	return (struct rxo_bth *)skb->data;
}

static inline const struct rxo_opcode_info *rxo_pkt_info(const struct sk_buff *skb)
{
	return &rxo_opcodes[rxo_pkt_bth(skb)->opcode];
}

static inline struct rxo_deth *rxo_pkt_deth(const struct sk_buff *skb)
{
	return (struct rxo_deth *)(skb->data + rxo_pkt_info(skb)->deth);
}

static inline struct rxo_reth *rxo_pkt_reth(const struct sk_buff *skb)
{
	return (struct rxo_reth *)(skb->data + rxo_pkt_info(skb)->reth);
}

static inline struct rxo_aeth *rxo_pkt_aeth(const struct sk_buff *skb)
{
	return (struct rxo_aeth *)(skb->data + rxo_pkt_info(skb)->aeth);
}

static inline struct rxo_atomic_eth *rxo_pkt_atomic_eth(const struct sk_buff *skb)
{
	return (struct rxo_atomic_eth *)(skb->data + rxo_pkt_info(skb)->atomic_eth);
}

static inline struct rxo_atomic_ack_eth *rxo_pkt_atomic_ack_eth(const struct sk_buff *skb)
{
	return (struct rxo_atomic_ack_eth *)(skb->data + rxo_pkt_info(skb)->atomic_ack_eth);
}

static inline struct rxo_immdt *rxo_pkt_imm(const struct sk_buff *skb)
{
	return (struct rxo_immdt *)(skb->data + rxo_pkt_info(skb)->imm);
}

static inline struct rxo_ieth *rxo_pkt_ieth(const struct sk_buff *skb)
{
	return (struct rxo_ieth *)(skb->data + rxo_pkt_info(skb)->ieth);
}

#endif /* RXO_PKT_H */
