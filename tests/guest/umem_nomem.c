// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that is not there: every allocation of a registration and of a fault fails once, and many fail at random. Nothing is lost,
 * nothing leaks, and a fault that failed for want of memory can be asked for again.
 *
 * rdma-odp: timeout 240
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "failslab.h"
#include "pattern.h"
#include "umem.h"

#define BYTES (8 * HUGE_BYTES)

static void allocations_of_a_registration(bool pages)
{
	uint8_t *map = umem_map(BYTES);
	unsigned int nth, failed = 0, left;
	int fd = umem_open(), err, file;

	fail_pages_too(pages);
	failslab_begin();
	file = fail_nth_open();
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
	assert_true((failed > 0 || pages) && nth < 100);
	close(file);
	umem_close(fd);
	munmap(map, BYTES);
}

static void every_allocation_of_a_registration(void **state)
{
	(void)state;
	allocations_of_a_registration(true);
	allocations_of_a_registration(false);
}

/* What a thread does last before it sleeps for more work is to say that it is idle: until then another one would be made for it. */
static void until_idle(const char *pid)
{
	char path[300], state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	for (;; usleep(1000)) {
		f = fopen(path, "r");
		if (!f)
			return;
		state = 'I';
		if (fscanf(f, "%*d (umem_odp_fault) %c", &state) != 1)
			state = 'I';
		fclose(f);
		if (state == 'I')
			return;
	}
}

/*
 * Each of the fault threads fails its own nth. Returns the lowest that is left: 0 if one has failed. One that ends meanwhile, of a
 * program that was there before, counts for nothing.
 */
static unsigned int fail_nth_of_threads(unsigned int nth)
{
	unsigned int left = 0, threads = 0;
	struct dirent *e;
	DIR *proc = opendir("/proc");
	char path[300];

	assert_non_null(proc);
	while ((e = readdir(proc))) {
		char comm[32] = "", text[16] = "";
		long was;
		int fd, err;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		was = read(fd, comm, sizeof(comm) - 1);
		close(fd);
		if (was <= 0 || strcmp(comm, "umem_odp_fault\n") != 0)
			continue;
		if (nth)
			until_idle(e->d_name);
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", e->d_name);
		was = read_number(path, -1);
		if (was < 0)
			continue;
		snprintf(text, sizeof(text), "%u", nth);
		err = write_text(path, text);
		if (err == -ESRCH || err == -ENOENT)
			continue;
		assert_zero(err);
		left = threads++ && left < was ? left : was;
	}
	closedir(proc);
	assert_true(threads > 0);
	return left;
}

/* Each in a GiB of its own, in which nothing was yet: what there is to allocate is allocated for it. */
static void allocations_of_a_fault(bool pages)
{
	const size_t bytes = 64 * GIB;
	uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		*at = map;
	unsigned int nth, failed = 0, left = 0;
	int fd, err;

	assert_ptr_not_equal(map, MAP_FAILED);
	fail_pages_too(pages);
	failslab_begin();
	fd = umem_region(map, bytes);
	for (nth = 1; nth < 60 && !left; nth++) {
		at = map + nth * GIB;
		/* A thread is there, with nothing to do: it has just brought in this page. */
		assert_zero(madvise(map, PAGE_BYTES, MADV_DONTNEED));
		assert_zero(umem_fault(fd, map, 1, true));
		fail_nth_of_threads(nth);
		err = umem_fault(fd, at, 1, true);
		left = fail_nth_of_threads(0);
		assert_true(!err || (!left && err == -ENOMEM));
		failed += !!err;
		assert_zero(umem_fault(fd, at, 1, true));
		umem_fill(fd, at, 100, nth);
		pattern_check(at, 100, nth, 0, "written");
	}
	print_message("%u allocations, %u failed the fault\n", nth - 2, failed);
	assert_true((failed > 0 || pages) && left > 0);
	umem_close(fd);
	munmap(map, bytes);
}

static void every_allocation_of_a_fault(void **state)
{
	(void)state;
	allocations_of_a_fault(true);
	allocations_of_a_fault(false);
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
	failslab_set("times", "-1");
	failslab_set("task-filter", "Y");
	failslab_set("probability", "20");
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
	failslab_set("probability", "0");
	print_message("%u times told that there is no memory\n", told);
	assert_int_equal(round, 20);
	assert_true(threads > 0 && told > 0);
	umem_close(fd);
	free(buf);
	munmap(map, BYTES);
}

TEST_MAIN(TEST(every_allocation_of_a_registration), TEST(every_allocation_of_a_fault),
	  TEST(allocations_of_faults))
