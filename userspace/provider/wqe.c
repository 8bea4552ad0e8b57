// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <string.h>

#include "wqe.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum op_kind {
	OP_REFUSED,
	OP_SEND,
	OP_SEND_INV,
	OP_RDMA,
	OP_ATOMIC,
	OP_LOCAL_INV,
	OP_BIND,
	OP_ATOMIC_WRITE,
	OP_FLUSH,
};

/* What a reliable connection executes, and which of these an unreliable one or a datagram's queue pair does too. */
static const struct {
	enum op_kind kind;
	uint64_t ex_flag;
	bool ud;
	bool no_inline;
	bool no_data; /* whatever the work request says of some */
	bool uc;
	bool no_xrc;
} send_ops[] = {
	[IBV_WR_RDMA_WRITE] = { OP_RDMA, IBV_QP_EX_WITH_RDMA_WRITE, .uc = true },
	[IBV_WR_RDMA_WRITE_WITH_IMM] = { OP_RDMA, IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM, .uc = true },
	[IBV_WR_SEND] = { OP_SEND, IBV_QP_EX_WITH_SEND, true, .uc = true },
	[IBV_WR_SEND_WITH_IMM] = { OP_SEND, IBV_QP_EX_WITH_SEND_WITH_IMM, true, .uc = true },
	[IBV_WR_RDMA_READ] = { OP_RDMA, IBV_QP_EX_WITH_RDMA_READ, false, true },
	[IBV_WR_ATOMIC_CMP_AND_SWP] = { OP_ATOMIC, IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP, false, true },
	[IBV_WR_ATOMIC_FETCH_AND_ADD] = { OP_ATOMIC, IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD, false,
					  true },
	[IBV_WR_SEND_WITH_INV] = { OP_SEND_INV, IBV_QP_EX_WITH_SEND_WITH_INV },
	[IBV_WR_LOCAL_INV] = { OP_LOCAL_INV, IBV_QP_EX_WITH_LOCAL_INV, false, true, true, true },
	[IBV_WR_BIND_MW] = { OP_BIND, IBV_QP_EX_WITH_BIND_MW, false, true, true, true },
	[IBV_WR_FLUSH] = { OP_FLUSH, IBV_QP_EX_WITH_FLUSH, false, true, .no_xrc = true },
	[IBV_WR_ATOMIC_WRITE] = { OP_ATOMIC_WRITE, IBV_QP_EX_WITH_ATOMIC_WRITE, .no_xrc = true },
};

static bool op_allowed(unsigned int opcode, const struct rxo_wqe_bounds *bounds)
{
	return opcode < ARRAY_SIZE(send_ops) && send_ops[opcode].kind != OP_REFUSED &&
	       (!bounds->ud || send_ops[opcode].ud) && (!bounds->uc || send_ops[opcode].uc) &&
	       !(bounds->xrc && send_ops[opcode].no_xrc);
}

uint64_t rxo_send_ops(const struct rxo_wqe_bounds *bounds)
{
	uint64_t flags = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(send_ops); i++)
		if (op_allowed(i, bounds))
			flags |= send_ops[i].ex_flag;
	return flags;
}

size_t rxo_swqe_bytes(const struct rxo_wqe_bounds *bounds)
{
	size_t sges = (bounds->max_sge ? bounds->max_sge : 1) * sizeof(struct rxe_sge);

	return sizeof(struct rxe_send_wqe) +
	       (sges > bounds->max_inline_bytes ? sges : bounds->max_inline_bytes);
}

size_t rxo_rwqe_bytes(uint32_t max_sge)
{
	return sizeof(struct rxe_recv_wqe) + max_sge * sizeof(struct rxe_sge);
}

int rxo_swqe_begin(struct rxe_send_wqe *wqe, uint64_t wr_id, unsigned int opcode,
		   unsigned int send_flags, const struct rxo_wqe_bounds *bounds)
{
	if (!op_allowed(opcode, bounds))
		return EINVAL;
	wqe->wr.wr_id = wr_id;
	wqe->wr.opcode = opcode;
	wqe->wr.send_flags = send_flags & ~(unsigned int)IBV_SEND_INLINE;
	wqe->dma.length = 0;
	wqe->dma.num_sge = 0;
	if (bounds->ud) {
		/* A datagram that is never told where to goes nowhere: neither a handle nor a port. */
		wqe->wr.wr.ud.ah_num = 0;
		wqe->wr.wr.ud.av.port_num = 0;
	}
	if (bounds->xrc)
		rxo_swqe_set_xrc(wqe, 0); /* no SRQ has that number */
	return 0;
}

