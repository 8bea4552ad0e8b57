// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ATOMIC WRITE and FLUSH are not there. What a program can ask says so: the capability bits, a registration and a QP for
 * them. librxe knows nothing of that when a QP is created, and does not tell the kernel which operations it is for: posted,
 * they complete as what they are, operations that the QP does not have (IBTA 10.8.2), and what was posted before is done.
 */
#include "pair.h"

#include <rdma/ib_user_verbs.h>

#define DEVICE_CAPS                                                                                \
	(IB_UVERBS_DEVICE_FLUSH_GLOBAL | IB_UVERBS_DEVICE_FLUSH_PERSISTENT |                       \
	 IB_UVERBS_DEVICE_ATOMIC_WRITE)

static void not_promised(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_true(!(rig.attr.device_cap_flags_ex & DEVICE_CAPS));
	rig_close(&rig);
}

static void no_region_for_them(void **state)
{
	static const int flags[] = { IBV_ACCESS_FLUSH_GLOBAL, IBV_ACCESS_FLUSH_PERSISTENT };
	struct rig rig;
	struct buf buf;
	size_t i;

	(void)state;
	rig_open(&rig);
	buf_map(&buf, MEM_ANON, PAGE, 0);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		errno = 0;
		assert_null(ibv_reg_mr(rig.pd, buf.data, PAGE, ACCESS_ALL | flags[i]));
		assert_int_equal(errno, EOPNOTSUPP);
	}
	buf_free(&buf);
	rig_close(&rig);
}

static void no_access_for_them(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
	conn.access |= IBV_ACCESS_FLUSH_GLOBAL;
	assert_int_equal(end_to_init(&pair.a, &conn), EOPNOTSUPP);
	conn.access = CONN.access | IBV_ACCESS_FLUSH_PERSISTENT;
	assert_int_equal(end_to_init(&pair.a, &conn), EOPNOTSUPP);
	pair_close(&pair);
}

/* Puts a QP with the operations in the place of end a's. */
static struct ibv_qp_ex *replace_qp(struct pair *pair)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_RC,
		.send_cq = pair->a.scq,
		.recv_cq = pair->a.rcq,
		.pd = pair->rig.pd,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_ATOMIC_WRITE |
				  IBV_QP_EX_WITH_FLUSH,
		.cap = { .max_send_wr = 8, .max_recv_wr = 8, .max_send_sge = 1, .max_recv_sge = 1 },
	};

	assert_zero(ibv_destroy_qp(pair->a.qp));
	pair->a.qp = ibv_create_qp_ex(pair->rig.ctx, &attr);
	if (!pair->a.qp && errno == EOPNOTSUPP) {
		/* A provider that knows: nothing can be posted. */
		return NULL;
	}
	assert_non_null(pair->a.qp);
	pair_reconnect(pair);
	return ibv_qp_to_qp_ex(pair->a.qp);
}

static void assert_refused(void (*add)(struct ibv_qp_ex *ex, const struct buf *to))
{
	struct conn conn = CONN;
	struct ibv_qp_ex *ex;
	struct pair pair;
	struct buf from, to;
	int i;

	pair_open(&pair, &conn);
	ex = replace_qp(&pair);
	buf_make(&from, pair.rig.pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, MEM_ANON, 128, 0, ACCESS_ALL);
	/* Twice: after RESET the QP is as good as new. */
	for (i = 0; ex && i < 2; i++) {
		memset(to.data, 0, to.bytes);
		pattern_fill(from.data, 64, 5, 0);
		ibv_wr_start(ex);
		ex->wr_id = 1;
		ex->wr_flags = IBV_SEND_SIGNALED;
		ibv_wr_rdma_write(ex, to.mr->rkey, (uintptr_t)to.data);
		ibv_wr_set_sge(ex, from.mr->lkey, (uintptr_t)from.data, 64);
		ex->wr_id = 2;
		ex->wr_flags = 0;
		add(ex, &to);
		ex->wr_id = 3;
		ibv_wr_rdma_write(ex, to.mr->rkey, (uintptr_t)to.data + 64);
		ibv_wr_set_sge(ex, from.mr->lkey, (uintptr_t)from.data, 64);
		assert_zero(ibv_wr_complete(ex));

		assert_int_equal(cq_success(pair.a.scq).wr_id, 1);
		assert_int_equal(cq_expect(pair.a.scq, IBV_WC_LOC_QP_OP_ERR).wr_id, 2);
		assert_int_equal(cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR).wr_id, 3);
		pattern_check(to.data, 64, 5, 0, "what was posted before");
		assert_int_equal(to.data[64], 0);
		assert_int_equal(end_state(&pair.a), IBV_QPS_ERR);
		assert_int_equal(end_state(&pair.b), IBV_QPS_RTS);
		pair_reconnect(&pair);
		pair_assert_works(&pair);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void add_atomic_write(struct ibv_qp_ex *ex, const struct buf *to)
{
	static const uint64_t word = ~0ULL;

	ibv_wr_atomic_write(ex, to->mr->rkey, (uintptr_t)to->data + 64, &word);
}

static void add_flush(struct ibv_qp_ex *ex, const struct buf *to)
{
	ibv_wr_flush(ex, to->mr->rkey, (uintptr_t)to->data, 64, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE);
}

static void atomic_write(void **state)
{
	(void)state;
	assert_refused(add_atomic_write);
}

static void flush(void **state)
{
	(void)state;
	assert_refused(add_flush);
}

TEST_MAIN(TEST(not_promised), TEST(no_region_for_them), TEST(no_access_for_them),
	  TEST(atomic_write), TEST(flush))
