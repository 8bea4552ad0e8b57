// SPDX-License-Identifier: GPL-2.0
/*
 * Posting work: kernel users write the same WQEs into the same rings as user
 * space does; user space rings the doorbell by an empty post_send.
 *
 * A kernel user may post from a completion handler or with interrupts off, so
 * a softirq on the same CPU sends its packets soon after. A process sends its
 * packets in its own system call.
 */

#include "net/ah.h"
#include "queue/queue.h"
#include "transport/qp.h"

/* Uses the fields of a bind. The low byte of the key is the user's choice, its index is not. */
static int post_fill_reg(struct rxe_send_wr *to, const struct ib_reg_wr *wr)
{
	if (wr->key >> 8 != wr->mr->lkey >> 8)
		return -EINVAL;
	to->wr.mw.addr = wr->mr->iova;
	to->wr.mw.rkey = wr->key;
	to->wr.mw.access = wr->access;
	return 0;
}

static int post_fill_op(struct rxe_send_wr *to, const struct ib_send_wr *wr,
			const struct rxo_qp *qp)
{
	to->wr_id = wr->wr_id;
	to->opcode = wr->opcode;
	to->send_flags = wr->send_flags;
	to->ex.imm_data = wr->ex.imm_data;
	if (rxo_qp_is_ud(qp)) {
		to->wr.ud.remote_qpn = ud_wr(wr)->remote_qpn;
		to->wr.ud.remote_qkey = ud_wr(wr)->remote_qkey;
		to->wr.ud.pkey_index = ud_wr(wr)->pkey_index;
		to->wr.ud.ah_num = to_rxo_ibah(ud_wr(wr)->ah)->ah_num;
		return wr->opcode == IB_WR_SEND || wr->opcode == IB_WR_SEND_WITH_IMM ? 0 : -EINVAL;
	}
	switch (wr->opcode) {
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
		return 0;
	case IB_WR_SEND_WITH_INV:
	case IB_WR_LOCAL_INV:
		to->ex.invalidate_rkey = wr->ex.invalidate_rkey;
		return 0;
	case IB_WR_REG_MR:
		return post_fill_reg(to, reg_wr(wr));
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
	case IB_WR_RDMA_READ:
	case IB_WR_ATOMIC_WRITE:
		to->wr.rdma.remote_addr = rdma_wr(wr)->remote_addr;
		to->wr.rdma.rkey = rdma_wr(wr)->rkey;
		return 0;
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		to->wr.atomic.remote_addr = atomic_wr(wr)->remote_addr;
		to->wr.atomic.rkey = atomic_wr(wr)->rkey;
		to->wr.atomic.compare_add = atomic_wr(wr)->compare_add;
		to->wr.atomic.swap = atomic_wr(wr)->swap;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int post_fill_inline(struct rxe_dma_info *dma, const struct ib_send_wr *wr,
			    const struct rxo_sq *sq)
{
	u32 at = 0;
	int i;

	for (i = 0; i < wr->num_sge; i++) {
		if (wr->sg_list[i].length > sq->max_inline_bytes - at)
			return -EINVAL;
		memcpy(dma->inline_data + at, ib_virt_dma_to_ptr(wr->sg_list[i].addr),
		       wr->sg_list[i].length);
		at += wr->sg_list[i].length;
	}
	dma->length = at;
	return 0;
}

static int post_fill_send(struct rxo_qp *qp, struct rxe_send_wqe *to, const struct ib_send_wr *wr)
{
	int i, err;

	if (wr->num_sge < 0 || wr->num_sge > qp->sq.max_sge)
		return -EINVAL;
	memset(to, 0, sizeof(*to));
	err = post_fill_op(&to->wr, wr, qp);
	if (err)
		return err;
	if (wr->send_flags & IB_SEND_INLINE)
		return post_fill_inline(&to->dma, wr, &qp->sq);
	for (i = 0; i < wr->num_sge; i++) {
		to->dma.sge[i].addr = wr->sg_list[i].addr;
		to->dma.sge[i].length = wr->sg_list[i].length;
		to->dma.sge[i].lkey = wr->sg_list[i].lkey;
	}
	to->dma.num_sge = wr->num_sge;
	return 0;
}

static int post_kernel(struct rxo_qp *qp, const struct ib_send_wr *wr,
		       const struct ib_send_wr **bad)
{
	struct rxo_sq *sq = &qp->sq;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&sq->post_lock, flags);
	if (rxo_qp_state(qp) < IB_QPS_RTS) {
		*bad = wr;
		err = -EINVAL;
		goto out;
	}
	for (; wr; wr = wr->next) {
		err = rxo_queue_kernel_full(sq->queue) ? -ENOMEM :
		      post_fill_send(qp, rxo_queue_kernel_slot(sq->queue), wr);
		if (err) {
			*bad = wr;
			break;
		}
		rxo_queue_kernel_push(sq->queue);
	}
	rxo_req_queue(qp);
out:
	spin_unlock_irqrestore(&sq->post_lock, flags);
	return err;
}

/*
 * User space rings the doorbell. The work item sends what exceeds one run's budget.
 *
 * The WQEs are in the ring before the doorbell. If the state does not allow sending,
 * they are removed: else they would be executed in RTS, or flushed in an error. This
 * is done under sq.lock, which is held when RTS is entered: the caller gets either
 * an error and no work, or success. (If two threads post, a refusal of one removes
 * the other's WQEs too.) WQEs in the shadow ring mean that the QP is about to be
 * emptied by rxo_qp_quiesce().
 */
static int post_doorbell(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	int err = 0;

	spin_lock_bh(&sq->lock);
	if (rxo_qp_state(qp) >= IB_QPS_RTS) {
		rxo_req_kick(qp);
	} else {
		err = -EINVAL;
		if (!sq->copied)
			rxo_queue_drop(sq->queue);
	}
	spin_unlock_bh(&sq->lock);
	rxo_poll_call(qp);
	/* librxe also rings it for receives posted in the error state. */
	if (rxo_qp_state(qp) == IB_QPS_ERR)
		queue_work(rxo_wq, &qp->rq.work);
	return err;
}

int rxo_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr, const struct ib_send_wr **bad)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	int err;

	if (!qp->sq.queue) {	/* an XRC target */
		*bad = wr;
		return -EINVAL;
	}
	if (!qp->user)
		return post_kernel(qp, wr, bad);
	err = post_doorbell(qp);
	if (err)
		*bad = wr;
	return err;
}

int rxo_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr, const struct ib_recv_wr **bad)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct rxo_rq *rq = &qp->rq;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&rq->post_lock, flags);
	if (rxo_qp_state(qp) < IB_QPS_INIT || !rq->queue || qp->user) {
		*bad = wr;
		err = -EINVAL;
		goto out;
	}
	for (; wr; wr = wr->next) {
		err = rxo_queue_kernel_full(rq->queue) ? -ENOMEM :
		      rxo_rwqe_fill(rxo_queue_kernel_slot(rq->queue), wr, rq->max_sge);
		if (err) {
			*bad = wr;
			break;
		}
		rxo_queue_kernel_push(rq->queue);
	}
	if (rxo_qp_state(qp) == IB_QPS_ERR)
		queue_work(rxo_wq, &rq->work);
out:
	spin_unlock_irqrestore(&rq->post_lock, flags);
	return err;
}
