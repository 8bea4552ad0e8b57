// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Each operation by packets and without: a program sees the same (lib/same.h). What fails is local_same_errors' and what belongs to a
 * queue pair's life local_same_life's.
 */
#include "mw.h"
#include "same.h"

#include <unistd.h>

/* Around packets of the path MTU, 1024. */
static const unsigned int lengths[] = { 0, 1, 63, 1023, 1024, 1025, 4097, 8000 };
#define LENGTHS ARRAY_SIZE(lengths)

/* Around pieces of a READ, 64 KiB, and what else is copied at once, 256 KiB. */
static const unsigned int large[] = { 65535, 65536, 65537, 262143, 262144, 262145, 600001 };
#define LARGE	    ARRAY_SIZE(large)
#define LARGE_BYTES (601 * KIB)

/* Beside the offset of the source, that of where it is received. */
static void move(struct same *s, enum ibv_wr_opcode opcode, size_t at, size_t bytes)
{
	bool send = opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;

	if (send)
		same_post_recv(s, &s->pair.b, 2 * at, bytes + at);
	else if (opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		same_post_recv(s, &s->pair.b, 0, 0);
	same_do(s, &s->pair.a, opcode, at, bytes);
	if (send || opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		same_received(s, &s->pair.b, 1);
}

static void all_lengths(struct same *s, enum ibv_wr_opcode opcode)
{
	size_t i;

	for (i = 0; i < LENGTHS; i++)
		move(s, opcode, 7 * i, lengths[i]);
}

static void sends(struct same *s)
{
	all_lengths(s, IBV_WR_SEND);
}

static void sends_with_immediate(struct same *s)
{
	all_lengths(s, IBV_WR_SEND_WITH_IMM);
}

static void writes(struct same *s)
{
	all_lengths(s, IBV_WR_RDMA_WRITE);
}

static void writes_with_immediate(struct same *s)
{
	all_lengths(s, IBV_WR_RDMA_WRITE_WITH_IMM);
}

static void reads(struct same *s)
{
	all_lengths(s, IBV_WR_RDMA_READ);
}

static void large_messages(struct same *s)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE,
						      IBV_WR_RDMA_WRITE_WITH_IMM,
						      IBV_WR_RDMA_READ };
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++)
		for (k = 0; k < LARGE; k++)
			move(s, opcodes[i], k, large[k]);
}

/* A receive with room to spare, and one that has just enough. */
static void room_to_spare(struct same *s)
{
	same_post_recv(s, &s->pair.b, 0, 5000);
	same_post_recv(s, &s->pair.b, 6000, 3000);
	same_add(s, &s->pair.a, IBV_WR_SEND, 1, 3000);
	same_add(s, &s->pair.a, IBV_WR_SEND, 2, 3000);
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, 2);
	same_received(s, &s->pair.b, 2);
}

static void inline_data(struct same *s)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
						      IBV_WR_RDMA_WRITE,
						      IBV_WR_RDMA_WRITE_WITH_IMM };
	struct ibv_send_wr *wr;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		if (opcodes[i] != IBV_WR_RDMA_WRITE)
			same_post_recv(s, &s->pair.b, 100 * i, 64);
		wr = same_add(s, &s->pair.a, opcodes[i], 1000 + 100 * i, 40);
		wr->send_flags |= IBV_SEND_INLINE;
		wr->sg_list[1] = buf_sge(&s->a, 3000, 11);
		wr->num_sge = 2;
		same_ring(s, &s->pair.a);
		/* It was taken with the request. */
		memset(s->a.data + 3000, 0x77 + i, 11);
		same_sent(s, &s->pair.a, 1);
		if (opcodes[i] != IBV_WR_RDMA_WRITE)
			same_received(s, &s->pair.b, 1);
	}
}

/* Pieces of different lengths, one of which is empty. */
static void in_pieces(const struct buf *buf, struct ibv_sge *sge, size_t at, size_t step)
{
	size_t i;

	for (i = 0; i < SAME_SGES; i++)
		sge[i] = buf_sge(buf, at + i * (1000 + step), i == 2 ? 0 : 300 + step * i);
}

