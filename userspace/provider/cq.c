// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues: polled in the mapped ring, without the kernel. */
#include <stdlib.h>

#include "cqe.h"
#include "provider.h"

/* The fields that completions have. There is no clock. */
#define CQ_WC_FLAGS  IBV_WC_STANDARD_FLAGS
#define CQ_COMP_MASK (IBV_CQ_INIT_ATTR_MASK_FLAGS | IBV_CQ_INIT_ATTR_MASK_PD)
/* The second is the kernel's to refuse. */
#define CQ_FLAGS (IBV_CREATE_CQ_ATTR_SINGLE_THREADED | IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN)

/*
 * @attr->flags: that one thread at a time polls is between us and the program. What else may be asked there is for the
 * kernel, which knows none of it yet.
 */
static int cq_create_kernel(struct ibv_context *ibctx, struct rxo_cq *cq,
			    const struct ibv_cq_init_attr_ex *attr)
{
	struct rxo_create_cq_cmd_resp resp = {};
	struct ibv_cq_init_attr_ex kernel = *attr;
	struct rxo_create_cq_cmd cmd = {};
	int err;

	kernel.flags &= ~(uint32_t)IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
	err = ibv_cmd_create_cq_ex(ibctx, &kernel, &cq->vcq, &cmd.ibv_cmd, sizeof(cmd),
				   &resp.ibv_resp, sizeof(resp), 0);
	if (err)
		return err;
	err = rxo_ring_map(&cq->ring, ibctx, &resp.mi, sizeof(struct ib_uverbs_wc));
	if (err)
		ibv_cmd_destroy_cq(&cq->vcq.cq);
	return err;
}

static int cq_check_attr(const struct ibv_cq_init_attr_ex *attr)
{
	if (!check_comp_mask(attr->comp_mask, CQ_COMP_MASK) ||
	    !check_comp_mask(attr->wc_flags, CQ_WC_FLAGS))
		return EOPNOTSUPP;
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS &&
	    !check_comp_mask(attr->flags, CQ_FLAGS))
		return EOPNOTSUPP;
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD &&
	    !(attr->parent_domain && to_rxo_pd(attr->parent_domain)->domain))
		return EINVAL;
	return 0;
}

static bool cq_single_threaded(const struct ibv_cq_init_attr_ex *attr)
{
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS &&
	    attr->flags & IBV_CREATE_CQ_ATTR_SINGLE_THREADED)
		return true;
	return attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD &&
	       rxo_pd_single_threaded(to_rxo_pd(attr->parent_domain));
}

static struct rxo_cq *cq_create(struct ibv_context *ibctx, const struct ibv_cq_init_attr_ex *attr)
{
	struct rxo_cq *cq;
	int err;

	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;
	err = cq_create_kernel(ibctx, cq, attr);
	if (err) {
		free(cq);
		errno = err;
		return NULL;
	}
	rxo_lock_init(&cq->lock, cq_single_threaded(attr));
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD) {
		cq->parent = to_rxo_pd(attr->parent_domain);
		rxo_pd_join(cq->parent);
	}
	return cq;
}

struct ibv_cq *rxo_create_cq(struct ibv_context *ibctx, int cqe, struct ibv_comp_channel *channel,
			     int comp_vector)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = cqe,
		.channel = channel,
		.comp_vector = comp_vector,
	};
	struct rxo_cq *cq = cq_create(ibctx, &attr);

	return cq ? &cq->vcq.cq : NULL;
}

struct ibv_cq_ex *rxo_create_cq_ex(struct ibv_context *ibctx, struct ibv_cq_init_attr_ex *attr)
{
	struct rxo_cq *cq;
	int err = cq_check_attr(attr);

	if (err) {
		errno = err;
		return NULL;
	}
	cq = cq_create(ibctx, attr);
	if (!cq)
		return NULL;
	rxo_cq_ex_init(&cq->vcq.cq_ex, attr->wc_flags);
	return &cq->vcq.cq_ex;
}

/* The kernel has moved what the ring held to a new one, and there is no way back: a new ring that cannot be mapped leaves none. */
static int cq_take_new_ring(struct rxo_cq *cq, const struct mminfo *mi)
{
	struct rxo_ring ring = {};
	int err;

	err = rxo_ring_map(&ring, cq->vcq.cq.context, mi, sizeof(struct ib_uverbs_wc));
	if (err) {
		rxo_ring_kill(&cq->ring);
		return err;
	}
	rxo_ring_resume_polling(&ring);
	rxo_ring_unmap(&cq->ring);
	cq->ring = ring;
	return 0;
}

int rxo_resize_cq(struct ibv_cq *ibcq, int cqe)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	struct rxo_resize_cq_cmd_resp resp = {};
	struct rxo_resize_cq_cmd cmd = {};
	int err;

	rxo_lock(&cq->lock);
	err = ibv_cmd_resize_cq(ibcq, cqe, &cmd.ibv_cmd, sizeof(cmd), &resp.ibv_resp, sizeof(resp));
	if (!err)
		err = cq_take_new_ring(cq, &resp.mi);
	rxo_unlock(&cq->lock);
	return err;
}

int rxo_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	uint32_t filled, i = 0;

	rxo_lock(&cq->lock);
	if (num > 0) {
		filled = rxo_ring_filled(&cq->ring);
		if (filled > (uint32_t)num)
			filled = num;
		for (; i < filled; i++)
			rxo_cqe_parse(&wc[i], rxo_ring_at(&cq->ring, i));
		if (i)
			rxo_ring_take(&cq->ring, i);
	}
	rxo_unlock(&cq->lock);
	return i;
}

void rxo_cq_forget(struct rxo_cq *cq, uint32_t qp_num)
{
	rxo_lock(&cq->lock);
	rxo_cqe_forget(&cq->ring, qp_num);
	rxo_unlock(&cq->lock);
}

int rxo_destroy_cq(struct ibv_cq *ibcq)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	int err = ibv_cmd_destroy_cq(ibcq);

	if (err)
		return err;
	if (cq->parent)
		rxo_pd_leave(cq->parent);
	rxo_ring_unmap(&cq->ring);
	rxo_lock_destroy(&cq->lock);
	free(cq);
	return 0;
}
