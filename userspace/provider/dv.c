// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The direct interface: devices and regions. What the functions promise stands in <infiniband/rxe_odp_dv.h>. */
#include <string.h>
#include <unistd.h>

#include "dv.h"

RXO_DV_SAME(RXE_ODP_DV_CAP_MR_STATS, RXE_ODP_CAP_MR_STATS);
RXO_DV_SAME(RXE_ODP_DV_CAP_QP_ERROR, RXE_ODP_CAP_QP_ACCESS_ERROR);
RXO_DV_SAME(RXE_ODP_DV_CAP_RESIDENCY, RXE_ODP_CAP_MR_RESIDENCY);
RXO_DV_SAME(RXE_ODP_DV_CAP_PREFETCH, RXE_ODP_CAP_PREFETCH);
#define DV_CAPS                                                                                    \
	(RXE_ODP_DV_CAP_MR_STATS | RXE_ODP_DV_CAP_QP_ERROR | RXE_ODP_DV_CAP_RESIDENCY |            \
	 RXE_ODP_DV_CAP_PREFETCH)

#define DV_SAME_PLACE(field)                                                                       \
	static_assert(offsetof(struct rxe_odp_dv_mr_stats, field) ==                               \
			      offsetof(struct rxe_odp_mr_stats, field) + 8,                        \
		      "the kernel's layout behind comp_mask")

DV_SAME_PLACE(kind);
DV_SAME_PLACE(faults);
DV_SAME_PLACE(resident_pages);
DV_SAME_PLACE(prefetched_pages);
DV_SAME_PLACE(faults_by_time);
RXO_DV_SAME(RXE_ODP_DV_FAULT_CLASSES, RXE_ODP_FAULT_CLASSES);

RXO_DV_SAME(RXE_ODP_DV_MR_PINNED, RXE_ODP_MR_PINNED);
RXO_DV_SAME(RXE_ODP_DV_MR_ON_DEMAND, RXE_ODP_MR_ON_DEMAND);
RXO_DV_SAME(RXE_ODP_DV_MR_DMABUF, RXE_ODP_MR_DMABUF);
RXO_DV_SAME(RXE_ODP_DV_PAGE_PRESENT, RXE_ODP_PAGE_PRESENT);
RXO_DV_SAME(RXE_ODP_DV_PAGE_WRITABLE, RXE_ODP_PAGE_WRITABLE);
RXO_DV_SAME(RXE_ODP_DV_PAGE_HUGE, RXE_ODP_PAGE_HUGE);

RXO_DV_SAME(RXE_ODP_DV_REGISTER_PINNED, RXO_REGISTER_PINNED);
RXO_DV_SAME(RXE_ODP_DV_REGISTER_ON_DEMAND, RXO_REGISTER_ON_DEMAND);

RXO_DV_EXPORT bool rxe_odp_dv_is_supported(struct ibv_device *device)
{
	return device && rxo_device_is_ours(device);
}

RXO_DV_EXPORT int rxe_odp_dv_query_device(struct ibv_context *context,
					  struct rxe_odp_dv_device_attr *attr, size_t size)
{
	struct rxe_odp_dv_device_attr filled = {};
	int err = rxo_dv_refuse(context, size, sizeof(filled));

	if (err)
		return err;
	filled.caps = to_rxo_context(context)->caps & DV_CAPS;
	filled.register_policy = to_rxo_context(context)->plain;
	filled.page_bytes = sysconf(_SC_PAGESIZE);
	memset(attr, 0, size);
	memcpy(attr, &filled, sizeof(filled));
	return 0;
}

RXO_DV_EXPORT int rxe_odp_dv_query_mr(struct ibv_mr *mr, struct rxe_odp_dv_mr_stats *stats,
				      size_t size)
{
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_MR, RXE_ODP_METHOD_MR_STATS, 2);
	int err = rxo_dv_refuse(mr ? mr->context : NULL, size,
				RXO_DV_THROUGH(struct rxe_odp_dv_mr_stats, prefetched_pages));
	struct rxo_dv_filled to;

	if (err)
		return err;
	to = rxo_dv_begin(stats, size, sizeof(*stats));
	fill_attr_in_obj(cmd, RXE_ODP_ATTR_MR_STATS_HANDLE, mr->handle);
	fill_attr_out(cmd, RXE_ODP_ATTR_MR_STATS_RESP, to.bytes, to.len);
	return rxo_dv_error(execute_ioctl(mr->context, cmd));
}

/* Of one call; *@done pages at least one, and fewer than asked for where a signal came. */
static int dv_fill_residency(struct ibv_mr *mr, uint64_t addr, uint64_t length, uint8_t *pages,
			     uint64_t *done)
{
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_MR, RXE_ODP_METHOD_MR_RESIDENCY, 3);
	struct rxe_odp_mr_residency req = { addr, length, (uintptr_t)pages };

	*done = 0;
	fill_attr_in_obj(cmd, RXE_ODP_ATTR_MR_RESIDENCY_HANDLE, mr->handle);
	fill_attr_in_ptr(cmd, RXE_ODP_ATTR_MR_RESIDENCY_REQ, &req);
	fill_attr_out_ptr(cmd, RXE_ODP_ATTR_MR_RESIDENCY_RESP_PAGES, done);
	return rxo_dv_error(execute_ioctl(mr->context, cmd));
}

RXO_DV_EXPORT int rxe_odp_dv_query_residency(struct ibv_mr *mr, uint64_t addr, size_t length,
					     uint8_t *pages, size_t num_pages)
{
	uint64_t page = sysconf(_SC_PAGESIZE), done, step, last;
	int err = rxo_dv_refuse(mr ? mr->context : NULL, 0, 0);

	if (err)
		return err;
	if (!length)
		return 0;
	last = addr + length - 1;
	if (last < addr)
		return EFAULT;
	if (last / page - addr / page >= num_pages)
		return EINVAL;
	for (;;) {
		/* To the end of a page, unless it is the last. */
		step = RXE_ODP_RESIDENCY_MAX_PAGES * page - addr % page - 1;
		if (step > last - addr)
			step = last - addr;
		err = dv_fill_residency(mr, addr, step + 1, pages, &done);
		if (err)
			return err;
		if (done > last / page - addr / page)
			return 0;
		pages += done;
		addr = (addr / page + done) * page;
	}
}
