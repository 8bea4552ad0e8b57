// SPDX-License-Identifier: GPL-2.0
/* From the network to the QP: finds it, and the engine for the packet. */

#include "transport/qp.h"

static bool rcv_is_for_qp(const struct rxo_qp *qp, const struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);

	if (!(pkt->flags & qp->kind->opcodes))
		return false;
	/* An XRC initiator and an XRC target have one half of a connection each. */
	if ((!qp->kind->take && (pkt->flags & RXO_OP_REQ)) ||
	    (!qp->kind->send && (pkt->flags & RXO_OP_ACK)))
		return false;
	if (!qp->kind->connected)
		return true;
	if (rxo_qp_state(qp) < IB_QPS_RTR)
		return false;
	/*
	 * The path is there as long as packets are taken: from RTR on. In SQD, or by way of RESET,
	 * it may be exchanged beside this look, which takes no lock: a packet of that moment is
	 * judged by either or taken for a stranger's, and PSNs and the state decide as ever.
	 */
	return data_race(rxo_net_matches(skb, &qp->path));
}

/*
 * How many PSNs a packet with an ICRC has: one, as far as IBTA knows. What those bits say counts on
 * a connection on which one end has asked by a probe whether long packets pass (peer.c), and only
 * for packets with payload; whoever places the payload compares the two. Anybody can send such a
 * probe, which does no harm: peers that are not ours send zeros there.
 *
 * False: it is a wide one, and nobody has asked since this queue pair was reset. Taken for a packet
 * that is too long it would end the connection. Dropped, it is sent again as packets of one PSN (as
 * a wide one again only while a page of the peer's own is late).
 */
static bool rcv_take_psns(const struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	u8 psns = rxo_bth_psns(rxo_pkt_bth(skb));

	if (psns == pkt->psns || qp->ibqp.qp_type != IB_QPT_RC ||
	    !(pkt->flags & (RXO_OP_SEND | RXO_OP_WRITE | RXO_OP_READ_RESP)))
		return true;
	if (READ_ONCE(qp->rq.peer_sends_wide)) {
		pkt->psns = psns;
		return true;
	}
	/* The path MTU is exchanged with the path, which may be beside this look: see above. */
	return pkt->payload_bytes <= data_race(qp->mtu_bytes);
}

static void rcv_drop(struct rxo_dev *dev, struct sk_buff *skb)
{
	rxo_stat_inc(dev, RXO_STAT_RCV_DROPPED);
	kfree_skb(skb);
}

/* A multicast packet: a datagram for the members of its group, or dropped. */
static void rcv_to_group(struct rxo_dev *dev, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);

	if (pkt->qpn == RXO_MULTICAST_QPN && (pkt->flags & RXO_OP_UD))
		rxo_mcast_rcv(dev, skb);
	else
		rcv_drop(dev, skb);
}

static void rcv_packet(struct rxo_dev *dev, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_qp *qp;

	if (rxo_net_is_multicast(skb)) {
		rxo_stat_inc(dev, RXO_STAT_RCVD_MCAST_PKTS);
		rcv_to_group(dev, skb);
		return;
	}
	qp = rxo_qp_get(dev, pkt->qpn);
	if (!qp || !rcv_is_for_qp(qp, skb) || !rcv_take_psns(qp, skb)) {
		rcv_drop(dev, skb);
		goto out;
	}
	if (pkt->ce && qp->kind->connected)
		rxo_ecn_rcv_marked(qp);
	if (pkt->flags & RXO_OP_CNP) {
		rxo_ecn_rcv_cnp(qp);
		consume_skb(skb);
	} else if (pkt->flags & RXO_OP_PROBE) {
		rxo_peer_rcv(qp, skb);
		consume_skb(skb);
	} else if (pkt->flags & RXO_OP_REQ) {
		rxo_resp_rcv(qp, skb);
	} else {
		rxo_comp_rcv(qp, skb);
	}
out:
	if (qp)
		rxo_qp_put(qp);
}

const struct rxo_transport rxo_transport = {
	.rcv = rcv_packet,
};
