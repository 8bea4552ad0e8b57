/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet inside the NIC: an skb whose control block is a struct rxo_pkt, and skb->data at
 * the BTH.
 *
 * Received: net.c hands over linear skbs, the ICRC verified and trimmed, the IP header still
 * reachable by skb_network_header(). Sent: the transport fills from the BTH to the padded
 * payload; net.c puts the ICRC behind it and UDP and IP before it.
 */
#ifndef RXO_PACKET_H
#define RXO_PACKET_H

#include <linux/skbuff.h>

#include "wire/pkt.h"

/* Of a received packet. */
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

static inline struct rxo_xrceth *rxo_pkt_xrceth(const struct sk_buff *skb)
{
	return rxo_bth_xrceth(skb->data);
}

static inline struct rxo_deth *rxo_pkt_deth(const struct sk_buff *skb)
{
	return rxo_bth_deth(skb->data);
}

static inline struct rxo_reth *rxo_pkt_reth(const struct sk_buff *skb)
{
	return rxo_bth_reth(skb->data);
}

static inline struct rxo_aeth *rxo_pkt_aeth(const struct sk_buff *skb)
{
	return rxo_bth_aeth(skb->data);
}

static inline struct rxo_atomic_eth *rxo_pkt_atomic_eth(const struct sk_buff *skb)
{
	return rxo_bth_atomic_eth(skb->data);
}

static inline struct rxo_atomic_ack_eth *rxo_pkt_atomic_ack_eth(const struct sk_buff *skb)
{
	return rxo_bth_atomic_ack_eth(skb->data);
}

static inline struct rxo_immdt *rxo_pkt_imm(const struct sk_buff *skb)
{
	return rxo_bth_imm(skb->data);
}

static inline struct rxo_ieth *rxo_pkt_ieth(const struct sk_buff *skb)
{
	return rxo_bth_ieth(skb->data);
}

static inline struct rxo_feth *rxo_pkt_feth(const struct sk_buff *skb)
{
	return rxo_bth_feth(skb->data);
}

static inline struct rxo_probeth *rxo_pkt_probeth(const struct sk_buff *skb)
{
	return rxo_bth_probeth(skb->data);
}

#endif /* RXO_PACKET_H */
