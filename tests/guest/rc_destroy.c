// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs that are destroyed while packets for them come in, connected ones and those of datagrams; and a process that
 * ends with ten thousand of them, without waiting for each.
 */
#include "pair.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS	    (slow_cpu() ? 60 : 300)
#define WRITES	    8
#define WRITE_BYTES (64 * KIB)
#define MOST	    10000
/* Where the CPU is emulated their making takes half a minute: uml has them all. */
#define MANY (emulated_cpu() ? 2000 : MOST)

/* The writer is destroyed as well, and its number is not told to anybody again soon. */
static void destroy_connected(enum ibv_qp_type type)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int i, j;

	conn.type = type;
	conn.wire = true;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, WRITE_BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, WRITE_BYTES, 0, ACCESS_ALL);
	for (i = 0; i < ROUNDS; i++) {
		struct ibv_sge sge = buf_sge(&from, 0, WRITE_BYTES);
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		struct end a, b;

		ends_open(&a, pair.a.rig, &b, pair.b.rig, &conn);
		for (j = 0; j < WRITES; j++)
			end_post(&a, &wr);
		end_close(i & 1 ? &a : &b);
		end_close(i & 1 ? &b : &a);
	}
	pair_assert_works(&pair);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void connected(void **state)
{
	(void)state;
	destroy_connected(IBV_QPT_RC);
}

static void connected_unreliably(void **state)
{
	(void)state;
	destroy_connected(IBV_QPT_UC);
}

/* Sends to whatever number it is told, as fast as it can. */
struct sender {
	struct end *end;
	struct buf *from;
	_Atomic uint32_t qpn;
	_Atomic bool stop;
	unsigned long sent;
	int failed;
};

static void *sender_run(void *arg)
{
	struct sender *s = arg;
	struct ibv_sge sge = buf_sge(s->from, 0, 64);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1), *bad;
	struct ibv_wc wc;

	wr.wr.ud.ah = s->end->ah;
	wr.wr.ud.remote_qkey = UD_QKEY;
	while (!atomic_load(&s->stop)) {
		wr.wr.ud.remote_qpn = atomic_load(&s->qpn);
		if (ibv_post_send(s->end->qp, &wr, &bad) ||
		    !cq_poll_bounded(s->end->scq, &wc, BOUND_S) || wc.status != IBV_WC_SUCCESS) {
			s->failed = 1;
			break;
		}
		s->sent++;
	}
	return NULL;
}

static void datagrams(void **state)
{
	struct conn conn = CONN;
	unsigned long got = 0;
	struct sender sender;
	struct buf from, to;
	struct pair pair;
	pthread_t thread;
	int i;

	(void)state;
	conn.wire = true;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 104, 0, ACCESS_ALL);
	sender = (struct sender){ .end = &pair.a, .from = &from, .qpn = pair.b.qp->qp_num };
	assert_zero(pthread_create(&thread, NULL, sender_run, &sender));
	for (i = 0; i < ROUNDS || (!got && i < 100 * ROUNDS); i++) {
		struct ibv_sge sge = buf_sge(&to, 0, 104);
		struct ibv_wc wc;
		struct end b = { 0 };

		end_create(&b, pair.b.rig, &conn);
		assert_zero(end_to_init(&b, &conn));
		end_post_recv(&b, 1, &sge, 1);
		assert_zero(end_to_rtr(&b, &pair.a, &conn));
		atomic_store(&sender.qpn, b.qp->qp_num);
		/* Now and then with datagrams of its own under way, or else before the first. */
		if (i & 1)
			got += cq_poll_bounded(b.rcq, &wc, 1);
		end_close(&b);
	}
	atomic_store(&sender.stop, true);
	assert_zero(pthread_join(thread, NULL));
	printf("%lu datagrams, %lu were taken\n", sender.sent, got);
	assert_int_equal(sender.failed, 0);
	assert_true(got > 0);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* Connected, two by two: so each has a route. */
static int own_many(int ready)
{
	static struct end ends[MOST];
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC };
	struct conn conn = CONN;
	struct rig rig;
	struct end model = { 0 };
	int i;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	rig_open(&rig);
	end_create(&model, &rig, &conn);
	init.cap = (struct ibv_qp_cap){ 1, 1, 1, 1, 0 };
	init.send_cq = model.scq;
	init.recv_cq = model.rcq;
	for (i = 0; i < MANY; i++) {
		ends[i] = model;
		ends[i].qp = ibv_create_qp(rig.pd, &init);
		if (!ends[i].qp) {
			printf("queue pair %d: errno %d\n", i, errno);
			return 1;
		}
		if (i & 1)
			ends_connect(&ends[i - 1], &ends[i], &conn);
	}
	return write(ready, "r", 1) != 1;
}

static void process_ends(void **state)
{
	double last, begun;
	int ready[2], status, rc;
	pid_t pid;
	char c;

	(void)state;
	assert_zero(pipe(ready));
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(own_many(ready[1]));
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		fail_because("no %d queue pairs", MANY);
	close(ready[0]);
	begun = seconds();
	last = begun + BOUND_S;
	while (!(rc = waitpid(pid, &status, WNOHANG))) {
		if (seconds() > last)
			fail_because("a process with %d queue pairs does not end", MANY);
		usleep(5000);
	}
	assert_int_equal(rc, pid);
	assert_int_equal(status, 0);
	printf("%d queue pairs went in %.1f s\n", MANY, seconds() - begun);
}

TEST_MAIN(TEST(connected), TEST(connected_unreliably), TEST(datagrams), TEST(process_ends))
