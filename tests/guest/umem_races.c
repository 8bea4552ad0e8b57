// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Accesses, faults, invalidations and releases all at once. A word that was written through the region after a change of the
 * address space is there afterwards; nothing hangs, and the kernel log stays clean.
 *
 * rdma-odp: timeout 240
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

#define BYTES (4 * HUGE_BYTES)

static double run_seconds(void)
{
	return slow_kernel() ? 3 : 2;
}

static void hammer(int fd, void *addr, unsigned int threads, struct umem_selftest_hammer *result)
{
	struct umem_selftest_hammer arg = { .va = (uintptr_t)addr,
					    .len_bytes = PAGE_BYTES,
					    .flags = UMEM_SELFTEST_WRITE,
					    .threads = threads };

	assert_zero(ioctl(fd, UMEM_SELFTEST_HAMMER, &arg));
	if (result)
		*result = arg;
}

/* Readers with BH off could hold an invalidation off for ever. */
static void invalidations_of_a_hot_leaf_finish(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int fd = umem_region(map, HUGE_BYTES), i;
	struct umem_selftest_hammer result;
	double begin = seconds(), slowest = 0;

	(void)state;
	assert_zero(umem_fault(fd, map, PAGE_BYTES, true));
	hammer(fd, map, 4, NULL);
	for (i = 0; i <= 10 || seconds() - begin < run_seconds(); i++) {
		double t = seconds();

		assert_zero(madvise(map, PAGE_BYTES, MADV_DONTNEED));
		t = seconds() - t;
		slowest = t > slowest ? t : slowest;
		assert_zero(umem_fault(fd, map, PAGE_BYTES, true));
	}
	hammer(fd, map, 0, &result);
	print_message("%d invalidations, the slowest %.1f ms; %llu accesses, %llu misses\n", i,
		      slowest * 1e3, (unsigned long long)result.accesses,
		      (unsigned long long)result.misses);
	assert_true(result.accesses > 0 && result.misses > 0);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

struct storm {
	uint8_t *map;
	int fd;
	volatile bool stop;
	unsigned long rounds;
	const char *failed;
	/* A rwlock: shared by those who move data, which must not be discarded under them. */
	pthread_rwlock_t lock;
};

/* Each has its own pages, writes them through the region and looks at them with the CPU, and the other way round. */
static void *mover(void *arg)
{
	static unsigned int numbers;
	unsigned int me = __atomic_fetch_add(&numbers, 1, __ATOMIC_RELAXED) % 4, seed = me;
	struct storm *s = arg;
	uint8_t *buf = malloc(3 * PAGE_BYTES);

	while (!s->stop && !s->failed) {
		size_t page = rand_r(&seed) % (BYTES / 4 / PAGE_BYTES - 3),
		       len = 1 + rand_r(&seed) % (2 * PAGE_BYTES);
		uint8_t *at =
			s->map + me * (BYTES / 4) + page * PAGE_BYTES + rand_r(&seed) % PAGE_BYTES;
		uint32_t pattern = rand_r(&seed);

		pthread_rwlock_rdlock(&s->lock);
		pattern_fill(buf, len, pattern, 0);
		if (umem_to(s->fd, at, buf, len, 0, NULL) ||
		    pattern_differs(at, len, pattern, 0, "written through the region"))
			s->failed = "a write through the region";
		pattern_fill(at, len, pattern + 1, 0);
		if (umem_from(s->fd, at, buf, len, 0, NULL) ||
		    pattern_differs(buf, len, pattern + 1, 0, "read through the region"))
			s->failed = "a read through the region";
		pthread_rwlock_unlock(&s->lock);
		__atomic_fetch_add(&s->rounds, 1, __ATOMIC_RELAXED);
	}
	free(buf);
	return NULL;
}

/* Changes that keep the bytes, at any moment; those that lose them, or forbid to write, between two moves. */
static void *shaker(void *arg)
{
	struct storm *s = arg;
	unsigned int seed = 77;

	while (!s->stop && !s->failed) {
		size_t page = rand_r(&seed) % (BYTES / PAGE_BYTES),
		       len = (1 + rand_r(&seed) % 64) * PAGE_BYTES;
		uint8_t *at = s->map + page * PAGE_BYTES;

		if (len > BYTES - page * PAGE_BYTES)
			len = BYTES - page * PAGE_BYTES;
		switch (rand_r(&seed) % 8) {
		case 0:
			madvise(at, len, MADV_PAGEOUT);
			break;
		case 1:
			madvise(at, len, MADV_COLD);
			break;
		case 2:
			madvise(s->map, BYTES, rand_r(&seed) & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
			break;
		case 3:
#ifdef MADV_COLLAPSE
			madvise(s->map, HUGE_BYTES, MADV_COLLAPSE);
#endif
			break;
		case 4: {
			pid_t pid = fork();

			if (!pid)
				_exit(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
			break;
		}
		case 5:
			pthread_rwlock_wrlock(&s->lock);
			madvise(at, len, MADV_DONTNEED);
			pthread_rwlock_unlock(&s->lock);
			break;
		case 6:
			pthread_rwlock_wrlock(&s->lock);
			mprotect(at, len, PROT_NONE);
			mprotect(at, len, PROT_READ | PROT_WRITE);
			pthread_rwlock_unlock(&s->lock);
			break;
		default: {
			uint8_t *to = umem_map(len + HUGE_BYTES);

			pthread_rwlock_wrlock(&s->lock);
			if (mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to ||
			    mremap(to, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
				s->failed = "mremap";
			pthread_rwlock_unlock(&s->lock);
			munmap(to, len + HUGE_BYTES);
			break;
		}
		}
		if (rand_r(&seed) % 4 == 0)
			usleep(500);
	}
	return NULL;
}

static void storm(void **state)
{
	struct storm s = { .map = umem_map(BYTES) };
	struct umem_selftest_stats st;
	pthread_rwlockattr_t attr;
	pthread_t threads[5];
	unsigned int i;

	(void)state;
	s.fd = umem_region(s.map, BYTES);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s.lock, &attr);
	for (i = 0; i < 4; i++)
		assert_zero(pthread_create(&threads[i], NULL, mover, &s));
	assert_zero(pthread_create(&threads[4], NULL, shaker, &s));
	for (i = 0; i < env_number("STORM_S", run_seconds() * 3) * 10 && !s.failed; i++)
		usleep(100000);
	s.stop = true;
	for (i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	st = umem_stats(s.fd);
	print_message(
		"%lu rounds; %llu faults, %llu pages, %llu retries, %llu joined; %llu invalidations, %llu pages; %llu "
		"downgrades\n",
		s.rounds, st.faults, st.fault_pages, st.retries, st.joined_faults, st.invalidations,
		st.invalidated_pages, st.downgrades);
	if (s.failed)
		fail_because("%s", s.failed);
	assert_true(s.rounds > 10);
	assert_true(st.invalidated_pages > 0 && st.downgrades > 0);
	umem_close(s.fd);
	munmap(s.map, BYTES);
}

static void *faulter(void *arg)
{
	struct storm *s = arg;
	unsigned int seed = (uintptr_t)pthread_self() >> 8;

	while (!s->stop) {
		size_t page = rand_r(&seed) % (BYTES / PAGE_BYTES - 64);

		umem_fault(s->fd, s->map + page * PAGE_BYTES, 64 * PAGE_BYTES, rand_r(&seed) & 1);
		__atomic_fetch_add(&s->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A region comes and goes while threads fault in it and its memory is discarded. */
static void regions_come_and_go(void **state)
{
	struct storm s = { .map = umem_map(BYTES), .fd = umem_open() };
	double begin = seconds();
	pthread_t threads[3];
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_zero(pthread_create(&threads[i], NULL, faulter, &s));
	for (i = 0; seconds() - begin < run_seconds(); i++) {
		assert_zero(umem_create(s.fd, s.map, BYTES, UMEM_SELFTEST_WRITE));
		usleep(i % 7 * 300);
		madvise(s.map, BYTES, MADV_DONTNEED);
		if (i & 1)
			assert_zero(umem_shutdown(s.fd));
		assert_zero(umem_destroy(s.fd));
	}
	s.stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	umem_close(s.fd);
	munmap(s.map, BYTES);
}

/* The owner is killed at any moment of all that; a file that its parent has as well keeps the region. */
static void owners_are_killed(void **state)
{
	double begin = seconds();
	unsigned int n;

	(void)state;
	for (n = 0; seconds() - begin < run_seconds(); n++) {
		int fd = umem_open();
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid) {
			struct storm s = { .map = umem_map(BYTES), .fd = fd };
			pthread_t thread;

			if (umem_create(fd, s.map, BYTES, UMEM_SELFTEST_WRITE))
				_exit(1);
			pthread_create(&thread, NULL, faulter, &s);
			pthread_create(&thread, NULL, faulter, &s);
			for (;;)
				madvise(s.map, BYTES, MADV_DONTNEED);
		}
		usleep(2000 + n % 11 * 1500);
		if (n & 1) {
			umem_close(fd);
			kill(pid, SIGKILL);
		} else {
			kill(pid, SIGKILL);
			umem_close(fd);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

TEST_MAIN(TEST(invalidations_of_a_hot_leaf_finish), TEST(storm), TEST(regions_come_and_go),
	  TEST(owners_are_killed))
