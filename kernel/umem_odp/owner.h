/* SPDX-License-Identifier: GPL-2.0 */
/* An owner: the process whose memory it is, with all its regions' faults. */
#ifndef UMEM_ODP_OWNER_H
#define UMEM_ODP_OWNER_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct mm_struct;

/*
 * How many fault threads one address space may have, so that one process cannot starve another. One
 * of them never waits: pages that come at once keep coming when all the others are stuck.
 */
#define UMEM_ODP_OWNER_THREADS	8
#define UMEM_ODP_OWNER_BLOCKED	(UMEM_ODP_OWNER_THREADS - 1)

/**
 * struct umem_odp_owner - what the regions of one mm share
 * @mm: the address space, the struct is held; immutable
 * @refs: regions, and threads at work or asked for
 * @node: in the list of owners; owners_lock
 * @lock: protects all below, and the waiters and passes of all regions. Always _bh: faults are
 *	asked for in softirq
 * @pending: waiters that no pass serves yet
 * @passes: passes at work
 * @nr_threads: threads at work for this owner
 * @nr_blocked: passes that wait for a page
 * @queued: it stands in the pool's list for one more thread
 * @pool_node: in that list; pool.lock
 * @retry: gives waiters another try that were too many to wait for their pages, or found no thread
 * @rcu: frees it behind callers that found a region under RCU
 */
struct umem_odp_owner {
	struct mm_struct *mm;
	refcount_t refs;
	struct list_head node;

	spinlock_t lock;	/* all below */
	struct list_head pending;
	struct list_head passes;
	unsigned int nr_threads;
	unsigned int nr_blocked;
	bool queued;
	struct list_head pool_node;
	struct delayed_work retry;
	struct rcu_head rcu;
};

struct umem_odp_owner *umem_odp_owner_get(struct mm_struct *mm);
void umem_odp_owner_put(struct umem_odp_owner *owner);

#endif
