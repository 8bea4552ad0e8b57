// SPDX-License-Identifier: GPL-2.0
/*
 * Who counts an invalidation: each region that it took something from, once, with its own pages.
 * The walk of the tree of regions is made only when something was taken.
 */
#include <linux/bitmap.h>
#include <linux/interval_tree.h>

#include "leaf.h"
#include "mirror.h"
#include "region.h"

static void tally_region(struct umem_odp_region *r, const struct umem_odp_tally *tally,
			 u64 leaf_start, const unsigned long *taken, bool protect)
{
	unsigned int first = 0, last = UMEM_ODP_LEAF_PAGES - 1, nr;

	if (r->node.start > leaf_start)
		first = umem_odp_leaf_page(r->node.start);
	if (r->node.last < leaf_start + UMEM_ODP_LEAF_BYTES - 1)
		last = umem_odp_leaf_page(r->node.last);
	nr = bitmap_weight(taken, last + 1) - bitmap_weight(taken, first);
	if (!nr)
		return;
	if (!tally->any || tally->last < r->node.start)
		umem_odp_count(&r->counters.invalidations, 1);
	umem_odp_count(protect ? &r->counters.downgrades : &r->counters.invalidated_pages, nr);
}

/**
 * umem_odp_mirror_count() - count an invalidation for the regions that it took something from
 * @m: the mirror
 * @tally: of this invalidation, zeroed before its first leaf; leaves come from the lowest up
 * @leaf_start: address of the leaf's first page
 * @taken: the pages that it took something from, not none
 * @protect: it took the right to write, not the page
 */
void umem_odp_mirror_count(struct umem_odp_mirror *m, struct umem_odp_tally *tally, u64 leaf_start,
			   const struct umem_odp_page_set *taken, bool protect)
{
	unsigned int first = find_first_bit(taken->bits, UMEM_ODP_LEAF_PAGES);
	unsigned int last = find_last_bit(taken->bits, UMEM_ODP_LEAF_PAGES);
	u64 start = leaf_start + ((u64)first << PAGE_SHIFT);
	u64 end = leaf_start + ((u64)last << PAGE_SHIFT);
	struct interval_tree_node *node;

	guard(spinlock_bh)(&m->regions_lock);
	for (node = interval_tree_iter_first(&m->regions, start, end); node;
	     node = interval_tree_iter_next(node, start, end))
		tally_region(container_of(node, struct umem_odp_region, node), tally,
			     leaf_start, taken->bits, protect);
	tally->any = true;
	tally->last = end;
}
