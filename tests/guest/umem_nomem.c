// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that is not there: every allocation of a registration fails once, and those of faults fail at random. Nothing is lost,
 * nothing leaks, and a fault that failed for want of memory can be asked for again.
 *
 * rdma-odp: timeout 240
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

#define DEBUGFS "/sys/kernel/debug"
#define BYTES	(8 * HUGE_BYTES)

static void set(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/failslab/%s", name);
	assert_zero(write_text(path, value));
}

static void failslab_begin(void)
{
	mount("none", DEBUGFS, "debugfs", 0, NULL);
	if (access(DEBUGFS "/failslab/probability", W_OK))
		skip_because("no failslab in this kernel");
	/* Each failure tells its call trace otherwise. */
	set("verbose", "0");
	set("ignore-gfp-wait", "N");
}

static void fail_nth(int file, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	assert_int_equal(pwrite(file, text, len, 0), len);
}

/* What is left of the number: 0 if the allocation has failed. */
static unsigned int fail_nth_left(int file)
{
	char text[16] = "";

	assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
	return atoi(text);
}

static void every_allocation_of_a_registration(void **state)
{
	uint8_t *map = umem_map(BYTES);
	unsigned int nth, failed = 0, left;
	int fd = umem_open(), err, file;

	(void)state;
	failslab_begin();
	/* Opened before: a path lookup allocates too. */
	file = open("/proc/thread-self/fail-nth", O_RDWR);
	if (file < 0)
		skip_because("no fail-nth in this kernel");
	for (nth = 1; nth < 100; nth++) {
		fail_nth(file, nth);
		err = umem_create(fd, map, BYTES, UMEM_SELFTEST_WRITE);
		left = fail_nth_left(file);
		fail_nth(file, 0);
		assert_true(!err || (!left && err == -ENOMEM));
		failed += !!err;
		if (!err)
			assert_zero(umem_destroy(fd));
		if (left)
			break;
	}
	print_message("%u allocations, %u failed the call\n", nth - 1, failed);
	assert_true(failed > 0 && nth < 100);
	close(file);
	umem_close(fd);
	munmap(map, BYTES);
}

/* Allocations of the fault threads fail, and nobody else's. */
static unsigned int pick_fault_threads(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	unsigned int n = 0;
	char path[300], comm[32];

	assert_non_null(proc);
	while ((e = readdir(proc))) {
		int fd, len;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		len = read(fd, comm, sizeof(comm));
		close(fd);
		if (len != 15 || memcmp(comm, "umem_odp_fault\n", 15))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", e->d_name);
		n += !write_text(path, "1");
	}
	closedir(proc);
	return n;
}

static void allocations_of_faults(void **state)
{
	uint8_t *map = umem_map(BYTES), *buf = malloc(BYTES);
	unsigned int round, told = 0, threads = 0;
	size_t done, step;
	int fd, err = 0;

	(void)state;
	failslab_begin();
	fd = umem_region(map, BYTES);
	set("times", "-1");
	set("task-filter", "Y");
	set("probability", "20");
	for (round = 0; round < 20; round++) {
		threads += pick_fault_threads();
		pattern_fill(buf, BYTES, round, 0);
		for (done = 0; done < BYTES; done += step) {
			err = umem_to(fd, map + done, buf + done, BYTES - done, 0, &step);
			told += err == -ENOMEM;
			if (err && err != -ENOMEM)
				break;
		}
		if (err && err != -ENOMEM)
			break;
		if (pattern_differs(map, BYTES, round, 0, "written"))
			break;
		madvise(map, BYTES, MADV_DONTNEED);
	}
	set("probability", "0");
	print_message("%u times told that there is no memory\n", told);
	assert_int_equal(round, 20);
	assert_true(threads > 0 && told > 0);
	umem_close(fd);
	free(buf);
	munmap(map, BYTES);
}

TEST_MAIN(TEST(every_allocation_of_a_registration), TEST(allocations_of_faults))
