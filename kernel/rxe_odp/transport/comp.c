// SPDX-License-Identifier: GPL-2.0
/*
 * The completer: takes what the peer answers, completes send WQEs, and decides
 * on retries.
 *
 * sq.una_psn is the oldest PSN without an answer. An acknowledgment covers all
 * SENDs and WRITEs before it, but never a READ or an atomic, which complete when
 * their data arrives, nor a FLUSH or an ATOMIC WRITE, whose response is that of a
 * READ of no bytes. An answer to a later request therefore tells that such data
 * was lost (an implied NAK), and we send from there again, once until una_psn
 * advances.
 *
 * If the data cannot be placed because a local page is missing, it is held with
 * all answers behind it. The ACK timer does not count then: the delay is ours.
 */

#include "transport/qp.h"
#include "wire/rnr.h"

static bool comp_wants_response(const struct rxo_swqe *wqe)
{
	return wqe->counts_rd;
}

/* @acked: how many of the PSNs a packet has acknowledged */
static void comp_moved_to(struct rxo_qp *qp, u32 una_psn, u32 acked)
{
	struct rxo_sq *sq = &qp->sq;

	rxo_window_acked(&sq->window, acked, una_psn);
	WRITE_ONCE(sq->una_psn, una_psn);
	sq->excused = 0;
	/* A late answer can overtake a retry that went back too far. */
	if (rxo_psn_cmp(sq->psn, una_psn) < 0)
		WRITE_ONCE(sq->psn, una_psn);
	sq->retry_left = qp->retry_cnt;
	sq->rnr_left = qp->rnr_retry;
	if (sq->gap_retried && rxo_psn_cmp(una_psn, sq->gap_psn) >= 0)
		sq->gap_retried = false;
	rxo_req_timer(qp, true);
}

static void comp_acked_to(struct rxo_qp *qp, u32 una_psn)
{
	comp_moved_to(qp, una_psn, rxo_psn_sub(una_psn, qp->sq.una_psn));
}

/* All before @psn was executed without packets (local.c). @last: that ends the oldest WQE. */
void rxo_comp_local(struct rxo_qp *qp, u32 psn, bool last)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	WRITE_ONCE(sq->psn, psn);
	sq->sent_psn = psn;
	sq->asked_psn = rxo_psn_sub(psn, 1);
	comp_moved_to(qp, psn, 0);
	if (!last)
		return;
	rxo_tx_count(&sq->tx, RXO_STAT_LOCAL_OPS, 1);
	sq->cur++;
	rxo_swqe_complete(qp, IB_WC_SUCCESS);
}

/*
 * Uses up one retry and sends again from una_psn. False when none was left: the
 * oldest WQE failed and the QP is in error. retry_cnt 7 means seven retries.
 */
bool rxo_comp_retry(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	if (!sq->retry_left) {
		rxo_tx_count(&qp->sq.tx, RXO_STAT_RETRY_EXCEEDED, 1);
		rxo_req_fail(qp, IB_WC_RETRY_EXC_ERR);
		return false;
	}
	sq->retry_left--;
	rxo_window_lost(&sq->window, sq->una_psn, sq->psn);
	/* The packet that asks for an ACK may wait for a page of ours: that is no loss. */
	if (!sq->wait.pending)
		rxo_tx_go_plain(&sq->tx);
	rxo_tx_count(&qp->sq.tx, RXO_STAT_COMPLETER_RETRY, 1);
	rxo_req_back_to(qp, sq->una_psn);
	return true;
}

/*
 * Data of a READ or atomic was lost: send again from una_psn, once for all that was
 * sent by then. If it is lost again, the ACK timer recovers it.
 */
static void comp_retry_gap(struct rxo_qp *qp)
{
	/* In an RNR wait: everything is sent again when it ends. */
	if (qp->sq.gap_retried || qp->sq.rnr_wait)
		return;
	qp->sq.gap_retried = true;
	qp->sq.gap_psn = qp->sq.psn;
	rxo_tx_count(&qp->sq.tx, RXO_STAT_RCVD_SEQ_ERR, 1);
	rxo_comp_retry(qp);
}

