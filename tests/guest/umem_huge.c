// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Huge entries: a leaf behind one huge mapping costs no page of entries, is dropped whole by a partial event, and holds the
 * right bytes through splitting, collapsing and copy-on-write. A folio of 64 KiB is pages, taken by one fault.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "pattern.h"
#include "umem.h"

#define LEAVES 8UL
#define BYTES  (LEAVES * HUGE_BYTES)
/* A table of huge entries is a chunk of a good page and leaves of no size; any page of entries costs another page. */
#define WITHOUT_PAGES (2 * PAGE_BYTES)

static uint8_t *map_huge(void)
{
	/* In one chunk of the table. */
	uint8_t *map = umem_map_aligned(BYTES, GIB);
	long kb;

	if (madvise(map, BYTES, MADV_HUGEPAGE))
		skip_because("no transparent huge pages: %s", strerror(errno));
	write_text("/proc/sys/vm/compact_memory", "1");
	memset(map, 1, BYTES);
	/* All of it: a leaf of small pages costs other numbers. */
	kb = smaps_kb(map, "AnonHugePages");
	if (kb < (long)(BYTES / KIB))
		skip_because("the kernel gave huge pages for %ld of %lu KiB", kb, BYTES / KIB);
	return map;
}

static void a_leaf_of_one_mapping_is_one_entry(void **state)
{
	uint8_t *map = map_huge();
	int fd = umem_region(map, BYTES);
	struct umem_selftest_stats st;

	(void)state;
	pattern_fill(map, BYTES, 1, 0);
	/* One byte of each leaf brings in the leaf. */
	assert_zero(umem_fault(fd, map, BYTES, true));
	st = umem_stats(fd);
	assert_int_equal(st.resident_pages, BYTES / PAGE_BYTES);
	assert_true(st.table_bytes < WITHOUT_PAGES);
	/* A fault that goes on brings in the next leaves too, which then take none. */
	assert_in_range(st.faults, 1, LEAVES);
	umem_check(fd, map, BYTES, 1);
	assert_int_equal(umem_stats(fd).faults, st.faults);
	umem_fill(fd, map + 12345, HUGE_BYTES, 2);
	pattern_check(map + 12345, HUGE_BYTES, 2, 0, "through huge entries");
	umem_close(fd);
	munmap(map, BYTES);
}

static void a_partial_event_drops_it_whole(void **state)
{
	uint8_t *map = map_huge(), byte = 0;
	int fd = umem_region(map, BYTES);

	(void)state;
	pattern_fill(map, BYTES, 1, 0);
	assert_zero(umem_fault(fd, map, BYTES, true));
	assert_zero(madvise(map + 7 * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED));
	assert_int_equal(umem_stats(fd).resident_pages, (LEAVES - 1) * 512);
	assert_zero(umem_from(fd, map + 7 * PAGE_BYTES, &byte, 1, 0, NULL));
	assert_int_equal(byte, 0);
	umem_check(fd, map, 7 * PAGE_BYTES, 1);
	/* The leaf has pages now. */
	umem_fill(fd, map + 7 * PAGE_BYTES, PAGE_BYTES, 3);
	pattern_check(map + 7 * PAGE_BYTES, PAGE_BYTES, 3, 0, "in the hole");
	umem_close(fd);
	munmap(map, BYTES);
}

static void a_leaf_that_is_not_all_of_the_region_has_pages(void **state)
{
	uint8_t *map = map_huge();
	int fd = umem_region(map + PAGE_BYTES, HUGE_BYTES - PAGE_BYTES);

	(void)state;
	pattern_fill(map, HUGE_BYTES, 1, 0);
	assert_zero(umem_fault(fd, map + PAGE_BYTES, HUGE_BYTES - PAGE_BYTES, true));
	assert_int_equal(umem_stats(fd).resident_pages, 511);
	assert_true(umem_stats(fd).table_bytes > WITHOUT_PAGES);
	umem_close(fd);
	munmap(map, BYTES);
}

static void fork_write_protects_it(void **state)
{
	uint8_t *map = map_huge();
	int fd = umem_region(map, BYTES), go[2], status;
	pid_t pid;
	char c;

	(void)state;
	pattern_fill(map, BYTES, 1, 0);
	assert_zero(umem_fault(fd, map, BYTES, true));
	assert_zero(pipe(go));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(read(go[0], &c, 1) != 1 || pattern_differs(map, BYTES, 1, 0, "the child"));
	assert_int_equal(umem_stats(fd).resident_pages, BYTES / PAGE_BYTES);
	assert_int_equal(umem_stats(fd).downgrades, BYTES / PAGE_BYTES);
	umem_fill(fd, map, BYTES, 2);
	pattern_check(map, BYTES, 2, 0, "the parent");
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	umem_close(fd);
	munmap(map, BYTES);
}

