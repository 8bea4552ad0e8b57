// SPDX-License-Identifier: GPL-2.0
/*
 * The responder: executes requests in PSN order and answers them in order.
 *
 * Packets wait in rq.held and are executed one after the other; usually the
 * list is empty and a packet is executed in the softirq that brought it. When
 * one of them needs a page, or a READ is being answered, the list stops there,
 * and grows behind it up to a bound.
 *
 * Every answer leaves in order; one that a full queue of this host refused is sent as soon as
 * the queue allows, since a peer that missed it would send everything again.
 */

#include <linux/indirect_call_wrapper.h>

#include "queue/queue.h"
#include "transport/qp.h"

#define FIRST_LOOK_JIFFIES	(1 + HZ / 50)

/* An answer of headers alone. False if a full queue of this host refused it: then it is owed. */
static bool resp_send_headers(struct rxo_qp *qp, u8 opcode, u8 syndrome, u32 psn)
{
	struct rxo_rq *rq = &qp->rq;
	struct sk_buff *skb;

	lockdep_assert_held(&rq->lock);
	opcode = rxo_qp_opcode(qp, opcode);
	skb = rxo_net_alloc(qp->dev, &qp->path, rxo_opcodes[opcode].hdr_bytes);
	rq->owed.kind = RXO_OWED_NOTHING;
	if (!skb)
		return true;	/* as if the network had lost it */
	rxo_bth_init(rxo_pkt_bth(skb), opcode, false, 0, IB_DEFAULT_PKEY_FULL, qp->dest_qpn,
		     false, psn);
	rxo_aeth_init(rxo_pkt_aeth(skb), syndrome, rq->msn);
	return rxo_net_xmit_one(qp->dev, &qp->path, &rq->tx, skb);
}

void rxo_resp_send_ack(struct rxo_qp *qp, u8 syndrome, u32 psn)
{
	if (!resp_send_headers(qp, IB_OPCODE_RC_ACKNOWLEDGE, syndrome, psn))
		qp->rq.owed = (struct rxo_owed) {
			.kind = RXO_OWED_ACK, .syndrome = syndrome, .psn = psn,
		};
}

/* A FLUSH or an ATOMIC WRITE was done: the response is that to a READ of no bytes. */
static void resp_send_done(struct rxo_qp *qp, u32 psn)
{
	if (!resp_send_headers(qp, IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY, RXO_AETH_ACK, psn))
		qp->rq.owed = (struct rxo_owed) { .kind = RXO_OWED_DONE, .psn = psn };
}

void rxo_resp_send_rnr(struct rxo_qp *qp, u8 timer, u32 psn)
{
	rxo_tx_count(&qp->rq.tx, RXO_STAT_SENT_RNR, 1);
	qp->rq.quiet = true;
	rxo_resp_send_ack(qp, RXO_AETH_RNR | timer, psn);
}

/* The owed NAK's packet has arrived again and will get a new answer. */
static bool resp_owed_is_stale(const struct rxo_rq *rq)
{
	struct sk_buff *skb = skb_peek(&rq->held);
	u8 type = rq->owed.syndrome & RXO_AETH_TYPE;

	return rq->owed.kind == RXO_OWED_ACK && skb && rxo_pkt(skb)->psn == rq->owed.psn &&
	       (type == RXO_AETH_RNR || rq->owed.syndrome == RXO_AETH_NAK_PSN_SEQ);
}

/* Sends the owed answer, if it may. True when none is owed: requests may be executed. */
static bool resp_settle(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_owed owed = rq->owed;

	if (owed.kind == RXO_OWED_NOTHING)
		return true;
	if (resp_owed_is_stale(rq)) {
		rq->owed.kind = RXO_OWED_NOTHING;
		return true;
	}
	if (!rxo_tx_may_send(&rq->tx))
		return false;
	if (owed.kind == RXO_OWED_ACK)
		rxo_resp_send_ack(qp, owed.syndrome, owed.psn);
	else if (owed.kind == RXO_OWED_DONE)
		resp_send_done(qp, owed.psn);
	else
		rxo_exec_resend_atomic(qp, owed.psn);
	return rq->owed.kind == RXO_OWED_NOTHING;
}

