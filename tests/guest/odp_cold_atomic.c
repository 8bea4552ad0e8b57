// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Atomics on pages that are in no page table yet, at both ends, at the last place of a page too. */
#include "cold.h"

static void one(struct pair *pair, enum mem kind, size_t at)
{
	struct buf local, remote;
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	buf_make(&local, pair->a.rig->pd, kind, 8 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&remote, pair->b.rig->pd, kind, 8 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	sge = buf_sge(&local, at, 8);
	wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &remote, at, 77, 0);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	assert_true(*(uint64_t *)(remote.data + at) == 77);
	assert_true(*(uint64_t *)(local.data + at) == 0);
	buf_forget(&local);
	wr = wr_atomic(IBV_WR_ATOMIC_CMP_AND_SWP, &sge, &remote, at, 77, 88);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	assert_true(*(uint64_t *)(remote.data + at) == 88);
	assert_true(*(uint64_t *)(local.data + at) == 77);
	buf_free(&local);
	buf_free(&remote);
}

static void every_kind(void **state)
{
	struct conn conn = CONN;
	struct pair pair;
	int kind;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	for (kind = 0; kind < MEM_KINDS; kind++) {
		one(&pair, kind, 0);
		one(&pair, kind, 3 * PAGE - 8);
	}
	pair_close(&pair);
}

TEST_MAIN(TEST(every_kind))
