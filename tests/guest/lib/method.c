// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "method.h"

#include <fcntl.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct method method_of(uint16_t object, uint16_t method)
{
	return (struct method){
		.hdr = { .object_id = object, .method_id = method, .driver_id = RDMA_DRIVER_RXE }
	};
}

static struct ib_uverbs_attr *add(struct method *m, uint16_t id, uint16_t bytes, uint64_t data)
{
	struct ib_uverbs_attr *attr = &m->attrs[m->hdr.num_attrs++];

	assert_true(m->hdr.num_attrs <= METHOD_ATTRS);
	*attr = (struct ib_uverbs_attr){
		.attr_id = id, .len = bytes, .flags = UVERBS_ATTR_F_MANDATORY, .data = data
	};
	return attr;
}

void method_in(struct method *m, uint16_t id, const void *data, uint16_t bytes)
{
	struct ib_uverbs_attr *attr = add(m, id, bytes, (uintptr_t)data);

	if (bytes > sizeof(attr->data))
		return;
	attr->data = 0;
	if (bytes)
		memcpy(&attr->data, data, bytes);
}

void method_out(struct method *m, uint16_t id, void *data, uint16_t bytes)
{
	add(m, id, bytes, (uintptr_t)data);
}

void method_handle(struct method *m, uint16_t id, uint32_t handle)
{
	add(m, id, 0, handle);
}

int method_call(int fd, struct method *m)
{
	m->hdr.length = sizeof(m->hdr) + m->hdr.num_attrs * sizeof(m->attrs[0]);
	return ioctl(fd, RDMA_VERBS_IOCTL, &m->hdr) ? errno : 0;
}

static int stats_call(int fd, uint32_t handle, struct rxe_odp_mr_stats *stats, size_t bytes)
{
	struct method m = method_of(UVERBS_OBJECT_MR, RXE_ODP_METHOD_MR_STATS);

	method_handle(&m, RXE_ODP_ATTR_MR_STATS_HANDLE, handle);
	method_out(&m, RXE_ODP_ATTR_MR_STATS_RESP, stats, bytes);
	return method_call(fd, &m);
}

int mr_stats(const struct ibv_mr *mr, struct rxe_odp_mr_stats *stats, size_t bytes)
{
	return stats_call(mr->context->cmd_fd, mr->handle, stats, bytes);
}

int raw_mr_stats(int fd, uint32_t handle, struct rxe_odp_mr_stats *stats)
{
	return stats_call(fd, handle, stats, sizeof(*stats));
}

int qp_access_error(const struct ibv_qp *qp, struct rxe_odp_access_error *error, size_t bytes)
{
	struct method m = method_of(UVERBS_OBJECT_QP, RXE_ODP_METHOD_QP_ACCESS_ERROR);

	method_handle(&m, RXE_ODP_ATTR_QP_ACCESS_ERROR_HANDLE, qp->handle);
	method_out(&m, RXE_ODP_ATTR_QP_ACCESS_ERROR_RESP, error, bytes);
	return method_call(qp->context->cmd_fd, &m);
}

int mr_residency(const struct ibv_mr *mr, const void *address, uint64_t length, uint8_t *pages,
		 uint64_t *nr)
{
	struct method m = method_of(UVERBS_OBJECT_MR, RXE_ODP_METHOD_MR_RESIDENCY);
	struct rxe_odp_mr_residency req = { (uintptr_t)address, length, (uintptr_t)pages };

	method_handle(&m, RXE_ODP_ATTR_MR_RESIDENCY_HANDLE, mr->handle);
	method_in(&m, RXE_ODP_ATTR_MR_RESIDENCY_REQ, &req, sizeof(req));
	method_out(&m, RXE_ODP_ATTR_MR_RESIDENCY_RESP_PAGES, nr, sizeof(*nr));
	return method_call(mr->context->cmd_fd, &m);
}

int mr_advise(const struct ibv_pd *pd, unsigned int advice, uint32_t flags,
	      const struct ibv_sge *list, size_t num)
{
	struct method m = method_of(UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR);
	uint64_t value = advice;

	method_handle(&m, UVERBS_ATTR_ADVISE_MR_PD_HANDLE, pd->handle);
	method_in(&m, UVERBS_ATTR_ADVISE_MR_ADVICE, &value, sizeof(value));
	method_in(&m, UVERBS_ATTR_ADVISE_MR_FLAGS, &flags, sizeof(flags));
	method_in(&m, UVERBS_ATTR_ADVISE_MR_SGE_LIST, list, num * sizeof(*list));
	return method_call(pd->context->cmd_fd, &m);
}

