// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Accesses of the device count as use of a page: the kernel finds a page young that was read through a region, and only
 * that one, by what it has to tell of age: /sys/kernel/mm/page_idle, or the generations of the multi-gen LRU.
 */
#include <fcntl.h>
#include <unistd.h>

#include "cgroup.h"
#include "umem.h"

#define BYTES (8 * MIB)
#define PAGES (BYTES / PAGE_BYTES)
/* So many may be on their way from one list to another, or may be asked for their age by somebody else. */
#define STRAY (PAGES / 16)

#define AGE	  "/sys/module/umem_odp/parameters/age"
#define PAGE_IDLE "/sys/kernel/mm/page_idle/bitmap"
#define LRU_GEN	  "/sys/kernel/debug/lru_gen"

/* Of a folio only the first page has a bit. */
static size_t folio_pages = 1;

/* One bit for each page frame of the machine: set to mark it idle, cleared by a use. Marks all, or counts those cleared. */
static unsigned long page_idle(uint8_t *map, bool mark)
{
	int bitmap = open(PAGE_IDLE, O_RDWR | O_CLOEXEC);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	static uint64_t frames[PAGES];
	unsigned long used = 0;
	uint64_t word, frame;
	size_t i;

	assert_true(bitmap >= 0 && pagemap >= 0);
	assert_int_equal(pread(pagemap, frames, sizeof(frames), (uintptr_t)map / PAGE_BYTES * 8),
			 sizeof(frames));
	for (i = 0; i < PAGES; i++) {
		assert_true(frames[i] >> 63);
		frame = frames[i - i % folio_pages] & ((1ULL << 55) - 1);
		word = 1ULL << frame % 64;
		if (mark)
			assert_int_equal(pwrite(bitmap, &word, 8, frame / 64 * 8), 8);
		else
			assert_int_equal(pread(bitmap, &word, 8, frame / 64 * 8), 8);
		used += !(word >> frame % 64 & 1);
	}
	close(bitmap);
	close(pagemap);
	return used;
}

/* The group's id, its youngest generation, and the anonymous pages in that and in the one before. */
static unsigned long read_generations(unsigned long *id, unsigned long *youngest)
{
	unsigned long seq, anon, before = 0, last = 0;
	char line[256], path[128];
	bool ours = false;
	FILE *f = fopen(LRU_GEN, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "memcg %lu %127s", &seq, path) == 2) {
			ours = strstr(CGROUP, path) && strlen(path) > 1;
			if (ours)
				*id = seq;
		} else if (ours && sscanf(line, " %lu %*u %lu", &seq, &anon) == 2) {
			*youngest = seq;
			before = last;
			last = anon;
		}
	}
	fclose(f);
	return before + last;
}

/* Begins a generation: what is young goes to the one that was the youngest. Returns how many pages are there now. */
static unsigned long count_generation(void)
{
	unsigned long id = 0, youngest = 0;
	char text[64];

	read_generations(&id, &youngest);
	assert_true(id);
	snprintf(text, sizeof(text), "+ %lu 0 %lu 100 1", id, youngest);
	assert_zero(write_text(LRU_GEN, text));
	return read_generations(&id, &youngest);
}

static bool by_generations(void)
{
	return access(PAGE_IDLE, F_OK);
}

static void forget(uint8_t *map)
{
	if (by_generations())
		count_generation();
	else
		page_idle(map, true);
}

static unsigned long count_young(uint8_t *map)
{
	return by_generations() ? count_generation() : page_idle(map, false);
}

/* As "0x0007". */
static bool has_generations(void)
{
	FILE *f = fopen("/sys/kernel/mm/lru_gen/enabled", "r");
	int enabled = 0;

	if (!f)
		return false;
	if (fscanf(f, "%i", &enabled) != 1)
		enabled = 0;
	fclose(f);
	return enabled && !access(LRU_GEN, F_OK);
}

