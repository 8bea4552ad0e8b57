// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Extended polling: one completion at a time, whose fields a program asks for. It is copied once when the poll comes to it and
 * given back to the kernel at once, so that a program that polls long without an end keeps no room from those that come.
 */
#include "cqe.h"
#include "provider.h"

/* Under cq->lock from start_poll to end_poll, but where start_poll finds nothing. */
static int cq_ex_advance(struct rxo_cq *cq)
{
	if (!rxo_ring_filled(&cq->ring))
		return ENOENT;
	rxo_cqe_parse(&cq->wc, rxo_ring_at(&cq->ring, 0));
	rxo_ring_take(&cq->ring, 1);
	cq->vcq.cq_ex.wr_id = cq->wc.wr_id;
	cq->vcq.cq_ex.status = cq->wc.status;
	return 0;
}

static int cq_ex_start_poll(struct ibv_cq_ex *ibcq, struct ibv_poll_cq_attr *attr)
{
	struct rxo_cq *cq = to_rxo_cq_ex(ibcq);
	int err;

	if (attr->comp_mask)
		return EINVAL;
	rxo_lock(&cq->lock);
	err = cq_ex_advance(cq);
	if (err)
		rxo_unlock(&cq->lock);
	return err;
}

static int cq_ex_next_poll(struct ibv_cq_ex *ibcq)
{
	return cq_ex_advance(to_rxo_cq_ex(ibcq));
}

static void cq_ex_end_poll(struct ibv_cq_ex *ibcq)
{
	rxo_unlock(&to_rxo_cq_ex(ibcq)->lock);
}

static enum ibv_wc_opcode cq_ex_read_opcode(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.opcode;
}

static uint32_t cq_ex_read_vendor_err(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.vendor_err;
}

static unsigned int cq_ex_read_wc_flags(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.wc_flags;
}

static uint32_t cq_ex_read_byte_len(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.byte_len;
}

static __be32 cq_ex_read_imm_data(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.imm_data;
}

static uint32_t cq_ex_read_qp_num(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.qp_num;
}

static uint32_t cq_ex_read_src_qp(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.src_qp;
}

static uint32_t cq_ex_read_slid(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.slid;
}

static uint8_t cq_ex_read_sl(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.sl;
}

static uint8_t cq_ex_read_dlid_path_bits(struct ibv_cq_ex *ibcq)
{
	return to_rxo_cq_ex(ibcq)->wc.dlid_path_bits;
}

void rxo_cq_ex_init(struct ibv_cq_ex *cq, uint64_t wc_flags)
{
	cq->start_poll = cq_ex_start_poll;
	cq->next_poll = cq_ex_next_poll;
	cq->end_poll = cq_ex_end_poll;
	cq->read_opcode = cq_ex_read_opcode;
	cq->read_vendor_err = cq_ex_read_vendor_err;
	cq->read_wc_flags = cq_ex_read_wc_flags;
	if (wc_flags & IBV_WC_EX_WITH_BYTE_LEN)
		cq->read_byte_len = cq_ex_read_byte_len;
	if (wc_flags & IBV_WC_EX_WITH_IMM)
		cq->read_imm_data = cq_ex_read_imm_data;
	if (wc_flags & IBV_WC_EX_WITH_QP_NUM)
		cq->read_qp_num = cq_ex_read_qp_num;
	if (wc_flags & IBV_WC_EX_WITH_SRC_QP)
		cq->read_src_qp = cq_ex_read_src_qp;
	if (wc_flags & IBV_WC_EX_WITH_SLID)
		cq->read_slid = cq_ex_read_slid;
	if (wc_flags & IBV_WC_EX_WITH_SL)
		cq->read_sl = cq_ex_read_sl;
	if (wc_flags & IBV_WC_EX_WITH_DLID_PATH_BITS)
		cq->read_dlid_path_bits = cq_ex_read_dlid_path_bits;
}
