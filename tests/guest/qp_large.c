// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queues of a million: queue pairs and SRQs as large as stock rxe's, which take what is posted in its order, flush it, and are
 * charged for their rings to who creates them, for no more than these, and refused with ENOMEM where they do not fit; no
 * process is killed for one.
 *
 * rdma-odp: timeout 300
 */
#include "cgroup.h"
#include "pair.h"

#include <unistd.h>

#define MOST 1048576
/* Of the largest, one entry more and that to a power of two: with one SGE, and with 32. */
#define SMALL_RING  (2 * MOST * 256UL)
#define SMALL_SRING (2 * MOST * 64UL)
#define LARGE_RING  (2 * MOST * 1024UL)
#define SLACK	    (32 * MIB)

/* Far more than the kernel copies at once. */
static uint32_t many(void)
{
	return slow_kernel() ? 5000 : emulated_cpu() ? 20000 : 100000;
}

static struct conn conn_many(enum ibv_qp_type type)
{
	struct conn conn = CONN;

	conn.type = type;
	conn.send_wr = many();
	conn.recv_wr = many();
	conn.cqe = 2 * many();
	conn.sge = 1;
	conn.inline_bytes = 0;
	return conn;
}

/* Requests one behind the other, each of 8 bytes; for a datagram's receiver, if there is one. */
static struct ibv_send_wr *chain(struct pair *pair, struct ibv_send_wr wr, struct buf *from,
				 const struct buf *to)
{
	struct ibv_send_wr *wrs = calloc(many(), sizeof(*wrs));
	struct ibv_sge *sges = calloc(many(), sizeof(*sges));
	uint32_t i;

	assert_non_null(wrs);
	assert_non_null(sges);
	for (i = 0; i < many(); i++) {
		sges[i] = buf_sge(from, i * 8 % from->bytes, 8);
		wrs[i] = wr;
		wrs[i].wr_id = i;
		wrs[i].sg_list = &sges[i];
		if (to)
			wrs[i].wr.rdma.remote_addr += i * 8;
		wrs[i].next = i + 1 < many() ? &wrs[i + 1] : NULL;
	}
	if (pair->conn.type == IBV_QPT_UD) {
		for (i = 0; i < many(); i++) {
			wrs[i].wr.ud.ah = pair->a.ah;
			wrs[i].wr.ud.remote_qpn = pair->b.qp->qp_num;
			wrs[i].wr.ud.remote_qkey = UD_QKEY;
		}
	}
	return wrs;
}

static void chain_free(struct ibv_send_wr *wrs)
{
	free(wrs->sg_list);
	free(wrs);
}

/* All that was posted completes with this status, in order. */
static void expect_all(struct ibv_cq *cq, uint32_t first, enum ibv_wc_status status)
{
	struct ibv_wc wc;
	uint32_t i;

	for (i = first; i < many(); i++) {
		wc = cq_wait(cq);
		if (wc.wr_id != i || wc.status != status)
			fail_because("completion %u is %lu: %s", i, wc.wr_id,
				     ibv_wc_status_str(wc.status));
	}
	cq_assert_empty(cq);
}

static void limits(void **state)
{
	struct ibv_qp_init_attr init = { .qp_type = IBV_QPT_RC };
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	assert_int_equal(pair.rig.attr.orig_attr.max_qp_wr, MOST);
	assert_int_equal(pair.rig.attr.orig_attr.max_srq_wr, MOST);
	init.send_cq = pair.a.scq;
	init.recv_cq = pair.a.rcq;
	init.cap = (struct ibv_qp_cap){ .max_send_wr = MOST + 1, .max_send_sge = 1 };
	assert_null(ibv_create_qp(pair.rig.pd, &init));
	assert_int_equal(errno, EINVAL);
	init.cap = (struct ibv_qp_cap){ .max_recv_wr = MOST + 1, .max_recv_sge = 1 };
	assert_null(ibv_create_qp(pair.rig.pd, &init));
	assert_int_equal(errno, EINVAL);
	pair_close(&pair);
}

