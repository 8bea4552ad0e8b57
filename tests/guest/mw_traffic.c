// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows that come and go while a peer is at work: when an invalidation has completed, no byte changes any more by what came
 * before it, be it under way, waiting for a page, or still to come; and thousands of binds disturb nobody.
 */
#include "mw.h"

#include <sys/mman.h>

#define BYTES  (64 * KIB)
#define WRITES 16

static void stop(struct end *end, struct ibv_mw *mw, const struct buf *region)
{
	if (mw->type == IBV_MW_TYPE_1)
		mw_unbind(end, mw, region);
	else
		mw_local_inv(end, mw->rkey);
}

static void post_writes(struct end *end, const struct buf *from, uint64_t addr, size_t bytes,
			uint32_t key)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	int i;

	for (i = 0; i < WRITES; i++) {
		sge = buf_sge(from, i * 1000, bytes);
		wr = wr_make(IBV_WR_RDMA_WRITE, &sge, 1);
		wr.wr.rdma.remote_addr = addr;
		wr.wr.rdma.rkey = key;
		end_post(end, &wr);
	}
}

/* Successes, then one error, then what was flushed. */
static void await_end(struct ibv_cq *cq, int left)
{
	struct ibv_wc wc;
	int errors = 0;

	while (left--) {
		wc = cq_wait(cq);
		if (wc.status == IBV_WC_SUCCESS)
			assert_int_equal(errors, 0);
		else
			assert_int_equal(wc.status,
					 errors++ ? IBV_WC_WR_FLUSH_ERR : IBV_WC_REM_ACCESS_ERR);
	}
}

static void writes_stop(void **state)
{
	uint8_t *copy = malloc(BYTES);
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_mw *mw;
	struct pair pair;
	int round, i, odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * BYTES, 0, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_BIND | odp);
	for (round = 0; round < 8; round++) {
		mw = mw_make(pair.b.rig->pd, round % 2 ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2);
		mw_bind(&pair.b, mw, &to, 0, BYTES, ACCESS_WINDOW);
		pattern_fill(from.data, from.bytes, round, 0);
		if (odp)
			buf_forget(&to);
		post_writes(&pair.a, &from, (uintptr_t)to.data, BYTES, mw->rkey);
		for (i = 0; i < round; i++)
			cq_success(pair.a.scq);
		stop(&pair.b, mw, &to);
		memcpy(copy, to.data, BYTES);
		await_end(pair.a.scq, WRITES - round);
		assert_memory_equal(copy, to.data, BYTES);
		mw_free(mw);
		pair_reconnect(&pair);
	}
	buf_free(&from);
	buf_free(&to);
	free(copy);
	pair_close(&pair);
}

#define ROUNDS	  (slow_kernel() ? 60U : 200U)
#define PER_ROUND 16U
#define SMALL	  8192UL

/* One window bound and freed PER_ROUND times, and another one bound anew as often. */
static void post_binds(struct end *end, struct ibv_mw *mw2, struct ibv_mw *mw1,
		       const struct buf *region)
{
	unsigned int i;

	for (i = 0; i < PER_ROUND; i++) {
		mw_post_bind(end, mw2, region, i, BYTES / 2, ACCESS_WINDOW);
		mw_post_local_inv(end, mw2->rkey);
		mw_post_bind(end, mw1, region, i, i % 4 ? BYTES / 2 : 0, i % 4 ? ACCESS_WINDOW : 0);
	}
}

