// SPDX-License-Identifier: GPL-2.0
/*
 * Send WQEs: copied once out of memory that a process may write at any time,
 * checked, and from then on read only from the shadow ring.
 *
 * A WQE that is malformed is copied all the same, with the status it is to
 * complete with: it must wait its turn behind those before it. What librxe
 * fills in for the kernel's convenience (first_psn, mask, ssn, resid...) is
 * not looked at.
 */

#include "qp.h"
#include "queue.h"

struct rxo_swqe *rxo_swqe_at(struct rxo_qp *qp, u32 nth)
{
	struct rxo_sq *sq = &qp->sq;
	u32 at = (sq->queue->index + nth) & sq->queue->mask;

	return sq->shadow + (size_t)at * sq->swqe_bytes;
}

static bool opcode_allowed(const struct rxo_qp *qp, u32 opcode)
{
	switch (opcode) {
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
		return true;
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
	case IB_WR_RDMA_READ:
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return !rxo_qp_is_ud(qp);
	default:
		return false;
	}
}

static void copy_op(struct rxo_swqe *to, const struct rxe_send_wr *wr, bool ud)
{
	if (ud) {
		to->remote_qpn = wr->wr.ud.remote_qpn;
		to->remote_qkey = wr->wr.ud.remote_qkey;
		to->ah_num = wr->wr.ud.ah_num;
		return;
	}
	switch (to->opcode) {
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		to->remote_addr = wr->wr.atomic.remote_addr;
		to->rkey = wr->wr.atomic.rkey;
		to->compare_add = wr->wr.atomic.compare_add;
		to->swap = wr->wr.atomic.swap;
		break;
	default:
		to->remote_addr = wr->wr.rdma.remote_addr;
		to->rkey = wr->wr.rdma.rkey;
	}
}

static enum ib_wc_status copy_inline(struct rxo_swqe *to, const struct rxo_sq *sq, u32 bytes,
				     const void *data)
{
	if (bytes > sq->max_inline_bytes)
		return IB_WC_LOC_LEN_ERR;
	if (to->opcode == IB_WR_RDMA_READ || to->opcode == IB_WR_ATOMIC_CMP_AND_SWP ||
	    to->opcode == IB_WR_ATOMIC_FETCH_AND_ADD)
		return IB_WC_LOC_QP_OP_ERR;
	memcpy(to->inline_data, data, bytes);
	to->length_bytes = bytes;
	return IB_WC_SUCCESS;
}

static enum ib_wc_status copy_sges(struct rxo_swqe *to, const struct rxo_sq *sq, u32 num,
				   const struct rxe_sge *sge)
{
	u64 sum = 0;
	u32 i;

	if (num > sq->max_sge)
		return IB_WC_LOC_QP_OP_ERR;
	memcpy(to->sge, sge, num * sizeof(*sge));
	for (i = 0; i < num; i++)
		sum += to->sge[i].length;
	if (sum > RXO_MAX_MSG_BYTES)
		return IB_WC_LOC_LEN_ERR;
	to->num_sge = num;
	to->length_bytes = sum;
	return IB_WC_SUCCESS;
}

static enum ib_wc_status check_length(const struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	switch (wqe->opcode) {
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return wqe->length_bytes == sizeof(u64) ? IB_WC_SUCCESS : IB_WC_LOC_LEN_ERR;
	}
	/* A datagram is one packet, on whatever path: as long as the port's MTU lets it be. */
	if (rxo_qp_is_ud(qp) &&
	    wqe->length_bytes > ib_mtu_enum_to_int(READ_ONCE(qp->dev->mtu_cap)))
		return IB_WC_LOC_LEN_ERR;
	return IB_WC_SUCCESS;
}

static enum ib_wc_status copy_wqe(struct rxo_qp *qp, struct rxo_swqe *to, const void *slot)
{
	const struct rxe_send_wqe *shared = slot;
	struct rxe_send_wr wr;
	u32 length, num_sge;
	enum ib_wc_status status;

