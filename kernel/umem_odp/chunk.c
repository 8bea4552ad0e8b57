// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: the units of notification. Each has an interval notifier of its own, so that an madvise
 * of what was never touched finds none at all, and ten thousand regions in one chunk are one call.
 *
 * A chunk is made by the first fault in it: the notifier is inserted before the chunk is published,
 * so what an access or an invalidation finds is always watched. Inserting needs no mmap_lock, since
 * the mirror has prepared the mm (mirror.c).
 *
 * Windows. The kernel's own sequence of a notifier says whether anything in its interval was
 * invalidated since a lookup. That is much for a GiB of heap, so a pass also says which pages it is
 * looking up, and what counts is whether an invalidation hit these:
 *
 *	pass					invalidation of pages in the window
 *	----					-----------------------------------
 *	chunk->lock: opens the window		a: it had chunk->lock before. Either its range
 *	mmu_interval_read_begin()		   callout has ended, or read_begin waits for it
 *	looks the pages up			b: it gets chunk->lock now: hit
 *	chunk->lock
 *	 hit? look again
 *	 entries go in				c: it gets chunk->lock after that, and finds them
 *	unlock
 *
 * Its removal. A chunk that has neither leaves nor pins is removed after a second: a chunk in use
 * again and again keeps its notifier, since the kernel lets insertion and removal wait for every
 * invalidation of the mm. Emptiness is noticed under chunk->lock and often inside of a notifier's
 * callback, where a notifier cannot be removed; so a work item does it:
 *
 *	reap work				fault in the same GiB
 *	---------				---------------------
 *	chunk->lock
 *	 empty for a second: dead
 *	unlock
 *						finds it, dead: waits for its erasure, by
 *						trying again
 *	erase, forget as recent
 *						finds none, makes a new one: two notifiers
 *	remove the notifier			over one range for a while, which is allowed
 *	kfree_rcu
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "chunk.h"
#include "hook.h"
#include "invalidate.h"
#include "leaf.h"
#include "mem_cache.h"
#include "mirror.h"

/* The chunk is pinned, so it is not dead; chunk_forget() takes a dead one out again. */
static void chunk_set_recent(struct umem_odp_chunk *chunk)
{
	struct umem_odp_chunk __rcu **recent = umem_odp_recent_chunk(chunk->mirror, chunk->index);

	lockdep_assert_held(&chunk->lock);
	if (rcu_access_pointer(*recent) != chunk)
		rcu_assign_pointer(*recent, chunk);
}

/* From now on no access finds it. */
static void chunk_forget(struct umem_odp_chunk *chunk)
{
	struct umem_odp_mirror *m = chunk->mirror;
	struct umem_odp_chunk __rcu **recent = umem_odp_recent_chunk(m, chunk->index);

	xa_erase(&m->chunks, chunk->index);
	/* Only if the slot still has this chunk: several share it. */
	unrcu_pointer(cmpxchg(recent, RCU_INITIALIZER(chunk), NULL));
}

/**
 * umem_odp_chunk_get_existing() - find and pin a chunk
 * @m: the mirror
 * @index: of the chunk
 *
 * Return: the chunk, or NULL.
 */
struct umem_odp_chunk *umem_odp_chunk_get_existing(struct umem_odp_mirror *m, unsigned long index)
{
	struct umem_odp_chunk *chunk;

	guard(rcu)();
	chunk = xa_load(&m->chunks, index);
	if (!chunk)
		return NULL;
	guard(spinlock_bh)(&chunk->lock);
	if (chunk->dead)
		return NULL;
	chunk->pins++;
	return chunk;
}

static struct umem_odp_chunk *chunk_alloc(struct umem_odp_mirror *m, unsigned long index)
{
	struct umem_odp_chunk *chunk;
	int err;

