// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An SRQ whose ring its own process has broken: IBV_EVENT_SRQ_ERR once, and each queue pair that wants a receive of it ends with
 * IBV_EVENT_QP_FATAL and no completion, whatever its type; one that wants none goes on. Nothing mends it but a new one.
 */
#include "event.h"
#include "ring.h"

#define WR_ID 0x5eed0fbadc0ffeeUL
#define GRH   40

struct bed {
	struct conn conn;
	struct pair pair;
	struct buf from, to;
	struct ring ring;
	uint64_t wr_id; /* no other's: what a test that failed left may be mapped yet */
};

static void post_receive(struct bed *bed)
{
	struct ibv_sge sge = buf_sge(&bed->to, 0, bed->to.bytes);

	end_post_recv(&bed->pair.b, bed->wr_id, &sge, 1);
}

static void post_send(struct bed *bed, struct end *from, struct end *to)
{
	struct ibv_sge sge = buf_sge(&bed->from, 0, bed->from.bytes);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);

	if (bed->conn.type == IBV_QPT_UD)
		wr.wr.ud.remote_qpn = to->qp->qp_num;
	end_post(from, &wr);
}

static void bed_open(struct bed *bed, enum ibv_qp_type type)
{
	static uint64_t beds;

	memset(bed, 0, sizeof(*bed));
	bed->wr_id = WR_ID + beds++;
	bed->conn = CONN;
	bed->conn.type = type;
	bed->conn.srq_b = true;
	pair_open(&bed->pair, &bed->conn);
	buf_make(&bed->from, bed->pair.a.rig->pd, MEM_ANON, 100, 4, ACCESS_ALL);
	buf_make(&bed->to, bed->pair.b.rig->pd, MEM_ANON, 100 + GRH, 5, ACCESS_ALL);
	post_receive(bed);
	bed->ring = ring_of_receive(bed->wr_id);
	/* It works. */
	post_receive(bed);
	post_send(bed, &bed->pair.a, &bed->pair.b);
	cq_success(bed->pair.a.scq);
	assert_int_equal(cq_success(bed->pair.b.rcq).wr_id, bed->wr_id);
}

static void bed_close(struct bed *bed)
{
	buf_free(&bed->from);
	buf_free(&bed->to);
	pair_close(&bed->pair);
}

/* A queue pair has failed: what was heard of, up to its last event. */
static unsigned int srq_errors(const struct bed *bed, const struct end *failed)
{
	unsigned int errors = 0, fatal = 0;
	struct ibv_async_event event = { .event_type = IBV_EVENT_DEVICE_FATAL };

	while (event.event_type != IBV_EVENT_QP_LAST_WQE_REACHED) {
		if (!async_any(failed->rig->ctx, BOUND_S * 1000, &event))
			fail_because("only %u SRQ errors, %u QP errors", errors, fatal);
		switch (event.event_type) {
		case IBV_EVENT_SRQ_ERR:
			assert_ptr_equal(event.element.srq, bed->pair.b.srq);
			assert_int_equal(fatal, 0);
			errors++;
			break;
		case IBV_EVENT_QP_FATAL:
			assert_ptr_equal(event.element.qp, failed->qp);
			fatal++;
			break;
		default:
			assert_int_equal(event.event_type, IBV_EVENT_QP_LAST_WQE_REACHED);
		}
	}
	assert_int_equal(fatal, 1);
	assert_int_equal(end_state((struct end *)failed), IBV_QPS_ERR);
	cq_assert_empty(failed->rcq);
	return errors;
}

/* The SRQ's attributes can be looked at, and no more than that. */
static void assert_lost(struct bed *bed)
{
	struct ibv_srq_attr attr = { .max_wr = 200, .srq_limit = 1 };

	assert_int_equal(ibv_modify_srq(bed->pair.b.srq, &attr, IBV_SRQ_LIMIT), EINVAL);
	assert_int_equal(ibv_modify_srq(bed->pair.b.srq, &attr, IBV_SRQ_MAX_WR), EINVAL);
	assert_zero(ibv_query_srq(bed->pair.b.srq, &attr));
	assert_true(attr.max_wr >= bed->conn.recv_wr);
	assert_int_equal(attr.srq_limit, 0);
}

