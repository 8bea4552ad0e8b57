// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: creation, release, statistics.
 *
 * The release is staged:
 *
 *	close	closed is set under queue->lock: nobody waits for the region after that, since
 *		each asker looks under the same lock. The closer sends away who waited.
 *	wait	until no wake() is running. A waiter that a fault thread has claimed is woken
 *		without a wait for any page in between.
 *	remove	from the mirror. Each of its leaves is locked once: an access of this region that
 *		had the lock before has ended then, one that gets it later sees closed. What no
 *		other region covers is dropped, and cannot come back (mirror.c).
 *	free	after an RCU grace period, for callers that have found the region under RCU.
 *
 * Faults belong to the mirror. One that hangs goes on hanging, and holds the mirror, not the
 * region.
 *
 * The mm may have gone before: each notifier was called for all of its range then, and a fault
 * finds no user of the mm. If it goes meanwhile, the kernel's notifier code, which holds the mm's
 * struct, orders its exit and the removal of a notifier.
 */
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "chunk.h"
#include "leaf.h"
#include "mem_cache.h"
#include "mirror.h"
#include "queue.h"
#include "region.h"

static bool region_range_is_good(const struct mm_struct *mm, u64 start, u64 length_bytes)
{
	return length_bytes && start < mm->task_size && length_bytes <= mm->task_size - start;
}

static struct umem_odp_region *region_alloc(struct mm_struct *mm, u64 start, u64 length_bytes,
					    u32 flags)
{
	struct umem_odp_mirror *m;
	struct umem_odp_region *r;

	r = kmem_cache_zalloc(umem_odp_region_cache, GFP_KERNEL);
	if (!r)
		return ERR_PTR(-ENOMEM);
	m = umem_odp_mirror_get(mm);
	if (IS_ERR(m)) {
		kmem_cache_free(umem_odp_region_cache, r);
		return ERR_CAST(m);
	}
	r->mirror = m;
	r->start = start;
	r->last = start + length_bytes - 1;
	r->flags = flags;
	INIT_LIST_HEAD(&r->waiters);
	init_waitqueue_head(&r->idle);
	umem_odp_mirror_add(m, r);
	return r;
}

struct umem_odp_region *umem_odp_region_create(struct mm_struct *mm, u64 start, u64 length_bytes,
					       u32 flags)
{
	struct umem_odp_region *r;

	might_sleep();
	if (flags & ~UMEM_ODP_WRITE || !region_range_is_good(mm, start, length_bytes))
		return ERR_PTR(-EINVAL);
	if (!mmget_not_zero(mm))
		return ERR_PTR(-EOWNERDEAD);
	r = region_alloc(mm, start, length_bytes, flags);
	mmput_async(mm);
	return r;
}
EXPORT_SYMBOL_GPL(umem_odp_region_create);

void umem_odp_region_close(struct umem_odp_region *r)
{
	might_sleep();
	if (!READ_ONCE(r->closed))
		umem_odp_queue_close(r);
}
EXPORT_SYMBOL_GPL(umem_odp_region_close);

void umem_odp_region_destroy(struct umem_odp_region *r)
{
	struct umem_odp_mirror *m;

	might_sleep();
	if (IS_ERR_OR_NULL(r))
		return;
	m = r->mirror;
	umem_odp_region_close(r);
	wait_event(r->idle, umem_odp_queue_is_idle(r));
	umem_odp_mirror_remove(m, r);
	kfree_rcu(r, rcu);
	umem_odp_mirror_put(m);
}
EXPORT_SYMBOL_GPL(umem_odp_region_destroy);

void umem_odp_region_count(const struct umem_odp_region *r, u64 start, u64 last,
			   struct umem_odp_resident *found)
{
	unsigned long index;
	struct umem_odp_chunk *chunk;
	u64 at;

	might_sleep();
	*found = (struct umem_odp_resident) {};
	start = max(start, r->start) & PAGE_MASK;
	last = min(last, r->last) | ~PAGE_MASK;
	index = start >> UMEM_ODP_CHUNK_SHIFT;

