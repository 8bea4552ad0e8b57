// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * XRC: every operation and length, posted either way, over both families and over a wire that loses; late pages; SRQs that are
 * empty, or run low; several SRQs behind one target and several targets before one SRQ; what is refused, and how each side hears
 * of it; what keeps a domain open.
 */
#include "event.h"
#include "netem.h"
#include "roce.h"
#include "xrc.h"

#include <rdma/ib_user_verbs.h>
#include <unistd.h>

#define MTU 1024UL

/* Opcodes on the wire. */
enum { XRC_SEND_FIRST = 0xa0, XRC_SEND_LAST = 0xa2 };

static const size_t lengths[] = { 1, 3, MTU - 1, MTU, MTU + 1, 2 * MTU, 100001 };

static int clean_wire(void **state)
{
	(void)state;
	netem_end();
	return 0;
}

static void read_checked(struct pair *pair, const struct buf *from, struct buf *to, uint32_t seed)
{
	struct ibv_sge sge = buf_sge(to, 0, to->bytes);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, from, 0);

	pattern_fill(from->data, from->bytes, seed, 0);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	pattern_check(to->data, to->bytes, seed, 0, "read");
	buf_check_guards(to);
}

static void swap_checked(struct pair *pair, const struct buf *result, const struct buf *target)
{
	uint64_t word = 77, found;
	struct ibv_sge sge = buf_sge(result, 0, sizeof(word));
	struct ibv_send_wr wr = wr_atomic(IBV_WR_ATOMIC_CMP_AND_SWP, &sge, target, 0, word, 88);

	memcpy(target->data, &word, sizeof(word));
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	memcpy(&found, result->data, sizeof(found));
	assert_int_equal(found, 77);
	memcpy(&found, target->data, sizeof(found));
	assert_int_equal(found, 88);
}

