// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An XRC SRQ in error, since its process has broken its ring: every request that names it is refused as an error of the target's
 * side, and the target ends with IBV_EVENT_QP_FATAL, while the SRQ's process hears IBV_EVENT_SRQ_ERR once. The target's other SRQs
 * are none the worse. And what an initiator makes of a NAK is said by its code.
 */
#include "event.h"
#include "ring.h"
#include "roce.h"
#include "xrc.h"

#include <unistd.h>

#define WR_ID 0x5eed0fbadc0ffeeUL
#define BYTES 100

/* A target that receives into an SRQ and into another one; the first has a receive left when it is broken. */
struct bed {
	struct xrc x;
	struct ibv_srq *srq2;
	uint32_t num, num2;
	struct buf from, to;
	struct ring ring;
	struct ibv_sge sge;
};

static void bed_open(struct bed *bed)
{
	struct conn conn = xrc_conn();
	struct end *b = &bed->x.pair.b;
	struct ibv_sge sge;

	memset(bed, 0, sizeof(*bed));
	xrc_open(&bed->x, &conn);
	bed->srq2 = xrc_srq(b->rig->pd, bed->x.xrcd, b->rcq, &conn);
	assert_non_null(bed->srq2);
	bed->num = bed->x.pair.a.srq_num;
	bed->num2 = xrc_srq_num(bed->srq2);
	buf_make(&bed->from, bed->x.pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&bed->to, b->rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	bed->sge = buf_sge(&bed->from, 0, BYTES);
	sge = buf_sge(&bed->to, 0, BYTES);
	end_post_recv(b, WR_ID, &sge, 1);
	bed->ring = ring_of_receive(WR_ID);
	ring_break(&bed->ring);
}

static void bed_close(struct bed *bed)
{
	assert_zero(ibv_destroy_srq(bed->srq2));
	buf_free(&bed->from);
	buf_free(&bed->to);
	xrc_close(&bed->x);
}

/* The request fails; the target with it, and so many events tell of its SRQ. Both ends begin again. */
static void expect_broken(struct bed *bed, struct ibv_send_wr *wr, unsigned int srq_errors)
{
	struct pair *pair = &bed->x.pair;
	struct ibv_async_event event = { .event_type = IBV_EVENT_DEVICE_FATAL };
	unsigned int errors = 0, fatal = 0;

	end_post(&pair->a, wr);
	cq_expect(pair->a.scq, IBV_WC_REM_OP_ERR);
	while (event.event_type != IBV_EVENT_QP_LAST_WQE_REACHED) {
		if (!async_any(pair->b.rig->ctx, BOUND_S * 1000, &event))
			fail_because("only %u SRQ errors, %u QP errors", errors, fatal);
		errors += event.event_type == IBV_EVENT_SRQ_ERR && event.element.srq == pair->b.srq;
		fatal += event.event_type == IBV_EVENT_QP_FATAL && event.element.qp == pair->b.qp;
	}
	assert_int_equal(errors, srq_errors);
	assert_int_equal(fatal, 1);
	assert_int_equal(end_state(&pair->b), IBV_QPS_ERR);
	cq_assert_empty(pair->b.rcq);
	pair_reconnect(pair);
}

static void send_to_the_other(struct bed *bed)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &bed->sge, 1);
	struct ibv_sge sge = buf_sge(&bed->to, 0, BYTES);
	struct ibv_recv_wr recv = { .wr_id = 2, .sg_list = &sge, .num_sge = 1 }, *bad;

	assert_zero(ibv_post_srq_recv(bed->srq2, &recv, &bad));
	bed->x.pair.a.srq_num = bed->num2;
	end_post(&bed->x.pair.a, &wr);
	bed->x.pair.a.srq_num = bed->num;
	cq_success(bed->x.pair.a.scq);
	assert_int_equal(cq_success(bed->x.pair.b.rcq).wr_id, 2);
}

static void broken(void **state)
{
	struct ibv_srq_attr attr = { .max_wr = 200, .srq_limit = 1 };
	struct ibv_send_wr wr;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	/* Nothing has wanted a receive of it yet. */
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &bed.sge, 1, &bed.to, 0);
	end_post(&bed.x.pair.a, &wr);
	cq_success(bed.x.pair.a.scq);
	wr = wr_make(IBV_WR_SEND, &bed.sge, 1);
	expect_broken(&bed, &wr, 1);
	ring_mend(&bed.ring);
	assert_int_equal(ibv_modify_srq(bed.x.pair.b.srq, &attr, IBV_SRQ_LIMIT), EINVAL);
	assert_int_equal(ibv_modify_srq(bed.x.pair.b.srq, &attr, IBV_SRQ_MAX_WR), EINVAL);
	send_to_the_other(&bed);
	expect_broken(&bed, &wr, 0);
	/* From now on it is in error for whatever names it. */
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &bed.sge, 1, &bed.to, 0);
	expect_broken(&bed, &wr, 0);
	wr = wr_rdma(IBV_WR_RDMA_READ, &bed.sge, 1, &bed.to, 0);
	expect_broken(&bed, &wr, 0);
	send_to_the_other(&bed);
	bed_close(&bed);
}

/* Forged: only the initiator of XRC is told of SRQs; what is reserved is no answer at all. */
static void naks_by_their_codes(void **state)
{
	static const struct {
		enum ibv_qp_type type;
		uint8_t opcode, syndrome;
		enum ibv_wc_status status;
	} ways[] = {
		{ IBV_QPT_XRC_SEND, 0xb1, 0x61, IBV_WC_REM_INV_REQ_ERR },
		{ IBV_QPT_XRC_SEND, 0xb1, 0x62, IBV_WC_REM_ACCESS_ERR },
		{ IBV_QPT_XRC_SEND, 0xb1, 0x63, IBV_WC_REM_OP_ERR },
		{ IBV_QPT_XRC_SEND, 0xb1, 0x64, IBV_WC_REM_INV_RD_REQ_ERR },
		{ IBV_QPT_XRC_SEND, 0xb1, 0x65, IBV_WC_BAD_RESP_ERR },
		{ IBV_QPT_RC, ROCE_ACK, 0x64, IBV_WC_BAD_RESP_ERR },
	};
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);
	struct roce_path path;
	int fd, saved;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		struct conn conn = xrc_conn();
		bool xrc = ways[i].type == IBV_QPT_XRC_SEND;
		double last = seconds() + BOUND_S;
		struct xrc x = { 0 };
		uint8_t aeth[4];
		struct ibv_wc wc;

		conn.type = ways[i].type;
		if (xrc)
			xrc_open(&x, &conn);
		else
			pair_open(&x.pair, &conn);
		path = roce_path(&x.pair.b, &x.pair.a);
		saved = x.pair.peer.ctx ? netns_enter_peer() : -1;
		fd = roce_user_socket(&path);
		if (saved >= 0)
			netns_leave(saved);
		/* There is no receive: the peer's own answer is that it is not ready. */
		end_post(&x.pair.a, &wr);
		roce_put32(aeth, ways[i].syndrome << 24);
		/* What comes before the request has been sent is no answer: it is said again. */
		do {
			assert_true(seconds() < last);
			assert_zero(roce_user_send(fd, &path, ways[i].opcode, x.pair.a.qp->qp_num,
						   x.pair.a.psn, aeth, sizeof(aeth), 0));
		} while (!cq_poll_bounded(x.pair.a.scq, &wc, 0.1));
		assert_int_equal(wc.status, ways[i].status);
		close(fd);
		if (xrc)
			xrc_close(&x);
		else
			pair_close(&x.pair);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(broken),
		TEST(naks_by_their_codes),
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
