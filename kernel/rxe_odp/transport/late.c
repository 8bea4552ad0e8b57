// SPDX-License-Identifier: GPL-2.0
/*
 * What a peer is told while its request waits for a page fault.
 *
 * A short fault only delays the request. One that lasts longer than a fraction of the
 * acknowledgment timeout is answered with an RNR NAK. The held packets are then dropped, because
 * the peer sends all of them again; the fault goes on. A peer that retries before the page is
 * present gets another RNR NAK, whose timer grows with the age of the fault. So a fault of seconds
 * costs a few small packets instead of a storm of retransmissions. It does not break the QP if the
 * peer's rnr_retry is 7 (unlimited); a finite rnr_retry may run out.
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
 * Starts the timer, once for all pages of the request. Not for UC and UD, which answer nothing.
 */
void rxo_late_begin(struct rxo_qp *qp)
{
	u32 shift = min_not_zero(qp->timeout_shift, (u32)RXO_MAX_HOLD_TIMEOUT);
	struct rxo_late *late = &qp->rq.late;

	lockdep_assert_held(&qp->rq.lock);
	if (late->state != RXO_LATE_NOT || !qp->kind->acked)
		return;
	late->state = RXO_LATE_HELD;
	late->since_ns = ktime_get_ns();
	mod_timer(&late->timer, jiffies + 1 + nsecs_to_jiffies(RXO_HOLD_NS(shift)));
}

/* The first packet or READ was executed. */
void rxo_late_end(struct rxo_qp *qp)
{
	if (qp->rq.late.state != RXO_LATE_NOT)
		rxo_late_reset(qp);
}

/* Sets @psn to that of the first packet or READ; false if there is none. */
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

	rxo_tx_count(&qp->rq.tx, RXO_STAT_FAULT_RNR, 1);
	rxo_resp_send_rnr(qp, rxo_rnr_timer(max(age_ns, late->fault_ns)), psn);
}

/*
 * The fault takes too long: drop all held packets and tell the peer to come back. A
 * READ without any response yet counts as not received, since nothing behind it was
 * executed: the peer's retry of it is the expected request again.
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
	    !timer_pending(timer)) {	/* else the timer was restarted for another packet */
		if (!rq->wait.pending)	/* the page is there, the engine will run soon */
			mod_timer(timer, jiffies + 1);
		else if (late_first_in_line(qp, &psn))
			late_tell(qp, psn);
	}
	spin_unlock(&rq->lock);
}

/*
 * A request arrives while the peer has been told to come back. The waiting one
 * gets another RNR NAK; so do earlier requests that no ACK completes. Other
 * earlier ones were executed: ACK; but where a wide one reaches to what waits, the RNR NAK for
 * that. Behind a duplicate READ all get an RNR
 * NAK: the peer may have the READ's data and would get no answer.
 */
static void late_rcv_told(struct rxo_qp *qp, const struct rxo_pkt *pkt)
{
	const struct rxo_rq *rq = &qp->rq;
	s32 ahead = rxo_psn_cmp(pkt->psn, rq->late.psn);

	if (!ahead || (ahead < 0 && (pkt->flags & RXO_OP_ANSWERED)))
		late_send_rnr(qp, pkt->psn);
	else if (ahead < 0 && rxo_psn_cmp(rxo_pkt_last_psn(pkt), rq->late.psn) >= 0)
		late_send_rnr(qp, rq->late.psn);
	else if (ahead < 0)
		rxo_resp_send_ack(qp, RXO_AETH_ACK, rxo_pkt_last_psn(pkt));
	else if (rq->late.state == RXO_LATE_TOLD_STALE && rxo_psn_cmp(pkt->psn, rq->psn) <= 0)
		late_send_rnr(qp, pkt->psn);
}

/*
 * rxo_late_rcv - a request has arrived
 *
 * Returns true if it was answered here and is to be dropped: the peer was told to come back
 * before, or is told now because this is a retry of the request that waits.
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