static void reliable(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_QPT_RC);
	ring_break(&bed.ring);
	/* No receive of it is wanted: it is not looked at. */
	pair_assert_works(&bed.pair);
	post_send(&bed, &bed.pair.a, &bed.pair.b);
	cq_expect(bed.pair.a.scq, IBV_WC_REM_OP_ERR);
	assert_int_equal(srq_errors(&bed, &bed.pair.b), 1);
	ring_mend(&bed.ring);
	assert_lost(&bed);

	pair_reconnect(&bed.pair);
	pair_assert_works(&bed.pair);
	post_send(&bed, &bed.pair.a, &bed.pair.b);
	cq_expect(bed.pair.a.scq, IBV_WC_REM_OP_ERR);
	assert_int_equal(srq_errors(&bed, &bed.pair.b), 0);
	bed_close(&bed);
}

/* Each hears of it when it wants a receive, and not before. */
static void two_queue_pairs(void **state)
{
	struct end c = { 0 }, d = { 0 };
	struct conn plain = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_QPT_RC);
	d.srq = bed.pair.b.srq;
	end_create(&c, bed.pair.a.rig, &plain);
	end_create(&d, bed.pair.b.rig, &plain);
	ends_connect(&c, &d, &plain);
	ring_break(&bed.ring);
	post_send(&bed, &bed.pair.a, &bed.pair.b);
	cq_expect(bed.pair.a.scq, IBV_WC_REM_OP_ERR);
	assert_int_equal(srq_errors(&bed, &bed.pair.b), 1);

	assert_int_equal(end_state(&d), IBV_QPS_RTS);
	sge = buf_sge(&bed.from, 0, bed.from.bytes);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &bed.to, 0);
	end_post(&c, &wr);
	cq_success(c.scq);
	wr = wr_rdma(IBV_WR_RDMA_WRITE_WITH_IMM, &sge, 1, &bed.to, 0);
	end_post(&c, &wr);
	cq_expect(c.scq, IBV_WC_REM_OP_ERR);
	assert_int_equal(srq_errors(&bed, &d), 0);
	d.srq = NULL;
	end_close(&c);
	end_close(&d);
	bed_close(&bed);
}

/* Who sent hears nothing, as ever. */
static void unreliable(enum ibv_qp_type type)
{
	struct bed bed;

	bed_open(&bed, type);
	ring_break(&bed.ring);
	post_send(&bed, &bed.pair.a, &bed.pair.b);
	cq_success(bed.pair.a.scq);
	assert_int_equal(srq_errors(&bed, &bed.pair.b), 1);
	assert_lost(&bed);
	assert_int_equal(end_state(&bed.pair.a), IBV_QPS_RTS);
	bed_close(&bed);
}

/* A ring that is exchanged is looked at, too. */
static void resized(void **state)
{
	struct ibv_srq_attr attr = { .max_wr = 200 };
	struct ibv_async_event event;
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_QPT_RC);
	ring_break(&bed.ring);
	assert_int_equal(ibv_modify_srq(bed.pair.b.srq, &attr, IBV_SRQ_MAX_WR), EINVAL);
	assert_true(async_any(bed.pair.b.rig->ctx, BOUND_S * 1000, &event));
	assert_int_equal(event.event_type, IBV_EVENT_SRQ_ERR);
	assert_ptr_equal(event.element.srq, bed.pair.b.srq);
	ring_mend(&bed.ring);
	post_send(&bed, &bed.pair.a, &bed.pair.b);
	cq_expect(bed.pair.a.scq, IBV_WC_REM_OP_ERR);
	assert_int_equal(srq_errors(&bed, &bed.pair.b), 0);
	assert_lost(&bed);
	bed_close(&bed);
}

static void connected(void **state)
{
	(void)state;
	unreliable(IBV_QPT_UC);
}

static void datagrams(void **state)
{
	(void)state;
	unreliable(IBV_QPT_UD);
}

TEST_MAIN(TEST(reliable), TEST(two_queue_pairs), TEST(resized), TEST(connected), TEST(datagrams))