/*
 * Takes the oldest receive WQE for the message, unless it has one. 0, -ENOENT, -EINVAL for a
 * malformed WQE (taken too, to be completed in error), or -ENOTRECOVERABLE for an SRQ in error.
 */
int rxo_resp_take_wqe(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_srq *srq = rq->xrc_srq ?: qp->srq;
	int err;

	lockdep_assert_held(&rq->lock);
	if (rq->have_wqe)
		return rq->wqe_err;
	if (srq)
		err = rxo_srq_pop(srq, &rq->wqe);
	else if (!rxo_queue_count(rq->queue))
		err = -ENOENT;
	else
		err = rxo_rwqe_parse(&rq->wqe, rxo_queue_at(rq->queue, 0), rq->max_sge);
	rq->have_wqe = err != -ENOENT && err != -ENOTRECOVERABLE;
	rq->wqe_err = err;
	if (rq->xrc_srq) {
		rq->wqe_srq_num = rq->xrc_srq->ibsrq.ext.xrc.srq_num;
		rq->wqe_srq_id = rq->xrc_srq->id;
	}
	return err;
}

/* Completes the receive WQE that the message has. */
void rxo_resp_recv_done(struct rxo_qp *qp, struct ib_wc *wc, bool solicited)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_cq *cq = rq->xrc_srq ? rxo_srq_cq(rq->xrc_srq) : qp->recv_cq;

	lockdep_assert_held(&rq->lock);
	wc->wr_id = rq->wqe.wr_id;
	wc->qp = &qp->ibqp;
	wc->port_num = 1;
	if (wc->status == IB_WC_SUCCESS)
		rxo_tx_count(&qp->rq.tx, RXO_STAT_RECVS, 1);
	rq->have_wqe = false;
	if (rq->queue)
		rxo_queue_advance(rq->queue);
	if (rxo_cq_post(cq, wc, solicited))
		rxo_qp_set_fatal(qp);
}

static void resp_recv_failed(struct rxo_qp *qp, enum ib_wc_status status)
{
	struct ib_wc wc = { .status = status, .opcode = IB_WC_RECV };

	if (qp->rq.have_wqe)
		rxo_resp_recv_done(qp, &wc, true);
}

/*
 * librxe rings the doorbell for a receive only if it knows that the QP is in error,
 * that is, if the process itself put it there; but a process that drains a failed
 * QP posts a receive as a marker. So the ring is polled by a timer, less often
 * the longer it stays empty.
 */
static void resp_look_again(struct rxo_qp *qp, bool found)
{
	struct rxo_rq *rq = &qp->rq;

	if (!qp->user || !rq->queue)
		return;
	if (found || !rq->look_jiffies)
		rq->look_jiffies = FIRST_LOOK_JIFFIES;
	else
		rq->look_jiffies = min(2 * rq->look_jiffies, (unsigned long)HZ);
	mod_timer(&rq->look_timer, jiffies + rq->look_jiffies);
}

/* In the error state: drop packets, flush receives. */
static void resp_flush(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	u32 budget = RXO_FLUSH_WQES;
	bool found = false;

	lockdep_assert_held(&rq->lock);
	rxo_wait_cancel(&rq->wait);
	__skb_queue_purge(&rq->held);
	rq->read.active = false;
	rq->msg.kind = 0;
	if (qp->xrcd)
		rxo_resp_flush_message(qp);
	else
		resp_recv_failed(qp, IB_WC_WR_FLUSH_ERR);
	if (!rq->queue) {
		if (!rq->last_wqe)
			rxo_qp_event(qp, IB_EVENT_QP_LAST_WQE_REACHED);
		rq->last_wqe = true;
		return;
	}
	while (budget && rxo_resp_take_wqe(qp) != -ENOENT) {
		resp_recv_failed(qp, IB_WC_WR_FLUSH_ERR);
		found = true;
		budget--;
	}
	if (!budget)
		queue_work(rxo_wq, &rq->work);
	else
		resp_look_again(qp, found);
}

