// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What belongs to a queue pair's life, by packets and without: receivers that are not ready, the first message, queues that are
 * flushed, drained, full and destroyed. A program sees the same (lib/same.h).
 *
 * Not compared: which of the requests behind one that waits go on in SQD. Those that have begun do, which of packets is a question of
 * the window, and without them is the next alone. Nor how many requests have succeeded when the other end ends by itself, which is as
 * many as were acknowledged: each of them here is waited for.
 */
#include "same.h"

#include <unistd.h>

#define WRITE IBV_WR_RDMA_WRITE
#define IMM   IBV_WR_RDMA_WRITE_WITH_IMM
#define READ  IBV_WR_RDMA_READ
#define SEND  IBV_WR_SEND

static void connect_rnr_0(struct conn *conn)
{
	conn->rnr_retry = 0;
}

static void connect_rnr_2(struct conn *conn)
{
	conn->rnr_retry = 2;
}

/* The SEND finds no receive, and is not to wait for ever. */
static void gives_up(struct same *s)
{
	struct end *a = &s->pair.a;

	same_add(s, a, WRITE, 0, 500);
	same_add(s, a, SEND, 600, 100);
	same_add(s, a, WRITE, 2000, 500);
	same_add(s, a, IMM, 3000, 500);
	same_ring(s, a);
	same_sent(s, a, 4);
	end_await_state(a, IBV_QPS_ERR);
}

static void await_rnr(long before)
{
	double end = seconds() + BOUND_S;

	while (rig_counter("rcvd_rnr_err") == before)
		if (seconds() > end)
			fail_because("nobody is told that the receiver is not ready");
}

/* Nothing comes of it, nor of those behind, before there is a receive. */
static void waits(struct same *s, enum ibv_wr_opcode opcode)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	long rnr = rig_counter("rcvd_rnr_err");
	struct ibv_wc wc;

	same_add(s, a, opcode, 600, 100);
	same_add(s, a, WRITE, 2000, 500);
	same_add(s, a, READ, 4000, 500);
	same_add(s, a, SEND, 600, 50);
	same_ring(s, a);
	await_rnr(rnr);
	same_note(s, "completions: %d", ibv_poll_cq(a->scq, 1, &wc) + ibv_poll_cq(b->rcq, 1, &wc));
	same_note_memory(s);
	same_post_recv(s, b, 7000, 100);
	same_post_recv(s, b, 8000, 100);
	same_sent(s, a, 4);
	same_received(s, b, 2);
}

static void send_waits(struct same *s)
{
	waits(s, SEND);
}

static void immediate_waits(struct same *s)
{
	waits(s, IMM);
}

/* b is in RTR when the first message comes, and is told. */
static void first_in_rtr(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;

	assert_zero(end_set_state(b, IBV_QPS_RESET));
	assert_zero(end_to_init(b, &s->pair.conn));
	same_post_recv(s, b, 0, 100);
	assert_zero(end_to_rtr(b, a, &s->pair.conn));
	same_do(s, a, SEND, 600, 100);
	same_event(s, b);
	same_received(s, b, 1);
}

/* And of none behind it. */
static void more_in_rtr(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	int i;

	for (i = 0; i < 3; i++) {
		same_post_recv(s, b, 1000 + 100 * i, 100);
		same_do(s, a, SEND, 600, 100 - i);
		same_received(s, b, 1);
	}
	same_note(s, "in state %d", end_state(b));
	assert_zero(end_to_rts(b, &s->pair.conn));
	same_do(s, a, WRITE, 3000, 100);
}

/*
 * In RTR anew, with the peer still at work: its next request is the first of this connection, whether or not it could do without
 * packets before.
 */
static void again_in_rtr(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	uint32_t psn = a->psn;

	same_do(s, a, WRITE, 3000, 100);
	assert_zero(ibv_query_qp(a->qp, &attr, IBV_QP_SQ_PSN, &init));
	assert_zero(end_set_state(b, IBV_QPS_RESET));
	assert_zero(end_to_init(b, &s->pair.conn));
	a->psn = attr.sq_psn;
	assert_zero(end_to_rtr(b, a, &s->pair.conn));
	a->psn = psn;
	same_do(s, a, WRITE, 4000, 100);
	same_event(s, b);
}

/* What waits, and what is posted in error. */
static void flushed_by_its_owner(struct same *s)
{
	struct end *a = &s->pair.a;
	int i;

	for (i = 0; i < 5; i++)
		same_post_recv(s, a, 100 * i, 100);
	same_do(s, a, WRITE, 0, 500);
	for (i = 0; i < 6; i++)
		same_add(s, a, i & 1 ? WRITE : SEND, 600, 100)->send_flags =
			i & 2 ? 0 : IBV_SEND_SIGNALED;
	same_ring(s, a);
	assert_zero(end_set_state(a, IBV_QPS_ERR));
	same_sent(s, a, 6);
	same_received(s, a, 5);
	same_do(s, a, WRITE, 0, 500);
	same_post_recv(s, a, 0, 100);
	same_received(s, a, 1);
}

