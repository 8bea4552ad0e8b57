// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A process's context of a device, and what the device and its port say of themselves. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "provider.h"

/* Capabilities of the kernel that this provider makes use of. */
#define CONTEXT_CAPS                                                                               \
	(RXE_ODP_CAP_PROMISE | RXE_ODP_CAP_POLL | RXE_ODP_CAP_MR_STATS |                           \
	 RXE_ODP_CAP_QP_ACCESS_ERROR | RXE_ODP_CAP_MR_RESIDENCY | RXE_ODP_CAP_REGISTER |           \
	 RXE_ODP_CAP_PREFETCH)

static int context_query_device_ex(struct ibv_context *ibctx,
				   const struct ibv_query_device_ex_input *input,
				   struct ibv_device_attr_ex *attr, size_t attr_size)
{
	struct ib_uverbs_ex_query_device_resp resp;
	size_t resp_size = sizeof(resp);
	int err;

	err = ibv_cmd_query_device_any(ibctx, input, attr, attr_size, &resp, &resp_size);
	if (err)
		return err;
	/* The line by which ibv_devinfo shows who drives the device. */
	snprintf(attr->orig_attr.fw_ver, sizeof(attr->orig_attr.fw_ver), "%s (librxe_odp)",
		 RXE_ODP_USER_ABI);
	return 0;
}

static int context_query_port(struct ibv_context *ibctx, uint8_t port, struct ibv_port_attr *attr)
{
	struct ibv_query_port cmd;

	return ibv_cmd_query_port(ibctx, port, attr, &cmd, sizeof(cmd));
}

static void context_free(struct ibv_context *ibctx)
{
	struct rxo_context *ctx = to_rxo_context(ibctx);

	verbs_uninit_context(&ctx->vctx);
	free(ctx);
}

static const struct verbs_context_ops context_ops = {
	.advise_mr = ibv_cmd_advise_mr,
	.alloc_mw = rxo_alloc_mw,
	.alloc_parent_domain = rxo_alloc_parent_domain,
	.alloc_pd = rxo_alloc_pd,
	.alloc_td = rxo_alloc_td,
	.async_event = rxo_async_event,
	.attach_mcast = ibv_cmd_attach_mcast,
	.bind_mw = rxo_bind_mw,
	.close_xrcd = rxo_close_xrcd,
	.create_ah = rxo_create_ah,
	.create_cq = rxo_create_cq,
	.create_cq_ex = rxo_create_cq_ex,
	.create_qp = rxo_create_qp,
	.create_qp_ex = rxo_create_qp_ex,
	.create_srq = rxo_create_srq,
	.create_srq_ex = rxo_create_srq_ex,
	.dealloc_mw = rxo_dealloc_mw,
	.dealloc_pd = rxo_dealloc_pd,
	.dealloc_td = rxo_dealloc_td,
	.dereg_mr = rxo_dereg_mr,
	.destroy_ah = rxo_destroy_ah,
	.destroy_cq = rxo_destroy_cq,
	.destroy_qp = rxo_destroy_qp,
	.destroy_srq = rxo_destroy_srq,
	.detach_mcast = ibv_cmd_detach_mcast,
	.free_context = context_free,
	.get_srq_num = rxo_get_srq_num,
	.import_mr = rxo_import_mr,
	.import_pd = rxo_import_pd,
	.modify_qp = rxo_modify_qp,
	.modify_srq = rxo_modify_srq,
	.open_qp = rxo_open_qp,
	.open_xrcd = rxo_open_xrcd,
	.poll_cq = rxo_poll_cq,
	.post_recv = rxo_post_recv,
	.post_send = rxo_post_send,
	.post_srq_recv = rxo_post_srq_recv,
	.query_device_ex = context_query_device_ex,
	.query_port = context_query_port,
	.query_qp = rxo_query_qp,
	.query_srq = rxo_query_srq,
	.reg_dmabuf_mr = rxo_reg_dmabuf_mr,
	.reg_mr = rxo_reg_mr,
	.req_notify_cq = ibv_cmd_req_notify_cq,
	.rereg_mr = rxo_rereg_mr,
	.resize_cq = rxo_resize_cq,
	.unimport_mr = rxo_unimport_mr,
	.unimport_pd = rxo_unimport_pd,
};

