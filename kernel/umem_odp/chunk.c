// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: the units of invalidation. Each has an interval notifier of its own, so that a page
 * which is reclaimed at one end of a region of a TiB retries no fault at the other, and an madvise
 * of what was never touched finds no notifier at all.
 *
 * A chunk is made by the first fault in it: the notifier is inserted before the chunk is published,
 * so what an access or an invalidation finds is always watched. Inserting needs no mmap_lock, since
 * the owner has made the mm's first interval notifier long before (owner.c).
 *
 * It goes when it has neither leaves nor pins. That is noticed under region->lock and often inside
 * of a notifier callback, where a notifier cannot be removed; so a work item does it:
 *
 *	invalidation, last leaf gone	reap work			fault in the same GiB
 *	----------------------------	---------			---------------------
 *	region->lock
 *	 nr_leaves == 0, no pins
 *	 queue the work
 *	unlock				region->lock
 *					 still empty: erase
 *					unlock
 *									finds none, makes a new one:
 *					remove the notifier		two notifiers over one range
 *					kfree_rcu			for a while: that is allowed
 */
#include <linux/slab.h>

#include "chunk.h"
#include "invalidate.h"
#include "leaf.h"
#include "region.h"

static struct umem_odp_chunk *get_existing(struct umem_odp_region *r, unsigned long index)
{
	struct umem_odp_chunk *chunk;

	guard(spinlock)(&r->lock);
	chunk = xa_load(&r->chunks, index);
	if (chunk)
		chunk->pins++;
	return chunk;
}

static struct umem_odp_chunk *make(struct umem_odp_region *r, unsigned long index)
{
	u64 start = max_t(u64, (u64)index << UMEM_ODP_CHUNK_SHIFT, r->start & PAGE_MASK);
	u64 last = min_t(u64, (((u64)index + 1) << UMEM_ODP_CHUNK_SHIFT) - 1, r->last | ~PAGE_MASK);
	struct umem_odp_chunk *chunk;
	int err;

	chunk = kzalloc_obj(*chunk, GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	chunk->region = r;
	chunk->index = index;
	chunk->pins = 1;
	xa_init(&chunk->leaves);
	err = mmu_interval_notifier_insert(&chunk->notifier, r->owner->mm, start, last - start + 1,
					   &umem_odp_invalidate_ops);
	if (err) {
		kfree(chunk);
		return ERR_PTR(err);
	}
	return chunk;
}

/**
 * umem_odp_chunk_get() - find or make the chunk of an address, and pin it
 * @r: the region
 * @va: an address in it
 *
 * Context: May sleep. The caller holds a user reference on the mm.
 * Return: the chunk, or ERR_PTR(-ENOMEM).
 */
struct umem_odp_chunk *umem_odp_chunk_get(struct umem_odp_region *r, u64 va)
{
	unsigned long index = va >> UMEM_ODP_CHUNK_SHIFT;
	struct umem_odp_chunk *chunk;
	int err;

	for (;;) {
		chunk = get_existing(r, index);
		if (chunk)
			return chunk;

		chunk = make(r, index);
		if (IS_ERR(chunk))
			return chunk;
		err = xa_insert(&r->chunks, index, chunk, GFP_KERNEL_ACCOUNT);
		if (!err)
			break;
		/* It was not published, but an invalidation may have found it by its notifier. */
		mmu_interval_notifier_remove(&chunk->notifier);
		kfree(chunk);
		if (err != -EBUSY)
			return ERR_PTR(err);
	}
	atomic_long_add(sizeof(*chunk), &r->table_bytes);
	return chunk;
}

/**
 * umem_odp_chunk_put() - undo umem_odp_chunk_get()
 * @r: the region
 * @chunk: the chunk
 */
void umem_odp_chunk_put(struct umem_odp_region *r, struct umem_odp_chunk *chunk)
{
	guard(spinlock)(&r->lock);
	chunk->pins--;
	umem_odp_chunk_reap_if_empty(r, chunk);
}

/**
 * umem_odp_chunk_reap_if_empty() - have a chunk removed, if nothing is in it
 * @r: the region
 * @chunk: the chunk
 */
void umem_odp_chunk_reap_if_empty(struct umem_odp_region *r, struct umem_odp_chunk *chunk)
{
	lockdep_assert_held(&r->lock);
	if (!chunk->nr_leaves && !chunk->pins)
		queue_work(umem_odp_wq, &r->reap);
}

static void destroy(struct umem_odp_region *r, struct umem_odp_chunk *chunk)
{
	mmu_interval_notifier_remove(&chunk->notifier);
	atomic_long_sub(sizeof(*chunk), &r->table_bytes);
	kfree_rcu(chunk, rcu);
}

/**
 * umem_odp_chunk_reap_work() - remove a region's empty chunks
 * @work: the region's reap
 */
void umem_odp_chunk_reap_work(struct work_struct *work)
{
	struct umem_odp_region *r = container_of(work, struct umem_odp_region, reap);
	struct umem_odp_chunk *chunk;
	unsigned long index;

	xa_for_each(&r->chunks, index, chunk) {
		scoped_guard(spinlock, &r->lock) {
			/* destroy_all() may have been faster: what the walk found may be gone. */
			chunk = xa_load(&r->chunks, index);
			if (chunk && (chunk->nr_leaves || chunk->pins))
				chunk = NULL;
			else if (chunk)
				xa_erase(&r->chunks, index);
		}
		if (chunk)
			destroy(r, chunk);
		cond_resched();
	}
}

/**
 * umem_odp_chunk_destroy_all() - drop everything, remove all notifiers
 * @r: the region, without faults and closed for accesses
 *
 * Context: May sleep. Waits for the accesses under way.
 */
void umem_odp_chunk_destroy_all(struct umem_odp_region *r)
{
	struct umem_odp_chunk *chunk;
	unsigned long index;

	xa_for_each(&r->chunks, index, chunk) {
		/* The pin keeps the work away from this chunk; it may have been faster. */
		chunk = get_existing(r, index);
		if (!chunk)
			continue;
		umem_odp_invalidate_chunk(chunk);
		xa_erase(&r->chunks, index);
		destroy(r, chunk);
		cond_resched();
	}
	cancel_work_sync(&r->reap);
}
