// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * No post is neither seen nor rung. Threads post to one queue pair, in bursts and one by one, and leave the doorbell out
 * wherever the queue promises to look; answers come on the other CPU meanwhile. Again and again they wait for all that they
 * posted: one that was lost would never complete.
 */
#include "doorbell.h"
#include "pair.h"
#include "random.h"

#include <pthread.h>
#include <sched.h>

#define THREADS 2
#define ROOM	256U
#define HANG_S	20

struct poster {
	pthread_t thread;
	struct storm *storm;
	struct rnd rnd;
	bool failed;
};

struct storm {
	struct pair pair;
	struct buf from, to;
	struct doorbell *bell;
	unsigned long posted, done;
	double until;
	pthread_mutex_t poll;
};

static bool storm_take(struct storm *s)
{
	struct ibv_wc wc[16];
	int i, n;

	pthread_mutex_lock(&s->poll);
	n = ibv_poll_cq(s->pair.a.scq, ARRAY_SIZE(wc), wc);
	for (i = 0; i < n; i++)
		if (wc[i].status != IBV_WC_SUCCESS)
			n = -1;
	if (n > 0)
		__atomic_add_fetch(&s->done, n, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&s->poll);
	return n >= 0;
}

static unsigned long storm_open(struct storm *s)
{
	/* What is done first: it only grows towards what was posted. */
	unsigned long done = __atomic_load_n(&s->done, __ATOMIC_SEQ_CST);

	return __atomic_load_n(&s->posted, __ATOMIC_SEQ_CST) - done;
}

static bool storm_wait(struct storm *s, unsigned long open)
{
	double end = seconds() + HANG_S;

	while (storm_open(s) > open) {
		if (!storm_take(s))
			return false;
		if (seconds() > end) {
			printf("%lu requests neither seen nor rung, the promise is %u\n",
			       storm_open(s), doorbell_promise(s->bell));
			return false;
		}
	}
	return true;
}

static bool storm_post(struct storm *s)
{
	bool ud = s->pair.conn.type == IBV_QPT_UD;
	struct ibv_sge sge = buf_sge(&s->from, 0, 8);
	struct ibv_send_wr *bad, wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &s->to, 0);

	if (ud) {
		wr = wr_make(IBV_WR_SEND, &sge, 1);
		wr.wr.ud.ah = s->pair.a.ah;
		wr.wr.ud.remote_qpn = s->pair.b.qp->qp_num;
		wr.wr.ud.remote_qkey = UD_QKEY;
	}
	__atomic_add_fetch(&s->posted, 1, __ATOMIC_SEQ_CST);
	return !ibv_post_send(s->pair.a.qp, &wr, &bad);
}

static void *poster(void *arg)
{
	struct poster *p = arg;
	struct storm *s = p->storm;
	unsigned int burst, spin;

	while (!p->failed && seconds() < s->until) {
		for (burst = 1 + rnd_below(&p->rnd, rnd_one_in(&p->rnd, 4) ? 100 : 3); burst--;) {
			p->failed |= !storm_wait(s, ROOM - 2 * THREADS) || !storm_post(s);
			for (spin = rnd_below(&p->rnd, 300); spin--;)
				asm volatile("");
		}
		if (rnd_one_in(&p->rnd, 3))
			p->failed |= !storm_wait(s, THREADS == 1 ? 0 : rnd_below(&p->rnd, 2));
		if (rnd_one_in(&p->rnd, 16))
			sched_yield();
	}
	return NULL;
}

static void storm(enum ibv_qp_type type, bool wire)
{
	struct storm s = { .poll = PTHREAD_MUTEX_INITIALIZER };
	struct poster posters[THREADS] = { 0 };
	struct conn conn = CONN;
	uint64_t seed = rnd_seed();
	unsigned int i;

	conn.type = type;
	conn.wire = wire;
	conn.send_wr = ROOM;
	conn.cqe = 2 * ROOM;
	pair_open(&s.pair, &conn);
	buf_make(&s.from, s.pair.a.rig->pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	buf_make(&s.to, s.pair.b.rig->pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	s.bell = doorbell_begin(s.pair.a.qp);
	assert_true(storm_post(&s));
	assert_true(storm_wait(&s, 0));
	s.until = seconds() + env_number("STORM_S", 2);
	for (i = 0; i < THREADS; i++) {
		posters[i].storm = &s;
		posters[i].rnd.state = seed + i;
		assert_zero(pthread_create(&posters[i].thread, NULL, poster, &posters[i]));
	}
	for (i = 0; i < THREADS; i++)
		assert_zero(pthread_join(posters[i].thread, NULL));
	for (i = 0; i < THREADS; i++)
		assert_false(posters[i].failed);
	assert_true(storm_wait(&s, 0));
	printf("%lu posts, %lu doorbells, %lu left out\n", s.posted, s.bell->rung,
	       s.bell->left_out);
	doorbells_end();
	buf_free(&s.from);
	buf_free(&s.to);
	pair_close(&s.pair);
}

static void rc_on_one_device(void **state)
{
	storm(IBV_QPT_RC, false);
}

static void rc_across_the_wire(void **state)
{
	storm(IBV_QPT_RC, true);
}

static void ud_across_the_wire(void **state)
{
	storm(IBV_QPT_UD, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rc_on_one_device),
		TEST(rc_across_the_wire),
		TEST(ud_across_the_wire),
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
