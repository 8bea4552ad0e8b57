// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A queue pair that gets into error while it waits for a page gives the fault up: nobody asks for the page any more, which
 * userfaultfd tells, whatever the queue pair waited for (a page to send from, one that a READ answers to, one that its peer
 * writes to) and however it got there. Who else waits for the page goes on.
 */
#include "pair.h"

#include <poll.h>
#include <unistd.h>

#define LATE_BYTES (2 * PAGE)

/* A region of a's or b's whose pages do not come. */
struct bed {
	struct pair pair;
	struct buf late, other;
	struct uffd uffd;
};

static void bed_open(struct bed *bed, const struct conn *conn, bool of_b)
{
	memset(bed, 0, sizeof(*bed));
	pair_open(&bed->pair, conn);
	rig_need_odp(&bed->pair.rig, 0, 0);
	buf_make(&bed->late, (of_b ? &bed->pair.b : &bed->pair.a)->rig->pd, MEM_ANON, LATE_BYTES, 0,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&bed->other, (of_b ? &bed->pair.a : &bed->pair.b)->rig->pd, MEM_ANON, LATE_BYTES,
		 0, ACCESS_ALL);
	buf_forget(&bed->late);
	uffd_register(&bed->uffd, bed->late.data, LATE_BYTES);
}

static void bed_close(struct bed *bed)
{
	uffd_close(&bed->uffd);
	buf_free(&bed->late);
	buf_free(&bed->other);
	pair_close(&bed->pair);
}

/* Somebody asks for a page, or nobody does. What is asked for is not read, so it is told as long as somebody waits. */
static void await_asked(struct bed *bed, bool asked)
{
	struct pollfd p = { .fd = bed->uffd.fd, .events = POLLIN };
	double last = seconds() + BOUND_S;

	while (!!poll(&p, 1, 0) != asked) {
		if (seconds() > last)
			fail_because(asked ? "nobody asks for the page" :
					     "the page is still waited for");
		usleep(1000);
	}
}

static void post_by(struct end *end, enum ibv_wr_opcode opcode, const struct buf *local,
		    const struct buf *remote)
{
	struct ibv_sge sge = buf_sge(local, 0, LATE_BYTES);
	struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, remote, 0);

	end_post(end, &wr);
}

static void post(struct bed *bed, enum ibv_wr_opcode opcode, const struct buf *local,
		 const struct buf *remote)
{
	post_by(&bed->pair.a, opcode, local, remote);
}

static void given_up(struct bed *bed, struct end *end)
{
	await_asked(bed, true);
	assert_zero(end_set_state(end, IBV_QPS_ERR));
	await_asked(bed, false);
}

static void page_to_send_from(void **state)
{
	struct conn conn = CONN;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn, false);
	post(&bed, IBV_WR_RDMA_WRITE, &bed.late, &bed.other);
	given_up(&bed, &bed.pair.a);
	cq_expect(bed.pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	bed_close(&bed);
}

static void page_that_a_read_answers_to(void **state)
{
	struct conn conn = CONN;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn, false);
	post(&bed, IBV_WR_RDMA_READ, &bed.late, &bed.other);
	given_up(&bed, &bed.pair.a);
	cq_expect(bed.pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	bed_close(&bed);
}

static void page_that_the_peer_writes_to(void **state)
{
	struct conn conn = CONN;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn, true);
	post(&bed, IBV_WR_RDMA_WRITE, &bed.other, &bed.late);
	given_up(&bed, &bed.pair.b);
	bed_close(&bed);
}

static void page_that_the_peer_reads(void **state)
{
	struct conn conn = CONN;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn, true);
	post(&bed, IBV_WR_RDMA_READ, &bed.other, &bed.late);
	given_up(&bed, &bed.pair.b);
	bed_close(&bed);
}

/* Of the other direction: the request before it is refused. */
static void error_of_its_own(void **state)
{
	struct conn conn = CONN;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn, false);
	/* b answers nothing yet. */
	assert_zero(end_set_state(&bed.pair.b, IBV_QPS_RESET));
	assert_zero(end_to_init(&bed.pair.b, &conn));
	bed.other.mr->rkey ^= 1;
	post(&bed, IBV_WR_RDMA_WRITE, &bed.other, &bed.other);
	post(&bed, IBV_WR_RDMA_WRITE, &bed.late, &bed.other);
	await_asked(&bed, true);
	assert_zero(end_to_rtr(&bed.pair.b, &bed.pair.a, &conn));
	cq_expect(bed.pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	cq_expect(bed.pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	await_asked(&bed, false);
	bed_close(&bed);
}

/* The same page, for two of them. */
static void others_go_on(void **state)
{
	struct conn conn = CONN;
	struct end a, b;
	struct bed bed;

	(void)state;
	bed_open(&bed, &conn, true);
	ends_open(&a, bed.pair.a.rig, &b, bed.pair.b.rig, &conn);
	pattern_fill(bed.other.data, LATE_BYTES, 3, 0);
	post(&bed, IBV_WR_RDMA_WRITE, &bed.other, &bed.late);
	await_asked(&bed, true);
	post_by(&a, IBV_WR_RDMA_WRITE, &bed.other, &bed.late);
	assert_zero(end_set_state(&bed.pair.b, IBV_QPS_ERR));
	await_asked(&bed, true);
	uffd_give_zeros(&bed.uffd, bed.late.data, LATE_BYTES);
	cq_success(a.scq);
	pattern_check(bed.late.data, LATE_BYTES, 3, 0, "what another wrote");
	end_close(&a);
	end_close(&b);
	bed_close(&bed);
}

static void datagram_to_send(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct bed bed;

	(void)state;
	conn.type = IBV_QPT_UD;
	bed_open(&bed, &conn, false);
	rig_need_odp(&bed.pair.rig, 0, IBV_ODP_SUPPORT_SEND);
	sge = buf_sge(&bed.late, 0, 64);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	wr.wr.ud.remote_qpn = bed.pair.b.qp->qp_num;
	end_post(&bed.pair.a, &wr);
	given_up(&bed, &bed.pair.a);
	cq_expect(bed.pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	bed_close(&bed);
}

TEST_MAIN(TEST(page_to_send_from), TEST(page_that_a_read_answers_to),
	  TEST(page_that_the_peer_writes_to), TEST(page_that_the_peer_reads),
	  TEST(error_of_its_own), TEST(others_go_on), TEST(datagram_to_send))