static void several_pieces(struct same *s)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_SEND, IBV_WR_RDMA_WRITE,
						      IBV_WR_RDMA_READ };
	struct ibv_sge recv[SAME_SGES];
	struct ibv_send_wr *wr;
	size_t i;

	/* More than 1000 bytes go out of three pieces and into three others. */
	in_pieces(&s->b, recv, 5001, 77);
	for (i = 0; i < 2 * ARRAY_SIZE(opcodes); i++) {
		wr = same_add(s, &s->pair.a, opcodes[i / 2], 0, 1);
		in_pieces(&s->a, wr->sg_list, 500 * i, 55 + i);
		wr->num_sge = SAME_SGES;
		if (wr->opcode == IBV_WR_SEND)
			end_post_recv(&s->pair.b, s->next_recv++, recv, SAME_SGES);
		else
			wr->wr.rdma.remote_addr += 1500 * i;
		same_ring(s, &s->pair.a);
		same_sent(s, &s->pair.a, 1);
		if (i < 2)
			same_received(s, &s->pair.b, 1);
	}
}

/* One word at b, results side by side. */
static void atomics(struct same *s)
{
	static const struct {
		enum ibv_wr_opcode opcode;
		uint64_t compare_add, swap;
	} does[] = {
		{ IBV_WR_ATOMIC_CMP_AND_SWP, 5, 9 },
		{ IBV_WR_ATOMIC_CMP_AND_SWP, 5, 11 },
		{ IBV_WR_ATOMIC_FETCH_AND_ADD, 1ULL << 40, 0 },
		{ IBV_WR_ATOMIC_FETCH_AND_ADD, ~0ULL, 0 },
		{ IBV_WR_ATOMIC_CMP_AND_SWP, (1ULL << 40) + 8, ~0ULL },
		{ IBV_WR_ATOMIC_FETCH_AND_ADD, 2, 0 },
	};
	const uint64_t first = 5;
	struct ibv_send_wr *wr;
	size_t i;

	memcpy(s->b.data + 800, &first, sizeof(first));
	for (i = 0; i < ARRAY_SIZE(does); i++) {
		wr = same_add(s, &s->pair.a, does[i].opcode, 1 + 8 * i, 8);
		wr->wr.atomic.remote_addr = (uintptr_t)s->b.data + 800;
		wr->wr.atomic.compare_add = does[i].compare_add;
		wr->wr.atomic.swap = does[i].swap;
	}
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, ARRAY_SIZE(does));
}

/* What may wake whom, on either side. */
static void notifications(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	struct ibv_send_wr *wr;
	int i, solicited;

	for (i = 0; i < 6; i++) {
		solicited = i & 1;
		assert_zero(ibv_req_notify_cq(b->rcq, i < 4));
		assert_zero(ibv_req_notify_cq(a->scq, 0));
		same_post_recv(s, b, 0, 100);
		wr = same_add(s, a, i & 2 ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_SEND, 0, 100);
		wr->send_flags |= solicited ? IBV_SEND_SOLICITED : 0;
		same_ring(s, a);
		same_sent(s, a, 1);
		same_received(s, b, 1);
		same_notified(s, a, a->scq, true);
		same_notified(s, b, b->rcq, solicited || i >= 4);
	}
	/* Unsignaled: nobody is told. */
	assert_zero(ibv_req_notify_cq(a->scq, 0));
	wr = same_add(s, a, IBV_WR_RDMA_WRITE, 0, 100);
	wr->send_flags = 0;
	same_ring(s, a);
	same_post_recv(s, b, 0, 100);
	wr = same_add(s, a, IBV_WR_SEND, 0, 100);
	wr->send_flags = 0;
	same_ring(s, a);
	same_received(s, b, 1);
	same_notified(s, a, a->scq, false);
	same_do(s, a, IBV_WR_RDMA_WRITE, 0, 100);
	same_notified(s, a, a->scq, true);
}

static void connect_srq(struct conn *conn)
{
	conn->srq_b = true;
}

static void note_srq(struct same *s)
{
	struct ibv_srq_attr attr;

	assert_zero(ibv_query_srq(s->pair.b.srq, &attr));
	same_note(s, "the SRQ: limit %u, max_wr %u, max_sge %u", attr.srq_limit, attr.max_wr,
		  attr.max_sge);
}

