// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Storm over regions that overlap: they are registered and deregistered without a pause, some closed first, while others copy through
 * whichever covers what they want, and the memory is discarded, moved, protected, paged out and forked. No byte is wrong.
 *
 * It ends after so many registrations, or after STORM_S seconds; FUZZ_SEED repeats one.
 *
 * rdma-odp: timeout 240
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "random.h"
#include "swap.h"
#include "umem.h"

#define SLICES	    4U
#define SLICE_BYTES (HUGE_BYTES + 300 * PAGE_BYTES) /* the borders are inside of leaves */
#define BYTES	    (SLICES * SLICE_BYTES)
#define WINDOWS	    10U
#define REGISTRARS  2U
#define COPY_BYTES  (5 * PAGE_BYTES)

/* A region that is there at the moment; who uses it holds the lock shared. */
struct window {
	pthread_rwlock_t lock;
	int fd;
	uint8_t *start;
	size_t bytes; /* 0: none */
	bool may_write;
};

/* Each has a copier of its own. What loses bytes is done under the lock, between two copies. */
struct slice {
	pthread_rwlock_t lock;
	uint8_t *start;
};

static struct window windows[WINDOWS];
static struct slice slices[SLICES];
static uint8_t *map;
static volatile bool stop;
static const char *volatile failure;
static volatile unsigned long registrations, copies, refusals, closed, deeds, moves;

static void failed(const char *what)
{
	failure = what;
	stop = true;
}

