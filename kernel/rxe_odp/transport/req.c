// SPDX-License-Identifier: GPL-2.0
/*
 * The requester: turns send WQEs into packets.
 *
 * Every call of rxo_req_run() sends what may be sent now and returns; what
 * stops it is state, looked at afresh by the next call: nothing posted, window
 * full, a fence, too many READs, an RNR timer, a page that is not there. A PSN
 * says where in its message a packet stands, so there is no cursor to keep: a
 * retry sets sq.psn and sq.cur back and that is all.
 *
 * Local operations (registering, binding, invalidating) stand among the other WQEs, take no PSN,
 * and are done once, when their turn comes: a retry skips them. Each completes when all WQEs before
 * it have.
 */

#include <linux/indirect_call_wrapper.h>

#include "memory/mw.h"
#include "queue/queue.h"
#include "transport/qp.h"

/*
 * How long a packet may be in this host's backlogs, which tell nobody when it leaves them: a CPU of
 * a virtual machine may stand still.
 */
#define BACKLOG_JIFFIES	(HZ / 4)

/* How many ACK timeouts queues of this host excuse for each try: see req_silence_is_ours(). */
#define MAX_EXCUSED	16

static bool req_may_send(const struct rxo_qp *qp)
{
	enum ib_qp_state state = rxo_qp_state(qp);

	return state == IB_QPS_RTS || state == IB_QPS_SQD;
}

/* Completed by a response, perhaps without data, and counted against max_rd_atomic. */
static bool req_wants_response(const struct rxo_swqe *wqe)
{
	return wqe->opcode == IB_WR_RDMA_READ || rxo_swqe_is_atomic(wqe) ||
	       wqe->opcode == IB_WR_FLUSH || wqe->opcode == IB_WR_ATOMIC_WRITE;
}

/* PSNs a message takes: its own packets, or a READ's responses. */
static u32 req_psn_count(const struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	if (rxo_swqe_is_local(wqe))
		return 0;
	if (rxo_swqe_is_atomic(wqe) || wqe->opcode == IB_WR_FLUSH)
		return 1;
	return max(1u, DIV_ROUND_UP(wqe->length_bytes, qp->mtu_bytes));
}

static unsigned long req_ack_jiffies(const struct rxo_qp *qp)
{
	return 1 + nsecs_to_jiffies(4096ULL << qp->timeout_shift);
}

/* Whether we wait for the peer, or for a local queue that does not take the next packet. */
static bool req_owed_answer(const struct rxo_sq *sq)
{
	return sq->una_psn != sq->psn || sq->tx.blocked;
}

/*
 * The peer has until sq.ack_deadline while it owes us an answer and no RNR NAK told us to wait.
 * Progress moves the deadline, and not the timer: an answer comes long before it as a rule, and
 * the timer looks at the deadline when it fires.
 */
void rxo_req_timer(struct rxo_qp *qp, bool progress)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	if (!req_owed_answer(sq) || sq->rnr_wait || !qp->timeout_shift) {
		sq->awaits_ack = false;
		return;
	}
	if (progress || !sq->awaits_ack)
		sq->ack_deadline = jiffies + req_ack_jiffies(qp);
	sq->awaits_ack = true;
	if (!timer_pending(&sq->ack_timer) ||
	    time_before(sq->ack_deadline, sq->ack_timer.expires))
		mod_timer(&sq->ack_timer, sq->ack_deadline);
}

/* The next packet is that of @psn. False when no started WQE covers it. */
static bool req_move_back_to(struct rxo_qp *qp, u32 psn)
{
	struct rxo_sq *sq = &qp->sq;
	u32 nth;

	for (nth = 0; nth < sq->copied; nth++) {
		struct rxo_swqe *wqe = rxo_swqe_at(qp, nth);

		if (!wqe->started || rxo_psn_cmp(psn, wqe->last_psn) <= 0)
			break;
	}
	if (nth == sq->copied || !rxo_swqe_at(qp, nth)->started)
		return false;
	sq->cur = nth;
	WRITE_ONCE(sq->psn, psn);
	if (rxo_psn_cmp(sq->asked_psn, psn) >= 0)
		sq->asked_psn = rxo_psn_sub(psn, 1);
	return true;
}

/* Send again from @psn, which the peer lacks or did not answer. */
void rxo_req_back_to(struct rxo_qp *qp, u32 psn)
{
	u32 num = rxo_psn_sub(qp->sq.psn, psn);

	lockdep_assert_held(&qp->sq.lock);
	if (req_move_back_to(qp, psn))
		rxo_tx_count(&qp->sq.tx, RXO_STAT_RETRIED_PKTS, num);
}

