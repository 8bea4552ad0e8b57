/* SPDX-License-Identifier: GPL-2.0 */
/* A region: one registered range of one mm. */
#ifndef UMEM_ODP_REGION_H
#define UMEM_ODP_REGION_H

#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <umem_odp/umem_odp.h>

#include "owner.h"

/* What a region counts; each by itself, without a lock. */
struct umem_odp_counters {
	atomic64_t faults;
	atomic64_t fault_pages;
	atomic64_t joined_faults;
	atomic64_t retries;
	atomic64_t failed_faults;
	atomic64_t invalidations;
	atomic64_t invalidated_pages;
	atomic64_t downgrades;
};

/**
 * struct umem_odp_region - one registered range
 * @owner: the process's side; immutable
 * @start: first address; immutable
 * @last: last address, inclusive; immutable
 * @flags: UMEM_ODP_WRITE; immutable
 * @closed: nothing new may begin; set once, under owner->lock, read anywhere
 * @lock: notifier sequences, insertion and removal of chunks and leaves, pins. Process context only
 * @chunks: by va >> UMEM_ODP_CHUNK_SHIFT; changed under @lock or by insertion, lookup under RCU
 * @reap: removes empty chunks
 * @busy: waiters whose wake() has not returned, and passes; owner->lock
 * @idle: woken under owner->lock when @busy falls to 0
 * @worst_fault_ns: owner->lock
 * @last_fault_ns: owner->lock
 * @avg_fault_ns: owner->lock
 * @resident_pages: entries now
 * @table_bytes: memory of chunks, leaves and entries now
 * @counters: the rest of the statistics
 * @rcu: frees it behind accesses that found it under RCU
 *
 * Order: mmap_lock, @lock, then owner->lock or leaf->lock or file-system locks.
 */
struct umem_odp_region {
	struct umem_odp_owner *owner;
	u64 start;
	u64 last;
	u32 flags;
	bool closed;

	spinlock_t lock;	/* sequences, chunks, leaves, pins */
	struct xarray chunks;
	struct work_struct reap;

	unsigned int busy;
	wait_queue_head_t idle;
	u64 worst_fault_ns;
	u64 last_fault_ns;
	u64 avg_fault_ns;

	atomic_long_t resident_pages;
	atomic_long_t table_bytes;
	struct umem_odp_counters counters;
	struct rcu_head rcu;
};

/* For what must not run on a queue whose workers could wait for our own faults. */
extern struct workqueue_struct *umem_odp_wq;

static inline bool umem_odp_region_has(const struct umem_odp_region *r, u64 va)
{
	return va >= r->start && va <= r->last;
}

static inline void umem_odp_count(atomic64_t *counter)
{
	atomic64_inc(counter);
}

#endif
