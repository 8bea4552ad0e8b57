// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Many queue pairs on one region: all of them write, read and count in the same cold pages at once; and all of them hammer one
 * page table while it is invalidated over and over: every invalidation ends, and so does every request.
 */
#include "pair.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define QPS	    32
#define PIECE_BYTES 10007 /* ends in the middle of a page, where the next begins */
#define HOT_BYTES   (64 * KIB)
#define ADDS	    50

struct many {
	struct pair pair;
	struct end a[QPS], b[QPS];
};

static void open_many(struct many *m)
{
	struct conn conn = CONN;
	int i;

	conn.send_wr = 256;
	pair_open(&m->pair, &conn);
	rig_need_odp(&m->pair.rig, 0, 0);
	for (i = 0; i < QPS; i++)
		ends_open(&m->a[i], &m->pair.rig, &m->b[i], &m->pair.rig, &conn);
}

static void close_many(struct many *m)
{
	int i;

	for (i = 0; i < QPS; i++) {
		end_close(&m->a[i]);
		end_close(&m->b[i]);
	}
	pair_close(&m->pair);
}

static void cold_pages(void **state)
{
	struct buf from, to, back;
	struct many m;
	int i, round;

	(void)state;
	open_many(&m);
	buf_make(&from, m.pair.rig.pd, MEM_ANON, QPS * PIECE_BYTES, 1, ACCESS_ALL);
	buf_make(&back, m.pair.rig.pd, MEM_ANON, QPS * PIECE_BYTES, 3,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, m.pair.rig.pd, MEM_ANON, QPS * PIECE_BYTES, 2,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	for (round = 0; round < 3; round++) {
		pattern_fill(from.data, QPS * PIECE_BYTES, round, 0);
		for (i = 0; i < QPS; i++) {
			struct ibv_sge src = buf_sge(&from, i * PIECE_BYTES, PIECE_BYTES);
			struct ibv_sge dst = buf_sge(&back, i * PIECE_BYTES, PIECE_BYTES);
			struct ibv_send_wr read =
				wr_rdma(IBV_WR_RDMA_READ, &dst, 1, &to, i * PIECE_BYTES);
			struct ibv_send_wr write =
				wr_rdma(IBV_WR_RDMA_WRITE, &src, 1, &to, i * PIECE_BYTES);

			write.next = &read;
			end_post(&m.a[i], &write);
		}
		for (i = 0; i < QPS; i++) {
			cq_success(m.a[i].scq);
			cq_success(m.a[i].scq);
		}
		pattern_check(to.data, QPS * PIECE_BYTES, round, 0, "written by many");
		pattern_check(back.data, QPS * PIECE_BYTES, round, 0, "read by many");
		buf_forget(&to);
		buf_forget(&back);
	}
	buf_free(&from);
	buf_free(&back);
	buf_free(&to);
	close_many(&m);
}

/* All add to one counter, of which none is lost. */
static void one_counter(void **state)
{
	struct buf local, count;
	uint64_t value;
	struct many m;
	int i, n;

	(void)state;
	open_many(&m);
	buf_make(&local, m.pair.rig.pd, MEM_ANON, QPS * 8, 0, ACCESS_ALL);
	buf_make(&count, m.pair.rig.pd, MEM_ANON, 8, 512, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	memset(count.data, 0, 8);
	for (n = 0; n < ADDS; n++) {
		for (i = 0; i < QPS; i++) {
			struct ibv_sge sge = buf_sge(&local, i * 8, 8);
			struct ibv_send_wr wr =
				wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &count, 0, i + 1, 0);

			end_post(&m.a[i], &wr);
		}
	}
	for (n = 0; n < ADDS; n++)
		for (i = 0; i < QPS; i++)
			cq_success(m.a[i].scq);
	memcpy(&value, count.data, 8);
	assert_true(value == ADDS * QPS * (QPS + 1) / 2);
	buf_free(&local);
	buf_free(&count);
	close_many(&m);
}

/* Keeps its requests under way until it is told to stop. */
struct hammer {
	struct many *m;
	struct buf *local, *hot;
	unsigned int first;
	volatile bool stop;
	volatile unsigned long done;
	const char *volatile failure;
};

static const char *hammer_post(struct hammer *h, unsigned int i, unsigned long n)
{
	enum ibv_wr_opcode opcode = n & 1 ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
	struct ibv_sge sge = buf_sge(h->local, 0, HOT_BYTES / 2);
	struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, h->hot, n * 64 % (HOT_BYTES / 2)), *bad;

	return ibv_post_send(h->m->a[i].qp, &wr, &bad) ? "ibv_post_send" : NULL;
}

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	unsigned int i, last = h->first + QPS / 2;
	struct ibv_wc wc;

	for (i = h->first; i < last && !h->failure; i++)
		h->failure = hammer_post(h, i, i);
	while (!h->failure) {
		for (i = h->first; i < last && !h->failure; i++) {
			if (!cq_poll_bounded(h->m->a[i].scq, &wc, BOUND_S))
				h->failure = "a request does not complete";
			else if (wc.status != IBV_WC_SUCCESS)
				h->failure = ibv_wc_status_str(wc.status);
			else if (!h->stop)
				h->failure = hammer_post(h, i, ++h->done);
		}
		if (h->stop)
			break;
	}
	return NULL;
}

static void a_hot_leaf(void **state)
{
	unsigned int rounds = slow_cpu() ? 500 : 3000, n;
	struct hammer hammers[2];
	pthread_t threads[2];
	struct buf local, hot;
	struct many m;
	int i;

	(void)state;
	open_many(&m);
	buf_make(&local, m.pair.rig.pd, MEM_ANON, HOT_BYTES, 0, ACCESS_ALL);
	buf_make(&hot, m.pair.rig.pd, MEM_ANON, HOT_BYTES, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	for (i = 0; i < 2; i++) {
		hammers[i] = (struct hammer){
			.m = &m, .local = &local, .hot = &hot, .first = i * QPS / 2
		};
		assert_zero(pthread_create(&threads[i], NULL, hammer, &hammers[i]));
	}
	/* Each takes pages that are read and written at that moment. */
	for (n = 0; n < rounds || hammers[0].done + hammers[1].done < 20 * QPS; n++) {
		if (hammers[0].failure || hammers[1].failure)
			break;
		buf_forget(&hot);
		if (n % 16 == 0)
			usleep(100);
	}
	for (i = 0; i < 2; i++)
		hammers[i].stop = true;
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		if (hammers[i].failure)
			fail_because("%s", hammers[i].failure);
	}
	printf("%u invalidations under %lu requests\n", n, hammers[0].done + hammers[1].done);
	buf_free(&local);
	buf_free(&hot);
	close_many(&m);
}

TEST_MAIN(TEST(cold_pages), TEST(one_counter), TEST(a_hot_leaf))
