// SPDX-License-Identifier: GPL-2.0
/*
 * What the requester sends: the packet of a WQE that stands at sq.psn. When, and what becomes of
 * it, is req.c's.
 *
 * A packet of a SEND or a WRITE is a wide one where those arrive (rxo_net_wide_bytes()): it has as
 * many PSNs as there is payload for in it, and is otherwise the same. What is sent again need not
 * be cut as it was before.
 */
#include "memory/sgl.h"
#include "transport/qp.h"

#define FIRST	1
#define LAST	2

/* RC's, by WR opcode, then by whether the packet is the message's first or last or both. */
static const u8 packet_opcodes[][4] = {
	[IB_WR_SEND] = {
		IB_OPCODE_RC_SEND_MIDDLE, IB_OPCODE_RC_SEND_FIRST,
		IB_OPCODE_RC_SEND_LAST, IB_OPCODE_RC_SEND_ONLY },
	[IB_WR_SEND_WITH_IMM] = {
		IB_OPCODE_RC_SEND_MIDDLE, IB_OPCODE_RC_SEND_FIRST,
		IB_OPCODE_RC_SEND_LAST_WITH_IMMEDIATE, IB_OPCODE_RC_SEND_ONLY_WITH_IMMEDIATE },
	[IB_WR_SEND_WITH_INV] = {
		IB_OPCODE_RC_SEND_MIDDLE, IB_OPCODE_RC_SEND_FIRST,
		IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE, IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE },
	[IB_WR_RDMA_WRITE] = {
		IB_OPCODE_RC_RDMA_WRITE_MIDDLE, IB_OPCODE_RC_RDMA_WRITE_FIRST,
		IB_OPCODE_RC_RDMA_WRITE_LAST, IB_OPCODE_RC_RDMA_WRITE_ONLY },
	[IB_WR_RDMA_WRITE_WITH_IMM] = {
		IB_OPCODE_RC_RDMA_WRITE_MIDDLE, IB_OPCODE_RC_RDMA_WRITE_FIRST,
		IB_OPCODE_RC_RDMA_WRITE_LAST_WITH_IMMEDIATE,
		IB_OPCODE_RC_RDMA_WRITE_ONLY_WITH_IMMEDIATE },
	[IB_WR_RDMA_READ] = {
		[FIRST | LAST] = IB_OPCODE_RC_RDMA_READ_REQUEST },
	[IB_WR_ATOMIC_CMP_AND_SWP] = {
		[FIRST | LAST] = IB_OPCODE_RC_COMPARE_SWAP },
	[IB_WR_ATOMIC_FETCH_AND_ADD] = {
		[FIRST | LAST] = IB_OPCODE_RC_FETCH_ADD },
	[IB_WR_ATOMIC_WRITE] = {
		[FIRST | LAST] = IB_OPCODE_RC_ATOMIC_WRITE },
};

/* No memory for a packet: the requester is run again in a jiffy, by rnr_timer. */
static void req_come_back(struct rxo_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	mod_timer(&qp->sq.rnr_timer, jiffies + 1);
}

static struct sk_buff *req_alloc_packet(struct rxo_qp *qp, u8 opcode, u32 payload_bytes)
{
	struct sk_buff *skb = rxo_net_alloc(qp->dev, &qp->path, rxo_opcodes[opcode].hdr_bytes +
					    payload_bytes + rxo_pad(payload_bytes));

	if (skb)
		rxo_pkt_bth(skb)->opcode = opcode;
	return skb;
}

static struct sk_buff *req_alloc_request(struct rxo_qp *qp, u8 opcode)
{
	struct sk_buff *skb = req_alloc_packet(qp, opcode, 0);

	if (!skb)
		req_come_back(qp);
	return skb;
}

/*
 * A READ is asked for in pieces. Its responses come as fast as the peer can
 * send, and while a page of ours is fetched only RXO_HOLD_PKTS of them are
 * held: what is asked for must fit there. Each piece is a READ of its own to
 * the peer, and counts as one.
 */
