// SPDX-License-Identifier: GPL-2.0
/*
 * Execution of requests that resp.c found to be in order: bytes move between
 * a packet and memory. PSN order and NAKs are resp.c's.
 *
 * After -EAGAIN a function may be called again for the same packet: the packet
 * counts the bytes placed so far (done_bytes), and the state of the message
 * changes only when resp.c commits the packet.
 */

#include "transport/qp.h"

/* How much of a READ is faulted in ahead. */
#define READ_AHEAD_BYTES	SZ_2M

/* How much of persistent memory is written back in one run with BH off. */
#define WRITE_BACK_BYTES	SZ_1M

/* A SEND's length is unknown before its end: fault in this much of the buffer. */
#define SEND_AHEAD_BYTES	SZ_64K

/* Returns the last fault's error and clears it. */
static int exec_take_fault_err(struct rxo_rq *rq)
{
	int err = rq->fault_err;

	rq->fault_err = 0;
	return err;
}

/* Asks for the pages of a miss; takes over the reference to its region. */
static int exec_fault(struct rxo_qp *qp, struct rxo_mr *mr, u64 iova, u64 length_bytes, bool write)
{
	struct rxo_miss miss = { .mr = mr, .iova = iova, .length_bytes = length_bytes };

	return rxo_wait_fault(&qp->rq.wait, &miss, write) ?: -EINPROGRESS;
}

static int exec_write_payload(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_msg *msg = &qp->rq.msg;
	u32 done = pkt->done_bytes, copied = 0;
	struct rxo_mr *mr;
	int err;

	mr = rxo_mr_get_remote(rxo_rq_remote_pd(qp), qp->id, msg->rkey, IB_ACCESS_REMOTE_WRITE,
			       msg->va, msg->resid_bytes);
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	err = rxo_mr_copy_to(mr, msg->va + done, rxo_pkt_payload(skb) + done,
			     pkt->payload_bytes - done, &copied);
	pkt->done_bytes += copied;
	if (err == -EAGAIN)
		return exec_fault(qp, mr, msg->va + pkt->done_bytes,
				  msg->resid_bytes - pkt->done_bytes, true);
	rxo_mr_put(mr);
	return err;
}

/* If the fault finds the pages present: try again here, then once more from the work item. */
static int exec_twice(struct rxo_qp *qp, struct sk_buff *skb,
		      int (*step)(struct rxo_qp *qp, struct sk_buff *skb))
{
	int err = exec_take_fault_err(&qp->rq);

	if (!err)
		err = step(qp, skb);
	if (err == -EINPROGRESS)
		err = step(qp, skb);
	if (err == -EINPROGRESS)
		err = rxo_wait_again(&qp->rq.wait, -EAGAIN);
	return err;
}

int rxo_exec_write(struct rxo_qp *qp, struct sk_buff *skb)
{
	lockdep_assert_held(&qp->rq.lock);
	/* A WRITE of no bytes does not check its key. */
	if (!qp->rq.msg.resid_bytes)
		return 0;
	return exec_twice(qp, skb, exec_write_payload);
}

/* Into the receive WQE. -EMSGSIZE: it is too small. */
int rxo_exec_send(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_sg sg = {
		.pd = rxo_rq_pd(qp),
		.sge = rq->wqe.sgl.sge, .num = rq->wqe.sgl.num,
		.offset_bytes = rq->msg.offset_bytes, .length_bytes = rq->wqe.sgl.length_bytes,
	};
	int err = exec_take_fault_err(rq);

	lockdep_assert_held(&rq->lock);
	if (err)
		return err;
	if (pkt->payload_bytes > rq->wqe.sgl.length_bytes - rq->msg.offset_bytes)
		return -EMSGSIZE;
	/* The rest of the buffer may exceed that of the message: fault in only what is needed. */
	if (!(pkt->flags & RXO_OP_END))
		sg.length_bytes = min(sg.length_bytes, sg.offset_bytes + SEND_AHEAD_BYTES);
	else
		sg.length_bytes = sg.offset_bytes + pkt->payload_bytes;
	return rxo_wait_copy(&rq->wait, &sg, rxo_pkt_payload(skb), pkt->payload_bytes, true,
			     &pkt->done_bytes);
}

