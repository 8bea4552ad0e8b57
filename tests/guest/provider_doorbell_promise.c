// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A post without a doorbell, where the send queue promises that the kernel looks at it by itself: the promise is there
 * whenever the queue is held up, is kept whatever ends that, and is not there when a doorbell would be answered.
 */
#include "doorbell.h"
#include "pair.h"

#define POSTS 40U

static void post_sends(struct end *end, const struct buf *buf, unsigned int num)
{
	while (num--) {
		struct ibv_sge sge = buf_sge(buf, 0, 8);
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);

		end_post(end, &wr);
	}
}

static void post_recvs(struct end *end, const struct buf *buf, unsigned int num)
{
	while (num--) {
		struct ibv_sge sge = buf_sge(buf, 0, buf->bytes);

		end_post_recv(end, 0, &sge, 1);
	}
}

static void await(struct pair *pair, unsigned int num, enum ibv_wc_status status)
{
	while (num--) {
		cq_expect(pair->a.scq, status);
		if (status == IBV_WC_SUCCESS)
			cq_success(pair->b.rcq);
	}
}

/* The peer has no receive: told so, the requester waits, and tries again by a timer. */
static void hold_up(struct pair *pair, const struct buf *buf, struct doorbell **bell)
{
	double end = seconds() + BOUND_S;
	uint32_t promise;

	*bell = doorbell_begin(pair->a.qp);
	post_sends(&pair->a, buf, 1);
	while (!(promise = doorbell_promise(*bell)) && seconds() < end)
		;
	assert_int_equal(promise, RXE_ODP_PROMISE_ENGINE);
}

static void setup(struct pair *pair, struct buf *buf, enum ibv_qp_type type)
{
	struct conn conn = CONN;

	conn.type = type;
	/* 655 ms, the longest: when it tries again there is no promise for a moment. */
	conn.min_rnr_timer = 0;
	pair_open(pair, &conn);
	buf_make(buf, pair->rig.pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	memset(buf->data, 1, buf->bytes);
}

static void done(struct pair *pair, struct buf *buf)
{
	doorbells_end();
	buf_free(buf);
	pair_close(pair);
}

/*
 * The first request may have needed a doorbell or not: the kernel looks at a queue after each
 * change of its state, from a thread, and makes its promise if that finds the request.
 */
static void post_held_up(struct pair *pair, const struct buf *buf, const struct doorbell *bell,
			 unsigned int num)
{
	unsigned long rung = bell->rung;

	post_sends(&pair->a, buf, num);
	assert_int_equal(bell->rung, rung);
}

static void held_up_by_rnr(void **state)
{
	struct doorbell *bell;
	struct pair pair;
	struct buf buf;

	setup(&pair, &buf, IBV_QPT_RC);
	hold_up(&pair, &buf, &bell);
	post_held_up(&pair, &buf, bell, POSTS);
	post_recvs(&pair.b, &buf, POSTS + 1);
	await(&pair, POSTS + 1, IBV_WC_SUCCESS);
	done(&pair, &buf);
}

static void drained_and_ready_again(void **state)
{
	struct doorbell *bell;
	struct pair pair;
	struct buf buf;

	setup(&pair, &buf, IBV_QPT_RC);
	post_recvs(&pair.b, &buf, POSTS);
	assert_zero(end_set_state(&pair.a, IBV_QPS_SQD));
	bell = doorbell_begin(pair.a.qp);
	post_sends(&pair.a, &buf, 1);
	post_held_up(&pair, &buf, bell, POSTS - 1);
	cq_assert_empty(pair.a.scq);
	assert_zero(end_set_state(&pair.a, IBV_QPS_RTS));
	await(&pair, POSTS, IBV_WC_SUCCESS);
	done(&pair, &buf);
}

static void failed_meanwhile(void **state)
{
	struct doorbell *bell;
	struct pair pair;
	struct buf buf;

	setup(&pair, &buf, IBV_QPT_RC);
	hold_up(&pair, &buf, &bell);
	post_held_up(&pair, &buf, bell, POSTS);
	assert_zero(end_set_state(&pair.a, IBV_QPS_ERR));
	await(&pair, POSTS + 1, IBV_WC_WR_FLUSH_ERR);
	/* In error what is posted is flushed. */
	post_sends(&pair.a, &buf, POSTS);
	await(&pair, POSTS, IBV_WC_WR_FLUSH_ERR);
	done(&pair, &buf);
}

/* A request that may not be posted is refused, and never executed. */
static void refused_after_reset(void **state)
{
	struct doorbell *bell;
	struct pair pair;
	struct buf buf;

	setup(&pair, &buf, IBV_QPT_RC);
	hold_up(&pair, &buf, &bell);
	post_sends(&pair.a, &buf, POSTS);
	assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
	assert_int_equal(doorbell_promise(bell), 0);
	ring_doorbell(pair.a.qp);
	pair_reconnect(&pair);
	assert_int_equal(doorbell_promise(bell), 0);
	pair_assert_works(&pair);
	cq_assert_empty(pair.a.scq);
	done(&pair, &buf);
}

static bool is_done(struct pair *pair)
{
	struct ibv_wc wc;
	int num = ibv_poll_cq(pair->a.scq, 1, &wc);

	assert_in_range(num, 0, 1);
	if (!num)
		return false;
	assert_int_equal(wc.status, IBV_WC_SUCCESS);
	cq_success(pair->b.rcq);
	return true;
}

/*
 * The word is the kernel's to write. A process that makes a promise to itself waits for itself, unless the engine still has a
 * reason of its own to look, as when a packet has left.
 */
static void promised_by_the_process(void **state)
{
	struct pair pair, other;
	volatile uint32_t *word;
	struct doorbell *bell;
	struct buf buf;
	int i, waited = 0;

	setup(&pair, &buf, IBV_QPT_RC);
	pair_open(&other, &pair.conn);
	post_recvs(&pair.b, &buf, 33);
	bell = doorbell_begin(pair.a.qp);
	post_sends(&pair.a, &buf, 1);
	await(&pair, 1, IBV_WC_SUCCESS);
	word = (volatile uint32_t *)(bell->ring->addr + RING_PROMISE_AT);
	for (i = 0; i < 32; i++) {
		/* Waits for the engine that has completed the last one and may still look for the next. */
		assert_int_equal(end_state(&pair.a), IBV_QPS_RTS);
		*word = 1U << i;
		post_sends(&pair.a, &buf, 1);
		pair_assert_works(&other);
		*word = 0;
		if (is_done(&pair))
			continue;
		waited++;
		ring_doorbell(pair.a.qp);
		await(&pair, 1, IBV_WC_SUCCESS);
	}
	assert_true(waited);
	pair_close(&other);
	done(&pair, &buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(held_up_by_rnr),	   TEST(drained_and_ready_again), TEST(failed_meanwhile),
		TEST(refused_after_reset), TEST(promised_by_the_process),
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
