// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that come late: what a peer hears while its request waits for them.
 *
 * A fault that is short costs the peer nothing but the wait. One that outlasts a fraction of the
 * acknowledgment timeout is answered with an RNR NAK: the held packets are dropped, because the
 * peer sends all of them again, and the fault goes on. When the peer is back too early, it is told
 * so again, with a timer that grows with the age of the fault. So a page that takes seconds costs
 * a few small packets, not a storm of retransmissions; nor a broken QP, where the peer's rnr_retry
 * is 7 (without end): a finite one ends it.
 *
 *	NOT	what is first in line misses		HELD, the timer runs
 *	HELD	it was executed				NOT
 *	HELD	the timer, or the peer asks again	TOLD, nothing is held
 *	TOLD	the page came, or never will		NOT
 */

#include "transport/qp.h"
#include "wire/rnr.h"

void rxo_late_reset(struct rxo_qp *qp)
{
	lockdep_assert_held(&qp->rq.lock);
	qp->rq.late.state = RXO_LATE_NOT;
	timer_delete(&qp->rq.late.timer);
}

/*
 * rxo_late_begin - the packet or the READ that is first in line waits for a page
 *
 * Not for ever, and no longer for many pages than for one. Nobody waits for a datagram.
 */
void rxo_late_begin(struct rxo_qp *qp)
{
	u32 shift = min_not_zero(qp->timeout_ns_shift, (u32)RXO_MAX_HOLD_TIMEOUT);
	struct rxo_late *late = &qp->rq.late;

	lockdep_assert_held(&qp->rq.lock);
	if (late->state != RXO_LATE_NOT || rxo_qp_is_ud(qp))
		return;
	late->state = RXO_LATE_HELD;
	late->since_ns = ktime_get_ns();
	mod_timer(&late->timer, jiffies + 1 + nsecs_to_jiffies(RXO_HOLD_NS(shift)));
}

/* What was first in line was executed. */
void rxo_late_end(struct rxo_qp *qp)
{
	if (qp->rq.late.state != RXO_LATE_NOT)
		rxo_late_reset(qp);
}

/* What is first in line, by its PSN; false when nothing is. */
static bool late_first_in_line(const struct rxo_qp *qp, u32 *psn)
{
	const struct rxo_rq *rq = &qp->rq;
	struct sk_buff *skb = skb_peek(&rq->held);

	if (!rq->read.active && !skb)
		return false;
	*psn = rq->read.active ? rq->read.psn : rxo_pkt(skb)->psn;
	return true;
}

/* Tell the peer to come back later. */
static void late_send_rnr(struct rxo_qp *qp, u32 psn)
{
	const struct rxo_late *late = &qp->rq.late;
	u64 age_ns = ktime_get_ns() - late->since_ns;

	rxo_stat_inc(qp->dev, RXO_STAT_FAULT_RNR);
	rxo_resp_send_rnr(qp, rxo_rnr_timer(max(age_ns, late->fault_ns)), psn);
}

/*
 * The fault lasts: nothing is held any longer, everybody is told to come back. A
 * READ that nothing was answered of has not been, and nothing behind it was
 * executed: when it is back it is the expected request again.
 */
static void late_tell(struct rxo_qp *qp, u32 psn)
{
	struct rxo_rq *rq = &qp->rq;
	bool stale = rq->read.active && rq->read.duplicate;

	if (rq->read.active && rq->read.psn == rq->read.first_psn && !stale) {
		rq->psn = rq->read.psn;
		rq->msn = (rq->msn - 1) & RXO_MSN_MASK;
	}
	rq->late.psn = psn;
	rq->late.state = stale ? RXO_LATE_TOLD_STALE : RXO_LATE_TOLD;
	rq->read.active = false;
	__skb_queue_purge(&rq->held);
	late_send_rnr(qp, psn);
}

static void late_timeout(struct timer_list *timer)
{
	struct rxo_qp *qp = timer_container_of(qp, timer, rq.late.timer);
	struct rxo_rq *rq = &qp->rq;
	u32 psn;

	spin_lock(&rq->lock);
	if (rxo_resp_takes_requests(qp) && rq->late.state == RXO_LATE_HELD &&
	    !timer_pending(timer)) {	/* or it is another packet's by now */
		if (!rq->wait.pending)	/* a page came, and the engine is about to go on */
			mod_timer(timer, jiffies + 1);
		else if (late_first_in_line(qp, &psn))
			late_tell(qp, psn);
	}
	spin_unlock(&rq->lock);
}

/*
 * While a peer is told to come back: the request that waits is told so again,
 * and so is one before it that owes an answer from memory. Others before it
 * were executed. What comes behind an old READ is told so as well: the peer
 * may have had its answer, and would hear nothing.
 */
static void late_rcv_told(struct rxo_qp *qp, const struct rxo_pkt *pkt)
{
	const struct rxo_rq *rq = &qp->rq;
	s32 ahead = rxo_psn_cmp(pkt->psn, rq->late.psn);

	if (!ahead || (ahead < 0 && (pkt->flags & (RXO_OP_READ | RXO_OP_ATOMIC))))
		late_send_rnr(qp, pkt->psn);
	else if (ahead < 0)
		rxo_resp_send_ack(qp, RXO_AETH_ACK, pkt->psn);
	else if (rq->late.state == RXO_LATE_TOLD_STALE && rxo_psn_cmp(pkt->psn, rq->psn) <= 0)
		late_send_rnr(qp, pkt->psn);
}

/*
 * rxo_late_rcv - a request has come
 *
 * True when it was answered here, and is to be dropped: the peer was told to come back, or is
 * told now, because it asks again for what waits.
 */
bool rxo_late_rcv(struct rxo_qp *qp, const struct rxo_pkt *pkt)
{
	const struct rxo_rq *rq = &qp->rq;
	u32 psn;

	lockdep_assert_held(&rq->lock);
	switch (rq->late.state) {
	case RXO_LATE_NOT:
		return false;
	case RXO_LATE_HELD:
		if (!rq->wait.pending || !late_first_in_line(qp, &psn) || psn != pkt->psn)
			return false;
		late_tell(qp, psn);
		return true;
	case RXO_LATE_TOLD:
	case RXO_LATE_TOLD_STALE:
		late_rcv_told(qp, pkt);
		return true;
	}
	return false;
}

/* rxo_late_page_came - the fault has ended. Returns whether the peer was told to come back. */
bool rxo_late_page_came(struct rxo_qp *qp)
{
	struct rxo_late *late = &qp->rq.late;
	bool was_told = late->state == RXO_LATE_TOLD || late->state == RXO_LATE_TOLD_STALE;

	lockdep_assert_held(&qp->rq.lock);
	late->fault_ns = (7 * late->fault_ns + ktime_get_ns() - qp->rq.wait.start_ns) / 8;
	if (was_told)
		rxo_late_reset(qp);
	return was_told;
}

void rxo_late_init(struct rxo_qp *qp)
{
	timer_setup(&qp->rq.late.timer, late_timeout, 0);
}