static void move_every_length(const struct conn *conn, void **state)
{
	struct buf from, to;
	uint64_t sum = 0;
	struct xrc x;
	enum op op;
	size_t i;
	int odp;

	xrc_open(&x, conn);
	odp = mode(&x.pair.rig, state);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		buf_make(&from, x.pair.a.rig->pd, MEM_ANON, lengths[i], i, ACCESS_ALL | odp);
		buf_make(&to, x.pair.b.rig->pd, MEM_ANON, lengths[i], 2 * i, ACCESS_ALL | odp);
		for (op = 0; op < OP_KINDS; op++)
			if (op != OP_READ)
				pair_move_checked(&x.pair, op, &from, &to, 8 * i + op);
		read_checked(&x.pair, &to, &from, 100 + i);
		buf_free(&from);
		buf_free(&to);
	}
	buf_make(&from, x.pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	buf_make(&to, x.pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	memset(to.data, 0, 8);
	pair_add_checked(&x.pair, &from, &to, &sum);
	swap_checked(&x.pair, &from, &to);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

static void every_length(void **state)
{
	struct conn conn = xrc_conn();

	move_every_length(&conn, state);
}

static void over_the_wire(void **state)
{
	struct conn conn = xrc_conn();

	conn.wire = true;
	conn.ipv6 = true;
	conn.mtu = IBV_MTU_4096;
	move_every_length(&conn, state);
}

static void lossy(void **state)
{
	struct conn conn = xrc_conn();
	struct buf from, to, word_from, word_to;
	unsigned int i, rounds = slow_cpu() ? 2 : 6;
	uint64_t sum = 0;
	struct xrc x;
	int odp;

	conn.wire = true;
	conn.timeout = 14;
	xrc_open(&x, &conn);
	odp = mode(&x.pair.rig, state);
	buf_make(&from, x.pair.a.rig->pd, MEM_SHARED, 20001, 24, ACCESS_ALL | odp);
	buf_make(&to, x.pair.b.rig->pd, MEM_ANON, 20001, 40, ACCESS_ALL | odp);
	buf_make(&word_from, x.pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	buf_make(&word_to, x.pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	memset(word_to.data, 0, 8);
	if (!netem_begin("loss 5% delay 1ms duplicate 2% reorder 2% 50%"))
		fail_because("no netem");
	for (i = 0; i < rounds * OP_KINDS; i++) {
		if (odp && i & 1)
			buf_forget(&to);
		if (i % OP_KINDS == OP_READ)
			read_checked(&x.pair, &to, &from, i);
		else
			pair_move_checked(&x.pair, i % OP_KINDS, &from, &to, i);
		pair_add_checked(&x.pair, &word_from, &word_to, &sum);
	}
	netem_end();
	assert_int_equal(end_state(&x.pair.b), IBV_QPS_RTS);
	buf_free(&from);
	buf_free(&to);
	buf_free(&word_from);
	buf_free(&word_to);
	xrc_close(&x);
}

/* Pages of the target's that take longer than the peer is left waiting without a word. */
static void late_pages(void **state)
{
	static const enum op ops[] = { OP_WRITE, OP_SEND, OP_WRITE_IMM };
	struct conn conn = xrc_conn();
	struct buf from, to;
	struct uffd uffd;
	struct xrc x;
	size_t i;

	(void)state;
	xrc_open(&x, &conn);
	rig_need_odp(&x.pair.rig, 0, 0);
	buf_make(&from, x.pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		buf_make(&to, x.pair.b.rig->pd, MEM_ANON, 3 * PAGE, 0,
			 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		uffd_register(&uffd, to.data, 3 * PAGE);
		uffd_serve(&uffd, 9, 120);
		pair_move_checked(&x.pair, ops[i], &from, &to, i);
		uffd_close(&uffd);
		buf_free(&to);
	}
	buf_make(&to, x.pair.b.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, to.data, 3 * PAGE);
	uffd_serve(&uffd, 9, 120);
	{
		struct ibv_sge sge = buf_sge(&from, 0, 3 * PAGE);
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &to, 0);

		end_post(&x.pair.a, &wr);
		cq_success(x.pair.a.scq);
		pattern_check(from.data, 3 * PAGE, 9, 0, "read of late pages");
	}
	uffd_close(&uffd);
	buf_free(&to);
	buf_free(&from);
	xrc_close(&x);
}

/* Lists of SGEs, inline data, more than one run sends, and posts of the extended kind. */
static void posted_either_way(void **state)
{
	enum { N = 40, BYTES = 3 * MTU + 3 };
	struct conn conn = xrc_conn();
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_qp_ex *ex;
	struct ibv_sge sge;
	char text[33];
	struct xrc x;
	int i, odp;

	conn.send_ops = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
			IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_READ;
	xrc_open(&x, &conn);
	odp = mode(&x.pair.rig, state);
	buf_make(&from, x.pair.a.rig->pd, MEM_ANON, N * BYTES, 0, ACCESS_ALL | odp);
	buf_make(&to, x.pair.b.rig->pd, MEM_ANON, N * BYTES, 0, ACCESS_ALL | odp);
	pattern_fill(from.data, from.bytes, 4, 0);
	for (i = 0; i < N; i++) {
		sge = buf_sge(&to, (size_t)i * BYTES, BYTES);
		end_post_recv(&x.pair.b, i, &sge, 1);
	}
	for (i = 0; i < N / 2; i++) {
		sge = buf_sge(&from, (size_t)i * BYTES, BYTES);
		wr = wr_make(IBV_WR_SEND, &sge, 1);
		wr.wr_id = i;
		wr.send_flags = i == N / 2 - 1 ? IBV_SEND_SIGNALED : 0;
		end_post(&x.pair.a, &wr);
	}
	ex = ibv_qp_to_qp_ex(x.pair.a.qp);
	ibv_wr_start(ex);
	for (; i < N; i++) {
		ex->wr_id = i;
		ex->wr_flags = i == N - 1 ? IBV_SEND_SIGNALED : 0;
		ibv_wr_send_imm(ex, i);
		ibv_wr_set_xrc_srqn(ex, x.pair.a.srq_num);
		ibv_wr_set_sge(ex, from.mr->lkey, (uintptr_t)from.data + (size_t)i * BYTES, BYTES);
	}
	assert_zero(ibv_wr_complete(ex));
	assert_int_equal(cq_success(x.pair.a.scq).wr_id, N / 2 - 1);
	assert_int_equal(cq_success(x.pair.a.scq).wr_id, N - 1);
	for (i = 0; i < N; i++) {
		struct ibv_wc wc = cq_success(x.pair.b.rcq);

		assert_int_equal(wc.wr_id, i);
		assert_int_equal(wc.qp_num, x.pair.b.qp->qp_num);
		assert_int_equal(wc.src_qp, x.pair.a.qp->qp_num);
		assert_int_equal(!!(wc.wc_flags & IBV_WC_WITH_IMM), i >= N / 2);
	}
	pattern_check(to.data, to.bytes, 4, 0, "many messages");

	sge = buf_sge(&to, 0, sizeof(text));
	end_post_recv(&x.pair.b, 99, &sge, 1);
	pattern_fill(text, sizeof(text), 8, 0);
	sge = (struct ibv_sge){ (uintptr_t)text, sizeof(text), 0 };
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	wr.send_flags |= IBV_SEND_INLINE;
	end_post(&x.pair.a, &wr);
	memset(text, 0, sizeof(text));
	cq_success(x.pair.a.scq);
	cq_success(x.pair.b.rcq);
	pattern_check(to.data, sizeof(text), 8, 0, "inline data");
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

static void empty_srq(void **state)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_IMM, NULL, 0);
	struct conn conn = xrc_conn();
	struct ibv_wc wc;
	struct xrc x;

	(void)state;
	conn.min_rnr_timer = 14;
	xrc_open(&x, &conn);
	end_post(&x.pair.a, &wr);
	assert_int_equal(cq_poll_bounded(x.pair.a.scq, &wc, 0.2), 0);
	end_post_recv(&x.pair.b, 5, NULL, 0);
	cq_success(x.pair.a.scq);
	assert_int_equal(cq_success(x.pair.b.rcq).wr_id, 5);
	xrc_close(&x);

	conn.rnr_retry = 1;
	xrc_open(&x, &conn);
	end_post(&x.pair.a, &wr);
	cq_expect(x.pair.a.scq, IBV_WC_RNR_RETRY_EXC_ERR);
	assert_int_equal(end_state(&x.pair.b), IBV_QPS_RTS);
	xrc_close(&x);
}

static void srq_runs_low(void **state)
{
	struct ibv_srq_attr attr = { .srq_limit = 2 }, now;
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);
	struct conn conn = xrc_conn();
	struct ibv_async_event event;
	struct xrc x;
	int i;

	(void)state;
	xrc_open(&x, &conn);
	for (i = 0; i < 3; i++)
		end_post_recv(&x.pair.b, i, NULL, 0);
	assert_zero(ibv_modify_srq(x.pair.b.srq, &attr, IBV_SRQ_LIMIT));
	for (i = 0; i < 2; i++) {
		end_post(&x.pair.a, &wr);
		cq_success(x.pair.a.scq);
	}
	event = async_expect(x.pair.b.rig->ctx, IBV_EVENT_SRQ_LIMIT_REACHED);
	assert_ptr_equal(event.element.srq, x.pair.b.srq);
	attr.max_wr = 500;
	assert_zero(ibv_modify_srq(x.pair.b.srq, &attr, IBV_SRQ_MAX_WR));
	assert_zero(ibv_query_srq(x.pair.b.srq, &now));
	assert_true(now.max_wr >= 500);
	for (i = 0; i < 2; i++)
		assert_int_equal(cq_success(x.pair.b.rcq).wr_id, i);
	end_post(&x.pair.a, &wr);
	assert_int_equal(cq_success(x.pair.b.rcq).wr_id, 2);
	cq_success(x.pair.a.scq);
	xrc_close(&x);
}

/* Each message goes where it says, and each completion says by which target it came. */
static void many_to_many(void **state)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);
	struct conn conn = xrc_conn();
	struct end a2, b2;
	struct ibv_srq *srq2;
	struct ibv_cq *cq2;
	struct xrc x;
	int i;

	(void)state;
	xrc_open(&x, &conn);
	memset(&a2, 0, sizeof(a2));
	memset(&b2, 0, sizeof(b2));
	end_prepare(&a2, x.pair.a.rig, &conn);
	end_prepare(&b2, x.pair.b.rig, &conn);
	cq2 = b2.rcq;
	srq2 = xrc_srq(x.pair.b.rig->pd, x.xrcd, cq2, &conn);
	assert_non_null(srq2);
	b2.srq = srq2;
	b2.qp = xrc_target(x.pair.b.rig->ctx, x.xrcd);
	assert_non_null(b2.qp);
	a2.qp = xrc_initiator(&a2, &conn);
	assert_non_null(a2.qp);
	ends_connect(&a2, &b2, &conn);
	assert_int_not_equal(xrc_srq_num(srq2), x.pair.a.srq_num);
	for (i = 0; i < 4; i++) {
		struct end *from = i & 1 ? &a2 : &x.pair.a, *by = i & 1 ? &b2 : &x.pair.b;
		struct end *to = i & 2 ? &b2 : &x.pair.b;
		struct ibv_wc wc;

		from->srq_num = xrc_srq_num(to->srq);
		end_post_recv(to, i, NULL, 0);
		end_post(from, &wr);
		cq_success(from->scq);
		wc = cq_success(to->rcq);
		assert_int_equal(wc.wr_id, i);
		assert_int_equal(wc.qp_num, by->qp->qp_num);
	}
	end_close(&a2);
	end_close(&b2);
	xrc_close(&x);
}

