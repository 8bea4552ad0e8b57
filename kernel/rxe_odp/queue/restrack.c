// SPDX-License-Identifier: GPL-2.0
/* What "rdma -dd resource show" tells of a CQ and an SRQ beside what the core does. */
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "queue/cq.h"
#include "queue/queue.h"
#include "queue/srq.h"

int rxo_fill_res_cq_entry(struct sk_buff *msg, struct ib_cq *ibcq)
{
	struct nlattr *nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	u32 armed, filled;
	bool overflowed;

	if (!nest)
		return -EMSGSIZE;
	scoped_guard(spinlock_irqsave, &cq->lock) {
		filled = rxo_queue_produced(cq->queue);
		armed = cq->armed;
		overflowed = cq->overflowed;
	}
	if (rdma_nl_put_driver_u32(msg, "filled", filled) ||
	    rdma_nl_put_driver_u32(msg, "armed", armed) ||
	    rdma_nl_put_driver_u32(msg, "overflowed", overflowed)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

int rxo_fill_res_srq_entry(struct sk_buff *msg, struct ib_srq *ibsrq)
{
	struct nlattr *nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	u32 posted, limit, max_wr;

	if (!nest)
		return -EMSGSIZE;
	scoped_guard(spinlock_irqsave, &srq->lock) {
		posted = rxo_queue_count(srq->queue);
		limit = srq->limit;
		max_wr = srq->max_wr;
	}
	if (rdma_nl_put_driver_u32(msg, "posted", posted) ||
	    rdma_nl_put_driver_u32(msg, "max_wr", max_wr) ||
	    rdma_nl_put_driver_u32(msg, "limit", limit)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}