static void sge_copy(struct rxe_sge *to, const struct ibv_sge *from)
{
	to->addr = from->addr;
	to->length = from->length;
	to->lkey = from->lkey;
}

int rxo_swqe_set_sges(struct rxe_send_wqe *wqe, const struct ibv_sge *sges, size_t num,
		      const struct rxo_wqe_bounds *bounds)
{
	uint64_t bytes = 0;
	size_t i;

	if (num > bounds->max_sge)
		return EINVAL;
	for (i = 0; i < num; i++) {
		sge_copy(&wqe->dma.sge[i], &sges[i]);
		bytes += sges[i].length;
	}
	if (bytes > RXO_MAX_MSG_BYTES)
		return EINVAL;
	wqe->dma.num_sge = num;
	wqe->dma.length = bytes;
	return 0;
}

/* Appends to the @at bytes that are there. Nothing is read back from a WQE: it lies in shared memory. */
static int inline_append(struct rxe_send_wqe *wqe, size_t *at, const void *data, size_t bytes,
			 const struct rxo_wqe_bounds *bounds)
{
	if (bytes > bounds->max_inline_bytes - *at)
		return EINVAL;
	if (bytes)
		memcpy(wqe->dma.inline_data + *at, data, bytes);
	*at += bytes;
	return 0;
}

static int inline_end(struct rxe_send_wqe *wqe, unsigned int opcode, unsigned int send_flags,
		      size_t bytes)
{
	if (send_ops[opcode].no_inline)
		return EINVAL;
	wqe->dma.length = bytes;
	wqe->wr.send_flags = send_flags | IBV_SEND_INLINE;
	return 0;
}

int rxo_swqe_set_inline(struct rxe_send_wqe *wqe, unsigned int opcode, unsigned int send_flags,
			const struct ibv_data_buf *bufs, size_t num,
			const struct rxo_wqe_bounds *bounds)
{
	size_t at = 0, i;
	int err = 0;

	for (i = 0; !err && i < num; i++)
		err = inline_append(wqe, &at, bufs[i].addr, bufs[i].length, bounds);
	return err ? err : inline_end(wqe, opcode, send_flags, at);
}

void rxo_swqe_set_rdma(struct rxe_send_wqe *wqe, uint64_t remote_addr, uint32_t rkey)
{
	wqe->wr.wr.rdma.remote_addr = remote_addr;
	wqe->wr.wr.rdma.rkey = rkey;
}

void rxo_swqe_set_atomic(struct rxe_send_wqe *wqe, uint64_t remote_addr, uint32_t rkey,
			 uint64_t compare_add, uint64_t swap)
{
	wqe->wr.wr.atomic.remote_addr = remote_addr;
	wqe->wr.wr.atomic.rkey = rkey;
	wqe->wr.wr.atomic.compare_add = compare_add;
	wqe->wr.wr.atomic.swap = swap;
}

void rxo_swqe_set_bind(struct rxe_send_wqe *wqe, const struct ibv_mw *mw, uint32_t rkey,
		       const struct ibv_mw_bind_info *info)
{
	wqe->wr.wr.mw.addr = info->addr;
	wqe->wr.wr.mw.length = info->length;
	/* What unbinds names no region. */
	wqe->wr.wr.mw.mr_lkey = info->mr ? info->mr->lkey : 0;
	wqe->wr.wr.mw.mw_rkey = mw->rkey;
	wqe->wr.wr.mw.rkey = rkey;
	wqe->wr.wr.mw.access = info->mw_access_flags;
}

void rxo_swqe_set_atomic_write(struct rxe_send_wqe *wqe, const void *data)
{
	memcpy(wqe->dma.inline_data, data, RXO_ATOMIC_BYTES);
	wqe->dma.length = RXO_ATOMIC_BYTES;
}

void rxo_swqe_set_flush(struct rxe_send_wqe *wqe, uint64_t remote_addr, uint32_t rkey,
			uint32_t length, uint8_t type, uint8_t level)
{
	struct rxe_odp_flush_wr flush = {
		.remote_addr = remote_addr,
		.rkey = rkey,
		.type = type,
		.level = level,
	};

	memcpy(&wqe->wr.wr, &flush, sizeof(flush));
	wqe->dma.length = length;
}

