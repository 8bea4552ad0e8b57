// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What fails, by packets and without: a program sees the same (lib/same.h). Requests before it go without packets; itself does not, and
 * those behind it are flushed.
 *
 * Memory of a request that failed is compared as well. Only what a packet does not hold as a whole is left out: a request that is longer
 * than one packet may have placed more or less of its bytes when it fails, with packets too.
 */
#include "same.h"

#include <sys/mman.h>

/* Where the bad request is at home in either memory, and what is received there. */
#define AT	6000
#define BYTES	64
#define RECV_AT 9000

enum sees {
	ALONE,	   /* b does not hear of it */
	IN_ERROR,  /* b has an event, and is in error */
	BY_RECEIVE /* b's receive says so, and is in error */
};

/* How a request is spoilt, with a receive where it takes one. */
struct fault {
	enum ibv_wr_opcode opcode;
	void (*spoil)(struct same *s, struct ibv_send_wr *wr);
	void (*spoil_recv)(struct same *s, struct ibv_sge *sge);
	enum sees sees;
};

#define WRITE IBV_WR_RDMA_WRITE
#define IMM   IBV_WR_RDMA_WRITE_WITH_IMM
#define READ  IBV_WR_RDMA_READ
#define SEND  IBV_WR_SEND
#define INV   IBV_WR_SEND_WITH_INV
#define FADD  IBV_WR_ATOMIC_FETCH_AND_ADD
#define CAS   IBV_WR_ATOMIC_CMP_AND_SWP

static bool is_atomic(const struct ibv_send_wr *wr)
{
	return wr->opcode == FADD || wr->opcode == CAS;
}

static uint32_t *rkey_of(struct ibv_send_wr *wr)
{
	return is_atomic(wr) ? &wr->wr.atomic.rkey : &wr->wr.rdma.rkey;
}

static uint64_t *remote_of(struct ibv_send_wr *wr)
{
	return is_atomic(wr) ? &wr->wr.atomic.remote_addr : &wr->wr.rdma.remote_addr;
}

static int odp_of(const struct same *s)
{
	return s->scenario->memory == SAME_PINNED ? 0 : IBV_ACCESS_ON_DEMAND;
}

/* Another key for an end's memory. */
static struct ibv_mr *other_mr(struct same *s, struct ibv_pd *pd, const struct buf *buf, int access)
{
	s->mr = ibv_reg_mr(pd, buf->data, buf->bytes, access | odp_of(s));
	assert_non_null(s->mr);
	return s->mr;
}

static struct ibv_pd *other_pd(struct same *s, struct end *end)
{
	s->pd = ibv_alloc_pd(end->rig->ctx);
	assert_non_null(s->pd);
	return s->pd;
}

/* The same place in the device's table, and another key. */
static void bad_rkey(struct same *s, struct ibv_send_wr *wr)
{
	(void)s;
	*rkey_of(wr) ^= 1;
}

static void stale_rkey(struct same *s, struct ibv_send_wr *wr)
{
	*rkey_of(wr) = other_mr(s, s->pair.b.rig->pd, &s->b, ACCESS_ALL)->rkey;
	assert_zero(ibv_dereg_mr(s->mr));
	s->mr = NULL;
}

static void over_the_end(struct same *s, struct ibv_send_wr *wr)
{
	*remote_of(wr) = (uintptr_t)s->b.data + s->b.bytes - (is_atomic(wr) ? 0 : BYTES - 1);
}

static void before_the_start(struct same *s, struct ibv_send_wr *wr)
{
	*remote_of(wr) = (uintptr_t)s->b.data - 8;
}

static void far_away(struct same *s, struct ibv_send_wr *wr)
{
	(void)s;
	*remote_of(wr) += 1ULL << 40;
}

static void no_right(struct same *s, struct ibv_send_wr *wr)
{
	int right = is_atomic(wr)      ? IBV_ACCESS_REMOTE_ATOMIC :
		    wr->opcode == READ ? IBV_ACCESS_REMOTE_READ :
					 IBV_ACCESS_REMOTE_WRITE;

	*rkey_of(wr) = other_mr(s, s->pair.b.rig->pd, &s->b, ACCESS_ALL & ~right)->rkey;
}

