// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A work request whose own memory is not what it says is a local protection error, at the side that posted it: a bad
 * lkey, out of bounds, a read or receive into a region without LOCAL_WRITE, a foreign protection domain; and a
 * receive that is too short is a local length error there and a remote invalid request at the sender.
 */
#include "pair.h"

#define BYTES 5000UL

enum badness { BAD_KEY, OUT_OF_BOUNDS, NO_LOCAL_WRITE, OTHER_PD };

struct bad {
	struct pair pair;
	struct ibv_pd *pd;
	struct buf good, bad;
	struct ibv_sge good_sge, bad_sge;
	bool partial;
};

static void setup(struct bad *b, enum badness fault, void **state)
{
	struct conn conn = CONN;
	int odp;

	pair_open(&b->pair, &conn);
	odp = mode(&b->pair.rig, state);
	/* Both ends use the good and the bad buffer, in the domain of the end that is wrong. */
	b->pd = ibv_alloc_pd(b->pair.rig.ctx);
	buf_make(&b->good, b->pair.b.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL | odp);
	buf_make(&b->bad, fault == OTHER_PD ? b->pd : b->pair.a.rig->pd, MEM_ANON, BYTES, 3,
		 (fault == NO_LOCAL_WRITE ? IBV_ACCESS_REMOTE_READ : ACCESS_ALL) | odp);
	pattern_fill(b->good.data, BYTES, 1, 0);
	pattern_fill(b->bad.data, BYTES, 2, 0);
	b->good_sge = buf_sge(&b->good, 0, BYTES);
	b->bad_sge = buf_sge(&b->bad, fault == OUT_OF_BOUNDS, BYTES);
	b->partial = fault == OUT_OF_BOUNDS;
	if (fault == BAD_KEY)
		b->bad_sge.lkey ^= 0x100;
}

static void teardown(struct bad *b)
{
	end_await_state(&b->pair.a, IBV_QPS_ERR);
	pattern_check(b->good.data, BYTES, 1, 0, "the good side's memory");
	/* What was inside of the bounds may have been filled before the end of them was reached. */
	if (!b->partial)
		pattern_check(b->bad.data, BYTES, 2, 0, "the bad side's memory");
	buf_free(&b->good);
	buf_free(&b->bad);
	assert_zero(ibv_dealloc_pd(b->pd));
	pair_close(&b->pair);
}

static void requester(enum badness fault, enum ibv_wr_opcode opcode, void **state)
{
	struct ibv_send_wr wr;
	struct bad b;

	setup(&b, fault, state);
	wr = wr_rdma(opcode, &b.bad_sge, 1, &b.good, 0);
	if (opcode == IBV_WR_SEND)
		end_post_recv(&b.pair.b, 1, &b.good_sge, 1);
	end_post(&b.pair.a, &wr);
	cq_expect(b.pair.a.scq, IBV_WC_LOC_PROT_ERR);
	teardown(&b);
}

static void write_and_send(void **state)
{
	static const enum badness faults[] = { BAD_KEY, OUT_OF_BOUNDS, OTHER_PD };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		requester(faults[i], IBV_WR_RDMA_WRITE, state);
		requester(faults[i], IBV_WR_SEND, state);
	}
}

static void read_into(void **state)
{
	static const enum badness faults[] = { BAD_KEY, OUT_OF_BOUNDS, NO_LOCAL_WRITE, OTHER_PD };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		requester(faults[i], IBV_WR_RDMA_READ, state);
}

/* End a receives into the bad memory; the sender b sees a remote operational error. */
static void receive_into(void **state)
{
	static const enum badness faults[] = { BAD_KEY, OUT_OF_BOUNDS, NO_LOCAL_WRITE, OTHER_PD };
	struct ibv_send_wr wr;
	struct bad b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		setup(&b, faults[i], state);
		end_post_recv(&b.pair.a, 7, &b.bad_sge, 1);
		wr = wr_make(IBV_WR_SEND, &b.good_sge, 1);
		end_post(&b.pair.b, &wr);
		assert_int_equal(cq_expect(b.pair.a.rcq, IBV_WC_LOC_PROT_ERR).wr_id, 7);
		cq_expect(b.pair.b.scq, IBV_WC_REM_OP_ERR);
		teardown(&b);
	}
}

static void receive_too_short(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct buf from, to;
	struct ibv_sge sge;
	struct pair pair;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL | odp);
	memset(to.data, 0, BYTES);
	sge = buf_sge(&to, 0, BYTES - 1);
	end_post_recv(&pair.b, 1, &sge, 1);
	sge = buf_sge(&from, 0, BYTES);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&pair.a, &wr);
	cq_expect(pair.b.rcq, IBV_WC_LOC_LEN_ERR);
	cq_expect(pair.a.scq, IBV_WC_REM_INV_REQ_ERR);
	assert_int_equal(to.data[BYTES - 1], 0);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(write_and_send), TEST_BOTH(read_into), TEST_BOTH(receive_into),
	  TEST_BOTH(receive_too_short))
