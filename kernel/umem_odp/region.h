/* SPDX-License-Identifier: GPL-2.0 */
/* A region: a window of one registration onto the mirror of its mm. */
#ifndef UMEM_ODP_REGION_H
#define UMEM_ODP_REGION_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/wait.h>

#include <umem_odp/umem_odp.h>

#include "stream.h"

struct umem_odp_mirror;

/* What a region counts; each by itself, without a lock. */
struct umem_odp_counters {
	atomic64_t faults;
	atomic64_t fault_pages;
	atomic64_t joined_faults;
	atomic64_t retries;
	atomic64_t failed_faults;
	atomic64_t prefetched_pages;
};

/**
 * struct umem_odp_region - one registration
 * @node: the pages that it touches, in mirror->regions; mirror->regions_lock
 * @invalidations: written under mirror->regions_lock, read anywhere, like the next two
 * @invalidated_pages: entries that were dropped
 * @downgrades: entries that lost the right to write
 * @mirror: of its mm; immutable
 * @start: first address; immutable
 * @last: last address, inclusive; immutable
 * @flags: UMEM_ODP_WRITE; immutable
 * @closed: nothing new may begin; set once, under queue->lock, read anywhere
 * @waiters: those who have not been claimed; queue->lock
 * @busy: waiters whose wake() has not returned; queue->lock
 * @idle: woken under queue->lock when @busy falls to 0
 * @worst_fault_ns: queue->lock
 * @worst_fault_va: where that was; queue->lock
 * @last_fault_ns: queue->lock
 * @avg_fault_ns: written under queue->lock, read anywhere
 * @faults_by_time: queue->lock
 * @streams: where runs of its faults have come to; queue->lock
 * @counters: the rest of the statistics
 * @rcu: frees it behind accesses that found it under RCU
 */
struct umem_odp_region {
	/* One cache line: an invalidation visits many regions. */
	struct interval_tree_node node;
	u64 invalidations;
	u64 invalidated_pages;

	u64 downgrades;
	struct umem_odp_mirror *mirror;
	u64 start;
	u64 last;
	u32 flags;
	bool closed;

	struct list_head waiters;
	unsigned int busy;
	wait_queue_head_t idle;
	u64 worst_fault_ns;
	u64 worst_fault_va;
	u64 last_fault_ns;
	u64 avg_fault_ns;
	u64 faults_by_time[UMEM_ODP_FAULT_CLASSES];
	struct umem_odp_streams streams;

	struct umem_odp_counters counters;
	struct rcu_head rcu;
} ____cacheline_aligned;

static inline bool umem_odp_region_has(const struct umem_odp_region *r, u64 va)
{
	return va >= r->start && va <= r->last;
}

static inline void umem_odp_count(atomic64_t *counter, unsigned long nr)
{
	atomic64_add(nr, counter);
}

#endif
