// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Shared receive queues. */
#include <stdlib.h>

#include "provider.h"

#define SRQ_COMP_MASK (IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD)
#define XRC_COMP_MASK (SRQ_COMP_MASK | IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ)

static int srq_check_attr(const struct ibv_srq_init_attr_ex *attr)
{
	enum ibv_srq_type type = attr->comp_mask & IBV_SRQ_INIT_ATTR_TYPE ? attr->srq_type :
									    IBV_SRQT_BASIC;
	uint32_t needed = IBV_SRQ_INIT_ATTR_PD, known = SRQ_COMP_MASK;

	if (type == IBV_SRQT_XRC) {
		needed = XRC_COMP_MASK;
		known = XRC_COMP_MASK;
	} else if (type != IBV_SRQT_BASIC) {
		return EOPNOTSUPP;
	}
	if (!check_comp_mask(attr->comp_mask, known))
		return EOPNOTSUPP;
	return check_comp_mask(needed, attr->comp_mask) ? 0 : EINVAL;
}

static int srq_create_kernel(struct ibv_context *ibctx, struct rxo_srq *srq,
			     struct ibv_srq_init_attr_ex *attr)
{
	struct rxo_create_srq_cmd_resp resp = {};
	struct rxo_create_srq_cmd cmd = {};
	int err;

	err = ibv_cmd_create_srq_ex(ibctx, &srq->vsrq, attr, &cmd.ibv_cmd, sizeof(cmd),
				    &resp.ibv_resp, sizeof(resp));
	if (err)
		return err;
	srq->max_sge = attr->attr.max_sge;
	err = rxo_ring_map(&srq->ring, ibctx, &resp.mi, rxo_rwqe_bytes(srq->max_sge));
	if (err)
		ibv_cmd_destroy_srq(&srq->vsrq.srq);
	return err;
}

struct ibv_srq *rxo_create_srq_ex(struct ibv_context *ibctx, struct ibv_srq_init_attr_ex *attr)
{
	struct rxo_srq *srq;
	struct rxo_pd *pd;
	int err;

	err = srq_check_attr(attr);
	if (err) {
		errno = err;
		return NULL;
	}
	srq = calloc(1, sizeof(*srq));
	if (!srq)
		return NULL;
	err = srq_create_kernel(ibctx, srq, attr);
	if (err) {
		free(srq);
		errno = err;
		return NULL;
	}
	pd = to_rxo_pd(attr->pd);
	rxo_lock_init(&srq->lock, rxo_pd_single_threaded(pd));
	if (pd->domain) {
		srq->parent = pd;
		rxo_pd_join(pd);
	}
	return &srq->vsrq.srq;
}

struct ibv_srq *rxo_create_srq(struct ibv_pd *ibpd, struct ibv_srq_init_attr *attr)
{
	struct ibv_srq_init_attr_ex ex = {
		.srq_context = attr->srq_context,
		.attr = attr->attr,
		.comp_mask = SRQ_COMP_MASK,
		.srq_type = IBV_SRQT_BASIC,
		.pd = ibpd,
	};
	struct ibv_srq *ibsrq = rxo_create_srq_ex(ibpd->context, &ex);

	if (ibsrq)
		attr->attr = ex.attr;
	return ibsrq;
}

/* As with a CQ's: what was posted has moved, and there is no way back. */
static int srq_take_new_ring(struct rxo_srq *srq, const struct mminfo *mi)
{
	struct rxo_ring ring = {};
	int err;

	err = rxo_ring_map(&ring, srq->vsrq.srq.context, mi, rxo_rwqe_bytes(srq->max_sge));
	if (err) {
		rxo_ring_kill(&srq->ring);
		return err;
	}
	rxo_ring_resume_posting(&ring);
	rxo_ring_unmap(&srq->ring);
	srq->ring = ring;
	return 0;
}

int rxo_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	struct mminfo mi = {};
	struct rxo_modify_srq_cmd cmd = { .mmap_info_addr = (uintptr_t)&mi };
	int err;

	rxo_lock(&srq->lock);
	err = ibv_cmd_modify_srq(ibsrq, attr, mask, &cmd.ibv_cmd, sizeof(cmd));
	if (!err && (mask & IBV_SRQ_MAX_WR))
		err = srq_take_new_ring(srq, &mi);
	rxo_unlock(&srq->lock);
	return err;
}

int rxo_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr)
{
	struct ibv_query_srq cmd;

	return ibv_cmd_query_srq(ibsrq, attr, &cmd, sizeof(cmd));
}

int rxo_destroy_srq(struct ibv_srq *ibsrq)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	int err = ibv_cmd_destroy_srq(ibsrq);

	if (err)
		return err;
	if (srq->parent)
		rxo_pd_leave(srq->parent);
	rxo_ring_unmap(&srq->ring);
	rxo_lock_destroy(&srq->lock);
	free(srq);
	return 0;
}

int rxo_get_srq_num(struct ibv_srq *ibsrq, uint32_t *srq_num)
{
	const struct rxo_srq *srq = to_rxo_srq(ibsrq);

	/* Others have none that a peer could name. */
	if (srq->vsrq.srq_type != IBV_SRQT_XRC)
		return EOPNOTSUPP;
	*srq_num = srq->vsrq.srq_num;
	return 0;
}

int rxo_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	int err;

	rxo_lock(&srq->lock);
	rxo_post_fill_recvs(&srq->ring, srq->max_sge, wr, bad, &err);
	rxo_unlock(&srq->lock);
	return err;
}
