// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * 16 queue pairs at work in one 2 MiB piece of memory, which is discarded once: after that its pages come back, and no fault is
 * asked for again. And memory elsewhere in the same heap, discarded without a pause, does not keep a cold READ of 2 MiB from
 * its end.
 */
#include "discard.h"
#include "pair.h"

#include <pthread.h>
#include <sys/mman.h>

#define QPS	   16
#define IN_FLIGHT  4
#define PIECES	   32UL
#define LEAF_BYTES (2 * MIB)
#define STEP_BYTES (LEAF_BYTES / PIECES)
/* Each QP has written and read all of it after so many. */
#define TURN (2 * PIECES)

struct traffic {
	struct pair pair;
	struct end a[QPS], b[QPS];
	struct buf local, hot;
	unsigned long posted[QPS], done[QPS];
};

/* All pieces one after the other, each QP from another one on: written, then read. */
static void post(struct traffic *t, unsigned int qp)
{
	unsigned long n = t->posted[qp]++, piece = (n + qp * 2) % PIECES;
	struct ibv_sge sge = buf_sge(&t->local, qp * STEP_BYTES, STEP_BYTES);
	struct ibv_send_wr wr = wr_rdma(n / PIECES % 2 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, &sge,
					1, &t->hot, piece * STEP_BYTES);

	end_post(&t->a[qp], &wr);
}

static void begin(struct traffic *t)
{
	struct conn conn = CONN;
	unsigned int i, j;

	memset(t, 0, sizeof(*t));
	conn.mtu = IBV_MTU_4096;
	pair_open(&t->pair, &conn);
	rig_need_odp(&t->pair.rig, 0, 0);
	buf_make(&t->local, t->pair.a.rig->pd, MEM_ANON, QPS * STEP_BYTES, 0, ACCESS_ALL);
	buf_map(&t->hot, MEM_HUGE, LEAF_BYTES, LEAF_BYTES - GUARD_BYTES);
	madvise(t->hot.map, t->hot.map_bytes, MADV_NOHUGEPAGE);
	buf_reg(&t->hot, t->pair.b.rig->pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	for (i = 0; i < QPS; i++) {
		ends_open(&t->a[i], t->pair.a.rig, &t->b[i], t->pair.b.rig, &conn);
		for (j = 0; j < IN_FLIGHT; j++)
			post(t, i);
	}
}

/* So many more transactions of each QP; the queues stay full, but for the last time. */
static void pump(struct traffic *t, unsigned long each, bool last)
{
	unsigned long until[QPS], left = QPS * each;
	unsigned int i;

	for (i = 0; i < QPS; i++)
		until[i] = t->done[i] + each;
	while (left) {
		for (i = 0; i < QPS; i++) {
			if (t->done[i] == until[i])
				continue;
			cq_success(t->a[i].scq);
			t->done[i]++;
			left--;
			if (!last)
				post(t, i);
		}
	}
}

static void end(struct traffic *t)
{
	unsigned int i;

	pump(t, IN_FLIGHT, true);
	for (i = 0; i < QPS; i++) {
		end_close(&t->a[i]);
		end_close(&t->b[i]);
	}
	buf_free(&t->hot);
	buf_free(&t->local);
	pair_close(&t->pair);
}

static void faults_settle(void **state)
{
	unsigned int rounds = 2, i;
	long before, settled, after;
	struct traffic *t = malloc(sizeof(*t));

	(void)state;
	assert_non_null(t);
	begin(t);
	pump(t, TURN, false);
	for (i = 0; i < rounds; i++) {
		before = rig_counter("odp_faults");
		assert_zero(madvise(t->hot.data, LEAF_BYTES, MADV_DONTNEED));
		/* Whatever was under way at that moment has ended after one turn. */
		pump(t, TURN + IN_FLIGHT, false);
		settled = rig_counter("odp_faults");
		pump(t, TURN, false);
		after = rig_counter("odp_faults");
		printf("%ld faults, then %ld in %lu transactions\n", settled - before,
		       after - settled, TURN * QPS);
		assert_true(settled > before);
		assert_true(after == settled);
	}
	end(t);
	free(t);
}

static void madvise_elsewhere_starves_nobody(void **state)
{
	unsigned int rounds = 5, i;
	struct buf heap, local;
	struct discarder d;
	struct conn conn = CONN;
	struct ibv_sge sge;
	struct ibv_send_wr wr;
	struct pair pair;
	long retries;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_map(&heap, MEM_HUGE, 4 * LEAF_BYTES, LEAF_BYTES - GUARD_BYTES);
	madvise(heap.map, heap.map_bytes, MADV_NOHUGEPAGE);
	buf_reg(&heap, pair.b.rig->pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, LEAF_BYTES, 0, ACCESS_ALL);
	sge = buf_sge(&local, 0, LEAF_BYTES);
	discard_begin(&d, heap.data + 3 * LEAF_BYTES, LEAF_BYTES, true);
	for (i = 0; i < rounds; i++) {
		retries = rig_counter("odp_retries");
		assert_zero(madvise(heap.data, LEAF_BYTES, MADV_DONTNEED));
		pattern_fill(heap.data, LEAF_BYTES, i, 0);
		wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &heap, 0);
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		pattern_check(local.data, LEAF_BYTES, i, 0, "read while others are discarded");
		printf("%ld rounds were lost, %lu pages discarded\n",
		       rig_counter("odp_retries") - retries, d.pages);
	}
	discard_end(&d);
	buf_free(&local);
	buf_free(&heap);
	pair_close(&pair);
}

TEST_MAIN(TEST(faults_settle), TEST(madvise_elsewhere_starves_nobody))
