// SPDX-License-Identifier: GPL-2.0
/*
 * The last access to memory that a queue pair reported as an error, for people to read.
 *
 * It is noted where an errno becomes a NAK or a failed completion, before the state that says what
 * was being done goes. Nothing is kept for it before that: which request it was stands in the
 * engine, where a fault failed in its struct rxo_wait, and why is found out here.
 *
 * A queue pair in error reports nothing any more, so that the cause stays.
 */
#include "transport/qp.h"

/* If @err is that of @wait's fault, the address and the reason are the fault's. */
static void acc_store(struct rxo_qp *qp, struct rxo_pd *pd, struct rxe_odp_access_error *error,
		      int err, struct rxo_wait *wait)
{
	enum umem_odp_refusal refusal = UMEM_ODP_REFUSAL_NONE;
	struct rxo_access_error *to = &qp->access_error;
	u64 uctx_id = qp->xrcd && qp->rq.xrc_srq ? qp->rq.xrc_srq->uctx_id : 0;

	if (wait->failed == err) {
		error->fault_address = wait->iova;
		refusal = wait->waiter.refusal;
		wait->failed = 0;
	}
	error->error = -err;
	if (!error->reason)
		rxo_mr_explain(pd, err, refusal, error);
	guard(spinlock_bh)(&to->lock);
	error->count = to->uctx_id == uctx_id ? to->last.count + 1 : 1;
	to->last = *error;
	to->uctx_id = uctx_id;
}

/* The entry of a list in which byte @offset of the message lies. */
static void acc_set_sge(struct rxe_odp_access_error *error, const struct rxe_sge *sge, u32 num,
			u32 offset)
{
	u32 i;

	for (i = 0; i < num; i++) {
		if (offset < sge[i].length) {
			error->key = sge[i].lkey;
			error->address = sge[i].addr;
			error->length = sge[i].length;
			error->fault_address = sge[i].addr + offset;
			return;
		}
		offset -= sge[i].length;
	}
}

/* As acc_set_sge(), by the address of a fault that failed. */
static void acc_set_sge_of_fault(struct rxe_odp_access_error *error, const struct rxe_sge *sge,
				 u32 num, const struct rxo_wait *wait)
{
	u32 i;

	error->key = wait->key;
	error->address = wait->iova;
	for (i = 0; i < num; i++) {
		if (sge[i].lkey == wait->key && wait->iova - sge[i].addr < sge[i].length) {
			error->address = sge[i].addr;
			error->length = sge[i].length;
			return;
		}
	}
}

/**
 * rxo_access_error_send() - note that memory of a send WQE could not be had
 * @qp: the queue pair; its sq.lock is held
 * @wqe: the WQE
 * @wait: of the memory to be sent, or of that in which answers are placed
 * @offset: in the message, of the first byte that could not be had; unless a fault failed
 * @err: why
 */
void rxo_access_error_send(struct rxo_qp *qp, const struct rxo_swqe *wqe, struct rxo_wait *wait,
			   u32 offset, int err)
{
	bool place = wait == &qp->sq.place_wait;
	struct rxe_odp_access_error error = {
		.side = RXE_ODP_SIDE_SEND,
		.wr_id = wqe->wr_id,
		.opcode = wqe->opcode,
		.access = place ? IB_ACCESS_LOCAL_WRITE : 0,
		.psn = place ? qp->sq.una_psn : qp->sq.psn,
	};

	lockdep_assert_held(&qp->sq.lock);
	if (wait->failed == err)
		acc_set_sge_of_fault(&error, wqe->sge, wqe->num_sge, wait);
	else
		acc_set_sge(&error, wqe->sge, wqe->num_sge, offset);
	acc_store(qp, qp->pd, &error, err, wait);
}

/* Whether a bind failed because of the window, and not of the region. */
static bool acc_is_of_window(int err)
{
	return err == -ENXIO || err == -EBUSY || err == -EINVAL;
}

static void acc_set_bind(struct rxe_odp_access_error *error, const struct rxo_swqe_bind *bind,
			 int err)
{
	error->key = acc_is_of_window(err) ? bind->mw_key : bind->lkey;
	error->address = bind->addr;
	error->fault_address = bind->addr;
	error->length = bind->length;
	error->access = bind->access;
	if (err == -EBUSY || err == -EINVAL)
		error->reason = RXE_ODP_REASON_WINDOW;
}

/**
 * rxo_access_error_local() - note that a window was not bound, or a key not invalidated
 * @qp: the queue pair; its sq.lock is held
 * @wqe: what asked for it
 * @err: why
 */
void rxo_access_error_local(struct rxo_qp *qp, const struct rxo_swqe *wqe, int err)
{
	struct rxe_odp_access_error error = {
		.side = RXE_ODP_SIDE_SEND,
		.wr_id = wqe->wr_id,
		.opcode = wqe->opcode,
		.psn = qp->sq.psn,
		.key = wqe->rkey,
	};

	lockdep_assert_held(&qp->sq.lock);
	if (wqe->opcode == IB_WR_BIND_MW)
		acc_set_bind(&error, &wqe->bind, err);
	acc_store(qp, qp->pd, &error, err, &qp->sq.wait);
}

static u32 acc_wanted(u32 flags)
{
	if (flags & RXO_OP_READ)
		return IB_ACCESS_REMOTE_READ;
	return flags & RXO_OP_ATOMIC ? IB_ACCESS_REMOTE_ATOMIC : IB_ACCESS_REMOTE_WRITE;
}

/* What the packet asks for: by its own header, or as the rest of a WRITE. */
static void acc_set_request(struct rxe_odp_access_error *error, const struct rxo_msg *msg,
			    struct sk_buff *skb)
{
	u32 flags = rxo_pkt(skb)->flags;

