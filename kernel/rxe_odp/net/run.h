/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A run: packets of one path that go through this host as one skb, as the segments of a UDP socket
 * do (SKB_GSO_UDP_L4 with SKB_GSO_FRAGLIST). Each of them is a whole packet, with headers and an
 * ICRC of its own; routes, filters, queues and backlogs see one. The core takes a run apart for a
 * netdev that carries none, and for the socket that it arrives at, whoever's that is: no peer has
 * to know of runs.
 */
#ifndef RXO_RUN_H
#define RXO_RUN_H

#include <linux/skbuff.h>

struct dst_entry;

/*
 * Headroom of a packet that may be added to a run. A tunnel makes room for its headers before the
 * first packet of a run alone, but the core writes them before each: at most 352 bytes for one
 * tunnel (Geneve with all options over IPv6, two VLANs inside and two outside). It is more than the
 * core leaves before packets that GRO chains in this way.
 */
#define RXO_RUN_HEADROOM	384
/* From the BTH on: shorter ones are not worth their room. */
#define RXO_RUN_MIN_BYTES	1024

/* Starts as its first packet alone. */
struct rxo_run {
	struct sk_buff *skb;	/* the first packet, which has the others in its frag_list */
	struct sk_buff *tail;	/* the last of those */
	u32 num;		/* packets */
	u32 bth_bytes;		/* of all, from the BTHs to the ends of the pads */
	u32 ip_bytes;		/* of all, with their headers and ICRCs */
};

/*
 * Whether this kernel takes runs apart without touching the account of the first packet, which it
 * did not before 2026. Once, at module load. May sleep.
 */
void rxo_run_probe(void);

/* Whether a route's netdev carries runs. "tx-gso-list" of ethtool -K is its switch. */
bool rxo_run_fits(const struct dst_entry *dst);

/*
 * Whether a packet of a BTH and what is behind it may be added: all are as long as the first, but
 * the last, which may be shorter; together they are no longer than one IP packet.
 */
bool rxo_run_takes(const struct rxo_run *run, const struct sk_buff *skb);

/**
 * rxo_run_add - append a packet
 * @run: takes it (rxo_run_takes())
 * @skb: complete, skb->data at the IP header, with an account of no socket
 *
 * When the core takes the run apart, it counts the IPv4 id up from that of the first packet. The
 * ICRC covers the id, so the nth packet behind the first must have been made with the first one's
 * id + n.
 */
void rxo_run_add(struct rxo_run *run, struct sk_buff *skb);

#endif /* RXO_RUN_H */