static u32 req_read_piece(const struct rxo_swqe *wqe, u32 psn)
{
	return rxo_psn_sub(psn, wqe->first_psn) / RXO_READ_PKTS;
}

u32 rxo_req_read_piece_end(const struct rxo_swqe *wqe, u32 psn)
{
	u32 end = rxo_psn_add(wqe->first_psn, (req_read_piece(wqe, psn) + 1) * RXO_READ_PKTS);

	return rxo_psn_cmp(end, wqe->last_psn) > 0 ? rxo_psn_add(wqe->last_psn, 1) : end;
}

/* Whether another piece may be asked for now. */
static bool req_read_may_go_on(const struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	const struct rxo_sq *sq = &qp->sq;
	u32 oldest = wqe->first_psn;

	if (rxo_psn_cmp(sq->una_psn, oldest) > 0)
		oldest = sq->una_psn;
	return req_read_piece(wqe, sq->psn) - req_read_piece(wqe, oldest) < wqe->counts_rd;
}

static void req_init_bth(struct rxo_qp *qp, const struct rxo_swqe *wqe, struct sk_buff *skb,
			 bool solicited, u8 pad, bool ack_req)
{
	const u8 opcode = rxo_pkt_bth(skb)->opcode;

	rxo_bth_init(rxo_pkt_bth(skb), opcode, solicited, pad, IB_DEFAULT_PKEY_FULL, qp->dest_qpn,
		     ack_req, qp->sq.psn);
	if (rxo_opcodes[opcode].flags & RXO_OP_XRCETH)
		rxo_pkt_xrceth(skb)->srqn = cpu_to_be32(wqe->srq_num & RXO_SRQN_MASK);
}

static struct sk_buff *req_build_read(struct rxo_qp *qp, const struct rxo_swqe *wqe, u32 end)
{
	u32 offset = rxo_psn_sub(qp->sq.psn, wqe->first_psn) * qp->mtu_bytes;
	u8 opcode = rxo_qp_opcode(qp, IB_OPCODE_RDMA_READ_REQUEST);
	struct sk_buff *skb = req_alloc_request(qp, opcode);
	struct rxo_reth *reth;

	if (!skb)
		return NULL;
	if (rxo_psn_sub(end, qp->sq.psn) > 1)
		qp->sq.local.large = true;
	req_init_bth(qp, wqe, skb, false, 0, true);
	reth = rxo_pkt_reth(skb);
	reth->va = cpu_to_be64(wqe->remote_addr + offset);
	reth->rkey = cpu_to_be32(wqe->rkey);
	reth->len = cpu_to_be32(min(wqe->length_bytes - offset,
				    rxo_psn_sub(end, qp->sq.psn) * qp->mtu_bytes));
	return skb;
}

static struct sk_buff *req_build_flush(struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	struct sk_buff *skb = req_alloc_request(qp, IB_OPCODE_RC_FLUSH);
	struct rxo_reth *reth;

	if (!skb)
		return NULL;
	req_init_bth(qp, wqe, skb, false, 0, true);
	rxo_pkt_feth(skb)->bits = cpu_to_be32(wqe->flush_placement |
					      (wqe->flush_whole ? RXO_FETH_SELECT_MR : 0));
	reth = rxo_pkt_reth(skb);
	reth->va = cpu_to_be64(wqe->remote_addr);
	reth->rkey = cpu_to_be32(wqe->rkey);
	reth->len = cpu_to_be32(wqe->length_bytes);
	return skb;
}

static struct sk_buff *req_build_atomic(struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	bool cas = wqe->opcode == IB_WR_ATOMIC_CMP_AND_SWP;
	u8 opcode = rxo_qp_opcode(qp, packet_opcodes[wqe->opcode][FIRST | LAST]);
	struct sk_buff *skb = req_alloc_request(qp, opcode);
	struct rxo_atomic_eth *eth;

	if (!skb)
		return NULL;
	req_init_bth(qp, wqe, skb, false, 0, true);
	eth = rxo_pkt_atomic_eth(skb);
	eth->va = cpu_to_be64(wqe->remote_addr);
	eth->rkey = cpu_to_be32(wqe->rkey);
	eth->swap_add = cpu_to_be64(cas ? wqe->swap : wqe->compare_add);
	eth->comp = cpu_to_be64(cas ? wqe->compare_add : 0);
	return skb;
}

