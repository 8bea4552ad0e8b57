// SPDX-License-Identifier: GPL-2.0
/* Registration, re-registration and deregistration of memory regions. */
#include <linux/sched.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>

#include "device/ctx.h"
#include "device/dev.h"
#include "memory/mem.h"
#include "memory/mr.h"
#include "memory/mr_fast.h"

/* FLUSH_PERSISTENT is refused for memory that does not outlive a loss of power. */
static bool mr_may_be_flushed(const struct rxo_mem *mem, int access)
{
	return !(access & IB_ACCESS_FLUSH_PERSISTENT) || rxo_mem_is_persistent(mem);
}

/* A region over @mem, with a reference of its own to it. No key yet. */
static struct rxo_mr *mr_alloc(struct rxo_mem *mem, struct rxo_pd *pd, int access, u64 iova,
			       u64 length)
{
	struct rxo_mr *mr = mem->kind == RXO_MR_FAST ? rxo_fast_alloc() :
			    kzalloc_obj(*mr, GFP_KERNEL_ACCOUNT);

	if (!mr)
		return NULL;
	rxo_mem_get(mem);
	mr->mem = mem;
	mr->pd = pd;
	mr->access = access;
	mr->iova = iova;
	mr->va = mem->va;
	mr->length = length;
	refcount_set(&mr->refs, 1);
	return mr;
}

/* Takes over the creator's reference to @mem, on failure too. */
static struct ib_mr *mr_publish_new(struct rxo_dev *dev, struct rxo_mem *mem, struct rxo_pd *pd,
				    int access, u64 iova, u64 length)
{
	struct rxo_ibmr *ibmr;
	int err = -ENOMEM;
	u32 key;

	if (IS_ERR(mem))
		return ERR_CAST(mem);
	if (!mr_may_be_flushed(mem, access)) {
		err = -EINVAL;
		goto err_mem;
	}
	ibmr = kzalloc_obj(*ibmr, GFP_KERNEL_ACCOUNT);
	if (!ibmr)
		goto err_mem;
	ibmr->mem = mem;
	ibmr->mr = mr_alloc(mem, pd, access, iova, length);
	if (!ibmr->mr)
		goto err_ibmr;
	err = rxo_mr_publish(dev, ibmr->mr, &key);
	if (err)
		goto err_mr;

	rxo_mem_put(mem);
	ibmr->ibmr.lkey = key;
	ibmr->ibmr.rkey = key;
	ibmr->ibmr.iova = iova;
	ibmr->ibmr.length = length;
	return &ibmr->ibmr;

err_mr:
	rxo_mr_put(ibmr->mr);
err_ibmr:
	kfree(ibmr);
err_mem:
	rxo_mem_put(mem);
	rxo_mem_destroy(dev, mem);
	return ERR_PTR(err);
}

struct ib_mr *rxo_get_dma_mr(struct ib_pd *ibpd, int access)
{
	/* It covers all kernel memory: not for a PD of a process. */
	if (ibpd->uobject)
		return ERR_PTR(-EPERM);
	return mr_publish_new(to_rxo_dev(ibpd->device), rxo_mem_create_dma(), to_rxo_pd(ibpd),
			      access, 0, U64_MAX);
}

struct ib_mr *rxo_alloc_mr(struct ib_pd *ibpd, enum ib_mr_type type, u32 max_num_sg)
{
	if (type != IB_MR_TYPE_MEM_REG)
		return ERR_PTR(-EOPNOTSUPP);
	if (!max_num_sg || max_num_sg > RXO_MAX_FAST_BLOCKS)
		return ERR_PTR(-EINVAL);
	return mr_publish_new(to_rxo_dev(ibpd->device), rxo_mem_create_fast(max_num_sg),
			      to_rxo_pd(ibpd), 0, 0, 0);
}

/* Whether a registration is on demand: it says so, or else the context, or the device. */
static bool mr_is_on_demand(const struct ib_pd *ibpd, int access)
{
	const struct rxo_ucontext *uctx;

	if (access & IB_ACCESS_ON_DEMAND)
		return true;
	if (!ibpd->uobject)
		return false;
	uctx = to_rxo_ucontext(ibpd->uobject->context);
	if (uctx->plain == RXO_REGISTER_AS_DEVICE)
		return READ_ONCE(to_rxo_dev(ibpd->device)->register_on_demand);
	return uctx->plain == RXO_REGISTER_ON_DEMAND;
}

