// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The entries of a leaf against a naive model: an array with one frame, or none, a right to write, and whether it was accessed
 * for each page. Random operations, and after each all that can be asked.
 */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

#include "entries.h"

#define PAGES UMEM_ODP_LEAF_PAGES

struct model {
	bool valid[PAGES];
	bool write[PAGES];
	bool young[PAGES];	    /* in a huge leaf all the same */
	unsigned long frame[PAGES]; /* address of the page */
	bool huge;
};

static unsigned long valid_entry(unsigned long frame, bool write)
{
	return frame | UMEM_ODP_ENTRY_VALID | (write ? UMEM_ODP_ENTRY_WRITE : 0);
}

static unsigned int count_valid_in(const struct model *m, unsigned int first, unsigned int last)
{
	unsigned int i, n = 0;

	for (i = first; i <= last; i++)
		n += m->valid[i];
	return n;
}

static unsigned int count_valid(const struct model *m)
{
	return count_valid_in(m, 0, PAGES - 1);
}

static bool may(const struct model *m, unsigned int page, bool write)
{
	return m->valid[page] && (!write || m->write[page]);
}

/* Byte by byte in pages: what one access may touch. */
static size_t model_look(const struct model *m, size_t offset, size_t len, bool write,
			 unsigned long *phys, bool *young)
{
	unsigned int page = offset / PAGE_SIZE;
	size_t n = 0;

	if (!may(m, page, write))
		return 0;
	*phys = m->frame[page] + offset % PAGE_SIZE;
	*young = true;
	while (n < len && offset + n < UMEM_ODP_LEAF_BYTES) {
		size_t at = offset + n;

		page = at / PAGE_SIZE;
		if (!may(m, page, write) || m->frame[page] + at % PAGE_SIZE != *phys + n)
			break;
		*young &= m->young[page];
		n += PAGE_SIZE - at % PAGE_SIZE;
	}
	if (n > len)
		n = len;
	if (n > UMEM_ODP_LEAF_BYTES - offset)
		n = UMEM_ODP_LEAF_BYTES - offset;
	return n;
}

static void compare_look(const struct umem_odp_entries *e, const struct model *m, size_t offset,
			 size_t len, bool write)
{
	unsigned long phys = 1, want_phys = 1, bits = 0;
	bool young;
	size_t want = model_look(m, offset, len, write, &want_phys, &young);

	assert_int_equal(umem_odp_entries_look(e, offset, len, write, &phys, &bits), want);
	if (!want)
		return;
	assert_int_equal(phys, want_phys);
	assert_true(bits & UMEM_ODP_ENTRY_VALID);
	assert_int_equal(!!(bits & UMEM_ODP_ENTRY_ACCESSED), young);
}

static bool model_young(const struct model *m, unsigned int first, unsigned int last)
{
	bool young = false;

	for (; first <= last; first++)
		young |= m->young[first];
	return young;
}

static void compare(struct umem_odp_entries *e, const struct model *m, uint64_t *rnd)
{
	unsigned int i, first = unit_random(rnd) % PAGES;
	unsigned int last = first + unit_random(rnd) % (PAGES - first);
	u8 bits[PAGES];

	assert_int_equal(e->resident, count_valid(m));
	assert_int_equal(umem_odp_entries_count(e, first, last), count_valid_in(m, first, last));
	assert_int_equal(!!e->huge, m->huge);
	for (i = first; i <= last && may(m, i, first & 1); i++)
		;
	assert_int_equal(umem_odp_entries_missing(e, first, last + 1, first & 1), i);
	assert_int_equal(umem_odp_entries_young(e, first, last, false),
			 model_young(m, first, last));
	umem_odp_entries_bits(e, first, last, bits);
	for (i = first; i <= last; i++) {
		assert_int_equal(!!(bits[i - first] & UMEM_ODP_ENTRY_VALID), may(m, i, false));
		assert_int_equal(!!(bits[i - first] & UMEM_ODP_ENTRY_WRITE), may(m, i, true));
	}
	for (i = 0; i < PAGES; i++) {
		assert_int_equal(umem_odp_entries_young(e, i, i, false), m->young[i]);
		compare_look(e, m, i * PAGE_SIZE, 1, false);
		compare_look(e, m, i * PAGE_SIZE, 1, true);
	}
	for (i = 0; i < 16; i++)
		compare_look(e, m, unit_random(rnd) % UMEM_ODP_LEAF_BYTES,
			     1 + unit_random(rnd) % 300000, i & 1);
}

static bool in_set(const struct umem_odp_page_set *set, unsigned int page)
{
	return set->bits[page / 64] >> page % 64 & 1;
}

/* The set of pages that an operation says it has changed, against what a model's array says. */
static void compare_set(const struct umem_odp_page_set *set, const bool *before, const bool *after)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		assert_int_equal(in_set(set, i), before[i] && !after[i]);
}

static unsigned int model_drop(struct model *m, unsigned int first, unsigned int last)
{
	unsigned int i, n = 0;

	if (m->huge) {
		first = 0;
		last = PAGES - 1;
		m->huge = false;
	}
	for (i = first; i <= last; i++) {
		n += m->valid[i];
		m->valid[i] = false;
		m->write[i] = false;
		m->young[i] = false;
	}
	return n;
}

static unsigned int model_downgrade(struct model *m, unsigned int first, unsigned int last)
{
	unsigned int i, n = 0;

	if (m->huge) {
		first = 0;
		last = PAGES - 1;
	}
	for (i = first; i <= last; i++) {
		n += m->write[i];
		m->write[i] = false;
	}
	return n;
}

