/* SPDX-License-Identifier: GPL-2.0 */
/* Shared receive queues. */
#ifndef RXO_SRQ_H
#define RXO_SRQ_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#include "device/dev.h"
#include "queue/wqe_parse.h"

struct rxo_queue;

/*
 * @lock protects @queue and its consumer side, @limit, @max_wr; irqsave, inside
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
 * Any context up to softirq, under the QP's receive lock. Raises
 * IB_EVENT_SRQ_LIMIT_REACHED once when the limit is crossed.
 * Returns 0, -ENOENT (empty), -EINVAL (the WQE is malformed: it was consumed,
 * @to->wr_id is valid).
 */
int rxo_srq_pop(struct rxo_srq *srq, struct rxo_rwqe *to);

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