/* The event comes with the third message. */
static void srq_with_a_limit(struct same *s)
{
	struct ibv_srq_attr attr = { .srq_limit = 3 };
	int i;

	for (i = 0; i < 5; i++)
		same_post_recv(s, &s->pair.b, 1000 * i, 700);
	assert_zero(ibv_modify_srq(s->pair.b.srq, &attr, IBV_SRQ_LIMIT));
	for (i = 0; i < 5; i++) {
		if (i & 1)
			same_do(s, &s->pair.a, IBV_WR_RDMA_WRITE_WITH_IMM, 6000, 100 * i);
		else
			same_do(s, &s->pair.a, IBV_WR_SEND, 100 * i, 600);
		same_received(s, &s->pair.b, 1);
		if (i == 2)
			same_event(s, &s->pair.b);
		note_srq(s);
	}
}

static void through_window(struct same *s, const struct ibv_mw *mw, enum ibv_wr_opcode opcode,
			   size_t at, size_t bytes)
{
	struct ibv_send_wr *wr = same_add(s, &s->pair.a, opcode, at, bytes);

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		wr->wr.atomic.rkey = mw->rkey;
	else
		wr->wr.rdma.rkey = mw->rkey;
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, 1);
}

/* Through it, and by its key when it is gone. */
static void through_either_window(struct same *s, enum ibv_mw_type type)
{
	struct ibv_mw *mw = mw_make(s->pair.b.rig->pd, type);

	mw_post_bind(&s->pair.b, mw, &s->b, 1000, 3000, ACCESS_WINDOW);
	same_sent(s, &s->pair.b, 1);
	s->key = mw->rkey;
	through_window(s, mw, IBV_WR_RDMA_WRITE, 1000, 3000);
	through_window(s, mw, IBV_WR_RDMA_READ, 3500, 500);
	through_window(s, mw, IBV_WR_ATOMIC_FETCH_AND_ADD, 2000, 8);
	if (type == IBV_MW_TYPE_1) {
		mw_post_bind(&s->pair.b, mw, &s->b, 0, 0, 0);
		same_sent(s, &s->pair.b, 1);
	} else {
		same_post_recv(s, &s->pair.b, 5000, 100);
		same_do(s, &s->pair.a, IBV_WR_SEND_WITH_INV, 0, 100);
		same_received(s, &s->pair.b, 1);
	}
	same_add(s, &s->pair.a, IBV_WR_RDMA_WRITE, 1000, 100)->wr.rdma.rkey = s->key;
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, 1);
	same_event(s, &s->pair.b);
	end_await_state(&s->pair.a, IBV_QPS_ERR);
	end_await_state(&s->pair.b, IBV_QPS_ERR);
	mw_free(mw);
}

static void windows_of_type_1(struct same *s)
{
	through_either_window(s, IBV_MW_TYPE_1);
}

static void windows_of_type_2(struct same *s)
{
	through_either_window(s, IBV_MW_TYPE_2);
}

static void begin_at_zero(struct same *s)
{
	int access = ACCESS_ALL | IBV_ACCESS_ZERO_BASED;

	if (s->scenario->memory != SAME_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	buf_dereg(&s->b);
	buf_reg(&s->b, s->pair.b.rig->pd, access);
}

static void zero_based_region(struct same *s)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						      IBV_WR_ATOMIC_FETCH_AND_ADD };
	struct ibv_send_wr *wr;
	struct ibv_sge recv = { 3000, 100, s->b.mr->lkey };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		wr = same_add(s, &s->pair.a, opcodes[i], 1000 * i, i == 2 ? 8 : 900);
		/* Of the atomic too: the two are alike. */
		wr->wr.rdma.remote_addr -= (uintptr_t)s->b.data;
		same_ring(s, &s->pair.a);
		same_sent(s, &s->pair.a, 1);
	}
	end_post_recv(&s->pair.b, s->next_recv++, &recv, 1);
	same_do(s, &s->pair.a, IBV_WR_SEND, 0, 100);
	same_received(s, &s->pair.b, 1);
}