/* They are over the memory that is written through a window that stays. */
static void thousands_of_binds(void **state)
{
	struct ibv_mw *stays, *mw1, *mw2;
	unsigned int round, i, written = 0;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	struct ibv_wc wc;

	conn.cqe = 1024;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_BIND | mode(&pair.rig, state));
	pattern_fill(from.data, from.bytes, 1, 0);
	stays = mw_make(pair.b.rig->pd, IBV_MW_TYPE_2);
	mw1 = mw_make(pair.b.rig->pd, IBV_MW_TYPE_1);
	mw2 = mw_make(pair.b.rig->pd, IBV_MW_TYPE_2);
	mw_bind(&pair.b, stays, &to, 0, BYTES, ACCESS_WINDOW);
	for (round = 0; round < ROUNDS; round++) {
		if (!written) {
			post_writes(&pair.a, &from, (uintptr_t)to.data, SMALL, stays->rkey);
			written = WRITES;
		}
		post_binds(&pair.b, mw2, mw1, &to);
		for (i = 0; i < 3 * PER_ROUND; i++)
			cq_success(pair.b.scq);
		while (written && ibv_poll_cq(pair.a.scq, 1, &wc)) {
			assert_int_equal(wc.status, IBV_WC_SUCCESS);
			written--;
		}
	}
	for (; written; written--)
		cq_success(pair.a.scq);
	pattern_check(to.data, SMALL, 1, (WRITES - 1) * 1000, "what was written meanwhile");
	mw_free(stays);
	mw_free(mw1);
	mw_free(mw2);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

struct late {
	struct pair pair;
	struct buf local;
	struct uffd uffd;
	struct buf page; /* on demand, and served by nobody */
	struct ibv_mw *mw;
};

static void late_open(struct late *l, enum ibv_mw_type type)
{
	struct conn conn = CONN;

	pair_open(&l->pair, &conn);
	rig_need_odp(&l->pair.rig, 0, 0);
	buf_make(&l->local, l->pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	memset(l->local.data, 0x55, PAGE);
	buf_map(&l->page, MEM_ANON, PAGE, 0);
	uffd_register(&l->uffd, l->page.data, PAGE);
	buf_reg(&l->page, l->pair.b.rig->pd, ACCESS_BIND | IBV_ACCESS_ON_DEMAND);
	l->mw = mw_make(l->pair.b.rig->pd, type);
	mw_bind(&l->pair.b, l->mw, &l->page, 8, 64, ACCESS_WINDOW);
}

static void late_close(struct late *l)
{
	mw_free(l->mw);
	uffd_close(&l->uffd);
	buf_free(&l->local);
	buf_free(&l->page);
	pair_close(&l->pair);
}

static void late_post(struct late *l, enum ibv_wr_opcode opcode)
{
	struct ibv_sge sge = buf_sge(&l->local, 0, 8);
	struct ibv_send_wr wr = wr_make(opcode, &sge, 1);

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = (uintptr_t)l->page.data + 8;
		wr.wr.atomic.rkey = l->mw->rkey;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)l->page.data + 8;
		wr.wr.rdma.rkey = l->mw->rkey;
	}
	end_post(&l->pair.a, &wr);
}

/* The window goes while a request of the peer waits for its page. Then the page comes, or the region goes as well. */
static void while_a_page_is_awaited(void **state)
{
	static const enum ibv_wr_opcode ways[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						   IBV_WR_ATOMIC_FETCH_AND_ADD };
	static const uint8_t zeros[PAGE];
	struct late l;
	size_t i;
	int deregistered;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
		deregistered = i % 2;
		late_open(&l, i % 4 < 2 ? IBV_MW_TYPE_2 : IBV_MW_TYPE_1);
		late_post(&l, ways[i / 2]);
		assert_non_null(uffd_next(&l.uffd, BOUND_S * 1000));
		stop(&l.pair.b, l.mw, &l.page);
		if (deregistered)
			buf_dereg(&l.page);
		else
			uffd_give_zeros(&l.uffd, l.page.data, PAGE);
		cq_expect(l.pair.a.scq, IBV_WC_REM_ACCESS_ERR);
		if (deregistered)
			uffd_give_zeros(&l.uffd, l.page.data, PAGE);
		assert_memory_equal(l.page.data, zeros, PAGE);
		late_close(&l);
	}
}

TEST_MAIN(TEST_BOTH(writes_stop), TEST_BOTH(thousands_of_binds), TEST(while_a_page_is_awaited))
