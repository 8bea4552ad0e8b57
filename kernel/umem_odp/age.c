// SPDX-License-Identifier: GPL-2.0
/*
 * Age: what an access of the device says about a page to the kernel's reclaim.
 *
 * The processor sets a bit in the page tables that it walks, and the kernel looks at these to tell
 * a page in use from one that may go. The device's accesses do not go that way, so they set
 * ACCESSED in our entries, and the mirror's subscription answers for them when the kernel asks.
 *
 * It asks under a page-table lock, often page by page. So nothing is locked here: the chunk and the
 * leaf are found under RCU, with which they and the leaf's page of entries are freed, and bits are
 * cleared atomically. The mirror lasts because the kernel waits for these callbacks before it frees
 * the subscription. An answer may be late by a moment, and that is all that goes wrong:
 *
 *	access					kernel
 *	------					------
 *	leaf->lock shared
 *	 ACCESSED is set already
 *						clears it: young
 *	 touches the memory			the next access sets it again
 *
 *	install, downgrade			kernel
 *	------------------			------
 *	leaf->lock exclusive
 *	 reads the entry, ACCESSED
 *						clears it: young
 *	 writes the entry, ACCESSED		young once more, without an access
 *
 * A removal writes 0, before or after a clear. What it took is about to leave the page tables, and
 * its age goes with it; so does that of a huge page that is split or of pages that are collapsed.
 * What only loses its right to write keeps its age.
 */
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/xarray.h>

#include "age.h"
#include "chunk.h"
#include "hook.h"
#include "leaf.h"
#include "mirror.h"

static bool age_answers = true;
module_param_named(age, age_answers, bool, 0644);
MODULE_PARM_DESC(age, "let accesses of the device count as use of a page when the kernel reclaims memory (default: on)");

/* [start, last] lies in the chunk. */
static bool age_of_chunk(struct umem_odp_chunk *chunk, u64 start, u64 last, bool clear)
{
	struct umem_odp_leaf *leaf;
	bool young = false;
	u64 leaf_last;

	for (; start <= last; start = leaf_last + 1) {
		leaf_last = min(start | (UMEM_ODP_LEAF_BYTES - 1), last);
		leaf = rcu_dereference(chunk->leaves[umem_odp_leaf_index(start)]);
		if (!leaf)
			continue;
		umem_odp_hook(UMEM_ODP_AGE_FOUND, leaf);
		young |= umem_odp_entries_young(&leaf->entries, umem_odp_leaf_page(start),
						umem_odp_leaf_page(leaf_last), clear);
	}
	return young;
}

static bool age_is_young(struct mmu_notifier *subscription, u64 start, u64 last, bool clear)
{
	struct umem_odp_mirror *m = container_of(subscription, struct umem_odp_mirror,
						 subscription);
	struct umem_odp_chunk *chunk;
	bool young = false;
	u64 chunk_last;

	if (!READ_ONCE(age_answers))
		return false;
	guard(rcu)();
	for (; start <= last; start = chunk_last + 1) {
		chunk_last = min(start | (UMEM_ODP_CHUNK_BYTES - 1), last);
		chunk = xa_load(&m->chunks, start >> UMEM_ODP_CHUNK_SHIFT);
		if (chunk)
			young |= age_of_chunk(chunk, start, chunk_last, clear);
	}
	return young;
}

/**
 * umem_odp_age_clear() - tell whether the device has accessed pages, and forget it
 * @subscription: the mirror's
 * @mm: its address space
 * @start: the first page
 * @end: behind the last
 *
 * Context: Under a page-table lock. No translations are cached outside of the table, so this
 * serves clear_flush_young as well.
 * Return: whether the device has accessed any since this was called last.
 */
compat_young_t umem_odp_age_clear(struct mmu_notifier *subscription, struct mm_struct *mm,
				  unsigned long start, unsigned long end)
{
	/* DAMON asks from an address in the middle of a page. */
	return age_is_young(subscription, start & PAGE_MASK, (u64)(end & PAGE_MASK) - 1, true);
}

/**
 * umem_odp_age_test() - tell whether the device has accessed a page
 * @subscription: the mirror's
 * @mm: its address space
 * @va: the page
 *
 * Context: Under a page-table lock.
 * Return: whether the device has accessed it since umem_odp_age_clear() was called for it.
 */
compat_young_t umem_odp_age_test(struct mmu_notifier *subscription, struct mm_struct *mm,
				 unsigned long va)
{
	return age_is_young(subscription, va, va, false);
}
