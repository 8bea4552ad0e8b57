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
 *
 * ACCESSED is the exception: it is set under the shared side and cleared without the lock (age.c),
 * so both are atomic read-modify-writes. A change under the exclusive side reads the entry and
 * stores it as a whole. A clear in between is lost, and the page is reported young once more, which
 * does no harm. READ_ONCE() and WRITE_ONCE() everywhere, since a clear may come at any moment.
 */
#include <linux/bitops.h>
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

	for (i = 0; i < UMEM_ODP_PAGE_SET_LONGS; i++)
		set->bits[i] = ~0UL;
}

static void set_resident(struct umem_odp_entries *e, unsigned int resident)
{
	WRITE_ONCE(e->resident, resident);
}

/* A huge entry goes as a whole. */
static void drop_huge(struct umem_odp_entries *e)
{
	WRITE_ONCE(e->huge, 0);
	set_resident(e, 0);
}

static unsigned long entry_at(const struct umem_odp_entries *e, unsigned int page)
{
	return READ_ONCE(e->pages[page]);
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
 * @bits: set to the bits that all of the pages found have, if there is one
 *
 * Return: how many bytes from @phys on are physically contiguous, at most @len_bytes; 0 on a miss.
 */
size_t umem_odp_entries_look(const struct umem_odp_entries *e, unsigned long offset_bytes,
			     size_t len_bytes, bool write, unsigned long *phys,
			     unsigned long *bits)
{
	unsigned int i = offset_bytes >> PAGE_SHIFT;
	unsigned long in_page = offset_bytes & ~PAGE_MASK;
	unsigned long entry = READ_ONCE(e->huge), next, all;
	size_t found;

	len_bytes = min_t(size_t, len_bytes, UMEM_ODP_LEAF_BYTES - offset_bytes);
	if (may(entry, write)) {
		*phys = (entry & PAGE_MASK) + offset_bytes;
		*bits = entry & ~PAGE_MASK;
		return len_bytes;
	}
	if (!e->pages)
		return 0;
	all = entry_at(e, i);
	if (!may(all, write))
		return 0;

	entry = all & PAGE_MASK;
	*phys = entry + in_page;
	for (found = PAGE_SIZE - in_page; found < len_bytes; found += PAGE_SIZE) {
		entry += PAGE_SIZE;
		next = entry_at(e, ++i);
		if (!may(next, write) || !same_frame(next, entry))
			break;
		all &= next;
	}
	*bits = all & ~PAGE_MASK;
	return min(found, len_bytes);
}

/**
 * umem_odp_entries_touch() - note an access
 * @e: the entries, under the shared side of the lock at least
 * @first: index of the first page in the leaf, present
 * @last: index of the last, present
 */
void umem_odp_entries_touch(struct umem_odp_entries *e, unsigned int first, unsigned int last)
{
	unsigned int i;

	if (READ_ONCE(e->huge)) {
		set_bit(UMEM_ODP_ENTRY_ACCESSED_NR, &e->huge);
		return;
	}
	for (i = first; i <= last; i++) {
		if (!(entry_at(e, i) & UMEM_ODP_ENTRY_ACCESSED))
			set_bit(UMEM_ODP_ENTRY_ACCESSED_NR, &e->pages[i]);
	}
}

/* Read before the atomic operation, which most entries do not need: few are young. */
static bool entry_is_young(unsigned long *entry, bool clear)
{
	if (!(READ_ONCE(*entry) & UMEM_ODP_ENTRY_ACCESSED))
		return false;
	return !clear || test_and_clear_bit(UMEM_ODP_ENTRY_ACCESSED_NR, entry);
}

/**
 * umem_odp_entries_young() - tell whether any of some pages was accessed
 * @e: the entries; no lock is needed, but their memory must last
 * @first: index of the first page in the leaf
 * @last: index of the last
 * @clear: forget it; of all of the leaf, if it is a huge one
 *
 * Return: whether one was, since it was put in or this was last cleared.
 */
bool umem_odp_entries_young(struct umem_odp_entries *e, unsigned int first, unsigned int last,
			    bool clear)
{
	unsigned long *pages = READ_ONCE(e->pages);
	bool young = entry_is_young(&e->huge, clear);
	unsigned int i;

	if (!pages || !READ_ONCE(e->resident))
		return young;
	for (i = first; i <= last; i++)
		young |= entry_is_young(&pages[i], clear);
	return young;
}

/**
 * umem_odp_entries_set() - put pages in
 * @e: the entries, with @pages allocated
 * @first: index of the first page in the leaf
 * @nr: how many
 * @entries: what to put in, each VALID
 *
 * A page that was there already keeps its right to write, and that it was accessed: a fault for
 * reading says nothing of these.
 *
 * Return: how many of them were not present before.
 */
unsigned int umem_odp_entries_set(struct umem_odp_entries *e, unsigned int first,
				  unsigned int nr, const unsigned long *entries)
{
	unsigned int added = 0, i;

	if (READ_ONCE(e->huge))
		drop_huge(e);
	for (i = 0; i < nr; i++) {
		unsigned long old = entry_at(e, first + i), new = entries[i];

		if (!(old & UMEM_ODP_ENTRY_VALID))
			added++;
		else if (same_frame(old, new))
			new |= old & (UMEM_ODP_ENTRY_WRITE | UMEM_ODP_ENTRY_ACCESSED);
		WRITE_ONCE(e->pages[first + i], new);
	}
	set_resident(e, e->resident + added);
	return added;
}

/**
 * umem_odp_entries_set_huge() - put the whole leaf in
 * @e: the entries
 * @entry: the leaf's first page, VALID
 *
 * It was accessed if any page was that was there already.
 *
 * Return: how many pages were not present before.
 */
unsigned int umem_odp_entries_set_huge(struct umem_odp_entries *e, unsigned long entry)
{
	unsigned long old = READ_ONCE(e->huge);
	unsigned int before = e->resident, i;

	if (old && same_frame(old, entry))
		entry |= old & (UMEM_ODP_ENTRY_WRITE | UMEM_ODP_ENTRY_ACCESSED);
	for (i = 0; !old && before && i < UMEM_ODP_LEAF_PAGES; i++) {
		entry |= entry_at(e, i) & UMEM_ODP_ENTRY_ACCESSED;
		WRITE_ONCE(e->pages[i], 0);
	}
	WRITE_ONCE(e->huge, entry);
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

	if (READ_ONCE(e->huge)) {
		add_all_to_set(dropped);
		drop_huge(e);
		return UMEM_ODP_LEAF_PAGES;
	}
	if (!e->resident)
		return 0;
	for (i = first; i <= last; i++) {
		if (!(entry_at(e, i) & UMEM_ODP_ENTRY_VALID))
			continue;
		WRITE_ONCE(e->pages[i], 0);
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
	unsigned long entry = READ_ONCE(e->huge);
	unsigned int nr = 0, i;

	if (entry) {
		if (!(entry & UMEM_ODP_ENTRY_WRITE))
			return 0;
		WRITE_ONCE(e->huge, entry & ~UMEM_ODP_ENTRY_WRITE);
		add_all_to_set(lost);
		return UMEM_ODP_LEAF_PAGES;
	}
	if (!e->resident)
		return 0;
	for (i = first; i <= last; i++) {
		entry = entry_at(e, i);
		if (!(entry & UMEM_ODP_ENTRY_WRITE))
			continue;
		WRITE_ONCE(e->pages[i], entry & ~UMEM_ODP_ENTRY_WRITE);
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
		nr += entry_at(e, i) & UMEM_ODP_ENTRY_VALID;
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
	if (may(READ_ONCE(e->huge), write))
		return end;
	while (first < end && e->pages && may(entry_at(e, first), write))
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
		entry = READ_ONCE(e->huge);
		if (!entry && e->pages)
			entry = entry_at(e, i);
		*bits++ = entry & UMEM_ODP_ENTRY_BITS;
	}
}