static void collapsed_and_split(void **state)
{
	uint8_t *map = umem_map_aligned(BYTES, GIB);
	int fd = umem_region(map, BYTES), i;

	(void)state;
	if (madvise(map, BYTES, MADV_NOHUGEPAGE))
		skip_because("no transparent huge pages: %s", strerror(errno));
	umem_fill(fd, map, BYTES, 1);
	madvise(map, BYTES, MADV_HUGEPAGE);
	for (i = 0; i < 3; i++) {
		if (mem_collapse(map, BYTES))
			skip_because("MADV_COLLAPSE: %s", strerror(errno));
		umem_check(fd, map, BYTES, 1 + i);
		assert_zero(umem_fault(fd, map, BYTES, true));
		assert_true(umem_stats(fd).table_bytes < WITHOUT_PAGES);
		/* Half a huge page moves away and comes back: it is split. */
		assert_zero(mprotect(map, HUGE_BYTES / 2, PROT_READ));
		assert_zero(mprotect(map, HUGE_BYTES / 2, PROT_READ | PROT_WRITE));
		umem_check(fd, map, BYTES, 1 + i);
		umem_fill(fd, map, BYTES, 2 + i);
		pattern_check(map, BYTES, 2 + i, 0, "after the split");
	}
	umem_close(fd);
	munmap(map, BYTES);
}

#define FOLIOS	    "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"
#define FOLIO_PAGES 16
#define FOLIO_BYTES (FOLIO_PAGES * PAGE_BYTES)

/* Which word of several is chosen, in brackets. */
static void read_choice(const char *path, char word[20])
{
	FILE *file = fopen(path, "r");

	if (!file)
		skip_because("no folios of 64 KiB: %s", strerror(errno));
	if (fscanf(file, "%*[^[][%19[^]]", word) != 1)
		*word = 0;
	fclose(file);
}

/* Too small for a huge page. */
static uint8_t *map_folios(unsigned int folios)
{
	uint8_t *map = umem_map(folios * FOLIO_BYTES);
	char before[20];
	size_t i;

	read_choice(FOLIOS, before);
	assert_zero(write_text(FOLIOS, "always"));
	for (i = 0; i < folios; i++)
		map[i * FOLIO_BYTES] = 1;
	assert_zero(write_text(FOLIOS, before));
	for (i = 0; i < folios * FOLIO_PAGES; i++)
		if ((pagemap_entry(map + i * PAGE_BYTES) & PAGEMAP_PFN) !=
		    (pagemap_entry(map + i / FOLIO_PAGES * FOLIO_BYTES) & PAGEMAP_PFN) +
			    i % FOLIO_PAGES)
			skip_because("the kernel gave no folios of 64 KiB");
	return map;
}

static void a_folio_of_64_kib_is_taken_whole(void **state)
{
	const unsigned int folios = 8;
	uint8_t *map = map_folios(folios);
	int fd = umem_region(map, folios * FOLIO_BYTES), part;
	size_t i;

	(void)state;
	pattern_fill(map, folios * FOLIO_BYTES, 1, 0);
	/* A page in the middle of each, one here, one there. */
	for (i = 0; i < folios; i++)
		assert_zero(umem_fault(fd, map + i * 3 % folios * FOLIO_BYTES + 5 * PAGE_BYTES, 1,
				       i % 2));
	assert_int_equal(umem_stats(fd).faults, folios);
	assert_int_equal(umem_stats(fd).resident_pages, folios * FOLIO_PAGES);
	umem_check(fd, map, folios * FOLIO_BYTES, 1);
	assert_int_equal(umem_stats(fd).faults, folios);

	/* What is left of one is so many pages. */
	assert_zero(madvise(map + 7 * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED));
	umem_close(fd);
	fd = umem_region(map, folios * FOLIO_BYTES);
	assert_zero(umem_fault(fd, map + 9 * PAGE_BYTES, 1, true));
	assert_int_equal(umem_stats(fd).resident_pages, 1);

	/* A region takes none as a whole that it covers in part. */
	part = umem_region(map + FOLIO_BYTES, FOLIO_BYTES - PAGE_BYTES);
	assert_zero(umem_fault(part, map + FOLIO_BYTES + 9 * PAGE_BYTES, 1, true));
	assert_int_equal(umem_stats(part).resident_pages, 1);
	umem_close(part);
	umem_close(fd);
	munmap(map, folios * FOLIO_BYTES);
}

static void hugetlb(void **state)
{
	uint8_t *map;
	int fd;

	(void)state;
	if (write_text("/proc/sys/vm/nr_hugepages", "4"))
		skip_because("no hugetlb");
	map = umem_map_aligned(2 * HUGE_BYTES, GIB);
	map = mmap(map, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (map == MAP_FAILED)
		skip_because("no hugetlb page: %s", strerror(errno));
	fd = umem_region(map, 2 * HUGE_BYTES);
	umem_fill(fd, map + 3, 2 * HUGE_BYTES - 3, 1);
	pattern_check(map + 3, 2 * HUGE_BYTES - 3, 1, 0, "in hugetlb pages");
	assert_true(umem_stats(fd).table_bytes < WITHOUT_PAGES);
	assert_zero(munmap(map, 2 * HUGE_BYTES));
	assert_zero(umem_stats(fd).resident_pages);
	umem_close(fd);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

TEST_MAIN(TEST(a_leaf_of_one_mapping_is_one_entry), TEST(a_partial_event_drops_it_whole),
	  TEST(a_leaf_that_is_not_all_of_the_region_has_pages), TEST(fork_write_protects_it),
	  TEST(collapsed_and_split), TEST(a_folio_of_64_kib_is_taken_whole), TEST(hugetlb))