/*
 * The peer has everything before @psn: completes those SENDs and WRITEs. Returns
 * false at a READ or atomic whose data has not arrived.
 */
static bool comp_ack_before(struct rxo_qp *qp, u32 psn)
{
	struct rxo_sq *sq = &qp->sq;

	while (rxo_psn_cmp(sq->una_psn, psn) < 0) {
		struct rxo_swqe *wqe = rxo_swqe_at(qp, 0);

		if (!sq->copied || !wqe->started)
			return false;	/* impossible: psn was checked against sent_psn */
		if (comp_wants_response(wqe))
			return false;
		if (rxo_psn_cmp(wqe->last_psn, psn) >= 0) {
			comp_acked_to(qp, psn);
			break;
		}
		comp_acked_to(qp, rxo_psn_add(wqe->last_psn, 1));
		rxo_swqe_complete(qp, IB_WC_SUCCESS);
	}
	return true;
}

static void comp_take_rnr(struct rxo_qp *qp, u8 timer)
{
	struct rxo_sq *sq = &qp->sq;

	rxo_tx_count(&qp->sq.tx, RXO_STAT_RCVD_RNR, 1);
	if (!sq->rnr_left) {
		rxo_tx_count(&qp->sq.tx, RXO_STAT_RNR_EXCEEDED, 1);
		rxo_req_fail(qp, IB_WC_RNR_RETRY_EXC_ERR);
		return;
	}
	if (sq->rnr_left != 7)
		sq->rnr_left--;
	rxo_req_back_to(qp, sq->una_psn);
	sq->rnr_wait = true;
	rxo_req_timer(qp, false);
	mod_timer(&sq->rnr_timer, jiffies + 1 + usecs_to_jiffies(rxo_rnr_usecs(timer)));
}

static void comp_take_nak(struct rxo_qp *qp, u8 syndrome)
{
	switch (syndrome) {
	case RXO_AETH_NAK_PSN_SEQ:
		/* The peer NAKs what followed a packet with an RNR NAK: the RNR resends it. */
		if (qp->sq.rnr_wait)
			break;
		rxo_tx_count(&qp->sq.tx, RXO_STAT_RCVD_SEQ_ERR, 1);
		rxo_comp_retry(qp);
		break;
	case RXO_AETH_NAK_INV_REQ:
		rxo_req_fail(qp, IB_WC_REM_INV_REQ_ERR);
		break;
	case RXO_AETH_NAK_REM_ACC:
		rxo_access_error_peer(qp);
		rxo_req_fail(qp, IB_WC_REM_ACCESS_ERR);
		break;
	case RXO_AETH_NAK_REM_OP:
		rxo_req_fail(qp, IB_WC_REM_OP_ERR);
		break;
	case RXO_AETH_NAK_INV_RD:
		/* Of an XRC target; to others it says nothing. */
		rxo_req_fail(qp, qp->kind->take ? IB_WC_BAD_RESP_ERR : IB_WC_REM_INV_RD_REQ_ERR);
		break;
	default:
		rxo_req_fail(qp, IB_WC_BAD_RESP_ERR);
	}
}

static void comp_take_ack(struct rxo_qp *qp, struct sk_buff *skb)
{
	u8 syndrome = rxo_aeth_syndrome(rxo_pkt_aeth(skb));
	u32 psn = rxo_pkt(skb)->psn;

	switch (syndrome & RXO_AETH_TYPE) {
	case RXO_AETH_ACK_TYPE:
		if (!comp_ack_before(qp, rxo_psn_add(psn, 1)))
			comp_retry_gap(qp);
		return;
	case RXO_AETH_RNR:
		/* A second RNR NAK for the same packet: duplicated or reordered. */
		if (qp->sq.rnr_wait)
			return;
		if (comp_ack_before(qp, psn))
			comp_take_rnr(qp, syndrome & RXO_AETH_VALUE);
		else
			comp_retry_gap(qp);
		return;
	case RXO_AETH_NAK:
		if (comp_ack_before(qp, psn))
			comp_take_nak(qp, syndrome);
		else
			comp_retry_gap(qp);
		return;
	}
}

