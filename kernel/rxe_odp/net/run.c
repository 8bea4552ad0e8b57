// SPDX-License-Identifier: GPL-2.0
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/dst.h>
#include <net/xfrm.h>

#include "net/run.h"

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

bool rxo_run_fits(const struct dst_entry *dst)
{
	return (READ_ONCE(dst->dev->features) & RUN_FEATURES) == RUN_FEATURES && !dst_xfrm(dst);
}

bool rxo_run_takes(const struct rxo_run *run, u32 udp_payload_bytes)
{
	u32 piece_bytes = run_piece_bytes(run);

	return udp_payload_bytes <= piece_bytes &&
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
		/* The zero in the UDP header is final: segmenting is to compute none. */
		run->skb->ip_summed = CHECKSUM_UNNECESSARY;
	}
	run->tail = skb;
	shinfo->gso_segs = run->num;
	run->skb->len += skb->len;
	run->skb->data_len += skb->len;
	udp->len = htons(ntohs(udp->len) + skb->len);
	/*
	 * The first is charged to a socket, for itself. Some kernels take what the others have from
	 * its truesize when they take a run apart, and the socket would not get its own back.
	 */
	skb->truesize = 0;
}
