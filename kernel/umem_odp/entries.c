// SPDX-License-Identifier: GPL-2.0
/*
 * The entries of one leaf: which of its 512 pages are present, where, and whether for writing.
 *
 * A leaf holds either page entries or one huge entry, which stands for all of its pages and needs
 * no memory beside the leaf. The two never mix: setting one kind where the other is drops that
 * first. A partial event on a huge entry takes all of it, because splitting it would need memory.
 *
 * Nothing here locks, allocates or knows an mm, so that tests/unit can compare it with a naive
 * model. The callers hold leaf->lock: shared to look, exclusively to change.
 */
#include <linux/compiler.h>
#include <linux/minmax.h>

#include "entries.h"

static bool may(unsigned long entry, bool write)
{
	return entry & (write ? UMEM_ODP_ENTRY_WRITE : UMEM_ODP_ENTRY_VALID);
}

static void add_to_set(struct umem_odp_page_set *set, unsigned int page)
{
	const unsigned int width = 8 * sizeof(set->bits[0]);

	set->bits[page / width] |= 1UL << page % width;
}

static void add_all_to_set(struct umem_odp_page_set *set)
{
	unsigned int i;

	for (i = 0; i < UMEM_ODP_LEAF_PAGES / (8 * sizeof(set->bits[0])); i++)
		set->bits[i] = ~0UL;
}

static void set_resident(struct umem_odp_entries *e, unsigned int resident)
{
	WRITE_ONCE(e->resident, resident);
}

/* A huge entry goes as a whole. */
static void drop_huge(struct umem_odp_entries *e)
{
	e->huge = 0;
	set_resident(e, 0);
}

static bool same_frame(unsigned long a, unsigned long b)
{
	return !((a ^ b) & PAGE_MASK);
}

/**
 * umem_odp_entries_look() - find the memory of some bytes
 * @e: the entries
 * @offset_bytes: of the first byte in the leaf
 * @len_bytes: how many are wanted, not 0; what lies beyond the leaf is left out
 * @write: for writing
 * @phys: set to the physical address of the first byte, if there is one
 *
 * Return: how many bytes from @phys on are physically contiguous, at most @len_bytes; 0 on a miss.
 */
size_t umem_odp_entries_look(const struct umem_odp_entries *e, unsigned long offset_bytes,
			     size_t len_bytes, bool write, unsigned long *phys)
{
	unsigned int i = offset_bytes >> PAGE_SHIFT;
	unsigned long in_page = offset_bytes & ~PAGE_MASK;
	unsigned long entry, next;
	size_t found;

	len_bytes = min_t(size_t, len_bytes, UMEM_ODP_LEAF_BYTES - offset_bytes);
	if (may(e->huge, write)) {
		*phys = (e->huge & PAGE_MASK) + offset_bytes;
		return len_bytes;
	}
	if (!e->pages || !may(e->pages[i], write))
		return 0;

	entry = e->pages[i] & PAGE_MASK;
	*phys = entry + in_page;
	for (found = PAGE_SIZE - in_page; found < len_bytes; found += PAGE_SIZE) {
		entry += PAGE_SIZE;
		next = e->pages[++i];
		if (!may(next, write) || !same_frame(next, entry))
			break;
	}
	return min(found, len_bytes);
}

/**
 * umem_odp_entries_set() - put pages in
 * @e: the entries, with @pages allocated
 * @first: index of the first page in the leaf
 * @nr: how many
 * @entries: what to put in, each VALID
 *
 * A page that was there already keeps its right to write: a fault for reading says nothing of it.
 *
 * Return: how many of them were not present before.
 */
unsigned int umem_odp_entries_set(struct umem_odp_entries *e, unsigned int first,
				  unsigned int nr, const unsigned long *entries)
{
	unsigned int added = 0, i;

	if (e->huge)
		drop_huge(e);
	for (i = 0; i < nr; i++) {
		unsigned long old = e->pages[first + i], new = entries[i];

		if (!(old & UMEM_ODP_ENTRY_VALID))
			added++;
		else if (same_frame(old, new))
			new |= old & UMEM_ODP_ENTRY_WRITE;
		e->pages[first + i] = new;
	}
	set_resident(e, e->resident + added);
	return added;
}

/**
 * umem_odp_entries_set_huge() - put the whole leaf in
 * @e: the entries
 * @entry: the leaf's first page, VALID
 *
 * Return: how many pages were not present before.
 */
