// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A fence: a request that carries it starts when all earlier reads and atomics are done, so it sends what they brought. */
#include "pair.h"

#define BYTES 20000UL

static void read_then_fenced_write(void **state)
{
	struct conn conn = CONN;
	struct buf remote, local;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	int i, odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 2 * BYTES, 17, ACCESS_ALL | odp);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, BYTES, 1, ACCESS_ALL | odp);
	for (i = 0; i < 10; i++) {
		pattern_fill(remote.data, BYTES, i, 0);
		memset(local.data, 0, BYTES);
		sge = buf_sge(&local, 0, BYTES);
		wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &remote, 0);
		end_post(&pair.a, &wr);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &remote, BYTES);
		wr.send_flags |= IBV_SEND_FENCE;
		end_post(&pair.a, &wr);
		assert_int_equal(cq_success(pair.a.scq).opcode, IBV_WC_RDMA_READ);
		assert_int_equal(cq_success(pair.a.scq).opcode, IBV_WC_RDMA_WRITE);
		pattern_check(remote.data + BYTES, BYTES, i, 0, "what a fenced write sent");
	}
	buf_free(&local);
	buf_free(&remote);
	pair_close(&pair);
}

static void atomic_then_fenced_send(void **state)
{
	struct conn conn = CONN;
	struct buf remote, local, sink;
	struct ibv_send_wr wr;
	struct ibv_sge sge, dst;
	struct pair pair;
	uint64_t i;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&sink, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	*(uint64_t *)remote.data = 0;
	for (i = 0; i < 50; i++) {
		sge = buf_sge(&local, 0, 8);
		dst = buf_sge(&sink, 0, 8);
		end_post_recv(&pair.b, i, &dst, 1);
		*(uint64_t *)local.data = ~0ULL;
		wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &remote, 0, 1, 0);
		end_post(&pair.a, &wr);
		wr = wr_make(IBV_WR_SEND, &sge, 1);
		wr.send_flags |= IBV_SEND_FENCE;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		cq_success(pair.a.scq);
		cq_success(pair.b.rcq);
		assert_true(*(uint64_t *)sink.data == i);
	}
	buf_free(&local);
	buf_free(&remote);
	buf_free(&sink);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(read_then_fenced_write), TEST(atomic_then_fenced_send))
