// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * 10,000 regions of one page each (3,000 where the CPU is emulated), all over a GiB: they work, one event reaches all of them,
 * and what they say that their table costs is what the kernel's allocator has given for it, charged to the owner and given back
 * in the end.
 *
 * rdma-odp: timeout 240
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "slab.h"
#include "umem.h"

#define MOST 10000U
/* Each is asked for by a dozen system calls: uml has them all. */
#define REGIONS	   (emulated_cpu() ? 3000U : MOST)
#define AREA_BYTES GIB
#define STEP_BYTES (AREA_BYTES / PAGE_BYTES / REGIONS * PAGE_BYTES)
#define SETTLE_S   60

static int fds[MOST];

static uint8_t *page_of(uint8_t *map, unsigned int i)
{
	return map + i * STEP_BYTES;
}

/* In the process that makes them: 0 or what failed. */
static const char *open_all(void)
{
	struct rlimit limit = { REGIONS + 100, REGIONS + 100 };
	unsigned int i;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return "RLIMIT_NOFILE";
	for (i = 0; i < REGIONS; i++)
		fds[i] = umem_open();
	return NULL;
}

static const char *create_and_touch_all(uint8_t *map)
{
	uint8_t byte;
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		byte = i;
		if (umem_create(fds[i], page_of(map, i), PAGE_BYTES, UMEM_SELFTEST_WRITE))
			return "a registration";
		if (umem_to(fds[i], page_of(map, i) + i % PAGE_BYTES, &byte, 1, 0, NULL))
			return "a write";
	}
	return NULL;
}

static void close_all(void)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++)
		umem_close(fds[i]);
}

static uint64_t table_bytes(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < REGIONS; i++)
		sum += umem_stats(fds[i]).table_bytes;
	return sum;
}

static uint8_t *map_area(void)
{
	uint8_t *map = umem_map_aligned(AREA_BYTES, AREA_BYTES);

	madvise(map, AREA_BYTES, MADV_NOHUGEPAGE);
	return map;
}

static uint64_t umem_slab_bytes(bool print)
{
	int64_t bytes = slab_bytes("umem_odp_", print);

	if (bytes < 0)
		fail_because("there are no slab caches umem_odp_*");
	return bytes;
}

static void they_work(void **state)
{
	uint8_t *map = map_area(), byte;
	struct umem_selftest_stats st;
	const char *failed;
	unsigned int i;

	(void)state;
	failed = open_all() ?: create_and_touch_all(map);
	if (failed)
		fail_because("%s: errno %d", failed, errno);
	for (i = 0; i < REGIONS; i++) {
		assert_zero(umem_from(fds[i], page_of(map, i) + i % PAGE_BYTES, &byte, 1, 0, NULL));
		assert_int_equal(byte, (uint8_t)i);
		assert_int_equal(page_of(map, i)[i % PAGE_BYTES], (uint8_t)i);
		st = umem_stats(fds[i]);
		assert_int_equal(st.faults, 1);
		assert_int_equal(st.resident_pages, 1);
	}
	assert_zero(madvise(map, AREA_BYTES, MADV_DONTNEED));
	for (i = 0; i < REGIONS; i++) {
		st = umem_stats(fds[i]);
		assert_int_equal(st.resident_pages, 0);
		assert_int_equal(st.invalidations, 1);
		assert_int_equal(st.invalidated_pages, 1);
		assert_int_equal(umem_from(fds[i], page_of(map, i), &byte, 1, UMEM_SELFTEST_NOFAULT,
					   NULL),
				 -EAGAIN);
	}
	for (i = 0; i < REGIONS; i += 100) {
		assert_zero(umem_from(fds[i], page_of(map, i), &byte, 1, 0, NULL));
		assert_int_equal(byte, 0);
	}
	close_all();
	munmap(map, AREA_BYTES);
}

/* Memory goes after grace periods, of which nothing tells. */
static void nothing_is_left(void)
{
	double last = seconds() + SETTLE_S;

	while (umem_slab_bytes(false)) {
		if (seconds() > last) {
			umem_slab_bytes(true);
			fail_because("not all was given back");
		}
		usleep(20000);
	}
}

static void table_bytes_tell_the_truth(void **state)
{
	uint8_t *map = map_area();
	uint64_t given, told;

	(void)state;
	nothing_is_left();
	assert_null(open_all());
	assert_null(create_and_touch_all(map));
	told = table_bytes();
	given = umem_slab_bytes(true);
	print_message("table_bytes: %llu; slabs: %llu\n", (unsigned long long)told,
		      (unsigned long long)given);
	assert_in_range(told, given * 95 / 100, given * 105 / 100);
	close_all();
	nothing_is_left();
	munmap(map, AREA_BYTES);
}

/* In the group. The files are the parent's: nothing else is charged. The kernel brings its sums up to date now and then. */
static const char *charged(void)
{
	uint8_t *map = map_area();
	const char *failed;
	long before, want;
	double last;

	if (group_enter())
		return "the group";
	before = group_slab_bytes();
	failed = create_and_touch_all(map);
	if (failed)
		return failed;
	want = table_bytes() * 95 / 100;
	for (last = seconds() + SETTLE_S; group_slab_bytes() - before < want; usleep(100000))
		if (seconds() > last)
			break;
	printf("charged: %ld bytes for tables of %ld\n", group_slab_bytes() - before,
	       want * 100 / 95);
	return group_slab_bytes() - before < want ? "the charge" : NULL;
}

static void the_owner_is_charged(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	group_begin();
	assert_null(open_all());
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		const char *failed = charged();

		if (failed)
			printf("FAIL: %s\n", failed);
		fflush(stdout);
		_exit(failed ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close_all();
	group_end();
	assert_int_equal(status, 0);
}

TEST_MAIN(TEST(they_work), TEST(table_bytes_tell_the_truth), TEST(the_owner_is_charged))
