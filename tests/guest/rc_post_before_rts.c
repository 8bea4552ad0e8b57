// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A send that was refused, because the QP may not send yet, is not work: it is neither executed nor flushed when the QP
 * gets on, and takes no place in the send queue. librxe has written it into the ring by then. A receive that was refused is
 * not used.
 */
#include "pair.h"

#include <pthread.h>
#include <unistd.h>

#define REFUSED 3
#define RACES	(slow_cpu() ? 50 : 200)

struct wires {
	struct conn conn;
	struct pair pair;
	struct buf from, to;
	struct ibv_sge sge;
	struct ibv_send_wr wr;
	volatile bool stop; /* posting in a thread */
};

static void wires_open(struct wires *w, enum ibv_qp_type type)
{
	w->stop = false;
	w->conn = CONN;
	w->conn.type = type;
	pair_open(&w->pair, &w->conn);
	buf_make(&w->from, w->pair.rig.pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&w->to, w->pair.rig.pd, MEM_ANON, 64 + 40, 0, ACCESS_ALL);
	memset(w->to.data, 0xee, w->to.bytes);
	w->sge = buf_sge(&w->from, 0, 64);
	w->wr = wr_rdma(IBV_WR_RDMA_WRITE, &w->sge, 1, &w->to, 0);
	if (type == IBV_QPT_UD) {
		w->wr = wr_make(IBV_WR_SEND, &w->sge, 1);
		w->wr.wr.ud.ah = w->pair.a.ah;
		w->wr.wr.ud.remote_qpn = w->pair.b.qp->qp_num;
		w->wr.wr.ud.remote_qkey = UD_QKEY;
	}
	assert_zero(end_set_state(&w->pair.a, IBV_QPS_RESET));
}

static void wires_close(struct wires *w)
{
	buf_free(&w->from);
	buf_free(&w->to);
	pair_close(&w->pair);
}

static void refused(struct wires *w, unsigned int times)
{
	struct ibv_send_wr *bad;

	while (times--)
		if (!ibv_post_send(w->pair.a.qp, &w->wr, &bad))
			fail_because("a send is accepted in state %d", end_state(&w->pair.a));
}

/* Nothing of what was refused comes out, at either end. */
static void assert_nothing(struct wires *w)
{
	struct ibv_wc wc;
	size_t i;

	if (cq_poll_bounded(w->pair.a.scq, &wc, 0.2))
		fail_because("a refused send completes: %s", ibv_wc_status_str(wc.status));
	cq_assert_empty(w->pair.b.rcq);
	for (i = 0; i < w->to.bytes; i++)
		assert_int_equal(w->to.data[i], 0xee);
}

/* The queue takes as much as it was made for, and all of it is done in order. */
static void assert_whole_capacity(struct wires *w)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };
	struct ibv_qp_init_attr init;
	struct ibv_send_wr *bad;
	uint32_t i;

	assert_zero(ibv_query_qp(w->pair.a.qp, &attr, IBV_QP_CAP, &init));
	assert_zero(end_set_state(&w->pair.a, IBV_QPS_SQD));
	for (i = 0; i < init.cap.max_send_wr; i++) {
		w->wr.wr_id = i;
		end_post(&w->pair.a, &w->wr);
	}
	assert_int_not_equal(ibv_post_send(w->pair.a.qp, &w->wr, &bad), 0);
	attr.qp_state = IBV_QPS_RTS;
	assert_zero(ibv_modify_qp(w->pair.a.qp, &attr, IBV_QP_STATE));
	for (i = 0; i < init.cap.max_send_wr; i++)
		assert_int_equal(cq_success(w->pair.a.scq).wr_id, i);
	cq_assert_empty(w->pair.a.scq);
}

static void climb(struct wires *w, unsigned int times)
{
	struct end *a = &w->pair.a;

	refused(w, times);
	assert_zero(end_to_init(a, &w->conn));
	refused(w, times);
	assert_zero(end_to_rtr(a, &w->pair.b, &w->conn));
	refused(w, times);
	assert_zero(end_to_rts(a, &w->conn));
	assert_nothing(w);
}

static void refused_before_rts(void **state)
{
	struct wires w;

	(void)state;
	wires_open(&w, IBV_QPT_RC);
	climb(&w, REFUSED);
	pair_assert_works(&w.pair);
	assert_whole_capacity(&w);
	wires_close(&w);
}

/* Somebody who posts until it is accepted: more often than the queue is long. */
static void refused_often(void **state)
{
	struct wires w;

	(void)state;
	wires_open(&w, IBV_QPT_RC);
	climb(&w, 3 * w.conn.send_wr);
	pair_assert_works(&w.pair);
	assert_whole_capacity(&w);
	wires_close(&w);
}

