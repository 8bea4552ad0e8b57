// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Compare and swap: swaps on a match only, and the original value always comes back. */
#include "pair.h"

static uint64_t cas(struct pair *pair, struct buf *local, struct buf *remote, size_t at,
		    uint64_t compare, uint64_t swap)
{
	struct ibv_sge sge = buf_sge(local, 0, 8);
	struct ibv_send_wr wr =
		wr_atomic(IBV_WR_ATOMIC_CMP_AND_SWP, &sge, remote, at, compare, swap);
	struct ibv_wc wc;

	end_post(&pair->a, &wr);
	wc = cq_success(pair->a.scq);
	assert_int_equal(wc.opcode, IBV_WC_COMP_SWAP);
	return *(uint64_t *)local->data;
}

static void swaps_on_match(void **state)
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
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 8192, 0, ACCESS_ALL | odp);
	target = (uint64_t *)(remote.data + 4088);
	*target = 0x1122334455667788ULL;
	assert_true(cas(&pair, &local, &remote, 4088, 0x1122334455667788ULL, 42) ==
		    0x1122334455667788ULL);
	assert_true(*target == 42);
	assert_true(cas(&pair, &local, &remote, 4088, 41, 7) == 42);
	assert_true(*target == 42);
	assert_true(cas(&pair, &local, &remote, 4088, 42, ~0ULL) == 42);
	assert_true(*target == ~0ULL);
	assert_true(*(uint64_t *)(remote.data + 4096) == 0);
	buf_free(&local);
	buf_free(&remote);
	pair_close(&pair);
}

/* An address that is not a multiple of 8 is an invalid request, unless the provider refuses already to post it. */
static void unaligned_is_refused(void **state)
{
	struct conn conn = CONN;
	struct buf local, remote;
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	pattern_fill(remote.data, 64, 1, 0);
	sge = buf_sge(&local, 0, 8);
	wr = wr_atomic(IBV_WR_ATOMIC_CMP_AND_SWP, &sge, &remote, 4, 0, 1);
	if (!ibv_post_send(pair.a.qp, &wr, &bad))
		cq_expect(pair.a.scq, IBV_WC_REM_INV_REQ_ERR);
	pattern_check(remote.data, 64, 1, 0, "the target of a refused atomic");
	buf_free(&local);
	buf_free(&remote);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(swaps_on_match), TEST(unaligned_is_refused))