static void model_put(struct model *m, unsigned int page, unsigned long frame, bool write)
{
	bool same = m->valid[page] && m->frame[page] == frame;

	/* A fault for reading takes nothing from a page that was there for writing. */
	m->write[page] = write || (same && m->write[page]);
	m->young[page] &= same;
	m->valid[page] = true;
	m->frame[page] = frame;
}

static void set_pages(struct umem_odp_entries *e, struct model *m, unsigned int first,
		      unsigned int nr, uint64_t *rnd)
{
	unsigned long entries[PAGES], frame = (1 + unit_random(rnd) % 3) << 32;
	bool write = unit_random(rnd) & 1;
	unsigned int i, before;

	if (m->huge)
		model_drop(m, 0, PAGES - 1);
	before = count_valid(m);
	for (i = 0; i < nr; i++) {
		/* Mostly neighbours of neighbours, so that long runs arise. */
		unsigned long f = frame + (first + i) * PAGE_SIZE;

		if (unit_random(rnd) % 64 == 0)
			f += UMEM_ODP_LEAF_BYTES;
		entries[i] = valid_entry(f, write);
		model_put(m, first + i, f, write);
	}
	assert_int_equal(umem_odp_entries_set(e, first, nr, entries), count_valid(m) - before);
}

static void set_huge(struct umem_odp_entries *e, struct model *m, uint64_t *rnd)
{
	unsigned long frame = (1 + unit_random(rnd) % 3) << 32;
	bool write = unit_random(rnd) & 1;
	bool young = !m->huge && model_young(m, 0, PAGES - 1);
	unsigned int i, before = count_valid(m);

	if (!m->huge)
		model_drop(m, 0, PAGES - 1);
	for (i = 0; i < PAGES; i++) {
		model_put(m, i, frame + i * PAGE_SIZE, write);
		m->young[i] |= young;
	}
	m->huge = true;
	assert_int_equal(umem_odp_entries_set_huge(e, valid_entry(frame, write)), PAGES - before);
}

static void drop(struct umem_odp_entries *e, struct model *m, unsigned int first, unsigned int last)
{
	struct umem_odp_page_set dropped = { 0 };
	struct model before = *m;

	assert_int_equal(umem_odp_entries_drop(e, first, last, &dropped),
			 model_drop(m, first, last));
	compare_set(&dropped, before.valid, m->valid);
}

static void downgrade(struct umem_odp_entries *e, struct model *m, unsigned int first,
		      unsigned int last)
{
	struct umem_odp_page_set lost = { 0 };
	struct model before = *m;

	assert_int_equal(umem_odp_entries_downgrade(e, first, last, &lost),
			 model_downgrade(m, first, last));
	compare_set(&lost, before.write, m->write);
}

/* An access touches what it may use, and nothing else. */
static void touch(struct umem_odp_entries *e, struct model *m, unsigned int first,
		  unsigned int last)
{
	unsigned int i;

	for (i = first; i <= last && m->valid[i]; i++)
		;
	if (i == first)
		return;
	umem_odp_entries_touch(e, first, i - 1);
	if (m->huge) {
		first = 0;
		i = PAGES;
	}
	while (first < i)
		m->young[first++] = true;
}

static void make_old(struct umem_odp_entries *e, struct model *m, unsigned int first,
		     unsigned int last)
{
	assert_int_equal(umem_odp_entries_young(e, first, last, true), model_young(m, first, last));
	if (m->huge) {
		first = 0;
		last = PAGES - 1;
	}
	for (; first <= last; first++)
		m->young[first] = false;
}

static void random_operation(struct umem_odp_entries *e, struct model *m, uint64_t *rnd)
{
	unsigned int first = unit_random(rnd) % PAGES;
	unsigned int nr = 1 + unit_random(rnd) % (PAGES - first);

	if (unit_random(rnd) % 4 == 0)
		nr = 1;
	switch (unit_random(rnd) % 12) {
	case 0:
		drop(e, m, first, first + nr - 1);
		break;
	case 1:
	case 2:
		downgrade(e, m, first, first + nr - 1);
		break;
	case 3:
		if (unit_random(rnd) % 4 == 0)
			set_huge(e, m, rnd);
		break;
	case 4:
	case 5:
		touch(e, m, first, first + nr - 1);
		break;
	case 6:
		make_old(e, m, first, first + nr - 1);
		break;
	default:
		set_pages(e, m, first, nr, rnd);
		break;
	}
}

static void random_operations(void **state)
{
	uint64_t seed;
	int i;

	(void)state;
	for (seed = 0; seed < 40; seed++) {
		struct umem_odp_entries e = { .pages = calloc(PAGES, sizeof(long)) };
		struct model m = { 0 };
		uint64_t rnd = seed;

		for (i = 0; i < 500; i++) {
			random_operation(&e, &m, &rnd);
			compare(&e, &m, &rnd);
		}
		free(e.pages);
	}
}

/* A leaf that never had a page entry, as a huge one is. */
static void without_pages(void **state)
{
	struct umem_odp_entries e = { 0 };
	struct model m = { 0 };
	uint64_t rnd = 1;

	(void)state;
	compare(&e, &m, &rnd);
	drop(&e, &m, 0, PAGES - 1);
	downgrade(&e, &m, 0, PAGES - 1);
	make_old(&e, &m, 0, PAGES - 1);
	set_huge(&e, &m, &rnd);
	compare(&e, &m, &rnd);
	touch(&e, &m, 3, 3);
	compare(&e, &m, &rnd);
	make_old(&e, &m, 500, 500);
	compare(&e, &m, &rnd);
	drop(&e, &m, 7, 7);
	compare(&e, &m, &rnd);
	assert_null(e.pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations),
		cmocka_unit_test(without_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
