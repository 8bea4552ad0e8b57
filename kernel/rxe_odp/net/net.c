// SPDX-License-Identifier: GPL-2.0
/*
 * Packets in and out of the network.
 *
 * Out: the transport gives BTH to padded payload; here it gets its ICRC, UDP and
 * IP header and goes the way of every locally made packet (ip_local_out()), so
 * that netfilter, qdiscs, VLANs and the loopback device do what an administrator
 * expects. The ICRC covers the IP header's length, id and fragment fields, so
 * the headers are made first and nothing may rewrite them: don't-fragment is
 * set, and the id of such an atomic datagram means nothing (RFC 6864). A packet that is
 * longer than the link's MTU is left to IP: see pkt_let_fragment(). Packets of a list that are
 * alike go together: see net/run.h. Between queue pairs of this host a packet has no ICRC while it
 * stays in memory: see pkt_leave_sum_open(); there one may also have the payload of several: see
 * pkt_keep_whole(). To a queue pair of ours on another host it may have as much as a frame of the
 * netdev has room for: see rxo_net_frame_bytes().
 *
 * In: encap_rcv of the namespace's sockets. IP and UDP have checked lengths and
 * the UDP checksum, if there is one. What is not a whole packet that we speak, with
 * a right ICRC, is dropped and counted: as far as the transport can tell, it
 * was lost. What goes on holds no reference to netdev, route or socket, because
 * the transport may keep it while a page is fetched.
 */
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sctp.h>
#include <linux/udp.h>
#include <linux/unaligned.h>
#include <net/dsfield.h>
#include <net/dst.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ipv6.h>
#include <net/udp.h>

#include "device/dev.h"
#include "net/net.h"
#include "net/ns.h"
#include "net/packet.h"
#include "net/run.h"
#include "net/tx.h"
#include "wire/icrc.h"

const struct rxo_transport *rxo_net_transport;

static bool net_gso = true;
module_param_named(gso, net_gso, bool, 0644);
MODULE_PARM_DESC(gso, "Whether packets of a flow go through netdevs that can as one skb (default Y)");

static bool net_icrc;
module_param_named(icrc, net_icrc, bool, 0644);
MODULE_PARM_DESC(icrc, "Whether packets that stay in this host have an ICRC, too (default N)");

static bool net_frames = true;
module_param_named(frames, net_frames, bool, 0644);
MODULE_PARM_DESC(frames,
		 "Whether packets between two of this driver may fill the netdev's frames (default Y)");

/* Stands in place of an ICRC: a random number, so that other kernels (guests) do not send it. */
static u32 net_no_icrc __ro_after_init;

void __init rxo_net_init(void)
{
	net_no_icrc = get_random_u32();
}

bool rxo_net_omits_icrc(void)
{
	return !READ_ONCE(net_icrc);
}

bool rxo_net_fills_frames(void)
{
	return READ_ONCE(net_frames);
}

/* From the BTH to the padded payload: the most of a packet of one PSN. */
#define NET_NARROW_BYTES	(RXO_MAX_HDR_BYTES + 4096)

/* More than the longest wide packet: where the MTU is less, pkt_keep_whole() is needed. */
#define NET_WIDE_BYTES		(RXO_WIDE_BYTES + MAX_HEADER)

/* See pkt_keep_whole(). An MTU may be any number, and a segment of GSO has to have payload. */
#define WHOLE_MIN_MTU		576
#define WHOLE_GSO_TYPE		(SKB_GSO_UDP_TUNNEL | SKB_GSO_SCTP)
#define WHOLE_FEATURES		(NETIF_F_GSO_UDP_TUNNEL | NETIF_F_GSO_SCTP)

#define PKEY_ANY_MEMBER		0x7fff	/* of the default partition, without the membership bit */

static bool pkt_is_ip4(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IP);
}