/* Places data of the oldest WQE at @offset. 0, -EAGAIN while a page is fetched, or -errno. */
static int comp_place(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 offset, void *data, u32 bytes,
		      u32 *done)
{
	struct rxo_sg sg = {
		.pd = qp->pd, .sge = wqe->sge, .num = wqe->num_sge,
		.offset_bytes = offset, .length_bytes = wqe->length_bytes,
	};
	int err;

	err = rxo_wait_copy(&qp->sq.place_wait, &sg, data, bytes, true, done);
	if (err && err != -EAGAIN)
		rxo_access_error_send(qp, wqe, &qp->sq.place_wait, offset + *done, err);
	return err;
}

static int comp_take_read(struct rxo_qp *qp, struct rxo_swqe *wqe, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	u32 offset = rxo_psn_sub(pkt->psn, wqe->first_psn) * qp->mtu_bytes;
	u32 due = min(wqe->length_bytes - offset, pkt->psns * qp->mtu_bytes);
	int err;

	if (wqe->opcode != IB_WR_RDMA_READ || pkt->payload_bytes != due ||
	    rxo_psn_cmp(rxo_pkt_last_psn(pkt), wqe->last_psn) > 0) {
		rxo_req_fail(qp, IB_WC_BAD_RESP_ERR);
		return 0;
	}
	err = comp_place(qp, wqe, offset, rxo_pkt_payload(skb), due, &pkt->done_bytes);
	if (err == -EAGAIN)
		return err;
	if (err) {
		rxo_req_fail(qp, IB_WC_LOC_PROT_ERR);
		return 0;
	}
	comp_acked_to(qp, rxo_psn_add(pkt->psn, pkt->psns));
	if (rxo_pkt_last_psn(pkt) == wqe->last_psn)
		rxo_swqe_complete(qp, IB_WC_SUCCESS);
	return 0;
}

/* Of a FLUSH or an ATOMIC WRITE: it was done. */
static void comp_take_done(struct rxo_qp *qp, const struct rxo_pkt *pkt)
{
	if (pkt->opcode != IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY || pkt->payload_bytes) {
		rxo_req_fail(qp, IB_WC_BAD_RESP_ERR);
		return;
	}
	comp_acked_to(qp, rxo_psn_add(pkt->psn, 1));
	rxo_swqe_complete(qp, IB_WC_SUCCESS);
}

static int comp_take_atomic(struct rxo_qp *qp, struct rxo_swqe *wqe, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	u64 old = be64_to_cpu(rxo_pkt_atomic_ack_eth(skb)->orig);
	int err;

	if (wqe->opcode != IB_WR_ATOMIC_CMP_AND_SWP && wqe->opcode != IB_WR_ATOMIC_FETCH_AND_ADD) {
		rxo_req_fail(qp, IB_WC_BAD_RESP_ERR);
		return 0;
	}
	err = comp_place(qp, wqe, 0, &old, sizeof(old), &pkt->done_bytes);
	if (err == -EAGAIN)
		return err;
	if (err) {
		rxo_req_fail(qp, IB_WC_LOC_PROT_ERR);
		return 0;
	}
	comp_acked_to(qp, rxo_psn_add(pkt->psn, 1));
	rxo_swqe_complete(qp, IB_WC_SUCCESS);
	return 0;
}

/* A read response or an atomic acknowledgment: 0 when done with it, -EAGAIN to hold it. */
static int comp_take_data(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_swqe *wqe;

	if (!comp_ack_before(qp, pkt->psn)) {
		comp_retry_gap(qp);
		return 0;
	}
	wqe = rxo_swqe_at(qp, 0);
	if (!qp->sq.copied || !wqe->started || !comp_wants_response(wqe)) {
		rxo_req_fail(qp, IB_WC_BAD_RESP_ERR);
		return 0;
	}
	if (wqe->opcode == IB_WR_FLUSH || wqe->opcode == IB_WR_ATOMIC_WRITE) {
		comp_take_done(qp, pkt);
		return 0;
	}
	if (pkt->flags & RXO_OP_READ_RESP)
		return comp_take_read(qp, wqe, skb);
	return comp_take_atomic(qp, wqe, skb);
}

