// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions: bytes go in and out right at every offset and length, bounds are kept, sizes have no limit, memory follows
 * what is resident, errors are the ones that are documented.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

static void bytes_go_in_and_out(void **state)
{
	static const size_t offsets[] = { 0, 1, 4095, 4096, 65535, HUGE_BYTES - 3 };
	static const size_t lengths[] = { 1, 2, 4095, 4096, 4097, 65536, 65537, 300001 };
	size_t bytes = 3 * HUGE_BYTES, i, j;
	uint8_t *map = umem_map(bytes);
	int fd = umem_region(map, bytes);

	(void)state;
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			assert_zero(madvise(map, bytes, MADV_DONTNEED));
			umem_fill(fd, map + offsets[i], lengths[j], i * 100 + j);
			pattern_check(map + offsets[i], lengths[j], i * 100 + j, 0,
				      "written through the region");
			pattern_fill(map + offsets[i], lengths[j], i * 100 + j + 1, 0);
			umem_check(fd, map + offsets[i], lengths[j], i * 100 + j + 1);
			/* The neighbours are as they were. */
			assert_int_equal(map[offsets[i] + lengths[j]], 0);
			assert_true(!offsets[i] || !map[offsets[i] - 1]);
		}
	}
	umem_close(fd);
	munmap(map, bytes);
}

static void a_long_fault_goes_in_passes(void **state)
{
	size_t bytes = 4 * HUGE_BYTES;
	uint8_t *map = umem_map(bytes);
	int fd = umem_region(map + 5, bytes - 10);
	struct umem_selftest_stats st;

	(void)state;
	madvise(map, bytes, MADV_NOHUGEPAGE);
	assert_zero(umem_fault(fd, map + 5, bytes - 10, true));
	st = umem_stats(fd);
	assert_int_equal(st.resident_pages, bytes / PAGE_BYTES);
	assert_int_equal(st.fault_pages, bytes / PAGE_BYTES);
	/* One for a leaf at most: a pass that is fast enough has gone on for the next. */
	assert_in_range(st.faults, 1, 4);
	assert_zero(st.failed_faults);
	umem_close(fd);
	munmap(map, bytes);
}