static u32 pkt_ip_bytes(const struct sk_buff *skb)
{
	return pkt_is_ip4(skb) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

static u32 path_ip_bytes(const struct rxo_path *path)
{
	return path->dst.sa.sa_family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

struct sk_buff *rxo_net_alloc(struct rxo_dev *dev, const struct rxo_path *path, u32 bytes)
{
	bool ip4 = path->dst.sa.sa_family == AF_INET, wide = bytes > NET_NARROW_BYTES;
	gfp_t gfp = wide ? GFP_NOWAIT | __GFP_NORETRY | __GFP_NOMEMALLOC : GFP_ATOMIC;
	u32 link_room = LL_RESERVED_SPACE(dev->netdev), room;
	struct sk_buff *skb;

	/* Runs are of connections, whose paths have a source port. So do a few of datagrams. */
	if (bytes >= RXO_RUN_MIN_BYTES && path->src_port)
		link_room = max(link_room, RXO_RUN_HEADROOM);
	room = link_room + sizeof(struct udphdr) + path_ip_bytes(path);

	skb = alloc_skb(room + bytes + RXO_ICRC_BYTES, gfp | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, room);
	__skb_put(skb, bytes);
	skb->protocol = ip4 ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
	return skb;
}

/* skb->data is at the BTH. Only datagrams go on a path without a port: see rxo_path_init(). */
static u16 pkt_src_port(const struct sk_buff *skb, const struct rxo_path *path)
{
	return path->src_port ?: rdma_get_udp_sport(0, rxo_deth_sqp(rxo_pkt_deth(skb)),
						    rxo_bth_qpn(rxo_pkt_bth(skb)));
}

static void pkt_push_udp(struct sk_buff *skb, const struct rxo_path *path)
{
	u16 src_port = pkt_src_port(skb, path);
	struct udphdr *udp = __skb_push(skb, sizeof(*udp));

	skb_reset_transport_header(skb);
	*udp = (struct udphdr) {
		.source = htons(src_port),
		.dest = htons(ROCE_V2_UDP_DPORT),
		.len = htons(skb->len),
	};
}

/*
 * Both ends derive PSNs and offsets from the path MTU, so a QP keeps the one that
 * was agreed on where the link carries less. Such packets leave as fragments: the
 * peer's IP puts them together, header and all, before the ICRC is looked at.
 *
 * The id follows the PSN, so that what is sent again takes the place of a datagram
 * that lost a fragment: otherwise each of them would stay in the peer's memory for
 * half a minute, of which IP grants 4 MiB to all.
 */
static void pkt_let_fragment(struct iphdr *ip)
{
	const struct rxo_bth *bth = (void *)(ip + 1) + sizeof(struct udphdr);
	const struct rxo_deth *deth = (void *)(bth + 1);
	u32 flags = rxo_opcodes[bth->opcode].flags;
	/* Tells PSNs to the same QP apart: of requests and responses, and of each source QP. */
	u32 flow = flags & RXO_OP_DETH ? rxo_deth_sqp(deth) : flags & RXO_OP_READ_RESP;

	ip->id = htons(be32_to_cpu(bth->apsn) + jhash_2words((__force u32)bth->qpn, flow, 0));
	ip->frag_off = 0;
}

/* @id: its place in a run, from 0; see rxo_run_add(). */
static void pkt_push_ip4(struct sk_buff *skb, const struct rxo_path *path, u32 mtu, u16 id)
{
	struct iphdr *ip = __skb_push(skb, sizeof(*ip));

	*ip = (struct iphdr) {
		.version = IPVERSION,
		.ihl = sizeof(*ip) / 4,
		.tos = path->tclass,
		.tot_len = htons(skb->len),
		.id = htons(id),
		.frag_off = htons(IP_DF),
		.ttl = path->hop_limit,
		.protocol = IPPROTO_UDP,
		.saddr = path->src.in4.sin_addr.s_addr,
		.daddr = path->dst.in4.sin_addr.s_addr,
	};
	if (skb->len > mtu)
		pkt_let_fragment(ip);
	skb->priority = rt_tos2priority(path->tclass);
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
}

static void pkt_push_ip6(struct sk_buff *skb, const struct rxo_path *path, u32 mtu)
{
	struct ipv6hdr *ip = __skb_push(skb, sizeof(*ip));

	ip6_flow_hdr(ip, path->tclass, htonl(path->flow_label));
	ip->payload_len = htons(skb->len - sizeof(*ip));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = path->hop_limit;
	ip->saddr = path->src.in6.sin6_addr;
	ip->daddr = path->dst.in6.sin6_addr;
	/* IPv6 chooses the id itself: the peer keeps incomplete datagrams for a minute. */
	skb->ignore_df = skb->len > mtu;
	skb->priority = rt_tos2priority(path->tclass);
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
}

static int pkt_local_out(struct net *net, struct sk_buff *skb)
{
	return pkt_is_ip4(skb) ? ip_local_out(net, NULL, skb) : ip6_local_out(net, NULL, skb);
}

/*
 * Leaves the UDP checksum to be computed by whoever puts the packet on a medium, as TCP's is
 * (CHECKSUM_PARTIAL). So a packet that arrives with the checksum still open has been in this host's
 * memory alone. The pseudo-header's sum is off by one: a packet that was on a medium after all has
 * a wrong checksum, at which UDP drops it where it arrives, and GRO, which would open the checksum
 * again, does not take it. If somebody computes the checksum anew, the peer drops the packet for
 * its ICRC.
 */
static void pkt_leave_sum_open(struct sk_buff *skb)
{
	u32 udp_bytes = skb->len - pkt_ip_bytes(skb);
	__sum16 pseudo;

	if (pkt_is_ip4(skb))
		pseudo = ~udp_v4_check(udp_bytes, ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, 0);
	else
		pseudo = ~udp_v6_check(udp_bytes, &ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr, 0);
	udp_hdr(skb)->check = csum16_add(pseudo, htons(1));
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct udphdr, check);
}

/*
 * Lets a wide packet through netdevs of a smaller MTU, as a kind of GSO that veth, bridges and
 * other netdevs of software pass on, and that nobody can take apart: no hardware has SKB_GSO_SCTP,
 * and the core refuses to segment UDP so and drops it (udp4_ufo_fragment(), udp6_ufo_fragment()).
 * Of what is in such a packet no part can therefore arrive as if it were a packet itself. UDP hands
 * an skb with SKB_GSO_UDP_TUNNEL to a socket like ours as it is. It has no UDP checksum: that
 * cannot be left open in one of GSO, and need not be.
 */
static void pkt_keep_whole(struct sk_buff *skb, u32 mtu)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	shinfo->gso_type = WHOLE_GSO_TYPE;
	/* A segment with an SCTP header, as IP counts them against the MTU. */
	shinfo->gso_size = mtu - pkt_ip_bytes(skb) - sizeof(struct sctphdr);
	shinfo->gso_segs = DIV_ROUND_UP(skb->len, shinfo->gso_size);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
}

