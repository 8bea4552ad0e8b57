/* SPDX-License-Identifier: GPL-2.0 */
/* A chunk: a 1 GiB-aligned piece of a mirror, with a notifier of its own. */
#ifndef UMEM_ODP_CHUNK_H
#define UMEM_ODP_CHUNK_H

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "entries.h"

#define UMEM_ODP_CHUNK_SHIFT	30
#define UMEM_ODP_CHUNK_BYTES	BIT(UMEM_ODP_CHUNK_SHIFT)
#define UMEM_ODP_CHUNK_LEAVES	((unsigned int)BIT(UMEM_ODP_CHUNK_SHIFT - UMEM_ODP_LEAF_SHIFT))

/* How long an empty chunk, or a mirror without regions, is kept in case it is used again. */
#define UMEM_ODP_REAP_JIFFIES	HZ

struct umem_odp_leaf;
struct umem_odp_mirror;

/**
 * struct umem_odp_window - pages that a pass has looked up, or is about to
 * @node: in chunk->windows
 * @start: first address
 * @last: last address, inclusive
 * @hit: something in it was invalidated since it was opened
 *
 * All under chunk->lock.
 */
struct umem_odp_window {
	struct list_head node;
	u64 start;
	u64 last;
	bool hit;
};

/**
 * struct umem_odp_chunk - the leaves of 1 GiB
 * @notifier: covers all of the chunk; its sequence is protected by @lock
 * @mirror: whose it is, the struct is held; immutable
 * @index: in the mirror; immutable
 * @lock: the notifier's sequence and all below. Taken with _bh, and never in a softirq: reclaim
 *	spins on it, and must not spin while a softirq runs on top of its holder
 * @windows: of the passes at work here
 * @nr_leaves: in @leaves
 * @pins: passes and removals at work here, which keep an empty chunk
 * @dead: it is out of the mirror, or about to be: nobody pins it any more
 * @empty_since: when it lost its last leaf, in jiffies
 * @rcu: frees it behind lookups
 * @leaves: by umem_odp_leaf_index(); changed under @lock, lookup under RCU
 */
struct umem_odp_chunk {
	struct mmu_interval_notifier notifier;
	struct umem_odp_mirror *mirror;
	unsigned long index;

	spinlock_t lock;	/* all below */
	struct list_head windows;
	unsigned int nr_leaves;
	unsigned int pins;
	bool dead;
	unsigned long empty_since;
	struct rcu_head rcu;
	struct umem_odp_leaf __rcu *leaves[UMEM_ODP_CHUNK_LEAVES];
};

static inline u64 umem_odp_chunk_start(const struct umem_odp_chunk *chunk)
{
	return (u64)chunk->index << UMEM_ODP_CHUNK_SHIFT;
}

static inline u64 umem_odp_chunk_last(const struct umem_odp_chunk *chunk)
{
	return umem_odp_chunk_start(chunk) + UMEM_ODP_CHUNK_BYTES - 1;
}

struct umem_odp_chunk *umem_odp_chunk_get_existing(struct umem_odp_mirror *m, unsigned long index);
struct umem_odp_chunk *umem_odp_chunk_get(struct umem_odp_mirror *m, u64 va);
void umem_odp_chunk_put(struct umem_odp_chunk *chunk);
void umem_odp_chunk_check_empty(struct umem_odp_chunk *chunk);

void umem_odp_chunk_open_window(struct umem_odp_chunk *chunk, struct umem_odp_window *window,
				u64 start, u64 last);
void umem_odp_chunk_close_window(struct umem_odp_chunk *chunk, struct umem_odp_window *window);
void umem_odp_chunk_hit_windows(struct umem_odp_chunk *chunk, u64 start, u64 last);

void umem_odp_chunk_schedule_reap(struct umem_odp_mirror *m, unsigned long delay_jiffies);
void umem_odp_chunk_reap_work(struct work_struct *work);

#endif