static void exec_send_atomic_ack(struct rxo_qp *qp, u32 psn, u64 old)
{
	const u8 opcode = rxo_qp_opcode(qp, IB_OPCODE_ATOMIC_ACKNOWLEDGE);
	struct sk_buff *skb = rxo_net_alloc(qp->dev, &qp->path, rxo_opcodes[opcode].hdr_bytes);
	struct rxo_owed *owed = &qp->rq.owed;

	owed->kind = RXO_OWED_NOTHING;
	if (!skb)
		return;		/* as if the network had lost it */
	rxo_bth_init(rxo_pkt_bth(skb), opcode, false, 0, IB_DEFAULT_PKEY_FULL, qp->dest_qpn,
		     false, psn);
	rxo_aeth_init(rxo_pkt_aeth(skb), RXO_AETH_ACK, qp->rq.msn);
	rxo_pkt_atomic_ack_eth(skb)->orig = cpu_to_be64(old);
	if (!rxo_net_xmit_one(qp->dev, &qp->path, &qp->rq.tx, skb))
		*owed = (struct rxo_owed) { .kind = RXO_OWED_ATOMIC, .psn = psn };
}

/* On eight bytes of a region: the last four arguments are rxo_mr_atomic()'s. */
static int exec_on_word(struct rxo_qp *qp, u32 rkey, int access, u64 va, enum rxo_atomic_op op,
			u64 compare, u64 value, u64 *old)
{
	struct rxo_mr *mr;
	int err;

	if (va % sizeof(u64))
		return -EINVAL;
	mr = rxo_mr_get_remote(rxo_rq_remote_pd(qp), qp->id, rkey, access, va, sizeof(u64));
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	err = rxo_mr_atomic(mr, va, op, compare, value, old);
	if (err == -EAGAIN)
		return exec_fault(qp, mr, va, sizeof(u64), true);
	rxo_mr_put(mr);
	return err;
}

/* Keeps the result of an atomic for its duplicates. */
void rxo_exec_keep_atomic(struct rxo_qp *qp, u32 psn, u64 old)
{
	struct rxo_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	rq->atomics[rq->atomic_next++ % RXO_MAX_RD_ATOMIC] = (struct rxo_atomic_res) {
		.psn = psn, .old = old, .valid = true,
	};
}

static int exec_atomic_once(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_atomic_eth *eth = rxo_pkt_atomic_eth(skb);
	bool cas = (rxo_pkt(skb)->opcode & RXO_OPCODE_OPERATION) == IB_OPCODE_COMPARE_SWAP;
	u64 old;
	int err;

	err = exec_on_word(qp, be32_to_cpu(eth->rkey), IB_ACCESS_REMOTE_ATOMIC,
			   be64_to_cpu(eth->va), cas ? RXO_ATOMIC_CMP_SWAP : RXO_ATOMIC_FETCH_ADD,
			   be64_to_cpu(eth->comp), be64_to_cpu(eth->swap_add), &old);
	if (err)
		return err;

	rxo_exec_keep_atomic(qp, rxo_pkt(skb)->psn, old);
	qp->rq.msn = (qp->rq.msn + 1) & RXO_MSN_MASK;
	exec_send_atomic_ack(qp, rxo_pkt(skb)->psn, old);
	return 0;
}

/* Executes, stores and sends the result. Not run again after 0: the PSN advances. */
int rxo_exec_atomic(struct rxo_qp *qp, struct sk_buff *skb)
{
	lockdep_assert_held(&qp->rq.lock);
	return exec_twice(qp, skb, exec_atomic_once);
}