static void refused_datagrams(void **state)
{
	struct ibv_sge dst;
	struct wires w;

	(void)state;
	wires_open(&w, IBV_QPT_UD);
	dst = buf_sge(&w.to, 0, w.to.bytes);
	end_post_recv(&w.pair.b, 1, &dst, 1);
	climb(&w, REFUSED);
	end_post(&w.pair.a, &w.wr);
	cq_success(w.pair.a.scq);
	cq_success(w.pair.b.rcq);
	assert_whole_capacity(&w);
	wires_close(&w);
}

/* What was refused is not flushed; what is posted in the error state is, and gone after RESET. */
static void refused_then_error(void **state)
{
	struct wires w;

	(void)state;
	wires_open(&w, IBV_QPT_RC);
	refused(&w, REFUSED);
	assert_zero(end_to_init(&w.pair.a, &w.conn));
	refused(&w, REFUSED);
	assert_zero(end_set_state(&w.pair.a, IBV_QPS_ERR));
	assert_nothing(&w);
	w.wr.wr_id = 77;
	end_post(&w.pair.a, &w.wr);
	assert_int_equal(cq_expect(w.pair.a.scq, IBV_WC_WR_FLUSH_ERR).wr_id, 77);
	cq_assert_empty(w.pair.a.scq);
	assert_zero(end_set_state(&w.pair.a, IBV_QPS_RESET));
	climb(&w, REFUSED);
	pair_reconnect(&w.pair);
	pair_assert_works(&w.pair);
	assert_whole_capacity(&w);
	wires_close(&w);
}

static void refused_receive(void **state)
{
	struct ibv_recv_wr wr = { .wr_id = 1 }, *bad;
	struct wires w;

	(void)state;
	wires_open(&w, IBV_QPT_RC);
	assert_int_not_equal(ibv_post_recv(w.pair.a.qp, &wr, &bad), 0);
	assert_zero(end_set_state(&w.pair.b, IBV_QPS_RESET));
	assert_zero(end_to_init(&w.pair.a, &w.conn));
	end_post_recv(&w.pair.a, 2, NULL, 0);
	assert_zero(end_to_init(&w.pair.b, &w.conn));
	assert_zero(end_to_rtr(&w.pair.a, &w.pair.b, &w.conn));
	assert_zero(end_to_rtr(&w.pair.b, &w.pair.a, &w.conn));
	assert_zero(end_to_rts(&w.pair.b, &w.conn));
	w.wr = wr_make(IBV_WR_SEND, NULL, 0);
	end_post(&w.pair.b, &w.wr);
	cq_success(w.pair.b.scq);
	assert_int_equal(cq_success(w.pair.a.rcq).wr_id, 2);
	wires_close(&w);
}

static void *post_until_accepted(void *arg)
{
	struct wires *w = arg;
	struct ibv_send_wr *bad;

	while (!w->stop && ibv_post_send(w->pair.a.qp, &w->wr, &bad))
		;
	return NULL;
}

/* Posted while another thread takes the QP to RTS: what was accepted is done, once. */
static void accepted_meanwhile(void **state)
{
	struct wires w;
	pthread_t thread;
	int i, rc;

	(void)state;
	wires_open(&w, IBV_QPT_RC);
	for (i = 0; i < RACES; i++) {
		assert_zero(ends_reconnect(&w.pair.a, &w.pair.b, &w.conn));
		assert_zero(end_set_state(&w.pair.a, IBV_QPS_RESET));
		assert_zero(end_to_init(&w.pair.a, &w.conn));
		assert_zero(end_to_rtr(&w.pair.a, &w.pair.b, &w.conn));
		w.wr.wr_id = i;
		assert_zero(pthread_create(&thread, NULL, post_until_accepted, &w));
		usleep(37 * (i % 11));
		rc = end_to_rts(&w.pair.a, &w.conn);
		/* Else it would never be accepted. */
		w.stop = rc;
		assert_zero(pthread_join(thread, NULL));
		assert_zero(rc);
		assert_int_equal(cq_success(w.pair.a.scq).wr_id, i);
		pair_assert_works(&w.pair);
		cq_assert_empty(w.pair.a.scq);
	}
	wires_close(&w);
}

TEST_MAIN(TEST(refused_before_rts), TEST(refused_often), TEST(refused_datagrams),
	  TEST(refused_then_error), TEST(refused_receive), TEST(accepted_meanwhile))