/*
 * The oldest WQE fails: it completes with @status, the rest as flushed. A QP that is not
 * acknowledged can recover.
 */
void rxo_req_fail(struct rxo_qp *qp, enum ib_wc_status status)
{
	lockdep_assert_held(&qp->sq.lock);
	if (qp->sq.copied)
		rxo_swqe_complete(qp, status);
	if (qp->kind->acked)
		rxo_qp_set_error(qp);
	else
		rxo_qp_set_send_error(qp);
	rxo_sq_flush(qp);
}

/* Skips to @psn: nothing before it is sent any more, and no answer to it is waited for. */
void rxo_req_skip_to(struct rxo_qp *qp, u32 psn)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	WRITE_ONCE(sq->psn, psn);
	WRITE_ONCE(sq->una_psn, psn);
	sq->sent_psn = psn;
}

/* A WQE that may not go on fails as soon as those before it are done. */
static void req_fail_current(struct rxo_qp *qp, struct rxo_swqe *wqe, enum ib_wc_status status)
{
	wqe->status = status;
	if (!qp->sq.cur)
		rxo_req_fail(qp, status);
}

static int req_bind(struct rxo_qp *qp, const struct rxo_swqe_bind *from)
{
	const struct rxo_mw_bind bind = {
		.addr = from->addr,
		.length = from->length,
		.lkey = from->lkey,
		.mw_key = from->mw_key,
		.new_key = from->new_key,
		.access = from->access,
	};

	return rxo_mw_bind(qp->pd, qp->id, &bind);
}

/*
 * Does a local operation. An invalidation waits until all before it are complete, as with a local
 * invalidate fence (IBTA 10.6.5.1): none of those may send again from memory that it took back.
 */
static bool req_do_local(struct rxo_qp *qp, struct rxo_swqe *wqe)
{
	int err;

	if (wqe->opcode == IB_WR_REG_MR) {
		err = rxo_fast_register(qp->pd, wqe->rkey, wqe->access, wqe->remote_addr);
	} else if (wqe->opcode == IB_WR_BIND_MW) {
		err = req_bind(qp, &wqe->bind);
	} else {
		if (qp->sq.cur)
			return false;
		err = rxo_mr_invalidate(qp->pd, qp->id, wqe->rkey, false);
	}
	if (!err)
		return true;
	rxo_access_error_local(qp, wqe, err);
	req_fail_current(qp, wqe, IB_WC_MW_BIND_ERR);
	return false;
}

/* Whether a fresh WQE may start; gives it its PSNs. */
static bool req_start_wqe(struct rxo_qp *qp, struct rxo_swqe *wqe)
{
	struct rxo_sq *sq = &qp->sq;
	u32 count = req_psn_count(qp, wqe);

	if (rxo_qp_state(qp) != IB_QPS_RTS)
		return false;
	if (count >= RXO_PSN_HALF) {
		req_fail_current(qp, wqe, IB_WC_LOC_LEN_ERR);
		return false;
	}
	/* PSNs in use must span less than half of the space, or they could not be compared. */
	if (rxo_psn_sub(sq->alloc_psn, sq->una_psn) + count >= RXO_PSN_HALF)
		return false;
	if ((wqe->send_flags & IB_SEND_FENCE) && sq->rd_atomic)
		return false;
	if (rxo_swqe_is_local(wqe) && !req_do_local(qp, wqe))
		return false;
	if (req_wants_response(wqe)) {
		u32 pieces = min3(DIV_ROUND_UP(count, RXO_READ_PKTS), RXO_READ_PIECES,
				  qp->max_rd_atomic);

		if (!pieces)
			req_fail_current(qp, wqe, IB_WC_LOC_QP_OP_ERR);
		if (!pieces || sq->rd_atomic + pieces > qp->max_rd_atomic)
			return false;
		sq->rd_atomic += pieces;
		wqe->counts_rd = pieces;
	}
	if (count > 1)
		sq->local.large = true;
	wqe->first_psn = sq->alloc_psn;
	wqe->last_psn = rxo_psn_add(sq->alloc_psn, count - 1);
	sq->alloc_psn = rxo_psn_add(wqe->last_psn, 1);
	wqe->started = true;
	return true;
}

