/* SPDX-License-Identifier: GPL-2.0 */
/* The queue of an owner: waiters, and the passes that serve them. */
#ifndef UMEM_ODP_QUEUE_H
#define UMEM_ODP_QUEUE_H

#include <linux/types.h>

struct list_head;
struct umem_odp_owner;
struct umem_odp_pass;
struct umem_odp_region;
struct umem_odp_waiter;
struct work_struct;

int umem_odp_queue_add(struct umem_odp_waiter *w);
bool umem_odp_queue_remove(struct umem_odp_waiter *w);
void umem_odp_queue_close(struct umem_odp_region *r);
bool umem_odp_queue_is_idle(struct umem_odp_region *r);
void umem_odp_queue_serve(struct umem_odp_owner *owner, struct umem_odp_pass *pass);
void umem_odp_queue_fail(struct umem_odp_owner *owner, int err);
void umem_odp_queue_retry_work(struct work_struct *work);

void umem_odp_queue_claim(struct umem_odp_pass *pass, u64 next, struct list_head *claimed);
bool umem_odp_queue_block(struct umem_odp_pass *pass);
void umem_odp_queue_unblock(struct umem_odp_pass *pass);

#endif