/*
 * The rest of the message is dropped, and the peer is not told. The receive WQE is kept for the
 * next message (IBTA 9.9.3.1, class D).
 */
static void resp_drop_message(struct rxo_qp *qp)
{
	qp->rq.msg.kind = 0;
	rxo_tx_count(&qp->rq.tx, RXO_STAT_RCV_DROPPED, 1);
}

/*
 * The request at @psn cannot be executed: send a NAK, and put the QP in error. Without
 * acknowledgments only a receive that failed does so.
 */
static void resp_refuse(struct rxo_qp *qp, u8 nak, u32 psn)
{
	static const enum ib_event_type events[] = {
		[RXO_AETH_NAK_INV_REQ & RXO_AETH_VALUE] = IB_EVENT_QP_REQ_ERR,
		[RXO_AETH_NAK_REM_ACC & RXO_AETH_VALUE] = IB_EVENT_QP_ACCESS_ERR,
		[RXO_AETH_NAK_REM_OP & RXO_AETH_VALUE] = IB_EVENT_QP_FATAL,
	};

	if (qp->kind->acked) {
		rxo_resp_send_ack(qp, nak, psn);
	} else if (nak != RXO_AETH_NAK_REM_OP) {
		resp_drop_message(qp);
		return;
	}
	rxo_qp_set_error(qp);
	/* A receive that failed says so in its completion. */
	if (nak != RXO_AETH_NAK_REM_OP)
		rxo_qp_event(qp, events[nak & RXO_AETH_VALUE]);
}

/* What an errno of the execution means to the two sides (IBTA 9.9.3). */
static void resp_fail(struct rxo_qp *qp, u32 flags, u32 psn, int err)
{
	/* A message that is too long and a malformed receive WQE are no errors of memory. */
	if (!(flags & RXO_OP_SEND) || (err != -EMSGSIZE && err != -EINVAL))
		rxo_access_error_receive(qp, err);
	if (flags & RXO_OP_SEND) {
		if (err == -EMSGSIZE) {
			if (qp->kind->acked)
				resp_recv_failed(qp, IB_WC_LOC_LEN_ERR);
			resp_refuse(qp, RXO_AETH_NAK_INV_REQ, psn);
		} else {
			resp_recv_failed(qp, err == -EINVAL ? IB_WC_LOC_QP_OP_ERR :
							      IB_WC_LOC_PROT_ERR);
			resp_refuse(qp, RXO_AETH_NAK_REM_OP, psn);
		}
		return;
	}
	resp_refuse(qp, err == -EINVAL ? RXO_AETH_NAK_INV_REQ : RXO_AETH_NAK_REM_ACC, psn);
}

/* Whether a packet or a step fits the open message, and max_dest_rd_atomic. */
bool rxo_resp_in_sequence(const struct rxo_qp *qp, u32 flags)
{
	const u32 kind = flags & (RXO_OP_SEND | RXO_OP_WRITE);

	if (flags & RXO_OP_START) {
		if (qp->rq.msg.kind)
			return false;
	} else if (!kind || qp->rq.msg.kind != kind) {
		return false;
	}
	/* A FLUSH leaves nothing to be kept for its duplicate, and stock rxe does not count it. */
	return qp->max_dest_rd_atomic || !(flags & (RXO_OP_ANSWERED & ~RXO_OP_FLUSH));
}

static bool resp_is_allowed(const struct rxo_qp *qp, const struct sk_buff *skb)
{
	u32 flags = rxo_pkt(skb)->flags;

	if (flags & (RXO_OP_WRITE | RXO_OP_ATOMIC_WRITE))
		return qp->access & IB_ACCESS_REMOTE_WRITE;
	if (flags & RXO_OP_READ)
		return qp->access & IB_ACCESS_REMOTE_READ;
	if (flags & RXO_OP_ATOMIC)
		return qp->access & IB_ACCESS_REMOTE_ATOMIC;
	if (flags & RXO_OP_FLUSH)
		return !(rxo_flush_access(skb) & ~qp->access);
	return true;
}