/* The WQE under the cursor; NULL when there is none that may be worked on. */
static struct rxo_swqe *req_current_wqe(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	struct rxo_swqe *wqe;

	if (sq->cur < sq->copied)
		wqe = rxo_swqe_at(qp, sq->cur);
	else
		wqe = rxo_qp_state(qp) == IB_QPS_RTS ? rxo_swqe_copy_next(qp) : NULL;
	/* In SQD only WQEs that were started go on. */
	if (!wqe || (!wqe->started && rxo_qp_state(qp) != IB_QPS_RTS))
		return NULL;
	if (wqe->status) {
		req_fail_current(qp, wqe, wqe->status);
		return NULL;
	}
	return wqe;
}

/* Whether there is work that no RNR wait, fault or full window holds up. */
static bool req_may_go_on(struct rxo_qp *qp)
{
	const struct rxo_sq *sq = &qp->sq;

	/* A fault at wait_psn does not stop the resending of packets before it. */
	if (sq->rnr_wait || (sq->wait.pending && sq->psn == sq->wait_psn) ||
	    rxo_psn_sub(sq->psn, sq->una_psn) >= sq->window.pkts)
		return false;
	return sq->cur < sq->copied || rxo_swqe_posted(qp);
}

/*
 * The WQE of the next packet; NULL when nothing may be sent now. Local operations before it are
 * done, and count as packets of @budget.
 */
struct rxo_swqe *rxo_req_next_wqe(struct rxo_qp *qp, u32 *budget)
{
	struct rxo_sq *sq = &qp->sq;
	struct rxo_swqe *wqe;

	while (*budget && req_may_go_on(qp)) {
		wqe = req_current_wqe(qp);
		if (!wqe || (!wqe->started && !req_start_wqe(qp, wqe)))
			return NULL;
		if (!rxo_swqe_is_local(wqe))
			return wqe;
		(*budget)--;
		if (!sq->cur++)
			rxo_swqe_complete(qp, IB_WC_SUCCESS);
	}
	return NULL;
}

/*
 * Whether a request of which nothing was sent is to be tried without packets (local.c): when all
 * before it are acknowledged. If they are, it was posted since that was tried, and the next run
 * does it.
 */
static bool req_is_for_local(struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	struct rxo_sq *sq = &qp->sq;

	if (!sq->local.now || wqe->by_wire)
		return false;
	sq->local.again = sq->una_psn == sq->psn;
	return true;
}

/* The next packet of a connected QP; NULL when nothing may be sent now. */
static struct sk_buff *req_next_packet(struct rxo_qp *qp, u32 *budget)
{
	struct rxo_sq *sq = &qp->sq;
	struct rxo_swqe *wqe;
	struct sk_buff *skb;
	u32 next;

	wqe = rxo_req_next_wqe(qp, budget);
	if (!wqe || req_is_for_local(qp, wqe))
		return NULL;

	skb = rxo_req_build(qp, wqe, &next);
	if (IS_ERR(skb)) {
		req_fail_current(qp, wqe, IB_WC_LOC_PROT_ERR);
		return NULL;
	}
	if (!skb)
		return NULL;
	wqe->by_wire = true;
	if (rxo_bth_ack_req(rxo_pkt_bth(skb)))
		sq->asked_psn = sq->psn;
	WRITE_ONCE(sq->psn, next);
	if (rxo_psn_cmp(next, wqe->last_psn) > 0)
		sq->cur++;
	return skb;
}

/* A queue of this host was full: set the window to what it took, plus one packet. */
static void req_refused(struct rxo_qp *qp, u32 psn)
{
	struct rxo_sq *sq = &qp->sq;

	req_move_back_to(qp, psn);
	/* If it took nothing, other flows may have filled it. */
	if (psn != sq->una_psn && qp->kind->acked)
		rxo_window_shrink(&sq->window, rxo_psn_sub(psn, sq->una_psn) + 1);
}

