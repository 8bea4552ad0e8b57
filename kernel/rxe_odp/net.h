/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network below the NIC: UDP sockets per network namespace, routes,
 * IP and UDP headers, ICRC. Lists of packets go in and come out.
 */
#ifndef RXO_NET_H
#define RXO_NET_H

#include <linux/skbuff.h>
#include <net/dst_cache.h>
#include <rdma/ib_verbs.h>

struct rxo_dev;

/*
 * Where packets of a QP or an address handle go. Immutable after
 * rxo_path_init(), except the route, which is looked up again when it is stale
 * (it has its own locking; several CPUs may send on a path).
 */
struct rxo_path {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} src, dst;
	u32 flow_label;
	u16 src_port;		/* UDP, host order: from the flow label, or of the QP numbers */
	u8 tclass;
	u8 hop_limit;
	struct dst_cache route;
};

/**
 * rxo_path_init - addresses from an address handle's attributes
 * @attr: checked here: has a GRH, a valid sgid_index of this device, RoCEv2
 * @entropy: varies the UDP source port (for example the QP numbers)
 *
 * May sleep? No: GFP_ATOMIC-safe callers exist (kernel create_ah); 0 or -errno.
 */
int rxo_path_init(struct rxo_dev *dev, struct rxo_path *path, const struct rdma_ah_attr *attr,
		  u32 entropy);
void rxo_path_release(struct rxo_path *path);

/**
 * rxo_net_alloc - an skb for a packet of @bytes from the BTH to the padded payload
 * Any context. skb->data is at the BTH, skb->len is @bytes; room for IP, UDP, ICRC is
 * reserved. NULL when there is no memory.
 */
struct sk_buff *rxo_net_alloc(struct rxo_dev *dev, const struct rxo_path *path, u32 bytes);

/**
 * rxo_net_xmit - send packets of one path, in order
 * @list: consumed, whatever happens: a network may lose packets
 *
 * Any context up to softirq, BH off or on; may be called under the QP's locks
 * and takes none of them back (nothing is received inside this call).
 */
void rxo_net_xmit(struct rxo_dev *dev, struct rxo_path *path, struct sk_buff_head *list);

/**
 * rxo_rcv - a packet from the wire (rcv.c), called by net.c
 * Softirq. skb is linear, data at the BTH, parsed into its rxo_pkt, ICRC
 * verified and trimmed. Consumes it.
 */
void rxo_rcv(struct rxo_dev *dev, struct sk_buff *skb);

/* The namespace's sockets: opened with its first device, closed with its last. May sleep. -EADDRINUSE. */
int rxo_net_attach(struct rxo_dev *dev);
void rxo_net_detach(struct rxo_dev *dev);

/* Source and destination GIDs of a received packet (v4 as ::ffff:a.b.c.d), for completions and GRHs. */
void rxo_net_grh(const struct sk_buff *skb, struct ib_grh *grh_or_v4_in_last_20);

/* Does this packet come from where the QP's path goes, to where it comes from? */
bool rxo_net_matches(const struct sk_buff *skb, const struct rxo_path *path);

#endif /* RXO_NET_H */