static bool resp_length_fits(const struct rxo_qp *qp, const struct rxo_pkt *pkt)
{
	u32 bytes = pkt->payload_bytes, full_bytes = pkt->psns * qp->mtu_bytes;

	if (!(pkt->flags & (RXO_OP_SEND | RXO_OP_WRITE)))
		return true;
	if (!(pkt->flags & RXO_OP_END)) {
		if (bytes != full_bytes)
			return false;
	} else if (bytes > full_bytes || (!bytes && !(pkt->flags & RXO_OP_START)) ||
		   (pkt->psns > 1 && bytes <= full_bytes - qp->mtu_bytes)) {
		return false;
	}
	if (!(pkt->flags & RXO_OP_WRITE))
		return true;
	return pkt->flags & RXO_OP_END ? bytes == qp->rq.msg.resid_bytes :
					 bytes < qp->rq.msg.resid_bytes;
}

/* Sets the message up from its first packet; done again if the packet is retried. */
static void resp_open_message(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_msg *msg = &qp->rq.msg;

	msg->offset_bytes = 0;
	msg->srq_id = qp->rq.xrc_srq ? qp->rq.xrc_srq->id : 0;
	if (rxo_pkt(skb)->flags & RXO_OP_WRITE) {
		struct rxo_reth *reth = rxo_pkt_reth(skb);

		msg->va = be64_to_cpu(reth->va);
		msg->rkey = be32_to_cpu(reth->rkey);
		msg->resid_bytes = be32_to_cpu(reth->len);
	}
}

static u32 resp_read_psns(const struct rxo_qp *qp, const struct rxo_reth *reth)
{
	return max(1u, DIV_ROUND_UP_ULL(be32_to_cpu(reth->len), qp->mtu_bytes));
}

static void resp_open_read(struct rxo_qp *qp, struct sk_buff *skb, bool duplicate)
{
	const struct rxo_reth *reth = rxo_pkt_reth(skb);
	const struct rxo_srq *srq = qp->rq.xrc_srq;

	qp->rq.read = (struct rxo_read) {
		.srq_id = srq ? srq->id : 0,
		.srq_num = srq ? srq->ibsrq.ext.xrc.srq_num : 0,
		.va = be64_to_cpu(reth->va),
		.rkey = be32_to_cpu(reth->rkey),
		.length_bytes = be32_to_cpu(reth->len),
		.psn = rxo_pkt(skb)->psn,
		.first_psn = rxo_pkt(skb)->psn,
		.end_psn = rxo_psn_add(rxo_pkt(skb)->psn, resp_read_psns(qp, reth)),
		.active = true,
		.duplicate = duplicate,
	};
}

static void resp_complete_recv(struct rxo_qp *qp, const struct rxo_msg_end *end)
{
	bool write = end->flags & RXO_OP_WRITE;
	struct ib_wc wc = {
		.status = IB_WC_SUCCESS,
		.opcode = write ? IB_WC_RECV_RDMA_WITH_IMM : IB_WC_RECV,
		.byte_len = qp->rq.msg.offset_bytes,
		.src_qp = qp->dest_qpn,
	};

	if (end->flags & RXO_OP_IMM) {
		wc.wc_flags |= IB_WC_WITH_IMM;
		wc.ex.imm_data = end->imm;
	}
	if (end->flags & RXO_OP_IETH) {
		wc.wc_flags |= IB_WC_WITH_INVALIDATE;
		wc.ex.invalidate_rkey = end->invalidate_key;
	}
	rxo_resp_recv_done(qp, &wc, end->solicited);
}

/* @psns of the message, with @bytes of a SEND or WRITE, were executed: advances past them. */
void rxo_resp_advance(struct rxo_qp *qp, const struct rxo_msg_end *end, u32 psns, u32 bytes)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_msg *msg = &rq->msg;

	lockdep_assert_held(&rq->lock);
	rq->quiet = false;
	rq->psn = rxo_psn_add(rq->psn, psns);
	msg->offset_bytes += bytes;
	if (end->flags & RXO_OP_WRITE) {
		msg->va += bytes;
		msg->resid_bytes -= bytes;
	}
	msg->kind = end->flags & (RXO_OP_SEND | RXO_OP_WRITE);
	if (end->flags & RXO_OP_END) {
		msg->kind = 0;
		rq->msn = (rq->msn + 1) & RXO_MSN_MASK;
		if (end->flags & RXO_OP_RECV)
			resp_complete_recv(qp, end);
	}
}