/* The initiator hears @status, the target ends with @event; then both begin again. */
static void expect_refused(struct xrc *x, struct ibv_send_wr *wr, enum ibv_wc_status status,
			   enum ibv_event_type event)
{
	end_post(&x->pair.a, wr);
	cq_expect(x->pair.a.scq, status);
	async_expect(x->pair.b.rig->ctx, event);
	end_await_state(&x->pair.b, IBV_QPS_ERR);
	pair_reconnect(&x->pair);
}

static void refused(void **state)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);
	struct conn conn = xrc_conn();
	struct ibv_xrcd *other_xrcd;
	struct ibv_pd *other_pd;
	struct buf from, to, other;
	struct ibv_sge sge, recv_sge;
	struct ibv_srq *srq;
	struct xrc x;
	uint32_t num;

	(void)state;
	xrc_open(&x, &conn);
	num = x.pair.a.srq_num;
	end_post_recv(&x.pair.b, 1, NULL, 0);
	x.pair.a.srq_num = 0;
	expect_refused(&x, &wr, IBV_WC_REM_INV_RD_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR);
	x.pair.a.srq_num = 0xffffff;
	expect_refused(&x, &wr, IBV_WC_REM_INV_RD_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR);

	other_xrcd = xrc_domain(x.pair.b.rig->ctx, -1);
	assert_non_null(other_xrcd);
	srq = xrc_srq(x.pair.b.rig->pd, other_xrcd, x.pair.b.rcq, &conn);
	assert_non_null(srq);
	x.pair.a.srq_num = xrc_srq_num(srq);
	expect_refused(&x, &wr, IBV_WC_REM_INV_RD_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR);
	assert_zero(ibv_destroy_srq(srq));
	assert_zero(ibv_close_xrcd(other_xrcd));

	/* Keys are those of the SRQ's protection domain, for receives and for the peer. */
	x.pair.a.srq_num = num;
	other_pd = ibv_alloc_pd(x.pair.b.rig->ctx);
	assert_non_null(other_pd);
	buf_make(&other, other_pd, MEM_ANON, 100, 0, ACCESS_ALL);
	buf_make(&from, x.pair.a.rig->pd, MEM_ANON, 100, 0, ACCESS_ALL);
	buf_make(&to, x.pair.b.rig->pd, MEM_ANON, 100, 0, ACCESS_ALL);
	sge = buf_sge(&from, 0, 100);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &other, 0);
	expect_refused(&x, &wr, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &other, 0);
	expect_refused(&x, &wr, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	srq = xrc_srq(other_pd, x.xrcd, x.pair.b.rcq, &conn);
	assert_non_null(srq);
	x.pair.a.srq_num = xrc_srq_num(srq);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &other, 0);
	end_post(&x.pair.a, &wr);
	cq_success(x.pair.a.scq);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	expect_refused(&x, &wr, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	assert_zero(ibv_destroy_srq(srq));
	x.pair.a.srq_num = num;

	/* The receive that was posted first is there yet. It is too short. */
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&x.pair.a, &wr);
	cq_expect(x.pair.a.scq, IBV_WC_REM_INV_REQ_ERR);
	assert_int_equal(cq_expect(x.pair.b.rcq, IBV_WC_LOC_LEN_ERR).wr_id, 1);
	async_expect(x.pair.b.rig->ctx, IBV_EVENT_QP_REQ_ERR);
	pair_reconnect(&x.pair);

	/* A receive whose key is none; then a SEND that may not invalidate a key. */
	recv_sge = buf_sge(&to, 0, 100);
	recv_sge.lkey ^= 0x5500;
	end_post_recv(&x.pair.b, 2, &recv_sge, 1);
	end_post(&x.pair.a, &wr);
	cq_expect(x.pair.a.scq, IBV_WC_REM_OP_ERR);
	assert_int_equal(cq_expect(x.pair.b.rcq, IBV_WC_LOC_PROT_ERR).wr_id, 2);
	pair_reconnect(&x.pair);
	end_post_recv(&x.pair.b, 3, NULL, 0);
	wr = wr_make(IBV_WR_SEND_WITH_INV, NULL, 0);
	wr.invalidate_rkey = to.mr->rkey;
	end_post(&x.pair.a, &wr);
	cq_expect(x.pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(cq_expect(x.pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 3);
	pair_reconnect(&x.pair);
	pair_move_checked(&x.pair, OP_SEND, &from, &to, 5);

	buf_free(&other);
	buf_free(&from);
	buf_free(&to);
	assert_zero(ibv_dealloc_pd(other_pd));
	xrc_close(&x);
}

/* Past the library, what it would not ask for. Returns an errno. */
static int doorbell(struct ibv_qp *qp)
{
	struct ib_uverbs_post_send_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send cmd;
	} req = {
		.hdr = { .command = IB_USER_VERBS_CMD_POST_SEND,
			 .in_words = sizeof(req) / 4,
			 .out_words = sizeof(resp) / 4 },
		.cmd = { .response = (uintptr_t)&resp,
			 .qp_handle = qp->handle,
			 .wqe_size = sizeof(struct ib_uverbs_send_wr) },
	};

	return write(qp->context->cmd_fd, &req, sizeof(req)) == sizeof(req) ? 0 : errno;
}