static int open_device(const char *device)
{
	char path[300];
	struct ibv_context *ctx = rig_context(device);

	assert_non_null(ctx);
	snprintf(path, sizeof(path), "/dev/infiniband/%s", ctx->device->dev_name);
	assert_zero(ibv_close_device(ctx));
	return open(path, O_RDWR | O_CLOEXEC);
}

int mr_rereg(struct ibv_mr *mr, int flags, const struct ibv_pd *pd, void *addr, size_t bytes,
	     int access)
{
	struct ib_uverbs_rereg_mr_resp resp = { 0 };
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_rereg_mr cmd;
	} req = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_REREG_MR,
			.in_words = sizeof(req) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.cmd = {
			.response = (uintptr_t)&resp,
			.mr_handle = mr->handle,
			.flags = flags,
			.start = (uintptr_t)addr,
			.length = bytes,
			.hca_va = (uintptr_t)addr,
			.pd_handle = pd ? pd->handle : 0,
			.access_flags = access,
		},
	};

	if (write(mr->context->cmd_fd, &req, sizeof(req)) != sizeof(req))
		return errno;
	mr->lkey = resp.lkey;
	mr->rkey = resp.rkey;
	return 0;
}

int raw_open(const char *device, const struct rxe_odp_alloc_ucontext_req *req, uint16_t req_bytes,
	     struct rxe_odp_alloc_ucontext_resp *resp, uint16_t resp_bytes)
{
	struct method m = method_of(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_GET_CONTEXT);
	uint32_t vectors = 0;
	uint64_t support = 0;
	int fd = open_device(device), err;

	assert_true(fd >= 0);
	method_out(&m, UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, &vectors, sizeof(vectors));
	method_out(&m, UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, &support, sizeof(support));
	if (req)
		method_in(&m, UVERBS_ATTR_UHW_IN, req, req_bytes);
	if (resp)
		method_out(&m, UVERBS_ATTR_UHW_OUT, resp, resp_bytes);
	err = method_call(fd, &m);
	if (!err) {
		assert_true(vectors > 0);
		return fd;
	}
	close(fd);
	return -err;
}

static int raw_command(int fd, uint64_t command, const void *in, uint16_t in_bytes, void *out,
		       uint16_t out_bytes)
{
	struct method m = method_of(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_INVOKE_WRITE);

	method_in(&m, UVERBS_ATTR_WRITE_CMD, &command, sizeof(command));
	method_in(&m, UVERBS_ATTR_CORE_IN, in, in_bytes);
	method_out(&m, UVERBS_ATTR_CORE_OUT, out, out_bytes);
	return method_call(fd, &m);
}

int raw_alloc_pd(int fd, uint32_t *handle)
{
	struct ib_uverbs_alloc_pd cmd = { 0 };
	struct ib_uverbs_alloc_pd_resp resp = { 0 };
	int err =
		raw_command(fd, IB_USER_VERBS_CMD_ALLOC_PD, &cmd, sizeof(cmd), &resp, sizeof(resp));

	*handle = resp.pd_handle;
	return err;
}

int raw_reg_mr(int fd, uint32_t pd, const void *addr, size_t bytes, int access, uint32_t *handle)
{
	struct ib_uverbs_reg_mr cmd = { .start = (uintptr_t)addr,
					.length = bytes,
					.hca_va = (uintptr_t)addr,
					.pd_handle = pd,
					.access_flags = access };
	struct ib_uverbs_reg_mr_resp resp = { 0 };
	int err = raw_command(fd, IB_USER_VERBS_CMD_REG_MR, &cmd, sizeof(cmd), &resp, sizeof(resp));

	*handle = resp.mr_handle;
	return err;
}

int raw_dereg_mr(int fd, uint32_t handle)
{
	struct method m = method_of(UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY);

	method_handle(&m, UVERBS_ATTR_DESTROY_MR_HANDLE, handle);
	return method_call(fd, &m);
}