/*
 * A SEND may ask, with its last packet, for a key to be invalidated. False if that key is none
 * that the peer may name: it is told, and the message's receive is flushed.
 */
static bool resp_invalidate(struct rxo_qp *qp, struct sk_buff *skb)
{
	u32 key;
	int err;

	if (!(rxo_pkt(skb)->flags & RXO_OP_IETH))
		return true;
	key = be32_to_cpu(rxo_pkt_ieth(skb)->rkey);
	err = rxo_mr_invalidate(rxo_rq_remote_pd(qp), qp->id, key, true);
	if (!err)
		return true;
	rxo_access_error_invalidate(qp, key, err);
	resp_refuse(qp, RXO_AETH_NAK_REM_ACC, rxo_pkt(skb)->psn);
	return false;
}

/* The packet was executed: advance past it. */
static void resp_commit(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_msg_end end = { .flags = pkt->flags, .solicited = pkt->solicited };

	if (pkt->flags & RXO_OP_IMM)
		end.imm = rxo_pkt_imm(skb)->imm;
	if (pkt->flags & RXO_OP_IETH)
		end.invalidate_key = be32_to_cpu(rxo_pkt_ieth(skb)->rkey);
	rxo_resp_advance(qp, &end, pkt->psns, pkt->payload_bytes);
	if (pkt->ack_req)
		rxo_resp_send_ack(qp, RXO_AETH_ACK, rxo_pkt_last_psn(pkt));
}

/* No receive could be had for the message. */
static void resp_no_wqe(struct rxo_qp *qp, u32 psn, int err)
{
	if (err == -ENOTRECOVERABLE)
		rxo_resp_refuse_broken_srq(qp, psn);
	else if (err != -ENOENT)
		resp_fail(qp, RXO_OP_SEND, psn, err);
	else if (qp->kind->acked)
		rxo_resp_send_rnr(qp, qp->min_rnr_timer, psn);
	else
		resp_drop_message(qp);
}

static int resp_data_request(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	bool send = pkt->flags & RXO_OP_SEND;
	int err = 0;

	if (pkt->flags & RXO_OP_START)
		resp_open_message(qp, skb);
	if (!resp_length_fits(qp, pkt)) {
		resp_refuse(qp, RXO_AETH_NAK_INV_REQ, pkt->psn);
		return 0;
	}
	if ((send && (pkt->flags & RXO_OP_START)) ||
	    (!send && (pkt->flags & RXO_OP_RECV) && (pkt->flags & RXO_OP_END)))
		err = rxo_resp_take_wqe(qp);
	if (err) {
		resp_no_wqe(qp, pkt->psn, err);
		return 0;
	}
	err = send ? rxo_exec_send(qp, skb) : rxo_exec_write(qp, skb);
	if (err == -EAGAIN)
		return err;
	if (err)
		resp_fail(qp, pkt->flags, pkt->psn, err);
	else if (resp_invalidate(qp, skb))
		resp_commit(qp, skb);
	return 0;
}

static int resp_read_request(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_rq *rq = &qp->rq;
	u32 length = be32_to_cpu(rxo_pkt_reth(skb)->len);
	u32 psns = resp_read_psns(qp, rxo_pkt_reth(skb));

	if (length > RXO_MAX_MSG_BYTES || psns >= RXO_PSN_HALF) {
		resp_refuse(qp, RXO_AETH_NAK_INV_REQ, rq->psn);
		return 0;
	}
	resp_open_read(qp, skb, false);
	rq->psn = rxo_psn_add(rq->psn, psns);
	rq->msn = (rq->msn + 1) & RXO_MSN_MASK;
	return 0;
}

