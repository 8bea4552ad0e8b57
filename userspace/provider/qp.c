// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queue pairs: their life and their state. Posting is in post.c and wr.c. */
#include <stdlib.h>

#include "provider.h"

#define QP_COMP_MASK                                                                               \
	(IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_CREATE_FLAGS | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS)
#define TARGET_COMP_MASK                                                                           \
	(IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_XRCD | IBV_QP_INIT_ATTR_CREATE_FLAGS)

static struct rxo_wqe_bounds qp_bounds(const struct ibv_qp_init_attr_ex *attr)
{
	return (struct rxo_wqe_bounds){
		.max_sge = attr->cap.max_send_sge,
		.max_inline_bytes = attr->cap.max_inline_data,
		.ud = attr->qp_type == IBV_QPT_UD,
		.uc = attr->qp_type == IBV_QPT_UC,
		.xrc = attr->qp_type == IBV_QPT_XRC_SEND,
	};
}

/* It belongs to a domain and to no PD (one that is given is not looked at); nothing is posted to it. */
static int qp_check_target(const struct ibv_qp_init_attr_ex *attr)
{
	if (!check_comp_mask(attr->comp_mask, TARGET_COMP_MASK))
		return EOPNOTSUPP;
	return attr->comp_mask & IBV_QP_INIT_ATTR_XRCD ? 0 : EINVAL;
}

static int qp_check_attr(const struct ibv_qp_init_attr_ex *attr)
{
	struct rxo_wqe_bounds bounds = qp_bounds(attr);

	if (attr->qp_type == IBV_QPT_XRC_RECV)
		return qp_check_target(attr);
	if (!check_comp_mask(attr->comp_mask, QP_COMP_MASK))
		return EOPNOTSUPP;
	if (attr->qp_type != IBV_QPT_RC && attr->qp_type != IBV_QPT_UC &&
	    attr->qp_type != IBV_QPT_UD && attr->qp_type != IBV_QPT_XRC_SEND)
		return EOPNOTSUPP;
	if (!(attr->comp_mask & IBV_QP_INIT_ATTR_PD))
		return EINVAL;
	if ((attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS) &&
	    (attr->send_ops_flags & ~rxo_send_ops(&bounds)))
		return EOPNOTSUPP;
	return 0;
}

static int qp_map_rings(struct rxo_qp *qp, struct ibv_context *ibctx,
			const struct rxe_create_qp_resp *resp,
			const struct ibv_qp_init_attr_ex *attr)
{
	int err;

	if (attr->qp_type == IBV_QPT_XRC_RECV)
		return 0;
	err = rxo_ring_map(&qp->sq, ibctx, &resp->sq_mi, rxo_swqe_bytes(&qp->bounds));
	if (err || attr->srq || attr->qp_type == IBV_QPT_XRC_SEND)
		return err;
	err = rxo_ring_map(&qp->rq, ibctx, &resp->rq_mi, rxo_rwqe_bytes(qp->max_recv_sge));
	if (err)
		rxo_ring_unmap(&qp->sq);
	return err;
}

/* The kernel says in @attr what it really gives. */
static int qp_create_kernel(struct ibv_context *ibctx, struct rxo_qp *qp,
			    struct ibv_qp_init_attr_ex *attr)
{
	struct rxo_create_qp_cmd_resp resp = {};
	struct rxo_create_qp_cmd cmd = {};
	int err;

	err = ibv_cmd_create_qp_ex2(ibctx, &qp->vqp, attr, &cmd.ibv_cmd, sizeof(cmd),
				    &resp.ibv_resp, sizeof(resp));
	if (err)
		return err;
	qp->bounds = qp_bounds(attr);
	qp->max_recv_sge = attr->cap.max_recv_sge;
	err = qp_map_rings(qp, ibctx, &resp.drv_payload, attr);
	if (err)
		ibv_cmd_destroy_qp(&qp->vqp.qp);
	return err;
}

