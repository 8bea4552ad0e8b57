// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The extended way to post: a batch of work requests, each begun by its operation and completed by setters, published
 * together. The first error spoils the batch: nothing more is written, and nothing is published.
 */
#include "provider.h"

static void wr_start(struct ibv_qp_ex *ibqp)
{
	struct rxo_qp *qp = to_rxo_qp_ex(ibqp);

	rxo_lock(&qp->sq_lock);
	qp->batch = (struct rxo_batch){};
}

static int wr_complete(struct ibv_qp_ex *ibqp)
{
	struct rxo_qp *qp = to_rxo_qp_ex(ibqp);
	int err = qp->batch.err;

	if (!err && qp->batch.num) {
		rxo_ring_post(&qp->sq, qp->batch.num);
		err = rxo_post_sent(qp);
	}
	rxo_unlock(&qp->sq_lock);
	return err;
}

static void wr_abort(struct ibv_qp_ex *ibqp)
{
	rxo_unlock(&to_rxo_qp_ex(ibqp)->sq_lock);
}

static void wr_spoil(struct rxo_batch *batch, int err)
{
	if (!batch->err)
		batch->err = err;
	batch->wqe = NULL;
}

/* The next WQE, or NULL behind an error. */
static struct rxe_send_wqe *wr_begin(struct rxo_qp *qp, enum ibv_wr_opcode opcode)
{
	struct rxo_batch *batch = &qp->batch;
	const struct ibv_qp_ex *ex = &qp->vqp.qp_ex;
	int err;

	if (batch->err)
		return NULL;
	if (batch->num >= rxo_ring_room(&qp->sq)) {
		wr_spoil(batch, ENOMEM);
		return NULL;
	}
	batch->wqe = rxo_ring_at(&qp->sq, batch->num++);
	batch->opcode = opcode;
	batch->send_flags = ex->wr_flags;
	err = rxo_swqe_begin(batch->wqe, ex->wr_id, opcode, ex->wr_flags, &qp->bounds);
	if (err)
		wr_spoil(batch, err);
	return batch->wqe;
}

static void wr_send(struct ibv_qp_ex *ibqp)
{
	wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_SEND);
}

static void wr_send_imm(struct ibv_qp_ex *ibqp, __be32 imm_data)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_SEND_WITH_IMM);

	if (wqe)
		wqe->wr.ex.imm_data = imm_data;
}

static void wr_send_inv(struct ibv_qp_ex *ibqp, uint32_t rkey)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_SEND_WITH_INV);

	if (wqe)
		wqe->wr.ex.invalidate_rkey = rkey;
}

static void wr_local_inv(struct ibv_qp_ex *ibqp, uint32_t rkey)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_LOCAL_INV);

	if (wqe)
		wqe->wr.ex.invalidate_rkey = rkey;
}

static void wr_bind_mw(struct ibv_qp_ex *ibqp, struct ibv_mw *mw, uint32_t rkey,
		       const struct ibv_mw_bind_info *info)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_BIND_MW);

	if (wqe)
		rxo_swqe_set_bind(wqe, mw, rkey, info);
}

static void wr_rdma_write(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_RDMA_WRITE);

	if (wqe)
		rxo_swqe_set_rdma(wqe, remote_addr, rkey);
}

static void wr_rdma_write_imm(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr,
			      __be32 imm_data)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_RDMA_WRITE_WITH_IMM);

	if (!wqe)
		return;
	rxo_swqe_set_rdma(wqe, remote_addr, rkey);
	wqe->wr.ex.imm_data = imm_data;
}

static void wr_rdma_read(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_RDMA_READ);

	if (wqe)
		rxo_swqe_set_rdma(wqe, remote_addr, rkey);
}

static void wr_atomic_cmp_swp(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr,
			      uint64_t compare, uint64_t swap)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_ATOMIC_CMP_AND_SWP);

	if (wqe)
		rxo_swqe_set_atomic(wqe, remote_addr, rkey, compare, swap);
}

static void wr_atomic_fetch_add(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr,
				uint64_t add)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_ATOMIC_FETCH_AND_ADD);

	if (wqe)
		rxo_swqe_set_atomic(wqe, remote_addr, rkey, add, 0);
}

static void wr_atomic_write(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr,
			    const void *data)
{
	struct rxe_send_wqe *wqe = wr_begin(to_rxo_qp_ex(ibqp), IBV_WR_ATOMIC_WRITE);

	if (!wqe)
		return;
	rxo_swqe_set_rdma(wqe, remote_addr, rkey);
	rxo_swqe_set_atomic_write(wqe, data);
}