static int resp_atomic_request(struct rxo_qp *qp, struct sk_buff *skb)
{
	int err = rxo_exec_atomic(qp, skb);

	if (err == -EAGAIN)
		return err;
	if (err)
		resp_fail(qp, RXO_OP_ATOMIC, rxo_pkt(skb)->psn, err);
	else
		qp->rq.psn = rxo_psn_add(qp->rq.psn, 1);
	return 0;
}

static int resp_done_request(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_rq *rq = &qp->rq;
	int err;

	err = pkt->flags & RXO_OP_FLUSH ? rxo_exec_flush(qp, skb) : rxo_exec_atomic_write(qp, skb);
	if (err == -EAGAIN)
		return err;
	if (err) {
		resp_fail(qp, pkt->flags, pkt->psn, err);
		return 0;
	}
	rq->psn = rxo_psn_add(rq->psn, 1);
	rq->msn = (rq->msn + 1) & RXO_MSN_MASK;
	resp_send_done(qp, pkt->psn);
	return 0;
}

/* Has everything from the expected PSN on sent again. What follows it is not answered. */
static void resp_ask_again(struct rxo_qp *qp)
{
	qp->rq.quiet = true;
	rxo_resp_send_ack(qp, RXO_AETH_NAK_PSN_SEQ, qp->rq.psn);
}

static void resp_out_of_sequence(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;

	rxo_tx_count(&qp->rq.tx, RXO_STAT_OUT_OF_SEQUENCE, 1);
	if (rq->quiet)
		return;
	resp_ask_again(qp);
}

/* A duplicate: its answer was lost, or is late. */
static void resp_duplicate(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_rq *rq = &qp->rq;

	rxo_tx_count(&qp->rq.tx, RXO_STAT_DUPLICATE_REQUEST, 1);
	rxo_tx_go_plain(&rq->tx);
	/*
	 * ACK the duplicate's own PSN, no later one: stock rxe that gets an ACK for the
	 * end of a message while it resends the beginning hangs or flushes. A wide one may be
	 * new beyond that, since it need not be cut as it was before: a NAK has it sent from there,
	 * also if one for that PSN was sent before, which may be what got lost.
	 */
	if (pkt->flags & RXO_OP_ATOMIC)
		rxo_exec_resend_atomic(qp, pkt->psn);
	else if (pkt->flags & (RXO_OP_FLUSH | RXO_OP_ATOMIC_WRITE))
		resp_send_done(qp, pkt->psn);	/* it was; what came later stays */
	else if (rxo_psn_cmp(rxo_pkt_last_psn(pkt), rq->psn) >= 0)
		resp_ask_again(qp);
	else if (!(pkt->flags & RXO_OP_READ))
		rxo_resp_send_ack(qp, RXO_AETH_ACK, rxo_pkt_last_psn(pkt));
	else if ((qp->access & IB_ACCESS_REMOTE_READ) &&
		 resp_read_psns(qp, rxo_pkt_reth(skb)) <= rxo_psn_sub(rq->psn, pkt->psn))
		resp_open_read(qp, skb, true);
}

int rxo_resp_take_rc(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_rq *rq = &qp->rq;
	s32 ahead = rxo_psn_cmp(pkt->psn, rq->psn);

	lockdep_assert_held(&rq->lock);
	if (ahead < 0) {
		resp_duplicate(qp, skb);
		return 0;
	}
	if (ahead > 0) {
		resp_out_of_sequence(qp);
		return 0;
	}
	rq->quiet = false;
	if (!rxo_resp_in_sequence(qp, pkt->flags)) {
		resp_refuse(qp, RXO_AETH_NAK_INV_REQ, pkt->psn);
		return 0;
	}
	if (!resp_is_allowed(qp, skb)) {
		rxo_access_error_receive(qp, -EACCES);
		resp_refuse(qp, RXO_AETH_NAK_INV_REQ, pkt->psn);
		return 0;
	}
	if (pkt->flags & RXO_OP_READ)
		return resp_read_request(qp, skb);
	if (pkt->flags & RXO_OP_ATOMIC)
		return resp_atomic_request(qp, skb);
	if (pkt->flags & (RXO_OP_FLUSH | RXO_OP_ATOMIC_WRITE))
		return resp_done_request(qp, skb);
	return resp_data_request(qp, skb);
}

