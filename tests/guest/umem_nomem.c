// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that is not there: every allocation of a registration fails once, and those of faults fail at random. Nothing is lost,
 * nothing leaks, and a fault that failed for want of memory can be asked for again.
 *
 * rdma-odp: timeout 240
 */
#include <unistd.h>

#include "failslab.h"
#include "pattern.h"
#include "umem.h"

#define BYTES (8 * HUGE_BYTES)

static void every_allocation_of_a_registration(void **state)
{
	uint8_t *map = umem_map(BYTES);
	unsigned int nth, failed = 0, left;
	int fd = umem_open(), err, file;

	(void)state;
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
	assert_true(failed > 0 && nth < 100);
	close(file);
	umem_close(fd);
	munmap(map, BYTES);
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

TEST_MAIN(TEST(every_allocation_of_a_registration), TEST(allocations_of_faults))
