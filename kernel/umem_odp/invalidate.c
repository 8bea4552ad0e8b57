// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidation: the kernel is about to change page tables that a mirror follows.
 *
 * The callback is called with the mm in any state, perhaps under reclaim, perhaps non-blockable. It
 * never sleeps but between leaves when it may, never allocates and never fails. When it returns, no
 * access is in flight to a page that it cleared, and none can begin:
 *
 *	invalidation					fault, with what it looked up before
 *	------------					------------------------------------
 *	chunk->lock
 *	 mmu_interval_set_seq(), windows hit
 *	unlock						chunk->lock
 *							 window hit: look again
 *							unlock
 *
 *	or						chunk->lock
 *							 not hit
 *							 leaf->lock, entries set, unlock
 *	chunk->lock					unlock
 *	 mmu_interval_set_seq(), windows hit
 *	unlock
 *	leaf->lock exclusive, the entries go
 *
 * The second order needs that the leaf can be found: it was inserted before the fault took
 * chunk->lock, and stays for as long as it has entries.
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
#include <linux/string.h>

#include "chunk.h"
#include "invalidate.h"
#include "leaf.h"
#include "mirror.h"
#include "trace.h"

static bool invalidate_only_protects(enum mmu_notifier_event event)
{
	return event == MMU_NOTIFY_PROTECTION_PAGE || event == MMU_NOTIFY_SOFT_DIRTY;
}

static unsigned int invalidate_drop(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf,
				    unsigned int first, unsigned int last,
				    struct umem_odp_page_set *dropped)
{
	unsigned int nr;

	umem_odp_leaf_lock(leaf);
	nr = umem_odp_entries_drop(&leaf->entries, first, last, dropped);
	umem_odp_leaf_unlock(leaf);
	atomic_long_sub(nr, &chunk->mirror->resident_pages);
	/* Only a hint: asked again under chunk->lock. */
	if (!READ_ONCE(leaf->entries.resident))
		umem_odp_leaf_remove_if_empty(chunk, leaf);
	return nr;
}

static unsigned int invalidate_downgrade(struct umem_odp_leaf *leaf, unsigned int first,
					 unsigned int last, struct umem_odp_page_set *lost)
{
	unsigned int nr;

	umem_odp_leaf_lock(leaf);
	nr = umem_odp_entries_downgrade(&leaf->entries, first, last, lost);
	umem_odp_leaf_unlock(leaf);
	return nr;
}

/* [start, last] lies in one leaf. Returns how many entries it changed. */
static unsigned int invalidate_leaf(struct umem_odp_chunk *chunk, u64 start, u64 last, bool protect,
				    struct umem_odp_tally *tally)
{
	unsigned int first_page = umem_odp_leaf_page(start), last_page = umem_odp_leaf_page(last);
	struct umem_odp_page_set taken;
	struct umem_odp_leaf *leaf;
	u64 leaf_start;
	unsigned int nr;

	guard(rcu)();
	leaf = rcu_dereference(chunk->leaves[umem_odp_leaf_index(start)]);
	if (!leaf)
		return 0;
	leaf_start = umem_odp_leaf_start(chunk, leaf);
	memset(&taken, 0, sizeof(taken));
	if (protect)
		nr = invalidate_downgrade(leaf, first_page, last_page, &taken);
	else
		nr = invalidate_drop(chunk, leaf, first_page, last_page, &taken);
	if (nr)
		umem_odp_tally_invalidation(chunk->mirror, tally, leaf_start, &taken, protect);
	return nr;
}

/* [start, last] lies in the chunk. */
static unsigned long invalidate_leaves(struct umem_odp_chunk *chunk, u64 start, u64 last,
				       bool protect, bool may_sleep)
{
	struct umem_odp_tally tally = {};
	unsigned long nr = 0;
	u64 leaf_last;

	/* Most of a GiB has no leaves: these cost a load each. */
	for (; start <= last; start = leaf_last + 1) {
		leaf_last = min(start | (UMEM_ODP_LEAF_BYTES - 1), last);
		if (!rcu_access_pointer(chunk->leaves[umem_odp_leaf_index(start)]))
			continue;
		nr += invalidate_leaf(chunk, start, leaf_last, protect, &tally);
		if (may_sleep)
			cond_resched();
	}
	return nr;
}

static bool invalidate_chunk(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range, unsigned long seq)
{
	struct umem_odp_chunk *chunk = container_of(notifier, struct umem_odp_chunk, notifier);
	u64 start = max_t(u64, range->start, umem_odp_chunk_start(chunk));
	u64 last = min_t(u64, range->end - 1, umem_odp_chunk_last(chunk));
	unsigned long nr;

	scoped_guard(spinlock_bh, &chunk->lock) {
		mmu_interval_set_seq(notifier, seq);
		umem_odp_chunk_hit_windows(chunk, start, last);
	}
	nr = invalidate_leaves(chunk, start, last, invalidate_only_protects(range->event),
			       mmu_notifier_range_blockable(range));
	trace_umem_odp_invalidate(chunk->mirror, start, last, range->event, nr);
	return true;
}

const struct mmu_interval_notifier_ops umem_odp_invalidate_ops = {
	.invalidate = invalidate_chunk,
};