/* Goes on with a READ. -ENXIO: the SRQ whose keys it names is gone. */
static int resp_continue_read(struct rxo_qp *qp, u32 *budget)
{
	struct rxo_rq *rq = &qp->rq;

	if (qp->xrcd && !rxo_resp_xrc_get_read(qp)) {
		rq->fault_err = 0;	/* of a region of that SRQ's owner */
		return -ENXIO;
	}
	return rxo_exec_read(qp, budget);
}

/*
 * Without retries a message of which a packet is missing is lost. The next begins with its first
 * packet, whatever its PSN: how many were lost is unknown, and messages may come twice or out of
 * order (IBTA 9.8.3).
 */
int rxo_resp_take_uc(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_rq *rq = &qp->rq;
	int err = 0;

	lockdep_assert_held(&rq->lock);
	if (pkt->psn != rq->psn) {
		rxo_tx_count(&qp->rq.tx, RXO_STAT_OUT_OF_SEQUENCE, 1);
		rq->psn = pkt->psn;
		rq->msg.kind = 0;
	}
	if (pkt->flags & RXO_OP_START)
		rq->msg.kind = 0;
	pkt->ack_req = false;
	if (!rxo_resp_in_sequence(qp, pkt->flags)) {
		resp_drop_message(qp);
	} else if (!resp_is_allowed(qp, skb)) {
		rxo_access_error_receive(qp, -EACCES);
		resp_drop_message(qp);
	} else {
		err = resp_data_request(qp, skb);
	}
	if (!err)
		rq->psn = rxo_psn_add(pkt->psn, pkt->psns);
	return err;
}

bool rxo_resp_takes_requests(const struct rxo_qp *qp)
{
	switch (rxo_qp_state(qp)) {
	case IB_QPS_RTR:
	case IB_QPS_RTS:
	case IB_QPS_SQD:
	case IB_QPS_SQE:
		return true;
	default:
		return false;
	}
}

static int resp_step(struct rxo_qp *qp, u32 *budget)
{
	struct rxo_rq *rq = &qp->rq;
	struct sk_buff *skb;
	int err;

	if (rq->read.active) {
		err = resp_continue_read(qp, budget);
		if (err && err != -EAGAIN) {
			/*
			 * A peer that has the data by now may have lost the right to it: no
			 * error of this QP. A peer that still waits for it takes the NAK.
			 */
			if (rq->read.duplicate)
				rxo_resp_send_ack(qp, RXO_AETH_NAK_REM_ACC, rq->read.psn);
			else if (qp->xrcd && !rq->xrc_srq)
				rxo_resp_refuse_srq(qp, rq->read.psn);
			else
				resp_fail(qp, RXO_OP_READ, rq->read.psn, err);
			rq->read.active = false;
			err = 0;
		}
		rxo_resp_xrc_put(rq);
		if (!rq->read.active || rq->read.psn != rq->read.first_psn)
			rxo_late_end(qp);
		return err;
	}
	skb = skb_peek(&rq->held);
	if (!skb)
		return -ENOENT;
	(*budget)--;
	err = INDIRECT_CALL_1(qp->kind->take, rxo_resp_take_rc, qp, skb);
	if (err != -EAGAIN) {
		rxo_late_end(qp);
		__skb_unlink(skb, &rq->held);
		consume_skb(skb);
	}
	return err;
}

void rxo_resp_run(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	u32 budget = RXO_BUDGET_PKTS;

	lockdep_assert_held(&rq->lock);
	if (rxo_qp_state(qp) == IB_QPS_RESET)
		return;
	/* An XRC initiator answers nothing, but its CNPs wait for a full queue as answers do. */
	if (!qp->kind->take) {
		rxo_tx_run_ends(&rq->tx);
		return;
	}
	WRITE_ONCE(rq->cpu, smp_processor_id());
	while (resp_settle(qp) && budget && !rq->wait.pending && rxo_resp_takes_requests(qp)) {
		if (resp_step(qp, &budget)) {
			if (rq->wait.pending) {
				rxo_wait_charge_first(&rq->wait, &rq->held);
				rxo_late_begin(qp);
			}
			break;
		}
		rxo_peer_settle(qp);
	}
	rxo_tx_run_ends(&rq->tx);
	if (!budget)
		queue_work(system_bh_wq, &rq->bh_work);	/* on this CPU, which answers the flow */
	if (rxo_qp_state(qp) == IB_QPS_ERR)
		resp_flush(qp);
}

