// SPDX-License-Identifier: GPL-2.0
/*
 * Keys, rights and iovas: from what a WQE or a packet says to bytes of a struct
 * rxo_mem.
 *
 * A key is the index of the region in rxo_dev.mrs, and a byte that changes with
 * each registration, so that a stale key does not reach the next owner of its
 * index. Local and remote key are the same number; the rights are what tells the
 * askers apart. All 32 bits are compared. What kernel users register by work
 * requests gets that byte from them (mr_fast.c).
 *
 * Lookup is RCU and a reference. The memory above which a struct rxo_mr lies
 * (mem.c) outlives every reference to it, since a struct rxo_mr holds one.
 */
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device/dev.h"
#include "memory/mem.h"
#include "memory/mr.h"
#include "memory/mr_fast.h"
#include "memory/mw.h"

/* What a lookup asks for: see mr.h. */
struct mr_ask {
	struct rxo_pd *pd;
	u64 qp_id;
	u32 key;
	enum rxo_key_type type;
	int access;
	bool whole;		/* all that the key stands for, not a range of it */
	u64 iova;
	u64 length;
};

static int mr_check_access(const struct rxo_mr *mr, const struct mr_ask *ask)
{
	if ((mr->access & ask->access) != ask->access)
		return -EPERM;
	/* Without any remote right a peer gets no access. */
	if (ask->type == RXO_RKEY && !(ask->access & RXO_REMOTE_RIGHTS))
		return -EPERM;
	if (ask->whole)
		return 0;
	if (ask->iova < mr->iova || ask->length > mr->length ||
	    ask->iova - mr->iova > mr->length - ask->length)
		return -ERANGE;
	return 0;
}

/* The key of a region that a verb registered never changes. */
static bool mr_key_changes(const struct rxo_mr *mr)
{
	return mr->fast || mr->window;
}

/* One lookup for regions and windows. */
static struct rxo_mr *mr_resolve(const struct mr_ask *ask)
{
	struct rxo_dev *dev = to_rxo_dev(ask->pd->ibpd.device);
	struct rxo_mr *mr;
	int err = 0;

	rcu_read_lock();
	mr = xa_load(&dev->mrs, ask->key >> 8);
	if (!mr || READ_ONCE(mr->key) != ask->key)
		err = -ENOENT;
	else if (mr->pd != ask->pd)
		err = -EPERM;
	else if (!refcount_inc_not_zero(&mr->refs))
		err = -ENOENT;
	rcu_read_unlock();
	if (err)
		return ERR_PTR(err);

	if (mr_key_changes(mr)) {
		/* It may have been taken back before there was a reference: mr_fast.c. */
		smp_mb__after_atomic();		/* pairs with fast_take_key() */
		if (smp_load_acquire(&mr->key) != ask->key)
			err = -ENOENT;
	}
	err = err ?: mr_check_access(mr, ask);
	if (!err && mr->window)
		err = rxo_mw_check_asker(mr, ask->type, ask->qp_id);
	if (!err)
		return mr;
	rxo_mr_put(mr);
	return ERR_PTR(err);
}

struct rxo_mr *rxo_mr_get(struct rxo_pd *pd, u32 key, enum rxo_key_type type, int access,
			  u64 iova, u64 length)
{
	return mr_resolve(&(struct mr_ask) {
		.pd = pd, .key = key, .type = type, .access = access,
		.iova = iova, .length = length,
	});
}

struct rxo_mr *rxo_mr_get_remote(struct rxo_pd *pd, u64 qp_id, u32 key, int access, u64 iova,
				 u64 length)
{
	return mr_resolve(&(struct mr_ask) {
		.pd = pd, .qp_id = qp_id, .key = key, .type = RXO_RKEY, .access = access,
		.iova = iova, .length = length,
	});
}

struct rxo_mr *rxo_mr_get_remote_whole(struct rxo_pd *pd, u64 qp_id, u32 key, int access)
{
	return mr_resolve(&(struct mr_ask) {
		.pd = pd, .qp_id = qp_id, .key = key, .type = RXO_RKEY, .access = access,
		.whole = true,
	});
}

bool rxo_mr_is_window(struct rxo_pd *pd, u32 key)
{
	struct rxo_dev *dev = to_rxo_dev(pd->ibpd.device);
	struct rxo_mr *mr;

	guard(rcu)();
	mr = xa_load(&dev->mrs, key >> 8);
	return mr && READ_ONCE(mr->key) == key && mr->pd == pd && mr->window;
}

void rxo_mr_put(struct rxo_mr *mr)
{
	if (!refcount_dec_and_test(&mr->refs))
		return;
	/* A window holds its region while it is bound, and by now it is not. */
	if (!mr->window)
		rxo_mem_put(mr->mem);
	kfree_rcu(mr, rcu);
}

int rxo_mr_invalidate(struct rxo_pd *pd, u64 qp_id, u32 key, bool remote)
{
	struct rxo_dev *dev = to_rxo_dev(pd->ibpd.device);
	struct rxo_mr *mr;

	guard(rcu)();
	mr = xa_load(&dev->mrs, key >> 8);
	if (!mr || READ_ONCE(mr->key) != key)
		return -ENOENT;
	if (mr->window)
		return rxo_mw_invalidate(pd, qp_id, mr, key);
	/* What a verb registered is only deregistered by a verb. */
	if (mr->pd != pd || !mr->fast)
		return -EPERM;
	return rxo_fast_invalidate(mr, key, remote);
}

static u64 mr_to_va(const struct rxo_mr *mr, u64 iova)
{
	return mr->va + (iova - mr->iova);
}

int rxo_mr_copy_from(struct rxo_mr *mr, u64 iova, void *dst, u32 length, u32 *done)
{
	return rxo_mem_copy_from(mr->mem, mr_to_va(mr, iova), dst, length, done);
}

