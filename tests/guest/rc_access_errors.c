// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a remote request may not do is a remote access error at the requester, changes no byte, and ends the
 * responder's QP: wrong key, out of bounds, an access the region or the QP does not grant, a foreign protection domain.
 */
#include "event.h"

struct attempt {
	enum ibv_wr_opcode opcode;
	int mr_access; /* of the target */
	int qp_access;
	int64_t offset; /* of the target's start */
	uint32_t bytes;
	uint32_t key_xor;
	bool other_pd;
};

#define TARGET_BYTES 9000
#define LOCAL	     IBV_ACCESS_LOCAL_WRITE
#define WRITE	     IBV_ACCESS_REMOTE_WRITE
#define READ	     IBV_ACCESS_REMOTE_READ
#define ATOMIC	     IBV_ACCESS_REMOTE_ATOMIC

static const struct attempt attempts[] = {
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, ACCESS_ALL, 0, 64, .key_xor = 0x100 },
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, ACCESS_ALL, 0, 64, .key_xor = 1 },
	{ IBV_WR_RDMA_READ, ACCESS_ALL, ACCESS_ALL, 0, 64, .key_xor = 0xff00 },
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, ACCESS_ALL, -1, 64 },
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, ACCESS_ALL, TARGET_BYTES - 63, 64 },
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, ACCESS_ALL, 1, TARGET_BYTES },
	{ IBV_WR_RDMA_READ, ACCESS_ALL, ACCESS_ALL, 1, TARGET_BYTES },
	{ IBV_WR_RDMA_READ, ACCESS_ALL, ACCESS_ALL, 1LL << 40, 64 },
	{ IBV_WR_ATOMIC_FETCH_AND_ADD, ACCESS_ALL, ACCESS_ALL, TARGET_BYTES, 8 },
	{ IBV_WR_RDMA_WRITE, LOCAL | READ | ATOMIC, ACCESS_ALL, 0, 64 },
	{ IBV_WR_RDMA_READ, LOCAL | WRITE | ATOMIC, ACCESS_ALL, 0, 64 },
	{ IBV_WR_ATOMIC_FETCH_AND_ADD, LOCAL | WRITE | READ, ACCESS_ALL, 0, 8 },
	{ IBV_WR_ATOMIC_CMP_AND_SWP, LOCAL | WRITE | READ, ACCESS_ALL, 0, 8 },
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, ACCESS_ALL, 0, 64, .other_pd = true },
	{ IBV_WR_RDMA_READ, ACCESS_ALL, ACCESS_ALL, 0, 64, .other_pd = true },
	{ IBV_WR_RDMA_WRITE, ACCESS_ALL, READ, 0, 64 },
	{ IBV_WR_RDMA_READ, ACCESS_ALL, WRITE, 0, 64 },
	{ IBV_WR_ATOMIC_FETCH_AND_ADD, ACCESS_ALL, WRITE | READ, 0, 8 },
};

static void post_attempt(struct pair *pair, const struct attempt *at, struct buf *local,
			 struct buf *target)
{
	struct ibv_sge sge = buf_sge(local, 0, at->bytes);
	struct ibv_send_wr wr;

	if (at->opcode == IBV_WR_RDMA_WRITE || at->opcode == IBV_WR_RDMA_READ) {
		wr = wr_rdma(at->opcode, &sge, 1, target, at->offset);
		wr.wr.rdma.rkey ^= at->key_xor;
	} else {
		wr = wr_atomic(at->opcode, &sge, target, at->offset, 1, 1);
		wr.wr.atomic.rkey ^= at->key_xor;
	}
	end_post(&pair->a, &wr);
}

/* A QP that does not grant an operation may answer that as an invalid request as well (IBTA 9.7.4.1.2, table 62). */
static bool owed(const struct attempt *at, enum ibv_wc_status status)
{
	if (status == IBV_WC_REM_ACCESS_ERR)
		return true;
	return at->qp_access != ACCESS_ALL && status == IBV_WC_REM_INV_REQ_ERR;
}

static void run(const struct attempt *at, void **state)
{
	struct conn conn = CONN;
	struct buf local, target;
	struct pair pair;
	struct ibv_pd *pd;
	struct ibv_wc wc;
	int odp;

	conn.access = at->qp_access & ~LOCAL;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	pd = at->other_pd ? ibv_alloc_pd(pair.b.rig->ctx) : pair.b.rig->pd;
	buf_make(&local, pair.a.rig->pd, MEM_ANON, TARGET_BYTES + 64, 0, ACCESS_ALL | odp);
	buf_make(&target, pd, MEM_ANON, TARGET_BYTES, 8, at->mr_access | odp);
	pattern_fill(local.data, local.bytes, 1, 0);
	pattern_fill(target.data, target.bytes, 2, 0);
	post_attempt(&pair, at, &local, &target);
	wc = cq_wait(pair.a.scq);
	if (!owed(at, wc.status))
		fail_because("attempt %zu: completion \"%s\"", at - attempts,
			     ibv_wc_status_str(wc.status));
	end_await_state(&pair.a, IBV_QPS_ERR);
	end_await_state(&pair.b, IBV_QPS_ERR);
	/* A write of many packets is refused by its first, with the length of all of them. */
	pattern_check(target.data, target.bytes, 2, 0, "the target of a refused request");
	pattern_check(local.data, local.bytes, 1, 0, "the local buffer of a refused request");
	buf_free(&local);
	buf_free(&target);
	if (at->other_pd)
		assert_zero(ibv_dealloc_pd(pd));
	pair_close(&pair);
}

static void refused(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attempts); i++)
		run(&attempts[i], state);
}

static void key_is_dead_after_dereg(void **state)
{
	struct conn conn = CONN;
	struct buf local, target;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL | odp);
	buf_make(&target, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL | odp);
	pattern_fill(target.data, 64, 2, 0);
	sge = buf_sge(&local, 0, 64);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &target, 0);
	buf_dereg(&target);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	pattern_check(target.data, 64, 2, 0, "the target of a key that is gone");
	buf_free(&local);
	buf_free(&target);
	pair_close(&pair);
}

/* A responder that was at fault tells its owner. */
static void event_at_the_responder(void **state)
{
	struct ibv_async_event event;
	struct conn conn = CONN;
	struct buf local, target;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&target, pair.b.rig->pd, MEM_ANON, TARGET_BYTES, 0, ACCESS_ALL);
	post_attempt(&pair, &attempts[0], &local, &target);
	cq_expect(pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	event = async_expect(pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);
	assert_ptr_equal(event.element.qp, pair.b.qp);
	buf_free(&local);
	buf_free(&target);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(refused), TEST_BOTH(key_is_dead_after_dereg), TEST(event_at_the_responder))
