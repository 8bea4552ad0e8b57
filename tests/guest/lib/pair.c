// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "pair.h"

#include <unistd.h>

#define NAP_US 50

static struct ibv_qp *qp_create_ex(struct rig *rig, const struct ibv_qp_init_attr *attr,
				   uint64_t send_ops)
{
	struct ibv_qp_init_attr_ex ex = {
		.qp_type = attr->qp_type,
		.sq_sig_all = attr->sq_sig_all,
		.cap = attr->cap,
		.send_cq = attr->send_cq,
		.recv_cq = attr->recv_cq,
		.srq = attr->srq,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = rig->pd,
		.send_ops_flags = send_ops,
	};

	return ibv_create_qp_ex(rig->ctx, &ex);
}

void end_prepare(struct end *end, struct rig *rig, const struct conn *conn)
{
	int v6 = conn->ipv6;

	end->rig = rig;
	end->gid_index = v6 ? rig->gid6 : rig->gid4;
	if (end->gid_index < 0)
		fail_because("the device has no %s GID", v6 ? "IPv6" : "IPv4");
	end->gid = rig->gids[v6];
	end->psn = 0xfffff0 + (rig->ctx->cmd_fd & 7); /* runs over the end of the 24 bits soon */
	end->channel = ibv_create_comp_channel(rig->ctx);
	assert_non_null(end->channel);
	end->scq = ibv_create_cq(rig->ctx, conn->cqe, NULL, end->channel, 0);
	end->rcq = conn->one_cq ? end->scq :
				  ibv_create_cq(rig->ctx, conn->cqe, NULL, end->channel, 0);
	assert_non_null(end->scq);
	assert_non_null(end->rcq);
}

void end_create(struct end *end, struct rig *rig, const struct conn *conn)
{
	bool srq = end->srq;
	struct ibv_qp_init_attr attr = {
		.qp_type = conn->type,
		.sq_sig_all = conn->sq_sig_all,
		.cap = {
			.max_send_wr = conn->send_wr,
			.max_recv_wr = srq ? 0 : conn->recv_wr,
			.max_send_sge = conn->sge,
			.max_recv_sge = srq ? 0 : conn->sge,
			.max_inline_data = conn->inline_bytes,
		},
	};

	end_prepare(end, rig, conn);
	attr.send_cq = end->scq;
	attr.recv_cq = end->rcq;
	attr.srq = end->srq;
	end->qp = conn->send_ops ? qp_create_ex(rig, &attr, conn->send_ops) :
				   ibv_create_qp(rig->pd, &attr);
	if (!end->qp)
		fail_because("ibv_create_qp: errno %d", errno);
}

static bool is_reliable(const struct conn *conn)
{
	return conn->type == IBV_QPT_RC || conn->type == IBV_QPT_XRC_SEND;
}

int end_to_init(struct end *end, const struct conn *conn)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qkey = UD_QKEY,
		.qp_access_flags = conn->access,
	};
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;

	mask |= conn->type == IBV_QPT_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS;
	return ibv_modify_qp(end->qp, &attr, mask);
}

static struct ibv_ah_attr ah_to(const struct end *end, const struct end *other,
				const struct conn *conn)
{
	return (struct ibv_ah_attr){
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = other->gid,
			 .flow_label = conn->flow_label,
			 .sgid_index = end->gid_index,
			 .hop_limit = 64 },
	};
}

int end_to_rtr(struct end *end, const struct end *other, const struct conn *conn)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = conn->mtu,
		.dest_qp_num = other->qp->qp_num,
		.rq_psn = other->psn,
		.max_dest_rd_atomic = conn->rd_atomic,
		.min_rnr_timer = conn->min_rnr_timer,
		.ah_attr = ah_to(end, other, conn),
	};
	int mask = IBV_QP_STATE;

	if (conn->type != IBV_QPT_UD)
		mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
	if (is_reliable(conn))
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	return ibv_modify_qp(end->qp, &attr, mask);
}