static void bounds_are_kept(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), *at = map + 1000, buf[8192] = { 0 };
	int fd = umem_region(at, 5000);
	size_t done;

	(void)state;
	assert_int_equal(umem_to(fd, at - 1, buf, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_from(fd, at - 1, buf, 10, 0, &done), -EFAULT);
	assert_int_equal(done, 0);
	assert_zero(umem_fault(fd, at, 5000, false));
	assert_int_equal(umem_from(fd, at, buf, 5001, 0, &done), -EFAULT);
	assert_int_equal(done, 5000);
	assert_int_equal(umem_from(fd, at + 5000, buf, 1, 0, &done), -EFAULT);
	assert_int_equal(umem_fault(fd, at, 5001, false), -EFAULT);
	assert_int_equal(umem_fault(fd, at - 1, 2, false), -EFAULT);
	assert_int_equal(umem_async(fd, 0, at + 5000, 1, false), -EFAULT);
	assert_zero(umem_from(fd, at, buf, 5000, 0, NULL));
	umem_close(fd);

	fd = umem_open();
	assert_int_equal(umem_create(fd, map, 0, 0), -EINVAL);
	assert_int_equal(umem_create(fd, map, SIZE_MAX, 0), -EINVAL);
	assert_int_equal(umem_create(fd, map, -(size_t)map, 0), -EINVAL);
	assert_int_equal(umem_create(fd, (void *)-4096UL, 4096, 0), -EINVAL);
	assert_int_equal(umem_create(fd, map, 4096, 64), -EINVAL);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

static void a_region_without_write_is_read_only(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), byte = 1;
	int fd = umem_open();

	(void)state;
	map[0] = 7;
	assert_zero(umem_create(fd, map, HUGE_BYTES, 0));
	assert_zero(umem_from(fd, map, &byte, 1, 0, NULL));
	assert_int_equal(byte, 7);
	assert_int_equal(umem_to(fd, map, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_fault(fd, map, 1, true), -EFAULT);
	assert_int_equal(umem_async(fd, 0, map, 1, true), -EFAULT);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

static void memory_follows_what_is_resident(void **state)
{
	size_t bytes = 1 * TIB;
	struct umem_selftest_stats st;
	uint64_t nothing;
	uint8_t *map;
	int fd;

	(void)state;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (map == MAP_FAILED && errno == ENOMEM)
		skip_because("no address space for a TiB here");
	assert_ptr_not_equal(map, MAP_FAILED);
	fd = umem_region(map, bytes);
	nothing = umem_stats(fd).table_bytes;
	assert_in_range(nothing, 1, 1024);
	madvise(map, bytes, MADV_NOHUGEPAGE);
	umem_fill(fd, map + bytes / 2 - 5000, 10000, 1);
	umem_fill(fd, map + bytes - 5000, 5000, 2);
	umem_check(fd, map + bytes / 2 - 5000, 10000, 1);
	umem_check(fd, map + bytes - 5000, 5000, 2);
	st = umem_stats(fd);
	assert_in_range(st.resident_pages, 5, 6);
	/* Two or three leaves, in as many chunks of a page each: where they begin depends on where the mapping is. */
	assert_in_range(st.table_bytes - nothing, 4 * PAGE_BYTES, 7 * PAGE_BYTES);
	assert_zero(madvise(map, bytes, MADV_DONTNEED));
	st = umem_stats(fd);
	assert_zero(st.resident_pages);
	assert_int_equal(st.table_bytes, nothing);
	umem_close(fd);
	munmap(map, bytes);
}

static void a_closed_region_answers_shutdown(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), byte;
	int fd = umem_region(map, HUGE_BYTES);

	(void)state;
	umem_fill(fd, map, 10000, 1);
	assert_zero(umem_shutdown(fd));
	assert_int_equal(umem_from(fd, map, &byte, 1, 0, NULL), -ESHUTDOWN);
	assert_int_equal(umem_fault(fd, map + HUGE_BYTES - 1, 1, true), -ESHUTDOWN);
	assert_int_equal(umem_async(fd, 0, map + HUGE_BYTES / 2, 1, true), -ESHUTDOWN);
	assert_zero(umem_shutdown(fd));
	assert_zero(umem_destroy(fd));
	pattern_check(map, 10000, 1, 0, "after the end of the region");
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

static void the_owner_may_go_first(void **state)
{
	uint8_t *map = umem_map(4 * HUGE_BYTES), byte;
	int fd = umem_open(), status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* The region is of the child's mm; the file is the parent's too. */
		if (umem_create(fd, map, 4 * HUGE_BYTES, UMEM_SELFTEST_WRITE))
			_exit(1);
		_exit(umem_fault(fd, map, 3 * HUGE_BYTES, true) ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_zero(umem_stats(fd).resident_pages);
	assert_int_equal(umem_from(fd, map, &byte, 1, 0, NULL), -EOWNERDEAD);
	assert_int_equal(umem_fault(fd, map, 1, true), -EOWNERDEAD);
	umem_close(fd);
	munmap(map, 4 * HUGE_BYTES);
}

static void many_regions_of_one_process(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int fds[32];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = umem_region(map, HUGE_BYTES);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		umem_fill(fds[i], map, 20000, i);
		umem_check(fds[(i * 7) % ARRAY_SIZE(fds)], map, 20000, i);
		assert_zero(madvise(map, HUGE_BYTES, MADV_DONTNEED));
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_zero(umem_stats(fds[i]).resident_pages);
		umem_close(fds[i]);
	}
	munmap(map, HUGE_BYTES);
}

/* The first one counts the table's chunks: an empty one of an earlier test would still count for a second. */
TEST_MAIN(TEST(memory_follows_what_is_resident), TEST(bytes_go_in_and_out),
	  TEST(a_long_fault_goes_in_passes), TEST(bounds_are_kept),
	  TEST(a_region_without_write_is_read_only), TEST(a_closed_region_answers_shutdown),
	  TEST(the_owner_may_go_first), TEST(many_regions_of_one_process))