/* Run without a packet: on the CPU that sends this flow's answers. */
static void resp_kick(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	if (rxo_qp_state(qp) == IB_QPS_RESET)
		return;
	if (rq->cpu != smp_processor_id() && cpu_online(rq->cpu))
		queue_work_on(rq->cpu, system_bh_wq, &rq->bh_work);
	else
		rxo_resp_run(qp);
}

/* In error: receives may have been posted. */
static void resp_look_timeout(struct timer_list *timer)
{
	struct rxo_qp *qp = timer_container_of(qp, timer, rq.look_timer);

	spin_lock(&qp->rq.lock);
	if (rxo_qp_state(qp) == IB_QPS_ERR)
		rxo_resp_run(qp);
	spin_unlock(&qp->rq.lock);
}

/* A duplicate READ whose responses are all still to be sent by the current one. */
static bool resp_is_being_answered(const struct rxo_rq *rq, const struct rxo_pkt *pkt)
{
	const struct rxo_read *read = &rq->read;

	return read->active && (pkt->flags & RXO_OP_READ) &&
	       rxo_psn_cmp(pkt->psn, read->psn) >= 0 && rxo_psn_cmp(pkt->psn, read->end_psn) < 0;
}

void rxo_resp_rcv(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_pkt *pkt = rxo_pkt(skb);

	spin_lock(&rq->lock);
	rxo_qp_count_received(&rq->tx, skb);
	if (!rxo_resp_takes_requests(qp)) {
		kfree_skb(skb);
	} else if ((rq->late.state != RXO_LATE_NOT && rxo_late_rcv(qp, pkt)) ||
		   resp_is_being_answered(rq, pkt)) {
		kfree_skb(skb);
	} else if (rxo_wait_hold(&rq->wait, &rq->held, skb)) {
		/* Datagrams establish no communication. */
		if (rxo_qp_state(qp) == IB_QPS_RTR && !rq->established && !rxo_qp_is_ud(qp)) {
			rq->established = true;
			rxo_qp_event(qp, IB_EVENT_COMM_EST);
		}
		rxo_resp_run(qp);
	}
	spin_unlock(&rq->lock);
}

static void resp_work(struct work_struct *work)
{
	struct rxo_qp *qp = container_of(work, struct rxo_qp, rq.work);

	spin_lock_bh(&qp->rq.lock);
	resp_kick(qp);
	spin_unlock_bh(&qp->rq.lock);
}

static void resp_bh_work(struct work_struct *work)
{
	struct rxo_qp *qp = container_of(work, struct rxo_qp, rq.bh_work);

	spin_lock(&qp->rq.lock);
	rxo_resp_run(qp);
	spin_unlock(&qp->rq.lock);
}

static void resp_page_came(struct rxo_qp *qp, int err)
{
	struct rxo_rq *rq = &qp->rq;
	bool was_told = rxo_late_page_came(qp);

	lockdep_assert_held(&rq->lock);
	/* The peer was told to retry: then its request faults and fails again. */
	if (rxo_fault_is_final(err) && !was_told)
		rq->fault_err = err;
	if (err && !rxo_fault_is_final(err))
		rxo_wait_again(&rq->wait, err);
	else
		resp_kick(qp);
}

void rxo_resp_init(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;

	spin_lock_init(&rq->lock);
	spin_lock_init(&rq->post_lock);
	__skb_queue_head_init(&rq->held);
	timer_setup(&rq->look_timer, resp_look_timeout, 0);
	rxo_late_init(qp);
	INIT_WORK(&rq->work, resp_work);
	INIT_WORK(&rq->bh_work, resp_bh_work);
	rxo_wait_init(&rq->wait, qp, &rq->lock, &rq->work, resp_page_came);
}
