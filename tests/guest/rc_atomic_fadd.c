// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Fetch and add: the sum is right, wraps, and concurrent adders of two QPs each see every value once. */
#include "pair.h"

static void add(struct end *end, struct buf *local, size_t at, struct buf *remote, uint64_t value)
{
	struct ibv_sge sge = buf_sge(local, at, 8);
	struct ibv_send_wr wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, remote, 0, value, 0);

	end_post(end, &wr);
}

static void sum_is_right(void **state)
{
	struct conn conn = CONN;
	struct buf local, remote;
	struct pair pair;
	uint64_t *target;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	if (odp)
		rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	target = (uint64_t *)remote.data;
	*target = ~0ULL - 1;
	add(&pair.a, &local, 0, &remote, 5);
	assert_int_equal(cq_success(pair.a.scq).opcode, IBV_WC_FETCH_ADD);
	assert_true(*(uint64_t *)local.data == ~0ULL - 1);
	assert_true(*target == 3);
	buf_free(&local);
	buf_free(&remote);
	pair_close(&pair);
}

/* N adds of 1 from each of two QPs: the fetched values are 0 .. 2N - 1, each once. */
static void every_value_once(void **state)
{
	enum { N = 40 };
	struct conn conn = CONN;
	struct buf local, remote;
	struct end c, d;
	struct pair pair;
	uint64_t *got;
	char seen[2 * N] = "";
	int i, odp;

	pair_open(&pair, &conn);
	ends_open(&c, pair.a.rig, &d, pair.b.rig, &conn);
	odp = mode(&pair.rig, state);
	if (odp)
		rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, 2 * N * 8, 0, ACCESS_ALL | odp);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 8, 4088, ACCESS_ALL | odp);
	for (i = 0; i < N; i++) {
		add(&pair.a, &local, 8 * i, &remote, 1);
		add(&c, &local, 8 * (N + i), &remote, 1);
	}
	for (i = 0; i < N; i++) {
		cq_success(pair.a.scq);
		cq_success(c.scq);
	}
	got = (uint64_t *)local.data;
	for (i = 0; i < 2 * N; i++) {
		assert_in_range(got[i], 0, 2 * N - 1);
		assert_int_equal(seen[got[i]]++, 0);
	}
	assert_true(*(uint64_t *)remote.data == 2 * N);
	buf_free(&local);
	buf_free(&remote);
	end_close(&c);
	end_close(&d);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(sum_is_right), TEST_BOTH(every_value_once))