static int exec_atomic_write_once(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_reth *reth = rxo_pkt_reth(skb);
	u64 value, old;

	/* oA19-28: eight bytes, no more and no less. */
	if (be32_to_cpu(reth->len) != sizeof(value) || rxo_pkt(skb)->payload_bytes != sizeof(value))
		return -EINVAL;
	memcpy(&value, rxo_pkt_payload(skb), sizeof(value));
	return exec_on_word(qp, be32_to_cpu(reth->rkey), IB_ACCESS_REMOTE_WRITE,
			    be64_to_cpu(reth->va), RXO_ATOMIC_STORE, 0, value, &old);
}

int rxo_exec_atomic_write(struct rxo_qp *qp, struct sk_buff *skb)
{
	lockdep_assert_held(&qp->rq.lock);
	return exec_twice(qp, skb, exec_atomic_write_once);
}

/* The region of a FLUSH, and what of it is to be flushed. */
static struct rxo_mr *exec_flush_mr(struct rxo_qp *qp, struct sk_buff *skb, u64 *iova, u64 *length)
{
	const struct rxo_reth *reth = rxo_pkt_reth(skb);
	u32 select = be32_to_cpu(rxo_pkt_feth(skb)->bits) & RXO_FETH_SELECT;
	u32 rkey = be32_to_cpu(reth->rkey);
	int access = rxo_flush_access(skb);
	struct rxo_mr *mr;

	*iova = be64_to_cpu(reth->va);
	*length = be32_to_cpu(reth->len);
	if (!select)
		return rxo_mr_get_remote(qp->pd, qp->id, rkey, access, *iova, *length);
	mr = rxo_mr_get_remote_whole(qp->pd, qp->id, rkey, access);
	if (IS_ERR(mr))
		return mr;
	*iova = mr->iova;
	*length = mr->length;
	return mr;
}

/*
 * A FLUSH for global visibility alone has nothing to do: written bytes are in memory that the CPUs
 * keep coherent, and pages that are not present need not be fetched for that.
 */
static int exec_flush_once(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_pkt *pkt = rxo_pkt(skb);
	u64 iova, length, done = (u64)pkt->flushed_pages << PAGE_SHIFT;
	struct rxo_mr *mr = exec_flush_mr(qp, skb, &iova, &length);
	u32 copied;
	int err;

	if (IS_ERR(mr))
		return PTR_ERR(mr);
	if (!(rxo_flush_access(skb) & IB_ACCESS_FLUSH_PERSISTENT)) {
		rxo_mr_put(mr);
		return 0;
	}
	/* The key may stand for another, shorter region by now. */
	if (done > length) {
		rxo_mr_put(mr);
		return -ERANGE;
	}
	err = rxo_mr_write_back(mr, iova + done, min_t(u64, length - done, WRITE_BACK_BYTES),
				&copied);
	done += copied;
	pkt->flushed_pages = done >> PAGE_SHIFT;
	if (err == -EAGAIN)
		return exec_fault(qp, mr, iova + done, min_t(u64, length - done, READ_AHEAD_BYTES),
				  false);
	rxo_mr_put(mr);
	if (err)
		return err;
	return done < length ? rxo_wait_again(&qp->rq.wait, -EAGAIN) : 0;
}

int rxo_exec_flush(struct rxo_qp *qp, struct sk_buff *skb)
{
	u32 bits = be32_to_cpu(rxo_pkt_feth(skb)->bits);
	u32 select = bits & RXO_FETH_SELECT;

	lockdep_assert_held(&qp->rq.lock);
	if (!rxo_flush_access(skb) ||
	    (bits & RXO_FETH_PLACEMENT & ~(RXO_FETH_GLOBAL | RXO_FETH_PERSISTENT)) ||
	    (select && select != RXO_FETH_SELECT_MR))
		return -EINVAL;
	return exec_twice(qp, skb, exec_flush_once);
}

/*
 * Answers a duplicate with the stored result, or not at all if that is no longer
 * stored. Newest first: an older entry may have the same PSN from 2^24 packets
 * ago.
 */
