// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * 16 threads read and write one leaf through a region, and it is discarded once: after that its pages come back, and no fault is
 * asked for again. And memory elsewhere in the same heap, discarded without a pause, does not keep a cold read of 2 MiB from
 * its end.
 */
#include <pthread.h>
#include <sched.h>

#include "discard.h"
#include "pattern.h"
#include "umem.h"

#define WORKERS	   16
#define PIECES	   32UL
#define STEP_BYTES (HUGE_BYTES / PIECES)
/* Each worker has written and read all of it after so many. */
#define TURN (2 * PIECES)

struct worker {
	pthread_t thread;
	uint8_t *map;
	unsigned int number;
	int fd;
	volatile bool *stop;
	volatile unsigned long done;
	volatile int err;
};

/* All pieces one after the other, each worker from another one on: written, then read. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint8_t *buf = malloc(STEP_BYTES), *at;
	unsigned long n;

	memset(buf, w->number, STEP_BYTES);
	for (n = 0; !*w->stop && !w->err; n++) {
		at = w->map + (n + w->number * 2) % PIECES * STEP_BYTES;
		if (n / PIECES % 2)
			w->err = umem_from(w->fd, at, buf, STEP_BYTES, 0, NULL);
		else
			w->err = umem_to(w->fd, at, buf, STEP_BYTES, 0, NULL);
		w->done = n + 1;
	}
	free(buf);
	return NULL;
}

/* So many more of each. */
static void let_pass(struct worker *workers, unsigned long each)
{
	unsigned long until[WORKERS];
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		until[i] = workers[i].done + each;
	for (i = 0; i < WORKERS; i++)
		while (workers[i].done < until[i] && !workers[i].err)
			sched_yield();
}

static void faults_settle(void **state)
{
	unsigned int rounds = 3, i;
	struct worker workers[WORKERS] = {};
	uint8_t *map = umem_map(HUGE_BYTES);
	uint64_t before, settled, after;
	volatile bool stop = false;
	int fd;

	(void)state;
	madvise(map, HUGE_BYTES, MADV_NOHUGEPAGE);
	fd = umem_region(map, HUGE_BYTES);
	for (i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .map = map, .number = i, .fd = fd, .stop = &stop };
		assert_zero(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	let_pass(workers, TURN);
	for (i = 0; i < rounds; i++) {
		before = umem_stats(fd).faults;
		assert_zero(madvise(map, HUGE_BYTES, MADV_DONTNEED));
		/* Whatever was under way at that moment has ended after one turn. */
		let_pass(workers, TURN + 1);
		settled = umem_stats(fd).faults;
		let_pass(workers, 8 * TURN);
		after = umem_stats(fd).faults;
		print_message("%lu faults, then %lu in %lu copies\n", settled - before,
			      after - settled, 8 * TURN * WORKERS);
		assert_true(settled > before);
		assert_int_equal(after, settled);
	}
	stop = true;
	for (i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_zero(workers[i].err);
	}
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

static void madvise_elsewhere_starves_nobody(void **state)
{
	unsigned int rounds = 10, i;
	struct discarder d;
	uint8_t *map = umem_map_aligned(64 * MIB, GIB);
	struct umem_selftest_stats st = {}, now;
	int fd;

	(void)state;
	madvise(map, 64 * MIB, MADV_NOHUGEPAGE);
	fd = umem_region(map, 64 * MIB);
	discard_begin(&d, map + 60 * MIB, HUGE_BYTES, true);
	for (i = 0; i < rounds; i++) {
		assert_zero(madvise(map, HUGE_BYTES, MADV_DONTNEED));
		pattern_fill(map, HUGE_BYTES, i, 0);
		umem_check(fd, map, HUGE_BYTES, i);
		now = umem_stats(fd);
		print_message("%llu faults, %llu rounds lost, %lu pages discarded\n",
			      now.faults - st.faults, now.retries - st.retries, d.pages);
		st = now;
	}
	discard_end(&d);
	umem_close(fd);
	munmap(map, 64 * MIB);
}

TEST_MAIN(TEST(faults_settle), TEST(madvise_elsewhere_starves_nobody))