int end_to_rts(struct end *end, const struct conn *conn)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = conn->timeout,
		.retry_cnt = conn->retry_cnt,
		.rnr_retry = conn->rnr_retry,
		.sq_psn = end->psn,
		.max_rd_atomic = conn->rd_atomic,
	};
	int mask = IBV_QP_STATE | IBV_QP_SQ_PSN;

	if (is_reliable(conn))
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	return ibv_modify_qp(end->qp, &attr, mask);
}

void ends_connect(struct end *a, struct end *b, const struct conn *conn)
{
	assert_zero(end_to_init(a, conn));
	assert_zero(end_to_init(b, conn));
	assert_zero(end_to_rtr(a, b, conn));
	assert_zero(end_to_rtr(b, a, conn));
	assert_zero(end_to_rts(a, conn));
	assert_zero(end_to_rts(b, conn));
}

/*
 * A packet of the last connection that comes late, with a key that is no longer valid perhaps, is a
 * repeated one of this connection and no request.
 */
static void psn_move_on(struct end *end)
{
	end->psn = (end->psn + 0x110000) & 0xffffff;
}

int ends_reconnect(struct end *a, struct end *b, const struct conn *conn)
{
	assert_zero(end_set_state(a, IBV_QPS_RESET));
	assert_zero(end_set_state(b, IBV_QPS_RESET));
	psn_move_on(a);
	psn_move_on(b);
	assert_zero(end_to_init(a, conn));
	assert_zero(end_to_init(b, conn));
	assert_zero(end_to_rtr(a, b, conn));
	assert_zero(end_to_rtr(b, a, conn));
	return end_to_rts(a, conn) ?: end_to_rts(b, conn);
}

static void make_srq(struct end *end, struct rig *rig, const struct conn *conn)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = conn->recv_wr,
						    .max_sge = conn->sge } };

	end->srq = ibv_create_srq(rig->pd, &attr);
	assert_non_null(end->srq);
}

static void make_ah(struct end *end, const struct end *other, const struct conn *conn)
{
	struct ibv_ah_attr attr = ah_to(end, other, conn);

	end->ah = ibv_create_ah(end->rig->pd, &attr);
	assert_non_null(end->ah);
}

void ends_open(struct end *a, struct rig *rig_a, struct end *b, struct rig *rig_b,
	       const struct conn *conn)
{
	memset(a, 0, sizeof(*a));
	memset(b, 0, sizeof(*b));
	if (conn->srq_a)
		make_srq(a, rig_a, conn);
	if (conn->srq_b)
		make_srq(b, rig_b, conn);
	end_create(a, rig_a, conn);
	end_create(b, rig_b, conn);
	ends_connect(a, b, conn);
	if (conn->type == IBV_QPT_UD) {
		make_ah(a, b, conn);
		make_ah(b, a, conn);
	}
}

void end_close(struct end *end)
{
	if (end->ah)
		assert_zero(ibv_destroy_ah(end->ah));
	if (end->qp)
		assert_zero(ibv_destroy_qp(end->qp));
	if (end->srq)
		assert_zero(ibv_destroy_srq(end->srq));
	assert_zero(ibv_destroy_cq(end->scq));
	if (end->rcq != end->scq)
		assert_zero(ibv_destroy_cq(end->rcq));
	assert_zero(ibv_destroy_comp_channel(end->channel));
	memset(end, 0, sizeof(*end));
}

void pair_open(struct pair *pair, const struct conn *conn)
{
	struct rig *rig_b = &pair->rig;

	memset(pair, 0, sizeof(*pair));
	pair->conn = *conn;
	rig_open(&pair->rig);
	if (conn->wire || env_number("RDMA_ODP_PEER", 0)) {
		rig_open_peer(&pair->peer);
		rig_b = &pair->peer;
	}
	ends_open(&pair->a, &pair->rig, &pair->b, rig_b, conn);
}

void pair_close(struct pair *pair)
{
	end_close(&pair->a);
	end_close(&pair->b);
	if (pair->peer.ctx)
		rig_close(&pair->peer);
	rig_close(&pair->rig);
}

int end_set_state(struct end *end, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	return ibv_modify_qp(end->qp, &attr, IBV_QP_STATE);
}