	for (;; index++) {
		u64 chunk_last;

		scoped_guard(rcu) {
			chunk = xa_find(&r->mirror->chunks, &index, last >> UMEM_ODP_CHUNK_SHIFT,
					XA_PRESENT);
			if (!chunk)
				return;
			at = max(start, umem_odp_chunk_start(chunk));
			chunk_last = min(last, umem_odp_chunk_last(chunk));
			while (at <= chunk_last) {
				u64 leaf_last = min(at | (UMEM_ODP_LEAF_BYTES - 1), chunk_last);

				umem_odp_leaf_count(chunk, at, leaf_last, found);
				at = leaf_last + 1;
			}
		}
		cond_resched();
	}
}
EXPORT_SYMBOL_GPL(umem_odp_region_count);

/* The table belongs to all regions of the mm: each has a share by what is resident in it. */
static u64 region_share_of_table(const struct umem_odp_mirror *m, u64 pages)
{
	u64 bytes = atomic_long_read(&m->table_bytes);
	u64 all = atomic_long_read(&m->resident_pages);

	return all ? mul_u64_u64_div_u64(bytes, min(pages, all), all) : 0;
}

void umem_odp_region_counters(const struct umem_odp_region *r, struct umem_odp_stats *stats)
{
	const struct umem_odp_counters *c = &r->counters;

	*stats = (struct umem_odp_stats) {
		.faults = atomic64_read(&c->faults),
		.fault_pages = atomic64_read(&c->fault_pages),
		.joined_faults = atomic64_read(&c->joined_faults),
		.retries = atomic64_read(&c->retries),
		.failed_faults = atomic64_read(&c->failed_faults),
		.prefetched_pages = atomic64_read(&c->prefetched_pages),
		.invalidations = READ_ONCE(r->invalidations),
		.invalidated_pages = READ_ONCE(r->invalidated_pages),
		.downgrades = READ_ONCE(r->downgrades),
	};

	guard(spinlock_bh)(&r->mirror->queue.lock);
	stats->worst_fault_ns = r->worst_fault_ns;
	stats->worst_fault_va = r->worst_fault_va;
	stats->last_fault_ns = r->last_fault_ns;
	stats->avg_fault_ns = r->avg_fault_ns;
	memcpy(stats->faults_by_time, r->faults_by_time, sizeof(stats->faults_by_time));
}
EXPORT_SYMBOL_GPL(umem_odp_region_counters);

void umem_odp_region_stats(const struct umem_odp_region *r, struct umem_odp_stats *stats)
{
	struct umem_odp_resident found;

	might_sleep();
	umem_odp_region_counters(r, stats);
	umem_odp_region_count(r, r->start, r->last, &found);
	stats->resident_pages = found.pages;
	stats->huge_pages = found.huge_pages;
	stats->table_bytes = sizeof(*r) + region_share_of_table(r->mirror, stats->resident_pages);
}
EXPORT_SYMBOL_GPL(umem_odp_region_stats);

/* Fills @pages for [@at, @last], which lies in one leaf. */
static void region_leaf_residency(const struct umem_odp_region *r, u64 at, u64 last, u8 *pages)
{
	struct umem_odp_chunk *chunk;

	guard(rcu)();
	chunk = xa_load(&r->mirror->chunks, at >> UMEM_ODP_CHUNK_SHIFT);
	if (chunk)
		umem_odp_leaf_residency(chunk, at, last, pages);
	else
		memset(pages, 0, ((last - at) >> PAGE_SHIFT) + 1);
}

void umem_odp_region_residency(const struct umem_odp_region *r, u64 va, u8 *pages, unsigned int nr)
{
	u64 at = va & PAGE_MASK, end = at + ((u64)nr << PAGE_SHIFT), last;
	unsigned int i;

	might_sleep();
	for (; at < end; at = last + 1) {
		last = min(at | (UMEM_ODP_LEAF_BYTES - 1), end - 1);
		region_leaf_residency(r, at, last, pages + ((at - (va & PAGE_MASK)) >> PAGE_SHIFT));
		cond_resched();
	}
	/* WRITE in an entry is what the mm allows; this region may allow less. */
	for (i = 0; !(r->flags & UMEM_ODP_WRITE) && i < nr; i++)
		pages[i] &= ~UMEM_ODP_PAGE_WRITABLE;
}
EXPORT_SYMBOL_GPL(umem_odp_region_residency);

u64 umem_odp_region_fault_ns(const struct umem_odp_region *r)
{
	return READ_ONCE(r->avg_fault_ns);
}
EXPORT_SYMBOL_GPL(umem_odp_region_fault_ns);