	error->access = flags & RXO_OP_FLUSH ? rxo_flush_access(skb) : acc_wanted(flags);
	if (flags & RXO_OP_ATOMIC) {
		error->address = be64_to_cpu(rxo_pkt_atomic_eth(skb)->va);
		error->key = be32_to_cpu(rxo_pkt_atomic_eth(skb)->rkey);
		error->length = sizeof(u64);
	} else if (flags & RXO_OP_RETH) {
		error->address = be64_to_cpu(rxo_pkt_reth(skb)->va);
		error->key = be32_to_cpu(rxo_pkt_reth(skb)->rkey);
		error->length = be32_to_cpu(rxo_pkt_reth(skb)->len);
	} else {
		error->address = msg->va;
		error->key = msg->rkey;
		error->length = msg->resid_bytes;
	}
	error->fault_address = error->address + rxo_pkt(skb)->done_bytes;
}

static void acc_set_read(struct rxe_odp_access_error *error, const struct rxo_read *read, int err)
{
	error->access = IB_ACCESS_REMOTE_READ;
	error->psn = read->psn;
	error->key = read->rkey;
	error->address = read->va;
	error->length = read->length_bytes;
	error->fault_address = read->va + (err == -EHWPOISON ? read->ready_bytes :
							       read->offset_bytes);
}

/**
 * rxo_access_error_receive() - note that the request in execution could not access memory
 * @qp: the queue pair; its rq.lock is held
 * @err: why; -EACCES if the queue pair does not let its peer do it
 */
void rxo_access_error_receive(struct rxo_qp *qp, int err)
{
	struct rxe_odp_access_error error = { .side = RXE_ODP_SIDE_REQUEST };
	struct sk_buff *skb = skb_peek(&qp->rq.held);
	struct rxo_rq *rq = &qp->rq;
	struct rxo_pd *pd = rxo_rq_remote_pd(qp);

	lockdep_assert_held(&rq->lock);
	/* The XRC SRQ is gone, and with it the knowledge of which context may be told. */
	if (!pd)
		return;
	if (rq->read.active) {
		error.opcode = rxo_qp_opcode(qp, IB_OPCODE_RDMA_READ_REQUEST);
		acc_set_read(&error, &rq->read, err);
		acc_store(qp, pd, &error, err, &rq->wait);
		return;
	}
	if (!skb)
		return;
	error.opcode = rxo_pkt(skb)->opcode;
	error.psn = rxo_pkt(skb)->psn;
	if (rxo_pkt(skb)->flags & RXO_OP_SEND) {
		error.side = RXE_ODP_SIDE_RECEIVE;
		error.wr_id = rq->wqe.wr_id;
		error.access = IB_ACCESS_LOCAL_WRITE;
		pd = rxo_rq_pd(qp);
		acc_set_sge(&error, rq->wqe.sgl.sge, rq->wqe.sgl.num,
			    rq->msg.offset_bytes + rxo_pkt(skb)->done_bytes);
	} else {
		acc_set_request(&error, &rq->msg, skb);
	}
	if (err == -EACCES)
		error.reason = RXE_ODP_REASON_QP_ACCESS;
	acc_store(qp, pd, &error, err, &rq->wait);
}

/**
 * rxo_access_error_invalidate() - note that a peer may not invalidate a key
 * @qp: the queue pair; its rq.lock is held
 * @key: the key
 * @err: why
 */
void rxo_access_error_invalidate(struct rxo_qp *qp, u32 key, int err)
{
	struct sk_buff *skb = skb_peek(&qp->rq.held);
	struct rxe_odp_access_error error = { .side = RXE_ODP_SIDE_REQUEST, .key = key };

	lockdep_assert_held(&qp->rq.lock);
	if (!skb)
		return;
	error.opcode = rxo_pkt(skb)->opcode;
	error.psn = rxo_pkt(skb)->psn;
	acc_store(qp, rxo_rq_remote_pd(qp), &error, err, &qp->rq.wait);
}

/**
 * rxo_access_error_peer() - note that the peer refused the oldest WQE the memory that it asks for
 * @qp: the queue pair; its sq.lock is held
 */
void rxo_access_error_peer(struct rxo_qp *qp)
{
	const struct rxo_swqe *wqe = rxo_swqe_at(qp, 0);
	struct rxo_access_error *to = &qp->access_error;
	struct rxe_odp_access_error error;

	lockdep_assert_held(&qp->sq.lock);
	if (!qp->sq.copied)
		return;
	error = (struct rxe_odp_access_error) {
		.side = RXE_ODP_SIDE_PEER,
		.wr_id = wqe->wr_id,
		.opcode = wqe->opcode,
		.psn = qp->sq.una_psn,
		.address = wqe->remote_addr,
		.fault_address = wqe->remote_addr,
		.length = wqe->length_bytes,
		.key = wqe->rkey,
		.error = EACCES,
	};
	guard(spinlock_bh)(&to->lock);
	error.count = to->last.count + 1;
	to->last = error;
}

void rxo_access_error_init(struct rxo_qp *qp)
{
	spin_lock_init(&qp->access_error.lock);
}

/**
 * rxo_access_error_read() - what was noted last
 * @qp: the queue pair
 * @uctx_id: of the context that asks
 * @error: filled
 *
 * Any context. Of an XRC target, which contexts share, each learns of its own memory alone: nothing
 * of what concerns an SRQ of another, as if there had been no error.
 */
void rxo_access_error_read(struct rxo_qp *qp, u64 uctx_id, struct rxe_odp_access_error *error)
{
	guard(spinlock_bh)(&qp->access_error.lock);
	if (qp->xrcd && qp->access_error.uctx_id != uctx_id)
		*error = (struct rxe_odp_access_error) {};
	else
		*error = qp->access_error.last;
}