static void enter(void)
{
	if (!by_generations())
		return;
	if (!has_generations())
		skip_because("the kernel tells nobody how old a page is");
	group_begin();
	assert_zero(group_enter());
}

static void leave(void)
{
	char pid[16];

	if (!by_generations())
		return;
	snprintf(pid, sizeof(pid), "%d", getpid());
	assert_zero(write_text(CGROUP_ROOT "/cgroup.procs", pid));
	group_end();
}

/* Memory that the process has touched, and a region that has all of it, but has not been used since. */
static uint8_t *map_with_region(int advice, int *fd)
{
	uint8_t *map;
	size_t at;

	enter();
	map = umem_map(BYTES);
	madvise(map, BYTES, advice);
	memset(map, 1, BYTES);
	forget(map);
	*fd = umem_region(map, BYTES);
	for (at = 0; at < BYTES; at += HUGE_BYTES) {
		umem_async(*fd, 0, map + at, HUGE_BYTES, false);
		assert_zero(umem_wait(*fd, 0, 60000));
	}
	return map;
}

static void unmap_with_region(uint8_t *map, int fd)
{
	umem_close(fd);
	munmap(map, BYTES);
	leave();
}

/* Into a buffer that is no memory worth counting. */
static void read_half(int fd, uint8_t *map)
{
	static uint8_t buf[16 * KIB];
	size_t at;

	for (at = 0; at < BYTES / 2; at += sizeof(buf))
		assert_zero(umem_from(fd, map + at, buf, sizeof(buf), UMEM_SELFTEST_NOFAULT, NULL));
}

static void a_page_that_was_read_is_young(void **state)
{
	unsigned long young;
	uint8_t *map;
	int fd;

	(void)state;
	map = map_with_region(MADV_NOHUGEPAGE, &fd);
	read_half(fd, map);
	young = count_young(map);
	print_message("%lu of %lu pages are young\n", young, PAGES);
	assert_in_range(young, PAGES / 2 - STRAY, PAGES / 2 + STRAY);
	/* Once is not for ever. */
	forget(map);
	assert_in_range(count_young(map), 0, STRAY);
	unmap_with_region(map, fd);
}

static void a_page_that_was_only_looked_up_is_not(void **state)
{
	uint8_t *map;
	int fd;

	(void)state;
	map = map_with_region(MADV_NOHUGEPAGE, &fd);
	assert_true(umem_stats(fd).resident_pages == PAGES);
	assert_in_range(count_young(map), 0, STRAY);
	unmap_with_region(map, fd);
}

static void nor_is_any_with_the_parameter_off(void **state)
{
	unsigned long young;
	uint8_t *map;
	int fd;

	(void)state;
	map = map_with_region(MADV_NOHUGEPAGE, &fd);
	assert_zero(write_text(AGE, "0"));
	read_half(fd, map);
	young = count_young(map);
	assert_zero(write_text(AGE, "1"));
	assert_in_range(young, 0, STRAY);
	unmap_with_region(map, fd);
}

static void a_byte_makes_its_huge_page_young(void **state)
{
	uint8_t *map, byte;
	size_t at;
	int fd;

	(void)state;
	folio_pages = HUGE_BYTES / PAGE_BYTES;
	map = map_with_region(MADV_HUGEPAGE, &fd);
	if (smaps_kb(map, "AnonHugePages") < (long)(BYTES / KIB)) {
		unmap_with_region(map, fd);
		folio_pages = 1;
		skip_because("the kernel gave no huge pages");
	}
	for (at = 12345; at < BYTES / 2; at += HUGE_BYTES)
		assert_zero(umem_from(fd, map + at, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL));
	assert_in_range(count_young(map), PAGES / 2 - STRAY, PAGES / 2 + STRAY);
	unmap_with_region(map, fd);
	folio_pages = 1;
}

TEST_MAIN(TEST(a_page_that_was_read_is_young), TEST(a_page_that_was_only_looked_up_is_not),
	  TEST(nor_is_any_with_the_parameter_off), TEST(a_byte_makes_its_huge_page_young))