static bool pkt_is_kept_whole(const struct sk_buff *skb)
{
	return skb_is_gso(skb) && skb_shinfo(skb)->gso_type == WHOLE_GSO_TYPE;
}

/* The MTU of a route without IPsec and lightweight tunnels, else 0. */
static u32 net_plain_mtu(const struct dst_entry *dst)
{
	return dst_xfrm(dst) || dst->lwtstate ? 0 : dst_mtu(dst);
}

/* Whether wide packets without ICRC may take a route: within its MTU, or by pkt_keep_whole(). */
static bool net_carries_wide(const struct dst_entry *dst)
{
	const struct net_device *netdev = dst->dev;
	u32 mtu = net_plain_mtu(dst);

	if (mtu >= NET_WIDE_BYTES)
		return true;
	return mtu >= WHOLE_MIN_MTU &&
	       (READ_ONCE(netdev->features) & WHOLE_FEATURES) == WHOLE_FEATURES &&
	       NET_WIDE_BYTES + MAX_HEADER < READ_ONCE(netdev->gso_max_size);
}

bool rxo_net_stayed_here(const struct sk_buff *skb)
{
	if (pkt_is_kept_whole(skb))
		return true;
	return skb->ip_summed == CHECKSUM_PARTIAL &&
	       skb->csum_offset == offsetof(struct udphdr, check) &&
	       skb->head + skb->csum_start == skb_transport_header(skb);
}

/* Of a packet to be sent, skb->data at the BTH. */
static bool pkt_is_wide(const struct sk_buff *skb)
{
	return rxo_bth_psns(rxo_pkt_bth(skb)) > 1;
}

/* How a list of packets is sent. */
struct pkt_how {
	u32 mtu;		/* of the route; IP makes fragments of what is longer */
	bool runs;		/* those that are alike go together */
	bool omit_icrc;		/* they stay in this host */
	bool wide_has_icrc;	/* wide ones may leave it, and fit into its frames */
};

