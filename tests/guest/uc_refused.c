// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What an unreliable connection does not do. The sender's own faults take it to SQE, from where it comes back, and the receiver's
 * to the error state; of what the receiver does not take, for want of a receive, of room in it, of a right or of a key, neither
 * side hears anything, and the next message arrives in the receive that was there.
 */
#include "pair.h"

#define BYTES 3000UL

struct bed {
	struct pair pair;
	struct buf from, to;
};

static void bed_open(struct bed *bed, bool srq, int access)
{
	struct conn conn = CONN;

	conn.type = IBV_QPT_UC;
	conn.srq_b = srq;
	conn.access = access;
	pair_open(&bed->pair, &conn);
	buf_make(&bed->from, bed->pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&bed->to, bed->pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	pattern_fill(bed->from.data, BYTES, 1, 0);
	pattern_fill(bed->to.data, BYTES, 2, 0);
}

static void bed_close(struct bed *bed)
{
	cq_assert_empty(bed->pair.b.rcq);
	buf_free(&bed->from);
	buf_free(&bed->to);
	pair_close(&bed->pair);
}

static void post(struct bed *bed, enum ibv_wr_opcode opcode, size_t bytes)
{
	struct ibv_sge sge = buf_sge(&bed->from, 0, bytes);
	struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, &bed->to, 0);

	end_post(&bed->pair.a, &wr);
	cq_success(bed->pair.a.scq);
}

static void receive(struct bed *bed, uint64_t wr_id, size_t bytes)
{
	struct ibv_sge sge = buf_sge(&bed->to, 0, bytes);

	end_post_recv(&bed->pair.b, wr_id, &sge, 1);
}

/* What was sent before has arrived, or never will: a WRITE behind it has, to where its first bytes were. */
static void await_write(struct bed *bed)
{
	double last = seconds() + BOUND_S;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	buf_make(&from, bed->pair.a.rig->pd, MEM_ANON, 1, 0, ACCESS_ALL);
	buf_make(&to, bed->pair.b.rig->pd, MEM_ANON, 1, 0, ACCESS_ALL);
	from.data[0] = 1;
	to.data[0] = 0;
	sge = buf_sge(&from, 0, 1);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	end_post(&bed->pair.a, &wr);
	cq_success(bed->pair.a.scq);
	while (!*(volatile uint8_t *)to.data)
		if (seconds() > last)
			fail_because("a write does not arrive");
	buf_free(&from);
	buf_free(&to);
}

static void expect_message(struct bed *bed, uint64_t wr_id, size_t bytes)
{
	struct ibv_wc wc;

	post(bed, IBV_WR_SEND, bytes);
	wc = cq_success(bed->pair.b.rcq);
	assert_int_equal(wc.wr_id, wr_id);
	assert_int_equal(wc.byte_len, bytes);
	pattern_check(bed->to.data, bytes, 1, 0, "the next message");
	assert_int_equal(end_state(&bed->pair.a), IBV_QPS_RTS);
	assert_int_equal(end_state(&bed->pair.b), IBV_QPS_RTS);
}

static void no_receive(void **state)
{
	struct bed bed;
	int srq;

	(void)state;
	for (srq = 0; srq < 2; srq++) {
		bed_open(&bed, srq, CONN.access);
		post(&bed, IBV_WR_SEND, BYTES);
		post(&bed, IBV_WR_SEND, 1);
		post(&bed, IBV_WR_RDMA_WRITE_WITH_IMM, 0);
		await_write(&bed);
		cq_assert_empty(bed.pair.b.rcq);
		receive(&bed, 7, BYTES);
		expect_message(&bed, 7, BYTES);
		bed_close(&bed);
	}
}

static void receive_is_too_short(void **state)
{
	struct bed bed;
	int srq;

	(void)state;
	for (srq = 0; srq < 2; srq++) {
		bed_open(&bed, srq, CONN.access);
		receive(&bed, 8, 100);
		receive(&bed, 9, BYTES);
		post(&bed, IBV_WR_SEND, BYTES);
		post(&bed, IBV_WR_SEND, 101);
		expect_message(&bed, 8, 100);
		expect_message(&bed, 9, BYTES);
		bed_close(&bed);
	}
}

static void no_right_to_write(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, false, IBV_ACCESS_REMOTE_READ);
	receive(&bed, 1, BYTES);
	post(&bed, IBV_WR_RDMA_WRITE, BYTES);
	post(&bed, IBV_WR_RDMA_WRITE_WITH_IMM, 64);
	post(&bed, IBV_WR_SEND, 0);
	assert_int_equal(cq_success(bed.pair.b.rcq).byte_len, 0);
	pattern_check(bed.to.data, BYTES, 2, 0, "the target of a refused write");
	bed_close(&bed);
}

static void key_is_wrong(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, false, CONN.access);
	receive(&bed, 1, BYTES);
	bed.to.mr->rkey ^= 0x100;
	post(&bed, IBV_WR_RDMA_WRITE, BYTES);
	post(&bed, IBV_WR_RDMA_WRITE_WITH_IMM, BYTES);
	bed.to.mr->rkey ^= 0x100;
	post(&bed, IBV_WR_SEND, 0);
	assert_int_equal(cq_success(bed.pair.b.rcq).byte_len, 0);
	pattern_check(bed.to.data, BYTES, 2, 0, "the target of a refused write");
	receive(&bed, 2, BYTES);
	expect_message(&bed, 2, BYTES);
	bed_close(&bed);
}