/* Makes and sends one burst. False when nothing more may be sent now. */
static bool req_send_burst(struct rxo_qp *qp, u32 *budget)
{
	u32 burst = min(*budget, qp->sq.tx.burst_pkts), bytes = 0, num, refused_psn;
	struct sk_buff_head list;
	struct sk_buff *skb = NULL;
	bool taken, more;

	__skb_queue_head_init(&list);
	while (skb_queue_len(&list) < burst && bytes < RXO_RUN_BYTES &&
	       rxo_ecn_may_send(qp, &qp->sq.tx)) {
		skb = req_next_packet(qp, budget);
		if (!skb)
			break;
		bytes += skb->len;
		rxo_ecn_charge(qp, skb->len);
		__skb_queue_tail(&list, skb);
	}
	num = skb_queue_len(&list);
	*budget -= bytes < RXO_RUN_BYTES ? min(*budget, num) : *budget;
	more = skb || !*budget;
	if (!num)
		return more;
	taken = rxo_net_xmit(qp->dev, &qp->path, &qp->sq.tx, &list, &refused_psn);
	if (!taken) {
		rxo_ecn_uncharge(qp, bytes - qp->sq.tx.taken_bytes);
		req_refused(qp, refused_psn);
	}
	return taken && more;
}

bool rxo_req_send_rc(struct rxo_qp *qp)
{
	u32 budget = RXO_BUDGET_PKTS;
	struct rxo_sq *sq = &qp->sq;
	struct rxo_qp *peer = NULL;
	bool more = true;

	lockdep_assert_held(&sq->lock);
	if (req_may_go_on(qp))
		peer = rxo_peer_get_local(qp);
	sq->local.now = peer;
	sq->local.again = false;
	if (peer) {
		if (rxo_local_run(qp, peer, &budget))
			budget = 0;
		rxo_qp_put(peer);
	}
	sq->wide_psns = 0;
	while (budget && more && req_may_go_on(qp) && rxo_tx_may_send(&sq->tx)) {
		more = req_send_burst(qp, &budget);
		rxo_peer_ask(qp);
	}
	if (rxo_psn_cmp(sq->psn, sq->sent_psn) > 0)
		sq->sent_psn = sq->psn;
	if (budget < RXO_BUDGET_PKTS || sq->tx.blocked)
		rxo_req_timer(qp, false);
	return (!budget && more) || sq->local.again;
}

/* The network has taken all before the cursor: it is done, though the peer may not get it. */
static void req_complete_sent(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	rxo_req_skip_to(qp, sq->psn);
	while (sq->cur)
		rxo_swqe_complete(qp, IB_WC_SUCCESS);
}

bool rxo_req_send_uc(struct rxo_qp *qp)
{
	u32 budget = RXO_BUDGET_PKTS, left = 0;
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	/* A request that may not be sent fails when those before it are done, in the next round. */
	while (budget && budget != left && req_may_go_on(qp) && rxo_tx_may_send(&sq->tx)) {
		left = budget;
		req_send_burst(qp, &budget);
		req_complete_sent(qp);
	}
	if (budget < RXO_BUDGET_PKTS)
		WRITE_ONCE(sq->sent_jiffies, jiffies);
	return !budget;
}

bool rxo_req_send_ud(struct rxo_qp *qp)
{
	u32 budget = RXO_BUDGET_PKTS;
	struct rxo_swqe *wqe;

	lockdep_assert_held(&qp->sq.lock);
	while (budget && !qp->sq.wait.pending && rxo_qp_state(qp) == IB_QPS_RTS &&
	       rxo_tx_may_send(&qp->sq.tx)) {
		wqe = req_current_wqe(qp);
		if (!wqe || rxo_ud_send(qp, wqe))
			break;
		budget--;
	}
	return !budget;
}

static void req_check_drained(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	if (qp->sqd_notify && sq->una_psn == sq->alloc_psn) {
		qp->sqd_notify = false;
		rxo_qp_event(qp, IB_EVENT_SQ_DRAINED);
	}
}

/* In error: cancels faults, drops held answers and flushes all WQEs. */
static void req_give_up(struct rxo_qp *qp)
{
	rxo_wait_cancel(&qp->sq.wait);
	rxo_wait_cancel(&qp->sq.place_wait);
	rxo_comp_drain(qp);
	rxo_sq_flush(qp);
}

void rxo_req_run(struct rxo_qp *qp)
{
	bool more = false;

	lockdep_assert_held(&qp->sq.lock);
	if (!qp->kind->send) {
		if (rxo_qp_state(qp) == IB_QPS_SQD)
			req_check_drained(qp);
		return;
	}
	WRITE_ONCE(qp->sq.cpu, smp_processor_id());
	rxo_promise_run(qp);
	switch (rxo_qp_state(qp)) {
	case IB_QPS_RTS:
	case IB_QPS_SQD:
		more = INDIRECT_CALL_1(qp->kind->send, rxo_req_send_rc, qp);
		rxo_tx_run_ends(&qp->sq.tx);
		if (rxo_qp_state(qp) == IB_QPS_SQD)
			req_check_drained(qp);
		break;
	case IB_QPS_SQE:
	case IB_QPS_ERR:
		req_give_up(qp);
		break;
	default:
		break;
	}
	if (rxo_promise_run_ends(qp) || more)
		queue_work(system_bh_wq, &qp->sq.bh_work);
}

