// SPDX-License-Identifier: GPL-2.0
/*
 * The responder's half of requests without packets (local.c): executed at once, or not at all.
 * After an error the request is as good as not seen, and comes by the wire; but an SRQ that was
 * found in error stays so.
 *
 * All under rq.lock, and the requester's sq.lock outside it.
 */
#include "memory/sgl.h"
#include "transport/qp.h"

/* Whether @qp may execute the next request of @from now: in order, with nothing before it. */
bool rxo_resp_local_may(const struct rxo_qp *qp, const struct rxo_qp *from)
{
	const struct rxo_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	lockdep_assert_held(&from->sq.lock);
	if (!rxo_peer_is_allowed(qp, from) || !rxo_resp_takes_requests(qp))
		return false;
	/* In RTR the first request raises IB_EVENT_COMM_EST, which rxo_resp_rcv() does. */
	if (rxo_qp_state(qp) == IB_QPS_RTR && !rq->established)
		return false;
	return rq->psn == from->sq.psn && qp->mtu_bytes == from->mtu_bytes &&
	       skb_queue_empty(&rq->held) && !rq->read.active && !rq->wait.pending &&
	       !rq->fault_err && rq->late.state == RXO_LATE_NOT &&
	       rq->owed.kind == RXO_OWED_NOTHING;
}

/* Where the data of a WRITE goes; a region with a reference, or NULL for no bytes. */
static struct rxo_mr *resp_local_write_mr(struct rxo_qp *qp)
{
	const struct rxo_msg *msg = &qp->rq.msg;

	if (!msg->resid_bytes)
		return NULL;
	return rxo_mr_get_remote(qp->pd, qp->id, msg->rkey, IB_ACCESS_REMOTE_WRITE, msg->va,
				 msg->resid_bytes);
}

static int resp_local_write(struct rxo_qp *qp, const struct rxo_local_req *req)
{
	struct rxo_side to = { .mr = resp_local_write_mr(qp), .iova = qp->rq.msg.va };
	int err;

	if (IS_ERR_OR_NULL(to.mr))
		return PTR_ERR_OR_ZERO(to.mr);
	err = rxo_sg_move(&to, &req->own, req->bytes);
	rxo_mr_put(to.mr);
	return err;
}

static int resp_local_send(struct rxo_qp *qp, const struct rxo_local_req *req)
{
	const struct rxo_rq *rq = &qp->rq;
	const struct rxo_sg sg = {
		.pd = rxo_rq_pd(qp), .sge = rq->wqe.sgl.sge, .num = rq->wqe.sgl.num,
		.offset_bytes = rq->msg.offset_bytes, .length_bytes = rq->wqe.sgl.length_bytes,
	};
	const struct rxo_side to = { .sg = &sg };

	if (req->bytes > rq->wqe.sgl.length_bytes - rq->msg.offset_bytes)
		return -EMSGSIZE;
	return rxo_sg_move(&to, &req->own, req->bytes);
}

static void resp_local_open_message(struct rxo_qp *qp, const struct rxo_local_req *req)
{
	struct rxo_msg *msg = &qp->rq.msg;

	msg->offset_bytes = 0;
	msg->srq_id = 0;
	if (req->msg.flags & RXO_OP_WRITE) {
		msg->va = req->va;
		msg->rkey = req->rkey;
		msg->resid_bytes = req->length_bytes;
	}
}

/*
 * Whether the requester's memory is present for the packet with which a message begins, or which
 * takes its receive. Otherwise nothing of the message may be placed yet, and no receive taken: one
 * of an SRQ is for another queue pair then. A message that fails after its first packet has had
 * some of its bytes placed, on the wire too.
 *
 * Bytes of one entry, within one page, need no look ahead without an SRQ: the copy places all or
 * nothing, and a receive that is taken in vain is kept for the next message. (By the region's
 * addresses: if those are offset against its pages, such a piece may span two pages.)
 */
