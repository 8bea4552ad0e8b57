// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions of one process share what lies behind an address: a page that came through one is there for all that cover it, with
 * the rights and the counters of each; it stays until the last of them goes, and no longer.
 */
#include <sys/ioctl.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

/* The table is cut at multiples of this at the most: what does not cross one is one piece of it. */
#define PIECE_BYTES GIB

/* Small pages, each of which is an entry of its own. */
static uint8_t *map_small(size_t bytes)
{
	uint8_t *map = umem_map_aligned(bytes, PIECE_BYTES);

	madvise(map, bytes, MADV_NOHUGEPAGE);
	return map;
}

static int read_only_region(void *addr, size_t bytes)
{
	int fd = umem_open();

	assert_zero(umem_create(fd, addr, bytes, 0));
	return fd;
}

/* How many pages of a range the table holds, for whomever. */
static unsigned long in_table(void *addr, size_t bytes)
{
	int fd = umem_region(addr, bytes);
	unsigned long pages = umem_stats(fd).resident_pages;

	umem_close(fd);
	return pages;
}

static void all_present(int fd, uint8_t *addr, size_t bytes, bool write)
{
	size_t at;

	for (at = 0; at < bytes; at += PAGE_BYTES)
		if (!umem_is_present(fd, addr + at, write))
			fail_because("page %zu is not there", at / PAGE_BYTES);
}

static void a_page_is_faulted_once(void **state)
{
	uint8_t *map = map_small(HUGE_BYTES), byte;
	int reader = read_only_region(map, HUGE_BYTES), writer = umem_region(map, HUGE_BYTES);
	size_t bytes = 16 * PAGE_BYTES;

	(void)state;
	umem_fill(writer, map, bytes, 1);
	all_present(reader, map, bytes, false);
	umem_check(reader, map, bytes, 1);
	assert_zero(umem_fault(reader, map, bytes, false));
	assert_int_equal(umem_stats(reader).faults, 0);
	assert_int_equal(umem_stats(reader).fault_pages, 0);
	assert_int_equal(umem_stats(reader).resident_pages, 16);
	assert_int_equal(umem_stats(writer).faults, 1);
	assert_int_equal(umem_stats(writer).fault_pages, 16);

	/* And the other way round: read by one, it need not be faulted for reading, but for writing. */
	assert_zero(umem_from(reader, map + bytes, &byte, 1, 0, NULL));
	assert_true(umem_is_present(writer, map + bytes, false));
	assert_int_equal(umem_stats(writer).faults, 1);
	umem_fill(writer, map + bytes, PAGE_BYTES, 2);
	assert_int_equal(umem_stats(writer).faults, 2);
	umem_check(reader, map + bytes, PAGE_BYTES, 2);
	assert_int_equal(umem_stats(reader).faults, 1);
	assert_int_equal(umem_stats(reader).resident_pages, 17);
	umem_close(reader);
	umem_close(writer);
	munmap(map, HUGE_BYTES);
}