/* Each has one half. */
static void posted_to_the_wrong_half(void **state)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0), *bad;
	struct ibv_recv_wr recv = {}, *bad_recv;
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_XRC_SEND,
		.cap = { .max_send_wr = 4, .max_send_sge = 1 },
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
	};
	struct conn conn = xrc_conn();
	uint32_t num;
	struct xrc x;

	(void)state;
	xrc_open(&x, &conn);
	assert_int_equal(ibv_post_send(x.pair.b.qp, &wr, &bad), EINVAL);
	assert_int_equal(ibv_post_recv(x.pair.b.qp, &recv, &bad_recv), EINVAL);
	assert_int_equal(ibv_post_recv(x.pair.a.qp, &recv, &bad_recv), EINVAL);
	assert_int_equal(doorbell(x.pair.b.qp), EINVAL);
	wr.opcode = IBV_WR_ATOMIC_WRITE;
	assert_int_equal(ibv_post_send(x.pair.a.qp, &wr, &bad), EINVAL);
	attr.pd = x.pair.a.rig->pd;
	attr.send_cq = x.pair.a.scq;
	attr.send_ops_flags = IBV_QP_EX_WITH_FLUSH;
	assert_null(ibv_create_qp_ex(x.pair.a.rig->ctx, &attr));
	assert_int_equal(errno, EOPNOTSUPP);
	attr.qp_type = IBV_QPT_XRC_RECV;
	attr.comp_mask = IBV_QP_INIT_ATTR_PD;
	assert_null(ibv_create_qp_ex(x.pair.a.rig->ctx, &attr));
	assert_int_equal(errno, EINVAL);
	assert_zero(ibv_get_srq_num(x.pair.b.srq, &num));
	assert_int_equal(num, x.pair.a.srq_num);
	xrc_close(&x);
}

