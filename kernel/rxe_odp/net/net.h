/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network below the NIC: UDP sockets per network namespace, routes,
 * IP and UDP headers, ICRC. Lists of packets go in and come out.
 */
#ifndef RXO_NET_H
#define RXO_NET_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/skbuff.h>
#include <net/dst_cache.h>
#include <rdma/ib_verbs.h>

struct rxo_dev;
struct rxo_tx;

/*
 * Where packets of a QP or an address handle go. Immutable after
 * rxo_path_init(), except the route, which is looked up again when it is stale
 * (it has its own locking; several CPUs may send on a path).
 */
struct rxo_path {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;	/* sin6_scope_id of link-local ones: the netdev */
	} src, dst;				/* of one family */
	u32 flow_label;
	u16 src_port;		/* UDP, host order; 0: by the QP numbers of each packet */
	u8 tclass;
	u8 hop_limit;
	int ifindex;		/* of the netdev that has the source address; 0 when it was gone */
	struct dst_cache route;
};

/**
 * rxo_path_init - addresses from an address handle's attributes
 * @dev: the device
 * @path: filled; undefined after an error
 * @attr: checked here: has a GRH, a valid sgid_index of this device, RoCEv2
 * @local_qpn: with @remote_qpn chooses the UDP source port where @attr has no flow label;
 *	0 for a path of many QPs, where each datagram's own numbers choose
 * @remote_qpn: not looked at then
 * @gfp: of the memory for its route. Memory of each CPU that may not sleep comes from a small
 *	reserve, which a thousand paths in a row use up: so sleep where it is allowed
 *
 * Any context that @gfp allows, hard interrupts included. Returns 0; -EINVAL for attributes that
 * name no RoCEv2 path, or addresses of two families, or a multicast destination of a connection;
 * -ENODEV when a link-local source has lost its netdev; -ENOMEM.
 */
int rxo_path_init(struct rxo_dev *dev, struct rxo_path *path, const struct rdma_ah_attr *attr,
		  u32 local_qpn, u32 remote_qpn, gfp_t gfp);

/**
 * rxo_path_init_once - rxo_path_init() for one packet, of any QP
 * @dev: the device
 * @path: filled; undefined after an error
 * @attr: as there
 *
 * Its route is looked up and not kept: needs no memory and no release. Any context. Errors as of
 * rxo_path_init(), without -ENOMEM.
 */
int rxo_path_init_once(struct rxo_dev *dev, struct rxo_path *path,
		       const struct rdma_ah_attr *attr);

/**
 * rxo_path_release - undo rxo_path_init(); no packet is being sent on the path
 * @path: the path. Any context.
 */
void rxo_path_release(struct rxo_path *path);

/* Whether packets on @path go to a multicast group. Any context. */
bool rxo_path_is_multicast(const struct rxo_path *path);

/**
 * rxo_path_route - the route of a path, cached or looked up
 * @dev: the device, whose netdev's namespace is asked
 * @path: the path
 *
 * BH off. Returns a referenced route, or NULL when there is none.
 */
struct dst_entry *rxo_path_route(struct rxo_dev *dev, struct rxo_path *path);

/* Whether a received packet's addresses are those of the path, reversed. */
bool rxo_net_matches(const struct sk_buff *skb, const struct rxo_path *path);

/**
 * rxo_net_alloc - an skb for a packet of @bytes from the BTH to the padded payload
 * @dev: the device
 * @path: where it will go
 * @bytes: a multiple of four
 *
 * Any context. skb->data is at the BTH, skb->len is @bytes; room for IP, UDP, ICRC is
 * reserved. NULL when there is no memory: of more than a packet of the largest path MTU there
 * often is none, and a shorter one may do.
 */
struct sk_buff *rxo_net_alloc(struct rxo_dev *dev, const struct rxo_path *path, u32 bytes);

/*
 * The payload of a wide packet, at most: with headers an skb of 32 KiB, the most that the page
 * allocator keeps at hand for each CPU.
 */
#define RXO_WIDE_BYTES	(28U * 1024)

/**
 * rxo_net_wide_bytes - how much payload a packet may have beyond the path MTU
 * @dev: the device
 * @path: where it will go
 * @tx: of the direction that sends, under its lock
 *
 * BH off. RXO_WIDE_BYTES where packets stay within this kernel and all netdevs on their way let
 * one of that length through as it is; what rxo_net_frame_bytes() says, or less, where the peer is
 * ours and packets of that length arrive: a probe has shown it. Otherwise 0. A wide packet is one
 * whose BTH has more than one PSN (wire.h); it arrives whole or not at all. Of the first kind it
 * bears no ICRC.
 */
