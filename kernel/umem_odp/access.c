// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses: touching a region's bytes through its mirror, in any context, never sleeping.
 *
 * The chunk and the leaf are found under RCU. Between begin and end the leaf's lock is held
 * shared: no invalidation of the memory can finish, so it stays the process's memory. Meanwhile the
 * access may go on to the bytes behind, within the leaf and UMEM_ODP_ACCESS_MAX.
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
	unsigned long index = va >> UMEM_ODP_CHUNK_SHIFT;
	struct umem_odp_chunk *chunk = rcu_dereference(*umem_odp_recent_chunk(m, index));

	if (unlikely(!chunk || chunk->index != index))
		chunk = xa_load(&m->chunks, index);
	return chunk ? rcu_dereference(chunk->leaves[umem_odp_leaf_index(va)]) : NULL;
}

/* Sets @acc to the contiguous memory at @va, of @len_bytes at most; false: a miss. */
static bool access_look(struct umem_odp_access *acc, u64 va, u32 len_bytes)
{
	struct umem_odp_entries *entries = &acc->leaf->entries;
	unsigned long phys, bits;
	size_t found;

	lockdep_assert_held_read(&acc->leaf->lock);
	found = umem_odp_entries_look(entries, va & (UMEM_ODP_LEAF_BYTES - 1),
				      min(len_bytes, acc->room_bytes), acc->write, &phys, &bits);
	if (!found)
		return false;
	/* Pages that are marked already are not written to. */
	if (unlikely(!(bits & UMEM_ODP_ENTRY_ACCESSED)))
		umem_odp_entries_touch(entries, umem_odp_leaf_page(va),
				       umem_odp_leaf_page(va + found - 1));
	acc->kaddr = __va(phys);
	acc->len_bytes = found;
	acc->next_va = va + found;
	acc->room_bytes -= found;
	return true;
}

/* Ends with RCU and leaf->lock held, or neither. */
static int access_begin(struct umem_odp_region *r, struct umem_odp_access *acc, u64 va,
			u32 len_bytes, bool write, bool try)
{
	struct umem_odp_leaf *leaf;
	int err;

	if (!umem_odp_region_has(r, va) || (write && !(r->flags & UMEM_ODP_WRITE)))
		return -EFAULT;
	if (READ_ONCE(r->closed))
		return -ESHUTDOWN;

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
	/* Again: the removal of a region closes it, then takes this lock once (mirror.c). */
	if (READ_ONCE(r->closed)) {
		err = -ESHUTDOWN;
		goto miss_unlock;
	}
	acc->leaf = leaf;
	acc->write = write;
	acc->room_bytes = min_t(u64, UMEM_ODP_ACCESS_MAX, r->last - va + 1);
	if (access_look(acc, va, len_bytes))
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

bool umem_odp_access_next(struct umem_odp_access *acc, u32 len_bytes)
{
	/* An invalidation that waits for this leaf is not made to wait for more pages. */
	return acc->room_bytes && (acc->next_va & (UMEM_ODP_LEAF_BYTES - 1)) &&
	       !umem_odp_leaf_is_closing(acc->leaf) && access_look(acc, acc->next_va, len_bytes);
}
EXPORT_SYMBOL_GPL(umem_odp_access_next);

void umem_odp_access_end(struct umem_odp_access *acc)
{
	read_unlock(&acc->leaf->lock);
	local_bh_enable();
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(umem_odp_access_end);

static u32 access_ask(size_t len_bytes)
{
	return min_t(size_t, len_bytes, UMEM_ODP_ACCESS_MAX);
}

int umem_odp_copy_from(struct umem_odp_region *r, u64 va, void *buf, size_t len_bytes,
		       size_t *done)
{
	struct umem_odp_access acc;
	unsigned long left;
	int err = 0;

	*done = 0;
	while (!err && *done < len_bytes) {
		err = access_begin(r, &acc, va + *done, access_ask(len_bytes - *done), false,
				   false);
		if (err)
			break;
		do {
			left = copy_mc_to_kernel(buf + *done, acc.kaddr, acc.len_bytes);
			*done += acc.len_bytes - left;
			err = left ? -EHWPOISON : 0;
		} while (!err && *done < len_bytes &&
			 umem_odp_access_next(&acc, access_ask(len_bytes - *done)));
		umem_odp_access_end(&acc);
	}
	return err;
}
EXPORT_SYMBOL_GPL(umem_odp_copy_from);

int umem_odp_copy_to(struct umem_odp_region *r, u64 va, const void *buf, size_t len_bytes,
		     size_t *done)
{
	struct umem_odp_access acc;
	int err;

	*done = 0;
	while (*done < len_bytes) {
		err = access_begin(r, &acc, va + *done, access_ask(len_bytes - *done), true, false);
		if (err)
			return err;
		do {
			memcpy(acc.kaddr, buf + *done, acc.len_bytes);
			*done += acc.len_bytes;
		} while (*done < len_bytes &&
			 umem_odp_access_next(&acc, access_ask(len_bytes - *done)));
		umem_odp_access_end(&acc);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(umem_odp_copy_to);
