// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * XRC under what it was not made for: packets of any opcode, SRQ, key and length from a program of the host; allocations that
 * fail, each of making a domain, an SRQ and an initiator and of opening a target once; the device that goes while they are there.
 */
#include "event.h"
#include "failslab.h"
#include "random.h"
#include "roce.h"
#include "xrc.h"

#include <unistd.h>

#define LINK	  "xrc0"
#define RECEIVES  32
#define MAX_BYTES 3000UL

struct bed {
	struct xrc x;
	struct ibv_srq *srq2;	 /* in the same domain */
	struct ibv_srq *foreign; /* in another one */
	struct ibv_xrcd *foreign_xrcd;
	struct buf to;
	struct roce_path path;
	int fd;
	struct rnd rnd;
	unsigned long good, flushed, bad;
};

static void post_receives(struct bed *bed, unsigned int num)
{
	struct ibv_sge sge = buf_sge(&bed->to, 0, MAX_BYTES);

	while (num--)
		end_post_recv(&bed->x.pair.b, 1, &sge, 1);
}

static void bed_open(struct bed *bed)
{
	struct conn conn = xrc_conn();
	struct rig *rig;

	memset(bed, 0, sizeof(*bed));
	bed->rnd.state = rnd_seed();
	xrc_open(&bed->x, &conn);
	rig = bed->x.pair.b.rig;
	bed->srq2 = xrc_srq(rig->pd, bed->x.xrcd, bed->x.pair.b.rcq, &conn);
	bed->foreign_xrcd = xrc_domain(rig->ctx, -1);
	assert_non_null(bed->foreign_xrcd);
	bed->foreign = xrc_srq(rig->pd, bed->foreign_xrcd, bed->x.pair.b.rcq, &conn);
	assert_non_null(bed->srq2);
	assert_non_null(bed->foreign);
	buf_make(&bed->to, rig->pd, MEM_ANON, MAX_BYTES, 0, ACCESS_ALL);
	bed->path = roce_path(&bed->x.pair.a, &bed->x.pair.b);
	bed->fd = roce_user_socket(&bed->path);
	post_receives(bed, RECEIVES);
}

static void bed_close(struct bed *bed)
{
	close(bed->fd);
	buf_free(&bed->to);
	assert_zero(ibv_destroy_srq(bed->srq2));
	assert_zero(ibv_destroy_srq(bed->foreign));
	assert_zero(ibv_close_xrcd(bed->foreign_xrcd));
	xrc_close(&bed->x);
}

static uint32_t some_srq(struct bed *bed)
{
	switch (rnd_below(&bed->rnd, 12)) {
	case 0:
		return xrc_srq_num(bed->srq2);
	case 1:
		return xrc_srq_num(bed->foreign);
	case 2:
		return rnd_next(&bed->rnd);
	default:
		return bed->x.pair.a.srq_num | (uint32_t)rnd_next(&bed->rnd) << 24;
	}
}

/* What follows the SRQ's number: often a RETH that is right. */
static size_t some_header(struct bed *bed, uint8_t *header)
{
	roce_put32(header, some_srq(bed));
	rnd_fill(&bed->rnd, header + 4, 28);
	if (!rnd_one_in(&bed->rnd, 4)) {
		roce_put64(header + 4, (uintptr_t)bed->to.data);
		roce_put32(header + 12, bed->to.mr->rkey);
		roce_put32(header + 16, rnd_below(&bed->rnd, MAX_BYTES + 2));
	}
	return 4 * rnd_below(&bed->rnd, 9);
}

static uint32_t expected_psn(struct bed *bed)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	assert_zero(ibv_query_qp(bed->x.pair.b.qp, &attr, IBV_QP_RQ_PSN, &init));
	return attr.rq_psn;
}

static void some_packet(struct bed *bed)
{
	uint8_t opcode = rnd_one_in(&bed->rnd, 16) ? rnd_next(&bed->rnd) :
						     0xa0 + rnd_below(&bed->rnd, 0x18);
	size_t payload = rnd_one_in(&bed->rnd, 2) ? 1024 : 4 * rnd_below(&bed->rnd, 270);
	struct end *to = rnd_one_in(&bed->rnd, 10) ? &bed->x.pair.a : &bed->x.pair.b;
	uint32_t psn = expected_psn(bed);
	uint8_t header[32];

	if (rnd_one_in(&bed->rnd, 4))
		psn += rnd_below(&bed->rnd, 5) - 2;
	roce_user_send(bed->fd, &bed->path, opcode, to->qp->qp_num, psn, header,
		       some_header(bed, header), payload);
}

/* A receive that was taken comes back, whatever became of its message. */
static void take_receives(struct bed *bed)
{
	struct ibv_async_event event;
	struct ibv_wc wc;

	while (ibv_poll_cq(bed->x.pair.b.rcq, 1, &wc)) {
		bed->good += wc.status == IBV_WC_SUCCESS;
		bed->flushed += wc.status == IBV_WC_WR_FLUSH_ERR;
		bed->bad += wc.status != IBV_WC_SUCCESS && wc.status != IBV_WC_WR_FLUSH_ERR;
		post_receives(bed, 1);
	}
	while (async_any(bed->x.pair.b.rig->ctx, 0, &event))
		;
}