/* The entry may be written, since the process may; the region may not. */
static void rights_are_the_regions_own(void **state)
{
	uint8_t *map = map_small(HUGE_BYTES), byte = 9;
	int writer = umem_region(map, HUGE_BYTES), reader = read_only_region(map, HUGE_BYTES);

	(void)state;
	umem_fill(writer, map, PAGE_BYTES, 1);
	all_present(writer, map, PAGE_BYTES, true);
	assert_int_equal(umem_to(reader, map, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_to(reader, map, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL), -EFAULT);
	assert_int_equal(umem_fault(reader, map, 1, true), -EFAULT);
	assert_int_equal(umem_async(reader, 0, map, 1, true), -EFAULT);
	pattern_check(map, PAGE_BYTES, 1, 0, "after what was refused");
	/* The writer's end changes nothing about the reader. */
	umem_close(writer);
	assert_int_equal(umem_to(reader, map, &byte, 1, 0, NULL), -EFAULT);
	umem_check(reader, map, PAGE_BYTES, 1);
	umem_close(reader);
	munmap(map, HUGE_BYTES);
}

static void neighbours_in_one_leaf(void **state)
{
	size_t bytes = HUGE_BYTES / 2;
	uint8_t *map = map_small(HUGE_BYTES);
	int low = umem_region(map, bytes), high = umem_region(map + bytes, bytes);
	struct umem_selftest_stats st;

	(void)state;
	umem_fill(low, map, bytes, 1);
	assert_int_equal(umem_stats(low).resident_pages, 256);
	assert_int_equal(umem_stats(high).resident_pages, 0);
	assert_false(umem_is_present(high, map + bytes, false));
	umem_fill(high, map + bytes, bytes, 2);
	assert_int_equal(umem_stats(high).resident_pages, 256);
	/* What is dropped of one is not counted for the other. */
	st = umem_stats(high);
	assert_zero(madvise(map + bytes - PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED));
	assert_int_equal(umem_stats(low).resident_pages, 255);
	assert_int_equal(umem_stats(low).invalidated_pages, 1);
	assert_int_equal(umem_stats(high).invalidations, st.invalidations);
	assert_int_equal(umem_stats(high).invalidated_pages, 0);
	umem_close(low);
	all_present(high, map + bytes, bytes, true);
	umem_check(high, map + bytes, bytes, 2);
	assert_int_equal(umem_stats(high).faults, st.faults);
	assert_int_equal(in_table(map, HUGE_BYTES), 256);
	umem_close(high);
	assert_int_equal(in_table(map, HUGE_BYTES), 0);
	munmap(map, HUGE_BYTES);
}

static void read_without_pause(int fd, void *addr, unsigned int threads,
			       struct umem_selftest_hammer *result)
{
	struct umem_selftest_hammer arg = { .va = (uintptr_t)addr,
					    .len_bytes = PAGE_BYTES,
					    .threads = threads };

	assert_zero(ioctl(fd, UMEM_SELFTEST_HAMMER, &arg));
	if (result)
		*result = arg;
}

/* The second half of what went is another's, which uses it meanwhile, and that faults nothing again. */
static void deregistered_under_traffic(void **state)
{
	size_t shared = 2 * HUGE_BYTES - 100 * PAGE_BYTES, bytes = 2 * shared;
	uint8_t *map = map_small(2 * bytes), *at = map + shared;
	unsigned int rounds = slow_cpu() ? 20 : 50, i;
	struct umem_selftest_hammer result;
	int goes, stays;

	(void)state;
	stays = umem_region(at, bytes);
	for (i = 0; i < rounds; i++) {
		goes = umem_region(map, bytes);
		umem_fill(goes, map, bytes, i);
		if (!i)
			read_without_pause(stays, at, 2, NULL);
		umem_close(goes);
		assert_int_equal(umem_stats(stays).resident_pages, shared / PAGE_BYTES);
		assert_int_equal(in_table(map, 2 * bytes), shared / PAGE_BYTES);
	}
	read_without_pause(stays, at, 0, &result);
	print_message("%llu accesses, %llu misses\n", (unsigned long long)result.accesses,
		      (unsigned long long)result.misses);
	assert_true(result.accesses > 0);
	all_present(stays, at, shared, true);
	pattern_check(map, bytes, i - 1, 0, "after all that");
	assert_int_equal(umem_stats(stays).faults, 0);
	assert_int_equal(umem_stats(stays).invalidated_pages, 0);
	umem_close(stays);
	assert_int_equal(in_table(map, 2 * bytes), 0);
	munmap(map, 2 * bytes);
}

/* One ends in the middle of a page, in which the next begins. */
static void a_page_shared_at_the_edges(void **state)
{
	uint8_t *map = map_small(HUGE_BYTES), *edge = map + PAGE_BYTES + 1000, byte = 5;
	int low = umem_region(map + 100, edge - map - 100);
	int high = umem_region(edge, map + 3 * PAGE_BYTES + 7 - edge);

	(void)state;
	umem_fill(low, map + 100, edge - map - 100, 1);
	assert_int_equal(umem_stats(low).resident_pages, 2);
	assert_int_equal(umem_stats(high).resident_pages, 1);
	/* The page is there, but not all of it is theirs. */
	assert_zero(umem_from(high, edge, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL));
	assert_int_equal(umem_from(high, edge - 1, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_to(high, edge - 1, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_from(low, edge, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_from(low, map + 99, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_stats(high).faults, 0);
	/* The one that ends leaves it to the other. */
	umem_close(low);
	assert_int_equal(umem_stats(high).resident_pages, 1);
	assert_int_equal(in_table(map, HUGE_BYTES), 1);
	umem_fill(high, edge, PAGE_BYTES, 2);
	pattern_check(map + 100, edge - map - 100, 1, 0, "in front of the edge");
	pattern_check(edge, PAGE_BYTES, 2, 0, "behind the edge");
	low = umem_region(map + 100, edge - map - 100);
	umem_close(high);
	assert_int_equal(umem_stats(low).resident_pages, 1);
	assert_zero(umem_from(low, edge - 1, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL));
	umem_close(low);
	assert_int_equal(in_table(map, HUGE_BYTES), 0);
	munmap(map, HUGE_BYTES);
}

static void a_page_inside_of_a_large_region(void **state)
{
	size_t bytes = 64 * MIB;
	uint8_t *map = map_small(bytes), *at = map + 33 * MIB + 5 * PAGE_BYTES;
	int large = umem_region(map, bytes), small = umem_region(at, PAGE_BYTES);
	struct umem_selftest_stats st;

	(void)state;
	assert_zero(umem_fault(large, map, bytes, true));
	umem_fill(large, at, PAGE_BYTES, 1);
	assert_int_equal(umem_stats(large).resident_pages, bytes / PAGE_BYTES);
	st = umem_stats(small);
	assert_int_equal(st.resident_pages, 1);
	/* What it pays for is its share. */
	assert_in_range(st.table_bytes, 1, PAGE_BYTES / 2);
	umem_close(large);
	umem_check(small, at, PAGE_BYTES, 1);
	all_present(small, at, PAGE_BYTES, true);
	st = umem_stats(small);
	assert_int_equal(st.faults, 0);
	assert_int_equal(st.resident_pages, 1);
	assert_int_equal(st.invalidated_pages, 0);
	/*
	 * Now all that is left is there for it alone: a leaf with its entries, and a chunk; or two, where the mapping crosses
	 * a GiB, since an empty one stays for a second.
	 */
	assert_in_range(st.table_bytes, 2 * PAGE_BYTES, 4 * PAGE_BYTES);
	assert_int_equal(in_table(map, bytes), 1);
	umem_close(small);
	assert_int_equal(in_table(map, bytes), 0);
	munmap(map, bytes);
}

/* One event, in two leaves: each region counts it once, with the pages that it covers. */
static void a_dropped_page_counts_for_all_that_cover_it(void **state)
{
	uint8_t *map = map_small(2 * HUGE_BYTES), *at = map + HUGE_BYTES - 2 * PAGE_BYTES;
	int first = umem_region(map, HUGE_BYTES), second = umem_region(at, HUGE_BYTES),
	    third = read_only_region(at, PAGE_BYTES), elsewhere;
	struct umem_selftest_stats st;

	(void)state;
	elsewhere = umem_region(map + 2 * HUGE_BYTES - PAGE_BYTES, PAGE_BYTES);
	umem_fill(first, at, 2 * PAGE_BYTES, 1);
	umem_fill(second, at, 3 * PAGE_BYTES, 2);
	umem_fill(elsewhere, map + 2 * HUGE_BYTES - PAGE_BYTES, PAGE_BYTES, 3);
	assert_zero(madvise(at, 4 * PAGE_BYTES, MADV_DONTNEED));
	st = umem_stats(first);
	assert_int_equal(st.invalidations, 1);
	assert_int_equal(st.invalidated_pages, 2);
	assert_int_equal(st.resident_pages, 0);
	st = umem_stats(second);
	assert_int_equal(st.invalidations, 1);
	assert_int_equal(st.invalidated_pages, 3);
	st = umem_stats(third);
	assert_int_equal(st.invalidations, 1);
	assert_int_equal(st.invalidated_pages, 1);
	st = umem_stats(elsewhere);
	assert_int_equal(st.invalidations, 0);
	assert_int_equal(st.resident_pages, 1);
	umem_close(first);
	umem_close(second);
	umem_close(third);
	umem_close(elsewhere);
	munmap(map, 2 * HUGE_BYTES);
}

static void one_event_counts_once(void **state)
{
	size_t bytes = 4 * HUGE_BYTES, all = bytes / PAGE_BYTES;
	uint8_t *map = map_small(bytes), *page = map + HUGE_BYTES;
	int fd = umem_region(map + 1, bytes - 2);
	struct umem_selftest_stats st;

	(void)state;
	assert_zero(umem_fault(fd, map + 1, bytes - 2, true));
	assert_int_equal(umem_stats(fd).resident_pages, all);
	assert_zero(madvise(page, PAGE_BYTES, MADV_DONTNEED));
	assert_int_equal(umem_stats(fd).invalidations, 1);
	/* Over all leaves. */
	assert_zero(madvise(map, bytes, MADV_DONTNEED));
	st = umem_stats(fd);
	assert_int_equal(st.invalidations, 2);
	assert_int_equal(st.invalidated_pages, all);
	assert_int_equal(st.resident_pages, 0);
	/* Of nothing. */
	assert_zero(madvise(map, bytes, MADV_DONTNEED));
	assert_int_equal(umem_stats(fd).invalidations, 2);
	assert_zero(umem_fault(fd, page, PAGE_BYTES, true));
	assert_zero(madvise(map, HUGE_BYTES, MADV_DONTNEED));
	assert_zero(madvise(page + PAGE_BYTES, HUGE_BYTES, MADV_DONTNEED));
	st = umem_stats(fd);
	assert_int_equal(st.invalidations, 2);
	assert_int_equal(st.invalidated_pages, all);
	assert_int_equal(st.resident_pages, 1);
	umem_close(fd);
	munmap(map, bytes);
}

/* One entry for 2 MiB, of which one page is left to somebody. */
static void a_page_of_a_huge_entry(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), *at = map + 77 * PAGE_BYTES;
	int large, small;

	(void)state;
	if (madvise(map, HUGE_BYTES, MADV_HUGEPAGE))
		skip_because("no transparent huge pages: %s", strerror(errno));
	memset(map, 1, HUGE_BYTES);
	if (smaps_kb(map, "AnonHugePages") != (long)(HUGE_BYTES / KIB))
		skip_because("the kernel gave no huge page");
	large = umem_region(map, HUGE_BYTES);
	small = umem_region(at, PAGE_BYTES);
	umem_fill(large, map, HUGE_BYTES, 1);
	assert_int_equal(umem_stats(large).resident_pages, 512);
	assert_int_equal(umem_stats(small).resident_pages, 1);
	assert_true(umem_is_present(small, at, true));
	assert_int_equal(umem_stats(small).faults, 0);
	umem_close(large);
	/* It is left, or the entry went whole; the rest is gone for sure. */
	assert_in_range(in_table(map, HUGE_BYTES), 0, 1);
	umem_fill(small, at, PAGE_BYTES, 2);
	pattern_check(at, PAGE_BYTES, 2, 0, "written through what is left");
	pattern_check(map, 77 * PAGE_BYTES, 1, 0, "before it");
	umem_close(small);
	assert_int_equal(in_table(map, HUGE_BYTES), 0);
	munmap(map, HUGE_BYTES);
}

TEST_MAIN(TEST(a_page_is_faulted_once), TEST(rights_are_the_regions_own),
	  TEST(neighbours_in_one_leaf), TEST(deregistered_under_traffic),
	  TEST(a_page_shared_at_the_edges), TEST(a_page_inside_of_a_large_region),
	  TEST(a_dropped_page_counts_for_all_that_cover_it), TEST(one_event_counts_once),
	  TEST(a_page_of_a_huge_entry))