static void domain_in_use(void **state)
{
	struct conn conn = xrc_conn();
	struct xrc x;

	(void)state;
	xrc_open(&x, &conn);
	assert_int_equal(ibv_close_xrcd(x.xrcd), EBUSY);
	assert_int_equal(ibv_destroy_cq(x.pair.b.rcq), EBUSY);
	assert_zero(ibv_destroy_srq(x.pair.b.srq));
	x.pair.b.srq = NULL;
	assert_int_equal(ibv_close_xrcd(x.xrcd), EBUSY);
	assert_zero(ibv_destroy_qp(x.pair.b.qp));
	x.pair.b.qp = NULL;
	xrc_close(&x);
}

static void communication_is_established(void **state)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);
	struct conn conn = xrc_conn();
	struct ibv_async_event event;
	struct xrc x;

	(void)state;
	xrc_open(&x, &conn);
	assert_zero(end_set_state(&x.pair.b, IBV_QPS_RESET));
	assert_zero(end_to_init(&x.pair.b, &conn));
	assert_zero(end_to_rtr(&x.pair.b, &x.pair.a, &conn));
	end_post_recv(&x.pair.b, 1, NULL, 0);
	end_post(&x.pair.a, &wr);
	cq_success(x.pair.a.scq);
	event = async_expect(x.pair.b.rig->ctx, IBV_EVENT_COMM_EST);
	assert_ptr_equal(event.element.qp, x.pair.b.qp);
	assert_int_equal(cq_success(x.pair.b.rcq).wr_id, 1);
	xrc_close(&x);
}

