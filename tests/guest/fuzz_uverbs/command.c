// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "command.h"

#include "shape.h"

#include <fcntl.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rxe_odp-abi.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool command_write(struct zoo *z)
{
	static const uint8_t harmless[] = {
		IB_USER_VERBS_CMD_QUERY_DEVICE,	 IB_USER_VERBS_CMD_QUERY_PORT,
		IB_USER_VERBS_CMD_ALLOC_PD,	 IB_USER_VERBS_CMD_REG_MR,
		IB_USER_VERBS_CMD_REREG_MR,	 IB_USER_VERBS_CMD_CREATE_CQ,
		IB_USER_VERBS_CMD_RESIZE_CQ,	 IB_USER_VERBS_CMD_POLL_CQ,
		IB_USER_VERBS_CMD_REQ_NOTIFY_CQ, IB_USER_VERBS_CMD_CREATE_QP,
		IB_USER_VERBS_CMD_QUERY_QP,	 IB_USER_VERBS_CMD_MODIFY_QP,
		IB_USER_VERBS_CMD_POST_SEND,	 IB_USER_VERBS_CMD_POST_RECV,
		IB_USER_VERBS_CMD_ATTACH_MCAST,	 IB_USER_VERBS_CMD_CREATE_SRQ,
		IB_USER_VERBS_CMD_MODIFY_SRQ,	 IB_USER_VERBS_CMD_QUERY_SRQ,
		IB_USER_VERBS_CMD_POST_SRQ_RECV, IB_USER_VERBS_CMD_CREATE_AH,
		IB_USER_VERBS_CMD_OPEN_XRCD,	 IB_USER_VERBS_CMD_ALLOC_MW,
	};
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		uint32_t words[60];
	} call;
	size_t words = rnd_below(&z->rnd, ARRAY_SIZE(call.words) + 1), i;
	uint64_t to = (uintptr_t)zoo_answer;
	struct ibv_context *ctx;

	for (i = 0; i < ARRAY_SIZE(call.words); i++)
		call.words[i] = some_u32(&z->rnd);
	if (!rnd_one_in(&z->rnd, 4))
		memcpy(call.words, &to, sizeof(to));
	call.hdr.command = harmless[rnd_below(&z->rnd, sizeof(harmless))];
	call.hdr.in_words = sizeof(call.hdr) / 4 + words;
	call.hdr.out_words = rnd_one_in(&z->rnd, 3) ? rnd_below(&z->rnd, 256) : 64;
	/* A queue pair in a group may not be destroyed, so none of those that z holds is put in one. */
	ctx = call.hdr.command == IB_USER_VERBS_CMD_ATTACH_MCAST ? z->wild : z->rig.ctx;
	return write(ctx->cmd_fd, &call, 4 * call.hdr.in_words) > 0;
}

/* Mostly of that kind, if there is one. */
static uint64_t some_handle(struct zoo *z, uint16_t object)
{
	if (rnd_one_in(&z->rnd, 4))
		return rnd_below(&z->rnd, 16);
	return z->handles[object][rnd_below(&z->rnd, HANDLES)];
}

static void remember_handle(struct zoo *z, uint16_t object, uint32_t handle)
{
	z->handles[object][rnd_below(&z->rnd, HANDLES)] = handle;
}

union ioctl_input {
	struct rxe_odp_mr_residency residency;
	struct rxe_odp_prefetch prefetch;
	struct rxe_odp_span span; /* of the prefetch, in the same bytes */
	struct ib_uverbs_reg_mr mr;
	struct ib_uverbs_qp_cap cap;
	struct ib_uverbs_alloc_mw mw;
	struct ib_uverbs_open_xrcd xrcd;
	struct ib_uverbs_open_qp qp;
};

/* Of a file, mostly, that several domains may be asked for; of none; or of what is no file. */
static struct ib_uverbs_open_xrcd some_domain(struct zoo *z)
{
	struct rnd *r = &z->rnd;

