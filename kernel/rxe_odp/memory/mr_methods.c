// SPDX-License-Identifier: GPL-2.0
/*
 * What a process can ask of its regions beside the verbs (docs/user-abi.md). uverbs has checked
 * handles and the least length of attributes; the rest is hostile.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>

#include "memory/mem.h"
#include "memory/mr.h"

#define UVERBS_MODULE_NAME rxo_mr
#include <rdma/uverbs_named_ioctl.h>

static void mr_method_fill_odp(struct rxe_odp_mr_stats *to, const struct umem_odp_region *region)
{
	struct umem_odp_stats from;

	umem_odp_region_stats(region, &from);
	to->kind = RXE_ODP_MR_ON_DEMAND;
	to->faults = from.faults;
	to->fault_pages = from.fault_pages;
	to->joined_faults = from.joined_faults;
	to->retries = from.retries;
	to->failed_faults = from.failed_faults;
	to->invalidations = from.invalidations;
	to->invalidated_pages = from.invalidated_pages;
	to->downgrades = from.downgrades;
	to->resident_pages = from.resident_pages;
	to->table_bytes = from.table_bytes;
	to->worst_fault_ns = from.worst_fault_ns;
	to->last_fault_ns = from.last_fault_ns;
	to->avg_fault_ns = from.avg_fault_ns;
	to->prefetched_pages = from.prefetched_pages;
	static_assert(sizeof(to->faults_by_time) == sizeof(from.faults_by_time));
	memcpy(to->faults_by_time, from.faults_by_time, sizeof(to->faults_by_time));
}

/* Of memory that is there as a whole, or was. */
static void mr_method_fill_plain(struct rxe_odp_mr_stats *to, const struct rxo_mem *mem)
{
	to->kind = mem->kind == RXO_MR_DMABUF ? RXE_ODP_MR_DMABUF : RXE_ODP_MR_PINNED;
	if (!rxo_mem_is_taken_back(mem))
		to->resident_pages = (offset_in_page(mem->va) + mem->length_bytes - 1) /
				     PAGE_SIZE + 1;
}

static int UVERBS_HANDLER(RXE_ODP_METHOD_MR_STATS)(struct uverbs_attr_bundle *attrs)
{
	struct ib_mr *ibmr = uverbs_attr_get_obj(attrs, RXE_ODP_ATTR_MR_STATS_HANDLE);
	struct rxo_mem *mem = to_rxo_ibmr(ibmr)->mem;
	struct rxe_odp_mr_stats stats = { .key = ibmr->lkey };

	if (mem->kind == RXO_MR_ODP)
		mr_method_fill_odp(&stats, mem->region);
	else
		mr_method_fill_plain(&stats, mem);
	return uverbs_copy_to_struct_or_zero(attrs, RXE_ODP_ATTR_MR_STATS_RESP, &stats,
					     sizeof(stats));
}

DECLARE_UVERBS_NAMED_METHOD(RXE_ODP_METHOD_MR_STATS,
			    UVERBS_ATTR_IDR(RXE_ODP_ATTR_MR_STATS_HANDLE, UVERBS_OBJECT_MR,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_ODP_ATTR_MR_STATS_RESP,
						UVERBS_ATTR_MIN_SIZE(sizeof(u64)), UA_MANDATORY));

static_assert(RXE_ODP_PAGE_PRESENT == UMEM_ODP_PAGE_PRESENT);
static_assert(RXE_ODP_PAGE_WRITABLE == UMEM_ODP_PAGE_WRITABLE);
static_assert(RXE_ODP_PAGE_HUGE == UMEM_ODP_PAGE_HUGE);

static void mr_method_residency(const struct rxo_mem *mem, u64 va, u8 *pages, unsigned int nr)
{
	u8 page = RXE_ODP_PAGE_PRESENT | (mem->writable ? RXE_ODP_PAGE_WRITABLE : 0);

	if (mem->kind == RXO_MR_ODP)
		umem_odp_region_residency(mem->region, va, pages, nr);
	else
		memset(pages, rxo_mem_is_taken_back(mem) ? 0 : page, nr);
}

/* In steps, which a signal ends; *@done counts pages. @va is in the first of them. */
static int mr_method_write_residency(const struct rxo_mem *mem, u64 va, u64 nr, u8 __user *to,
				     u64 *done)
{
	u8 *pages __free(kfree) = kmalloc(PAGE_SIZE, GFP_KERNEL);
	unsigned int step;

	if (!pages)
		return -ENOMEM;
	do {
		step = min_t(u64, nr - *done, PAGE_SIZE);
		mr_method_residency(mem, va + (*done << PAGE_SHIFT), pages, step);
		if (copy_to_user(to + *done, pages, step))
			return -EFAULT;
		*done += step;
	} while (*done < nr && !signal_pending(current));
	return 0;
}

static int UVERBS_HANDLER(RXE_ODP_METHOD_MR_RESIDENCY)(struct uverbs_attr_bundle *attrs)
{
	struct ib_mr *ibmr = uverbs_attr_get_obj(attrs, RXE_ODP_ATTR_MR_RESIDENCY_HANDLE);
	const struct rxo_mem *mem = to_rxo_ibmr(ibmr)->mem;
	const struct rxo_mr *mr = to_rxo_ibmr(ibmr)->mr;
	struct rxe_odp_mr_residency req;
	u64 va, nr, done = 0;
	int err;

	err = uverbs_copy_from_or_zero(&req, attrs, RXE_ODP_ATTR_MR_RESIDENCY_REQ);
	if (err)
		return err;
	/* Not ibmr->length, which is U64_MAX for an implicit region. */
	if (req.address < mr->iova || req.length > mr->length ||
	    req.address - mr->iova > mr->length - req.length)
		return -EFAULT;
	va = mem->va + (req.address - mr->iova);
	nr = req.length ? ((va + req.length - 1) >> PAGE_SHIFT) - (va >> PAGE_SHIFT) + 1 : 0;
	if (nr > RXE_ODP_RESIDENCY_MAX_PAGES)
		return -E2BIG;
	err = mr_method_write_residency(mem, va, nr, u64_to_user_ptr(req.pages), &done);
	return err ?: uverbs_copy_to(attrs, RXE_ODP_ATTR_MR_RESIDENCY_RESP_PAGES, &done,
				     sizeof(done));
}

DECLARE_UVERBS_NAMED_METHOD(RXE_ODP_METHOD_MR_RESIDENCY,
			    UVERBS_ATTR_IDR(RXE_ODP_ATTR_MR_RESIDENCY_HANDLE, UVERBS_OBJECT_MR,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_IN(RXE_ODP_ATTR_MR_RESIDENCY_REQ,
					       UVERBS_ATTR_STRUCT(struct rxe_odp_mr_residency,
								  pages), UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_ODP_ATTR_MR_RESIDENCY_RESP_PAGES,
						UVERBS_ATTR_TYPE(u64), UA_MANDATORY));

ADD_UVERBS_METHODS(mr_methods, UVERBS_OBJECT_MR, &UVERBS_METHOD(RXE_ODP_METHOD_MR_STATS),
		   &UVERBS_METHOD(RXE_ODP_METHOD_MR_RESIDENCY));

const struct uapi_definition rxo_mr_uapi[] = {
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_MR, &mr_methods),
	{},
};
