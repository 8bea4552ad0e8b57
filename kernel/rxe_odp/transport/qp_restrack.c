// SPDX-License-Identifier: GPL-2.0
/* What "rdma -dd resource show qp" tells beside what the core does. */
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "queue/queue.h"
#include "transport/qp.h"

static int qp_put_send_side(struct sk_buff *msg, struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	u32 posted, copied, una_psn, psn, window, rd_atomic;
	bool waits;

	scoped_guard(spinlock_bh, &sq->lock) {
		posted = rxo_queue_count(sq->queue);
		copied = sq->copied;
		una_psn = sq->una_psn;
		psn = sq->psn;
		window = sq->window.pkts;
		rd_atomic = sq->rd_atomic;
		waits = sq->wait.pending || sq->place_wait.pending;
	}
	return rdma_nl_put_driver_u32(msg, "sq_posted", posted) ?:
	       rdma_nl_put_driver_u32(msg, "sq_started", copied) ?:
	       rdma_nl_put_driver_u32(msg, "sq_una_psn", una_psn) ?:
	       rdma_nl_put_driver_u32(msg, "sq_next_psn", psn) ?:
	       rdma_nl_put_driver_u32(msg, "sq_window", window) ?:
	       rdma_nl_put_driver_u32(msg, "sq_rd_atomic", rd_atomic) ?:
	       rdma_nl_put_driver_u32(msg, "sq_waits_for_page", waits);
}

static int qp_put_receive_side(struct sk_buff *msg, struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	u32 posted, msn, held;
	bool waits;

	scoped_guard(spinlock_bh, &rq->lock) {
		posted = rq->queue ? rxo_queue_count(rq->queue) : 0;
		msn = rq->msn;
		held = skb_queue_len(&rq->held);
		waits = rq->wait.pending;
	}
	return rdma_nl_put_driver_u32(msg, "rq_posted", posted) ?:
	       rdma_nl_put_driver_u32(msg, "rq_msn", msn) ?:
	       rdma_nl_put_driver_u32(msg, "rq_held_pkts", held) ?:
	       rdma_nl_put_driver_u32(msg, "rq_waits_for_page", waits);
}

int rxo_fill_res_qp_entry(struct sk_buff *msg, struct ib_qp *ibqp)
{
	struct nlattr *nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	struct rxo_qp *qp = to_rxo_qp(ibqp);

	if (!nest)
		return -EMSGSIZE;
	if ((qp->kind->send && qp_put_send_side(msg, qp)) ||
	    (qp->kind->take && qp_put_receive_side(msg, qp))) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}
