/* SPDX-License-Identifier: GPL-2.0 */
/* A leaf: the translations of one 2 MiB-aligned piece of a mirror, and their lock. */
#ifndef UMEM_ODP_LEAF_H
#define UMEM_ODP_LEAF_H

#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "chunk.h"
#include "entries.h"

struct umem_odp_resident;

#define UMEM_ODP_ENTRIES_BYTES	(UMEM_ODP_LEAF_PAGES * sizeof(unsigned long))

/**
 * struct umem_odp_leaf - the translations of 2 MiB
 * @lock: protects @entries; shared to use memory through them, exclusive to change them
 * @closing: how many wait for @lock exclusively, to take entries out, or to put some in when that
 *	has been tried in vain; accesses miss while there is one
 * @entries: the translations
 * @pins: faults at work here, which keep an empty leaf; chunk->lock
 * @index: in the chunk; immutable
 * @rcu: frees it behind lookups
 */
struct umem_odp_leaf {
	rwlock_t lock;
	atomic_t closing;
	struct umem_odp_entries entries;
	u32 pins;
	u16 index;
	struct rcu_head rcu;
};

/* A hint, see leaf.c: an access that sees it misses, and never spins. */
static inline bool umem_odp_leaf_is_closing(const struct umem_odp_leaf *leaf)
{
	return atomic_read(&leaf->closing);
}

static inline unsigned int umem_odp_leaf_index(u64 va)
{
	return (va >> UMEM_ODP_LEAF_SHIFT) & (UMEM_ODP_CHUNK_LEAVES - 1);
}

/* The first byte behind the leaf of @va. */
static inline u64 umem_odp_leaf_end(u64 va)
{
	return (va | (UMEM_ODP_LEAF_BYTES - 1)) + 1;
}

static inline unsigned int umem_odp_leaf_page(u64 va)
{
	return (va >> PAGE_SHIFT) & (UMEM_ODP_LEAF_PAGES - 1);
}

static inline u64 umem_odp_leaf_start(const struct umem_odp_chunk *chunk,
				      const struct umem_odp_leaf *leaf)
{
	return umem_odp_chunk_start(chunk) + ((u64)leaf->index << UMEM_ODP_LEAF_SHIFT);
}

void umem_odp_leaf_lock(struct umem_odp_leaf *leaf) __acquires(&leaf->lock);
void umem_odp_leaf_lock_to_install(struct umem_odp_leaf *leaf) __acquires(&leaf->lock);
void umem_odp_leaf_unlock(struct umem_odp_leaf *leaf) __releases(&leaf->lock);

struct umem_odp_leaf *umem_odp_leaf_get(struct umem_odp_chunk *chunk, u64 va);
void umem_odp_leaf_put(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf);
int umem_odp_leaf_alloc_pages(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf);
void umem_odp_leaf_remove_if_empty(struct umem_odp_chunk *chunk, struct umem_odp_leaf *leaf);
void umem_odp_leaf_count(struct umem_odp_chunk *chunk, u64 start, u64 last,
			 struct umem_odp_resident *found);
u64 umem_odp_leaf_missing(struct umem_odp_chunk *chunk, u64 start, u64 end, bool write);
void umem_odp_leaf_residency(struct umem_odp_chunk *chunk, u64 start, u64 last, u8 *pages);

#endif
