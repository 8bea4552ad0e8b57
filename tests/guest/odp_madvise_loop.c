// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The owner of a page discards it in a loop without a pause, and a peer counts, writes and reads there all the same: every
 * transaction ends, with success.
 */
#include "pair.h"

#include <pthread.h>
#include <sys/mman.h>

#define ADD 3

struct scene {
	struct pair pair;
	struct buf page, local;
	pthread_t thread;
	volatile bool stop;
	volatile unsigned long discarded;
};

static void *discard(void *arg)
{
	struct scene *s = arg;

	while (!s->stop) {
		if (madvise(s->page.data, PAGE, MADV_DONTNEED))
			return "madvise";
		s->discarded++;
	}
	return NULL;
}

static void begin(struct scene *s)
{
	struct conn conn = CONN;

	memset(s, 0, sizeof(*s));
	pair_open(&s->pair, &conn);
	rig_need_odp(&s->pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	buf_make(&s->page, s->pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&s->local, s->pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	assert_zero(pthread_create(&s->thread, NULL, discard, s));
	/* The loop runs before anything is asked for. */
	while (!s->discarded && !s->stop)
		sched_yield();
}

static void end(struct scene *s, unsigned long transactions)
{
	unsigned long discarded = s->discarded;
	void *failed;

	s->stop = true;
	pthread_join(s->thread, &failed);
	if (failed)
		fail_because("%s", (char *)failed);
	printf("%lu transactions, while the page was discarded %lu times\n", transactions,
	       discarded);
	buf_free(&s->page);
	buf_free(&s->local);
	pair_close(&s->pair);
}

static unsigned long transactions(void)
{
	return slow_kernel() ? 200 : 400;
}

static void fetch_and_add(void **state)
{
	unsigned long n, num = transactions();
	struct scene s;
	uint64_t old;

	(void)state;
	begin(&s);
	for (n = 0; n < num; n++) {
		struct ibv_sge sge = buf_sge(&s.local, 0, 8);
		struct ibv_send_wr wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &s.page,
						  8 * (n % 512), ADD, 0);

		end_post(&s.pair.a, &wr);
		cq_success(s.pair.a.scq);
		/* It starts again from zero with each page, and never anywhere else. */
		memcpy(&old, s.local.data, 8);
		if (old % ADD || old > n / 512 * ADD)
			fail_because("addition %lu found %llu", n, (unsigned long long)old);
	}
	end(&s, num);
}

/* Every byte is what is written there again and again, or nothing. */
static void check_read(const struct buf *back, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (back->data[i] && back->data[i] != pattern_byte(1, i))
			fail_because("byte %zu is %#x", i, back->data[i]);
}

static void write_and_read(void **state)
{
	unsigned long n, num = transactions();
	struct scene s;
	struct buf back;

	(void)state;
	begin(&s);
	buf_make(&back, s.pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	pattern_fill(s.local.data, PAGE, 1, 0);
	for (n = 0; n < num; n++) {
		size_t bytes = n % 3 ? PAGE : 1 + n % PAGE;
		struct ibv_sge sge = buf_sge(&back, 0, bytes);
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &s.page, 0);

		/* Into the page, asked for by the other and by the owner's end. */
		pair_move(&s.pair, OP_WRITE, &s.local, 0, &s.page, 0, bytes);
		pair_move(&s.pair, OP_READ, &s.local, 0, &s.page, 0, bytes);
		memset(back.data, 0x55, PAGE);
		end_post(&s.pair.a, &wr);
		cq_success(s.pair.a.scq);
		check_read(&back, bytes);
	}
	buf_free(&back);
	end(&s, 3 * num);
}

TEST_MAIN(TEST(fetch_and_add), TEST(write_and_read))