/* Headers and ICRC. Leaves skb->data at the IP header. */
static void pkt_finish(struct sk_buff *skb, const struct rxo_path *path, const struct pkt_how *how,
		       u16 ip4_id)
{
	bool probe = rxo_pkt_bth(skb)->opcode == RXO_OPCODE_PROBE, wide = pkt_is_wide(skb);
	bool open = skb->ip_summed == CHECKSUM_PARTIAL, omit, whole;
	u32 bth_bytes = skb->len, mtu = wide ? IP_MAX_MTU : how->mtu;
	void *icrc = __skb_put(skb, RXO_ICRC_BYTES);	/* rxo_net_alloc() has made room */

	pkt_push_udp(skb, path);
	if (pkt_is_ip4(skb))
		pkt_push_ip4(skb, path, mtu, ip4_id);
	else
		pkt_push_ip6(skb, path, mtu);
	skb_reset_network_header(skb);
	whole = wide && (probe ? open : !how->wide_has_icrc);
	omit = whole || (how->omit_icrc && !wide && !probe && skb->len <= mtu);
	put_unaligned_le32(omit ? net_no_icrc :
				  rxo_icrc(skb->data, pkt_ip_bytes(skb), bth_bytes), icrc);
	if (whole && how->mtu < NET_WIDE_BYTES)
		pkt_keep_whole(skb, max(how->mtu, WHOLE_MIN_MTU));
	else if (omit || open)
		pkt_leave_sum_open(skb);
}

/* Whether a packet joins no run: a wide one without ICRC. */
static bool pkt_goes_alone(const struct sk_buff *skb, const struct pkt_how *how)
{
	return pkt_is_wide(skb) && !how->wide_has_icrc;
}

/*
 * Takes the first packet of the list, completes it, and adds those behind it that its run can take.
 * The last of the list is never added: it is charged by itself, so that its charge tells when all
 * have left, even if a run before it is taken apart on the way.
 */
static struct rxo_run pkt_take_run(struct sk_buff_head *list, const struct rxo_path *path,
				   const struct pkt_how *how)
{
	struct sk_buff *skb = __skb_dequeue(list);
	struct rxo_run run = { .skb = skb, .num = 1, .bth_bytes = skb->len };
	bool alone = !how->runs || pkt_goes_alone(skb, how);

	pkt_finish(skb, path, how, 0);
	run.ip_bytes = skb->len;
	/* What IP makes fragments of goes alone, too. */
	if (alone || skb->len > how->mtu)
		return run;
	while ((skb = skb_peek(list)) && !skb_queue_is_last(list, skb) &&
	       !pkt_goes_alone(skb, how) && rxo_run_takes(&run, skb)) {
		__skb_unlink(skb, list);
		run.bth_bytes += skb->len;
		pkt_finish(skb, path, how, run.num);
		rxo_run_add(&run, skb);
	}
	return run;
}

/*
 * Of a packet that has its headers. A queue may refuse a wide probe for its length alone (tbf,
 * cake), which says nothing of the room for other packets.
 */
static bool pkt_is_wide_probe(const struct sk_buff *skb)
{
	const struct rxo_bth *bth = (void *)(udp_hdr(skb) + 1);

	return bth->opcode == RXO_OPCODE_PROBE && rxo_bth_psns(bth) > 1;
}

/*
 * False for a run that a full queue refused. One dropped otherwise (by a filter, by a netdev that
 * is down) counts as lost in the network.
 */
static bool pkt_xmit(const struct rxo_run *run, struct rxo_tx *tx, struct dst_entry *dst)
{
	bool counts = !pkt_is_wide_probe(run->skb);
	int err;

	skb_dst_set_noref(run->skb, dst);
	/* The route may be another one by now than when it was made. */
	if (pkt_is_kept_whole(run->skb) && !net_carries_wide(dst)) {
		kfree_skb(run->skb);
		err = -EMSGSIZE;
	} else {
		err = pkt_local_out(dev_net(dst->dev), run->skb);
	}
	if (err == NET_XMIT_DROP && counts && !rxo_tx_lost(tx)) {
		rxo_tx_count(tx, RXO_STAT_SEND_REFUSED, run->num);
		return false;
	}
	if (net_xmit_eval(err)) {	/* a macro: evaluates it twice */
		rxo_tx_count(tx, RXO_STAT_SEND_ERR, run->num);
	} else {
		rxo_tx_count(tx, RXO_STAT_SENT_PKTS, run->num);
		rxo_tx_count(tx, RXO_STAT_SENT_BYTES, run->ip_bytes);
		tx->taken_bytes += run->bth_bytes;
	}
	return true;
}

bool rxo_net_may_probe_wide(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx)
{
	struct dst_entry *dst;
	bool may = false;

	lockdep_assert_held(tx->lock);
	if (!rxo_tx_stays_here(tx) || !rxo_tx_may_run(tx) || !READ_ONCE(net_gso) ||
	    !rxo_net_omits_icrc() || time_before(jiffies, READ_ONCE(dev->tx_crowded_until)))
		return false;
	rcu_read_lock();
	dst = rxo_path_route(dev, path);
	if (dst) {
		may = net_carries_wide(dst);
		dst_release(dst);
	}
	rcu_read_unlock();
	return may;
}

