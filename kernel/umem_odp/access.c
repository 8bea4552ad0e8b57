// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses: touching a region's bytes through its mirror, in any context, never sleeping.
 *
 * The chunk and the leaf are found under RCU. Between begin and end the leaf's lock is held
 * shared, so that no invalidation of the memory can finish, which is what keeps it the process's.
 * One access holds one lock; a second beside it takes its leaf by trylock only, so that two can
 * never wait for each other, not even through a writer that waits for both.
 */
#include <linux/export.h>
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "chunk.h"
#include "hook.h"
#include "leaf.h"
#include "mirror.h"
#include "region.h"

static struct umem_odp_leaf *access_find_leaf(struct umem_odp_mirror *m, u64 va)
{
	struct umem_odp_chunk *chunk = xa_load(&m->chunks, va >> UMEM_ODP_CHUNK_SHIFT);

	return chunk ? rcu_dereference(chunk->leaves[umem_odp_leaf_index(va)]) : NULL;
}

/* Ends with RCU and leaf->lock held, or neither. */
static int access_begin(struct umem_odp_region *r, struct umem_odp_access *acc, u64 va,
			u32 len_bytes, bool write, bool try)
{
	unsigned long phys, bits;
	struct umem_odp_leaf *leaf;
	size_t found;
	int err;

	if (!umem_odp_region_has(r, va) || (write && !(r->flags & UMEM_ODP_WRITE)))
		return -EFAULT;
	if (READ_ONCE(r->closed))
		return -ESHUTDOWN;
	found = min_t(u64, len_bytes, UMEM_ODP_ACCESS_MAX);
	found = min_t(u64, found, r->last - va + 1);

	err = -EAGAIN;
	rcu_read_lock();
	leaf = access_find_leaf(r->mirror, va);
	if (!leaf || umem_odp_leaf_is_closing(leaf))
		goto miss;

	umem_odp_hook(UMEM_ODP_LEAF_FOUND, leaf);
	local_bh_disable();
	if (!try)
		read_lock(&leaf->lock);
	else if (!read_trylock(&leaf->lock))
		goto miss_bh;
	/* Again: who removes the region takes this lock once when it is closed, see mirror.c. */
	if (READ_ONCE(r->closed)) {
		err = -ESHUTDOWN;
		goto miss_unlock;
	}
	found = umem_odp_entries_look(&leaf->entries, va & (UMEM_ODP_LEAF_BYTES - 1), found, write,
				      &phys, &bits);
	if (!found)
		goto miss_unlock;
	/* Pages that are marked already are not written to. */
	if (unlikely(!(bits & UMEM_ODP_ENTRY_ACCESSED)))
		umem_odp_entries_touch(&leaf->entries, umem_odp_leaf_page(va),
				       umem_odp_leaf_page(va + found - 1));
	acc->kaddr = __va(phys);
	acc->len_bytes = found;
	acc->leaf = leaf;
	return 0;

miss_unlock:
	read_unlock(&leaf->lock);
miss_bh:
	local_bh_enable();
miss:
	rcu_read_unlock();
	return err;
}

int umem_odp_access_begin(struct umem_odp_region *r, struct umem_odp_access *acc, u64 va,
			  u32 len_bytes, bool write)
{
	return access_begin(r, acc, va, len_bytes, write, false);
}
EXPORT_SYMBOL_GPL(umem_odp_access_begin);

int umem_odp_access_try_begin(struct umem_odp_region *r, struct umem_odp_access *acc, u64 va,
			      u32 len_bytes, bool write)
{
	return access_begin(r, acc, va, len_bytes, write, true);
}
EXPORT_SYMBOL_GPL(umem_odp_access_try_begin);

void umem_odp_access_end(struct umem_odp_access *acc)
{
	read_unlock(&acc->leaf->lock);
	local_bh_enable();
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(umem_odp_access_end);

int umem_odp_copy_from(struct umem_odp_region *r, u64 va, void *buf, size_t len_bytes,
		       size_t *done)
{
	struct umem_odp_access acc;
	unsigned long left;
	u32 step;
	int err;

	for (*done = 0; *done < len_bytes; *done += acc.len_bytes) {
		step = min_t(size_t, len_bytes - *done, UMEM_ODP_ACCESS_MAX);
		err = access_begin(r, &acc, va + *done, step, false, false);
		if (err)
			return err;
		left = copy_mc_to_kernel(buf + *done, acc.kaddr, acc.len_bytes);
		umem_odp_access_end(&acc);
		if (left) {
			*done += acc.len_bytes - left;
			return -EHWPOISON;
		}
	}
	return 0;
}
EXPORT_SYMBOL_GPL(umem_odp_copy_from);

int umem_odp_copy_to(struct umem_odp_region *r, u64 va, const void *buf, size_t len_bytes,
		     size_t *done)
{
	struct umem_odp_access acc;
	u32 step;
	int err;

	for (*done = 0; *done < len_bytes; *done += acc.len_bytes) {
		step = min_t(size_t, len_bytes - *done, UMEM_ODP_ACCESS_MAX);
		err = access_begin(r, &acc, va + *done, step, true, false);
		if (err)
			return err;
		memcpy(acc.kaddr, buf + *done, acc.len_bytes);
		umem_odp_access_end(&acc);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(umem_odp_copy_to);
