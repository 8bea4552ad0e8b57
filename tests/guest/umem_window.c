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
#define LONG_PAGES     (8 * LEAF_PAGES - LEAF_PAGES / 2)
#define LONG_MAP_PAGES (16 * LEAF_PAGES)
/* Windows of 1, 2, 4, ... 512 pages, and the rest of a leaf. */
#define RAMP	 11
#define BOUND_MS 30000
/* What must not go on would have come much further. */
#define SOON_US 20000

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

/* Whether so many pages come. A pass that has gone ahead ends where something takes pages away from it. */
static bool pages_come(int fd, size_t pages)
{
	double end = seconds() + 2;
	size_t now, last = 0;

	while ((now = umem_stats(fd).resident_pages) < pages) {
		if (now > last)
			end = seconds() + 2;
		else if (seconds() > end)
			return false;
		last = now;
		usleep(1000);
	}
	return true;
}

/* For what it is asked for, eight leaves at most, and not beyond that; who asks waits for the first page alone. */
static bool a_long_fault(size_t pages)
{
	size_t offset = LEAF_PAGES / 2, span = pages < LONG_PAGES ? pages : LONG_PAGES;
	uint8_t *map = map_small(LONG_MAP_PAGES, false);
	int fd = umem_region(map, LONG_MAP_PAGES * PAGE_BYTES);
	bool all;

	assert_int_equal(umem_async(fd, 0, map + offset * PAGE_BYTES, pages * PAGE_BYTES, true),
			 -EINPROGRESS);
	assert_zero(umem_wait(fd, 0, BOUND_MS));
	all = pages_come(fd, span);
	/* One that knows no end would be behind that by now. */
	usleep(SOON_US);
	use(fd, map + (LONG_MAP_PAGES - 1) * PAGE_BYTES, true);
	assert_int_equal(umem_stats(fd).faults, 2);
	assert_in_range(umem_stats(fd).resident_pages, 2, span + 1);
	umem_close(fd);
	assert_in_range(mem_resident(map, LONG_MAP_PAGES * PAGE_BYTES), 2, span + 1);
	munmap(map, LONG_MAP_PAGES * PAGE_BYTES);
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

/*
 * A page that is refused concerns nobody but who needs it: one who asks for it while the first leaf is brought in, or when that is
 * there and the pass may have gone ahead to it.
 */
static void a_fault_goes_on_up_to_a_hole(size_t hole, bool ahead)
{
	uint8_t *map = map_small(PAGES, false);
	int fd = umem_region(map, PAGES * PAGE_BYTES), err;

	assert_zero(munmap(map + hole * PAGE_BYTES, PAGE_BYTES));
	assert_int_equal(umem_async(fd, 0, map, PAGES * PAGE_BYTES, true), -EINPROGRESS);
	if (ahead)
		assert_zero(umem_wait(fd, 0, BOUND_MS));
	assert_int_equal(umem_async(fd, 1, map + hole * PAGE_BYTES, 1, true), -EINPROGRESS);
	err = umem_async(fd, 2, map + (PAGES - 1) * PAGE_BYTES, 1, true);
	assert_int_equal(umem_wait(fd, 1, BOUND_MS), -EFAULT);
	assert_zero(err == -EINPROGRESS ? umem_wait(fd, 2, BOUND_MS) : err);
	if (!ahead)
		assert_zero(umem_wait(fd, 0, BOUND_MS));
	assert_int_equal(umem_fault(fd, map + hole * PAGE_BYTES, 1, true), -EFAULT);
	assert_int_equal(umem_stats(fd).failed_faults, 2);
	assert_in_range(umem_stats(fd).resident_pages, 2, hole + 1);
	umem_close(fd);
	munmap(map, PAGES * PAGE_BYTES);
}

static void a_hole_where_a_leaf_begins(void **state)
{
	(void)state;
	a_fault_goes_on_up_to_a_hole(LEAF_PAGES, false);
	a_fault_goes_on_up_to_a_hole(LEAF_PAGES, true);
}

static void a_hole_in_a_leaf(void **state)
{
	(void)state;
	a_fault_goes_on_up_to_a_hole(LEAF_PAGES + 9, false);
	a_fault_goes_on_up_to_a_hole(LEAF_PAGES + 9, true);
}

/*
 * Who asked for two leaves cancels while the first is brought in: for who waits beside him for one byte of that the second is not.
 * Whether the cancel was early enough.
 */
static bool leave_beside_another(void)
{
	uint8_t *map = map_small(PAGES, false);
	int fd = umem_region(map, PAGES * PAGE_BYTES);
	bool left;

	assert_int_equal(umem_async(fd, 0, map, PAGES * PAGE_BYTES, true), -EINPROGRESS);
	left = umem_async(fd, 1, map, 1, true) == -EINPROGRESS;
	/* The pass is at work when pages come, and nobody is woken before all of the leaf has. */
	while (left && !mem_resident(map, HUGE_BYTES))
		left = umem_wait(fd, 0, 0) == -EINPROGRESS;
	left = left && umem_cancel(fd, 0);
	if (left) {
		assert_zero(umem_wait(fd, 1, BOUND_MS));
		usleep(SOON_US);
		assert_in_range(mem_resident(map, PAGES * PAGE_BYTES), 1, LEAF_PAGES);
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
	while (times < 3) {
		times += leave_beside_another();
		if (seconds() > end)
			fail_because("it left only %u times", times);
	}
}

enum change { REGION_CLOSED, MEMORY_UNMAPPED, MEMORY_DROPPED, CHANGES };

/* When the first leaf is there, and the pass in one behind it, or at its end. */
static void change_while_it_goes_on(enum change change, unsigned int after_us)
{
	size_t bytes = LONG_MAP_PAGES * PAGE_BYTES, resident;
	uint8_t *map = map_small(LONG_MAP_PAGES, false);
	int fd = umem_region(map, bytes), other = umem_region(map, bytes);

	assert_int_equal(umem_async(fd, 0, map, bytes, true), -EINPROGRESS);
	assert_zero(umem_wait(fd, 0, BOUND_MS));
	usleep(after_us);
	switch (change) {
	case REGION_CLOSED:
		assert_zero(umem_shutdown(fd));
		resident = mem_resident(map, bytes);
		usleep(SOON_US);
		/* At most the leaf that it was in. */
		assert_in_range(mem_resident(map, bytes), 1, resident + LEAF_PAGES);
		break;
	case MEMORY_UNMAPPED:
		assert_zero(munmap(map, bytes));
		assert_zero(umem_stats(other).resident_pages);
		assert_int_equal(umem_fault(other, map, 1, true), -EFAULT);
		break;
	default:
		assert_zero(madvise(map, bytes, MADV_DONTNEED));
		break;
	}
	if (change != MEMORY_UNMAPPED) {
		umem_fill(other, map, bytes, after_us);
		pattern_check(map, bytes, after_us, 0, "through the region that stays");
		munmap(map, bytes);
	}
	umem_close(fd);
	umem_close(other);
}

static void it_goes_on_while_all_changes(void **state)
{
	unsigned int change, i;

	(void)state;
	for (change = 0; change < CHANGES; change++)
		for (i = 0; i < 5; i++)
			change_while_it_goes_on(change, 300 * i);
}

TEST_MAIN(TEST(a_fault_goes_on_for_what_it_is_asked_for),
	  TEST(a_long_fault_goes_on_for_some_leaves), TEST(a_hole_where_a_leaf_begins),
	  TEST(a_hole_in_a_leaf), TEST(not_for_who_has_left), TEST(it_goes_on_while_all_changes),
	  TEST(a_run_for_reading), TEST(a_run_for_writing), TEST(several_runs_by_turns),
	  TEST(faults_here_and_there_bring_one_page_each), TEST(what_nobody_has_touched_stays_so),
	  TEST(not_beyond_the_region), TEST(not_what_may_not_be_written))