/*
 * Packets of one flow stay in order only while one CPU sends them (each has its own queue in the
 * NIC, or its own backlog on loopback and veth), and a peer takes a late packet for a lost one. So
 * as long as some are on their way, the CPU that sent them sends the next.
 *
 *	CPU 0: ACK in softirq			CPU 1: doorbell
 *	---------------------			---------------
 *	sends PSN 1..64 into its backlog
 *	unlock
 *						sends PSN 65.. (were it let)
 *						its backlog is delivered first
 */
static bool req_is_bound_to_cpu(const struct rxo_qp *qp)
{
	const struct rxo_sq *sq = &qp->sq;

	if (qp->kind->acked)
		return READ_ONCE(sq->una_psn) != READ_ONCE(sq->psn) || !rxo_tx_is_idle(&sq->tx);
	/* Of a connection nobody says what has arrived: long enough ago is as good. */
	return !rxo_tx_is_idle(&sq->tx) ||
	       (qp->kind->connected &&
		time_before(jiffies, READ_ONCE(sq->sent_jiffies) + BACKLOG_JIFFIES));
}

/*
 * Runs the requester: by the work @there on the CPU where it ran last, if @stays is set or the flow
 * is bound to that CPU; otherwise here. In the error state always here: nothing is sent then, and
 * what is on its way is never acknowledged.
 */
static void req_run_on_cpu(struct rxo_qp *qp, bool stays, struct work_struct *there)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	if (rxo_qp_state(qp) == IB_QPS_RESET)
		return;
	if (req_may_send(qp) && sq->cpu != smp_processor_id() && cpu_online(sq->cpu) &&
	    (stays || req_is_bound_to_cpu(qp))) {
		rxo_promise_run(qp);
		queue_work_on(sq->cpu, system_bh_wq, there);
	} else {
		rxo_req_run(qp);
	}
}

/*
 * rxo_req_kick - run the requester, where it may run
 *
 * Under sq.lock.
 */
void rxo_req_kick(struct rxo_qp *qp)
{
	req_run_on_cpu(qp, false, &qp->sq.bh_work);
}

/*
 * rxo_req_resume - run the requester on the CPU where it ran before
 *
 * Under sq.lock. For use after a fault: the fault thread may run on any CPU, and
 * the flow must not move to that one.
 */
void rxo_req_resume(struct rxo_qp *qp)
{
	req_run_on_cpu(qp, true, &qp->sq.bh_work);
}

/*
 * rxo_req_queue - let a softirq run the requester
 *
 * Any context, interrupts off. The CPU is chosen as by rxo_req_kick(), but from PSNs
 * read without sq.lock; the work looks again under it.
 */
void rxo_req_queue(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	int cpu = READ_ONCE(sq->cpu);

	lockdep_assert_irqs_disabled();
	if (req_is_bound_to_cpu(qp) && cpu_online(cpu))
		queue_work_on(cpu, system_bh_wq, &sq->bh_work);
	else
		queue_work(system_bh_wq, &sq->bh_work);
}

static void req_work(struct work_struct *work)
{
	struct rxo_qp *qp = container_of(work, struct rxo_qp, sq.work);

	spin_lock_bh(&qp->sq.lock);
	rxo_comp_drain(qp);
	rxo_req_kick(qp);
	spin_unlock_bh(&qp->sq.lock);
}

/*
 * When bh_work runs, the flow may be bound to another CPU than when it was queued. It cannot queue
 * itself there: a work item in execution is queued only where that is (__queue_work()). It
 * would come back here again and again, and take all that want the requester to run along with it.
 * So it queues another one, and that one bh_work:
 *
 *	CPU 0					CPU 1
 *	-----					-----
 *	post: nothing is on its way
 *	queues bh_work here
 *						sends what was posted: sq.cpu = 1
 *	bh_work: bound to CPU 1
 *	queues hop_work there
 *						hop_work: the requester runs
 */
