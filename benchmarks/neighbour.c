// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults beside a thread that never stops to call madvise on another page of the same GiB: how long they take, and how
 * many of their rounds are lost to invalidations. Ours alone, through umem_odp's test module.
 */
#include "bench.h"
#include "umem.h"

#include <pthread.h>

#define FAULTS 256U
#define BYTES  (FAULTS * HUGE_BYTES)

static struct {
	uint8_t *page;
	unsigned long calls;
	bool stop;
} neighbour;

static void *discards(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&neighbour.stop, __ATOMIC_RELAXED)) {
		*neighbour.page = 1;
		assert_zero(madvise(neighbour.page, PAGE, MADV_DONTNEED));
		neighbour.calls++;
	}
	return NULL;
}

static void measure(uint8_t *map, bool busy, unsigned int round)
{
	const char *name = busy ? "busy" : "quiet";
	struct umem_selftest_stats before, after;
	pthread_t thread;
	char what[64];
	unsigned int i;
	double start;
	int fd;

	/* What the neighbour discards is outside of the region, in its GiB. */
	fd = umem_region(map, BYTES);
	memset(map, 1, BYTES);
	neighbour.calls = 0;
	neighbour.stop = false;
	if (busy)
		assert_zero(pthread_create(&thread, NULL, discards, NULL));
	before = umem_stats(fd);
	start = seconds();
	for (i = 0; i < FAULTS; i++)
		assert_zero(umem_fault(fd, map + i * HUGE_BYTES, HUGE_BYTES, false));
	start = seconds() - start;
	after = umem_stats(fd);
	__atomic_store_n(&neighbour.stop, true, __ATOMIC_RELAXED);
	if (busy)
		pthread_join(thread, NULL);
	snprintf(what, sizeof(what), "%s: us a fault", name);
	row("neighbour", "rxe_odp", what, "odp", HUGE_BYTES, 1, round, start * 1e6 / FAULTS, "us");
	snprintf(what, sizeof(what), "%s: rounds lost", name);
	row("neighbour", "rxe_odp", what, "odp", HUGE_BYTES, 1, round,
	    after.retries - before.retries, "rounds");
	snprintf(what, sizeof(what), "%s: madvise calls", name);
	row("neighbour", "rxe_odp", what, "odp", HUGE_BYTES, 1, round, neighbour.calls, "calls");
	umem_close(fd);
}

int main(void)
{
	/* Aligned to a GiB, so that all of it is one chunk. */
	uint8_t *all = umem_map(2UL << 30), *map;
	unsigned int round;

	map = (uint8_t *)(((uintptr_t)all + (1UL << 30) - 1) & ~((1UL << 30) - 1));
	assert_zero(madvise(map, 1UL << 30, MADV_NOHUGEPAGE));
	neighbour.page = map + BYTES + HUGE_BYTES;
	for (round = 1; round <= ROUNDS; round++) {
		measure(map, false, round);
		measure(map, true, round);
	}
	return 0;
}