static void wr_flush(struct ibv_qp_ex *ibqp, uint32_t rkey, uint64_t remote_addr, size_t length,
		     uint8_t type, uint8_t level)
{
	struct rxo_qp *qp = to_rxo_qp_ex(ibqp);
	struct rxe_send_wqe *wqe = wr_begin(qp, IBV_WR_FLUSH);

	if (!wqe)
		return;
	/* The range has 32 bits on the wire; of a whole region no length is looked at. */
	if (level == IBV_FLUSH_RANGE && length > UINT32_MAX)
		wr_spoil(&qp->batch, EINVAL);
	else
		rxo_swqe_set_flush(wqe, remote_addr, rkey, length, type, level);
}

static void wr_set_ud_addr(struct ibv_qp_ex *ibqp, struct ibv_ah *ah, uint32_t remote_qpn,
			   uint32_t remote_qkey)
{
	struct rxe_send_wqe *wqe = to_rxo_qp_ex(ibqp)->batch.wqe;

	if (wqe)
		rxo_swqe_set_ud(wqe, ah, remote_qpn, remote_qkey);
}

static void wr_set_xrc_srqn(struct ibv_qp_ex *ibqp, uint32_t srq_num)
{
	struct rxe_send_wqe *wqe = to_rxo_qp_ex(ibqp)->batch.wqe;

	if (wqe)
		rxo_swqe_set_xrc(wqe, srq_num);
}

static void wr_set_sge_list(struct ibv_qp_ex *ibqp, size_t num, const struct ibv_sge *sges)
{
	struct rxo_qp *qp = to_rxo_qp_ex(ibqp);
	int err;

	if (!qp->batch.wqe)
		return;
	err = rxo_swqe_set_sges(qp->batch.wqe, sges, num, &qp->bounds);
	if (err)
		wr_spoil(&qp->batch, err);
}

static void wr_set_sge(struct ibv_qp_ex *ibqp, uint32_t lkey, uint64_t addr, uint32_t length)
{
	struct ibv_sge sge = { .addr = addr, .length = length, .lkey = lkey };

	wr_set_sge_list(ibqp, 1, &sge);
}

static void wr_set_inline_data_list(struct ibv_qp_ex *ibqp, size_t num,
				    const struct ibv_data_buf *bufs)
{
	struct rxo_qp *qp = to_rxo_qp_ex(ibqp);
	struct rxo_batch *batch = &qp->batch;
	int err;

	if (!batch->wqe)
		return;
	err = rxo_swqe_set_inline(batch->wqe, batch->opcode, batch->send_flags, bufs, num,
				  &qp->bounds);
	if (err)
		wr_spoil(batch, err);
}

static void wr_set_inline_data(struct ibv_qp_ex *ibqp, void *addr, size_t length)
{
	struct ibv_data_buf buf = { .addr = addr, .length = length };

	wr_set_inline_data_list(ibqp, 1, &buf);
}

void rxo_wr_init(struct ibv_qp_ex *qp, uint64_t send_ops)
{
	qp->wr_start = wr_start;
	qp->wr_complete = wr_complete;
	qp->wr_abort = wr_abort;
	qp->wr_set_sge = wr_set_sge;
	qp->wr_set_sge_list = wr_set_sge_list;
	qp->wr_set_inline_data = wr_set_inline_data;
	qp->wr_set_inline_data_list = wr_set_inline_data_list;
	qp->wr_set_ud_addr = wr_set_ud_addr;
	qp->wr_set_xrc_srqn = wr_set_xrc_srqn;
	if (send_ops & IBV_QP_EX_WITH_SEND)
		qp->wr_send = wr_send;
	if (send_ops & IBV_QP_EX_WITH_SEND_WITH_IMM)
		qp->wr_send_imm = wr_send_imm;
	if (send_ops & IBV_QP_EX_WITH_SEND_WITH_INV)
		qp->wr_send_inv = wr_send_inv;
	if (send_ops & IBV_QP_EX_WITH_LOCAL_INV)
		qp->wr_local_inv = wr_local_inv;
	if (send_ops & IBV_QP_EX_WITH_BIND_MW)
		qp->wr_bind_mw = wr_bind_mw;
	if (send_ops & IBV_QP_EX_WITH_RDMA_WRITE)
		qp->wr_rdma_write = wr_rdma_write;
	if (send_ops & IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)
		qp->wr_rdma_write_imm = wr_rdma_write_imm;
	if (send_ops & IBV_QP_EX_WITH_RDMA_READ)
		qp->wr_rdma_read = wr_rdma_read;
	if (send_ops & IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP)
		qp->wr_atomic_cmp_swp = wr_atomic_cmp_swp;
	if (send_ops & IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD)
		qp->wr_atomic_fetch_add = wr_atomic_fetch_add;
	if (send_ops & IBV_QP_EX_WITH_ATOMIC_WRITE)
		qp->wr_atomic_write = wr_atomic_write;
	if (send_ops & IBV_QP_EX_WITH_FLUSH)
		qp->wr_flush = wr_flush;
}