void rxo_swqe_set_ud(struct rxe_send_wqe *wqe, const struct ibv_ah *ah, uint32_t remote_qpn,
		     uint32_t remote_qkey)
{
	/* An ibv_ah of ours is the first member of its rxo_ah. */
	wqe->wr.wr.ud.ah_num = ((const struct rxo_ah *)ah)->ah_num;
	wqe->wr.wr.ud.remote_qpn = remote_qpn;
	wqe->wr.wr.ud.remote_qkey = remote_qkey;
}

void rxo_swqe_set_xrc(struct rxe_send_wqe *wqe, uint32_t srq_num)
{
	wqe->wr.reserved = srq_num; /* <rdma/rxe_odp-abi.h> */
}

/* Here the pieces are given as SGEs; their number is not bounded, only the bytes are. */
static int swqe_set_inline_sges(struct rxe_send_wqe *wqe, const struct ibv_send_wr *wr,
				const struct rxo_wqe_bounds *bounds)
{
	size_t at = 0;
	int i, err = 0;

	for (i = 0; !err && i < wr->num_sge; i++)
		err = inline_append(wqe, &at, (void *)(uintptr_t)wr->sg_list[i].addr,
				    wr->sg_list[i].length, bounds);
	return err ? err : inline_end(wqe, wr->opcode, wr->send_flags, at);
}

static void swqe_set_op(struct rxe_send_wqe *wqe, const struct ibv_send_wr *wr)
{
	switch (send_ops[wr->opcode].kind) {
	case OP_RDMA:
	case OP_ATOMIC_WRITE:
		rxo_swqe_set_rdma(wqe, wr->wr.rdma.remote_addr, wr->wr.rdma.rkey);
		break;
	case OP_ATOMIC:
		rxo_swqe_set_atomic(wqe, wr->wr.atomic.remote_addr, wr->wr.atomic.rkey,
				    wr->wr.atomic.compare_add, wr->wr.atomic.swap);
		break;
	case OP_BIND:
		rxo_swqe_set_bind(wqe, wr->bind_mw.mw, wr->bind_mw.rkey, &wr->bind_mw.bind_info);
		break;
	case OP_SEND:
	case OP_SEND_INV:
	case OP_LOCAL_INV:
	case OP_FLUSH:
	case OP_REFUSED:
		break;
	}
}

int rxo_swqe_fill(struct rxe_send_wqe *wqe, const struct ibv_send_wr *wr,
		  const struct rxo_wqe_bounds *bounds)
{
	int err = rxo_swqe_begin(wqe, wr->wr_id, wr->opcode, wr->send_flags, bounds);

	if (err)
		return err;
	/* A work request of the old kind cannot say what a FLUSH is to place, and how much. */
	if (wr->num_sge < 0 || (bounds->ud && !wr->wr.ud.ah) ||
	    send_ops[wr->opcode].kind == OP_FLUSH)
		return EINVAL;
	/* One field by either name: immediate data, or the key to invalidate. */
	wqe->wr.ex.imm_data = wr->imm_data;
	if (bounds->ud)
		rxo_swqe_set_ud(wqe, wr->wr.ud.ah, wr->wr.ud.remote_qpn, wr->wr.ud.remote_qkey);
	else
		swqe_set_op(wqe, wr);
	if (bounds->xrc)
		rxo_swqe_set_xrc(wqe, wr->qp_type.xrc.remote_srqn);
	if (send_ops[wr->opcode].no_data)
		return 0;
	if (wr->send_flags & IBV_SEND_INLINE)
		return swqe_set_inline_sges(wqe, wr, bounds);
	return rxo_swqe_set_sges(wqe, wr->sg_list, wr->num_sge, bounds);
}

int rxo_rwqe_fill(struct rxe_recv_wqe *wqe, const struct ibv_recv_wr *wr, uint32_t max_sge)
{
	int i;

	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > max_sge)
		return EINVAL;
	wqe->wr_id = wr->wr_id;
	wqe->dma.num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++)
		sge_copy(&wqe->dma.sge[i], &wr->sg_list[i]);
	return 0;
}