	memcpy(&wr, &shared->wr, sizeof(wr));
	length = READ_ONCE(shared->dma.length);
	num_sge = READ_ONCE(shared->dma.num_sge);
	barrier();	/* @wr is a copy: the compiler may not read the original again */

	memset(to, 0, sizeof(*to));
	to->wr_id = wr.wr_id;
	to->send_flags = wr.send_flags;
	if (!opcode_allowed(qp, wr.opcode)) {
		to->opcode = IB_WR_SEND;
		return IB_WC_LOC_QP_OP_ERR;
	}
	to->opcode = wr.opcode;
	to->imm = wr.ex.imm_data;
	copy_op(to, &wr, rxo_qp_is_ud(qp));

	if (to->send_flags & IB_SEND_INLINE)
		status = copy_inline(to, &qp->sq, length, shared->dma.inline_data);
	else
		status = copy_sges(to, &qp->sq, num_sge, shared->dma.sge);
	return status ?: check_length(qp, to);
}

/*
 * Takes the next WQE that was posted into the shadow ring. NULL when there is
 * none. Under sq.lock.
 */
struct rxo_swqe *rxo_swqe_copy_next(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	struct rxo_swqe *wqe;

	lockdep_assert_held(&sq->lock);
	if (sq->copied >= rxo_queue_count(sq->queue))
		return NULL;
	wqe = rxo_swqe_at(qp, sq->copied);
	wqe->status = copy_wqe(qp, wqe, rxo_queue_at(sq->queue, sq->copied));
	sq->copied++;
	return wqe;
}

static const enum ib_wc_opcode wc_opcodes[] = {
	[IB_WR_RDMA_WRITE] = IB_WC_RDMA_WRITE,
	[IB_WR_RDMA_WRITE_WITH_IMM] = IB_WC_RDMA_WRITE,
	[IB_WR_SEND] = IB_WC_SEND,
	[IB_WR_SEND_WITH_IMM] = IB_WC_SEND,
	[IB_WR_RDMA_READ] = IB_WC_RDMA_READ,
	[IB_WR_ATOMIC_CMP_AND_SWP] = IB_WC_COMP_SWAP,
	[IB_WR_ATOMIC_FETCH_AND_ADD] = IB_WC_FETCH_ADD,
};

/*
 * Completes the oldest WQE: gives its slot back, then its completion (in this
 * order, so that whoever polled it may post). Under sq.lock.
 */
void rxo_swqe_complete(struct rxo_qp *qp, enum ib_wc_status status)
{
	struct rxo_swqe *wqe = rxo_swqe_at(qp, 0);
	bool signaled = qp->sq_sig_all || (wqe->send_flags & IB_SEND_SIGNALED);
	struct ib_wc wc = {
		.wr_id = wqe->wr_id,
		.status = status,
		.opcode = wc_opcodes[wqe->opcode],
		.byte_len = wqe->length_bytes,
		.qp = &qp->ibqp,
		.port_num = 1,
	};

	lockdep_assert_held(&qp->sq.lock);
	if (wqe->opcode == IB_WR_RDMA_WRITE_WITH_IMM)
		wc.wc_flags = IB_WC_WITH_IMM;
	qp->sq.rd_atomic -= wqe->counts_rd;
	rxo_queue_advance(qp->sq.queue);
	qp->sq.copied--;
	if (qp->sq.cur)
		qp->sq.cur--;
	if ((signaled || status != IB_WC_SUCCESS) &&
	    rxo_cq_post(qp->send_cq, &wc, status != IB_WC_SUCCESS))
		rxo_qp_set_error(qp);
}

/* In the error state: every WQE, copied or not, completes as flushed. Under sq.lock. */
void rxo_sq_flush(struct rxo_qp *qp)
{
	u32 budget = qp->sq.queue->mask + 1;

	lockdep_assert_held(&qp->sq.lock);
	while (budget-- && (qp->sq.copied || rxo_swqe_copy_next(qp)))
		rxo_swqe_complete(qp, IB_WC_WR_FLUSH_ERR);
	qp->sq.cur = 0;
}