/* The receives of the end that was at work for a peer. */
static void the_other_is_flushed(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	int i;

	for (i = 0; i < 4; i++)
		same_post_recv(s, b, 100 * i, 100);
	same_do(s, a, SEND, 600, 100);
	same_do(s, a, WRITE, 1000, 500);
	same_received(s, b, 1);
	assert_zero(end_set_state(b, IBV_QPS_ERR));
	same_received(s, b, 3);
}

static void note_drained(struct same *s, bool posts)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	struct end *a = &s->pair.a;
	struct ibv_qp_init_attr init;

	assert_zero(ibv_modify_qp(a->qp, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	if (posts)
		same_post_recv(s, &s->pair.b, 7000, 100);
	same_event(s, a);
	assert_zero(ibv_query_qp(a->qp, &attr, IBV_QP_STATE, &init));
	same_note(s, "a: state %d, draining %d", attr.qp_state, attr.sq_draining);
}

/* Idle, then with one that has begun and waits for a receive; what is posted in SQD waits for RTS. */
static void drains(struct same *s)
{
	struct end *a = &s->pair.a;
	long rnr = rig_counter("rcvd_rnr_err");
	struct ibv_wc wc;
	int i;

	same_do(s, a, WRITE, 0, 500);
	note_drained(s, false);
	assert_zero(end_set_state(a, IBV_QPS_RTS));
	same_add(s, a, SEND, 600, 100);
	same_ring(s, a);
	await_rnr(rnr);
	note_drained(s, true);
	same_sent(s, a, 1);
	same_received(s, &s->pair.b, 1);
	for (i = 0; i < 3; i++)
		same_add(s, a, WRITE, 1000 * i, 500);
	same_ring(s, a);
	same_note(s, "completions: %d", ibv_poll_cq(a->scq, 1, &wc));
	same_note_memory(s);
	assert_zero(end_set_state(a, IBV_QPS_RTS));
	same_sent(s, a, 3);
}

static void destroy(struct end *end)
{
	assert_zero(ibv_destroy_qp(end->qp));
	end->qp = NULL;
}

/* With requests that wait. */
static void requester_goes(struct same *s)
{
	struct end *a = &s->pair.a;
	int i;

	same_do(s, a, WRITE, 0, 500);
	for (i = 0; i < 6; i++)
		same_add(s, a, i & 1 ? WRITE : SEND, 600, 100);
	same_post_recv(s, a, 0, 100);
	same_ring(s, a);
	destroy(a);
}

static void connect_short(struct conn *conn)
{
	conn->timeout = 14;
}

/* Its peer's requests run out of retries. */
static void responder_goes(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	int i;

	same_post_recv(s, b, 0, 100);
	same_post_recv(s, b, 100, 100);
	same_do(s, a, SEND, 600, 100);
	same_received(s, b, 1);
	same_do(s, a, WRITE, 2000, 500);
	destroy(b);
	for (i = 0; i < 4; i++)
		same_add(s, a, i & 1 ? READ : WRITE, 4000, 500);
	same_ring(s, a);
	same_sent(s, a, 4);
	end_await_state(a, IBV_QPS_ERR);
}

static void connect_few_cqe(struct conn *conn)
{
	conn->cqe = 3;
}

/* A receive too many for b's queue, and one more for a's. */
static void queues_overrun(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	int i, room = b->rcq->cqe;

	for (i = 0; i <= room; i++)
		same_post_recv(s, b, 100 * i, 100);
	for (i = 0; i <= room; i++)
		same_do(s, a, SEND, 600, 100);
	same_event(s, b);
	same_event(s, b);
	end_await_state(b, IBV_QPS_ERR);
	same_received(s, b, room);
}

static void senders_queue_overruns(struct same *s)
{
	struct end *a = &s->pair.a;
	int i, room = a->scq->cqe;

	for (i = 0; i < room + 3; i++)
		same_add(s, a, WRITE, 100 * i, 100);
	same_ring(s, a);
	same_event(s, a);
	same_event(s, a);
	end_await_state(a, IBV_QPS_ERR);
	same_sent(s, a, room);
	/* Which of those behind were executed is left open by the queue pair's error. */
	assert_zero(end_set_state(&s->pair.b, IBV_QPS_ERR));
	memset(s->b.data, 0, s->b.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SAME(gives_up, 1, .fails = true, .connect = connect_rnr_0),
		SAME_NAMED("gives_up after two retries", gives_up, 1, .fails = true,
			   .connect = connect_rnr_2),
		SAME(send_waits, 3, .rnr_by_time = true),
		SAME(immediate_waits, 3, .rnr_by_time = true),
		SAME(more_in_rtr, 4, .prepare = first_in_rtr, .one_way = true),
		SAME(again_in_rtr, 1, .one_way = true),
		SAME(flushed_by_its_owner, 1, .fails = true, .rnr_by_time = true),
		SAME(the_other_is_flushed, 2, .fails = true),
		SAME(drains, 4, .rnr_by_time = true),
		SAME(requester_goes, 1, .rnr_by_time = true),
		SAME(responder_goes, 2, .fails = true, .connect = connect_short),
		SAME(queues_overrun, 4, .connect = connect_few_cqe),
		SAME(senders_queue_overruns, 4, .connect = connect_few_cqe),
	};

	return same_run(tests, ARRAY_SIZE(tests));
}
