// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How far a fault looks beyond what it is asked for: further and further where faults follow each other through memory that the
 * process has mapped, nowhere where they do not; never beyond the region, and it brings nothing in.
 * And how far it goes on for what it is asked for.
 */
#include <sys/mman.h>

#include "mem.h"
#include "umem.h"

#define LEAF_PAGES (HUGE_BYTES / PAGE_BYTES)
#define PAGES	   (2 * LEAF_PAGES)
/* Prime to every number of pages here: a walk in such steps comes to each once, and never to the one that follows. */
#define STEP 357
/* What a fault goes on for, from the middle of a leaf; and more than that. */
#define LONG_PAGES (8 * LEAF_PAGES - LEAF_PAGES / 2)
#define WIDE_PAGES (14 * LEAF_PAGES)
/* Windows of 1, 2, 4, ... 512 pages, and the rest of a leaf. */
#define RAMP	 11
#define BOUND_MS 60000

static uint8_t *map_small(size_t pages, bool touched)
{
	uint8_t *map = umem_map(pages * PAGE_BYTES);
	size_t i;

	madvise(map, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	/* In an order in which what lies side by side here does not in memory. */
	for (i = 0; touched && i < pages; i++)
		map[i * STEP % pages * PAGE_BYTES] = 1;
	return map;
}

/* What a device does with a page: it asks for it if it misses. */
static void use(int fd, uint8_t *page, bool write)
{
	assert_zero(umem_fault(fd, page, 1, write));
}

static void a_run_of_faults_looks_further_and_further(bool write)
{
	uint8_t *map = map_small(PAGES, true);
	int fd = umem_region(map, PAGES * PAGE_BYTES);
	struct umem_selftest_stats st;
	size_t i;

	for (i = 0; i < PAGES; i++)
		use(fd, map + i * PAGE_BYTES, write);
	st = umem_stats(fd);
	assert_int_equal(st.resident_pages, PAGES);
	assert_int_equal(st.fault_pages, PAGES);
	assert_in_range(st.faults, 2, RAMP + 1);
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
}

static void a_run_for_reading(void **state)
{
	(void)state;
	a_run_of_faults_looks_further_and_further(false);
}

static void a_run_for_writing(void **state)
{
	(void)state;
	a_run_of_faults_looks_further_and_further(true);
}

static void several_runs_by_turns(void **state)
{
	uint8_t *map = map_small(4 * LEAF_PAGES, true);
	int fd = umem_region(map, 4 * HUGE_BYTES);
	size_t i, run;

	(void)state;
	for (i = 0; i < LEAF_PAGES; i++)
		for (run = 0; run < 4; run++)
			use(fd, map + run * HUGE_BYTES + i * PAGE_BYTES, false);
	assert_int_equal(umem_stats(fd).resident_pages, 4 * LEAF_PAGES);
	assert_in_range(umem_stats(fd).faults, 4, 4 * RAMP);
	umem_close(fd);
	munmap(map, 4 * HUGE_BYTES);
}

static void faults_here_and_there_bring_one_page_each(void **state)
{
	uint8_t *map = map_small(PAGES, true);
	int fd = umem_region(map, PAGES * PAGE_BYTES);
	size_t i;

	(void)state;
	for (i = 0; i < PAGES / 4; i++)
		use(fd, map + i * STEP % PAGES * PAGE_BYTES, i % 2);
	assert_int_equal(umem_stats(fd).faults, PAGES / 4);
	assert_int_equal(umem_stats(fd).fault_pages, PAGES / 4);
	assert_int_equal(umem_stats(fd).resident_pages, PAGES / 4);
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
}

static void what_nobody_has_touched_stays_so(void **state)
{
	uint8_t *map = map_small(PAGES, false);
	int fd = umem_region(map, PAGES * PAGE_BYTES);
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		use(fd, map + i * PAGE_BYTES, true);
	assert_int_equal(umem_stats(fd).faults, 100);
	assert_int_equal(umem_stats(fd).resident_pages, 100);
	assert_int_equal(mem_resident(map, PAGES * PAGE_BYTES), 100);
	/* It goes on where it finds pages again. */
	memset(map + 100 * PAGE_BYTES, 1, 400 * PAGE_BYTES);
	for (; i < 500; i++)
		use(fd, map + i * PAGE_BYTES, true);
	assert_in_range(umem_stats(fd).faults, 101, 100 + RAMP);
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
}

static void not_beyond_the_region(void **state)
{
	uint8_t *map = map_small(PAGES, true);
	int all = umem_region(map, PAGES * PAGE_BYTES);
	int fd = umem_region(map + PAGE_BYTES, 100 * PAGE_BYTES);
	size_t i;

	(void)state;
	for (i = 1; i <= 100; i++)
		use(fd, map + i * PAGE_BYTES, true);
	assert_in_range(umem_stats(fd).faults, 2, RAMP);
	assert_int_equal(umem_stats(all).resident_pages, 100);
	assert_false(umem_is_present(all, map, false));
	assert_false(umem_is_present(all, map + 101 * PAGE_BYTES, false));
	umem_close(fd);
	umem_close(all);
	munmap(map, PAGES * PAGE_BYTES);
}

static void not_what_may_not_be_written(void **state)
{
	uint8_t *map = map_small(LEAF_PAGES, true);
	int fd = umem_region(map, HUGE_BYTES);
	size_t i;

	(void)state;
	/* A mapping of other rights, behind it a hole, behind that other rights. */
	assert_zero(mprotect(map + 200 * PAGE_BYTES, 100 * PAGE_BYTES, PROT_READ));
	assert_zero(munmap(map + 300 * PAGE_BYTES, 10 * PAGE_BYTES));
	for (i = 0; i < 200; i++)
		use(fd, map + i * PAGE_BYTES, true);
	assert_int_equal(umem_stats(fd).resident_pages, 200);
	assert_int_equal(umem_fault(fd, map + i * PAGE_BYTES, 1, true), -EFAULT);
	for (; i < 300; i++)
		use(fd, map + i * PAGE_BYTES, false);
	assert_int_equal(umem_stats(fd).resident_pages, 300);
	assert_false(umem_is_present(fd, map + 250 * PAGE_BYTES, true));
	assert_int_equal(umem_fault(fd, map + i * PAGE_BYTES, 1, false), -EFAULT);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

/* For what it is asked for, eight leaves at most, and not beyond that, whoever waits only for the first page. */
static void a_long_fault_goes_on(size_t pages)
{
	size_t offset = LEAF_PAGES / 2, span = pages < LONG_PAGES ? pages : LONG_PAGES;
	uint8_t *map = map_small(WIDE_PAGES, false);
	int fd = umem_region(map, WIDE_PAGES * PAGE_BYTES);
	double end = seconds() + BOUND_MS / 1e3;

	assert_int_equal(umem_async(fd, 0, map + offset * PAGE_BYTES, pages * PAGE_BYTES, true),
			 -EINPROGRESS);
	assert_zero(umem_wait(fd, 0, BOUND_MS));
	while (umem_stats(fd).resident_pages < span)
		if (seconds() > end)
			fail_because("of %zu pages %lld are there", span,
				     (long long)umem_stats(fd).resident_pages);
	/* Behind all of them. */
	use(fd, map + (WIDE_PAGES - 1) * PAGE_BYTES, true);
	assert_int_equal(umem_stats(fd).faults, 2);
	assert_int_equal(umem_stats(fd).resident_pages, span + 1);
	assert_true(umem_is_present(fd, map + (offset + span - 1) * PAGE_BYTES, true));
	umem_close(fd);
	assert_int_equal(mem_resident(map, WIDE_PAGES * PAGE_BYTES), span + 1);
	munmap(map, WIDE_PAGES * PAGE_BYTES);
}

static void a_fault_goes_on_for_what_it_is_asked_for(void **state)
{
	(void)state;
	a_long_fault_goes_on(3 * LEAF_PAGES + 7);
}

static void a_long_fault_goes_on_for_some_leaves(void **state)
{
	(void)state;
	a_long_fault_goes_on(12 * LEAF_PAGES);
}

/* Up to a page that is refused, which concerns nobody yet. */
static void a_fault_goes_on_up_to_a_hole(void **state)
{
	uint8_t *map = map_small(PAGES, false);
	int fd = umem_region(map, PAGES * PAGE_BYTES);
	double end = seconds() + BOUND_MS / 1e3;

	(void)state;
	assert_zero(munmap(map + (LEAF_PAGES + 9) * PAGE_BYTES, PAGE_BYTES));
	assert_int_equal(umem_async(fd, 0, map, PAGES * PAGE_BYTES, true), -EINPROGRESS);
	assert_zero(umem_wait(fd, 0, BOUND_MS));
	while (umem_stats(fd).resident_pages < LEAF_PAGES + 9)
		if (seconds() > end)
			fail_because("it does not come to the hole");
	use(fd, map + (PAGES - 1) * PAGE_BYTES, true);
	assert_int_equal(umem_stats(fd).resident_pages, LEAF_PAGES + 10);
	assert_zero(umem_stats(fd).failed_faults);
	assert_int_equal(umem_fault(fd, map + (LEAF_PAGES + 9) * PAGE_BYTES, 1, true), -EFAULT);
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
}

TEST_MAIN(TEST(a_fault_goes_on_for_what_it_is_asked_for),
	  TEST(a_long_fault_goes_on_for_some_leaves), TEST(a_fault_goes_on_up_to_a_hole),
	  TEST(a_run_for_reading), TEST(a_run_for_writing), TEST(several_runs_by_turns),
	  TEST(faults_here_and_there_bring_one_page_each), TEST(what_nobody_has_touched_stays_so),
	  TEST(not_beyond_the_region), TEST(not_what_may_not_be_written))
