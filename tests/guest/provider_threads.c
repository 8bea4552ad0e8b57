// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Eight threads post to one queue pair and poll its CQ, all receives from one SRQ, whose ring and whose CQ are resized meanwhile,
 * and every request completes once. The provider that runs under this, and the program, are built with ThreadSanitizer: a race
 * between two of them ends the program with its report.
 */
#include "pair.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS 8
#define EACH	400
#define BYTES	64

struct work {
	struct rig rig;
	struct end a, b;
	struct ibv_srq *srq;
	struct buf from, to;
	pthread_t threads[THREADS];
	unsigned int polled, received; /* by all threads */
	unsigned int bad;
	unsigned char seen[THREADS * EACH];
};

struct thread {
	struct work *w;
	unsigned int id;
};

static unsigned int add(unsigned int *to, unsigned int num)
{
	return __atomic_add_fetch(to, num, __ATOMIC_RELAXED);
}

static unsigned int get(const unsigned int *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static void poll_some(struct work *w)
{
	struct ibv_wc wc[4];
	int i, n = ibv_poll_cq(w->a.scq, 4, wc);

	for (i = 0; i < n; i++)
		if (wc[i].status != IBV_WC_SUCCESS || wc[i].wr_id >= THREADS * EACH ||
		    __atomic_exchange_n(&w->seen[wc[i].wr_id], 1, __ATOMIC_RELAXED))
			add(&w->bad, 1);
	if (n > 0)
		add(&w->polled, n);
	n = ibv_poll_cq(w->b.rcq, 4, wc);
	for (i = 0; i < n; i++)
		if (wc[i].status != IBV_WC_SUCCESS)
			add(&w->bad, 1);
	if (n > 0)
		add(&w->received, n);
}

/* A receive for a send, then the send; what is full is emptied by polling. */
static void post_one(struct work *w, uint64_t wr_id)
{
	struct ibv_sge to = buf_sge(&w->to, 0, BYTES), from = buf_sge(&w->from, 0, BYTES);
	struct ibv_recv_wr recv = { .sg_list = &to, .num_sge = 1 }, *bad_recv;
	struct ibv_send_wr send = wr_make(IBV_WR_SEND, &from, 1), *bad;
	int err;

	while ((err = ibv_post_srq_recv(w->srq, &recv, &bad_recv)) == ENOMEM)
		poll_some(w);
	if (err)
		add(&w->bad, 1);
	send.wr_id = wr_id;
	while ((err = ibv_post_send(w->a.qp, &send, &bad)) == ENOMEM)
		poll_some(w);
	if (err)
		add(&w->bad, 1);
}

static void *post_and_poll(void *arg)
{
	struct thread *t = arg;
	struct work *w = t->w;
	double last = seconds() + 4 * BOUND_S;
	unsigned int i;

	for (i = 0; i < EACH; i++)
		post_one(w, t->id * EACH + i);
	while ((get(&w->polled) < THREADS * EACH || get(&w->received) < THREADS * EACH) &&
	       seconds() < last)
		poll_some(w);
	return NULL;
}

static void resize_all(struct work *w, unsigned int round)
{
	struct ibv_srq_attr attr = { .max_wr = round & 1 ? 300 : 600 };

	if (ibv_modify_srq(w->srq, &attr, IBV_SRQ_MAX_WR) ||
	    ibv_resize_cq(w->a.scq, round & 1 ? 8000 : 4000))
		add(&w->bad, 1);
}

static void one_of_each(void **state)
{
	static struct work w;
	struct thread threads[THREADS];
	struct conn conn = CONN;
	unsigned int i;

	(void)state;
	rig_use_provider("tsan");
	memset(&w, 0, sizeof(w));
	conn.srq_b = true;
	conn.send_wr = 64;
	conn.recv_wr = 200;
	conn.cqe = 4000;
	conn.rnr_retry = 7;
	rig_open(&w.rig);
	ends_open(&w.a, &w.rig, &w.b, &w.rig, &conn);
	w.srq = w.b.srq;
	buf_make(&w.from, w.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&w.to, w.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	for (i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ &w, i };
		assert_zero(pthread_create(&w.threads[i], NULL, post_and_poll, &threads[i]));
	}
	for (i = 0; i < 20; i++)
		resize_all(&w, i);
	for (i = 0; i < THREADS; i++)
		assert_zero(pthread_join(w.threads[i], NULL));
	assert_int_equal(w.bad, 0);
	assert_int_equal(w.polled, THREADS * EACH);
	assert_int_equal(w.received, THREADS * EACH);
	cq_assert_empty(w.a.scq);
	buf_free(&w.from);
	buf_free(&w.to);
	end_close(&w.a);
	end_close(&w.b);
	rig_close(&w.rig);
}

TEST_MAIN(TEST(one_of_each))
