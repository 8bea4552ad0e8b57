// SPDX-License-Identifier: GPL-2.0
/*
 * What an XRC target has in place of receives and a protection domain of its own: the SRQ that a
 * request names; and how SRQs refuse.
 *
 * The SRQ is looked up for each packet and each run of a READ, and a reference is kept for no
 * longer: rq.xrc_srq. It is told apart by its id from one that has come to the same number since.
 */

#include "transport/qp.h"

void rxo_resp_xrc_put(struct rxo_rq *rq)
{
	if (rq->xrc_srq)
		rxo_srq_put(rq->xrc_srq);
	rq->xrc_srq = NULL;
}

/*
 * The receive that an XRC target has taken for a message whose rest will not come goes back to the
 * owner of its SRQ, if that is there. In error or RESET: where the CQ is full, its event says so.
 */
void rxo_resp_flush_message(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	struct ib_wc wc = {
		.wr_id = rq->wqe.wr_id,
		.status = IB_WC_WR_FLUSH_ERR,
		.opcode = IB_WC_RECV,
		.qp = &qp->ibqp,
		.port_num = 1,
	};
	struct rxo_srq *srq;

	lockdep_assert_held(&rq->lock);
	if (!rq->have_wqe)
		return;
	rq->have_wqe = false;
	srq = rxo_srq_get(qp->dev, rq->wqe_srq_num, qp->xrcd);
	if (!srq)
		return;
	if (srq->id == rq->wqe_srq_id)
		rxo_cq_post(rxo_srq_cq(srq), &wc, true);
	rxo_srq_put(srq);
}

/* The SRQ that the request names, which is that of its message and of the receive it has. */
static bool resp_srq_is_right(const struct rxo_rq *rq, const struct rxo_pkt *pkt)
{
	const struct rxo_srq *srq = rq->xrc_srq;

	if (!srq || (rq->have_wqe && rq->wqe_srq_id != srq->id))
		return false;
	return (pkt->flags & RXO_OP_START) || rq->msg.srq_id == srq->id;
}

/*
 * The SRQ that a request names does not exist, is not of the target's domain, or is not that of the
 * message's first packet. Annex A14 has an event for each of the first two, which drivers of
 * hardware (hns, qedr) report as an access error. The NAK code is inferred, not read in the annex:
 * devices (hns, qedr, ionic) have a completion status for it that is neither that of an invalid
 * request nor of a remote access or operation error, and rdma-core's hns maps it to
 * IBV_WC_REM_INV_RD_REQ_ERR, which belongs to NAK code 4, "invalid RD request".
 */
void rxo_resp_refuse_srq(struct rxo_qp *qp, u32 psn)
{
	lockdep_assert_held(&qp->rq.lock);
	rxo_resp_send_ack(qp, RXO_AETH_NAK_INV_RD, psn);
	rxo_qp_set_error(qp);
	rxo_qp_event(qp, IB_EVENT_QP_ACCESS_ERR);
}

/* The SRQ is in error, which no completion can tell. */
void rxo_resp_refuse_broken_srq(struct rxo_qp *qp, u32 psn)
{
	lockdep_assert_held(&qp->rq.lock);
	if (qp->kind->acked)
		rxo_resp_send_ack(qp, RXO_AETH_NAK_REM_OP, psn);
	rxo_qp_set_fatal(qp);
}

/*
 * As RC, but that receives and keys are those of the SRQ which the request names. A duplicate was
 * executed; only if it is a READ is the SRQ needed again (rxo_resp_xrc_get_read()).
 */
int rxo_resp_take_xrc(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_rq *rq = &qp->rq;
	int err = 0;

	lockdep_assert_held(&rq->lock);
	rq->xrc_srq = rxo_srq_get(qp->dev, rxo_xrceth_srqn(rxo_pkt_xrceth(skb)), qp->xrcd);
	if (pkt->psn == rq->psn && !resp_srq_is_right(rq, pkt))
		rxo_resp_refuse_srq(qp, pkt->psn);
	else if (pkt->psn == rq->psn && rxo_srq_has_failed(rq->xrc_srq))
		rxo_resp_refuse_broken_srq(qp, pkt->psn);
	else
		err = rxo_resp_take_rc(qp, skb);
	rxo_resp_xrc_put(rq);
	return err;
}

/* The SRQ whose keys the READ that is being answered names; false if that is gone. */
bool rxo_resp_xrc_get_read(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	rq->xrc_srq = rxo_srq_get(qp->dev, rq->read.srq_num, qp->xrcd);
	if (rq->xrc_srq && rq->xrc_srq->id != rq->read.srq_id)
		rxo_resp_xrc_put(rq);
	return rq->xrc_srq;
}