/* Of what is read, a fenced request sends what was read. */
static void fence_behind_a_read(struct same *s)
{
	struct ibv_send_wr *wr;

	same_add(s, &s->pair.a, IBV_WR_RDMA_READ, 0, 3000);
	wr = same_add(s, &s->pair.a, IBV_WR_RDMA_WRITE, 0, 3000);
	wr->wr.rdma.remote_addr += 5000;
	wr->send_flags |= IBV_SEND_FENCE;
	same_add(s, &s->pair.a, IBV_WR_ATOMIC_FETCH_AND_ADD, 8000, 8);
	same_post_recv(s, &s->pair.b, 9000, 100);
	same_add(s, &s->pair.a, IBV_WR_SEND, 8000, 8)->send_flags |= IBV_SEND_FENCE;
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, 4);
	same_received(s, &s->pair.b, 1);
}

static void unsignaled(struct same *s)
{
	int i;

	for (i = 0; i < 10; i++)
		same_add(s, &s->pair.a, i & 1 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, 1000 * i, 500)
			->send_flags = i % 5 == 4 ? IBV_SEND_SIGNALED : 0;
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, 2);
}

/* In one doorbell. */
static void add_mixed(struct same *s, struct end *end, struct end *other, size_t at)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_SEND_WITH_IMM,
						      IBV_WR_RDMA_READ,
						      IBV_WR_ATOMIC_FETCH_AND_ADD };
	enum ibv_wr_opcode opcode;
	size_t i;

	for (i = 0; i < SAME_LIST; i++) {
		opcode = opcodes[i % ARRAY_SIZE(opcodes)];
		if (opcode == IBV_WR_SEND_WITH_IMM)
			same_post_recv(s, other, at + 100 * i + 50, 50);
		same_add(s, end, opcode, at + 100 * i,
			 opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ? 8 : 48);
		/* Else it is refused at some of these. */
		if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
			s->wr[i].wr.atomic.remote_addr &= ~7ULL;
	}
	same_ring(s, end);
}

static void list_of_32(struct same *s)
{
	add_mixed(s, &s->pair.a, &s->pair.b, 0);
	same_sent(s, &s->pair.a, SAME_LIST);
	same_received(s, &s->pair.b, SAME_LIST / 4);
}

/* Each works on the part of the memory that the other leaves alone. */
static void both_ways(struct same *s)
{
	add_mixed(s, &s->pair.a, &s->pair.b, 0);
	add_mixed(s, &s->pair.b, &s->pair.a, 6000);
	same_sent(s, &s->pair.a, SAME_LIST);
	same_received(s, &s->pair.b, SAME_LIST / 4);
	same_sent(s, &s->pair.b, SAME_LIST);
	same_received(s, &s->pair.a, SAME_LIST / 4);
}

static void connect_large_mtu(struct conn *conn)
{
	conn->mtu = IBV_MTU_4096;
}

static void connect_wire(struct conn *conn)
{
	conn->wire = true;
}

/* Within one memory, a packet's worth each: one to behind itself, one to before. A packet has all of its bytes before one is placed. */
static void onto_itself(struct same *s)
{
	static const int shifts[] = { 4000, -4000, 100, -100 };
	struct ibv_send_wr *wr;
	size_t i;

	/* This one does not overlap. */
	wr = same_add(s, &s->pair.a, IBV_WR_RDMA_WRITE, 0, 4000);
	wr->wr.rdma.remote_addr = wr->sg_list->addr + 4000;
	wr->wr.rdma.rkey = s->a.mr->rkey;
	same_ring(s, &s->pair.a);
	same_sent(s, &s->pair.a, 1);
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		wr = same_add(s, &s->pair.a, IBV_WR_RDMA_WRITE, 4000 + 7 * i, 4096);
		wr->wr.rdma.remote_addr = wr->sg_list->addr + shifts[i];
		wr->wr.rdma.rkey = s->a.mr->rkey;
		same_ring(s, &s->pair.a);
		same_sent(s, &s->pair.a, 1);
	}
}

/* A queue pair that is its own peer, and all of whose completions are in one queue. */
struct alone {
	struct rig rig;
	struct end end;
	struct buf buf;
};

