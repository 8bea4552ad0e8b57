// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Requests to a peer on this host go without packets once the wire has proven it, and by the wire whenever they cannot be done at
 * once; what a program sees is the same. What cuts the wire cuts them off. The links are local=on.
 */
#include "event.h"
#include "netem.h"
#include "pair.h"

#include <sys/mman.h>
#include <unistd.h>

/* Posts small writes until one goes without packets: whoever asks that is answered by the wire first. */
static void await_local(struct pair *pair)
{
	double end = seconds() + BOUND_S;
	long ops = rig_counter("local_ops");

	do {
		if (seconds() > end)
			fail_because("no request went without packets");
		pair_assert_works(pair);
	} while (rig_counter("local_ops") == ops);
}

static void open_local(struct pair *pair, const struct conn *conn)
{
	pair_open(pair, conn);
	await_local(pair);
}

/*
 * The wire's word is good for a moment, and given to who posts, which of a READ is b: a few bytes by the same operation ask for it
 * again until the whole goes without packets. The buffers are filled before, since that takes long on a busy host.
 */
static void move_without_packets(struct pair *pair, enum op op, struct buf *from, struct buf *to)
{
	long ops = rig_counter("local_ops"), before;
	double end = seconds() + BOUND_S;

	pattern_fill(from->data, from->bytes, op, 0);
	memset(to->data, 0, to->bytes);
	do {
		if (seconds() > end)
			fail_because("%s of %zu bytes takes packets", op_name(op), from->bytes);
		before = ops;
		pair_move(pair, op, from, 0, to, 0, 1);
		pair_move(pair, op, from, 0, to, 0, from->bytes);
		ops = rig_counter("local_ops");
	} while (ops - before < 2);
	pattern_check(to->data, to->bytes, op, 0, "what took no packets");
}

static void move_all(struct pair *pair, void **state)
{
	static const size_t lengths[] = { 1,	 1023,	 1024,	 4097,	     65536,
					  65537, 262145, 300001, 2 * MIB + 5 };
	int odp = mode(&pair->rig, state);
	struct buf from, to;
	enum op op;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		buf_make(&from, pair->a.rig->pd, MEM_ANON, lengths[i], i, ACCESS_ALL | odp);
		buf_make(&to, pair->b.rig->pd, MEM_ANON, lengths[i], 3 * i + 1, ACCESS_ALL | odp);
		for (op = 0; op < OP_KINDS; op++) {
			/* The first finds the pages, for those that follow at once. */
			pair_move_checked(pair, op, &from, &to, op);
			move_without_packets(pair, op, &from, &to);
		}
		buf_free(&from);
		buf_free(&to);
	}
}

static void on_one_device(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	open_local(&pair, &conn);
	move_all(&pair, state);
	pair_close(&pair);
}

static void between_namespaces(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	conn.wire = true;
	conn.mtu = IBV_MTU_4096;
	open_local(&pair, &conn);
	move_all(&pair, state);
	pair_close(&pair);
}

/* The wire proves the peer while the first request is on it: the rest of that goes by the wire too, without a timeout. */
static void first_is_large(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	long timeouts;
	int i;

	conn.retry_cnt = 0;
	/* 8.6 s, which no request takes but one that waits for the timer. */
	conn.timeout = 21;
	for (i = 0; i < 8; i++) {
		conn.mtu = i & 1 ? IBV_MTU_4096 : IBV_MTU_256;
		pair_open(&pair, &conn);
		buf_make(&from, pair.a.rig->pd, MEM_ANON, MIB - 300 * i, i,
			 ACCESS_ALL | mode(&pair.rig, state));
		buf_make(&to, pair.b.rig->pd, MEM_ANON, MIB - 300 * i, i,
			 ACCESS_ALL | mode(&pair.rig, state));
		timeouts = rig_counter("ack_timeout");
		pair_move_checked(&pair, i & 2 ? OP_SEND : OP_WRITE, &from, &to, i);
		pair_move_checked(&pair, OP_READ, &from, &to, 100 + i);
		assert_int_equal(rig_counter("ack_timeout"), timeouts);
		await_local(&pair);
		buf_free(&from);
		buf_free(&to);
		pair_close(&pair);
	}
}