void rxo_exec_resend_atomic(struct rxo_qp *qp, u32 psn)
{
	u32 i;

	lockdep_assert_held(&qp->rq.lock);
	for (i = 1; i <= RXO_MAX_RD_ATOMIC; i++) {
		struct rxo_atomic_res *res = &qp->rq.atomics[(qp->rq.atomic_next - i) %
							     RXO_MAX_RD_ATOMIC];

		if (res->valid && res->psn == psn) {
			exec_send_atomic_ack(qp, psn, res->old);
			return;
		}
	}
}

static u8 exec_response_opcode(bool first, bool last)
{
	if (first)
		return last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY :
			      IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST;
	return last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST :
		      IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE;
}

/*
 * The response of @psns PSNs from read.psn on, with @bytes. ERR_PTR: -ENOMEM, -EAGAIN when a page
 * of it is missing, or an errno; @done bytes of it are there.
 */
static struct sk_buff *exec_build_response(struct rxo_qp *qp, struct rxo_mr *mr, u32 psns,
					   u32 bytes, u32 *done)
{
	struct rxo_read *read = &qp->rq.read;
	bool last = read->offset_bytes + bytes == read->length_bytes;
	u8 opcode = rxo_qp_opcode(qp, exec_response_opcode(read->psn == read->first_psn, last));
	struct sk_buff *skb;
	u8 *payload;
	int err;

	*done = 0;
	skb = rxo_net_alloc(qp->dev, &qp->path, rxo_opcodes[opcode].hdr_bytes + bytes +
			    rxo_pad(bytes));
	if (!skb)
		return ERR_PTR(-ENOMEM);
	payload = skb->data + rxo_opcodes[opcode].hdr_bytes;
	if (bytes) {
		err = rxo_mr_copy_from(mr, read->va + read->offset_bytes, payload, bytes, done);
		if (err) {
			kfree_skb(skb);
			return ERR_PTR(err);
		}
	}
	memset(payload + bytes, 0, rxo_pad(bytes));
	rxo_bth_init(rxo_pkt_bth(skb), opcode, false, rxo_pad(bytes), IB_DEFAULT_PKEY_FULL,
		     qp->dest_qpn, false, read->psn);
	rxo_bth_set_psns(rxo_pkt_bth(skb), psns);
	if (rxo_opcodes[opcode].flags & RXO_OP_AETH)
		rxo_aeth_init(rxo_pkt_aeth(skb), RXO_AETH_ACK, qp->rq.msn);
	return skb;
}

/*
 * Adds the next response to @list, a wide one of up to @psns PSNs if it can be: 0, -EAGAIN when a
 * page is missing, or an errno.
 */
static int exec_read_response(struct rxo_qp *qp, struct rxo_mr *mr, struct sk_buff_head *list,
			      u32 psns, u32 *list_bytes)
{
	struct rxo_read *read = &qp->rq.read;
	u32 left = read->length_bytes - read->offset_bytes, bytes, done;
	struct sk_buff *skb;

	psns = clamp(DIV_ROUND_UP(left, qp->mtu_bytes), 1, psns);
	for (;;) {
		bytes = min(psns * qp->mtu_bytes, left);
		skb = exec_build_response(qp, mr, psns, bytes, &done);
		if (!IS_ERR(skb))
			break;
		if (psns == 1) {
			if (PTR_ERR(skb) != -ENOMEM)
				read->ready_bytes = read->offset_bytes + done;
			return PTR_ERR(skb);
		}
		/* As far as the pages go: less than all. */
		psns = PTR_ERR(skb) == -ENOMEM ? psns / 2 : max(1u, done / qp->mtu_bytes);
	}
	rxo_ecn_charge(qp, skb->len);
	*list_bytes += skb->len;
	__skb_queue_tail(list, skb);

	read->psn = rxo_psn_add(read->psn, psns);
	read->offset_bytes += bytes;
	read->active = bytes != left;
	return 0;
}

/*
 * Finds the pages of the responses present, or faults them in. Before the first
 * response this covers the READ (at most 2 MiB of it): an RNR NAK is still
 * possible then, while some peers mishandle one amid responses. What was found
 * present is not checked again, or reclaim could delay us without end. Later,
 * only pages that are missing are faulted in.
 *
 * Puts the reference to @mr when it returns nonzero.
 */