int rxo_mr_copy_to(struct rxo_mr *mr, u64 iova, const void *src, u32 length, u32 *done)
{
	return rxo_mem_copy_to(mr->mem, mr_to_va(mr, iova), src, length, done);
}

static bool mr_overlap(const struct rxo_mem_access *a, const struct rxo_mem_access *b, u32 bytes)
{
	return a->kaddr < b->kaddr + bytes && b->kaddr < a->kaddr + bytes;
}

/*
 * Copies as far as both accesses reach. Where they overlap the wire is needed: a packet holds a
 * copy of its bytes before the first is placed.
 */
static int mr_move_some(struct rxo_mem_access *to, struct rxo_mem_access *from, u32 length,
			u32 *done)
{
	unsigned long left;
	u32 bytes;

	do {
		bytes = min(to->bytes, from->bytes);
		if (mr_overlap(to, from, bytes))
			return -EAGAIN;
		left = copy_mc_to_kernel(to->kaddr, from->kaddr, bytes);
		*done += bytes - left;
		if (left)
			return -EHWPOISON;
	} while (*done < length && rxo_mem_advance(from, bytes, length - *done) &&
		 rxo_mem_advance(to, bytes, length - *done));
	return 0;
}

/*
 * Whether the ranges overlap in the owner's addresses. Asked before the first page is copied, since
 * that may be the source of a later one. Of memory that is mapped twice, mr_overlap() notices only
 * what overlaps within the two pieces at hand.
 */
static bool mr_overlap_as_mapped(const struct rxo_mr *a, u64 a_va, const struct rxo_mr *b, u64 b_va,
				 u32 length)
{
	return a->mem->mm && a->mem->mm == b->mem->mm && a_va < b_va + length &&
	       b_va < a_va + length;
}

int rxo_mr_move(struct rxo_mr *to, u64 to_iova, struct rxo_mr *from, u64 from_iova, u32 length)
{
	u64 to_va = mr_to_va(to, to_iova), from_va = mr_to_va(from, from_iova);
	struct rxo_mem_access to_acc, from_acc;
	u32 done = 0;
	int err = 0;

	if (mr_overlap_as_mapped(to, to_va, from, from_va, length))
		return -EAGAIN;
	while (!err && done < length) {
		err = rxo_mem_begin(from->mem, &from_acc, from_va + done, length - done, false,
				    false);
		if (err)
			break;
		err = rxo_mem_begin(to->mem, &to_acc, to_va + done, length - done, true, true);
		if (!err) {
			err = mr_move_some(&to_acc, &from_acc, length, &done);
			rxo_mem_end(&to_acc);
		}
		rxo_mem_end(&from_acc);
	}
	return err;
}

int rxo_mr_atomic(struct rxo_mr *mr, u64 iova, enum rxo_atomic_op op, u64 compare, u64 value,
		  u64 *old)
{
	return rxo_mem_atomic(mr->mem, mr_to_va(mr, iova), op, compare, value, old);
}

int rxo_mr_write_back(struct rxo_mr *mr, u64 iova, u32 length, u32 *done)
{
	return rxo_mem_write_back(mr->mem, mr_to_va(mr, iova), length, done);
}

int rxo_mr_fault_async(struct rxo_mr *mr, u64 iova, u64 length, bool write,
		       struct umem_odp_waiter *waiter)
{
	if (mr->mem->kind != RXO_MR_ODP)
		return 0;	/* always there */
	return umem_odp_fault_async(mr->mem->region, mr_to_va(mr, iova), length, write, waiter);
}

u64 rxo_mr_present(struct rxo_mr *mr, u64 iova, u64 length, bool write)
{
	struct umem_odp_access acc;
	u64 found = 0;

	if (mr->mem->kind != RXO_MR_ODP)
		return length;
	while (found < length) {
		if (umem_odp_access_begin(mr->mem->region, &acc, mr_to_va(mr, iova) + found,
					  min_t(u64, length - found, UMEM_ODP_ACCESS_MAX), write))
			break;
		found += acc.len_bytes;
		umem_odp_access_end(&acc);
	}
	return found;
}

u64 rxo_mr_fault_ns(struct rxo_mr *mr)
{
	if (mr->mem->kind != RXO_MR_ODP)
		return 0;
	return umem_odp_region_fault_ns(mr->mem->region);
}

int rxo_mr_publish(struct rxo_dev *dev, struct rxo_mr *mr, u32 *key)
{
	u32 index;
	int err;

	/* Reserve the index; lookups see nothing there until the region is complete. */
	err = xa_alloc_cyclic(&dev->mrs, &index, NULL, XA_LIMIT(1, U32_MAX >> 8), &dev->next_mr,
			      GFP_KERNEL);
	if (err < 0)
		return err;
	*key = index << 8 | get_random_u8();
	mr->index = index;
	if (!mr->fast && !mr->window)
		mr->key = *key;
	err = xa_err(xa_store(&dev->mrs, index, mr, GFP_KERNEL));
	if (err)
		xa_release(&dev->mrs, index);
	return err;
}

void rxo_mr_replace(struct rxo_dev *dev, struct rxo_mr *mr, struct rxo_mr *old)
{
	mr->key = old->key;
	mr->index = old->index;
	/* Cannot fail: the entry is there. */
	WARN_ON_ONCE(xa_store(&dev->mrs, mr->index, mr, GFP_KERNEL) != old);
	rxo_mr_put(old);
}

void rxo_mr_unpublish(struct rxo_dev *dev, struct rxo_mr *mr)
{
	xa_erase(&dev->mrs, mr->index);
	rxo_mr_put(mr);
}
