// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Deregistering a region that peers are writing: the call returns, from then on no byte of the memory changes, and the
 * requester learns of it by a remote access error.
 */
#include "pair.h"

#define BYTES (64 * KIB)

static void writes_stop(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	uint8_t *copy = malloc(BYTES);
	int round, i, odp, errors;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	for (round = 0; round < 8; round++) {
		buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * BYTES, 0, ACCESS_ALL | odp);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
		pattern_fill(from.data, from.bytes, round, 0);
		for (i = 0; i < 16; i++) {
			sge = buf_sge(&from, i * 1000, BYTES);
			wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
			end_post(&pair.a, &wr);
		}
		for (i = 0; i < round; i++)
			cq_success(pair.a.scq);
		buf_dereg(&to);
		memcpy(copy, to.data, BYTES);
		for (errors = 0; i < 16; i++) {
			wc = cq_wait(pair.a.scq);
			if (wc.status == IBV_WC_SUCCESS) {
				assert_int_equal(errors, 0);
				continue;
			}
			assert_int_equal(wc.status,
					 errors++ ? IBV_WC_WR_FLUSH_ERR : IBV_WC_REM_ACCESS_ERR);
		}
		assert_memory_equal(copy, to.data, BYTES);
		buf_free(&from);
		buf_free(&to);
		assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
		assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
		ends_connect(&pair.a, &pair.b, &conn);
	}
	free(copy);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(writes_stop))