static void open_alone(struct alone *alone, struct conn *conn)
{
	struct end *end = &alone->end;

	memset(alone, 0, sizeof(*alone));
	rig_open(&alone->rig);
	conn->one_cq = true;
	end_create(end, &alone->rig, conn);
	assert_zero(end_to_init(end, conn));
	assert_zero(end_to_rtr(end, end, conn));
	assert_zero(end_to_rts(end, conn));
	buf_make(&alone->buf, alone->rig.pd, MEM_ANON, 8000, 0, ACCESS_ALL);
	pattern_fill(alone->buf.data, alone->buf.bytes, 1, 0);
}

static void close_alone(struct alone *alone)
{
	buf_free(&alone->buf);
	end_close(&alone->end);
	rig_close(&alone->rig);
}

static struct same_record *exchange_alone(struct alone *alone)
{
	struct ibv_sge from = buf_sge(&alone->buf, 0, 3000), to = buf_sge(&alone->buf, 4000, 3000);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_IMM, &from, 1);
	struct same_record *record = same_record_new();
	struct ibv_wc wc;
	int i;

	memset(alone->buf.data + 4000, 0, 3000);
	end_post_recv(&alone->end, 1, &to, 1);
	wr.wr_id = 2;
	end_post(&alone->end, &wr);
	for (i = 0; i < 2; i++) {
		wc = cq_wait(alone->end.scq);
		same_record_note(record, "wr_id %llu, status %d, opcode %d, byte_len %u",
				 (unsigned long long)wc.wr_id, wc.status, wc.opcode, wc.byte_len);
	}
	cq_assert_empty(alone->end.scq);
	pattern_check(alone->buf.data + 4000, 3000, 1, 0, "what a queue pair sent itself");
	return record;
}

static void its_own_peer(void **state)
{
	double end = seconds() + BOUND_S;
	struct same_record *packets;
	struct conn conn = CONN;
	struct alone alone;
	long ops;

	(void)state;
	open_alone(&alone, &conn);
	ops = rig_counter("local_ops");
	do {
		rig_set_local(false);
		packets = exchange_alone(&alone);
		assert_int_equal(rig_counter("local_ops"), ops);
		rig_set_local(true);
		same_compare(packets, exchange_alone(&alone));
		if (seconds() > end)
			fail_because("nothing that it sends itself goes without packets");
	} while (rig_counter("local_ops") == ops);
	close_alone(&alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SAME_EACH_MEMORY(sends, LENGTHS),
		SAME_EACH_MEMORY(sends_with_immediate, LENGTHS),
		SAME_EACH_MEMORY(writes, LENGTHS),
		SAME_EACH_MEMORY(writes_with_immediate, LENGTHS),
		SAME_EACH_MEMORY(reads, LENGTHS),
		SAME_EACH_MEMORY(atomics, 6),
		SAME_EACH_MEMORY(large_messages, 4 * LARGE, .bytes = LARGE_BYTES),
		SAME_EACH_MEMORY(several_pieces, 6),
		SAME_EACH_MEMORY(list_of_32, SAME_LIST),
		SAME_EACH_MEMORY(both_ways, 2 * SAME_LIST),
		SAME(room_to_spare, 2),
		SAME(inline_data, 4),
		SAME(notifications, 9),
		SAME(srq_with_a_limit, 5, .connect = connect_srq),
		SAME(windows_of_type_1, 3, .fails = true, .access = IBV_ACCESS_MW_BIND),
		SAME(windows_of_type_2, 4, .fails = true, .access = IBV_ACCESS_MW_BIND),
		SAME(zero_based_region, 4, .prepare = begin_at_zero),
		SAME(fence_behind_a_read, 4),
		SAME(unsignaled, 10),
		SAME(onto_itself, 1, .connect = connect_large_mtu, .bytes = 4 * PAGE),
		SAME_NAMED("between namespaces", large_messages, 4 * LARGE, .connect = connect_wire,
			   .bytes = LARGE_BYTES),
		SAME_NAMED("between namespaces, lists of 32", both_ways, 2 * SAME_LIST,
			   .connect = connect_wire),
		TEST(its_own_peer),
	};

	return same_run(tests, ARRAY_SIZE(tests));
}
