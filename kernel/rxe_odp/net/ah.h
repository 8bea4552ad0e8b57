/* SPDX-License-Identifier: GPL-2.0 */
/* Address handles: where a UD packet goes. */
#ifndef RXO_AH_H
#define RXO_AH_H

#include <linux/refcount.h>
#include <rdma/ib_verbs.h>

#include "net/net.h"

struct rxo_dev;

/*
 * What a handle's number leads to. The verbs object may be destroyed in atomic
 * context while a packet goes out, so that this is apart from it: @refs is one
 * for the number, one for each sender; freed after RCU. Immutable once
 * published.
 */
struct rxo_ah {
	refcount_t refs;
	u32 ah_num;
	struct ib_pd *pd;		/* only compared */
	struct rxo_path path;
	struct rcu_head rcu;
};

/*
 * Allocated by ib_core: INIT_RDMA_OBJ_SIZE(ib_ah, rxo_ibah, ibah). dev->ahs has
 * XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ.
 */
struct rxo_ibah {
	struct ib_ah ibah;
	u32 ah_num;			/* what a work request carries */
	struct rdma_ah_attr attr;	/* for query; holds no reference to a GID */
};

static inline struct rxo_ibah *to_rxo_ibah(struct ib_ah *ibah)
{
	return container_of(ibah, struct rxo_ibah, ibah);
}

/**
 * rxo_ah_get - the address handle behind a number in a work request
 * @dev: the device
 * @ah_num: from the WQE, hostile
 * @pd: the QP's; the handle's must be the same
 *
 * Any context. Returns it referenced, or NULL.
 */
struct rxo_ah *rxo_ah_get(struct rxo_dev *dev, u32 ah_num, const struct ib_pd *pd);
void rxo_ah_put(struct rxo_ah *ah);

/* The verbs. */
int rxo_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init, struct ib_udata *udata);
int rxo_modify_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr);
int rxo_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr);
int rxo_destroy_ah(struct ib_ah *ibah, u32 flags);

#endif /* RXO_AH_H */
