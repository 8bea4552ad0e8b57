// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Work requests, copied and checked. What is mapped is read once, and what was
 * read is checked: the process may change it meanwhile.
 *
 * What librxe fills in for the kernel's convenience (first_psn, mask, ssn,
 * resid...) is not looked at.
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <rdma/rxe_odp-abi.h>

#include "queue/wqe_parse.h"

static bool wqe_is_atomic(u32 opcode)
{
	return opcode == IB_WR_ATOMIC_CMP_AND_SWP || opcode == IB_WR_ATOMIC_FETCH_AND_ADD;
}

static bool wqe_opcode_allowed(u32 opcode, const struct rxo_swqe_bounds *bounds)
{
	switch (opcode) {
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
		return true;
	case IB_WR_LOCAL_INV:
	case IB_WR_BIND_MW:
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
		return !bounds->ud;
	case IB_WR_SEND_WITH_INV:
	case IB_WR_RDMA_READ:
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return !bounds->ud && !bounds->uc;
	case IB_WR_FLUSH:
	case IB_WR_ATOMIC_WRITE:
		return !bounds->ud && !bounds->uc && !bounds->xrc;
	case IB_WR_REG_MR:
		return bounds->kernel && !bounds->ud;
	default:
		return false;
	}
}

/*
 * What else a process says of the address (MAC, network type, both IP addresses as sockaddrs)
 * follows from the GIDs, and is not looked at.
 */
static enum ib_wc_status wqe_copy_av(struct rxo_swqe_av *to, const struct rxe_av *av)
{
	memcpy(to->dgid, av->grh.dgid.raw, sizeof(to->dgid));
	to->flow_label = av->grh.flow_label;
	to->sgid_index = av->grh.sgid_index;
	to->hop_limit = av->grh.hop_limit;
	to->traffic_class = av->grh.traffic_class;
	return av->port_num == 1 ? IB_WC_SUCCESS : IB_WC_LOC_QP_OP_ERR;
}

static void wqe_copy_bind(struct rxo_swqe_bind *to, const struct rxe_send_wr *wr)
{
	to->addr = wr->wr.mw.addr;
	to->length = wr->wr.mw.length;
	to->lkey = wr->wr.mw.mr_lkey;
	to->mw_key = wr->wr.mw.mw_rkey;
	to->new_key = wr->wr.mw.rkey;
	to->access = wr->wr.mw.access;
}

static enum ib_wc_status wqe_copy_flush(struct rxo_swqe *to, const struct rxe_send_wr *wr)
{
	struct rxe_odp_flush_wr flush;

	memcpy(&flush, &wr->wr, sizeof(flush));
	to->remote_addr = flush.remote_addr;
	to->rkey = flush.rkey;
	to->flush_placement = flush.type;
	to->flush_whole = flush.level == IB_FLUSH_MR;
	if (!flush.type || flush.type & ~(IB_FLUSH_GLOBAL | IB_FLUSH_PERSISTENT) ||
	    flush.level > IB_FLUSH_MR)
		return IB_WC_LOC_QP_OP_ERR;
	return IB_WC_SUCCESS;
}

static enum ib_wc_status wqe_copy_op(struct rxo_swqe *to, const struct rxe_send_wr *wr, bool ud)
{
	if (to->opcode == IB_WR_FLUSH)
		return wqe_copy_flush(to, wr);
	if (ud) {
		to->remote_qpn = wr->wr.ud.remote_qpn;
		to->remote_qkey = wr->wr.ud.remote_qkey;
		to->ah_num = wr->wr.ud.ah_num;
		if (!to->ah_num)
			return wqe_copy_av(&to->av, &wr->wr.ud.av);
	} else if (wqe_is_atomic(to->opcode)) {
		to->remote_addr = wr->wr.atomic.remote_addr;
		to->rkey = wr->wr.atomic.rkey;
		to->compare_add = wr->wr.atomic.compare_add;
		to->swap = wr->wr.atomic.swap;
	} else if (to->opcode == IB_WR_SEND_WITH_INV || to->opcode == IB_WR_LOCAL_INV) {
		to->rkey = wr->ex.invalidate_rkey;
	} else if (to->opcode == IB_WR_BIND_MW) {
		wqe_copy_bind(&to->bind, wr);
	} else if (to->opcode == IB_WR_REG_MR) {
		/* post.c has used the fields of a bind. */
		to->remote_addr = wr->wr.mw.addr;
		to->rkey = wr->wr.mw.rkey;
		to->access = wr->wr.mw.access;
	} else {
		to->remote_addr = wr->wr.rdma.remote_addr;
		to->rkey = wr->wr.rdma.rkey;
	}
	return IB_WC_SUCCESS;
}