static void writes_in_order(void **state)
{
	struct conn conn = conn_many(IBV_QPT_RC);
	struct ibv_send_wr *wrs, *bad;
	struct buf from, to;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 8 * many(), 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 8 * many(), 0, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, 3, 0);
	wrs = chain(&pair, wr_rdma(IBV_WR_RDMA_WRITE, NULL, 1, &to, 0), &from, &to);
	assert_zero(ibv_post_send(pair.a.qp, wrs, &bad));
	expect_all(pair.a.scq, 0, IBV_WC_SUCCESS);
	pattern_check(to.data, to.bytes, 3, 0, "a million words");
	chain_free(wrs);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void datagrams_in_order(void **state)
{
	struct conn conn = conn_many(IBV_QPT_UD);
	struct ibv_send_wr *wrs, *bad;
	struct pair pair;
	struct buf from;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	wrs = chain(&pair, wr_make(IBV_WR_SEND, NULL, 1), &from, NULL);
	assert_zero(ibv_post_send(pair.a.qp, wrs, &bad));
	expect_all(pair.a.scq, 0, IBV_WC_SUCCESS);
	chain_free(wrs);
	buf_free(&from);
	pair_close(&pair);
}

/* Nothing of it can have been done: the peer has posted no receive. */
static void flushed_in_order(void **state)
{
	struct conn conn = conn_many(IBV_QPT_RC);
	struct ibv_send_wr *wrs, *bad;
	struct ibv_sge sge;
	struct buf from;
	struct pair pair;
	uint32_t i;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	wrs = chain(&pair, wr_make(IBV_WR_SEND, NULL, 1), &from, NULL);
	assert_zero(ibv_post_send(pair.a.qp, wrs, &bad));
	sge = buf_sge(&from, 0, 8);
	for (i = 0; i < many(); i++)
		end_post_recv(&pair.a, i, &sge, 1);
	assert_zero(end_set_state(&pair.a, IBV_QPS_ERR));
	expect_all(pair.a.scq, 0, IBV_WC_WR_FLUSH_ERR);
	expect_all(pair.a.rcq, 0, IBV_WC_WR_FLUSH_ERR);
	chain_free(wrs);
	buf_free(&from);
	pair_reconnect(&pair);
	pair_assert_works(&pair);
	pair_close(&pair);
}

/* A datagram fails, and the queue pair is made ready again at once: none of those behind it is sent. */
static void flushed_before_it_recovers(void **state)
{
	struct conn conn = conn_many(IBV_QPT_UD);
	struct ibv_send_wr *wrs, *bad;
	struct pair pair;
	struct buf from;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	wrs = chain(&pair, wr_make(IBV_WR_SEND, NULL, 1), &from, NULL);
	wrs[0].sg_list->lkey ^= 0xff;
	assert_zero(ibv_post_send(pair.a.qp, wrs, &bad));
	assert_zero(end_set_state(&pair.a, IBV_QPS_RTS));
	assert_int_equal(cq_expect(pair.a.scq, IBV_WC_LOC_PROT_ERR).wr_id, 0);
	expect_all(pair.a.scq, 1, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(end_state(&pair.a), IBV_QPS_RTS);
	chain_free(wrs);
	buf_free(&from);
	pair_close(&pair);
}

/* What a child works with. */
struct objects {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
};

static int objects_open(struct objects *o)
{
	o->ctx = rig_context(rig_device_name());
	o->pd = o->ctx ? ibv_alloc_pd(o->ctx) : NULL;
	o->cq = o->pd ? ibv_create_cq(o->ctx, 16, NULL, NULL, 0) : NULL;
	return !o->cq;
}

static struct ibv_qp *make_qp(struct objects *o, uint32_t send_wr, uint32_t recv_wr, uint32_t sge)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.send_cq = o->cq,
		.recv_cq = o->cq,
		.cap = { send_wr, recv_wr, sge, sge, 0 },
	};

	return ibv_create_qp(o->pd, &init);
}

static struct ibv_srq *make_srq(struct objects *o, uint32_t wr, uint32_t sge)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = wr, .max_sge = sge } };

	return ibv_create_srq(o->pd, &init);
}

/* Whether so much more than before is charged, and no more than that but for pages of tables. */
static bool is_charged(const char *what, long before, unsigned long bytes)
{
	long charged = group_bytes() - before;

	printf("%s: %ld KiB charged\n", what, charged / 1024);
	return charged >= (long)bytes && charged < (long)(bytes + SLACK);
}