u32 rxo_net_wide_bytes(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx);

/* Whether a wide probe without ICRC may be sent on @path. Context as rxo_net_wide_bytes(). */
bool rxo_net_may_probe_wide(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx);

/*
 * The most payload, up to RXO_WIDE_BYTES, with which a packet, whatever its headers, fits into the
 * MTU of the route. Whether such a packet arrives at the peer, a probe finds out. A multiple of
 * four; 0 where none may be sent. Context as rxo_net_wide_bytes().
 */
u32 rxo_net_frame_bytes(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx);

/**
 * rxo_net_xmit - send packets of one path, in order
 * @dev: the device
 * @path: where they go
 * @tx: of the direction that sends, under its lock
 * @list: of skbs from rxo_net_alloc(); consumed, whatever happens: a network may lose packets
 * @refused_psn: set to the PSN of the first packet that was not taken, if there is one
 *
 * Hard interrupts on, BH off, as that lock asks for: nothing is received inside this call, packets
 * to ourselves included, which go through the backlog.
 *
 * Returns true when all were sent, or lost; tx->taken_bytes is what was sent, from the BTHs on.
 * False: a queue of this host was full, and the packet of @refused_psn and all behind it are to be
 * made again; the direction will be run for that.
 */
bool rxo_net_xmit(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx,
		  struct sk_buff_head *list, u32 *refused_psn);

/* The same for one packet. */
bool rxo_net_xmit_one(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx,
		      struct sk_buff *skb);

/*
 * What is above: handed in at module load (rxo_ns_init()).
 *
 * rcv	a packet from the wire, for a device; delivery ends before rxo_net_detach() returns.
 *	@skb is linear, data at the BTH, parsed into its rxo_pkt, ICRC verified and trimmed;
 *	it has no netdev, route or socket any more, so it may be kept. Consumed.
 *	Softirq, in an RCU read section.
 */
struct rxo_transport {
	void (*rcv)(struct rxo_dev *dev, struct sk_buff *skb);
};

extern const struct rxo_transport *rxo_net_transport;

/**
 * rxo_net_grh - the global route header that a UD receive shows
 * @skb: a received packet
 * @grh: filled: the IPv6 header, or 20 bytes of zero and the IPv4 header
 */
void rxo_net_grh(const struct sk_buff *skb, struct ib_grh *grh);

/* The GID that a received packet was sent to. */
void rxo_net_dgid(const struct sk_buff *skb, union ib_gid *gid);

/* Whether that is a multicast group. */
bool rxo_net_is_multicast(const struct sk_buff *skb);

/*
 * Whether a received packet was in this host's memory alone. Only of those that may be without an
 * ICRC, and of probes with rxo_net_mark_open().
 */
bool rxo_net_stayed_here(const struct sk_buff *skb);

/*
 * Of a packet to be sent: it shall only arrive if it stays in this host's memory. rxo_net_xmit()
 * does what the mark says.
 */
static inline void rxo_net_mark_open(struct sk_buff *skb)
{
	skb->ip_summed = CHECKSUM_PARTIAL;
}

/* Whether packets that stay in this host's memory are sent without ICRC. Any context. */
bool rxo_net_omits_icrc(void);

/* Whether packets to another device of this driver may fill the netdev's frames. Any context. */
bool rxo_net_fills_frames(void);

/* At module load. */
void rxo_net_init(void);

/* Where a group was joined, referenced: one of the two. */
struct rxo_joined {
	struct in_device *ip4;
	struct inet6_dev *ip6;
};

/**
 * rxo_net_join - let packets to a multicast group in
 * @dev: the device, whose netdev becomes a member
 * @group: an IPv6 address, or an IPv4 one mapped
 * @joined: filled, for rxo_net_leave(), which undoes it
 *
 * May sleep; not under RTNL. 0 or -errno.
 */
int rxo_net_join(struct rxo_dev *dev, const union ib_gid *group, struct rxo_joined *joined);
void rxo_net_leave(struct rxo_dev *dev, const union ib_gid *group, const struct rxo_joined *joined);

/* The network type of a received packet, for ib_wc.network_hdr_type. */
enum rdma_network_type rxo_net_type(const struct sk_buff *skb);

/* encap_rcv of the sockets in ns.c. Softirq, in an RCU read section. */
int rxo_net_encap_rcv(struct sock *sk, struct sk_buff *skb);

#endif /* RXO_NET_H */