enum ibv_qp_state end_state(struct end *end)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	assert_zero(ibv_query_qp(end->qp, &attr, IBV_QP_STATE, &init));
	return attr.qp_state;
}

static void drain(struct end *end)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(end->scq, 1, &wc) || ibv_poll_cq(end->rcq, 1, &wc))
		;
}

void pair_reconnect(struct pair *pair)
{
	assert_zero(end_set_state(&pair->a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
	drain(&pair->a);
	drain(&pair->b);
	psn_move_on(&pair->a);
	psn_move_on(&pair->b);
	ends_connect(&pair->a, &pair->b, &pair->conn);
}

void end_await_state(struct end *end, enum ibv_qp_state state)
{
	double last = seconds() + BOUND_S;

	while (end_state(end) != state) {
		if (seconds() > last)
			fail_because("the QP is in state %d, not %d", end_state(end), state);
		usleep(NAP_US);
	}
}

int cq_poll_bounded(struct ibv_cq *cq, struct ibv_wc *wc, double bound_s)
{
	double last = 0;
	unsigned int i;
	int n;

	for (i = 0;; i++) {
		n = ibv_poll_cq(cq, 1, wc);
		if (n)
			return n > 0;
		/* The clock is asked once in a while only: it is dear in an emulated guest. */
		if (i % 64 == 1) {
			if (!last)
				last = seconds() + bound_s;
			else if (seconds() > last)
				return 0;
		}
		usleep(NAP_US);
	}
}

struct ibv_wc cq_wait_at(const char *file, int line, struct ibv_cq *cq)
{
	struct ibv_wc wc;

	if (!cq_poll_bounded(cq, &wc, BOUND_S))
		fail_at(file, line, "no completion within %d s", BOUND_S);
	return wc;
}

struct ibv_wc cq_expect_at(const char *file, int line, struct ibv_cq *cq, enum ibv_wc_status status)
{
	struct ibv_wc wc = cq_wait_at(file, line, cq);

	if (wc.status != status)
		fail_at(file, line, "completion \"%s\" (%d, wr_id %llu) and not \"%s\"",
			ibv_wc_status_str(wc.status), wc.status, (unsigned long long)wc.wr_id,
			ibv_wc_status_str(status));
	return wc;
}

void cq_assert_empty(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	if (ibv_poll_cq(cq, 1, &wc))
		fail_because("a completion too many: \"%s\", wr_id %llu",
			     ibv_wc_status_str(wc.status), (unsigned long long)wc.wr_id);
}

struct ibv_send_wr wr_make(enum ibv_wr_opcode opcode, struct ibv_sge *sge, int num_sge)
{
	return (struct ibv_send_wr){
		.opcode = opcode,
		.sg_list = sge,
		.num_sge = num_sge,
		.send_flags = IBV_SEND_SIGNALED,
	};
}

struct ibv_send_wr wr_rdma(enum ibv_wr_opcode opcode, struct ibv_sge *sge, int num_sge,
			   const struct buf *remote, size_t offset)
{
	struct ibv_send_wr wr = wr_make(opcode, sge, num_sge);

	wr.wr.rdma.remote_addr = (uintptr_t)remote->data + offset;
	wr.wr.rdma.rkey = remote->mr->rkey;
	return wr;
}

struct ibv_send_wr wr_atomic(enum ibv_wr_opcode opcode, struct ibv_sge *sge,
			     const struct buf *remote, size_t offset, uint64_t compare_add,
			     uint64_t swap)
{
	struct ibv_send_wr wr = wr_make(opcode, sge, 1);

	wr.wr.atomic.remote_addr = (uintptr_t)remote->data + offset;
	wr.wr.atomic.rkey = remote->mr->rkey;
	wr.wr.atomic.compare_add = compare_add;
	wr.wr.atomic.swap = swap;
	return wr;
}

void end_post_at(const char *file, int line, struct end *end, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	int rc;

	if (end->ah) {
		wr->wr.ud.ah = end->ah;
		wr->wr.ud.remote_qkey = UD_QKEY;
	}
	wr->qp_type.xrc.remote_srqn = end->srq_num;
	rc = ibv_post_send(end->qp, wr, &bad);
	if (rc)
		fail_at(file, line, "ibv_post_send: %d", rc);
}

void end_post_recv_at(const char *file, int line, struct end *end, uint64_t wr_id,
		      struct ibv_sge *sge, int num_sge)
{
	struct ibv_recv_wr wr = { .wr_id = wr_id, .sg_list = sge, .num_sge = num_sge };
	struct ibv_recv_wr *bad;
	int rc = end->srq ? ibv_post_srq_recv(end->srq, &wr, &bad) :
			    ibv_post_recv(end->qp, &wr, &bad);

	if (rc)
		fail_at(file, line, "ibv_post_%srecv: %d", end->srq ? "srq_" : "", rc);
}

static const struct {
	const char *name;
	enum ibv_wr_opcode wr;
	enum ibv_wc_opcode recv;
	bool recv_wqe;
	bool recv_data;
	bool imm;
} ops[OP_KINDS] = {
	[OP_WRITE] = { "write", IBV_WR_RDMA_WRITE },
	[OP_WRITE_IMM] = { "write with immediate", IBV_WR_RDMA_WRITE_WITH_IMM,
			   IBV_WC_RECV_RDMA_WITH_IMM, true, false, true },
	[OP_READ] = { "read", IBV_WR_RDMA_READ },
	[OP_SEND] = { "send", IBV_WR_SEND, IBV_WC_RECV, true, true },
	[OP_SEND_IMM] = { "send with immediate", IBV_WR_SEND_WITH_IMM, IBV_WC_RECV, true, true,
			  true },
};

const char *op_name(enum op op)
{
	return ops[op].name;
}

static void check_recv(const char *file, int line, enum op op, const struct ibv_wc *wc,
		       uint32_t imm, size_t bytes)
{
	if (wc->opcode != ops[op].recv)
		fail_at(file, line, "%s: receive completion with opcode %d", op_name(op),
			wc->opcode);
	if (!!(wc->wc_flags & IBV_WC_WITH_IMM) != ops[op].imm ||
	    (ops[op].imm && wc->imm_data != imm))
		fail_at(file, line, "%s: flags %#x, immediate %#x", op_name(op), wc->wc_flags,
			wc->imm_data);
	if (wc->byte_len != bytes)
		fail_at(file, line, "%s: byte_len %u, not %zu", op_name(op), wc->byte_len, bytes);
}

/* A request of UC's is complete when it is sent; what a message behind it finds there has arrived. */
static void await_sent(const char *file, int line, struct pair *pair)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, NULL, 0);

	end_post_recv_at(file, line, &pair->b, 0, NULL, 0);
	end_post_at(file, line, &pair->a, &wr);
	cq_expect_at(file, line, pair->a.scq, IBV_WC_SUCCESS);
	cq_expect_at(file, line, pair->b.rcq, IBV_WC_SUCCESS);
}

