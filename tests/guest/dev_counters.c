// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the counters count whose names are stock rxe's, and which say what queue pairs did. */
#include "pair.h"

#define SENDS 10

static long sends, recvs;

static void remember(void)
{
	sends = rig_counter("rdma_sends");
	recvs = rig_counter("rdma_recvs");
}

static void expect_grown(long by_sends, long by_recvs)
{
	assert_int_equal(rig_counter("rdma_sends") - sends, by_sends);
	assert_int_equal(rig_counter("rdma_recvs") - recvs, by_recvs);
}

static void moves(enum op op, long by_sends, long by_recvs)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int i;

	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 3000, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 3000, 0, ACCESS_ALL);
	remember();
	for (i = 0; i < SENDS; i++)
		pair_move_checked(&pair, op, &from, &to, i);
	expect_grown(by_sends, by_recvs);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* Each message once, whatever its packets; a WRITE takes a receive where it has immediate data. */
static void sends_and_receives(void **state)
{
	(void)state;
	moves(OP_SEND, SENDS, SENDS);
	moves(OP_SEND_IMM, SENDS, SENDS);
	moves(OP_WRITE_IMM, 0, SENDS);
	moves(OP_WRITE, 0, 0);
	moves(OP_READ, 0, 0);
}

static void datagrams(void **state)
{
	struct conn conn = CONN;
	struct ibv_sge src, dst;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct pair pair;
	int i;

	(void)state;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 100, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 140, 0, ACCESS_ALL);
	src = buf_sge(&from, 0, 100);
	dst = buf_sge(&to, 0, 140);
	wr = wr_make(IBV_WR_SEND, &src, 1);
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	remember();
	for (i = 0; i < SENDS; i++) {
		end_post_recv(&pair.b, i, &dst, 1);
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		cq_success(pair.b.rcq);
	}
	expect_grown(SENDS, SENDS);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* The last try is no retry; what was not sent, or received, is not counted. */
static void retries(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct buf from;
	long before;

	(void)state;
	conn.retry_cnt = 3;
	conn.timeout = 12;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	sge = buf_sge(&from, 0, 64);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	before = rig_counter("completer_retry_err");
	remember();
	/* A QP in RESET drops what comes. */
	assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
	end_post_recv(&pair.a, 0, &sge, 1);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_RETRY_EXC_ERR);
	cq_expect(pair.a.rcq, IBV_WC_WR_FLUSH_ERR);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(rig_counter("completer_retry_err") - before, 3);
	/* The one that failed was sent, as stock rxe counts it. */
	expect_grown(1, 0);
	buf_free(&from);
	pair_close(&pair);
}

/* An answer that waits for the page that it is for. */
static void deferred(void **state)
{
	long before = rig_counter("ack_deferred");
	struct conn conn = CONN;
	struct buf from, to;
	struct uffd uffd;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_READ, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, to.data + PAGE, PAGE);
	uffd_serve(&uffd, 6, 10);
	pair_move_checked(&pair, OP_READ, &from, &to, 9);
	assert_int_equal(uffd.asked, 1);
	assert_true(rig_counter("ack_deferred") > before);
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(sends_and_receives), TEST(datagrams), TEST(retries), TEST(deferred))
