// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The entries of a leaf, for every input: cbmc, which compiles entries.c with this, proves each claim here, and that nothing beyond a
 * leaf or a set is touched, no arithmetic wraps and each loop ends.
 *
 * A leaf has any contents that its callers can have made. OPERATION goes over any span of its pages where WINDOW is all of them. In
 * a real leaf, which has too many, it goes over a span from the page START on that has at most WINDOW. What is claimed of the page
 * "other", which is any, is claimed of each.
 */
#include "entries.h"

#define claim(cond, what) __CPROVER_assert(cond, what)
#define assume(cond)	  __CPROVER_assume(cond)

#define PAGES UMEM_ODP_LEAF_PAGES
/* Physical addresses end there. */
#define PHYS_END BIT(52)
/* What an entry keeps of one for the same page. */
#define KEPT (UMEM_ODP_ENTRY_WRITE | UMEM_ODP_ENTRY_ACCESSED)

/* Outside of the window all are 0 here; how many are present there is said beside. */
static unsigned long pages[PAGES];
static unsigned int resident_elsewhere;
static struct umem_odp_entries e, e_before;
/* The span, and any page and what it was before. */
static unsigned int first, last, other;
static unsigned long other_before;

/* What is not set may be anything. */
static unsigned long any_long(void)
{
	unsigned long any;

	return any;
}

static unsigned int any_int(void)
{
	unsigned int any;

	return any;
}

static bool any_bool(void)
{
	return any_int() & 1;
}

static bool valid(unsigned long entry)
{
	return entry & UMEM_ODP_ENTRY_VALID;
}

static bool writable(unsigned long entry)
{
	return entry & UMEM_ODP_ENTRY_WRITE;
}

static bool accessed(unsigned long entry)
{
	return entry & UMEM_ODP_ENTRY_ACCESSED;
}

static bool may(unsigned long entry, bool write)
{
	return write ? writable(entry) : valid(entry);
}

static unsigned long frame_of(unsigned long entry)
{
	return entry & PAGE_MASK;
}

static bool in_span(unsigned int page)
{
	return page >= first && page <= last;
}

static bool in_set(const struct umem_odp_page_set *set, unsigned int page)
{
	return set->bits[page / 64] >> page % 64 & 1;
}

static unsigned int nr_valid(unsigned int from, unsigned int end)
{
	unsigned int i, nr = 0;

	for (i = from; i < end; i++)
		nr += valid(pages[i]);
	return nr;
}

static unsigned int nr_resident(void)
{
	return resident_elsewhere + nr_valid(START, START + WINDOW);
}

/* What an entry that is not 0 may be: VALID, and with no bits but those that have a name. */
static bool is_entry(unsigned long entry)
{
	return valid(entry) && entry < PHYS_END &&
	       !(entry & ~PAGE_MASK & ~(UMEM_ODP_ENTRY_BITS | UMEM_ODP_ENTRY_ACCESSED));
}

static bool is_huge_entry(unsigned long entry)
{
	return is_entry(entry) && !(frame_of(entry) & (UMEM_ODP_LEAF_BYTES - 1));
}

static void any_span(void)
{
	first = (WINDOW == PAGES) ? any_int() : START;
	last = any_int();
	other = any_int();
	assume(first <= last && last < START + WINDOW && other < PAGES);
}

/* With page entries, with a huge one, or with none, and then with memory for some or without. */
static void any_leaf(void)
{
	bool huge = any_bool(), none = huge || any_bool();
	unsigned int i;

	for (i = START; i < START + WINDOW; i++) {
		pages[i] = none ? 0 : any_long();
		assume(pages[i] == 0 || is_entry(pages[i]));
	}
	resident_elsewhere = none ? 0 : any_int();
	assume(resident_elsewhere <= PAGES - WINDOW);
	if (!none || any_bool())
		e.pages = pages;
	e.resident = nr_resident();
	if (huge) {
		e.huge = any_long();
		assume(is_huge_entry(e.huge));
		e.resident = PAGES;
	}
	other_before = pages[other];
	e_before = e;
}

