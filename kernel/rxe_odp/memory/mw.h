/* SPDX-License-Identifier: GPL-2.0 */
/* Memory windows: keys for peers, over a part of a region, that come and go by work requests. */
#ifndef RXO_MW_H
#define RXO_MW_H

#include <rdma/ib_verbs.h>

#include "memory/mr.h"

/* What a bind asks for. All of it is hostile. */
struct rxo_mw_bind {
	u64 addr;		/* in the region, also of a zero-based window */
	u64 length;		/* 0: unbind */
	u32 lkey;		/* of the region */
	u32 mw_key;		/* the window's as it is */
	u32 new_key;		/* and as it is to be: the low byte counts */
	u32 access;		/* IB_ACCESS_*, IB_ZERO_BASED */
};

/*
 * Both: any context up to softirq, BH off; nothing sleeps or allocates.
 * @qp_id is the queue pair's of the work request, or of the SEND that came.
 */

/*
 * 0. Of the window: -ENXIO (none of that key in @pd), -EBUSY (it is bound), -EINVAL (not for its
 * type). Of the region: what rxo_mr_get() answers, -ENOENT also while it is deregistered.
 */
int rxo_mw_bind(struct rxo_pd *pd, u64 qp_id, const struct rxo_mw_bind *bind);

/*
 * As rxo_mr_invalidate(), of a window @mr, under RCU. -ENOENT: it has not that key, or is not
 * bound; -EPERM: another PD, or it is of type 1; -EXDEV: another queue pair bound it.
 */
int rxo_mw_invalidate(struct rxo_pd *pd, u64 qp_id, struct rxo_mr *mr, u32 key);

/*
 * Of a reference to a window @mr: 0 if it is @qp_id's as well, -EXDEV if not, -EPERM for a local
 * access.
 */
int rxo_mw_check_asker(const struct rxo_mr *mr, enum rxo_key_type type, u64 qp_id);

/*
 * Turns a reference to a window, and an address in it, into those of its region. For a wait for a
 * page, which may last: mw.c spins until a window's references are put.
 */
void rxo_mw_to_region(struct rxo_mr **mr, u64 *iova);

/* The verbs */
int rxo_alloc_mw(struct ib_mw *ibmw, struct ib_udata *udata);
int rxo_dealloc_mw(struct ib_mw *ibmw);

struct rxo_mw;

struct rxo_ibmw {
	struct ib_mw ibmw;
	struct rxo_mw *mw;
};

static inline struct rxo_ibmw *to_rxo_ibmw(struct ib_mw *ibmw)
{
	return container_of(ibmw, struct rxo_ibmw, ibmw);
}

#endif /* RXO_MW_H */