void pair_move_at(const char *file, int line, struct pair *pair, enum op op, const struct buf *from,
		  size_t from_at, const struct buf *to, size_t to_at, size_t bytes)
{
	static uint32_t count;
	struct end *requester = op == OP_READ ? &pair->b : &pair->a;
	struct ibv_sge src = buf_sge(from, from_at, bytes), dst = buf_sge(to, to_at, bytes);
	struct ibv_send_wr wr;
	uint32_t imm = 0xc0ffee00 + ++count;
	struct ibv_wc wc;

	if (op == OP_READ)
		wr = wr_rdma(ops[op].wr, &dst, 1, from, from_at);
	else
		wr = wr_rdma(ops[op].wr, &src, 1, to, to_at);
	wr.wr_id = count;
	wr.imm_data = imm;
	if (ops[op].recv_wqe)
		end_post_recv_at(file, line, &pair->b, count, &dst, ops[op].recv_data ? 1 : 0);
	end_post_at(file, line, requester, &wr);
	wc = cq_expect_at(file, line, requester->scq, IBV_WC_SUCCESS);
	if (wc.wr_id != wr.wr_id || wc.qp_num != requester->qp->qp_num)
		fail_at(file, line, "%s: the completion is another's", op_name(op));
	if (ops[op].recv_wqe) {
		wc = cq_expect_at(file, line, pair->b.rcq, IBV_WC_SUCCESS);
		if (wc.wr_id != wr.wr_id || wc.qp_num != pair->b.qp->qp_num)
			fail_at(file, line, "%s: the receive completion is another's", op_name(op));
		check_recv(file, line, op, &wc, imm, bytes);
	} else if (pair->conn.type == IBV_QPT_UC) {
		await_sent(file, line, pair);
	}
}