static int charged(void)
{
	struct ibv_srq *srq;
	struct objects o;
	struct ibv_qp *qp;
	long before;

	if (objects_open(&o))
		return 1;
	qp = make_qp(&o, 1, 1, 1);
	if (!qp || ibv_destroy_qp(qp))
		return 2;
	before = group_bytes();
	qp = make_qp(&o, MOST, 1, 1);
	if (!qp || !is_charged("send queue", before, SMALL_RING) || ibv_destroy_qp(qp))
		return 3;
	qp = make_qp(&o, 1, MOST, 1);
	if (!qp || !is_charged("receive queue", before, SMALL_SRING) || ibv_destroy_qp(qp))
		return 4;
	srq = make_srq(&o, MOST, 1);
	if (!srq || !is_charged("SRQ", before, SMALL_SRING) || ibv_destroy_srq(srq))
		return 5;
	return group_bytes() - before < (long)SLACK ? 0 : 6;
}

static int too_large_for_the_group(void)
{
	struct ibv_srq_attr attr = { .max_wr = MOST };
	struct ibv_srq *srq;
	struct objects o;
	struct ibv_qp *qp;

	if (objects_open(&o))
		return 1;
	if (make_qp(&o, MOST, 1, 1) || errno != ENOMEM)
		return 2;
	if (make_qp(&o, 1, MOST, 32) || errno != ENOMEM)
		return 3;
	if (make_srq(&o, MOST, 1) || errno != ENOMEM)
		return 4;
	srq = make_srq(&o, 100, 1);
	if (!srq || ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR) != ENOMEM)
		return 5;
	qp = make_qp(&o, 1000, 1000, 1);
	return qp && !ibv_destroy_qp(qp) && !ibv_destroy_srq(srq) ? 0 : 6;
}

static void charged_for_its_rings(void **state)
{
	(void)state;
	group_run(charged, "max");
}

static void enomem_in_a_small_group(void **state)
{
	(void)state;
	group_run(too_large_for_the_group, "48M");
}

/* Rings of 2 GiB, whose size a process is told in 32 bits. */
static int largest(void)
{
	struct ibv_srq *srq;
	struct objects o;
	struct ibv_qp *qp;
	long before;

	if (objects_open(&o))
		return 1;
	before = group_bytes();
	qp = make_qp(&o, MOST, 1, 32);
	if (!qp || !is_charged("send queue of 32 SGEs", before, LARGE_RING) || ibv_destroy_qp(qp))
		return 2;
	srq = make_srq(&o, MOST, 32);
	if (!srq || !is_charged("SRQ of 32 SGEs", before, LARGE_RING) || ibv_destroy_srq(srq))
		return 3;
	return 0;
}

static void rings_of_two_gigabytes(void **state)
{
	(void)state;
	if (slow_kernel())
		skip_because("a ring of 2 GiB and its shadow in KASAN are more than the guest has");
	group_run(largest, "max");
}

static void srq_attributes(void **state)
{
	struct ibv_srq_attr attr = { .srq_limit = 5 };
	struct ibv_srq *srq;
	struct objects o;

	(void)state;
	assert_zero(objects_open(&o));
	srq = make_srq(&o, MOST, 1);
	assert_non_null(srq);
	assert_zero(ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT));
	assert_zero(ibv_query_srq(srq, &attr));
	assert_true(attr.max_wr >= MOST);
	assert_int_equal(attr.srq_limit, 5);
	attr.max_wr = 100;
	assert_zero(ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR));
	attr.max_wr = MOST;
	assert_zero(ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR));
	attr.max_wr = MOST + 1;
	assert_int_not_equal(ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR), 0);
	assert_zero(ibv_destroy_srq(srq));
	assert_zero(ibv_destroy_cq(o.cq));
	assert_zero(ibv_dealloc_pd(o.pd));
	assert_zero(ibv_close_device(o.ctx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(limits),
		TEST(writes_in_order),
		TEST(datagrams_in_order),
		TEST(flushed_in_order),
		TEST(flushed_before_it_recovers),
		TEST(charged_for_its_rings),
		TEST(enomem_in_a_small_group),
		TEST(rings_of_two_gigabytes),
		TEST(srq_attributes),
	};
	int rc = test_run(tests, ARRAY_SIZE(tests));

	group_end();
	return rc;
}
