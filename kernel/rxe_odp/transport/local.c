// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to a peer on this host (peer.c), executed by the requester itself: one copy between the
 * two memories, and no packet.
 *
 * This does what can be done at once, and nothing else. Whatever would be waited for or refused (a
 * page or a receive that is not there, a key, a right, a length) is left alone, and the request
 * goes by the wire, which has an answer to all of it. For that, each step here leaves both ends as
 * if its packets had been sent, executed and acknowledged: the PSNs are the same, and what follows
 * may go either way. What was copied of a step that failed is written again.
 *
 *	both idle and agreed on the PSN ---> local step ---> both idle, PSN of the next packet
 *		^				|
 *		|				v cannot be done now
 *		+---- all acknowledged <--- this request by the wire
 *
 * A request of a connection that is local starts only when all before it are acknowledged, so that
 * it returns from the wire after each request.
 *
 * The requester holds its sq.lock, and takes the peer's rq.lock for each step. Every sq.lock ranks
 * before every rq.lock.
 */
#include "memory/sgl.h"
#include "transport/qp.h"

/*
 * The peer's rq.lock is held for this much, as for a piece of a READ with an MTU of 4096. A
 * multiple of every MTU. With 64 KiB writes of 1 MiB move 7 % less, with all of a run 2 % more.
 */
#define STEP_BYTES	SZ_256K

/* What a run may copy with BH off, and a step more: some 100 us. */
#define RUN_BYTES	SZ_1M

/* The part of a request that one step does. */
struct local_step {
	struct rxo_swqe *wqe;
	u32 offset_bytes;
	u32 bytes;
	u32 next_psn;
};

static bool local_can_do(const struct rxo_swqe *wqe)
{
	switch (wqe->opcode) {
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
	case IB_WR_SEND_WITH_INV:
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
	case IB_WR_RDMA_READ:
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return true;
	default:
		return false;
	}
}

/* The request's own memory: read for what is sent, written for what is read. */
static void local_own_side(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 offset, struct rxo_sg *sg,
			   struct rxo_side *side)
{
	*side = (struct rxo_side) {};
	if (wqe->send_flags & IB_SEND_INLINE) {
		side->buf = wqe->inline_data + offset;
		return;
	}
	*sg = (struct rxo_sg) {
		.pd = qp->pd, .sge = wqe->sge, .num = wqe->num_sge,
		.offset_bytes = offset, .length_bytes = wqe->length_bytes,
	};
	side->sg = sg;
}

static u32 local_data_flags(const struct rxo_swqe *wqe, const struct local_step *step)
{
	u32 flags = 0;

	if (!step->offset_bytes)
		flags |= RXO_OP_START;
	if (step->offset_bytes + step->bytes == wqe->length_bytes)
		flags |= RXO_OP_END;
	switch (wqe->opcode) {
	case IB_WR_SEND_WITH_INV:
		flags |= flags & RXO_OP_END ? RXO_OP_IETH : 0;
		fallthrough;
	case IB_WR_SEND:
		return flags | RXO_OP_SEND | RXO_OP_RECV;
	case IB_WR_SEND_WITH_IMM:
		return flags | RXO_OP_SEND | RXO_OP_RECV | (flags & RXO_OP_END ? RXO_OP_IMM : 0);
	case IB_WR_RDMA_WRITE_WITH_IMM:
		return flags | RXO_OP_WRITE |
		       (flags & RXO_OP_END ? RXO_OP_IMM | RXO_OP_RECV : 0);
	default:
		return flags | RXO_OP_WRITE;
	}
}

static int local_do_data(struct rxo_qp *qp, struct rxo_qp *peer, const struct local_step *step)
{
	struct rxo_swqe *wqe = step->wqe;
	struct rxo_local_req req = {
		.msg = {
			.flags = local_data_flags(wqe, step),
			.imm = wqe->imm,
			.invalidate_key = wqe->rkey,
		},
		.psns = rxo_psn_sub(step->next_psn, qp->sq.psn),
		.va = wqe->remote_addr,
		.rkey = wqe->rkey,
		.length_bytes = wqe->length_bytes,
		.bytes = step->bytes,
	};
	struct rxo_sg sg;

	req.msg.solicited = (req.msg.flags & RXO_OP_END) && (req.msg.flags & RXO_OP_RECV) &&
			    (wqe->send_flags & IB_SEND_SOLICITED);
	local_own_side(qp, wqe, step->offset_bytes, &sg, &req.own);
	return rxo_resp_local_data(peer, &req);
}

static int local_do_read(struct rxo_qp *qp, struct rxo_qp *peer, const struct local_step *step)
{
	struct rxo_local_req req = {
		.msg.flags = RXO_OP_READ | RXO_OP_ONLY,
		.psns = rxo_psn_sub(step->next_psn, qp->sq.psn),
		.va = step->wqe->remote_addr + step->offset_bytes,
		.rkey = step->wqe->rkey,
		.bytes = step->bytes,
	};
	struct rxo_sg sg;

	local_own_side(qp, step->wqe, step->offset_bytes, &sg, &req.own);
	return rxo_resp_local_read(peer, &req);
}