void pair_move_checked_at(const char *file, int line, struct pair *pair, enum op op,
			  struct buf *from, struct buf *to, uint32_t seed)
{
	pattern_fill(from->data, from->bytes, seed, 0);
	pair_move_at(file, line, pair, op, from, 0, to, 0, from->bytes);
	pattern_check_at(file, line, to->data, from->bytes, seed, 0, op_name(op));
	pattern_check_at(file, line, from->data, from->bytes, seed, 0, "the source");
	buf_check_guards_at(file, line, to);
	buf_check_guards_at(file, line, from);
}

void pair_move_every_at(const char *file, int line, struct pair *pair, size_t bytes, int access,
			uint32_t seed)
{
	struct buf from, to;
	enum op op;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, bytes, 3, ACCESS_ALL | access);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, bytes, 40, ACCESS_ALL | access);
	for (op = 0; op < OP_KINDS; op++)
		pair_move_checked_at(file, line, pair, op, &from, &to, seed + op);
	buf_free_at(file, line, &from);
	buf_free_at(file, line, &to);
}

static void expect_word(const char *file, int line, const struct buf *buf, uint64_t value,
			const char *what)
{
	uint64_t found;

	memcpy(&found, buf->data, sizeof(found));
	if (found != value)
		fail_at(file, line, "fetch and add: %s is %#llx, not %#llx", what,
			(unsigned long long)found, (unsigned long long)value);
}

void pair_add_checked_at(const char *file, int line, struct pair *pair, const struct buf *result,
			 const struct buf *target, uint64_t *sum)
{
	struct ibv_sge sge = buf_sge(result, 0, sizeof(*sum));
	struct ibv_send_wr wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, target, 0, 3, 0);

	end_post_at(file, line, &pair->a, &wr);
	cq_expect_at(file, line, pair->a.scq, IBV_WC_SUCCESS);
	expect_word(file, line, result, *sum, "the old value");
	*sum += 3;
	expect_word(file, line, target, *sum, "the sum");
}

static struct ibv_qp_ex *wr_begin(struct end *end)
{
	struct ibv_qp_ex *ex = ibv_qp_to_qp_ex(end->qp);

	assert_non_null(ex);
	ibv_wr_start(ex);
	ex->wr_id = 0;
	ex->wr_flags = IBV_SEND_SIGNALED;
	return ex;
}

static void wr_end(const char *file, int line, struct ibv_qp_ex *ex)
{
	int rc = ibv_wr_complete(ex);

	if (rc)
		fail_at(file, line, "ibv_wr_complete: %d", rc);
}

void end_post_atomic_write_at(const char *file, int line, struct end *end, const struct buf *remote,
			      size_t offset, uint64_t value)
{
	struct ibv_qp_ex *ex = wr_begin(end);

	ibv_wr_atomic_write(ex, remote->mr->rkey, (uintptr_t)remote->data + offset, &value);
	wr_end(file, line, ex);
}

void end_post_flush_at(const char *file, int line, struct end *end, uint32_t rkey,
		       uint64_t remote_addr, size_t bytes, uint8_t type, uint8_t level)
{
	struct ibv_qp_ex *ex = wr_begin(end);

	ibv_wr_flush(ex, rkey, remote_addr, bytes, type, level);
	wr_end(file, line, ex);
}

void pair_assert_works_at(const char *file, int line, struct pair *pair)
{
	struct buf from, to;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, 3001, 77, IBV_ACCESS_LOCAL_WRITE);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, 3001, 99, ACCESS_ALL);
	pair_move_checked_at(file, line, pair, OP_WRITE, &from, &to, 4711);
	buf_free_at(file, line, &to);
	buf_free_at(file, line, &from);
}