/*
 * rxo_req_payload - bytes of a message, out of the WQE's memory
 * @done: set to how many there are at @to
 *
 * Under sq.lock. 0, -EAGAIN while a page is fetched, or why not: the caller notes that
 * (rxo_access_error_send()).
 */
int rxo_req_payload(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 offset, void *to, u32 bytes,
		    u32 *done)
{
	struct rxo_sg sg = {
		.pd = qp->pd, .sge = wqe->sge, .num = wqe->num_sge,
		.offset_bytes = offset, .length_bytes = wqe->length_bytes,
	};
	bool waited = qp->sq.wait.pending;
	int err;

	lockdep_assert_held(&qp->sq.lock);
	*done = 0;
	if (wqe->send_flags & IB_SEND_INLINE) {
		memcpy(to, wqe->inline_data + offset, bytes);
		*done = bytes;
		return 0;
	}
	err = rxo_wait_copy(&qp->sq.wait, &sg, to, bytes, false, done);
	if (!waited && qp->sq.wait.pending)
		qp->sq.wait_psn = qp->sq.psn;
	return err;
}

static void req_fill_headers(struct rxo_qp *qp, const struct rxo_swqe *wqe, struct sk_buff *skb,
			     u32 bytes, bool window_end)
{
	const u8 opcode = rxo_pkt_bth(skb)->opcode;
	const u32 flags = rxo_opcodes[opcode].flags;
	bool last = flags & RXO_OP_END;
	bool solicited = last && (wqe->send_flags & IB_SEND_SOLICITED) && (flags & RXO_OP_RECV);

	req_init_bth(qp, wqe, skb, solicited, rxo_pad(bytes),
		     qp->kind->acked && (last || window_end));
	if (flags & RXO_OP_RETH) {
		struct rxo_reth *reth = rxo_pkt_reth(skb);

		reth->va = cpu_to_be64(wqe->remote_addr);
		reth->rkey = cpu_to_be32(wqe->rkey);
		reth->len = cpu_to_be32(wqe->length_bytes);
	}
	if (flags & RXO_OP_IMM)
		rxo_pkt_imm(skb)->imm = wqe->imm;
	if (flags & RXO_OP_IETH)
		rxo_pkt_ieth(skb)->rkey = cpu_to_be32(wqe->rkey);
}

/*
 * Whether a packet up to @last asks for an acknowledgment: now and then; with the last that the
 * window allows, if no packet in it asked; and with the last before one whose page is missing: a
 * retry then ends with a request for an ACK.
 */
static bool req_asks(const struct rxo_qp *qp, u32 last)
{
	const struct rxo_sq *sq = &qp->sq;
	u32 every = rxo_window_ask_pkts(&sq->window);

	return sq->psn / every != (last + 1) / every ||
	       (rxo_psn_sub(last, sq->una_psn) + 1 >= sq->window.pkts &&
		rxo_psn_cmp(sq->asked_psn, sq->una_psn) < 0) ||
	       (sq->wait.pending && rxo_psn_add(last, 1) == sq->wait_psn);
}

/*
 * The packet of @psns PSNs from sq.psn on. NULL without memory; ERR_PTR if there is not all of its
 * payload, of which @done bytes are there.
 */
static struct sk_buff *req_build_psns(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 psns, u32 *done)
{
	u32 psn = qp->sq.psn, last = psn + psns - 1;
	u32 offset = rxo_psn_sub(psn, wqe->first_psn) * qp->mtu_bytes;
	u32 bytes = min(wqe->length_bytes - offset, psns * qp->mtu_bytes);
	bool is_first = psn == wqe->first_psn;
	bool is_last = rxo_psn_add(psn, psns - 1) == wqe->last_psn;
	u8 opcode = rxo_qp_opcode(qp, packet_opcodes[wqe->opcode][(is_first ? FIRST : 0) |
								 (is_last ? LAST : 0)]);
	struct sk_buff *skb = req_alloc_packet(qp, opcode, bytes);
	u8 *payload;
	int err;