	return (struct ib_uverbs_open_xrcd){
		.fd = rnd_one_in(r, 4) ? some_u32(r) :
		      rnd_one_in(r, 3) ? -1U :
					 (uint32_t)z->file,
		.oflags = rnd_one_in(r, 4) ? some_u32(r) :
					     (rnd_one_in(r, 4) ? 0 : O_CREAT) |
						     (rnd_one_in(r, 4) ? O_EXCL : 0),
	};
}

/* The target that was made last, by the domain it is in, and now and then one or the other is wrong. */
static struct ib_uverbs_open_qp some_target(struct zoo *z)
{
	struct rnd *r = &z->rnd;

	return (struct ib_uverbs_open_qp){
		.user_handle = rnd_next(r),
		.pd_handle = rnd_one_in(r, 4) ? some_handle(z, UVERBS_OBJECT_XRCD) : z->target_xrcd,
		.qpn = rnd_one_in(r, 8) ? some_u32(r) : z->target_num,
		.qp_type = rnd_one_in(r, 8) ? rnd_below(r, 16) : IBV_QPT_XRC_RECV,
	};
}

static void fill_input(struct zoo *z, const struct ioctl_shape *shape, union ioctl_input *input)
{
	struct rnd *r = &z->rnd;
	uint64_t at = (uintptr_t)z->memory + rnd_below(r, MEMORY);

	if (shape->object == UVERBS_OBJECT_QP) {
		input->cap = (struct ib_uverbs_qp_cap){ some_count(r), some_count(r),
							rnd_below(r, 8), rnd_below(r, 8),
							rnd_below(r, 500) };
	} else if (shape->object == UVERBS_OBJECT_MR) {
		input->residency = (struct rxe_odp_mr_residency){ rnd_one_in(r, 4) ? at : z->mr_at,
								  rnd_below(r, 64),
								  (uintptr_t)zoo_answer };
	} else if (shape->object == RXE_ODP_OBJECT_PREFETCH) {
		input->span = (struct rxe_odp_span){ at, 0, some_u32(r), 0 };
		input->prefetch.advice = rnd_below(r, 4);
		input->prefetch.eventfd = rnd_one_in(r, 8) ? (int)rnd_below(r, 64) : -1;
	} else if (shape->makes == UVERBS_OBJECT_MW) {
		input->mw = (struct ib_uverbs_alloc_mw){
			.pd_handle = some_handle(z, UVERBS_OBJECT_PD),
			.mw_type = rnd_below(r, 4),
		};
	} else if (shape->makes == UVERBS_OBJECT_XRCD) {
		input->xrcd = some_domain(z);
	} else if (shape->makes == UVERBS_OBJECT_QP) {
		input->qp = some_target(z);
	} else {
		input->mr = (struct ib_uverbs_reg_mr){
			.start = at,
			.hca_va = at,
			.length = rnd_below(r, 65536),
			.pd_handle = some_handle(z, UVERBS_OBJECT_PD),
			.access_flags = rnd_below(r, 16),
		};
	}
}

struct ioctl_call {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[MAX_ATTRS];
};

static uint64_t attr_data(struct zoo *z, const struct attr_shape *attr, union ioctl_input *input)
{
	switch (attr->kind) {
	case ATTR_HANDLE:
		return some_handle(z, attr->value);
	case ATTR_NUMBER:
		return some_count(&z->rnd);
	case ATTR_CONST:
		return attr->value;
	case ATTR_IN: /* eight bytes or fewer are in the attribute itself */
		return attr->len > 8 ? (uintptr_t)input : (uintptr_t)zoo_answer;
	case ATTR_OUT:
		return (uintptr_t)zoo_answer;
	case ATTR_DRIVER_OUT:
		return (uintptr_t)&zoo_driver_answer;
	case ATTR_DMA_BUF:
		return z->dma_buf;
	default:
		return 0;
	}
}

static void fill_call(struct zoo *z, const struct ioctl_shape *shape, struct ioctl_call *call,
		      union ioctl_input *input)
{
	size_t i;

	memset(call, 0, sizeof(*call));
	fill_input(z, shape, input);
	call->hdr.object_id = shape->object;
	call->hdr.method_id = shape->method;
	call->hdr.num_attrs = shape->nr;
	for (i = 0; i < shape->nr; i++)
		call->attrs[i] = (struct ib_uverbs_attr){
			.attr_id = shape->attrs[i].id,
			.len = shape->attrs[i].len,
			.flags = UVERBS_ATTR_F_MANDATORY,
			.data = attr_data(z, &shape->attrs[i], input),
		};
}

