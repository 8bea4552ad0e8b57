/* SPDX-License-Identifier: GPL-2.0 */
/* Prefetches: spans of several regions, one after the other. */
#ifndef RXO_PREFETCH_H
#define RXO_PREFETCH_H

#include <rdma/ib_verbs.h>
#include <umem_odp/umem_odp.h>

#include "memory/mr.h"

struct rxo_pd;
struct rxo_ucontext;

/* So many may be under way in a context: each waits for one page at a time. */
#define RXO_PREFETCHES_MAX	64

/* The verb, and what waits until the last prefetch of a domain without regions has ended. */
int rxo_advise_mr(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice advice, u32 flags,
		  struct ib_sge *sg_list, u32 num_sge, struct uverbs_attr_bundle *attrs);
void rxo_prefetch_drain(struct rxo_pd *pd);

#endif /* RXO_PREFETCH_H */