/* One answer: 0 when done with it, -EAGAIN to hold it. */
static int comp_take(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_sq *sq = &qp->sq;

	/* A stale PSN, or one not yet sent: forged, or from before the QP was reset. */
	if (rxo_psn_cmp(pkt->psn, sq->una_psn) < 0 ||
	    rxo_psn_cmp(rxo_pkt_last_psn(pkt), sq->sent_psn) >= 0)
		return 0;
	if (pkt->flags & (RXO_OP_READ_RESP | RXO_OP_ATOMIC_ACK))
		return comp_take_data(qp, skb);
	comp_take_ack(qp, skb);
	return 0;
}

bool rxo_comp_takes_answers(const struct rxo_qp *qp)
{
	enum ib_qp_state state = rxo_qp_state(qp);

	return state == IB_QPS_RTS || state == IB_QPS_SQD;
}

void rxo_comp_drain(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	struct sk_buff *skb;

	while (!sq->place_wait.pending && (skb = skb_peek(&sq->held))) {
		if (rxo_comp_takes_answers(qp) && comp_take(qp, skb) == -EAGAIN) {
			rxo_wait_charge_first(&sq->place_wait, &sq->held);
			return;
		}
		__skb_unlink(skb, &sq->held);
		consume_skb(skb);
	}
}

/*
 * Whether the requester may have something to do now that it had not when una_psn was @una and psn
 * was @psn; the window was not full then. Not after responses in the middle of a piece of a READ,
 * if nothing is sent again: the requester waits for a later answer, or for something that runs it
 * by itself. Probes (peer.c) and a WQE that was left for local.c can wait until the piece ends.
 */
static bool comp_concerns_requester(struct rxo_qp *qp, u32 una, u32 psn)
{
	const struct rxo_sq *sq = &qp->sq;
	const struct rxo_swqe *oldest;

	lockdep_assert_held(&sq->lock);
	if (!sq->copied || sq->una_psn == una || sq->una_psn == psn || sq->psn != psn)
		return true;
	oldest = rxo_swqe_at(qp, 0);
	return !oldest->started || oldest->opcode != IB_WR_RDMA_READ ||
	       rxo_psn_cmp(una, oldest->first_psn) < 0 ||
	       rxo_psn_cmp(sq->una_psn, rxo_req_read_piece_end(oldest, una)) >= 0;
}

void rxo_comp_rcv(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_sq *sq = &qp->sq;
	bool window_is_full;
	u32 una, psn;

	spin_lock(&sq->lock);
	una = sq->una_psn;
	psn = sq->psn;
	window_is_full = rxo_psn_sub(psn, una) >= sq->window.pkts;
	rxo_qp_count_received(&sq->tx, skb);
	if (!rxo_comp_takes_answers(qp)) {
		kfree_skb(skb);
	} else if (rxo_wait_hold(&sq->place_wait, &sq->held, skb)) {
		rxo_comp_drain(qp);
		if (!skb_queue_empty(&sq->held))
			rxo_tx_count(&qp->sq.tx, RXO_STAT_ACK_DEFERRED, 1);
		if (window_is_full || comp_concerns_requester(qp, una, psn))
			rxo_req_kick(qp);
	}
	spin_unlock(&sq->lock);
}

/* The fault on the memory that an answer is placed in has ended; @err if it failed. */
static void comp_page_came(struct rxo_qp *qp, int err)
{
	lockdep_assert_held(&qp->sq.lock);
	if (rxo_fault_is_final(err) && rxo_comp_takes_answers(qp)) {
		if (qp->sq.copied)
			rxo_access_error_send(qp, rxo_swqe_at(qp, 0), &qp->sq.place_wait, 0, err);
		rxo_req_fail(qp, IB_WC_LOC_PROT_ERR);
	}
	if (err && !rxo_fault_is_final(err)) {
		rxo_wait_again(&qp->sq.place_wait, err);
		return;
	}
	rxo_comp_drain(qp);
	rxo_req_resume(qp);
}

void rxo_comp_init(struct rxo_qp *qp)
{
	__skb_queue_head_init(&qp->sq.held);
	rxo_wait_init(&qp->sq.place_wait, qp, &qp->sq.lock, &qp->sq.work, comp_page_came);
}