static enum ib_wc_status wqe_copy_inline(struct rxo_swqe *to, u32 bytes, const void *data,
					 u32 max_bytes)
{
	if (bytes > max_bytes)
		return IB_WC_LOC_LEN_ERR;
	if (to->opcode == IB_WR_RDMA_READ || wqe_is_atomic(to->opcode))
		return IB_WC_LOC_QP_OP_ERR;
	memcpy(to->inline_data, data, bytes);
	to->length_bytes = bytes;
	return IB_WC_SUCCESS;
}

/* The sum of the copies, or false if it is longer than a message may be. */
static bool wqe_copy_sges(struct rxe_sge *to, const struct rxe_sge *from, u32 num, u32 *bytes)
{
	u64 sum = 0;
	u32 i;

	memcpy(to, from, num * sizeof(*to));
	barrier();	/* @to is a copy: the compiler may not read the original again */
	for (i = 0; i < num; i++)
		sum += to[i].length;
	*bytes = sum;
	return sum <= RXO_MAX_MSG_BYTES;
}

static enum ib_wc_status wqe_copy_list(struct rxo_swqe *to, u32 num, const struct rxe_sge *sge,
				       u32 max_sge)
{
	u32 bytes;

	if (num > max_sge)
		return IB_WC_LOC_QP_OP_ERR;
	if (!wqe_copy_sges(to->sge, sge, num, &bytes))
		return IB_WC_LOC_LEN_ERR;
	to->num_sge = num;
	to->length_bytes = bytes;
	return IB_WC_SUCCESS;
}

static enum ib_wc_status wqe_check_length(const struct rxo_swqe *wqe,
					  const struct rxo_swqe_bounds *bounds)
{
	if (wqe_is_atomic(wqe->opcode) || wqe->opcode == IB_WR_ATOMIC_WRITE)
		return wqe->length_bytes == sizeof(u64) ? IB_WC_SUCCESS : IB_WC_LOC_LEN_ERR;
	if (bounds->ud && wqe->length_bytes > bounds->max_datagram_bytes)
		return IB_WC_LOC_LEN_ERR;
	return IB_WC_SUCCESS;
}

static enum ib_wc_status wqe_copy_data(struct rxo_swqe *to, const struct rxe_dma_info *dma,
				       u32 length, u32 num_sge,
				       const struct rxo_swqe_bounds *bounds)
{
	/* Of a FLUSH nothing is sent: the length is that of the peer's range. */
	if (to->opcode == IB_WR_FLUSH) {
		to->send_flags &= ~IB_SEND_INLINE;
		to->length_bytes = length;
		return IB_WC_SUCCESS;
	}
	/* The bytes of an ATOMIC WRITE stand in the WQE, and librxe does not call that inline. */
	if (to->opcode == IB_WR_ATOMIC_WRITE && !num_sge)
		to->send_flags |= IB_SEND_INLINE;
	if (to->send_flags & IB_SEND_INLINE)
		return wqe_copy_inline(to, length, dma->inline_data, bounds->max_inline_bytes);
	return wqe_copy_list(to, num_sge, dma->sge, bounds->max_sge);
}

enum ib_wc_status rxo_swqe_parse(struct rxo_swqe *to, const struct rxe_send_wqe *from,
				 const struct rxo_swqe_bounds *bounds)
{
	struct rxe_send_wr wr;
	u32 length, num_sge;
	enum ib_wc_status status;

	memcpy(&wr, &from->wr, sizeof(wr));
	length = READ_ONCE(from->dma.length);
	num_sge = READ_ONCE(from->dma.num_sge);
	barrier();	/* @wr is a copy: the compiler may not read the original again */

	memset(to, 0, sizeof(*to));
	to->wr_id = wr.wr_id;
	to->send_flags = wr.send_flags;
	if (!wqe_opcode_allowed(wr.opcode, bounds)) {
		to->opcode = IB_WR_SEND;
		return IB_WC_LOC_QP_OP_ERR;
	}
	to->opcode = wr.opcode;
	to->imm = wr.ex.imm_data;
	if (bounds->xrc)
		to->srq_num = wr.reserved;	/* <rdma/rxe_odp-abi.h> */
	status = wqe_copy_op(to, &wr, bounds->ud);
	if (status)
		return status;

	/* A local operation has no data, whatever the WQE says. */
	if (rxo_swqe_is_local(to))
		return IB_WC_SUCCESS;
	status = wqe_copy_data(to, &from->dma, length, num_sge, bounds);
	return status ?: wqe_check_length(to, bounds);
}

int rxo_rwqe_parse(struct rxo_rwqe *to, const struct rxe_recv_wqe *from, u32 max_sge)
{
	u32 num = READ_ONCE(from->dma.num_sge);
	u32 bytes;

	to->wr_id = READ_ONCE(from->wr_id);
	to->sgl.num = 0;
	to->sgl.length_bytes = 0;
	if (num > max_sge || num > RXO_MAX_SGE)
		return -EINVAL;
	if (!wqe_copy_sges(to->sgl.sge, from->dma.sge, num, &bytes))
		return -EINVAL;
	to->sgl.num = num;
	to->sgl.length_bytes = bytes;
	return 0;
}