static bool resp_local_can_send(const struct rxo_qp *qp, const struct rxo_local_req *req,
				bool takes)
{
	const struct rxo_sg *sg = req->own.sg;
	u32 bytes = req->bytes;

	if (!sg || !bytes)
		return true;
	/* A WRITE's receive is taken by its last packet. */
	if (!takes || (req->msg.flags & RXO_OP_SEND))
		bytes = min(bytes, qp->mtu_bytes);
	if (!(takes && qp->srq) && sg->num == 1 &&
	    offset_in_page(sg->sge->addr + sg->offset_bytes) + bytes <= PAGE_SIZE)
		return true;
	return rxo_sg_present(&req->own, bytes);
}

/*
 * A SEND or a WRITE, or a part of one. The receive is taken for the message even if that then comes
 * by the wire.
 */
int rxo_resp_local_data(struct rxo_qp *qp, const struct rxo_local_req *req)
{
	const u32 flags = req->msg.flags;
	bool send = flags & RXO_OP_SEND;
	bool takes = flags & (send ? RXO_OP_START : RXO_OP_RECV);
	int err = 0;

	lockdep_assert_held(&qp->rq.lock);
	if (!rxo_resp_in_sequence(qp, flags))
		return -EPROTO;
	if (!send && !(qp->access & IB_ACCESS_REMOTE_WRITE))
		return -EACCES;
	if (flags & RXO_OP_START)
		resp_local_open_message(qp, req);
	if (!send && (flags & RXO_OP_END ? req->bytes != qp->rq.msg.resid_bytes :
					   req->bytes >= qp->rq.msg.resid_bytes))
		return -EPROTO;
	if ((takes || (flags & RXO_OP_START)) && !resp_local_can_send(qp, req, takes))
		return -EAGAIN;
	if (takes)
		err = rxo_resp_take_wqe(qp);
	if (!err)
		err = send ? resp_local_send(qp, req) : resp_local_write(qp, req);
	if (!err && (flags & RXO_OP_IETH))
		err = rxo_mr_invalidate(qp->pd, qp->id, req->msg.invalidate_key, true);
	if (!err)
		rxo_resp_advance(qp, &req->msg, req->psns, req->bytes);
	return err;
}

int rxo_resp_local_read(struct rxo_qp *qp, const struct rxo_local_req *req)
{
	struct rxo_side from = { .iova = req->va };
	int err = 0;

	lockdep_assert_held(&qp->rq.lock);
	if (!rxo_resp_in_sequence(qp, req->msg.flags))
		return -EPROTO;
	if (!(qp->access & IB_ACCESS_REMOTE_READ))
		return -EACCES;
	if (req->bytes) {
		from.mr = rxo_mr_get_remote(qp->pd, qp->id, req->rkey, IB_ACCESS_REMOTE_READ,
					    req->va, req->bytes);
		if (IS_ERR(from.mr))
			return PTR_ERR(from.mr);
		err = rxo_sg_move(&req->own, &from, req->bytes);
		rxo_mr_put(from.mr);
	}
	if (!err)
		rxo_resp_advance(qp, &req->msg, req->psns, 0);
	return err;
}

int rxo_resp_local_atomic(struct rxo_qp *qp, u64 va, u32 rkey, enum rxo_atomic_op op,
			  u64 compare_add, u64 swap, u64 *old)
{
	const struct rxo_msg_end msg = { .flags = RXO_OP_ATOMIC | RXO_OP_ONLY };
	struct rxo_mr *mr;
	int err;

	lockdep_assert_held(&qp->rq.lock);
	if (!rxo_resp_in_sequence(qp, msg.flags) || va % sizeof(u64))
		return -EPROTO;
	if (!(qp->access & IB_ACCESS_REMOTE_ATOMIC))
		return -EACCES;
	mr = rxo_mr_get_remote(qp->pd, qp->id, rkey, IB_ACCESS_REMOTE_ATOMIC, va, sizeof(u64));
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	err = rxo_mr_atomic(mr, va, op, op == RXO_ATOMIC_CMP_SWAP ? compare_add : 0,
			    op == RXO_ATOMIC_CMP_SWAP ? swap : compare_add, old);
	rxo_mr_put(mr);
	if (err)
		return err;
	rxo_exec_keep_atomic(qp, qp->rq.psn, *old);
	rxo_resp_advance(qp, &msg, 1, 0);
	return 0;
}
