// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "xrc.h"

#include <fcntl.h>

struct conn xrc_conn(void)
{
	struct conn conn = CONN;

	conn.type = IBV_QPT_XRC_SEND;
	return conn;
}

struct ibv_xrcd *xrc_domain(struct ibv_context *ctx, int fd)
{
	struct ibv_xrcd_init_attr attr = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = fd,
		.oflags = O_CREAT,
	};

	return ibv_open_xrcd(ctx, &attr);
}

struct ibv_srq *xrc_srq(struct ibv_pd *pd, struct ibv_xrcd *xrcd, struct ibv_cq *cq,
			const struct conn *conn)
{
	struct ibv_srq_init_attr_ex attr = {
		.attr = { .max_wr = conn->recv_wr, .max_sge = conn->sge },
		.comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
			     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
		.srq_type = IBV_SRQT_XRC,
		.pd = pd,
		.xrcd = xrcd,
		.cq = cq,
	};

	return ibv_create_srq_ex(pd->context, &attr);
}

struct ibv_qp *xrc_target(struct ibv_context *ctx, struct ibv_xrcd *xrcd)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_XRC_RECV,
		.comp_mask = IBV_QP_INIT_ATTR_XRCD,
		.xrcd = xrcd,
	};

	return ibv_create_qp_ex(ctx, &attr);
}

struct ibv_qp *xrc_open_target(struct ibv_context *ctx, struct ibv_xrcd *xrcd, uint32_t qp_num)
{
	struct ibv_qp_open_attr attr = {
		.comp_mask = IBV_QP_OPEN_ATTR_NUM | IBV_QP_OPEN_ATTR_XRCD | IBV_QP_OPEN_ATTR_TYPE,
		.qp_num = qp_num,
		.xrcd = xrcd,
		.qp_type = IBV_QPT_XRC_RECV,
	};

	return ibv_open_qp(ctx, &attr);
}

struct ibv_qp *xrc_initiator(struct end *end, const struct conn *conn)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_XRC_SEND,
		.sq_sig_all = conn->sq_sig_all,
		.cap = { .max_send_wr = conn->send_wr,
			 .max_send_sge = conn->sge,
			 .max_inline_data = conn->inline_bytes },
		.send_cq = end->scq,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = end->rig->pd,
	};

	if (conn->send_ops) {
		attr.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
		attr.send_ops_flags = conn->send_ops;
	}
	return ibv_create_qp_ex(end->rig->ctx, &attr);
}

uint32_t xrc_srq_num(struct ibv_srq *srq)
{
	uint32_t num = 0;

	return ibv_get_srq_num(srq, &num) ? 0 : num;
}

void xrc_open_in(struct xrc *x, const struct conn *conn, int fd, uint32_t target_num)
{
	struct pair *pair = &x->pair;
	struct rig *rig_b = &pair->rig;

	memset(x, 0, sizeof(*x));
	pair->conn = *conn;
	rig_open(&pair->rig);
	if (conn->wire) {
		rig_open_peer(&pair->peer);
		rig_b = &pair->peer;
	}
	end_prepare(&pair->a, &pair->rig, conn);
	end_prepare(&pair->b, rig_b, conn);
	x->xrcd = xrc_domain(rig_b->ctx, fd);
	assert_non_null(x->xrcd);
	pair->b.srq = xrc_srq(rig_b->pd, x->xrcd, pair->b.rcq, conn);
	assert_non_null(pair->b.srq);
	pair->b.qp = target_num ? xrc_open_target(rig_b->ctx, x->xrcd, target_num) :
				  xrc_target(rig_b->ctx, x->xrcd);
	assert_non_null(pair->b.qp);
	pair->a.qp = xrc_initiator(&pair->a, conn);
	assert_non_null(pair->a.qp);
	pair->a.srq_num = xrc_srq_num(pair->b.srq);
	assert_int_not_equal(pair->a.srq_num, 0);
	ends_connect(&pair->a, &pair->b, conn);
}

void xrc_open(struct xrc *x, const struct conn *conn)
{
	xrc_open_in(x, conn, -1, 0);
}

void xrc_close(struct xrc *x)
{
	struct pair *pair = &x->pair;

	end_close(&pair->a);
	end_close(&pair->b);
	assert_zero(ibv_close_xrcd(x->xrcd));
	if (pair->peer.ctx)
		rig_close(&pair->peer);
	rig_close(&pair->rig);
}
