// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An unreliable connection: its attributes; every operation and length arrives whole where nothing is lost, from lists and inline,
 * into receives of its own and of a shared queue, over both families; what it sends counts as solicited where that is asked for.
 */
#include "event.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define MTU 1024UL

static const size_t lengths[] = { 1, 3, MTU - 1, MTU, MTU + 1, 2 * MTU, 2 * MTU + 1, 100001 };

static struct conn uc(void)
{
	struct conn conn = CONN;

	conn.type = IBV_QPT_UC;
	return conn;
}

static void move_every_length(const struct conn *conn, void **state)
{
	struct buf from, to;
	struct pair pair;
	enum op op;
	size_t i;
	int odp;

	pair_open(&pair, conn);
	odp = mode(&pair.rig, state);
	for (op = 0; op < OP_KINDS; op++) {
		if (op == OP_READ)
			continue;
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			buf_make(&from, pair.a.rig->pd, MEM_ANON, lengths[i], i, ACCESS_ALL | odp);
			buf_make(&to, pair.b.rig->pd, MEM_ANON, lengths[i], 2 * i,
				 ACCESS_ALL | odp);
			pair_move_checked(&pair, op, &from, &to, i);
			pattern_fill(to.data, lengths[i], 200, 0);
			pair_move(&pair, op, &from, 0, &to, 0, 0);
			pattern_check(to.data, lengths[i], 200, 0, "a target of zero bytes");
			buf_free(&from);
			buf_free(&to);
		}
	}
	pair_close(&pair);
}

static void every_length(void **state)
{
	struct conn conn = uc();

	move_every_length(&conn, state);
}

static void over_the_wire(void **state)
{
	struct conn conn = uc();

	conn.wire = true;
	conn.ipv6 = true;
	conn.mtu = IBV_MTU_4096;
	conn.srq_b = true;
	move_every_length(&conn, state);
}

static void inline_data(void **state)
{
	struct conn conn = uc();
	struct ibv_send_wr wr;
	struct ibv_sge sge, dst;
	struct buf to;
	struct pair pair;
	char text[33];
	int i, odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 16 * sizeof(text), 4000, ACCESS_ALL | odp);
	for (i = 0; i < 16; i++) {
		dst = buf_sge(&to, i * sizeof(text), sizeof(text));
		end_post_recv(&pair.b, i, &dst, 1);
		pattern_fill(text, sizeof(text), 8, i * sizeof(text));
		sge = (struct ibv_sge){ (uintptr_t)text, sizeof(text), 0 };
		if (i & 1)
			wr = wr_rdma(IBV_WR_RDMA_WRITE_WITH_IMM, &sge, 1, &to, i * sizeof(text));
		else
			wr = wr_make(IBV_WR_SEND, &sge, 1);
		wr.send_flags |= IBV_SEND_INLINE;
		end_post(&pair.a, &wr);
		memset(text, 0, sizeof(text));
	}
	for (i = 0; i < 16; i++) {
		cq_success(pair.a.scq);
		assert_int_equal(cq_success(pair.b.rcq).wr_id, i);
	}
	pattern_check(to.data, to.bytes, 8, 0, "inline data");
	buf_free(&to);
	pair_close(&pair);
}

/* More than is sent in one go, unsignalled but for the last. */
static void many_at_once(void **state)
{
	enum { N = 40, BYTES = 5 * MTU + 3 };
	struct conn conn = uc();
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, N * BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, N * BYTES, 0, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, 4, 0);
	for (i = 0; i < N; i++) {
		sge = buf_sge(&to, (size_t)i * BYTES, BYTES);
		end_post_recv(&pair.b, i, &sge, 1);
	}
	for (i = 0; i < N; i++) {
		sge = buf_sge(&from, (size_t)i * BYTES, BYTES);
		wr = wr_make(IBV_WR_SEND, &sge, 1);
		wr.wr_id = i;
		wr.send_flags = i == N - 1 ? IBV_SEND_SIGNALED : 0;
		end_post(&pair.a, &wr);
	}
	assert_int_equal(cq_success(pair.a.scq).wr_id, N - 1);
	cq_assert_empty(pair.a.scq);
	for (i = 0; i < N; i++)
		assert_int_equal(cq_success(pair.b.rcq).wr_id, i);
	pattern_check(to.data, to.bytes, 4, 0, "many messages");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* Packets of one queue pair stay in order, whichever CPU posts: a message that is overtaken is lost. */
#define EACH 400

struct poster {
	struct end *end;
	const struct buf *from;
	int cpu, failed;
};

static void *poster_run(void *arg)
{
	struct poster *p = arg;
	struct ibv_sge sge = buf_sge(p->from, 0, p->from->bytes);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1), *bad;
	cpu_set_t set;
	int i, rc;

	CPU_ZERO(&set);
	CPU_SET(p->cpu, &set);
	p->failed = sched_setaffinity(0, sizeof(set), &set);
	for (i = 0; i < EACH && !p->failed; i++) {
		while ((rc = ibv_post_send(p->end->qp, &wr, &bad)) == ENOMEM)
			sched_yield();
		p->failed = rc;
	}
	return NULL;
}