static uint32_t context_flags(enum rxo_register policy)
{
	if (policy == RXO_REGISTER_ON_DEMAND)
		return RXE_ODP_UCTX_REGISTER_ON_DEMAND;
	return policy == RXO_REGISTER_PINNED ? RXE_ODP_UCTX_REGISTER_PINNED : 0;
}

/* After how many idle microseconds a thread of the kernel that polls the send queues sleeps; 0: there is to be none. */
static uint32_t context_poll_us(void)
{
	const char *text = secure_getenv("RXE_ODP_POLL_US");
	unsigned long us;
	char *end;

	if (!text || !*text)
		return 0;
	us = strtoul(text, &end, 10);
	if (!*end && *text != '-' && us <= RXE_ODP_POLL_MAX_US)
		return us;
	fprintf(stderr,
		"librxe_odp: RXE_ODP_POLL_US=%s is left out: set it to idle microseconds, %u at most\n",
		text, RXE_ODP_POLL_MAX_US);
	return 0;
}

/* A thread that the kernel refuses is no reason to have no context. */
static int context_ask(struct rxo_context *ctx, struct rxo_get_context *cmd,
		       struct rxo_get_context_resp *resp)
{
	int err = ibv_cmd_get_context(&ctx->vctx, &cmd->ibv_cmd, sizeof(*cmd), &resp->ibv_resp,
				      sizeof(*resp));

	if (!err || !cmd->poll_idle_us)
		return err;
	cmd->poll_idle_us = 0;
	if (context_ask(ctx, cmd, resp))
		return err;
	fprintf(stderr,
		"librxe_odp: no thread polls the send queues, they use doorbells: %s (RXE_ODP_POLL_US)\n",
		err == EAGAIN ? "this user has as many as there are CPUs" : strerror(err));
	return 0;
}

/* A module that is older than the handshake leaves the response alone: it has no capabilities. */
static int context_get(struct rxo_context *ctx, enum rxo_register plain)
{
	struct rxo_get_context cmd = {
		.caps = CONTEXT_CAPS,
		.flags = context_flags(plain),
		.poll_idle_us = context_poll_us(),
	};
	struct rxo_get_context_resp resp = {};
	int err = context_ask(ctx, &cmd, &resp);

	if (err)
		return err;
	ctx->caps = resp.caps & CONTEXT_CAPS;
	ctx->plain = ctx->caps & RXE_ODP_CAP_REGISTER ? plain : RXO_REGISTER_UNSET;
	return 0;
}

/* A module that knows no such policy refuses it, or knows no handshake and says nothing. It pins. */
static int context_get_with_policy(struct rxo_context *ctx)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	struct ibv_device *ibdev = ctx->vctx.context.device;
	enum rxo_register plain = rxo_policy_of(ibv_get_device_name(ibdev));
	int err = context_get(ctx, plain);

	if (err == EOPNOTSUPP && plain != RXO_REGISTER_UNSET)
		err = context_get(ctx, RXO_REGISTER_UNSET);
	if (!err && plain == RXO_REGISTER_ON_DEMAND && ctx->plain != plain &&
	    !atomic_flag_test_and_set(&told))
		fprintf(stderr,
			"librxe_odp: the module of %s cannot register on demand what a program does not ask it to, and pins it; load the one that belongs to this library.\n",
			ibv_get_device_name(ibdev));
	return err;
}

struct verbs_context *rxo_alloc_context(struct ibv_device *ibdev, int cmd_fd, void *private_data)
{
	struct rxo_context *ctx;

	ctx = verbs_init_and_alloc_context(ibdev, cmd_fd, ctx, vctx, RDMA_DRIVER_RXE);
	if (!ctx)
		return NULL;
	if (context_get_with_policy(ctx)) {
		verbs_uninit_context(&ctx->vctx);
		free(ctx);
		return NULL;
	}
	verbs_set_ops(&ctx->vctx, &context_ops);
	return &ctx->vctx;
}

/* Another process's context, by its file: handshake and policy were that process's. */
struct verbs_context *rxo_import_context(struct ibv_device *ibdev, int cmd_fd)
{
	struct rxo_context *ctx;

	ctx = verbs_init_and_alloc_context(ibdev, cmd_fd, ctx, vctx, RDMA_DRIVER_RXE);
	if (!ctx)
		return NULL;
	if (ibv_cmd_query_context(&ctx->vctx.context, NULL)) {
		verbs_uninit_context(&ctx->vctx);
		free(ctx);
		return NULL;
	}
	verbs_set_ops(&ctx->vctx, &context_ops);
	return &ctx->vctx;
}
