// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * 10,000 regions of one page each, all over a GiB: they work, one event reaches all of them, and what they say that their table costs
 * is what the kernel's allocator has given for it, charged to the owner and given back in the end.
 *
 * rdma-odp: timeout 240
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "pattern.h"
#include "umem.h"

#define REGIONS	    10000U
#define AREA_BYTES  GIB
#define STEP_BYTES  (AREA_BYTES / PAGE_BYTES / REGIONS * PAGE_BYTES)
#define SETTLE_S    60
#define SLAB_DIR    "/sys/kernel/slab"
#define CACHE_START "umem_odp_"

static int fds[REGIONS];

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

/*
 * Bytes in use in the caches of umem_odp. What CPUs keep for themselves counts as used until it is taken from them. An instrumented
 * kernel puts its own data behind every object, which is not counted.
 */
static uint64_t slab_bytes(bool print)
{
	unsigned long active, total, size;
	char line[300], name[64], path[128];
	uint64_t sum = 0;
	bool found = false;
	DIR *dir = opendir(SLAB_DIR);
	struct dirent *entry;
	FILE *info;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, CACHE_START, strlen(CACHE_START)))
			continue;
		snprintf(path, sizeof(path), SLAB_DIR "/%s/shrink", entry->d_name);
		write_text(path, "1");
	}
	closedir(dir);
	info = fopen("/proc/slabinfo", "r");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info)) {
		if (strncmp(line, CACHE_START, strlen(CACHE_START)) ||
		    sscanf(line, "%63s %lu %lu %lu", name, &active, &total, &size) != 4)
			continue;
		found = true;
		snprintf(path, sizeof(path), SLAB_DIR "/%s/object_size", name);
		if (slow_kernel())
			size = read_number(path, size);
		if (print)
			print_message("%s: %lu of %lu bytes\n", name, active, size);
		sum += active * size;
	}
	fclose(info);
	if (!found)
		fail_because("there are no slab caches " CACHE_START "*");
	return sum;
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

static void table_bytes_tell_the_truth(void **state)
{
	uint64_t before, after, told;
	uint8_t *map = map_area();
	double last;

	(void)state;
	before = slab_bytes(true);
	assert_null(open_all());
	assert_null(create_and_touch_all(map));
	told = table_bytes();
	after = slab_bytes(true);
	print_message("table_bytes: %llu; slabs: %llu, before %llu\n", (unsigned long long)told,
		      (unsigned long long)after, (unsigned long long)before);
	assert_in_range(told, (after - before) * 95 / 100, (after - before) * 105 / 100);
	close_all();
	/* Memory goes after grace periods; nothing says when. */
	for (last = seconds() + SETTLE_S; slab_bytes(false) > before; usleep(20000)) {
		if (seconds() > last) {
			slab_bytes(true);
			fail_because("not all was given back");
		}
	}
	munmap(map, AREA_BYTES);
}

static long charged_slab(void)
{
	FILE *f = fopen(CGROUP "/memory.stat", "r");
	char line[100];
	long bytes = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "slab %ld", &bytes) == 1)
			break;
	fclose(f);
	return bytes;
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
	before = charged_slab();
	failed = create_and_touch_all(map);
	if (failed)
		return failed;
	want = table_bytes() * 95 / 100;
	for (last = seconds() + SETTLE_S; charged_slab() - before < want; usleep(100000))
		if (seconds() > last)
			break;
	printf("charged: %ld bytes for tables of %ld\n", charged_slab() - before, want * 100 / 95);
	return charged_slab() - before < want ? "the charge" : NULL;
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