static void atomics(void **state)
{
	struct conn conn = CONN;
	struct buf result, target;
	struct pair pair;
	uint64_t sum = 0;
	int i, odp;

	open_local(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&result, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	buf_make(&target, pair.b.rig->pd, MEM_ANON, 8, 8, ACCESS_ALL | odp);
	memset(target.data, 0, 8);
	for (i = 0; i < 100; i++) {
		/* Either page away, now and then: executed once all the same. */
		if (odp && i % 7 == 3)
			madvise(result.map, result.map_bytes, MADV_DONTNEED);
		pair_add_checked(&pair, &result, &target, &sum);
	}
	buf_free(&target);
	buf_dereg(&result);
	munmap(result.map, result.map_bytes);
	pair_close(&pair);
}

/* Pages of either side come and go; the connection is back without packets each time. */
static void pages_come_and_go(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	enum op op;
	int i;

	open_local(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 150000, 11, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 150000, 4001, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	for (i = 0; i < 10; i++) {
		for (op = 0; op < OP_KINDS; op++) {
			buf_forget(&to);
			if (i & 1)
				buf_forget(&from);
			pair_move_checked(&pair, op, &from, &to, 100 * i + op);
		}
		await_local(&pair);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* A full queue, of which a request in the middle cannot be done at once: order is kept, and none is lost. */
static void full_queue(void **state)
{
	struct conn conn = CONN;
	unsigned int round, i;
	struct buf from, to;
	struct pair pair;
	long ops;

	conn.sq_sig_all = true;
	open_local(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 60 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 60 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	pattern_fill(from.data, from.bytes, 1, 0);
	ops = rig_counter("local_ops");
	for (round = 0; round < 20; round++) {
		memset(to.data, 0, to.bytes);
		assert_zero(madvise(to.data + (round * 3 % 60) * PAGE, PAGE, MADV_DONTNEED));
		for (i = 0; i < 60; i++) {
			struct ibv_sge sge = buf_sge(&from, i * PAGE, PAGE);
			struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, i * PAGE);

			wr.wr_id = i;
			end_post(&pair.a, &wr);
		}
		for (i = 0; i < 60; i++)
			assert_int_equal(cq_success(pair.a.scq).wr_id, i);
		pattern_check(to.data, to.bytes, 1, 0, "a queue's worth of writes");
	}
	assert_true(rig_counter("local_ops") > ops);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* A receive that is missing, one that is too small, a key that there is not: as by the wire. */
static void refused(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	long rnr;

	open_local(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 9000, 1, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 9000, 2, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, 4, 0);

	rnr = rig_counter("rcvd_rnr_err");
	sge = buf_sge(&from, 0, from.bytes);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&pair.a, &wr);
	assert_int_equal(cq_poll_bounded(pair.a.scq, &wc, 0.2), 0);
	assert_true(rig_counter("rcvd_rnr_err") > rnr);
	sge = buf_sge(&to, 0, to.bytes);
	end_post_recv(&pair.b, 1, &sge, 1);
	assert_int_equal(cq_success(pair.b.rcq).byte_len, from.bytes);
	cq_success(pair.a.scq);
	pattern_check(to.data, to.bytes, 4, 0, "a send that waited");

	await_local(&pair);
	sge = buf_sge(&to, 0, 100);
	end_post_recv(&pair.b, 2, &sge, 1);
	sge = buf_sge(&from, 0, from.bytes);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&pair.a, &wr);
	cq_expect(pair.b.rcq, IBV_WC_LOC_LEN_ERR);
	cq_expect(pair.a.scq, IBV_WC_REM_INV_REQ_ERR);
	async_expect(pair.b.rig->ctx, IBV_EVENT_QP_REQ_ERR);

	pair_reconnect(&pair);
	await_local(&pair);
	sge = buf_sge(&from, 0, 8);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	wr.wr.rdma.rkey ^= 0x5a;
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	async_expect(pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);

	pair_reconnect(&pair);
	await_local(&pair);
	sge = buf_sge(&from, 0, 8);
	sge.lkey ^= 0x5a;
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_LOC_PROT_ERR);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* Through RESET to new PSNs, and to nobody's peer. */
static void reconnected(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct buf buf;
	int i;

	conn.timeout = 14;
	open_local(&pair, &conn);
	for (i = 0; i < 5; i++) {
		pair_reconnect(&pair);
		pair_assert_works(&pair);
		await_local(&pair);
	}
	/* The other end goes: nobody executes for it any more. */
	assert_zero(end_set_state(&pair.b, IBV_QPS_RESET));
	buf_make(&buf, pair.rig.pd, MEM_ANON, 64, 0, ACCESS_ALL);
	sge = buf_sge(&buf, 0, 8);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &buf, 8);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_RETRY_EXC_ERR);
	buf_free(&buf);
	pair_close(&pair);
}

/* Both directions at once. Every operation writes what belongs there. */
static void both_directions(void **state)
{
	struct conn conn = CONN;
	unsigned int i, round;
	struct buf from, to;
	struct pair pair;
	long ops;

	conn.wire = true;
	conn.sq_sig_all = true;
	open_local(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 100000, 0, ACCESS_ALL | mode(&pair.rig, state));
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 100000, 0, ACCESS_ALL | mode(&pair.rig, state));
	pattern_fill(from.data, from.bytes, 3, 0);
	pattern_fill(to.data, to.bytes, 3, 0);
	memset(to.data, 0, 50000);
	ops = rig_counter("local_ops");
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 16; i++) {
			struct ibv_sge sge = buf_sge(&from, 0, 50000);
			struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);

			end_post(&pair.a, &wr);
			sge = buf_sge(&to, 50000, 50000);
			wr = wr_rdma(i & 1 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, &sge, 1, &from,
				     50000);
			end_post(&pair.b, &wr);
		}
		for (i = 0; i < 16; i++) {
			cq_success(pair.a.scq);
			cq_success(pair.b.scq);
		}
	}
	assert_true(rig_counter("local_ops") > ops);
	pattern_check(from.data, from.bytes, 3, 0, "a's");
	pattern_check(to.data, to.bytes, 3, 0, "b's");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* The wire loses everything: no request gets through any more, until it is mended. */
static void cut_off(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	double end;
	long ops;

	conn.wire = true;
	conn.timeout = 14;
	open_local(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	if (!netem_begin("loss 100%"))
		skip_because("this kernel has no netem");
	/* What was proven is good for a moment. Then the wire is asked, and the retries run out. */
	end = seconds() + BOUND_S;
	do {
		sge = buf_sge(&from, 0, 8);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		end_post(&pair.a, &wr);
		wc = cq_wait(pair.a.scq);
	} while (wc.status == IBV_WC_SUCCESS && seconds() < end);
	assert_int_equal(wc.status, IBV_WC_RETRY_EXC_ERR);
	ops = rig_counter("local_ops");
	netem_end();
	pair_reconnect(&pair);
	await_local(&pair);
	assert_true(rig_counter("local_ops") > ops);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BOTH(on_one_device),
		TEST_BOTH(between_namespaces),
		TEST_BOTH(first_is_large),
		TEST_BOTH(atomics),
		TEST(pages_come_and_go),
		TEST(full_queue),
		TEST(refused),
		TEST(reconnected),
		TEST_BOTH(both_directions),
		TEST(cut_off),
	};
	int rc = test_run(tests, ARRAY_SIZE(tests));

	netem_end();
	return rc;
}
