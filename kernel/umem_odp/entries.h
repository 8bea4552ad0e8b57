/* SPDX-License-Identifier: GPL-2.0 */
/* The entries of one leaf. Pure: no lock, no allocation, no mm. */
#ifndef UMEM_ODP_ENTRIES_H
#define UMEM_ODP_ENTRIES_H

#include <asm/page.h>
#include <linux/bitops.h>
#include <linux/types.h>

#define UMEM_ODP_LEAF_SHIFT	21
#define UMEM_ODP_LEAF_BYTES	BIT(UMEM_ODP_LEAF_SHIFT)
#define UMEM_ODP_LEAF_ORDER	(UMEM_ODP_LEAF_SHIFT - PAGE_SHIFT)
#define UMEM_ODP_LEAF_PAGES	((unsigned int)BIT(UMEM_ODP_LEAF_ORDER))

/*
 * An entry is the physical address of a page, and these bits. ACCESSED changes atomically and is
 * of no meaning to an access; BITS are those that are.
 */
#define UMEM_ODP_ENTRY_ACCESSED_NR	2

#define UMEM_ODP_ENTRY_VALID	BIT(0)
#define UMEM_ODP_ENTRY_WRITE	BIT(1)
#define UMEM_ODP_ENTRY_ACCESSED	BIT(UMEM_ODP_ENTRY_ACCESSED_NR)
#define UMEM_ODP_ENTRY_BITS	(UMEM_ODP_ENTRY_VALID | UMEM_ODP_ENTRY_WRITE)

#define UMEM_ODP_PAGE_SET_LONGS	BITS_TO_LONGS(UMEM_ODP_LEAF_PAGES)

/* Some of a leaf's pages, a bit for each. */
struct umem_odp_page_set {
	unsigned long bits[UMEM_ODP_PAGE_SET_LONGS];
};

/**
 * struct umem_odp_entries - the entries of one leaf
 * @pages: UMEM_ODP_LEAF_PAGES of them, or NULL if no page was ever put in
 * @huge: the one entry for all of the leaf, or 0; all @pages are 0 then
 * @resident: how many pages are present; also read without the lock, as a hint
 */
struct umem_odp_entries {
	unsigned long *pages;
	unsigned long huge;
	unsigned int resident;
};

size_t umem_odp_entries_look(const struct umem_odp_entries *e, unsigned long offset_bytes,
			     size_t len_bytes, bool write, unsigned long *phys,
			     unsigned long *bits);
void umem_odp_entries_touch(struct umem_odp_entries *e, unsigned int first, unsigned int last);
bool umem_odp_entries_young(struct umem_odp_entries *e, unsigned int first, unsigned int last,
			    bool clear);
unsigned int umem_odp_entries_set(struct umem_odp_entries *e, unsigned int first,
				  unsigned int nr, const unsigned long *entries);
unsigned int umem_odp_entries_set_huge(struct umem_odp_entries *e, unsigned long entry);
unsigned int umem_odp_entries_drop(struct umem_odp_entries *e, unsigned int first,
				   unsigned int last, struct umem_odp_page_set *dropped);
unsigned int umem_odp_entries_downgrade(struct umem_odp_entries *e, unsigned int first,
					unsigned int last, struct umem_odp_page_set *lost);
unsigned int umem_odp_entries_count(const struct umem_odp_entries *e, unsigned int first,
				    unsigned int last);
unsigned int umem_odp_entries_missing(const struct umem_odp_entries *e, unsigned int first,
				      unsigned int end, bool write);
void umem_odp_entries_bits(const struct umem_odp_entries *e, unsigned int first, unsigned int last,
			   u8 *bits);

#endif