unsigned int umem_odp_entries_set_huge(struct umem_odp_entries *e, unsigned long entry)
{
	unsigned int before = e->resident, i;

	if (e->huge && same_frame(e->huge, entry))
		entry |= e->huge & UMEM_ODP_ENTRY_WRITE;
	for (i = 0; !e->huge && before && i < UMEM_ODP_LEAF_PAGES; i++)
		e->pages[i] = 0;
	e->huge = entry;
	set_resident(e, UMEM_ODP_LEAF_PAGES);
	return UMEM_ODP_LEAF_PAGES - before;
}

/**
 * umem_odp_entries_drop() - take pages out
 * @e: the entries
 * @first: index of the first page in the leaf
 * @last: index of the last
 * @dropped: the pages that went are added
 *
 * Return: how many pages went; all of the leaf if it was a huge one.
 */
unsigned int umem_odp_entries_drop(struct umem_odp_entries *e, unsigned int first,
				   unsigned int last, struct umem_odp_page_set *dropped)
{
	unsigned int nr = 0, i;

	if (e->huge) {
		add_all_to_set(dropped);
		drop_huge(e);
		return UMEM_ODP_LEAF_PAGES;
	}
	if (!e->resident)
		return 0;
	for (i = first; i <= last; i++) {
		if (!(e->pages[i] & UMEM_ODP_ENTRY_VALID))
			continue;
		e->pages[i] = 0;
		add_to_set(dropped, i);
		nr++;
	}
	set_resident(e, e->resident - nr);
	return nr;
}

/**
 * umem_odp_entries_downgrade() - take the right to write from pages
 * @e: the entries
 * @first: index of the first page in the leaf
 * @last: index of the last
 * @lost: the pages that lost it are added
 *
 * Return: how many pages lost it; all of the leaf if it was a huge one.
 */
unsigned int umem_odp_entries_downgrade(struct umem_odp_entries *e, unsigned int first,
					unsigned int last, struct umem_odp_page_set *lost)
{
	unsigned int nr = 0, i;

	if (e->huge) {
		if (!(e->huge & UMEM_ODP_ENTRY_WRITE))
			return 0;
		e->huge &= ~UMEM_ODP_ENTRY_WRITE;
		add_all_to_set(lost);
		return UMEM_ODP_LEAF_PAGES;
	}
	if (!e->resident)
		return 0;
	for (i = first; i <= last; i++) {
		if (!(e->pages[i] & UMEM_ODP_ENTRY_WRITE))
			continue;
		e->pages[i] &= ~UMEM_ODP_ENTRY_WRITE;
		add_to_set(lost, i);
		nr++;
	}
	return nr;
}

/**
 * umem_odp_entries_count() - count the pages that are present
 * @e: the entries
 * @first: index of the first page in the leaf
 * @last: index of the last
 *
 * Return: how many of [@first, @last] are.
 */
unsigned int umem_odp_entries_count(const struct umem_odp_entries *e, unsigned int first,
				    unsigned int last)
{
	unsigned int nr = 0, i;

	if (e->resident == UMEM_ODP_LEAF_PAGES)
		return last - first + 1;
	if (!e->resident)
		return 0;
	for (i = first; i <= last; i++)
		nr += e->pages[i] & UMEM_ODP_ENTRY_VALID;
	return nr;
}

/**
 * umem_odp_entries_missing() - find a page that is not there
 * @e: the entries
 * @first: index of the first page in the leaf
 * @end: behind the last
 * @write: to be written
 *
 * Return: the first of [@first, @end) that an access would miss, or @end.
 */
unsigned int umem_odp_entries_missing(const struct umem_odp_entries *e, unsigned int first,
				      unsigned int end, bool write)
{
	if (may(e->huge, write))
		return end;
	while (first < end && e->pages && may(e->pages[first], write))
		first++;
	return first;
}

/**
 * umem_odp_entries_bits() - tell what may be done with pages
 * @e: the entries
 * @first: index of the first page in the leaf
 * @last: index of the last
 * @bits: for each of them set to UMEM_ODP_ENTRY_VALID and UMEM_ODP_ENTRY_WRITE, as it has them
 */
void umem_odp_entries_bits(const struct umem_odp_entries *e, unsigned int first, unsigned int last,
			   u8 *bits)
{
	unsigned long entry;
	unsigned int i;

	for (i = first; i <= last; i++) {
		entry = e->huge;
		if (!entry && e->pages)
			entry = e->pages[i];
		*bits++ = entry & UMEM_ODP_ENTRY_BITS;
	}
}