u32 rxo_net_frame_bytes(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx)
{
	u32 hdr_bytes = path_ip_bytes(path) + sizeof(struct udphdr) + RXO_MAX_HDR_BYTES +
			RXO_ICRC_BYTES;
	struct dst_entry *dst;
	u32 mtu = 0;

	lockdep_assert_held(tx->lock);
	/* A queue that refuses packets may be one that takes none of that length. */
	if (!rxo_net_fills_frames() || !rxo_tx_may_run(tx) ||
	    time_before(jiffies, READ_ONCE(dev->tx_crowded_until)))
		return 0;
	rcu_read_lock();
	dst = rxo_path_route(dev, path);
	if (dst) {
		mtu = net_plain_mtu(dst);
		dst_release(dst);
	}
	rcu_read_unlock();
	return mtu > hdr_bytes ? round_down(min(mtu - hdr_bytes, RXO_WIDE_BYTES), 4) : 0;
}

u32 rxo_net_wide_bytes(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx)
{
	u32 bytes = rxo_tx_wide_bytes(tx);

	lockdep_assert_held(tx->lock);
	if (!bytes)
		return 0;
	if (tx->wide_has_icrc)
		return min(bytes, rxo_net_frame_bytes(dev, path, tx));
	return rxo_net_may_probe_wide(dev, path, tx) ? bytes : 0;
}

/*
 * Newer kernels tell a CPU that its packet was refused only if no other CPU put one into the same
 * qdisc at that moment. So from the first refusal until a second after the last the senders of a
 * device go one by one.
 */
bool rxo_net_xmit(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx,
		  struct sk_buff_head *list, u32 *refused_psn)
{
	u32 psn, bytes = 0, charged = 0, num = 0;
	bool taken = true, crowded;
	struct dst_entry *dst;
	struct pkt_how how;

	lockdep_assert_held(tx->lock);	/* so BH are off */
	tx->taken_bytes = 0;
	rcu_read_lock();
	dst = rxo_path_route(dev, path);
	if (!dst) {
		rxo_tx_count(tx, RXO_STAT_SEND_ERR, skb_queue_len(list));
		__skb_queue_purge(list);
		goto out;
	}
	crowded = time_before(jiffies, READ_ONCE(dev->tx_crowded_until));
	if (crowded)
		spin_lock(&dev->tx_send_lock);
	how = (struct pkt_how) {
		.mtu = dst_mtu(dst),
		.runs = skb_queue_len(list) > 1 && !crowded && rxo_tx_may_run(tx) &&
			READ_ONCE(net_gso) && rxo_run_fits(dst),
		.omit_icrc = rxo_tx_stays_here(tx) && rxo_net_omits_icrc(),
		.wide_has_icrc = tx->wide_has_icrc,
	};
	while (taken && !skb_queue_empty(list)) {
		struct rxo_run run;

		psn = rxo_bth_psn(rxo_pkt_bth(skb_peek(list)));
		run = pkt_take_run(list, path, &how);
		bytes = rxo_tx_charge(tx, run.skb, run.num, crowded, skb_queue_empty(list));
		charged += bytes;
		taken = pkt_xmit(&run, tx, dst);
		num += taken ? run.num : 0;
	}
	if (charged)
		rxo_tx_end(tx, taken ? 0 : bytes);
	if (crowded)
		spin_unlock(&dev->tx_send_lock);
	dst_release(dst);
	if (!taken) {
		*refused_psn = psn;
		__skb_queue_purge(list);
		rxo_tx_refused(tx, num);
	} else if (tx->taken_bytes) {
		rxo_tx_taken(tx);
	}
out:
	rcu_read_unlock();
	return taken;
}

bool rxo_net_xmit_one(struct rxo_dev *dev, struct rxo_path *path, struct rxo_tx *tx,
		      struct sk_buff *skb)
{
	struct sk_buff_head list;
	u32 refused_psn;

	__skb_queue_head_init(&list);
	__skb_queue_tail(&list, skb);
	return rxo_net_xmit(dev, path, tx, &list, &refused_psn);
}

/* An IP header without options or extension headers, which rxo_icrc() relies on. */
static bool pkt_has_plain_ip(const struct sk_buff *skb)
{
	return skb_network_header_len(skb) == pkt_ip_bytes(skb);
}