/* It has nothing to drain, and says so at once. */
static void target_is_drained(void **state)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	struct conn conn = xrc_conn();
	struct ibv_async_event event;
	struct xrc x;

	(void)state;
	xrc_open(&x, &conn);
	assert_zero(ibv_modify_qp(x.pair.b.qp, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	event = async_expect(x.pair.b.rig->ctx, IBV_EVENT_SQ_DRAINED);
	assert_ptr_equal(event.element.qp, x.pair.b.qp);
	xrc_close(&x);
}

/* A message of which the target has the first page, and whose second page the initiator waits for. */
struct half {
	struct xrc x;
	struct buf from, to;
	struct uffd uffd;
};

static void half_begin(struct half *h)
{
	struct conn conn = xrc_conn();
	double last = seconds() + BOUND_S;
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	xrc_open(&h->x, &conn);
	rig_need_odp(&h->x.pair.rig, 0, 0);
	buf_make(&h->from, h->x.pair.a.rig->pd, MEM_ANON, 2 * PAGE, 0,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&h->to, h->x.pair.b.rig->pd, MEM_ANON, 2 * PAGE, 0, ACCESS_ALL);
	pattern_fill(h->from.data, PAGE, 5, 0);
	memset(h->to.data, 0, 2 * PAGE);
	uffd_register(&h->uffd, h->from.data + PAGE, PAGE);
	sge = buf_sge(&h->to, 0, 2 * PAGE);
	end_post_recv(&h->x.pair.b, 1, &sge, 1);
	sge = buf_sge(&h->from, 0, 2 * PAGE);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&h->x.pair.a, &wr);
	assert_ptr_equal(uffd_next(&h->uffd, 60000), h->from.data + PAGE);
	while (memcmp(h->to.data + PAGE - 8, h->from.data + PAGE - 8, 8))
		if (seconds() > last)
			fail_because("the first page does not arrive");
	cq_assert_empty(h->x.pair.b.rcq);
}

static void half_end(struct half *h)
{
	uffd_close(&h->uffd);
	buf_free(&h->from);
	buf_free(&h->to);
	xrc_close(&h->x);
}