/* The receive of a message of which a part has come is given back before the ends are connected again. */
static void begin_again(struct bed *bed)
{
	assert_zero(end_set_state(&bed->x.pair.b, IBV_QPS_RESET));
	take_receives(bed);
	pair_reconnect(&bed->x.pair);
}

static void packets(void **state)
{
	unsigned int i, rounds = slow_cpu() ? 2000 : 8000, refused = 0;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	for (i = 0; i < rounds; i++) {
		some_packet(&bed);
		if (i % 4)
			continue;
		take_receives(&bed);
		if (end_state(&bed.x.pair.b) == IBV_QPS_RTS)
			continue;
		refused++;
		begin_again(&bed);
	}
	begin_again(&bed);
	printf("%u packets: refused %u times; receives: %lu good, %lu flushed, %lu failed\n",
	       rounds, refused, bed.good, bed.flushed, bed.bad);
	assert_true(bed.good && bed.flushed && refused);
	/* As many receives as ever. */
	for (i = 0; i < RECEIVES; i++) {
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);

		end_post(&bed.x.pair.a, &wr);
		cq_success(bed.x.pair.a.scq);
		cq_success(bed.x.pair.b.rcq);
	}
	bed_close(&bed);
}

struct objects {
	struct ibv_xrcd *xrcd;
	struct ibv_srq *srq;
	struct ibv_qp *initiator, *target;
};

/* False, and errno is that of the first that could not be had. */
static bool objects_make(struct objects *o, struct end *end, struct ibv_cq *cq)
{
	struct conn conn = xrc_conn();

	memset(o, 0, sizeof(*o));
	o->xrcd = xrc_domain(end->rig->ctx, -1);
	o->srq = o->xrcd ? xrc_srq(end->rig->pd, o->xrcd, cq, &conn) : NULL;
	o->initiator = o->srq ? xrc_initiator(end, &conn) : NULL;
	return o->initiator;
}

static void objects_destroy(struct objects *o)
{
	if (o->target)
		assert_zero(ibv_destroy_qp(o->target));
	if (o->initiator)
		assert_zero(ibv_destroy_qp(o->initiator));
	if (o->srq)
		assert_zero(ibv_destroy_srq(o->srq));
	if (o->xrcd)
		assert_zero(ibv_close_xrcd(o->xrcd));
}

/*
 * A target is not made, but opened: where ib_core has no memory for a process's own part of a new one, it forgets that the domain
 * is used no more (create_xrc_qp_user(), Linux 7.3).
 */
static void no_memory(void **state)
{
	struct conn conn = xrc_conn();
	unsigned int nth, left = 0;
	struct objects all, o;
	struct ibv_qp *opened;
	struct end end = { 0 };
	struct rig rig;
	int file, err;

	(void)state;
	failslab_begin();
	file = fail_nth_open();
	rig_open(&rig);
	end_prepare(&end, &rig, &conn);
	assert_true(objects_make(&all, &end, end.rcq));
	all.target = xrc_target(rig.ctx, all.xrcd);
	assert_non_null(all.target);
	for (nth = 1; !left; nth++) {
		fail_nth(file, nth);
		opened = NULL;
		if (objects_make(&o, &end, end.rcq))
			opened = xrc_open_target(rig.ctx, all.xrcd, all.target->qp_num);
		err = errno;
		left = fail_nth_left(file);
		fail_nth(file, 0);
		if (!opened && (left || err != ENOMEM))
			fail_because("allocation %u: errno %d", nth, err);
		if (opened)
			assert_zero(ibv_destroy_qp(opened));
		objects_destroy(&o);
	}
	printf("%u allocations\n", nth);
	assert_true(nth > 10);
	objects_destroy(&all);
	end_close(&end);
	rig_close(&rig);
	close(file);
}

static int link_clean(void **state)
{
	(void)state;
	return system("ip link delete " LINK " 2>/dev/null; true");
}

static void device_goes(void **state)
{
	struct end end = { 0 };
	struct objects o;
	struct rig rig = { 0 };

	(void)state;
	assert_zero(system("ip link add " LINK " up type dummy && "
			   "rdma link add " LINK " type rxe_odp netdev " LINK));
	rig.ctx = rig_context(LINK);
	assert_non_null(rig.ctx);
	rig.pd = ibv_alloc_pd(rig.ctx);
	end.rig = &rig;
	end.scq = ibv_create_cq(rig.ctx, 16, NULL, NULL, 0);
	assert_non_null(end.scq);
	assert_true(objects_make(&o, &end, end.scq));
	o.target = xrc_target(rig.ctx, o.xrcd);
	assert_non_null(o.target);
	assert_zero(system("rdma link del " LINK));
	objects_destroy(&o);
	assert_zero(ibv_destroy_cq(end.scq));
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(packets),
		TEST(no_memory),
		{ "device_goes", device_goes, NULL, link_clean, NULL },
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