/*
 * A registration that a policy makes on demand fails, as a pinned one would, if the range is not
 * mapped with the permissions.
 */
static struct rxo_mem *mr_create_odp(struct rxo_dev *dev, u64 start, u64 length, int access)
{
	bool writable = ib_access_writable(access);
	int err;

	if (!(access & IB_ACCESS_ON_DEMAND)) {
		err = umem_odp_check_mapped(current->mm, start, length, writable);
		if (err)
			return ERR_PTR(err);
	}
	return rxo_mem_create_odp(dev, start, length, writable);
}

static struct ib_mr *mr_register(struct ib_pd *ibpd, u64 start, u64 length, u64 iova, int access)
{
	struct rxo_dev *dev = to_rxo_dev(ibpd->device);
	struct rxo_mem *mem;

	if (access & IB_ZERO_BASED)
		iova = 0;
	/* A kernel thread has no memory; and no range may wrap, rounded up to pages either. */
	if (!current->mm || !length || start + length < start ||
	    PAGE_ALIGN(start + length) <= start || iova + length - 1 < iova)
		return ERR_PTR(-EINVAL);

	if (mr_is_on_demand(ibpd, access))
		mem = mr_create_odp(dev, start, length, access);
	else
		mem = rxo_mem_create_pinned(dev, start, length, access);
	return mr_publish_new(dev, mem, to_rxo_pd(ibpd), access, iova, length);
}

/* Only with IB_ACCESS_ON_DEMAND of the caller: no policy makes a region implicit. */
static bool mr_is_implicit(u64 start, u64 length, int access)
{
	return (access & IB_ACCESS_ON_DEMAND) && !start && length == U64_MAX;
}

/*
 * A region like any other, over the user address space: so the key's bounds keep every access
 * away from what lies behind, and no other code knows of implicit regions.
 */
static struct ib_mr *mr_register_implicit(struct ib_pd *ibpd, u64 iova, int access)
{
	struct ib_mr *ibmr;

	if (!current->mm || iova)
		return ERR_PTR(-EINVAL);
	ibmr = mr_register(ibpd, 0, current->mm->task_size, 0, access);
	if (!IS_ERR(ibmr))
		ibmr->length = U64_MAX;
	return ibmr;
}

struct ib_mr *rxo_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length, u64 iova, int access,
			      struct ib_dmah *dmah, struct ib_udata *udata)
{
	if (dmah)
		return ERR_PTR(-EOPNOTSUPP);
	if (mr_is_implicit(start, length, access))
		return mr_register_implicit(ibpd, iova, access);
	return mr_register(ibpd, start, length, iova, access);
}

struct ib_mr *rxo_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset, u64 length, u64 iova, int fd,
				     int access, struct ib_dmah *dmah,
				     struct uverbs_attr_bundle *attrs)
{
	struct rxo_dev *dev = to_rxo_dev(ibpd->device);
	struct rxo_mem *mem;

	if (dmah)
		return ERR_PTR(-EOPNOTSUPP);
	if (!length || iova + length - 1 < iova)
		return ERR_PTR(-EINVAL);
	mem = rxo_mem_create_dmabuf(dev, fd, offset, length);
	if (!IS_ERR(mem) && ib_access_writable(access) && !mem->writable) {
		rxo_mem_put(mem);
		rxo_mem_destroy(dev, mem);
		/* As mmap() for writing of a descriptor that is for reading. */
		return ERR_PTR(-EACCES);
	}
	return mr_publish_new(dev, mem, to_rxo_pd(ibpd), access, iova, length);
}

/* Other rights or another domain over the same memory: a new object under the same key. */
static int mr_replace_rights(struct rxo_ibmr *ibmr, struct rxo_pd *pd, int access)
{
	struct rxo_mr *old = ibmr->mr, *mr;

	if (!mr_may_be_flushed(old->mem, access))
		return -EINVAL;
	mr = mr_alloc(old->mem, pd, access, old->iova, old->length);
	if (!mr)
		return -ENOMEM;
	rxo_mr_replace(to_rxo_dev(ibmr->ibmr.device), mr, old);
	ibmr->mr = mr;
	return 0;
}

static int mr_rereg_dmabuf(struct rxo_ibmr *ibmr, struct rxo_pd *pd, int access)
{
	if (access & IB_ACCESS_ON_DEMAND)
		return -EINVAL;
	if (ib_access_writable(access) && !ibmr->mem->writable)
		return -EACCES;
	return mr_replace_rights(ibmr, pd, access);
}