static void target_is_reset(void **state)
{
	struct half h;

	(void)state;
	half_begin(&h);
	assert_zero(end_set_state(&h.x.pair.b, IBV_QPS_RESET));
	assert_int_equal(cq_expect(h.x.pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 1);
	half_end(&h);
}

static void target_is_destroyed(void **state)
{
	struct ibv_wc wc;
	uint32_t num;
	struct half h;

	(void)state;
	half_begin(&h);
	num = h.x.pair.b.qp->qp_num;
	assert_zero(ibv_destroy_qp(h.x.pair.b.qp));
	h.x.pair.b.qp = NULL;
	wc = cq_expect(h.x.pair.b.rcq, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(wc.wr_id, 1);
	assert_int_equal(wc.qp_num, num);
	half_end(&h);
}

static void target_is_in_error(void **state)
{
	struct half h;

	(void)state;
	half_begin(&h);
	assert_zero(end_set_state(&h.x.pair.b, IBV_QPS_ERR));
	assert_int_equal(cq_expect(h.x.pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 1);
	async_expect(h.x.pair.b.rig->ctx, IBV_EVENT_QP_LAST_WQE_REACHED);
	assert_zero(end_set_state(&h.x.pair.b, IBV_QPS_RESET));
	cq_assert_empty(h.x.pair.b.rcq);
	half_end(&h);
}

static void srq_is_destroyed(void **state)
{
	struct half h;

	(void)state;
	half_begin(&h);
	assert_zero(ibv_destroy_srq(h.x.pair.b.srq));
	h.x.pair.b.srq = NULL;
	uffd_give_zeros(&h.uffd, h.from.data + PAGE, PAGE);
	cq_expect(h.x.pair.a.scq, IBV_WC_REM_INV_RD_REQ_ERR);
	async_expect(h.x.pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);
	cq_assert_empty(h.x.pair.b.rcq);
	half_end(&h);
}

/* The target waits for a page of the receive's, and its SRQ goes, or it does. */
static void ends_while_a_page_is_awaited(void **state)
{
	struct conn conn = xrc_conn();
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct buf from, to;
	struct uffd uffd;
	struct xrc x;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		xrc_open(&x, &conn);
		rig_need_odp(&x.pair.rig, 0, 0);
		buf_make(&from, x.pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
		buf_make(&to, x.pair.b.rig->pd, MEM_ANON, PAGE, 0,
			 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		uffd_register(&uffd, to.data, PAGE);
		sge = buf_sge(&to, 0, PAGE);
		end_post_recv(&x.pair.b, 1, &sge, 1);
		sge = buf_sge(&from, 0, PAGE);
		wr = wr_make(IBV_WR_SEND, &sge, 1);
		end_post(&x.pair.a, &wr);
		assert_ptr_equal(uffd_next(&uffd, 60000), to.data);
		if (i) {
			assert_zero(ibv_destroy_qp(x.pair.b.qp));
			x.pair.b.qp = NULL;
			assert_int_equal(cq_expect(x.pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 1);
		} else {
			assert_zero(ibv_destroy_srq(x.pair.b.srq));
			x.pair.b.srq = NULL;
			uffd_give_zeros(&uffd, to.data, PAGE);
			cq_expect(x.pair.a.scq, IBV_WC_REM_INV_RD_REQ_ERR);
			cq_assert_empty(x.pair.b.rcq);
		}
		uffd_close(&uffd);
		buf_free(&from);
		buf_free(&to);
		xrc_close(&x);
	}
}

/* A READ is in the middle of it when the SRQ goes whose keys it names. */
static void srq_is_destroyed_under_a_read(void **state)
{
	struct conn conn = xrc_conn();
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct uffd uffd;
	struct xrc x;

	(void)state;
	xrc_open(&x, &conn);
	rig_need_odp(&x.pair.rig, 0, 0);
	buf_make(&to, x.pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_make(&from, x.pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, from.data, PAGE);
	sge = buf_sge(&to, 0, PAGE);
	wr = wr_rdma(IBV_WR_RDMA_READ, &sge, 1, &from, 0);
	end_post(&x.pair.a, &wr);
	assert_ptr_equal(uffd_next(&uffd, 60000), from.data);
	assert_zero(ibv_destroy_srq(x.pair.b.srq));
	x.pair.b.srq = NULL;
	uffd_give_zeros(&uffd, from.data, PAGE);
	cq_expect(x.pair.a.scq, IBV_WC_REM_INV_RD_REQ_ERR);
	async_expect(x.pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);
	end_await_state(&x.pair.b, IBV_QPS_ERR);
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

/* A message that changes its SRQ in the middle, which no initiator of ours sends. */
static void another_srq_in_the_middle(void **state)
{
	uint8_t data[4 + MTU] = {};
	struct conn conn = xrc_conn();
	struct roce_path path;
	struct ibv_srq *srq2;
	struct ibv_sge sge;
	struct buf to;
	struct xrc x;
	int fd;

	(void)state;
	xrc_open(&x, &conn);
	srq2 = xrc_srq(x.pair.b.rig->pd, x.xrcd, x.pair.b.rcq, &conn);
	assert_non_null(srq2);
	buf_make(&to, x.pair.b.rig->pd, MEM_ANON, 2 * MTU, 0, ACCESS_ALL);
	sge = buf_sge(&to, 0, 2 * MTU);
	end_post_recv(&x.pair.b, 1, &sge, 1);
	path = roce_path(&x.pair.a, &x.pair.b);
	fd = roce_user_socket(&path);
	roce_put32(data, x.pair.a.srq_num);
	assert_zero(roce_user_send(fd, &path, XRC_SEND_FIRST, x.pair.b.qp->qp_num, x.pair.a.psn,
				   data, sizeof(data), 0));
	roce_put32(data, xrc_srq_num(srq2));
	assert_zero(roce_user_send(fd, &path, XRC_SEND_LAST, x.pair.b.qp->qp_num,
				   (x.pair.a.psn + 1) & 0xffffff, data, sizeof(data), 0));
	assert_int_equal(cq_expect(x.pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 1);
	async_expect(x.pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);
	close(fd);
	assert_zero(ibv_destroy_srq(srq2));
	buf_free(&to);
	xrc_close(&x);
}

/* Whether rdma(8) shows queue pairs of a type with details of the one half and none of the other. */
static bool half_is_shown(const char *type, const char *half, const char *other)
{
	bool in = false, shown = false;
	char line[4096];
	FILE *f = popen("rdma -dd resource show qp", "r");

	assert_non_null(f);
	/* An entry may have several lines, of which the first begins with its link. */
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "link ", 5))
			in = strstr(line, type);
		if (in && strstr(line, other))
			fail_because("a queue pair of %s has %s", type, other);
		shown |= in && strstr(line, half);
	}
	pclose(f);
	return shown;
}

static void shown(void **state)
{
	struct conn conn = xrc_conn();
	struct xrc x;

	(void)state;
	xrc_open(&x, &conn);
	assert_true(half_is_shown("type XRC_INI", "drv_sq_window", "drv_rq_msn"));
	assert_true(half_is_shown("type XRC_TGT", "drv_rq_msn", "drv_sq_window"));
	xrc_close(&x);
}

static void capabilities(void **state)
{
	const uint32_t caps = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ |
			      IBV_ODP_SUPPORT_ATOMIC | IBV_ODP_SUPPORT_SRQ_RECV;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_true(rig.attr.orig_attr.device_cap_flags & IBV_DEVICE_XRC);
	assert_int_equal(rig.attr.xrc_odp_caps, caps);
	rig_close(&rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(capabilities),
		TEST_BOTH(every_length),
		TEST_BOTH(over_the_wire),
		{ "lossy (pinned)", lossy, NULL, clean_wire, NULL },
		{ "lossy (odp)", lossy, NULL, clean_wire, (void *)(uintptr_t)1 },
		TEST(late_pages),
		TEST_BOTH(posted_either_way),
		TEST(empty_srq),
		TEST(srq_runs_low),
		TEST(many_to_many),
		TEST(refused),
		TEST(posted_to_the_wrong_half),
		TEST(domain_in_use),
		TEST(communication_is_established),
		TEST(target_is_drained),
		TEST(target_is_reset),
		TEST(target_is_destroyed),
		TEST(target_is_in_error),
		TEST(srq_is_destroyed),
		TEST(ends_while_a_page_is_awaited),
		TEST(srq_is_destroyed_under_a_read),
		TEST(another_srq_in_the_middle),
		TEST(shown),
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