static int exec_read_ahead(struct rxo_qp *qp, struct rxo_mr *mr)
{
	struct rxo_read *read = &qp->rq.read;
	u32 window = min(read->length_bytes, READ_AHEAD_BYTES);
	struct rxo_miss miss = { .mr = mr };
	bool first = read->psn == read->first_psn;	/* no response has left yet */
	int err;

	if (first && read->ready_bytes < window)
		read->ready_bytes += rxo_mr_present(mr, read->va + read->ready_bytes,
						    window - read->ready_bytes, false);
	if (first && read->ready_bytes >= window) {
		read->ready_bytes = read->length_bytes;
		return 0;
	}
	miss.iova = read->va + read->ready_bytes;
	miss.length_bytes = min(read->length_bytes - read->ready_bytes, READ_AHEAD_BYTES);
	err = rxo_wait_fault(&qp->rq.wait, &miss, false);
	if (err)
		return err;
	if (!first)
		read->ready_bytes = read->length_bytes;
	return rxo_wait_again(&qp->rq.wait, -EAGAIN);
}

static struct rxo_mr *exec_read_mr(struct rxo_qp *qp)
{
	struct rxo_read *read = &qp->rq.read;

	return rxo_mr_get_remote(rxo_rq_remote_pd(qp), qp->id, read->rkey, IB_ACCESS_REMOTE_READ,
				 read->va + read->offset_bytes,
				 read->length_bytes - read->offset_bytes);
}

/* A queue of this host refused the response of @psn: continue the READ there. */
static void exec_read_refused(struct rxo_qp *qp, u32 psn)
{
	struct rxo_read *read = &qp->rq.read;

	read->psn = psn;
	read->offset_bytes = rxo_psn_sub(psn, read->first_psn) * qp->mtu_bytes;
	read->active = true;
}

/*
 * Continues the current READ, up to @budget packets. -EAGAIN while it waits for
 * a page, for memory, for its rate or for room in a queue of this host.
 */
int rxo_exec_read(struct rxo_qp *qp, u32 *budget)
{
	struct rxo_read *read = &qp->rq.read;
	struct rxo_mr *mr = NULL;
	struct sk_buff_head list;
	int err = exec_take_fault_err(&qp->rq);
	u32 refused_psn, bytes = 0, psns;

	lockdep_assert_held(&qp->rq.lock);
	if (err)
		return err;
	if (!rxo_tx_may_send(&qp->rq.tx) || !rxo_ecn_may_send(qp, &qp->rq.tx))
		return -EAGAIN;
	/* A READ of no bytes does not check its key. */
	if (read->length_bytes) {
		mr = exec_read_mr(qp);
		if (IS_ERR(mr))
			return PTR_ERR(mr);
		if (read->ready_bytes < read->length_bytes)
			err = exec_read_ahead(qp, mr);
		if (err)
			return err;
	}
	/* This wait is over; later ones are for sending or for other pages. */
	rxo_late_end(qp);
	psns = read->length_bytes > qp->mtu_bytes ? rxo_qp_wide_psns(qp, &qp->rq.tx) : 1;
	__skb_queue_head_init(&list);
	while (read->active && *budget && skb_queue_len(&list) < qp->rq.tx.burst_pkts &&
	       rxo_ecn_may_send(qp, &qp->rq.tx)) {
		err = exec_read_response(qp, mr, &list, psns, &bytes);
		if (err)
			break;
		(*budget)--;
	}
	if (mr)
		rxo_mr_put(mr);
	if (!skb_queue_empty(&list) &&
	    !rxo_net_xmit(qp->dev, &qp->path, &qp->rq.tx, &list, &refused_psn)) {
		rxo_ecn_uncharge(qp, bytes - qp->rq.tx.taken_bytes);
		exec_read_refused(qp, refused_psn);
		return -EAGAIN;
	}
	if (err == -EAGAIN || err == -ENOMEM)
		return rxo_wait_again(&qp->rq.wait, err);
	return err;
}
