// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: creation, release, statistics.
 *
 * The release is staged:
 *
 *	close	closed is set under owner->lock: no fault begins after that, since each looks
 *		under the same lock. Waiters are sent away, passes are stopped by a signal.
 *	wait	until no wake() is running and no pass is at work. Then nothing puts entries in.
 *	drop	every entry under its leaf's lock, which waits for the accesses at work. An access
 *		that began before closed was set finds no entry from here on.
 *	remove	the notifiers. No callback runs after that.
 *	free	after an RCU grace period, for callers that have found the region under RCU; the
 *		owner, whose lock they may take, as well.
 *
 * The mm may have gone before (each notifier was called for all of its range then, and a fault
 * finds no user of the mm), or may go meanwhile: an exit that runs into the removal waits for it
 * or is waited for in the kernel's notifier code, which holds the mm's struct.
 */
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "chunk.h"
#include "queue.h"
#include "region.h"

static bool range_is_good(const struct mm_struct *mm, u64 start, u64 length_bytes)
{
	return length_bytes && start < mm->task_size && length_bytes <= mm->task_size - start;
}

static struct umem_odp_region *make(struct mm_struct *mm, u64 start, u64 length_bytes, u32 flags)
{
	struct umem_odp_owner *owner;
	struct umem_odp_region *r;

	r = kzalloc_obj(*r, GFP_KERNEL_ACCOUNT);
	if (!r)
		return ERR_PTR(-ENOMEM);
	owner = umem_odp_owner_get(mm);
	if (IS_ERR(owner)) {
		kfree(r);
		return ERR_CAST(owner);
	}
	r->owner = owner;
	r->start = start;
	r->last = start + length_bytes - 1;
	r->flags = flags;
	spin_lock_init(&r->lock);
	xa_init(&r->chunks);
	INIT_WORK(&r->reap, umem_odp_chunk_reap_work);
	init_waitqueue_head(&r->idle);
	return r;
}

struct umem_odp_region *umem_odp_region_create(struct mm_struct *mm, u64 start, u64 length_bytes,
					       u32 flags)
{
	struct umem_odp_region *r;

	if (flags & ~UMEM_ODP_WRITE || !range_is_good(mm, start, length_bytes))
		return ERR_PTR(-EINVAL);
	if (!mmget_not_zero(mm))
		return ERR_PTR(-EOWNERDEAD);
	r = make(mm, start, length_bytes, flags);
	mmput_async(mm);
	return r;
}
EXPORT_SYMBOL_GPL(umem_odp_region_create);

void umem_odp_region_close(struct umem_odp_region *r)
{
	if (!READ_ONCE(r->closed))
		umem_odp_queue_close(r);
}
EXPORT_SYMBOL_GPL(umem_odp_region_close);

void umem_odp_region_destroy(struct umem_odp_region *r)
{
	if (IS_ERR_OR_NULL(r))
		return;
	umem_odp_region_close(r);
	wait_event(r->idle, umem_odp_queue_is_idle(r));
	umem_odp_chunk_destroy_all(r);
	umem_odp_owner_put(r->owner);
	kfree_rcu(r, rcu);
}
EXPORT_SYMBOL_GPL(umem_odp_region_destroy);

void umem_odp_region_stats(const struct umem_odp_region *r, struct umem_odp_stats *stats)
{
	const struct umem_odp_counters *c = &r->counters;

	*stats = (struct umem_odp_stats) {
		.faults = atomic64_read(&c->faults),
		.fault_pages = atomic64_read(&c->fault_pages),
		.joined_faults = atomic64_read(&c->joined_faults),
		.retries = atomic64_read(&c->retries),
		.failed_faults = atomic64_read(&c->failed_faults),
		.invalidations = atomic64_read(&c->invalidations),
		.invalidated_pages = atomic64_read(&c->invalidated_pages),
		.downgrades = atomic64_read(&c->downgrades),
		.resident_pages = atomic_long_read(&r->resident_pages),
		.table_bytes = atomic_long_read(&r->table_bytes),
	};

	guard(spinlock_bh)(&r->owner->lock);
	stats->worst_fault_ns = r->worst_fault_ns;
	stats->last_fault_ns = r->last_fault_ns;
	stats->avg_fault_ns = r->avg_fault_ns;
}
EXPORT_SYMBOL_GPL(umem_odp_region_stats);
