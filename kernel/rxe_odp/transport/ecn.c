// SPDX-License-Identifier: GPL-2.0
/*
 * Congestion that routers and queues mark (ECN), for links that have it switched on (sysfs "ecn").
 *
 * Packets of a connection are marked as ECN-capable. The receiver of a packet with a congestion
 * mark sends a congestion notification packet (CNP; RoCEv2 annex, A17.9.3). The QP that receives
 * the CNP limits its rate from then on (rate.h), for requests and responses together.
 */

#include "transport/qp.h"

/* At most one CNP per QP in this time, as usual for NICs. */
#define CNP_NS	(50 * NSEC_PER_USEC)

bool rxo_ecn_rate_allows(struct rxo_qp *qp, struct rxo_tx *tx)
{
	bool may_send;

	scoped_guard(spinlock, &qp->rate_lock)
		may_send = rxo_rate_may_send(&qp->rate, ktime_get_ns());
	if (!may_send)
		rxo_tx_wait_jiffy(tx);
	return may_send;
}

/* Whether the QP's rate is limited now. Under sq.lock. */
bool rxo_ecn_limits(struct rxo_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	if (!READ_ONCE(qp->dev->ecn))
		return false;
	guard(spinlock)(&qp->rate_lock);
	return qp->rate.bytes_per_s;
}

void rxo_ecn_charge_rate(struct rxo_qp *qp, u32 bytes)
{
	guard(spinlock)(&qp->rate_lock);
	rxo_rate_charge(&qp->rate, bytes, ktime_get_ns());
}

/* Takes back the charge for @bytes of packets that were not sent. Under a direction's lock. */
void rxo_ecn_uncharge(struct rxo_qp *qp, u32 bytes)
{
	if (!READ_ONCE(qp->dev->ecn))
		return;
	guard(spinlock)(&qp->rate_lock);
	rxo_rate_uncharge(&qp->rate, bytes);
}

static bool ecn_send_cnp(struct rxo_qp *qp)
{
	const u8 opcode = RXO_OPCODE_CNP;
	u32 bytes = rxo_opcodes[opcode].hdr_bytes;
	struct sk_buff *skb = rxo_net_alloc(qp->dev, &qp->path, bytes);

	if (!skb)
		return false;
	memset(skb->data, 0, bytes);
	rxo_bth_init(rxo_pkt_bth(skb), opcode, false, 0, IB_DEFAULT_PKEY_FULL, qp->dest_qpn,
		     false, 0);
	rxo_pkt_bth(skb)->qpn |= cpu_to_be32(RXO_BTH_BECN);
	return rxo_net_xmit_one(qp->dev, &qp->path, &qp->rq.tx, skb);
}

/* A packet from the peer carries a mark. Softirq. */
void rxo_ecn_rcv_marked(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	u64 now_ns = ktime_get_ns();

	if (!READ_ONCE(qp->dev->ecn))
		return;
	rxo_stat_inc(qp->dev, RXO_STAT_ECN_MARKED);
	guard(spinlock)(&rq->lock);
	if (!rxo_resp_takes_requests(qp) || now_ns - rq->cnp_ns < CNP_NS)
		return;
	if (ecn_send_cnp(qp)) {
		rxo_tx_count(&rq->tx, RXO_STAT_CNP_SENT, 1);
		rq->cnp_ns = now_ns;
	}
}

/* The peer sent a CNP: it got a marked packet. */
void rxo_ecn_rcv_cnp(struct rxo_qp *qp)
{
	if (!READ_ONCE(qp->dev->ecn))
		return;
	guard(spinlock)(&qp->rate_lock);
	if (rxo_rate_cut(&qp->rate, ktime_get_ns()))
		rxo_stat_inc(qp->dev, RXO_STAT_CNP_HANDLED);
}
