/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Methods of our own, called by the ioctl itself: stock librxe knows none of them. */
#ifndef TESTS_GUEST_METHOD_H
#define TESTS_GUEST_METHOD_H

#include "rig.h"

#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rxe_odp-abi.h>

#define METHOD_ATTRS 12

struct method {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[METHOD_ATTRS];
};

struct method method_of(uint16_t object, uint16_t method);
/* What is no longer than eight bytes goes inside of the attribute. */
void method_in(struct method *m, uint16_t id, const void *data, uint16_t bytes);
void method_out(struct method *m, uint16_t id, void *data, uint16_t bytes);
void method_handle(struct method *m, uint16_t id, uint32_t handle);
/* 0 or an errno. */
int method_call(int fd, struct method *m);

/* Each: 0 or an errno; bytes is how long the caller's structure is. */
int mr_stats(const struct ibv_mr *mr, struct rxe_odp_mr_stats *stats, size_t bytes);
int qp_access_error(const struct ibv_qp *qp, struct rxe_odp_access_error *error, size_t bytes);
/* Of [address, address + length): *nr pages are filled. */
int mr_residency(const struct ibv_mr *mr, const void *address, uint64_t length, uint8_t *pages,
		 uint64_t *nr);
/* ibv_advise_mr(), which stock librxe has only from rdma-core 59 on. */
int mr_advise(const struct ibv_pd *pd, unsigned int advice, uint32_t flags,
	      const struct ibv_sge *list, size_t num);

/* ibv_rereg_mr(), which stock librxe has not; pd, addr and bytes as the flags say. The keys are the new ones after it. */
int mr_rereg(struct ibv_mr *mr, int flags, const struct ibv_pd *pd, void *addr, size_t bytes,
	     int access);

/*
 * A context of our own, opened and used without the library: the file, or -errno. The driver's part of the call may be NULL.
 */
int raw_open(const char *device, const struct rxe_odp_alloc_ucontext_req *req, uint16_t req_bytes,
	     struct rxe_odp_alloc_ucontext_resp *resp, uint16_t resp_bytes);
/* 0 or an errno; *handle is the domain's, the region's. */
int raw_alloc_pd(int fd, uint32_t *handle);
int raw_reg_mr(int fd, uint32_t pd, const void *addr, size_t bytes, int access, uint32_t *handle);
int raw_dereg_mr(int fd, uint32_t handle);
int raw_mr_stats(int fd, uint32_t handle, struct rxe_odp_mr_stats *stats);

#endif
