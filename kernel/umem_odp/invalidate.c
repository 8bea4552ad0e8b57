// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidation: the kernel is about to change page tables that a region mirrors.
 *
 * The callback is called with the mm in any state, perhaps under reclaim, perhaps non-blockable. It
 * never sleeps but between leaves when it may, never allocates and never fails. When it returns, no
 * access is in flight to a page that it cleared, and none can begin:
 *
 *	invalidation					fault, with what it looked up before
 *	------------					------------------------------------
 *	region->lock
 *	 mmu_interval_set_seq()
 *	unlock						region->lock
 *							 mmu_interval_read_retry(): true, look again
 *							unlock
 *
 *	or						region->lock
 *							 mmu_interval_read_retry(): false
 *							 leaf->lock, entries set, unlock
 *	region->lock					unlock
 *	 mmu_interval_set_seq()
 *	unlock
 *	leaf->lock exclusive, the entries go
 *
 * The second order needs that the leaf can be found: it was inserted before the fault took
 * region->lock, and stays for as long as it has entries.
 *
 * Which events take what. Everything drops the entry, except those that are pure write-protection:
 * PROTECTION_PAGE (fork, writeback's mkclean) and SOFT_DIRTY. They only take WRITE away, so that
 * reads go on without a fault. mprotect, NUMA hints and userfaultfd's write-protection raise
 * PROTECTION_VMA; KSM, MADV_FREE, copy-on-write, collapse, split, swap and poison raise CLEAR: all
 * of these drop. A change that only permits more raises nothing and needs nothing: the next write
 * misses and upgrades.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched.h>
#include <linux/xarray.h>

#include "chunk.h"
#include "invalidate.h"
#include "leaf.h"
#include "region.h"
#include "trace.h"

static bool only_protects(enum mmu_notifier_event event)
{
	return event == MMU_NOTIFY_PROTECTION_PAGE || event == MMU_NOTIFY_SOFT_DIRTY;
}

/* Returns how many entries it changed. */
static unsigned int drop(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf,
			 unsigned int first, unsigned int last)
{
	struct umem_odp_region *r = chunk->region;
	unsigned int nr;

	umem_odp_leaf_lock(leaf);
	nr = umem_odp_entries_drop(&leaf->entries, first, last);
	umem_odp_leaf_unlock(leaf);
	atomic_long_sub(nr, &r->resident_pages);
	atomic64_add(nr, &r->counters.invalidated_pages);
	/* Only a hint: asked again under region->lock. */
	if (!READ_ONCE(leaf->entries.resident))
		umem_odp_leaf_remove_if_empty(r, chunk, leaf);
	return nr;
}

static unsigned int downgrade(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf,
			      unsigned int first, unsigned int last)
{
	unsigned int nr;

	umem_odp_leaf_lock(leaf);
	nr = umem_odp_entries_downgrade(&leaf->entries, first, last);
	umem_odp_leaf_unlock(leaf);
	atomic64_add(nr, &chunk->region->counters.downgrades);
	return nr;
}

/* One leaf that lies in part in [start, last], or the next one after. */
static unsigned int invalidate_next_leaf(struct umem_odp_chunk *chunk, unsigned long *index,
					 u64 start, u64 last, bool protect)
{
	unsigned int first_page = 0, last_page = UMEM_ODP_LEAF_PAGES - 1;
	struct umem_odp_leaf *leaf;

	guard(rcu)();
	leaf = xa_find(&chunk->leaves, index, umem_odp_leaf_index(last), XA_PRESENT);
	if (!leaf) {
		*index = ULONG_MAX;
		return 0;
	}
	if (leaf->index == umem_odp_leaf_index(start))
		first_page = umem_odp_leaf_page(start);
	if (leaf->index == umem_odp_leaf_index(last))
		last_page = umem_odp_leaf_page(last);
	if (protect)
		return downgrade(chunk, leaf, first_page, last_page);
	return drop(chunk, leaf, first_page, last_page);
}

/* [start, last] lies in the chunk. */
static unsigned long invalidate_leaves(struct umem_odp_chunk *chunk, u64 start, u64 last,
				       bool protect, bool may_sleep)
{
	unsigned long index, nr = 0;

	for (index = umem_odp_leaf_index(start); index <= umem_odp_leaf_index(last); index++) {
		nr += invalidate_next_leaf(chunk, &index, start, last, protect);
		if (index == ULONG_MAX)
			break;
		if (may_sleep)
			cond_resched();
	}
	return nr;
}

static bool invalidate(struct mmu_interval_notifier *notifier,
		       const struct mmu_notifier_range *range, unsigned long seq)
{
	struct umem_odp_chunk *chunk = container_of(notifier, struct umem_odp_chunk, notifier);
	u64 chunk_start = (u64)chunk->index << UMEM_ODP_CHUNK_SHIFT;
	u64 chunk_last = chunk_start + (1ULL << UMEM_ODP_CHUNK_SHIFT) - 1;
	u64 start = max_t(u64, range->start, chunk_start);
	u64 last = min_t(u64, range->end - 1, chunk_last);
	struct umem_odp_region *r = chunk->region;
	unsigned long nr;

	scoped_guard(spinlock, &r->lock)
		mmu_interval_set_seq(notifier, seq);
	nr = invalidate_leaves(chunk, start, last, only_protects(range->event),
			       mmu_notifier_range_blockable(range));
	umem_odp_count(&r->counters.invalidations);
	trace_umem_odp_invalidate(r, start, last, range->event, nr);
	return true;
}

const struct mmu_interval_notifier_ops umem_odp_invalidate_ops = {
	.invalidate = invalidate,
};

/**
 * umem_odp_invalidate_chunk() - drop all of a chunk
 * @chunk: the chunk, without faults
 *
 * Context: May sleep.
 */
void umem_odp_invalidate_chunk(struct umem_odp_chunk *chunk)
{
	u64 start = (u64)chunk->index << UMEM_ODP_CHUNK_SHIFT;

	invalidate_leaves(chunk, start, start + (1ULL << UMEM_ODP_CHUNK_SHIFT) - 1, false, true);
}
