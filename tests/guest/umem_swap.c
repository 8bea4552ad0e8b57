// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Pages that are written out and read again: what the region wrote must survive, although no page table entry of the CPU
 * ever became dirty by it.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "swap.h"
#include "umem.h"

#define BYTES (4 * HUGE_BYTES)

/* The CPU has read the pages, the region writes them, they are swapped out and read by the CPU. */
static void written_out_and_back(uint8_t *map)
{
	int fd = umem_region(map, BYTES), round;
	volatile uint8_t sum = 0;
	size_t i;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < BYTES; i += PAGE_BYTES)
			sum += map[i];
		umem_fill(fd, map, BYTES, round);
		assert_true(page_out(map, BYTES));
		/* By the region, which faults from swap, or by the CPU. */
		if (round & 1)
			umem_check(fd, map, BYTES, round);
		pattern_check(map, BYTES, round, 0, "after swap");
		umem_check(fd, map, BYTES, round);
	}
	umem_close(fd);
}

static void private_memory(void **state)
{
	uint8_t *map = umem_map(BYTES);

	(void)state;
	swap_begin();
	memset(map, 1, BYTES);
	written_out_and_back(map);
	munmap(map, BYTES);
}

static void shared_memory(void **state)
{
	uint8_t *map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	swap_begin();
	assert_ptr_not_equal(map, MAP_FAILED);
	memset(map, 1, BYTES);
	written_out_and_back(map);
	munmap(map, BYTES);
}

/* Swapped-in pages that are clean in the swap cache, written by the region, and swapped out again. */
static void swapped_in_by_the_region(void **state)
{
	uint8_t *map = umem_map(BYTES);
	int fd, round;

	(void)state;
	swap_begin();
	pattern_fill(map, BYTES, 1, 0);
	assert_true(page_out(map, BYTES));
	fd = umem_region(map, BYTES);
	for (round = 1; round < 4; round++) {
		umem_check(fd, map, BYTES, round);
		umem_fill(fd, map, BYTES, round + 1);
		assert_true(page_out(map, BYTES));
	}
	pattern_check(map, BYTES, round, 0, "in the end");
	umem_close(fd);
	swap_end();
	munmap(map, BYTES);
}

TEST_MAIN(TEST(private_memory), TEST(shared_memory), TEST(swapped_in_by_the_region))