static void qp_init(struct rxo_qp *qp, const struct ibv_qp_init_attr_ex *attr)
{
	struct rxo_pd *pd = attr->qp_type == IBV_QPT_XRC_RECV ? NULL : to_rxo_pd(attr->pd);
	bool unneeded = pd && rxo_pd_single_threaded(pd);

	rxo_lock_init(&qp->sq_lock, unneeded);
	rxo_lock_init(&qp->rq_lock, unneeded);
	if (pd && pd->domain) {
		qp->parent = pd;
		rxo_pd_join(pd);
	}
	if (attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS) {
		rxo_wr_init(&qp->vqp.qp_ex, attr->send_ops_flags);
		qp->vqp.comp_mask |= VERBS_QP_EX;
	}
}

struct ibv_qp *rxo_create_qp_ex(struct ibv_context *ibctx, struct ibv_qp_init_attr_ex *attr)
{
	struct rxo_qp *qp;
	int err;

	err = qp_check_attr(attr);
	if (err) {
		errno = err;
		return NULL;
	}
	qp = calloc(1, sizeof(*qp));
	if (!qp)
		return NULL;
	err = qp_create_kernel(ibctx, qp, attr);
	if (err) {
		free(qp);
		errno = err;
		return NULL;
	}
	qp_init(qp, attr);
	return &qp->vqp.qp;
}

struct ibv_qp *rxo_create_qp(struct ibv_pd *ibpd, struct ibv_qp_init_attr *attr)
{
	struct ibv_qp_init_attr_ex ex = {
		.qp_context = attr->qp_context,
		.send_cq = attr->send_cq,
		.recv_cq = attr->recv_cq,
		.srq = attr->srq,
		.cap = attr->cap,
		.qp_type = attr->qp_type,
		.sq_sig_all = attr->sq_sig_all,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = ibpd,
	};
	struct ibv_qp *ibqp = rxo_create_qp_ex(ibpd->context, &ex);

	if (ibqp)
		attr->cap = ex.cap;
	return ibqp;
}

/* After the kernel has ended the queue pair's work; what it left in the CQs would be taken for that of the next. */
static void qp_forget_completions(struct rxo_qp *qp)
{
	struct ibv_qp *ibqp = &qp->vqp.qp;

	/* What a target received is its SRQs', of which other processes may have some. */
	if (ibqp->qp_type == IBV_QPT_XRC_RECV)
		return;
	rxo_cq_forget(to_rxo_cq(ibqp->send_cq), ibqp->qp_num);
	if (ibqp->qp_type != IBV_QPT_XRC_SEND && ibqp->recv_cq != ibqp->send_cq)
		rxo_cq_forget(to_rxo_cq(ibqp->recv_cq), ibqp->qp_num);
}

int rxo_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct ibv_modify_qp cmd = {};
	int err = ibv_cmd_modify_qp(ibqp, attr, mask, &cmd, sizeof(cmd));

	if (!err && (mask & IBV_QP_STATE) && attr->qp_state == IBV_QPS_RESET) {
		qp_forget_completions(qp);
		atomic_store(&qp->failed, false);
	}
	return err;
}

int rxo_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init)
{
	struct ibv_query_qp cmd;

	return ibv_cmd_query_qp(ibqp, attr, mask, init, &cmd, sizeof(cmd));
}

int rxo_destroy_qp(struct ibv_qp *ibqp)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	int err = ibv_cmd_destroy_qp(ibqp);

	if (err)
		return err;
	qp_forget_completions(qp);
	if (qp->parent)
		rxo_pd_leave(qp->parent);
	rxo_ring_unmap(&qp->sq);
	rxo_ring_unmap(&qp->rq);
	rxo_lock_destroy(&qp->sq_lock);
	rxo_lock_destroy(&qp->rq_lock);
	free(qp);
	return 0;
}

void rxo_async_event(struct ibv_context *ibctx, struct ibv_async_event *event)
{
	switch (event->event_type) {
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
		atomic_store(&to_rxo_qp(event->element.qp)->failed, true);
		break;
	default:
		break;
	}
}