	chunk = kmem_cache_zalloc(umem_odp_chunk_cache, GFP_KERNEL);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	chunk->mirror = m;
	chunk->index = index;
	chunk->pins = 1;
	spin_lock_init(&chunk->lock);
	INIT_LIST_HEAD(&chunk->windows);
	err = mmu_interval_notifier_insert(&chunk->notifier, m->mm, umem_odp_chunk_start(chunk),
					   UMEM_ODP_CHUNK_BYTES, &umem_odp_invalidate_ops);
	if (err) {
		kmem_cache_free(umem_odp_chunk_cache, chunk);
		return ERR_PTR(err);
	}
	umem_odp_mirror_hold(m);
	atomic_long_add(sizeof(*chunk), &m->table_bytes);
	return chunk;
}

/*
 * The chunk is not published, or no longer. An invalidation may have found it by its notifier: the
 * removal of that waits for it.
 */
static void chunk_free(struct umem_odp_chunk *chunk)
{
	struct umem_odp_mirror *m = chunk->mirror;

	mmu_interval_notifier_remove(&chunk->notifier);
	atomic_long_sub(sizeof(*chunk), &m->table_bytes);
	kfree_rcu(chunk, rcu);
	umem_odp_mirror_drop_ref(m);
}

/**
 * umem_odp_chunk_get() - find or make the chunk of an address, and pin it
 * @m: the mirror
 * @va: an address in it
 *
 * Context: May sleep. The caller holds a user reference on the mm.
 * Return: the chunk, or ERR_PTR(-ENOMEM).
 */
struct umem_odp_chunk *umem_odp_chunk_get(struct umem_odp_mirror *m, u64 va)
{
	unsigned long index = va >> UMEM_ODP_CHUNK_SHIFT;
	struct umem_odp_chunk *chunk;
	int err;

	for (;;) {
		chunk = umem_odp_chunk_get_existing(m, index);
		if (chunk) {
			guard(spinlock_bh)(&chunk->lock);
			chunk_set_recent(chunk);
			return chunk;
		}
		if (xa_load(&m->chunks, index)) {
			/* A dead one, which is about to leave. */
			cond_resched();
			continue;
		}
		chunk = chunk_alloc(m, index);
		if (IS_ERR(chunk))
			return chunk;
		umem_odp_hook(UMEM_ODP_CHUNK_MADE, m);
		err = xa_insert(&m->chunks, index, chunk, GFP_KERNEL);
		if (!err) {
			guard(spinlock_bh)(&chunk->lock);
			chunk_set_recent(chunk);
			return chunk;
		}
		/* Another thread has inserted one. */
		chunk_free(chunk);
		if (err != -EBUSY)
			return ERR_PTR(err);
	}
}

/**
 * umem_odp_chunk_put() - undo umem_odp_chunk_get()
 * @chunk: the chunk
 */
void umem_odp_chunk_put(struct umem_odp_chunk *chunk)
{
	guard(spinlock_bh)(&chunk->lock);
	chunk->pins--;
	umem_odp_chunk_check_empty(chunk);
}

/**
 * umem_odp_chunk_check_empty() - have a chunk removed in a while, if nothing is in it
 * @chunk: the chunk; its lock is held
 */
void umem_odp_chunk_check_empty(struct umem_odp_chunk *chunk)
{
	lockdep_assert_held(&chunk->lock);
	if (chunk->nr_leaves || chunk->pins)
		return;
	chunk->empty_since = jiffies;
	umem_odp_chunk_schedule_reap(chunk->mirror, UMEM_ODP_REAP_JIFFIES);
}

/**
 * umem_odp_chunk_open_window() - from now on notice what is invalidated in some pages
 * @chunk: the chunk, pinned
 * @window: a closed window, or one that is open and gets new bounds
 * @start: first address
 * @last: last address
 *
 * mmu_interval_read_begin() is called after it, then the pages are looked up.
 */