/* What entries.h says of every leaf, after a change. */
static void check_leaf(void)
{
	claim(e.pages == e_before.pages, "the memory stays");
	if (e.huge) {
		claim(is_huge_entry(e.huge), "huge: an entry");
		claim(e.resident == PAGES, "huge: all are resident");
		claim(!pages[other], "huge: no page beside it");
		return;
	}
	if (e_before.huge)
		resident_elsewhere = 0;
	claim(!pages[other] || is_entry(pages[other]), "a page: an entry or 0");
	claim(e.resident == nr_resident(), "as many are resident as are VALID");
}

static void check_same(void)
{
	claim(e.huge == e_before.huge, "a question changes no huge entry");
	claim(e.pages == e_before.pages, "a question changes no memory");
	claim(e.resident == e_before.resident, "a question changes no count");
	claim(pages[other] == other_before, "a question changes no page");
}

/* Pages from the first on that look() took for one run, of which the last ends @found bytes from @in_page on. */
static void check_run(unsigned long in_page, size_t found, bool all, bool write, unsigned long bits)
{
	unsigned int end = first + ((in_page + found - 1) >> PAGE_SHIFT) + 1, i;
	unsigned long frame = frame_of(pages[first]), common = ~0UL;

	for (i = first; i < end; i++)
		common &= pages[i];
	claim(bits == (common & ~PAGE_MASK), "the bits that all have");
	if (other >= first && other < end) {
		claim(may(pages[other], write), "each page may be used");
		claim(frame_of(pages[other]) == frame + (other - first) * PAGE_SIZE, "contiguous");
	}
	if (all)
		return;
	claim((in_page + found) % PAGE_SIZE == 0, "not all: to the end of a page");
	claim(!may(pages[end], write) || frame_of(pages[end]) != frame + (end - first) * PAGE_SIZE,
	      "not all: the next page is not of the run");
}

static void look(void)
{
	unsigned long offset = any_long(), phys, bits, in_page, entry;
	size_t len = any_long(), left, found;
	bool write = any_bool();

	assume(offset < UMEM_ODP_LEAF_BYTES && offset >> PAGE_SHIFT == first && len > 0);
	in_page = offset % PAGE_SIZE;
	left = len < UMEM_ODP_LEAF_BYTES - offset ? len : UMEM_ODP_LEAF_BYTES - offset;
	assume(e.huge || (in_page + left - 1) >> PAGE_SHIFT <= last - first);

	found = umem_odp_entries_look(&e, offset, len, write, &phys, &bits);
	check_same();
	claim(found <= left, "within the leaf and what is asked");
	entry = e.huge ?: pages[first];
	claim(!found == !may(entry, write), "a miss where it may not, and only there");
	if (!found)
		return;
	if (e.huge) {
		claim(found == left, "huge: all of it");
		claim(phys == frame_of(entry) + offset, "huge: where it begins");
		claim(bits == (entry & ~PAGE_MASK), "huge: its bits");
		return;
	}
	claim(phys == frame_of(entry) + in_page, "where it begins");
	check_run(in_page, found, found == left, write, bits);
}

static void touch(void)
{
	unsigned long set = in_span(other) && !e.huge ? UMEM_ODP_ENTRY_ACCESSED : 0;
	unsigned int i;

	for (i = first; i <= last; i++)
		assume(e.huge || valid(pages[i]));
	umem_odp_entries_touch(&e, first, last);
	check_leaf();
	claim(e.resident == e_before.resident, "as many as before");
	claim(e.huge == (e_before.huge ? e_before.huge | UMEM_ODP_ENTRY_ACCESSED : 0),
	      "huge: ACCESSED alone is set");
	claim(pages[other] == (other_before | set), "ACCESSED alone is set, of these alone");
}

static void young(void)
{
	bool clear = any_bool(), want = accessed(e.huge), was;
	unsigned long cleared = clear ? UMEM_ODP_ENTRY_ACCESSED : 0;
	unsigned int i;

	for (i = first; i <= last; i++)
		want |= accessed(pages[i]);
	was = umem_odp_entries_young(&e, first, last, clear);
	check_leaf();
	claim(was == want, "whether one was accessed");
	claim(e.resident == e_before.resident, "as many as before");
	claim(e.huge == (e_before.huge & ~cleared), "huge: ACCESSED alone is cleared");
	if (!in_span(other))
		cleared = 0;
	claim(pages[other] == (other_before & ~cleared),
	      "ACCESSED alone is cleared, of these alone");
}

