// SPDX-License-Identifier: GPL-2.0
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/xfrm.h>

#include "net/run.h"
#include "wire/wire.h"

#define RUN_FEATURES	(NETIF_F_GSO_UDP_L4 | NETIF_F_GSO_FRAGLIST | NETIF_F_FRAGLIST)

/* With headers of the link a whole one is still below GSO_LEGACY_MAX_SIZE. */
#define RUN_MAX_BYTES	(IP_MAX_MTU - MAX_HEADER)

/* Of each of the run's packets. */
static u32 run_hdr_bytes(const struct rxo_run *run)
{
	return skb_transport_offset(run->skb) + sizeof(struct udphdr);
}

/* Of the first packet, behind its headers. */
static u32 run_piece_bytes(const struct rxo_run *run)
{
	return skb_headlen(run->skb) - run_hdr_bytes(run);
}

static bool run_probed;

static struct sk_buff *run_probe_alloc(void)
{
	struct sk_buff *skb = alloc_skb(256, GFP_KERNEL);

	if (!skb)
		return NULL;
	skb_reserve(skb, 128);
	skb_reset_mac_header(skb);
	SKB_GSO_CB(skb)->mac_offset = skb_headroom(skb);
	skb_reset_network_header(skb);
	skb_reset_transport_header(skb);
	skb_put_zero(skb, 64);
	return skb;
}

void rxo_run_probe(void)
{
	struct sk_buff *first = run_probe_alloc(), *second = run_probe_alloc(), *segs;
	u32 truesize;

	if (!first || !second) {
		kfree_skb(first);
		kfree_skb(second);
		return;
	}
	skb_shinfo(first)->gso_type = SKB_GSO_UDP_L4 | SKB_GSO_FRAGLIST;
	skb_shinfo(first)->gso_size = second->len;
	skb_shinfo(first)->frag_list = second;
	first->len += second->len;
	first->data_len += second->len;
	truesize = first->truesize;
	segs = skb_segment_list(first, NETIF_F_SG, 0);
	if (!IS_ERR(segs)) {
		run_probed = first->truesize == truesize;
		/* The second is behind the first, to which there are two references. */
		consume_skb(first->next);
		first->next = NULL;
		consume_skb(first);
	}
	consume_skb(first);
}

bool rxo_run_fits(const struct dst_entry *dst)
{
	return run_probed && (READ_ONCE(dst->dev->features) & RUN_FEATURES) == RUN_FEATURES &&
	       !dst_xfrm(dst) && !dst->lwtstate;
}

bool rxo_run_takes(const struct rxo_run *run, const struct sk_buff *skb)
{
	u32 udp_payload_bytes = skb->len + RXO_ICRC_BYTES, piece_bytes = run_piece_bytes(run);

	return skb->len >= RXO_RUN_MIN_BYTES && udp_payload_bytes <= piece_bytes &&
	       skb_headroom(skb) >= RXO_RUN_HEADROOM + run_hdr_bytes(run) &&
	       run->skb->data_len == (run->num - 1) * piece_bytes &&
	       run->skb->len + udp_payload_bytes <= RUN_MAX_BYTES;
}

void rxo_run_add(struct rxo_run *run, struct sk_buff *skb)
{
	struct skb_shared_info *shinfo = skb_shinfo(run->skb);
	struct udphdr *udp = udp_hdr(run->skb);

	run->ip_bytes += skb->len;
	run->num++;
	__skb_pull(skb, run_hdr_bytes(run));
	if (run->tail) {
		run->tail->next = skb;
	} else {
		shinfo->frag_list = skb;
		shinfo->gso_size = run_piece_bytes(run);
		shinfo->gso_type = SKB_GSO_UDP_L4 | SKB_GSO_FRAGLIST;
		/* The UDP checksums are zero, that is none, in all packets, or open in all. */
		if (run->skb->ip_summed != CHECKSUM_PARTIAL)
			run->skb->ip_summed = CHECKSUM_UNNECESSARY;
	}
	run->tail = skb;
	shinfo->gso_segs = run->num;
	run->skb->len += skb->len;
	run->skb->data_len += skb->len;
	udp->len = htons(ntohs(udp->len) + skb->len);
}