static void count(volatile unsigned long *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Small and large, at any byte. */
static void choose_window(struct rnd *r, struct window *w)
{
	size_t most = rnd_one_in(r, 3) ? BYTES : rnd_one_in(r, 2) ? 3 * HUGE_BYTES : 9 * PAGE_BYTES;

	w->bytes = 1 + rnd_below(r, most);
	w->start = map + rnd_below(r, BYTES - w->bytes + 1);
	w->may_write = !rnd_one_in(r, 4);
}

static void *registrar(void *arg)
{
	struct rnd *r = arg;
	struct window *w;

	while (!stop) {
		w = &windows[rnd_below(r, WINDOWS)];
		/* Under its users, who are told. */
		if (rnd_one_in(r, 4))
			umem_shutdown(w->fd);
		pthread_rwlock_wrlock(&w->lock);
		if (w->bytes && umem_destroy(w->fd))
			failed("a deregistration");
		choose_window(r, w);
		if (umem_create(w->fd, w->start, w->bytes, w->may_write ? UMEM_SELFTEST_WRITE : 0))
			failed("a registration");
		pthread_rwlock_unlock(&w->lock);
		count(&registrations);
		/* Others want the locks too. */
		usleep(rnd_below(r, 300));
	}
	return NULL;
}

/* Bytes of the slice that the window has: how many, from *at on; 0 if there are none. */
static size_t choose_bytes(struct rnd *r, const struct slice *s, const struct window *w,
			   uint8_t **at)
{
	uint8_t *low = w->start > s->start ? w->start : s->start;
	uint8_t *high = w->start + w->bytes < s->start + SLICE_BYTES ? w->start + w->bytes :
								       s->start + SLICE_BYTES;
	size_t bytes;

	if (!w->bytes || low >= high)
		return 0;
	*at = low + rnd_below(r, high - low);
	bytes = 1 + rnd_below(r, COPY_BYTES);
	return bytes < (size_t)(high - *at) ? bytes : (size_t)(high - *at);
}

/* 0: go on; else the region is gone, or something is wrong. */
static int copied(int err, const char *what)
{
	if (err == -ESHUTDOWN)
		count(&closed);
	else if (err)
		failed(what);
	return err;
}

static void write_through(struct rnd *r, struct window *w, uint8_t *at, size_t bytes, uint8_t *buf)
{
	uint32_t seed = rnd_next(r);

	pattern_fill(buf, bytes, seed, 0);
	if (!w->may_write) {
		int err = umem_to(w->fd, at, buf, bytes, 0, NULL);

		if (err != -EFAULT && err != -ESHUTDOWN)
			failed("a region for reading was written");
		count(&refusals);
		return;
	}
	if (copied(umem_to(w->fd, at, buf, bytes, 0, NULL), "a write through a region"))
		return;
	if (pattern_differs(at, bytes, seed, 0, "written through a region"))
		failed("bytes that were written");
}

static void read_through(struct rnd *r, struct window *w, uint8_t *at, size_t bytes, uint8_t *buf)
{
	uint32_t seed = rnd_next(r);

	pattern_fill(at, bytes, seed, 0);
	if (copied(umem_from(w->fd, at, buf, bytes, 0, NULL), "a read through a region"))
		return;
	if (pattern_differs(buf, bytes, seed, 0, "read through a region"))
		failed("bytes that were read");
}

/* Written through one, read through another that has all of it: the table is the same. */
static void read_through_another(struct rnd *r, uint8_t *at, size_t bytes, uint8_t *buf)
{
	uint32_t seed = rnd_next(r);
	struct window *w = &windows[rnd_below(r, WINDOWS)];

	if (pthread_rwlock_tryrdlock(&w->lock))
		return;
	pattern_fill(at, bytes, seed, 0);
	if (w->bytes && at >= w->start && at + bytes <= w->start + w->bytes &&
	    !copied(umem_from(w->fd, at, buf, bytes, 0, NULL), "a read through another region") &&
	    pattern_differs(buf, bytes, seed, 0, "read through another region"))
		failed("bytes that were read through another region");
	pthread_rwlock_unlock(&w->lock);
}

struct copier {
	struct rnd rnd;
	struct slice *slice;
};

static void *copier(void *arg)
{
	struct copier *c = arg;
	struct rnd *r = &c->rnd;
	uint8_t *buf = malloc(COPY_BYTES), *at;
	struct window *w;
	size_t bytes;

	while (!stop) {
		w = &windows[rnd_below(r, WINDOWS)];
		pthread_rwlock_rdlock(&c->slice->lock);
		pthread_rwlock_rdlock(&w->lock);
		bytes = choose_bytes(r, c->slice, w, &at);
		if (bytes) {
			if (rnd_one_in(r, 2))
				write_through(r, w, at, bytes, buf);
			else
				read_through(r, w, at, bytes, buf);
			read_through_another(r, at, bytes, buf);
			count(&copies);
		}
		pthread_rwlock_unlock(&w->lock);
		pthread_rwlock_unlock(&c->slice->lock);
	}
	free(buf);
	return NULL;
}

static void fork_once(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* Not where the kernel has made two mappings of it: only the newest moves both. */
static void move_away_and_back(uint8_t *at, size_t bytes)
{
	uint8_t *to = umem_map(bytes);

	if (mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		munmap(to, bytes);
	else if (mremap(to, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at)
		count(&moves);
	else
		failed("mremap");
}

/* What loses bytes, or takes rights away for a moment. */
static void take_away(struct rnd *r, uint8_t *at, size_t bytes)
{
	switch (rnd_below(r, 3)) {
	case 0:
		madvise(at, bytes, MADV_DONTNEED);
		break;
	case 1:
		mprotect(at, bytes, PROT_NONE);
		mprotect(at, bytes, PROT_READ | PROT_WRITE);
		break;
	default:
		move_away_and_back(at, bytes);
	}
}

/* What the process does not notice. */
static void disturb(struct rnd *r, uint8_t *at, size_t bytes)
{
	switch (rnd_below(r, 3)) {
	case 0:
		madvise(at, bytes, MADV_PAGEOUT);
		break;
	case 1:
		madvise(at, bytes, MADV_COLD);
		break;
	default:
		fork_once();
	}
}

static void *chaos(void *arg)
{
	struct rnd *r = arg;
	struct slice *s;
	uint8_t *at;
	size_t bytes;
	bool locked;

	while (!stop) {
		s = &slices[rnd_below(r, SLICES)];
		bytes = (1 + rnd_below(r, rnd_one_in(r, 4) ? SLICE_BYTES / PAGE_BYTES : 20)) *
			PAGE_BYTES;
		at = s->start + rnd_below(r, (SLICE_BYTES - bytes) / PAGE_BYTES + 1) * PAGE_BYTES;
		/*
		 * User Mode Linux does not tell a process that runs on another CPU of its new page tables: all is done between
		 * two copies there.
		 */
		locked = rnd_one_in(r, 2);
		if (locked || slow_kernel())
			pthread_rwlock_wrlock(&s->lock);
		if (locked)
			take_away(r, at, bytes);
		else
			disturb(r, at, bytes);
		if (locked || slow_kernel())
			pthread_rwlock_unlock(&s->lock);
		count(&deeds);
		if (rnd_one_in(r, 4))
			usleep(500);
	}
	return NULL;
}

static void make_all(void)
{
	pthread_rwlockattr_t attr;
	unsigned int i;

	map = umem_map(BYTES);
	madvise(map, BYTES, MADV_HUGEPAGE);
	memset(map, 1, BYTES);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	for (i = 0; i < SLICES; i++) {
		pthread_rwlock_init(&slices[i].lock, &attr);
		slices[i].start = map + i * SLICE_BYTES;
	}
	for (i = 0; i < WINDOWS; i++) {
		pthread_rwlock_init(&windows[i].lock, &attr);
		windows[i].fd = umem_open();
	}
}

static void free_all(void)
{
	unsigned int i;
	int all;

	for (i = 0; i < WINDOWS; i++)
		umem_close(windows[i].fd);
	/* What they brought in has gone with them. */
	all = umem_region(map, BYTES);
	assert_int_equal(umem_stats(all).resident_pages, 0);
	umem_close(all);
	munmap(map, BYTES);
}

static void storm(void **state)
{
	unsigned long storm_s = env_number("STORM_S", 0), want = slow_kernel() ? 3000 : 2000;
	struct rnd rnds[REGISTRARS + 1];
	pthread_t threads[REGISTRARS + SLICES + 1];
	struct copier copiers[SLICES];
	uint64_t seed = rnd_seed();
	double end = seconds() + storm_s;
	unsigned int i, n = 0;

	(void)state;
	swap_begin();
	make_all();
	for (i = 0; i < REGISTRARS + 1; i++) {
		rnds[i].state = seed + i;
		assert_zero(pthread_create(&threads[n++], NULL, i < REGISTRARS ? registrar : chaos,
					   &rnds[i]));
	}
	for (i = 0; i < SLICES; i++) {
		copiers[i] = (struct copier){ .rnd.state = seed + 100 + i, .slice = &slices[i] };
		assert_zero(pthread_create(&threads[n++], NULL, copier, &copiers[i]));
	}
	while (!stop && (storm_s ? seconds() < end : registrations < want || copies < want))
		usleep(20000);
	stop = true;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%lu registrations, %lu copies, %lu refused, %lu met a closed region; ",
	       registrations, copies, refusals, closed);
	printf("%lu deeds, %lu moves\n", deeds, moves);
	if (failure)
		fail_because("%s: errno %d", failure, errno);
	free_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(storm) };
	int rc = test_run(tests, ARRAY_SIZE(tests));

	swap_end();
	return rc;
}