	*done = 0;
	if (!skb)
		return NULL;
	payload = skb->data + rxo_opcodes[opcode].hdr_bytes;
	err = rxo_req_payload(qp, wqe, offset, payload, bytes, done);
	if (err) {
		kfree_skb(skb);
		return ERR_PTR(err);
	}
	memset(payload + bytes, 0, rxo_pad(bytes));
	req_fill_headers(qp, wqe, skb, bytes, req_asks(qp, last));
	rxo_bth_set_psns(rxo_pkt_bth(skb), psns);
	return skb;
}

/* How many PSNs the next packet may have: of its message, of the window, and before wait_psn. */
static u32 req_max_psns(struct rxo_qp *qp, const struct rxo_swqe *wqe)
{
	struct rxo_sq *sq = &qp->sq;
	u32 psns = min(rxo_psn_sub(wqe->last_psn, sq->psn) + 1,
		       sq->window.pkts - rxo_psn_sub(sq->psn, sq->una_psn));

	if (sq->wait.pending && rxo_psn_cmp(sq->wait_psn, sq->psn) > 0)
		psns = min(psns, rxo_psn_sub(sq->wait_psn, sq->psn));
	if (psns == 1)
		return 1;
	sq->local.large = true;
	if (!sq->wide_psns)
		sq->wide_psns = rxo_qp_wide_psns(qp, &sq->tx);
	return min(psns, sq->wide_psns);
}

static struct sk_buff *req_build_data(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 *next)
{
	u32 offset = rxo_psn_sub(qp->sq.psn, wqe->first_psn) * qp->mtu_bytes;
	u32 psns = req_max_psns(qp, wqe), done;
	struct rxo_sq *sq = &qp->sq;
	struct sk_buff *skb;

	for (;;) {
		bool waited = sq->wait.pending;

		skb = req_build_psns(qp, wqe, psns, &done);
		if (!waited && sq->wait.pending)
			sq->wait_psn = rxo_psn_add(sq->psn, done / qp->mtu_bytes);
		if (!IS_ERR_OR_NULL(skb) || psns == 1)
			break;
		/* As far as the payload goes: less than all. */
		psns = skb ? max(1u, done / qp->mtu_bytes) : psns / 2;
		if (!skb)
			sq->wide_psns = psns;
	}
	*next = rxo_psn_add(sq->psn, psns);
	if (!skb)
		req_come_back(qp);
	if (skb == ERR_PTR(-EAGAIN))
		return NULL;
	if (IS_ERR(skb))
		rxo_access_error_send(qp, wqe, &sq->wait, offset + done, PTR_ERR(skb));
	return skb;
}

/*
 * rxo_req_build - the next packet of a request
 * @wqe: started, not local; sq.psn is one of its PSNs
 * @next: set to the PSN behind the packet, and behind its responses
 *
 * Under sq.lock. NULL if there is none now: too many READs, a page that is fetched, no memory. An
 * error if the request's own memory fails it.
 */
struct sk_buff *rxo_req_build(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 *next)
{
	lockdep_assert_held(&qp->sq.lock);
	*next = rxo_psn_add(qp->sq.psn, 1);
	if (wqe->opcode == IB_WR_RDMA_READ) {
		if (!req_read_may_go_on(qp, wqe))
			return NULL;
		*next = rxo_req_read_piece_end(wqe, qp->sq.psn);
		return req_build_read(qp, wqe, *next);
	}
	if (rxo_swqe_is_atomic(wqe))
		return req_build_atomic(qp, wqe);
	if (wqe->opcode == IB_WR_FLUSH)
		return req_build_flush(qp, wqe);
	return req_build_data(qp, wqe, next);
}