/* A packet without ICRC is this kernel's own, so the number of PSNs in its BTH is trusted. */
static bool pkt_icrc_is_right(const struct sk_buff *skb)
{
	u32 bth_bytes = skb->len - RXO_ICRC_BYTES;
	u32 icrc = get_unaligned_le32(skb->data + bth_bytes);

	if (icrc == net_no_icrc && rxo_net_stayed_here(skb)) {
		rxo_pkt(skb)->psns = rxo_bth_psns(rxo_pkt_bth(skb));
		return true;
	}
	return icrc == rxo_icrc(skb_network_header(skb), pkt_ip_bytes(skb), bth_bytes);
}

/* Frees socket, route and netdev: a packet may be held as long as a fault lasts. */
static void pkt_let_go(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	skb_ext_reset(skb);
	nf_reset_ct(skb);
	skb->dev = NULL;
}

/* Leaves skb->data at the BTH, without ICRC. */
static enum rxo_stat pkt_check(struct rxo_dev *dev, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);

	if (!pkt_has_plain_ip(skb) || skb_linearize(skb) ||
	    skb->len < sizeof(struct udphdr) + sizeof(struct rxo_bth) + RXO_ICRC_BYTES)
		return RXO_STAT_RCV_DROPPED;
	__skb_pull(skb, sizeof(struct udphdr));

	if (rxo_pkt_parse(pkt, skb->data, skb->len - RXO_ICRC_BYTES) ||
	    (pkt->pkey & PKEY_ANY_MEMBER) != PKEY_ANY_MEMBER)
		return RXO_STAT_RCV_DROPPED;
	if (!pkt_icrc_is_right(skb))
		return RXO_STAT_ICRC_ERR;

	__skb_trim(skb, skb->len - RXO_ICRC_BYTES);
	pkt->ce = INET_ECN_is_ce(pkt_is_ip4(skb) ? ip_hdr(skb)->tos :
						   ipv6_get_dsfield(ipv6_hdr(skb)));
	return RXO_STAT_RCVD_PKTS;
}

static int pkt_lower_vlan(struct net_device *lower, struct netdev_nested_priv *priv)
{
	u16 *vlan_id = priv->data;

	if (is_vlan_dev(lower))
		*vlan_id = vlan_dev_vlan_id(lower);
	return 1;
}

/*
 * The VLAN of a GID of this netdev, as rdma_read_gid_l2_fields() has it: that of the netdev or of
 * the one right below it. The MAD layer finds the GID to answer from by it.
 */
static u16 pkt_vlan_of(struct net_device *netdev)
{
	u16 vlan_id = RXO_NO_VLAN;
	struct netdev_nested_priv priv = { .data = &vlan_id };

	if (is_vlan_dev(netdev))
		return vlan_dev_vlan_id(netdev);
	netdev_walk_all_lower_dev_rcu(netdev, pkt_lower_vlan, &priv);
	return vlan_id;
}

int rxo_net_encap_rcv(struct sock *sk, struct sk_buff *skb)
{
	u32 ip_packet_bytes = pkt_ip_bytes(skb) + skb->len;
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct net_device *netdev;
	struct rxo_dev *dev;
	enum rxo_stat what;

	dev = rxo_ns_dev(sk, skb, &netdev);
	if (!dev) {
		kfree_skb(skb);
		return 0;
	}
	pkt_let_go(skb);
	what = pkt_check(dev, skb);
	rxo_stat_inc(dev, what);
	if (what != RXO_STAT_RCVD_PKTS) {
		kfree_skb(skb);
		return 0;
	}
	rxo_stat_add(dev, RXO_STAT_RCVD_BYTES, ip_packet_bytes);
	/* Shown only in datagrams' completions. */
	pkt->vlan_id = pkt->flags & RXO_OP_UD ? pkt_vlan_of(netdev) : RXO_NO_VLAN;
	rxo_net_transport->rcv(dev, skb);
	return 0;
}

void rxo_net_grh(const struct sk_buff *skb, struct ib_grh *grh)
{
	BUILD_BUG_ON(sizeof(*grh) != RXO_GRH_BYTES);

	if (pkt_is_ip4(skb)) {
		memset(grh, 0, sizeof(*grh));
		memcpy((u8 *)grh + sizeof(*grh) - sizeof(struct iphdr), ip_hdr(skb),
		       sizeof(struct iphdr));
	} else {
		memcpy(grh, ipv6_hdr(skb), sizeof(*grh));
	}
}

enum rdma_network_type rxo_net_type(const struct sk_buff *skb)
{
	return pkt_is_ip4(skb) ? RDMA_NETWORK_IPV4 : RDMA_NETWORK_IPV6;
}