static void from_two_cpus(void **state)
{
	struct conn conn = uc();
	struct poster posters[2];
	pthread_t threads[2];
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("one CPU");
	conn.wire = true;
	conn.recv_wr = 2 * EACH;
	conn.cqe = 2 * EACH;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * MTU + 1, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 2 * MTU + 1, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, to.bytes);
	for (i = 0; i < 2 * EACH; i++)
		end_post_recv(&pair.b, i, &sge, 1);
	for (i = 0; i < 2; i++) {
		posters[i] = (struct poster){ .end = &pair.a, .from = &from, .cpu = i };
		assert_zero(pthread_create(&threads[i], NULL, poster_run, &posters[i]));
	}
	for (i = 0; i < 2; i++) {
		assert_zero(pthread_join(threads[i], NULL));
		assert_int_equal(posters[i].failed, 0);
	}
	for (i = 0; i < 2 * EACH; i++)
		cq_success(pair.a.scq);
	for (i = 0; i < 2 * EACH; i++)
		assert_int_equal(cq_success(pair.b.rcq).wr_id, i);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void solicited(void **state)
{
	struct conn conn = uc();
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	end_post_recv(&pair.b, 1, NULL, 0);
	end_post_recv(&pair.b, 2, NULL, 0);
	assert_zero(ibv_req_notify_cq(pair.b.rcq, 1));
	end_post(&pair.a, &wr);
	assert_int_equal(cq_success(pair.b.rcq).wr_id, 1);
	assert_false(cq_event(pair.b.channel, pair.b.rcq, 100));
	wr.send_flags |= IBV_SEND_SOLICITED;
	end_post(&pair.a, &wr);
	assert_true(cq_event(pair.b.channel, pair.b.rcq, BOUND_S * 1000));
	assert_int_equal(cq_success(pair.b.rcq).wr_id, 2);
	pair_close(&pair);
}

/* RTR and RTS ask for what UC has; what belongs to retries is refused. */
static void attributes(void **state)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };
	struct conn conn = uc();
	struct pair pair;

	(void)state;
	conn.mtu = IBV_MTU_512;
	pair_open(&pair, &conn);
	assert_zero(ibv_query_qp(pair.a.qp, &attr,
				 IBV_QP_STATE | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_SQ_PSN |
					 IBV_QP_RQ_PSN | IBV_QP_ACCESS_FLAGS,
				 &init));
	assert_int_equal(init.qp_type, IBV_QPT_UC);
	assert_int_equal(attr.qp_state, IBV_QPS_RTS);
	assert_int_equal(attr.path_mtu, IBV_MTU_512);
	assert_int_equal(attr.dest_qp_num, pair.b.qp->qp_num);
	assert_int_equal(attr.sq_psn, pair.a.psn);
	assert_int_equal(attr.rq_psn, pair.b.psn);
	assert_int_equal(attr.qp_access_flags & conn.access, conn.access);
	pair_assert_works(&pair);

	assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
	assert_zero(end_to_init(&pair.a, &conn));
	conn.type = IBV_QPT_RC;
	assert_int_equal(end_to_rtr(&pair.a, &pair.b, &conn), EINVAL);
	conn.type = IBV_QPT_UD;
	assert_int_equal(end_to_rtr(&pair.a, &pair.b, &conn), EINVAL);
	conn.type = IBV_QPT_UC;
	assert_zero(end_to_rtr(&pair.a, &pair.b, &conn));
	conn.type = IBV_QPT_RC;
	assert_int_equal(end_to_rts(&pair.a, &conn), EINVAL);
	conn.type = IBV_QPT_UC;
	assert_zero(end_to_rts(&pair.a, &conn));
	pair_close(&pair);
}

/* Drained when the message that waits for a page of its own has been sent, and not before; what is posted then waits. */
static void drains(void **state)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0), begun;
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	struct conn conn = uc();
	struct ibv_async_event event;
	struct ibv_sge sge, rsge;
	struct buf from, to;
	struct uffd uffd;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 2 * PAGE, 0, ACCESS_ALL);
	pattern_fill(from.data, PAGE, 5, 0);
	uffd_register(&uffd, from.data + PAGE, PAGE);
	sge = buf_sge(&from, 0, 2 * PAGE);
	rsge = buf_sge(&to, 0, 2 * PAGE);
	begun = wr_make(IBV_WR_SEND, &sge, 1);
	end_post_recv(&pair.b, 1, &rsge, 1);
	end_post_recv(&pair.b, 2, NULL, 0);
	end_post(&pair.a, &begun);
	assert_ptr_equal(uffd_next(&uffd, 60000), from.data + PAGE);
	assert_zero(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	end_post(&pair.a, &wr);
	assert_false(async_any(pair.a.rig->ctx, 300, &event));
	cq_assert_empty(pair.a.scq);
	uffd_give_zeros(&uffd, from.data + PAGE, PAGE);
	cq_success(pair.a.scq);
	cq_success(pair.b.rcq);
	pattern_check(to.data, PAGE, 5, 0, "sent before and while it drained");
	async_expect(pair.a.rig->ctx, IBV_EVENT_SQ_DRAINED);
	cq_assert_empty(pair.a.scq);
	assert_zero(end_set_state(&pair.a, IBV_QPS_RTS));
	cq_success(pair.a.scq);
	cq_success(pair.b.rcq);
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(every_length), TEST_BOTH(over_the_wire), TEST_BOTH(inline_data),
	  TEST(many_at_once), TEST(from_two_cpus), TEST(solicited), TEST(attributes), TEST(drains))
