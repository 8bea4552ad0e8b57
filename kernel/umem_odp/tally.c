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

/* How many of the taken pages lie in [start, last], addresses in the leaf. */
static unsigned int tally_pages(const struct umem_odp_page_set *taken, bool all, u64 start,
				u64 last)
{
	unsigned int first_page = umem_odp_leaf_page(start), last_page = umem_odp_leaf_page(last);

	if (all)
		return last_page - first_page + 1;
	return bitmap_weight(taken->bits, last_page + 1) - bitmap_weight(taken->bits, first_page);
}

/*
 * The first region that touches the span. Reclaim comes page by page, mostly upwards, so the search
 * goes on from the first region of the span before. A region that begins before that one and
 * reaches this span touched the span before as well, and would have been found there.
 */
static struct interval_tree_node *tally_first(struct umem_odp_mirror *m, u64 start, u64 end)
{
	struct interval_tree_node *node = m->tally_from;

	lockdep_assert_held(&m->regions_lock);
	if (!node || start < m->tally_start)
		node = interval_tree_iter_first(&m->regions, start, end);
	else if (node->last < start || node->start > end)
		node = interval_tree_iter_next(node, start, end);
	if (node) {
		m->tally_from = node;
		m->tally_start = start;
	}
	return node;
}

/* Behind a region that begins in the span all touch it, until one begins after the span's end. */
static struct interval_tree_node *tally_next(struct interval_tree_node *node, u64 start, u64 end)
{
	if (node->start < start)
		return interval_tree_iter_next(node, start, end);
	node = rb_entry_safe(rb_next(&node->rb), struct interval_tree_node, rb);
	return node && node->start <= end ? node : NULL;
}

/**
 * umem_odp_tally_invalidation() - count an invalidation for the regions that it took something from
 * @m: the mirror
 * @tally: of this invalidation, zeroed before its first leaf; leaves come from the lowest up
 * @leaf_start: address of the leaf's first page
 * @taken: the pages that it took something from, not none
 * @protect: it took the right to write, not the page
 */
void umem_odp_tally_invalidation(struct umem_odp_mirror *m, struct umem_odp_tally *tally,
				 u64 leaf_start, const struct umem_odp_page_set *taken,
				 bool protect)
{
	unsigned int first = find_first_bit(taken->bits, UMEM_ODP_LEAF_PAGES);
	unsigned int last = find_last_bit(taken->bits, UMEM_ODP_LEAF_PAGES), nr;
	bool all = bitmap_weight(taken->bits, UMEM_ODP_LEAF_PAGES) == last - first + 1;
	u64 start = leaf_start + ((u64)first << PAGE_SHIFT);
	u64 end = leaf_start + ((u64)(last + 1) << PAGE_SHIFT) - 1;
	struct interval_tree_node *node;
	struct umem_odp_region *r;

	guard(spinlock_bh)(&m->regions_lock);
	for (node = tally_first(m, start, end); node; node = tally_next(node, start, end)) {
		r = container_of(node, struct umem_odp_region, node);
		nr = tally_pages(taken, all, max_t(u64, node->start, start),
				 min_t(u64, node->last, end));
		if (!nr)
			continue;
		if (protect)
			WRITE_ONCE(r->downgrades, r->downgrades + nr);
		else
			WRITE_ONCE(r->invalidated_pages, r->invalidated_pages + nr);
		if (!tally->any || tally->last < node->start)
			WRITE_ONCE(r->invalidations, r->invalidations + 1);
	}
	tally->any = true;
	tally->last = end;
}