static void req_run_bh(struct rxo_qp *qp, struct work_struct *other)
{
	spin_lock(&qp->sq.lock);
	rxo_comp_drain(qp);
	req_run_on_cpu(qp, false, other);
	spin_unlock(&qp->sq.lock);
}

static void req_bh_work(struct work_struct *work)
{
	struct rxo_qp *qp = container_of(work, struct rxo_qp, sq.bh_work);

	req_run_bh(qp, &qp->sq.hop_work);
}

static void req_hop_work(struct work_struct *work)
{
	struct rxo_qp *qp = container_of(work, struct rxo_qp, sq.hop_work);

	req_run_bh(qp, &qp->sq.bh_work);
}

/*
 * Whether this host causes the silence: held answers wait for a local page, packets are in or
 * wait for local queues, or the QP's rate is limited. Except in the first case a queue may be
 * stuck, so that only MAX_EXCUSED timeouts per try are excused.
 */
static bool req_silence_is_ours(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	if (sq->place_wait.pending)
		return true;
	if ((!sq->tx.blocked && rxo_tx_is_idle(&sq->tx) && !rxo_ecn_limits(qp)) ||
	    sq->excused >= MAX_EXCUSED) {
		sq->excused = 0;
		return false;
	}
	sq->excused++;
	return true;
}

/*
 * The peer has not answered in time. If the packet that asks for an ACK waits for a page, those
 * before it are sent again, and the peer answers them as duplicates.
 */
static void req_ack_is_late(struct rxo_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	if (!req_silence_is_ours(qp)) {
		rxo_tx_count(&qp->sq.tx, RXO_STAT_ACK_TIMEOUT, 1);
		if (!rxo_comp_retry(qp))
			return;
		rxo_req_kick(qp);
	}
	rxo_req_timer(qp, true);
}

static void req_ack_timeout(struct timer_list *timer)
{
	struct rxo_qp *qp = timer_container_of(qp, timer, sq.ack_timer);
	struct rxo_sq *sq = &qp->sq;

	spin_lock(&sq->lock);
	if (sq->awaits_ack && req_may_send(qp)) {
		if (time_before(jiffies, sq->ack_deadline))
			rxo_req_timer(qp, false);
		else
			req_ack_is_late(qp);
	}
	spin_unlock(&sq->lock);
}

static void req_rnr_timeout(struct timer_list *timer)
{
	struct rxo_qp *qp = timer_container_of(qp, timer, sq.rnr_timer);

	spin_lock(&qp->sq.lock);
	if (!timer_pending(&qp->sq.rnr_timer)) {
		qp->sq.rnr_wait = false;
		rxo_req_kick(qp);
	}
	spin_unlock(&qp->sq.lock);
}

/*
 * The fault on memory that a WQE sends from has ended. An error counts only for
 * the packet at wait_psn: if a retry went back before it, it will fault again.
 */
static void req_page_came(struct rxo_qp *qp, int err)
{
	struct rxo_sq *sq = &qp->sq;
	struct rxo_swqe *wqe;

	lockdep_assert_held(&sq->lock);
	/* A retry may have stopped before what was done locally, which takes no PSN. */
	while (sq->cur < sq->copied && rxo_swqe_at(qp, sq->cur)->started &&
	       rxo_swqe_is_local(rxo_swqe_at(qp, sq->cur)))
		sq->cur++;
	if (rxo_fault_is_final(err) && req_may_send(qp) && sq->cur < sq->copied &&
	    sq->psn == sq->wait_psn) {
		wqe = rxo_swqe_at(qp, sq->cur);
		rxo_access_error_send(qp, wqe, &sq->wait, 0, err);
		req_fail_current(qp, wqe, IB_WC_LOC_PROT_ERR);
	}
	if (err && !rxo_fault_is_final(err))
		rxo_wait_again(&sq->wait, err);
	else
		rxo_req_resume(qp);
}

void rxo_req_init(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	spin_lock_init(&sq->lock);
	spin_lock_init(&sq->post_lock);
	sq->sent_jiffies = jiffies - BACKLOG_JIFFIES;
	sq->wide_psns = 1;
	timer_setup(&sq->ack_timer, req_ack_timeout, 0);
	timer_setup(&sq->rnr_timer, req_rnr_timeout, 0);
	INIT_WORK(&sq->work, req_work);
	INIT_WORK(&sq->bh_work, req_bh_work);
	INIT_WORK(&sq->hop_work, req_hop_work);
	rxo_wait_init(&sq->wait, qp, &sq->lock, &sq->work, req_page_came);
}