static void recover(struct bed *bed)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS, .cur_qp_state = IBV_QPS_SQE };
	struct ibv_sge sge = buf_sge(&bed->from, 0, 1);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);

	end_await_state(&bed->pair.a, IBV_QPS_SQE);
	end_post(&bed->pair.a, &wr);
	cq_expect(bed->pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	/* Receiving goes on. */
	end_post_recv(&bed->pair.a, 5, NULL, 0);
	wr = wr_make(IBV_WR_SEND, NULL, 0);
	end_post(&bed->pair.b, &wr);
	cq_success(bed->pair.b.scq);
	assert_int_equal(cq_success(bed->pair.a.rcq).wr_id, 5);
	assert_zero(ibv_modify_qp(bed->pair.a.qp, &attr, IBV_QP_STATE | IBV_QP_CUR_STATE));
	assert_int_equal(end_state(&bed->pair.a), IBV_QPS_RTS);
}

/* In the third packet of the second message: what was sent of that is no message. */
static void senders_key_is_wrong(void **state)
{
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge[2];
	struct bed bed;
	int i;

	(void)state;
	bed_open(&bed, false, CONN.access);
	for (i = 0; i < 3; i++) {
		receive(&bed, 10, BYTES);
		receive(&bed, 11, BYTES);
		sge[0] = buf_sge(&bed.from, 0, 2100);
		sge[1] = buf_sge(&bed.from, 2100, 900);
		sge[1].lkey ^= 0x5500;
		wr = wr_make(IBV_WR_SEND, sge, 1);
		assert_zero(ibv_post_send(bed.pair.a.qp, &wr, &bad));
		wr.num_sge = 2;
		end_post(&bed.pair.a, &wr);
		assert_int_equal(cq_success(bed.pair.a.scq).opcode, IBV_WC_SEND);
		cq_expect(bed.pair.a.scq, IBV_WC_LOC_PROT_ERR);
		assert_int_equal(cq_success(bed.pair.b.rcq).wr_id, 10);
		recover(&bed);
		expect_message(&bed, 11, BYTES);
	}
	bed_close(&bed);
}

/* The fault is the second of two that are posted together: the first goes out. */
static void behind_a_good_one(void **state)
{
	struct ibv_send_wr wr[2];
	struct ibv_sge sge[2];
	struct bed bed;

	(void)state;
	bed_open(&bed, false, CONN.access);
	receive(&bed, 12, BYTES);
	sge[0] = buf_sge(&bed.from, 0, 64);
	sge[1] = sge[0];
	sge[1].lkey ^= 0x5500;
	wr[0] = wr_make(IBV_WR_SEND, &sge[0], 1);
	wr[1] = wr_make(IBV_WR_SEND, &sge[1], 1);
	wr[0].next = &wr[1];
	end_post(&bed.pair.a, wr);
	cq_success(bed.pair.a.scq);
	cq_expect(bed.pair.a.scq, IBV_WC_LOC_PROT_ERR);
	assert_int_equal(cq_success(bed.pair.b.rcq).wr_id, 12);
	recover(&bed);
	receive(&bed, 13, BYTES);
	expect_message(&bed, 13, BYTES);
	bed_close(&bed);
}

/* A provider that knows them refuses them at once. */
static void operations_of_rc(void **state)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_READ, IBV_WR_ATOMIC_CMP_AND_SWP,
						      IBV_WR_ATOMIC_FETCH_AND_ADD,
						      IBV_WR_SEND_WITH_INV };
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;
	struct bed bed;
	size_t i;

	(void)state;
	bed_open(&bed, false, CONN.access);
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		sge = buf_sge(&bed.from, 0, 8);
		if (opcodes[i] == IBV_WR_RDMA_READ)
			wr = wr_rdma(opcodes[i], &sge, 1, &bed.to, 0);
		else
			wr = wr_atomic(opcodes[i], &sge, &bed.to, 0, 1, 1);
		if (!ibv_post_send(bed.pair.a.qp, &wr, &bad)) {
			cq_expect(bed.pair.a.scq, IBV_WC_LOC_QP_OP_ERR);
			recover(&bed);
		}
		receive(&bed, i, BYTES);
		expect_message(&bed, i, BYTES);
	}
	bed_close(&bed);
}

/* The fault is the receiver's, and of the sender none. */
static void receivers_key_is_wrong(void **state)
{
	struct ibv_sge sge;
	struct bed bed;

	(void)state;
	bed_open(&bed, false, CONN.access);
	sge = buf_sge(&bed.to, 0, BYTES);
	sge.lkey ^= 0x5500;
	end_post_recv(&bed.pair.b, 3, &sge, 1);
	receive(&bed, 4, BYTES);
	post(&bed, IBV_WR_SEND, BYTES);
	assert_int_equal(cq_expect(bed.pair.b.rcq, IBV_WC_LOC_PROT_ERR).wr_id, 3);
	assert_int_equal(cq_expect(bed.pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 4);
	end_await_state(&bed.pair.b, IBV_QPS_ERR);
	assert_int_equal(end_state(&bed.pair.a), IBV_QPS_RTS);
	post(&bed, IBV_WR_SEND, BYTES);
	pair_reconnect(&bed.pair);
	pair_assert_works(&bed.pair);
	bed_close(&bed);
}

TEST_MAIN(TEST(no_receive), TEST(receive_is_too_short), TEST(no_right_to_write), TEST(key_is_wrong),
	  TEST(senders_key_is_wrong), TEST(behind_a_good_one), TEST(operations_of_rc),
	  TEST(receivers_key_is_wrong))
