// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves: made by the first fault in their 2 MiB, gone with their last page.
 *
 * The lock. An access holds leaf->lock shared, with BH off, for as long as it touches memory; who
 * changes entries holds it exclusively. So an invalidation that has had the lock knows that no
 * access to what it cleared is in flight, and that none can begin.
 *
 * Closing. A reader with BH off passes a waiting writer in a queued rwlock, so accesses that follow
 * each other closely on a hot leaf could hold an invalidation off for ever. Whoever wants the lock
 * exclusively says so first:
 *
 *	CPU 0, invalidation			CPU 1, softirq, access after access
 *	-------------------			-----------------------------------
 *	local_bh_disable()
 *	closing++				read_lock(), it held the lock before
 *	write_lock() waits			... read_unlock()
 *						next access: closing, so -EAGAIN
 *	has the lock
 *	closing--
 *
 * The check is a hint: an access that missed the increment is one more that the writer waits for,
 * and each CPU can have one such at most. BH goes off before the increment: were it the other way
 * round, a softirq on CPU 0 between the two could ask again and again for a leaf that stays closing
 * until it ends.
 *
 * The life. region->lock protects insertion and removal. A leaf is removed when it is empty and
 * not pinned; pins are taken under region->lock too, and only a pinned leaf gets entries, so what
 * is found empty under region->lock stays so. The struct is freed after RCU, since an access finds
 * it without a lock: it then finds no entries, which is a miss. Its page of entries goes at once:
 * nobody looks at that without leaf->lock.
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "chunk.h"
#include "leaf.h"
#include "region.h"

/**
 * umem_odp_leaf_lock() - take a leaf exclusively
 * @leaf: the leaf
 *
 * Context: Waits for the accesses under way, of at most UMEM_ODP_ACCESS_MAX each, and for no other.
 */
void umem_odp_leaf_lock(struct umem_odp_leaf *leaf)
{
	local_bh_disable();
	atomic_inc(&leaf->closing);
	write_lock(&leaf->lock);
	atomic_dec(&leaf->closing);
}

/**
 * umem_odp_leaf_unlock() - undo umem_odp_leaf_lock()
 * @leaf: the leaf
 */
void umem_odp_leaf_unlock(struct umem_odp_leaf *leaf)
{
	write_unlock_bh(&leaf->lock);
}

static struct umem_odp_leaf *get_existing(struct umem_odp_region *r, struct umem_odp_chunk *chunk,
					  unsigned int index)
{
	struct umem_odp_leaf *leaf;

	guard(spinlock)(&r->lock);
	leaf = xa_load(&chunk->leaves, index);
	if (leaf)
		leaf->pins++;
	return leaf;
}

/**
 * umem_odp_leaf_get() - find or make the leaf of an address, and pin it
 * @r: the region
 * @chunk: the chunk of @va, pinned
 * @va: any address in the leaf
 *
 * Context: May sleep.
 * Return: the leaf, or ERR_PTR(-ENOMEM).
 */
struct umem_odp_leaf *umem_odp_leaf_get(struct umem_odp_region *r, struct umem_odp_chunk *chunk,
					u64 va)
{
	unsigned int index = umem_odp_leaf_index(va);
	struct umem_odp_leaf *leaf;
	int err;

	for (;;) {
		leaf = get_existing(r, chunk, index);
		if (leaf)
			return leaf;

		leaf = kzalloc_obj(*leaf, GFP_KERNEL_ACCOUNT);
		if (!leaf)
			return ERR_PTR(-ENOMEM);
		rwlock_init(&leaf->lock);
		leaf->index = index;
		leaf->pins = 1;
		err = xa_insert(&chunk->leaves, index, leaf, GFP_KERNEL_ACCOUNT);
		if (!err)
			break;
		kfree(leaf);
		if (err != -EBUSY)
			return ERR_PTR(err);
	}
	scoped_guard(spinlock, &r->lock)
		chunk->nr_leaves++;
	atomic_long_add(sizeof(*leaf), &r->table_bytes);
	return leaf;
}

/**
 * umem_odp_leaf_alloc_pages() - give a leaf room for page entries
 * @r: the region
 * @leaf: the leaf, pinned
 *
 * Context: May sleep.
 * Return: 0 or -ENOMEM.
 */
int umem_odp_leaf_alloc_pages(struct umem_odp_region *r, struct umem_odp_leaf *leaf)
{
	unsigned long *pages;

	/* Only a fault that pins the leaf sets it, only removal takes it: no lock to look. */
	if (READ_ONCE(leaf->entries.pages))
		return 0;
	pages = kcalloc(UMEM_ODP_LEAF_PAGES, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;

	umem_odp_leaf_lock(leaf);
	if (!leaf->entries.pages) {
		WRITE_ONCE(leaf->entries.pages, pages);
		atomic_long_add(UMEM_ODP_LEAF_PAGES * sizeof(*pages), &r->table_bytes);
		pages = NULL;
	}
	umem_odp_leaf_unlock(leaf);
	kfree(pages);
	return 0;
}

static void remove_locked(struct umem_odp_region *r, struct umem_odp_chunk *chunk,
			  struct umem_odp_leaf *leaf)
{
	unsigned long bytes = sizeof(*leaf);
	unsigned long *pages;

	lockdep_assert_held(&r->lock);
	if (leaf->pins || READ_ONCE(leaf->entries.resident))
		return;
	/* Two invalidations may both have found it empty. */
	if (xa_load(&chunk->leaves, leaf->index) != leaf)
		return;
	xa_erase(&chunk->leaves, leaf->index);
	chunk->nr_leaves--;

	umem_odp_leaf_lock(leaf);
	pages = leaf->entries.pages;
	leaf->entries.pages = NULL;
	umem_odp_leaf_unlock(leaf);
	if (pages)
		bytes += UMEM_ODP_LEAF_PAGES * sizeof(*pages);
	atomic_long_sub(bytes, &r->table_bytes);
	kfree(pages);
	kfree_rcu(leaf, rcu);
	umem_odp_chunk_reap_if_empty(r, chunk);
}

/**
 * umem_odp_leaf_remove_if_empty() - remove a leaf without pages, if no fault is at work there
 * @r: the region
 * @chunk: the leaf's chunk
 * @leaf: the leaf, found in an RCU read-side critical section that still lasts
 */
void umem_odp_leaf_remove_if_empty(struct umem_odp_region *r, struct umem_odp_chunk *chunk,
				   struct umem_odp_leaf *leaf)
{
	guard(spinlock)(&r->lock);
	remove_locked(r, chunk, leaf);
}

/**
 * umem_odp_leaf_put() - undo umem_odp_leaf_get()
 * @r: the region
 * @chunk: the leaf's chunk
 * @leaf: the leaf
 */
void umem_odp_leaf_put(struct umem_odp_region *r, struct umem_odp_chunk *chunk,
		       struct umem_odp_leaf *leaf)
{
	guard(spinlock)(&r->lock);
	leaf->pins--;
	remove_locked(r, chunk, leaf);
}
