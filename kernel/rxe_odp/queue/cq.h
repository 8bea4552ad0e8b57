/* SPDX-License-Identifier: GPL-2.0 */
/* Completion queues. */
#ifndef RXO_CQ_H
#define RXO_CQ_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>

struct rxo_queue;

/*
 * @lock protects everything that changes: @queue and its producer side (and, of
 * a kernel CQ, its consumer side), @armed, @overflowed. irqsave, innermost.
 * @resize_lock, outside of it: one process at a time exchanges @queue.
 */
struct rxo_cq {
	struct ib_cq ibcq;
	struct rxo_queue *queue;	/* of struct ib_uverbs_wc (user) or struct ib_wc (kernel) */
	spinlock_t lock;
	struct mutex resize_lock;	/* process context */
	enum ib_cq_notify_flags armed;	/* 0, IB_CQ_SOLICITED or IB_CQ_NEXT_COMP */
	bool overflowed;
	bool user;
	struct work_struct comp_work;	/* kernel CQs, system_bh_wq: handlers run without locks */
};

static inline struct rxo_cq *to_rxo_cq(struct ib_cq *ibcq)
{
	return container_of(ibcq, struct rxo_cq, ibcq);
}

/**
 * rxo_cq_post - append a completion
 * @cq: queue
 * @wc: the completion; wc->qp is set. Converted for user queues.
 * @solicited: whether it counts for IB_CQ_SOLICITED
 *
 * Any context; takes cq->lock (irqsave), may be called under the QP's locks.
 * Returns 0, or -ENOSPC after the CQ has overflowed (IB_EVENT_CQ_ERR was
 * raised): the caller moves its QP to the error state.
 */
int rxo_cq_post(struct rxo_cq *cq, const struct ib_wc *wc, bool solicited);

/* The verbs */
int rxo_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
		  struct uverbs_attr_bundle *attrs);
int rxo_resize_user_cq(struct ib_cq *ibcq, unsigned int cqe, struct ib_udata *udata);
int rxo_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata);
int rxo_poll_cq(struct ib_cq *ibcq, int num, struct ib_wc *wc);
int rxo_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags flags);

/* restrack.c */
int rxo_fill_res_cq_entry(struct sk_buff *msg, struct ib_cq *ibcq);

#endif /* RXO_CQ_H */
