/* SPDX-License-Identifier: GPL-2.0 */
/* Waiters by the page and the mode that they wait for. */
#ifndef UMEM_ODP_WAITERS_H
#define UMEM_ODP_WAITERS_H

#include <linux/mm.h>
#include <umem_odp/umem_odp.h>

#include "queue.h"

static inline u64 umem_odp_waiter_page(const struct umem_odp_waiter *w)
{
	return w->va & PAGE_MASK;
}

bool umem_odp_waiters_add(struct umem_odp_queue *q, struct umem_odp_waiter *w);
void umem_odp_waiters_remove(struct umem_odp_queue *q, struct umem_odp_waiter *w);
struct umem_odp_waiter *umem_odp_waiters_first(struct umem_odp_queue *q, u64 page);
struct umem_odp_waiter *umem_odp_waiters_next(struct umem_odp_waiter *w);

#endif