void umem_odp_chunk_open_window(struct umem_odp_chunk *chunk, struct umem_odp_window *window,
				u64 start, u64 last)
{
	guard(spinlock_bh)(&chunk->lock);
	window->start = start;
	window->last = last;
	window->hit = false;
	if (list_empty(&window->node))
		list_add(&window->node, &chunk->windows);
}

/**
 * umem_odp_chunk_close_window() - undo umem_odp_chunk_open_window()
 * @chunk: the chunk
 * @window: the window, open or closed
 */
void umem_odp_chunk_close_window(struct umem_odp_chunk *chunk, struct umem_odp_window *window)
{
	guard(spinlock_bh)(&chunk->lock);
	list_del_init(&window->node);
}

/**
 * umem_odp_chunk_hit_windows() - mark the windows that an invalidation touches
 * @chunk: the chunk; its lock is held
 * @start: first address
 * @last: last address
 */
void umem_odp_chunk_hit_windows(struct umem_odp_chunk *chunk, u64 start, u64 last)
{
	struct umem_odp_window *window;

	lockdep_assert_held(&chunk->lock);
	list_for_each_entry(window, &chunk->windows, node) {
		if (window->start <= last && start <= window->last)
			window->hit = true;
	}
}

/*
 * Marks the chunk dead and sets @go, if it is empty and has been for UMEM_ODP_REAP_JIFFIES, or
 * @at_once. Returns in how many jiffies to ask again; 0 if it is dead or in use.
 */
static unsigned long chunk_kill_empty(struct umem_odp_chunk *chunk, bool at_once, bool *go)
{
	unsigned long now = jiffies, due;

	guard(spinlock_bh)(&chunk->lock);
	*go = false;
	if (chunk->nr_leaves || chunk->pins)
		return 0;
	due = chunk->empty_since + UMEM_ODP_REAP_JIFFIES;
	if (!at_once && time_before(now, due))
		return due - now;
	*go = true;
	chunk->dead = true;
	return 0;
}

/**
 * umem_odp_chunk_schedule_reap() - have empty chunks removed
 * @m: the mirror, held
 * @delay_jiffies: when; 0 also hastens what was to come later
 *
 * Context: Any but hard interrupts.
 */
void umem_odp_chunk_schedule_reap(struct umem_odp_mirror *m, unsigned long delay_jiffies)
{
	bool was_pending;

	/* The work has a reference for as long as it is queued, and puts it. */
	umem_odp_mirror_hold(m);
	if (delay_jiffies)
		was_pending = !queue_delayed_work(umem_odp_wq, &m->reap, delay_jiffies);
	else
		was_pending = mod_delayed_work(umem_odp_wq, &m->reap, 0);
	if (was_pending)
		umem_odp_mirror_drop_ref(m);
}

static unsigned long chunk_earlier(unsigned long a, unsigned long b)
{
	return a && b ? min(a, b) : a + b;
}

/**
 * umem_odp_chunk_reap_work() - remove a mirror's empty chunks, and let go of an unused mirror
 * @work: the mirror's reap
 */
void umem_odp_chunk_reap_work(struct work_struct *work)
{
	struct umem_odp_mirror *m = container_of(to_delayed_work(work), struct umem_odp_mirror,
						 reap);
	struct umem_odp_chunk *chunk;
	unsigned long index, next;
	bool go;

	next = umem_odp_mirror_put_unused(m);
	/* Only this work frees published chunks, and a work does not run beside itself. */
	xa_for_each(&m->chunks, index, chunk) {
		next = chunk_earlier(next, chunk_kill_empty(chunk, !umem_odp_mirror_is_kept(m),
							    &go));
		if (go) {
			umem_odp_hook(UMEM_ODP_CHUNK_DEAD, chunk);
			chunk_forget(chunk);
			chunk_free(chunk);
		}
		cond_resched();
	}
	if (next)
		umem_odp_chunk_schedule_reap(m, next);
	umem_odp_mirror_drop_ref(m);
}
