// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdbool.h>
#include <string.h>

#include "cqe.h"

static bool cqe_opcode_known(uint32_t opcode)
{
	switch (opcode) {
	case IBV_WC_SEND:
	case IBV_WC_RDMA_WRITE:
	case IBV_WC_RDMA_READ:
	case IBV_WC_COMP_SWAP:
	case IBV_WC_FETCH_ADD:
	case IBV_WC_BIND_MW:
	case IBV_WC_LOCAL_INV:
	case IBV_WC_FLUSH:
	case IBV_WC_ATOMIC_WRITE:
	case IBV_WC_RECV:
	case IBV_WC_RECV_RDMA_WITH_IMM:
		return true;
	default:
		return false;
	}
}

void rxo_cqe_parse(struct ibv_wc *to, const struct ib_uverbs_wc *from)
{
	struct ib_uverbs_wc wc;

	memcpy(&wc, from, sizeof(wc));
	/* @wc is a copy: the compiler may not read the original again. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (wc.status > IBV_WC_GENERAL_ERR ||
	    (wc.status == IBV_WC_SUCCESS && !cqe_opcode_known(wc.opcode)))
		wc.status = IBV_WC_GENERAL_ERR;
	*to = (struct ibv_wc){
		.wr_id = wc.wr_id,
		.status = wc.status,
		.opcode = wc.opcode,
		.vendor_err = wc.vendor_err,
		.byte_len = wc.byte_len,
		.imm_data = wc.ex.imm_data,
		.qp_num = wc.qp_num,
		.src_qp = wc.src_qp,
		.wc_flags = wc.wc_flags & (IBV_WC_GRH | IBV_WC_WITH_IMM | IBV_WC_WITH_INV),
		.pkey_index = wc.pkey_index,
		.slid = wc.slid,
		.sl = wc.sl,
		.dlid_path_bits = wc.dlid_path_bits,
	};
}

void rxo_cqe_forget(struct rxo_ring *ring, uint32_t qp_num)
{
	uint32_t filled = rxo_ring_filled(ring), kept = 0, i;

	/* From the newest on: what stays moves towards it, into entries that were looked at before. */
	for (i = filled; i--;) {
		const struct ib_uverbs_wc *from = rxo_ring_at(ring, i);
		struct ib_uverbs_wc *to = rxo_ring_at(ring, filled - 1 - kept);

		if (from->qp_num == qp_num)
			continue;
		if (to != from)
			memcpy(to, from, sizeof(*to));
		kept++;
	}
	if (kept != filled)
		rxo_ring_take(ring, filled - kept);
}