static void set(void)
{
	unsigned int nr = last - first + 1, i, added = 0, told;
	unsigned long memory[WINDOW], *entries = memory + WINDOW - nr, new;

	assume(e.pages);
	for (i = 0; i < nr; i++) {
		assume(is_entry(entries[i]) && !accessed(entries[i]));
		added += !valid(pages[first + i]);
	}
	told = umem_odp_entries_set(&e, first, nr, entries);
	check_leaf();
	claim(!e.huge, "no huge one beside it");
	claim(told == added, "as many as were not there");
	if (!in_span(other)) {
		claim(pages[other] == other_before, "others stay");
		return;
	}
	new = entries[other - first];
	if (frame_of(other_before) == frame_of(new))
		new |= (other_before & KEPT);
	claim(pages[other] == new, "what was put in, and what the same page had");
}

static void set_huge(void)
{
	unsigned long entry = any_long(), want = entry;
	unsigned int i, told;

	assume(is_huge_entry(entry) && !accessed(entry));
	if (e.huge && frame_of(e.huge) == frame_of(entry))
		want |= e.huge & KEPT;
	for (i = START; i < START + WINDOW; i++)
		want |= pages[i] & UMEM_ODP_ENTRY_ACCESSED;
	told = umem_odp_entries_set_huge(&e, entry);
	check_leaf();
	claim(told == PAGES - e_before.resident, "as many as were not there");
	claim(e.huge == want, "what was put in, and what was there");
}

static void drop(void)
{
	struct umem_odp_page_set dropped = { 0 };
	bool goes = e.huge || in_span(other);
	unsigned int nr;

	nr = umem_odp_entries_drop(&e, first, last, &dropped);
	check_leaf();
	claim(!e.huge, "no huge one is left");
	claim(nr == e_before.resident - e.resident, "as many as went");
	claim(pages[other] == (goes ? 0 : other_before), "these went and others stay");
	claim(in_set(&dropped, other) == (e_before.huge || (goes && valid(other_before))),
	      "what went is told");
}

static void downgrade(void)
{
	unsigned long gone = !e.huge && in_span(other) ? UMEM_ODP_ENTRY_WRITE : 0;
	struct umem_odp_page_set lost = { 0 };
	unsigned int nr, i, want = 0;

	for (i = first; i <= last; i++)
		want += writable(pages[i]);
	if (e.huge)
		want = writable(e.huge) ? PAGES : 0;
	nr = umem_odp_entries_downgrade(&e, first, last, &lost);
	check_leaf();
	claim(nr == want, "as many as lost it");
	claim(e.resident == e_before.resident, "as many as before");
	claim(e.huge == (e_before.huge & ~UMEM_ODP_ENTRY_WRITE), "huge: WRITE alone goes");
	claim(pages[other] == (other_before & ~gone), "WRITE alone goes, of these alone");
	claim(in_set(&lost, other) == (writable(e_before.huge) || (other_before & gone)),
	      "what lost it is told");
}

static void ask(void)
{
	unsigned int nr = last - first + 1, end;
	u8 memory[WINDOW], *bits = memory + WINDOW - nr;
	unsigned long entry = e.huge ?: pages[other];
	bool write = any_bool();

	claim(umem_odp_entries_count(&e, first, last) == (e.huge ? nr : nr_valid(first, last + 1)),
	      "as many as there are");
	umem_odp_entries_bits(&e, first, last, bits);
	claim(!in_span(other) || bits[other - first] == (entry & UMEM_ODP_ENTRY_BITS),
	      "what may be done");
	end = umem_odp_entries_missing(&e, first, last + 1, write);
	claim(end >= first && end <= last + 1, "what is missing is one of these");
	claim(other < first || other >= end || may(entry, write), "none is missing before it");
	claim(other > last || other != end || !may(entry, write), "it is missing");
	check_same();
}

int main(void)
{
	any_span();
	any_leaf();
	OPERATION();
	return 0;
}