/* One thing that is not as it should be. */
static void spoil_call(struct rnd *r, struct ioctl_call *call)
{
	struct ib_uverbs_attr *attr = &call->attrs[rnd_below(r, call->hdr.num_attrs)];

	switch (rnd_below(r, 7)) {
	case 0:
		attr->attr_id = rnd_below(r, 16) | (rnd_one_in(r, 4) ? 0x1000 : 0);
		break;
	case 1:
		attr->len = rnd_one_in(r, 2) ? rnd_next(r) : rnd_below(r, 64);
		break;
	case 2:
		attr->data = some_u32(r);
		break;
	case 3:
		attr->data = rnd_next(r);
		break;
	case 4:
		rnd_fill(r, attr, sizeof(*attr));
		break;
	case 5: /* the last is missing */
		call->hdr.num_attrs--;
		break;
	default: /* another is there twice */
		*attr = call->attrs[rnd_below(r, call->hdr.num_attrs)];
	}
}

/* No shape at all. */
static void random_call(struct rnd *r, struct ioctl_call *call)
{
	size_t i;

	rnd_fill(r, call, sizeof(*call));
	call->hdr.object_id = rnd_below(r, 24) | (rnd_one_in(r, 8) ? 0x1000 : 0);
	call->hdr.method_id = rnd_below(r, 12) | (rnd_one_in(r, 4) ? 0x1000 : 0);
	call->hdr.num_attrs = rnd_below(r, 9);
	call->hdr.reserved1 = 0;
	call->hdr.reserved2 = 0;
	for (i = 0; i < call->hdr.num_attrs; i++) {
		call->attrs[i].attr_id = rnd_below(r, 16) | (rnd_one_in(r, 4) ? 0x1000 : 0);
		call->attrs[i].len = rnd_below(r, 64);
		call->attrs[i].flags = rnd_below(r, 2);
		call->attrs[i].attr_data.reserved = 0;
		if (rnd_one_in(r, 2))
			call->attrs[i].data = some_u32(r);
	}
}

static bool try_ioctl(struct zoo *z, struct ioctl_call *call)
{
	call->hdr.length = sizeof(call->hdr) + call->hdr.num_attrs * sizeof(call->attrs[0]);
	call->hdr.driver_id = rnd_one_in(&z->rnd, 16) ? rnd_next(&z->rnd) : RDMA_DRIVER_RXE;
	return !ioctl(z->wild->cmd_fd, RDMA_VERBS_IOCTL, &call->hdr);
}

bool command_ioctl(struct zoo *z)
{
	const struct ioctl_shape *shape;
	union ioctl_input input;
	struct ioctl_call call;
	size_t which = rnd_below(&z->rnd, ARRAY_SIZE(shapes));
	uint32_t handle;

	if (rnd_one_in(&z->rnd, 200))
		zoo_open_wild(z);
	if (rnd_one_in(&z->rnd, 4)) {
		random_call(&z->rnd, &call);
		return try_ioctl(z, &call);
	}
	shape = &shapes[which];
	fill_call(z, shape, &call, &input);
	if (rnd_one_in(&z->rnd, 3)) {
		spoil_call(&z->rnd, &call);
		return try_ioctl(z, &call);
	}
	if (!try_ioctl(z, &call))
		return false;
	z->ioctls[which]++;
	memcpy(&handle, zoo_answer, sizeof(handle));
	if (shape->makes == UVERBS_OBJECT_MR)
		z->mr_at = input.mr.start;
	/* What it answers last is its number. */
	if (!strcmp(shape->name, XRC_TARGET)) {
		z->target_xrcd = call.attrs[1].data;
		z->target_num = handle;
	}
	if (shape->makes)
		remember_handle(z, shape->makes, handle);
	else if (shape->attrs[0].kind == ATTR_NEW)
		remember_handle(z, shape->attrs[0].value ? shape->attrs[0].value : shape->object,
				call.attrs[0].data);
	return true;
}