static void foreign_rkey(struct same *s, struct ibv_send_wr *wr)
{
	*rkey_of(wr) = other_mr(s, other_pd(s, &s->pair.b), &s->b, ACCESS_ALL)->rkey;
}

/* The address is aligned, and the memory behind it is not: an address that is not librxe refuses itself. */
static void misaligned(struct same *s, struct ibv_send_wr *wr)
{
	s->mr = ibv_reg_mr(s->pair.b.rig->pd, s->b.data + 4, PAGE,
			   ACCESS_ALL | IBV_ACCESS_ZERO_BASED | odp_of(s));
	assert_non_null(s->mr);
	*remote_of(wr) = 16;
	*rkey_of(wr) = s->mr->rkey;
}

/* A region of two pages on demand that nobody may touch any more; the second of them. */
static uint64_t out_of_reach(struct same *s, struct end *end)
{
	static uint8_t *map;

	if (!map)
		map = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	assert_zero(mprotect(map, 2 * PAGE, PROT_READ | PROT_WRITE));
	memset(map, 0x33, 2 * PAGE);
	s->mr = ibv_reg_mr(end->rig->pd, map, 2 * PAGE, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(s->mr);
	assert_zero(mprotect(map, 2 * PAGE, PROT_NONE));
	return (uintptr_t)map + PAGE;
}

static void out_of_reach_there(struct same *s, struct ibv_send_wr *wr)
{
	*remote_of(wr) = out_of_reach(s, &s->pair.b);
	*rkey_of(wr) = s->mr->rkey;
}

static void out_of_reach_here(struct same *s, struct ibv_send_wr *wr)
{
	wr->sg_list->addr = out_of_reach(s, &s->pair.a);
	wr->sg_list->lkey = s->mr->lkey;
}

static void bad_lkey(struct same *s, struct ibv_send_wr *wr)
{
	(void)s;
	wr->sg_list->lkey ^= 1;
}

/* What the first piece has is good. */
static void bad_second_lkey(struct same *s, struct ibv_send_wr *wr)
{
	wr->sg_list[0].length = 24;
	wr->sg_list[1] = buf_sge(&s->a, AT + 1000, BYTES - 24);
	wr->sg_list[1].lkey ^= 1;
	wr->num_sge = 2;
}

static void over_the_end_here(struct same *s, struct ibv_send_wr *wr)
{
	wr->sg_list->addr = (uintptr_t)s->a.data + s->a.bytes - wr->sg_list->length + 1;
}

static void foreign_lkey(struct same *s, struct ibv_send_wr *wr)
{
	wr->sg_list->lkey = other_mr(s, other_pd(s, &s->pair.a), &s->a, ACCESS_ALL)->lkey;
}

static void read_only_here(struct same *s, struct ibv_send_wr *wr)
{
	wr->sg_list->lkey = other_mr(s, s->pair.a.rig->pd, &s->a, IBV_ACCESS_REMOTE_READ)->lkey;
}

/* More than the port says it takes. */
static void too_long(struct same *s, struct ibv_send_wr *wr)
{
	struct ibv_port_attr port;

	assert_zero(ibv_query_port(s->pair.a.rig->ctx, 1, &port));
	wr->sg_list->length = port.max_msg_sz + 1;
}

/* A region that was registered by a call cannot be invalidated by a peer. */
static void a_regions_key(struct same *s, struct ibv_send_wr *wr)
{
	wr->invalidate_rkey = s->b.mr->rkey;
}

static void no_key(struct same *s, struct ibv_send_wr *wr)
{
	wr->invalidate_rkey = s->b.mr->rkey ^ 1;
}

static void short_recv(struct same *s, struct ibv_sge *sge)
{
	(void)s;
	sge->length = BYTES - 1;
}

static void bad_recv_key(struct same *s, struct ibv_sge *sge)
{
	(void)s;
	sge->lkey ^= 1;
}

static void recv_over_the_end(struct same *s, struct ibv_sge *sge)
{
	sge->addr = (uintptr_t)s->b.data + s->b.bytes - sge->length + 1;
}

static void recv_read_only(struct same *s, struct ibv_sge *sge)
{
	sge->lkey = other_mr(s, s->pair.b.rig->pd, &s->b, IBV_ACCESS_REMOTE_READ)->lkey;
}

static void recv_out_of_reach(struct same *s, struct ibv_sge *sge)
{
	sge->addr = out_of_reach(s, &s->pair.b);
	sge->lkey = s->mr->lkey;
}

/* One receive for a good message, one for the bad one, two more. */
static void post_receives(struct same *s, const struct fault *fault)
{
	struct ibv_sge sge;
	int i;

	for (i = 0; i < 4; i++) {
		sge = buf_sge(&s->b, RECV_AT + 100 * i, 100);
		if (i == 1 && fault->spoil_recv)
			fault->spoil_recv(s, &sge);
		end_post_recv(&s->pair.b, s->next_recv++, &sge, 1);
	}
	for (i = 0; i < 2; i++)
		same_post_recv(s, &s->pair.a, RECV_AT + 100 * i, 100);
}

/*
 * Three requests that are good, the bad one, and two behind it, in one doorbell. What is behind a READ or an atomic may have been
 * executed by packets when the answer to it cannot be placed, so it is fenced.
 */
static void prepare_refused(struct same *s)
{
	const struct fault *fault = s->scenario->arg;
	struct end *a = &s->pair.a;
	struct ibv_send_wr *wr;

	post_receives(s, fault);
	same_add(s, a, WRITE, 0, 500);
	same_add(s, a, SEND, 600, 100);
	same_add(s, a, READ, 1000, 500);
	wr = same_add(s, a, fault->opcode, AT, BYTES);
	if (is_atomic(wr))
		wr->sg_list->length = 8;
	if (fault->spoil)
		fault->spoil(s, wr);
	same_add(s, a, WRITE, 2000, 500)->send_flags |= IBV_SEND_FENCE;
	same_add(s, a, SEND, 600, 100)->send_flags |= IBV_SEND_FENCE;
}

static void refused(struct same *s)
{
	const struct fault *fault = s->scenario->arg;
	struct end *a = &s->pair.a, *b = &s->pair.b;

	same_ring(s, a);
	same_sent(s, a, 6);
	end_await_state(a, IBV_QPS_ERR);
	same_received(s, a, 2);
	same_received(s, b, 1);
	if (fault->sees == ALONE)
		return;
	end_await_state(b, IBV_QPS_ERR);
	if (fault->sees == IN_ERROR)
		same_event(s, b);
	same_received(s, b, 3);
}

static void connect_srq(struct conn *conn)
{
	conn->srq_b = true;
}

/* A message that cannot begin, since its sender's own memory fails it, has taken no receive: another queue pair may have that. */
static void prepare_to_keep(struct same *s)
{
	const struct fault *fault = s->scenario->arg;
	struct ibv_srq_attr attr = { .srq_limit = 3 };
	struct end *a = &s->pair.a;
	int i;

	for (i = 0; i < 3; i++)
		same_post_recv(s, &s->pair.b, RECV_AT + 100 * i, 100);
	assert_zero(ibv_modify_srq(s->pair.b.srq, &attr, IBV_SRQ_LIMIT));
	same_add(s, a, WRITE, 0, 500);
	fault->spoil(s, same_add(s, a, fault->opcode, AT, BYTES));
}

static void keeps_the_receive(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	struct ibv_srq_attr attr;

	same_ring(s, a);
	same_sent(s, a, 2);
	end_await_state(a, IBV_QPS_ERR);
	assert_zero(end_set_state(b, IBV_QPS_ERR));
	same_event(s, b);
	assert_zero(ibv_query_srq(b->srq, &attr));
	same_note(s, "the SRQ: limit %u", attr.srq_limit);
}

/* A message that has begun before its sender's memory fails it. */
static void fails_later(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	struct ibv_send_wr *wr;
	int i;

	for (i = 0; i < 2; i++)
		same_post_recv(s, b, 0, 6000);
	same_add(s, a, WRITE, 8000, 500);
	wr = same_add(s, a, SEND, 0, 4000);
	wr->sg_list[1] = buf_sge(&s->a, 0, 500);
	wr->sg_list[1].lkey ^= 1;
	wr->num_sge = 2;
	same_ring(s, a);
	same_sent(s, a, 2);
	end_await_state(a, IBV_QPS_ERR);
	/* Of the packets before the one that fails, b has all or some by now. */
	assert_zero(end_set_state(b, IBV_QPS_ERR));
	same_received(s, b, 2);
	memset(s->b.data, 0, 6000);
}

/* Both queues of both ends have more under way when it comes. */
static void flushes_both(struct same *s)
{
	struct end *a = &s->pair.a, *b = &s->pair.b;
	int i;

	for (i = 0; i < 3; i++) {
		same_post_recv(s, b, RECV_AT + 100 * i, 100);
		same_add(s, b, SEND, 600, 100);
	}
	/* The first of them is for a receive of a's, the others wait for one. */
	same_post_recv(s, a, RECV_AT, 100);
	same_ring(s, b);
	same_sent(s, b, 1);
	same_received(s, a, 1);
	same_add(s, a, SEND, 600, 100);
	same_add(s, a, WRITE, AT, BYTES)->wr.rdma.rkey ^= 1;
	for (i = 0; i < 8; i++)
		same_add(s, a, i & 1 ? SEND : READ, 0, 100)->send_flags =
			i & 2 ? IBV_SEND_SIGNALED : 0;
	same_ring(s, a);
	same_sent(s, a, 10);
	same_event(s, b);
	same_received(s, b, 3);
	same_sent(s, b, 2);
	end_await_state(a, IBV_QPS_ERR);
	end_await_state(b, IBV_QPS_ERR);
}

static void connect_no_atomics(struct conn *conn)
{
	conn->access &= ~IBV_ACCESS_REMOTE_ATOMIC;
}

/* None may be asked for that is answered with data. */
static void connect_no_answers(struct conn *conn)
{
	conn->rd_atomic = 0;
}

static void no_answers(struct same *s)
{
	struct end *a = &s->pair.a;

	same_add(s, a, WRITE, 0, 100);
	same_add(s, a, READ, 0, 100);
	same_add(s, a, WRITE, 1000, 100);
	same_ring(s, a);
	same_sent(s, a, 3);
	end_await_state(a, IBV_QPS_ERR);
}

/* clang-format off */
#define FAULT(op, how, who) \
	SAME_NAMED(#op ": " #how, refused, 3, .prepare = prepare_refused, .fails = true, \
		   .arg = &(struct fault){ .opcode = op, .spoil = how, .sees = who })
/* A page that is waited for may be told as a receiver that is not ready. */
#define FAULT_ODP(op, how, who) \
	SAME_NAMED(#op ": " #how, refused, 3, .prepare = prepare_refused, .fails = true, \
		   .memory = SAME_WARM, .rnr_by_time = true, \
		   .arg = &(struct fault){ .opcode = op, .spoil = how, .sees = who })
#define FAULT_RECV(op, how, who) \
	SAME_NAMED(#op ": " #how, refused, 3, .prepare = prepare_refused, .fails = true, \
		   .rnr_by_time = true, \
		   .arg = &(struct fault){ .opcode = op, .spoil_recv = how, .sees = who })
#define KEEPS(op, how) \
	SAME_NAMED(#op " keeps a receive of an SRQ: " #how, keeps_the_receive, 1, \
		   .prepare = prepare_to_keep, .fails = true, \
		   .connect = connect_srq, .arg = &(struct fault){ .opcode = op, .spoil = how })
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* The peer's memory. */
		FAULT(WRITE, bad_rkey, IN_ERROR),
		FAULT(READ, bad_rkey, IN_ERROR),
		FAULT(FADD, bad_rkey, IN_ERROR),
		FAULT(IMM, bad_rkey, IN_ERROR),
		FAULT(WRITE, stale_rkey, IN_ERROR),
		FAULT(WRITE, over_the_end, IN_ERROR),
		FAULT(READ, over_the_end, IN_ERROR),
		FAULT(CAS, over_the_end, IN_ERROR),
		FAULT(WRITE, before_the_start, IN_ERROR),
		FAULT(READ, far_away, IN_ERROR),
		FAULT(WRITE, no_right, IN_ERROR),
		FAULT(READ, no_right, IN_ERROR),
		FAULT(FADD, no_right, IN_ERROR),
		FAULT(CAS, no_right, IN_ERROR),
		FAULT(WRITE, foreign_rkey, IN_ERROR),
		FAULT(READ, foreign_rkey, IN_ERROR),
		FAULT(FADD, foreign_rkey, IN_ERROR),
		FAULT(FADD, misaligned, IN_ERROR),
		FAULT(CAS, misaligned, IN_ERROR),
		FAULT(INV, a_regions_key, IN_ERROR),
		FAULT(INV, no_key, IN_ERROR),
		FAULT_ODP(WRITE, out_of_reach_there, IN_ERROR),
		FAULT_ODP(READ, out_of_reach_there, IN_ERROR),
		FAULT_ODP(FADD, out_of_reach_there, IN_ERROR),
		SAME_NAMED("FADD: the queue pair grants none", refused, 3,
			   .prepare = prepare_refused, .fails = true, .connect = connect_no_atomics,
			   .arg = &(struct fault){ .opcode = FADD, .sees = IN_ERROR }),
		/* Its receive. */
		FAULT_RECV(SEND, short_recv, IN_ERROR),
		FAULT_RECV(SEND, bad_recv_key, BY_RECEIVE),
		FAULT_RECV(SEND, recv_over_the_end, BY_RECEIVE),
		FAULT_RECV(SEND, recv_read_only, BY_RECEIVE),
		FAULT_RECV(SEND, recv_out_of_reach, BY_RECEIVE),
		/* One's own memory. */
		FAULT(WRITE, bad_lkey, ALONE),
		FAULT(IMM, bad_lkey, ALONE),
		FAULT(SEND, bad_lkey, ALONE),
		FAULT(READ, bad_lkey, ALONE),
		FAULT(FADD, bad_lkey, ALONE),
		FAULT(WRITE, bad_second_lkey, ALONE),
		FAULT(SEND, bad_second_lkey, ALONE),
		FAULT(READ, bad_second_lkey, ALONE),
		FAULT(WRITE, over_the_end_here, ALONE),
		FAULT(SEND, over_the_end_here, ALONE),
		FAULT(READ, over_the_end_here, ALONE),
		FAULT(WRITE, foreign_lkey, ALONE),
		FAULT(READ, foreign_lkey, ALONE),
		FAULT(READ, read_only_here, ALONE),
		FAULT(CAS, read_only_here, ALONE),
		FAULT_ODP(WRITE, out_of_reach_here, ALONE),
		FAULT_ODP(SEND, out_of_reach_here, ALONE),
		FAULT_ODP(READ, out_of_reach_here, ALONE),
		FAULT_ODP(FADD, out_of_reach_here, ALONE),
		SAME(no_answers, 1, .fails = true, .connect = connect_no_answers),
		KEEPS(SEND, bad_lkey),
		KEEPS(SEND, bad_second_lkey),
		KEEPS(SEND, out_of_reach_here),
		KEEPS(SEND, foreign_lkey),
		KEEPS(IMM, bad_lkey),
		KEEPS(IMM, out_of_reach_here),
		SAME(fails_later, 1, .fails = true),
		/* By then, of b's requests one may have gone either way. */
		SAME(flushes_both, 2, .fails = true, .rnr_by_time = true),
		/* The request itself. */
		FAULT(WRITE, too_long, ALONE),
		FAULT(READ, too_long, ALONE),
		FAULT(SEND, too_long, ALONE),
	};
	/* librxe_odp refuses the last three when they are posted. */
	size_t left_out = getenv("RDMA_ODP_PROVIDER") ? 3 : 0;

	return same_run(tests, ARRAY_SIZE(tests) - left_out);
}
