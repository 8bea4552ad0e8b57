/* SPDX-License-Identifier: GPL-2.0 */
/* A chunk: a 1 GiB-aligned piece of a region, with a notifier of its own. */
#ifndef UMEM_ODP_CHUNK_H
#define UMEM_ODP_CHUNK_H

#include <linux/mmu_notifier.h>
#include <linux/rcupdate.h>
#include <linux/xarray.h>

#define UMEM_ODP_CHUNK_SHIFT	30

struct umem_odp_region;

/**
 * struct umem_odp_chunk - the leaves of 1 GiB
 * @notifier: covers the pages of the chunk that the region touches; its sequence is protected by
 *	region->lock
 * @region: whose it is; immutable
 * @index: in the region; immutable
 * @leaves: by umem_odp_leaf_index(); insertion and removal under region->lock, lookup under RCU
 * @nr_leaves: in @leaves; region->lock
 * @pins: faults at work here, which keep an empty chunk; region->lock
 * @rcu: frees it behind lookups
 */
struct umem_odp_chunk {
	struct mmu_interval_notifier notifier;
	struct umem_odp_region *region;
	unsigned long index;
	struct xarray leaves;
	unsigned int nr_leaves;
	unsigned int pins;
	struct rcu_head rcu;
};

struct umem_odp_chunk *umem_odp_chunk_get(struct umem_odp_region *r, u64 va);
void umem_odp_chunk_put(struct umem_odp_region *r, struct umem_odp_chunk *chunk);
void umem_odp_chunk_reap_if_empty(struct umem_odp_region *r, struct umem_odp_chunk *chunk);
void umem_odp_chunk_reap_work(struct work_struct *work);
void umem_odp_chunk_destroy_all(struct umem_odp_region *r);

#endif