/*
 * Where the memory stays what it is, key and verbs object stay as well (NULL is
 * returned). Otherwise a new region is made, and ib_core destroys the old one.
 * An access that was let in before keeps the rights it had; none lasts longer
 * than one packet.
 */
static struct ib_mr *mr_rereg(struct ib_mr *ib, int flags, u64 start, u64 length, u64 iova,
			      int access, struct ib_pd *pd)
{
	struct rxo_ibmr *ibmr = to_rxo_ibmr(ib);
	struct rxo_mem *mem = ibmr->mem;
	int err;

	if (!(flags & IB_MR_REREG_PD))
		pd = ib->pd;
	if (!(flags & IB_MR_REREG_ACCESS))
		access = ibmr->mr->access;

	if (!(flags & IB_MR_REREG_TRANS)) {
		bool was_odp = mem->kind == RXO_MR_ODP, odp = was_odp;

		/* Where addresses begin is a part of the translation. */
		if ((access ^ ibmr->mr->access) & IB_ZERO_BASED)
			return ERR_PTR(-EINVAL);
		if (mem->kind == RXO_MR_DMABUF)
			return ERR_PTR(mr_rereg_dmabuf(ibmr, to_rxo_pd(pd), access));
		if (flags & IB_MR_REREG_ACCESS)
			odp = mr_is_on_demand(pd, access);
		if (odp == was_odp && (mem->writable || !ib_access_writable(access))) {
			err = mr_replace_rights(ibmr, to_rxo_pd(pd), access);
			return err ? ERR_PTR(err) : NULL;
		}
		/* The old addresses mean something only in the process that gave them. */
		if (mem->mm != current->mm)
			return ERR_PTR(-EINVAL);
		start = mem->va;
		length = ib->length;
		iova = ibmr->mr->iova;
	}
	return rxo_reg_user_mr(pd, start, length, iova, access, NULL, NULL);
}

/*
 * Lets no window be bound to the region any more, and returns true; or false, and changes nothing,
 * if one is bound. To allow it again, set windows to 0.
 */
static bool mr_forbid_windows(struct rxo_mr *mr)
{
	return atomic_cmpxchg(&mr->windows, 0, -1) <= 0;
}

struct ib_mr *rxo_rereg_user_mr(struct ib_mr *ib, int flags, u64 start, u64 length, u64 iova,
				int access, struct ib_pd *pd, struct ib_udata *udata)
{
	struct rxo_mr *mr = to_rxo_ibmr(ib)->mr;
	struct ib_mr *new;

	if (flags & ~IB_MR_REREG_SUPPORTED)
		return ERR_PTR(-EOPNOTSUPP);
	if (!mr_forbid_windows(mr))
		return ERR_PTR(-EBUSY);
	new = mr_rereg(ib, flags, start, length, iova, access, pd);
	/*
	 * On success another struct rxo_mr stands behind the key, or there is a new region with a
	 * new key, and ib_core destroys this one next.
	 */
	if (IS_ERR(new))
		atomic_set(&mr->windows, 0);
	return new;
}

int rxo_dereg_mr(struct ib_mr *ib, struct ib_udata *udata)
{
	struct rxo_ibmr *ibmr = to_rxo_ibmr(ib);
	struct rxo_dev *dev = to_rxo_dev(ib->device);

	/* As for any object in use. At a process's end uverbs tries again after its windows. */
	if (!mr_forbid_windows(ibmr->mr))
		return -EBUSY;
	/*
	 * Unpublished first: no lookup finds it any more. Its memory is destroyed
	 * when those that found it before have put their references:
	 *
	 *	dereg_mr			QP that waits for a page of it
	 *	--------			------------------------------
	 *	key unpublished
	 *	umem_odp_region_close()
	 *					woken with -ESHUTDOWN: an access error;
	 *					puts its reference
	 *	waits for the last reference
	 *	umem_odp_region_destroy()
	 *
	 * No reference is kept across packets, so this ends.
	 */
	if (ibmr->mr->fast)
		rxo_fast_close(ibmr->mr);
	rxo_mr_unpublish(dev, ibmr->mr);
	rxo_mem_destroy(dev, ibmr->mem);
	kfree(ibmr);
	return 0;
}
