// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How far a fault looks beyond what it is asked for: further and further where faults follow each other through memory that the
 * process has mapped, nowhere where they do not; never beyond the region, and it brings nothing in.
 * And how far it goes on for what it is asked for.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"
#include "pattern.h"
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

/* Whether so many pages have come; what takes some of them away meanwhile ends it. */
static bool are_resident(int fd, size_t pages)
{
	double end = seconds() + 2;

	while (umem_stats(fd).resident_pages < pages)
		if (seconds() > end)
			return false;
	return true;
}

/* For what it is asked for, eight leaves at most, and not beyond that; who asks waits for the first page alone. */
static bool a_long_fault(size_t pages)
{
	size_t offset = LEAF_PAGES / 2, span = pages < LONG_PAGES ? pages : LONG_PAGES;
	uint8_t *map = map_small(WIDE_PAGES, false);
	int fd = umem_region(map, WIDE_PAGES * PAGE_BYTES);
	bool all;

	assert_int_equal(umem_async(fd, 0, map + offset * PAGE_BYTES, pages * PAGE_BYTES, true),
			 -EINPROGRESS);
	assert_zero(umem_wait(fd, 0, BOUND_MS));
	all = are_resident(fd, span);
	/* Behind all of them. */
	use(fd, map + (WIDE_PAGES - 1) * PAGE_BYTES, true);
	assert_int_equal(umem_stats(fd).faults, 2);
	assert_in_range(umem_stats(fd).resident_pages, 2, span + 1);
	umem_close(fd);
	assert_in_range(mem_resident(map, WIDE_PAGES * PAGE_BYTES), 2, span + 1);
	munmap(map, WIDE_PAGES * PAGE_BYTES);
	return all;
}

static void a_long_fault_goes_on(size_t pages)
{
	double end = seconds() + BOUND_MS / 1e3;

	while (!a_long_fault(pages))
		if (seconds() > end)
			fail_because("it does not go on");
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

/* A page that is refused concerns nobody but who needs it. */
static void a_fault_goes_on_up_to_a_hole(size_t hole)
{
	uint8_t *map = map_small(PAGES, false);
	int fd = umem_region(map, PAGES * PAGE_BYTES), err;

	assert_zero(munmap(map + hole * PAGE_BYTES, PAGE_BYTES));
	assert_int_equal(umem_async(fd, 0, map, PAGES * PAGE_BYTES, true), -EINPROGRESS);
	assert_int_equal(umem_async(fd, 1, map + hole * PAGE_BYTES, 1, true), -EINPROGRESS);
	assert_zero(umem_wait(fd, 0, BOUND_MS));
	assert_int_equal(umem_wait(fd, 1, BOUND_MS), -EFAULT);
	/* Behind it, and once more. */
	err = umem_async(fd, 2, map + (PAGES - 1) * PAGE_BYTES, 1, true);
	assert_zero(err == -EINPROGRESS ? umem_wait(fd, 2, BOUND_MS) : err);
	assert_int_equal(umem_fault(fd, map + hole * PAGE_BYTES, 1, true), -EFAULT);
	assert_int_equal(umem_stats(fd).failed_faults, 2);
	assert_in_range(umem_stats(fd).resident_pages, LEAF_PAGES + 1, hole + 1);
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
}

static void a_hole_where_a_leaf_begins(void **state)
{
	(void)state;
	a_fault_goes_on_up_to_a_hole(LEAF_PAGES);
}

static void a_hole_in_a_leaf(void **state)
{
	(void)state;
	a_fault_goes_on_up_to_a_hole(LEAF_PAGES + 9);
}

/* Who asked for so much has left: for who waits for one byte of it beside him nothing else is brought in. */
static bool leave_beside_another(void)
{
	uint8_t *map = map_small(PAGES, false);
	int fd = umem_region(map, PAGES * PAGE_BYTES);
	bool joined, left;

	assert_int_equal(umem_async(fd, 0, map, PAGES * PAGE_BYTES, true), -EINPROGRESS);
	joined = umem_async(fd, 1, map, 1, true) == -EINPROGRESS;
	left = umem_cancel(fd, 0);
	if (left) {
		if (joined)
			assert_zero(umem_wait(fd, 1, BOUND_MS));
		use(fd, map + (PAGES - 1) * PAGE_BYTES, true);
		assert_in_range(umem_stats(fd).resident_pages, 2, LEAF_PAGES + 1);
	}
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
	return left;
}

static void not_for_who_has_left(void **state)
{
	double end = seconds() + BOUND_MS / 1e3;
	unsigned int times = 0;

	(void)state;
	while (times < 20) {
		times += leave_beside_another();
		if (seconds() > end)
			fail_because("it left only %u times", times);
	}
}

/* Once the first leaf is there its region goes, or its memory, or what is in that. */
static void it_goes_on_while_all_changes(void **state)
{
	size_t bytes = WIDE_PAGES * PAGE_BYTES;
	unsigned int n;

	(void)state;
	for (n = 0; n < 24; n++) {
		uint8_t *map = map_small(WIDE_PAGES, false);
		int fd = umem_region(map, bytes), other = umem_region(map, bytes);

		assert_int_equal(umem_async(fd, 0, map, bytes, true), -EINPROGRESS);
		assert_zero(umem_wait(fd, 0, BOUND_MS));
		usleep(200 * (n / 3));
		if (n % 3 == 0)
			assert_zero(umem_shutdown(fd));
		else if (n % 3 == 1)
			assert_zero(munmap(map, bytes));
		else
			assert_zero(madvise(map, bytes, MADV_DONTNEED));
		if (n % 3 == 1)
			assert_int_equal(umem_fault(other, map, 1, true), -EFAULT);
		else
			umem_fill(other, map, bytes, n);
		umem_close(fd);
		umem_close(other);
		if (n % 3 != 1) {
			pattern_check(map, bytes, n, 0, "through the region that stays");
			munmap(map, bytes);
		}
	}
}

TEST_MAIN(TEST(a_fault_goes_on_for_what_it_is_asked_for),
	  TEST(a_long_fault_goes_on_for_some_leaves), TEST(a_hole_where_a_leaf_begins),
	  TEST(a_hole_in_a_leaf), TEST(not_for_who_has_left), TEST(it_goes_on_while_all_changes),
	  TEST(a_run_for_reading), TEST(a_run_for_writing), TEST(several_runs_by_turns),
	  TEST(faults_here_and_there_bring_one_page_each), TEST(what_nobody_has_touched_stays_so),
	  TEST(not_beyond_the_region), TEST(not_what_may_not_be_written))
