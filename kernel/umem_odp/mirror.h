/* SPDX-License-Identifier: GPL-2.0 */
/* A mirror: the translations of one mm, with the regions that look through it. */
#ifndef UMEM_ODP_MIRROR_H
#define UMEM_ODP_MIRROR_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/mmu_notifier.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "entries.h"
#include "queue.h"

struct interval_tree_node;
struct umem_odp_chunk;
struct umem_odp_region;

/* A power of two: a process has its heap, its stacks and what it has mapped in several chunks. */
#define UMEM_ODP_RECENT_CHUNKS	4U

/**
 * struct umem_odp_mirror - the translations of one mm
 * @subscription: the one of this mm with our ops; the kernel counts its users: the regions, and one
 *	more while @kept
 * @mm: the address space; the struct is held, immutable
 * @pid: who made its first region, as the initial PID namespace has it; for tracing, immutable
 * @refs: the subscription, each chunk, each fault thread, each work that is queued
 * @prepared: the mm can take interval notifiers; mmap_lock for writing
 * @chunks: by va >> UMEM_ODP_CHUNK_SHIFT; lookup under RCU
 * @recent: those of @chunks that faults were in last, to be looked at first; likewise. One is set
 *	under its chunk->lock while it is pinned, and taken out when it leaves @chunks
 * @reap: removes chunks that have been empty for a while, and lets go of a mirror without regions
 * @resident_pages: entries now, in pages
 * @table_bytes: memory of chunks, leaves and entries now
 * @regions_lock: protects all below but the queue. Taken in process context only, and with _bh: an
 *	invalidation spins on it, and must not spin while a softirq runs on top of its holder
 * @regions: the regions by the pages that they touch, an interval tree
 * @nr_regions: how many
 * @tally_from: where tally_first() may go on: the first region that it found last; NULL when
 *	@regions changed since
 * @tally_start: the first address of the span for which it was found
 * @kept: it stays for a while without regions, because making one takes every VMA's lock
 * @mm_gone: the mm has no users any more
 * @unused_since: when its last region went, in jiffies
 * @queue: who waits for which page, and the threads
 * @rcu: frees it behind callers that found a region under RCU
 *
 * Order: mmap_lock, chunk->lock, then @regions_lock, or leaf->lock, or file-system locks.
 */
struct umem_odp_mirror {
	struct mmu_notifier subscription;
	struct mm_struct *mm;
	pid_t pid;
	refcount_t refs;
	bool prepared;

	struct xarray chunks;
	struct umem_odp_chunk __rcu *recent[UMEM_ODP_RECENT_CHUNKS];
	struct delayed_work reap;
	atomic_long_t resident_pages;
	atomic_long_t table_bytes;

	spinlock_t regions_lock;	/* all but the queue */
	struct rb_root_cached regions;
	unsigned long nr_regions;
	struct interval_tree_node *tally_from;
	u64 tally_start;
	bool kept;
	bool mm_gone;
	unsigned long unused_since;

	struct umem_odp_queue queue;
	struct rcu_head rcu;
};

/* The place in @recent where a chunk of this index may stand. */
static inline struct umem_odp_chunk __rcu **umem_odp_recent_chunk(struct umem_odp_mirror *m,
								  unsigned long index)
{
	return &m->recent[index % UMEM_ODP_RECENT_CHUNKS];
}

/**
 * struct umem_odp_tally - what one invalidation has counted so far
 * @any: it has taken something
 * @last: the last address of the last page that it took something from
 *
 * Leaves are visited from the lowest up. A region that covers part of the present leaf and begins
 * at or before @last covers @last too, so it has counted this invalidation already.
 */
struct umem_odp_tally {
	bool any;
	u64 last;
};

/* A workqueue of our own: workers of others might wait for our faults. */
extern struct workqueue_struct *umem_odp_wq;

struct umem_odp_mirror *umem_odp_mirror_get(struct mm_struct *mm);
void umem_odp_mirror_put(struct umem_odp_mirror *m);
void umem_odp_mirror_drop_ref(struct umem_odp_mirror *m);

void umem_odp_mirror_add(struct umem_odp_mirror *m, struct umem_odp_region *r);
void umem_odp_mirror_remove(struct umem_odp_mirror *m, struct umem_odp_region *r);
unsigned long umem_odp_mirror_put_unused(struct umem_odp_mirror *m);
u64 umem_odp_mirror_covered(struct umem_odp_mirror *m, u64 start, u64 end);
void umem_odp_mirror_wait_for_all(void);

/* tally.c */
void umem_odp_tally_invalidation(struct umem_odp_mirror *m, struct umem_odp_tally *tally,
				 u64 leaf_start, const struct umem_odp_page_set *taken,
				 bool protect);

/* Whether idle threads and empty chunks are worth keeping. A hint: they can be made again. */
static inline bool umem_odp_mirror_is_kept(const struct umem_odp_mirror *m)
{
	return READ_ONCE(m->kept) && !READ_ONCE(m->mm_gone);
}

static inline struct umem_odp_mirror *umem_odp_queue_mirror(struct umem_odp_queue *q)
{
	return container_of(q, struct umem_odp_mirror, queue);
}

static inline void umem_odp_mirror_hold(struct umem_odp_mirror *m)
{
	refcount_inc(&m->refs);
}

#endif
