/* SPDX-License-Identifier: GPL-2.0 */
/* Shared receive queues. */
#ifndef RXO_SRQ_H
#define RXO_SRQ_H

#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#include "device/dev.h"
#include "queue/cq.h"
#include "queue/wqe_parse.h"

struct rxo_queue;
struct rxo_srq;

/*
 * What the number of an XRC SRQ leads to, apart from the SRQ as a struct rxo_qpn is from its queue
 * pair: ib_core frees the SRQ as soon as it is destroyed, while a target may have looked up its
 * number and not yet taken a reference. @refs is one for the number and one for each target that
 * executes a request for it now; freed after RCU. The rest is immutable.
 */
struct rxo_srqn {
	refcount_t refs;
	struct rxo_srq *srq;		/* there as long as a reference is */
	struct completion unused;	/* the last reference went */
	struct rcu_head rcu;
};

/*
 * @lock protects @queue and its consumer side, @limit, @max_wr, @failed; irqsave, inside
 * the QP's locks. @post_lock serialises kernel posters; irqsave, innermost; only
 * user SRQs are resized, so posters need no @lock.
 */
struct rxo_srq {
	struct ib_srq ibsrq;
	struct rxo_queue *queue;	/* of struct rxe_recv_wqe */
	spinlock_t lock;		/* see the comment of struct rxo_srq */
	spinlock_t post_lock;		/* likewise */
	struct mutex mutex;		/* serialises modify */
	u32 max_wr;
	u32 max_sge;			/* immutable */
	u32 limit;			/* 0: not armed */
	bool user;
	bool failed;			/* the SRQ is in error, for ever; also read without @lock */
	/* The rest is XRC's, immutable. */
	struct rxo_srqn *srqn;		/* NULL: it is a plain one */
	u64 id;				/* no other SRQ ever has it, unlike the number; never 0 */
	u64 uctx_id;			/* of the context whose memory it receives into */
};

static inline struct rxo_srq *to_rxo_srq(struct ib_srq *ibsrq)
{
	return container_of(ibsrq, struct rxo_srq, ibsrq);
}

static inline struct rxo_pd *rxo_srq_pd(struct rxo_srq *srq)
{
	return to_rxo_pd(srq->ibsrq.pd);
}

static inline u32 rxo_rwqe_bytes(u32 max_sge)
{
	return sizeof(struct rxe_recv_wqe) + max_sge * sizeof(struct rxe_sge);
}

/* Writes a struct rxe_recv_wqe for a kernel user. -EINVAL for too many entries. */
int rxo_rwqe_fill(struct rxe_recv_wqe *to, const struct ib_recv_wr *wr, u32 max_sge);

/**
 * rxo_srq_pop - take the oldest receive WQE
 * @srq: the SRQ
 * @to: filled
 *
 * Any context up to softirq, under the QP's receive lock. Raises
 * IB_EVENT_SRQ_LIMIT_REACHED once when the limit is crossed, and IB_EVENT_SRQ_ERR
 * once when the SRQ is found broken.
 * Returns 0, -ENOENT (empty), -EINVAL (the WQE is malformed: it was consumed,
 * @to->wr_id is valid), -ENOTRECOVERABLE (the SRQ is in error).
 */
int rxo_srq_pop(struct rxo_srq *srq, struct rxo_rwqe *to);

/**
 * rxo_srq_get - the SRQ that an XRC request names, if it is in the domain
 * @dev: the device
 * @srq_num: from the wire
 * @xrcd: of the target, which keeps it
 *
 * Any context. With a reference for rxo_srq_put(), which holds up the SRQ's destruction: not to be
 * kept while a page is waited for. NULL if there is none.
 */
struct rxo_srq *rxo_srq_get(struct rxo_dev *dev, u32 srq_num, const struct ib_xrcd *xrcd);
void rxo_srq_put(struct rxo_srq *srq);

/* Whether it is in error. Any context; what breaks it is found when a receive is taken. */
static inline bool rxo_srq_has_failed(const struct rxo_srq *srq)
{
	return READ_ONCE(srq->failed);
}

/* The CQ of an XRC SRQ, to which its receives complete. */
static inline struct rxo_cq *rxo_srq_cq(const struct rxo_srq *srq)
{
	return to_rxo_cq(srq->ibsrq.ext.cq);
}

/* The verbs */
int rxo_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init, struct ib_udata *udata);
int rxo_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr, enum ib_srq_attr_mask mask,
		   struct ib_udata *udata);
int rxo_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr);
int rxo_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata);
int rxo_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad);

/* restrack.c */
int rxo_fill_res_srq_entry(struct sk_buff *msg, struct ib_srq *ibsrq);

#endif /* RXO_SRQ_H */
