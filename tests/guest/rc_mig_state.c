// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The state of path migration: without an alternate path it is MIGRATED, which may be set; no other can be. */
#include "pair.h"

static int set(struct end *end, enum ibv_mig_state mig)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS, .path_mig_state = mig };

	return ibv_modify_qp(end->qp, &attr, IBV_QP_STATE | IBV_QP_PATH_MIG_STATE);
}

static void assert_migrated(struct end *end)
{
	struct ibv_qp_attr attr = { .path_mig_state = IBV_MIG_ARMED };
	struct ibv_qp_init_attr init;

	assert_zero(ibv_query_qp(end->qp, &attr, IBV_QP_PATH_MIG_STATE, &init));
	assert_int_equal(attr.path_mig_state, IBV_MIG_MIGRATED);
}

/* As many programs do it: with everything else that RTS needs. */
static void set_with_rts(void **state)
{
	struct conn conn = CONN;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.path_mig_state = IBV_MIG_MIGRATED,
		.timeout = conn.timeout,
		.retry_cnt = conn.retry_cnt,
		.rnr_retry = conn.rnr_retry,
		.max_rd_atomic = conn.rd_atomic,
	};
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	attr.sq_psn = pair.a.psn;
	assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
	assert_migrated(&pair.a);
	assert_zero(end_to_init(&pair.a, &conn));
	assert_zero(end_to_rtr(&pair.a, &pair.b, &conn));
	assert_zero(ibv_modify_qp(pair.a.qp, &attr,
				  IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
					  IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC |
					  IBV_QP_PATH_MIG_STATE));
	assert_migrated(&pair.a);
	pair_assert_works(&pair);
	pair_close(&pair);
}

static void others_are_refused(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	assert_zero(set(&pair.a, IBV_MIG_MIGRATED));
	assert_int_equal(set(&pair.a, IBV_MIG_REARM), EOPNOTSUPP);
	assert_int_equal(set(&pair.a, IBV_MIG_ARMED), EOPNOTSUPP);
	assert_migrated(&pair.a);
	assert_int_equal(end_state(&pair.a), IBV_QPS_RTS);
	pair_assert_works(&pair);
	pair_close(&pair);
}

TEST_MAIN(TEST(set_with_rts), TEST(others_are_refused))