/*
 * The peer executes it and keeps the result. If that cannot be placed at once, the request goes by
 * the wire with the PSN that it has, and is answered there as a duplicate, with what was kept.
 */
static int local_do_atomic(struct rxo_qp *qp, struct rxo_qp *peer, const struct local_step *step)
{
	struct rxo_swqe *wqe = step->wqe;
	bool cas = wqe->opcode == IB_WR_ATOMIC_CMP_AND_SWP;
	struct rxo_sg sg = {
		.pd = qp->pd, .sge = wqe->sge, .num = wqe->num_sge,
		.length_bytes = wqe->length_bytes,
	};
	struct rxo_miss miss;
	u32 done = 0;
	u64 old;
	int err;

	err = rxo_resp_local_atomic(peer, wqe->remote_addr, wqe->rkey,
				    cas ? RXO_ATOMIC_CMP_SWAP : RXO_ATOMIC_FETCH_ADD,
				    wqe->compare_add, wqe->swap, &old);
	if (err)
		return err;
	err = rxo_sg_copy(&sg, &old, sizeof(old), true, &done, &miss);
	if (err == -EAGAIN)
		rxo_mr_put(miss.mr);
	return err;
}

static void local_plan_step(const struct rxo_qp *qp, struct local_step *step)
{
	const struct rxo_swqe *wqe = step->wqe;
	u32 left;

	step->offset_bytes = rxo_psn_sub(qp->sq.psn, wqe->first_psn) * qp->mtu_bytes;
	left = wqe->length_bytes - step->offset_bytes;
	step->bytes = left;
	step->next_psn = rxo_psn_add(wqe->last_psn, 1);
	if (wqe->opcode == IB_WR_RDMA_READ) {
		step->next_psn = rxo_req_read_piece_end(wqe, qp->sq.psn);
		step->bytes = min(left, rxo_psn_sub(step->next_psn, qp->sq.psn) * qp->mtu_bytes);
	} else if (left > STEP_BYTES) {
		step->bytes = STEP_BYTES;
		step->next_psn = rxo_psn_add(qp->sq.psn, STEP_BYTES / qp->mtu_bytes);
	}
}

static int local_do_step(struct rxo_qp *qp, struct rxo_qp *peer, const struct local_step *step)
{
	int err = -EAGAIN;

	guard(spinlock)(&peer->rq.lock);
	if (rxo_resp_local_may(peer, qp)) {
		if (step->wqe->opcode == IB_WR_RDMA_READ)
			err = local_do_read(qp, peer, step);
		else if (step->wqe->counts_rd)
			err = local_do_atomic(qp, peer, step);
		else
			err = local_do_data(qp, peer, step);
	}
	return err;
}

/*
 * Does a request without packets, as far as that goes.
 *
 * @qp: whose request it is, under its sq.lock; nothing is on its way
 * @peer: referenced
 * @wqe: started, from PSN sq.psn on
 * @bytes: that this run may still copy
 *
 * True: all that @bytes allow is done. False: the rest of it goes by the wire.
 */
static bool local_execute(struct rxo_qp *qp, struct rxo_qp *peer, struct rxo_swqe *wqe, u32 *bytes)
{
	struct local_step step = { .wqe = wqe };
	bool last = false;

	lockdep_assert_held(&qp->sq.lock);
	if (!local_can_do(wqe) || qp->sq.wait.pending || qp->sq.place_wait.pending)
		return false;
	while (!last && *bytes) {
		local_plan_step(qp, &step);
		if (local_do_step(qp, peer, &step))
			return false;
		*bytes -= min(*bytes, step.bytes);
		last = rxo_psn_cmp(step.next_psn, wqe->last_psn) > 0;
		rxo_comp_local(qp, step.next_psn, last);
	}
	return true;
}

/*
 * rxo_local_run - do the requests of a run that need no packets
 * @budget: of requests
 *
 * Under sq.lock. True: there is more to do without packets, in the next run.
 */
bool rxo_local_run(struct rxo_qp *qp, struct rxo_qp *peer, u32 *budget)
{
	struct rxo_sq *sq = &qp->sq;
	u32 bytes = RUN_BYTES;
	struct rxo_swqe *wqe;

	lockdep_assert_held(&sq->lock);
	while (sq->una_psn == sq->psn) {
		if (!*budget || !bytes)
			return true;
		wqe = rxo_req_next_wqe(qp, budget);
		if (!wqe || wqe->by_wire)
			break;
		if (!local_execute(qp, peer, wqe, &bytes)) {
			wqe->by_wire = true;
			rxo_peer_failed(qp);
			break;
		}
		sq->local.failures = 0;
		if (*budget)
			(*budget)--;
	}
	return false;
}
