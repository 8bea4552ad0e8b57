// SPDX-License-Identifier: GPL-2.0
/*
 * Send WQEs in order: taken out of the mapped ring (wqe_parse.c), and from then
 * on read only from the shadow ring, until they complete.
 */

#include "queue/queue.h"
#include "transport/qp.h"

struct rxo_swqe *rxo_swqe_at(struct rxo_qp *qp, u32 nth)
{
	struct rxo_sq *sq = &qp->sq;
	u32 at = (sq->queue->index + nth) & sq->shadow_mask;

	return sq->shadow + (size_t)at * sq->swqe_bytes;
}

/* Whether more is posted than was taken. If not, the requester has run dry. Under sq.lock. */
bool rxo_swqe_posted(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	sq->ran_dry = sq->copied >= rxo_queue_count(sq->queue);
	return !sq->ran_dry;
}

/*
 * Takes the next WQE that was posted into the shadow ring. NULL when there is
 * none, or no room before one completes. Under sq.lock.
 */
struct rxo_swqe *rxo_swqe_copy_next(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	/* A datagram is one packet; the port's MTU bounds it, on any path. */
	const struct rxo_swqe_bounds bounds = {
		.max_sge = sq->max_sge,
		.max_inline_bytes = sq->max_inline_bytes,
		.max_datagram_bytes = ib_mtu_enum_to_int(READ_ONCE(qp->dev->mtu_cap)),
		.ud = rxo_qp_is_ud(qp),
		.uc = qp->ibqp.qp_type == IB_QPT_UC,
		.xrc = qp->ibqp.qp_type == IB_QPT_XRC_INI,
		.kernel = !qp->user,
	};
	struct rxo_swqe *wqe;

	lockdep_assert_held(&sq->lock);
	if (sq->copied > sq->shadow_mask || !rxo_swqe_posted(qp))
		return NULL;
	wqe = rxo_swqe_at(qp, sq->copied);
	wqe->status = rxo_swqe_parse(wqe, rxo_queue_at(sq->queue, sq->copied), &bounds);
	WRITE_ONCE(sq->copied, sq->copied + 1);
	return wqe;
}

static const enum ib_wc_opcode wc_opcodes[] = {
	[IB_WR_RDMA_WRITE] = IB_WC_RDMA_WRITE,
	[IB_WR_RDMA_WRITE_WITH_IMM] = IB_WC_RDMA_WRITE,
	[IB_WR_SEND] = IB_WC_SEND,
	[IB_WR_SEND_WITH_IMM] = IB_WC_SEND,
	[IB_WR_SEND_WITH_INV] = IB_WC_SEND,
	[IB_WR_LOCAL_INV] = IB_WC_LOCAL_INV,
	[IB_WR_REG_MR] = IB_WC_REG_MR,
	[IB_WR_BIND_MW] = IB_WC_BIND_MW,
	[IB_WR_RDMA_READ] = IB_WC_RDMA_READ,
	[IB_WR_ATOMIC_CMP_AND_SWP] = IB_WC_COMP_SWAP,
	[IB_WR_ATOMIC_FETCH_AND_ADD] = IB_WC_FETCH_ADD,
	[IB_WR_FLUSH] = IB_WC_FLUSH,
	[IB_WR_ATOMIC_WRITE] = IB_WC_ATOMIC_WRITE,
};

/* The slot is given back first: a process that has polled the completion finds room to post. */
static void swqe_complete_one(struct rxo_qp *qp, enum ib_wc_status status)
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
	if (wc.opcode == IB_WC_SEND && status != IB_WC_WR_FLUSH_ERR)
		rxo_tx_count(&qp->sq.tx, RXO_STAT_SENDS, 1);
	qp->sq.rd_atomic -= wqe->counts_rd;
	rxo_queue_advance(qp->sq.queue);
	WRITE_ONCE(qp->sq.copied, qp->sq.copied - 1);
	if (qp->sq.cur)
		qp->sq.cur--;
	if ((signaled || status != IB_WC_SUCCESS) &&
	    rxo_cq_post(qp->send_cq, &wc, status != IB_WC_SUCCESS))
		rxo_qp_set_fatal(qp);
}

/* Whether the oldest WQE is a local operation, which was done while older ones were not. */
static bool swqe_local_is_done(struct rxo_qp *qp)
{
	const struct rxo_swqe *wqe = rxo_swqe_at(qp, 0);

	return qp->sq.copied && wqe->started && rxo_swqe_is_local(wqe);
}

/* Completes the oldest WQE, and what is done behind it. Under sq.lock. */
void rxo_swqe_complete(struct rxo_qp *qp, enum ib_wc_status status)
{
	swqe_complete_one(qp, status);
	while (status == IB_WC_SUCCESS && swqe_local_is_done(qp))
		swqe_complete_one(qp, status);
}

/*
 * In the error state: every WQE, copied or not, completes as flushed. A queue may hold a million,
 * so the work item flushes what exceeds one batch. True if there is more.
 */
bool rxo_sq_flush(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	u32 budget = RXO_FLUSH_WQES;

	lockdep_assert_held(&sq->lock);
	while (budget && (sq->copied || rxo_swqe_copy_next(qp))) {
		rxo_swqe_complete(qp, IB_WC_WR_FLUSH_ERR);
		budget--;
	}
	sq->cur = 0;
	if (!budget)
		queue_work(rxo_wq, &sq->work);
	return !budget;
}
