// SPDX-License-Identifier: GPL-2.0
/*
 * Mirrors: one object for each mm that has regions, found by the kernel's own list of the mm's
 * notifiers. It holds the table; its regions are windows onto it.
 *
 * Which pages may be in the table: those that some region covers. The faults ask under chunk->lock
 * before they put anything in, and the removal of a region takes its pages out after it has left
 * the tree of regions:
 *
 *	removal of a region			install
 *	-------------------			-------
 *	regions_lock: out of the tree
 *						chunk->lock
 *						 regions_lock: not covered
 *						unlock
 *	chunk->lock (the chunk's pin)
 *
 *	or					chunk->lock
 *						 regions_lock: covered
 *	regions_lock: out of the tree
 *	chunk->lock: waits			 entries go in
 *						unlock
 *	the leaf's entries that nobody
 *	else covers go
 *
 * The life. The subscription counts the regions (mmu_notifier_get and put). Chunks and threads may
 * outlive the last region, a thread for ever if the kernel never answers its page fault. So the
 * memory of the mirror has a count of its own, @refs, and goes behind an RCU grace period. A new
 * region of the same mm gets a new mirror then.
 */
#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/jiffies.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "age.h"
#include "chunk.h"
#include "leaf.h"
#include "mem_cache.h"
#include "mirror.h"
#include "region.h"
#include "user.h"

static atomic_t nr_mirrors = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(no_mirrors);

/* Under mmap_lock for writing. */
static struct mmu_notifier *mirror_alloc(struct mm_struct *mm)
{
	struct umem_odp_user *user;
	struct umem_odp_mirror *m;

	user = umem_odp_user_get();
	if (IS_ERR(user))
		return ERR_CAST(user);
	m = kmem_cache_zalloc(umem_odp_mirror_cache, GFP_KERNEL);
	if (!m) {
		umem_odp_user_put(user);
		return ERR_PTR(-ENOMEM);
	}
	mmgrab(mm);
	m->mm = mm;
	m->pid = task_tgid_nr(current);
	refcount_set(&m->refs, 1);
	xa_init_flags(&m->chunks, XA_FLAGS_ACCOUNT);
	INIT_DELAYED_WORK(&m->reap, umem_odp_chunk_reap_work);
	spin_lock_init(&m->regions_lock);
	m->regions = RB_ROOT_CACHED;
	umem_odp_queue_init(&m->queue, user);
	atomic_inc(&nr_mirrors);
	return &m->subscription;
}

/**
 * umem_odp_mirror_drop_ref() - put a reference to the struct
 * @m: the mirror
 *
 * Context: Any context up to softirq.
 */
void umem_odp_mirror_drop_ref(struct umem_odp_mirror *m)
{
	if (!refcount_dec_and_test(&m->refs))
		return;
	mmdrop(m->mm);
	umem_odp_queue_destroy(&m->queue);
	kfree_rcu(m, rcu);
	if (atomic_dec_and_test(&nr_mirrors))
		wake_up_all(&no_mirrors);
}

/* A grace period of SRCU after the last user of the subscription has gone, with BH off. */
static void mirror_free(struct mmu_notifier *subscription)
{
	umem_odp_mirror_drop_ref(container_of(subscription, struct umem_odp_mirror, subscription));
}

/* The last user of the mm has gone: nothing faults any more, and every entry has been dropped. */
static void mirror_release(struct mmu_notifier *subscription, struct mm_struct *mm)
{
	struct umem_odp_mirror *m;

	m = container_of(subscription, struct umem_odp_mirror, subscription);
	scoped_guard(spinlock_bh, &m->regions_lock)
		WRITE_ONCE(m->mm_gone, true);
	umem_odp_queue_end_idle(&m->queue);
	umem_odp_chunk_schedule_reap(m, 0);
}

static const struct mmu_notifier_ops mirror_ops = {
	.release = mirror_release,
	.alloc_notifier = mirror_alloc,
	.free_notifier = mirror_free,
	.clear_flush_young = umem_odp_age_clear,
	.clear_young = umem_odp_age_clear,
	.test_young = umem_odp_age_test,
};

static bool mirror_no_interval(struct mmu_interval_notifier *notifier,
			       const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(notifier, seq);
	return true;
}

static const struct mmu_interval_notifier_ops mirror_no_interval_ops = {
	.invalidate = mirror_no_interval,
};

/*
 * Takes one use of the subscription beside those of the regions. umem_odp_mirror_put_unused() puts
 * it when the mirror has been without regions for a while.
 */
static void mirror_keep(struct umem_odp_mirror *m)
{
	mmap_assert_write_locked(m->mm);
	/* Set here alone, under mmap_lock; cleared by the reaper, under regions_lock. */
	scoped_guard(spinlock_bh, &m->regions_lock) {
		m->unused_since = jiffies;
		if (m->kept)
			return;
	}
	/* The subscription exists: this only counts, and before the reaper can see @kept. */
	if (WARN_ON_ONCE(mmu_notifier_get_locked(&mirror_ops, m->mm) != &m->subscription))
		return;
	scoped_guard(spinlock_bh, &m->regions_lock)
		WRITE_ONCE(m->kept, true);
}

/*
 * The first interval notifier of an mm takes every VMA's lock in the kernel, which a registration
 * can afford and a fault cannot: make it here. The kernel keeps what it makes for as long as the
 * mm lives.
 */
static struct umem_odp_mirror *mirror_get_locked(struct mm_struct *mm,
						 struct mmu_interval_notifier *first)
{
	struct mmu_notifier *subscription = mmu_notifier_get_locked(&mirror_ops, mm);
	struct umem_odp_mirror *m;
	int err;

	if (IS_ERR(subscription))
		return ERR_CAST(subscription);
	m = container_of(subscription, struct umem_odp_mirror, subscription);
	if (m->prepared) {
		mirror_keep(m);
		return m;
	}
	err = mmu_interval_notifier_insert_locked(first, mm, 0, PAGE_SIZE, &mirror_no_interval_ops);
	if (err) {
		mmu_notifier_put(subscription);
		return ERR_PTR(err);
	}
	m->prepared = true;
	mirror_keep(m);
	return m;
}

/**
 * umem_odp_mirror_get() - find or make the mirror of an address space, for a region
 * @mm: the address space, with a user reference held by the caller
 *
 * Context: May sleep, takes mmap_lock for writing.
 * Return: the mirror, or ERR_PTR: -ENOMEM; -EINTR for a fatal signal; -ERESTARTNOINTR if there was
 * other work for the thread's way back to user space: the system call is to be made again after
 * it, which the kernel does by itself when it sees this error.
 */
struct umem_odp_mirror *umem_odp_mirror_get(struct mm_struct *mm)
{
	struct mmu_interval_notifier first = {};
	struct umem_odp_mirror *m;
	sigset_t old, all;

	if (mmap_write_lock_killable(mm))
		return ERR_PTR(-EINTR);
	m = mirror_get_locked(mm, &first);
	if (m == ERR_PTR(-EINTR)) {
		/* A signal ends the kernel's walk of all VMAs, and a profiling timer sends many. */
		siginitsetinv(&all, sigmask(SIGKILL));
		sigprocmask(SIG_SETMASK, &all, &old);
		m = mirror_get_locked(mm, &first);
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	mmap_write_unlock(mm);
	if (first.ops)
		mmu_interval_notifier_remove(&first);
	if (m == ERR_PTR(-EINTR) && !fatal_signal_pending(current))
		return ERR_PTR(-ERESTARTNOINTR);
	return m;
}

/**
 * umem_odp_mirror_put() - undo umem_odp_mirror_get()
 * @m: the mirror
 *
 * Context: Process context. Waits for nothing.
 */
void umem_odp_mirror_put(struct umem_odp_mirror *m)
{
	mmu_notifier_put(&m->subscription);
}

/**
 * umem_odp_mirror_add() - let a region look through its mirror
 * @m: the mirror
 * @r: the region, its range and rights set
 */
void umem_odp_mirror_add(struct umem_odp_mirror *m, struct umem_odp_region *r)
{
	guard(spinlock_bh)(&m->regions_lock);
	r->node.start = r->start & PAGE_MASK;
	r->node.last = r->last | ~PAGE_MASK;
	interval_tree_insert(&r->node, &m->regions);
	m->tally_from = NULL;
	m->nr_regions++;
}

/**
 * umem_odp_mirror_covered() - how much of a span may be in the table
 * @m: the mirror
 * @start: the first page
 * @end: behind the last
 *
 * Return: the first page that no region covers, or @end.
 */
u64 umem_odp_mirror_covered(struct umem_odp_mirror *m, u64 start, u64 end)
{
	struct interval_tree_node *node;

	guard(spinlock_bh)(&m->regions_lock);
	while (start < end) {
		/* The one that begins first of the regions that touch [start, end). */
		node = interval_tree_iter_first(&m->regions, start, end - 1);
		if (!node || node->start > start)
			break;
		start = (u64)node->last + 1;
	}
	return min(start, end);
}

/* Which of the leaf's pages some region covers. */
static void mirror_find_covered(struct umem_odp_mirror *m, u64 leaf_start, unsigned long *covered)
{
	u64 leaf_last = leaf_start + UMEM_ODP_LEAF_BYTES - 1, first, last, at = leaf_start;
	struct interval_tree_node *node;

	bitmap_zero(covered, UMEM_ODP_LEAF_PAGES);
	guard(spinlock_bh)(&m->regions_lock);
	while (at <= leaf_last) {
		node = interval_tree_iter_first(&m->regions, at, leaf_last);
		if (!node)
			break;
		first = max_t(u64, node->start, at);
		last = min_t(u64, node->last, leaf_last);
		bitmap_set(covered, umem_odp_leaf_page(first),
			   umem_odp_leaf_page(last) - umem_odp_leaf_page(first) + 1);
		at = last + 1;
	}
}

/*
 * Takes out what no region covers any more. The leaf's lock is taken in any case: an access of the
 * removed region that held it has ended then, and one that takes it later finds the region closed
 * (access.c).
 */
static void mirror_uncover_leaf(struct umem_odp_mirror *m, struct umem_odp_chunk *chunk,
				struct umem_odp_leaf *leaf)
{
	DECLARE_BITMAP(covered, UMEM_ODP_LEAF_PAGES);
	struct umem_odp_page_set dropped = {};
	unsigned int first, end, nr = 0;

	mirror_find_covered(m, umem_odp_leaf_start(chunk, leaf), covered);
	umem_odp_leaf_lock(leaf);
	for_each_clear_bitrange(first, end, covered, UMEM_ODP_LEAF_PAGES)
		nr += umem_odp_entries_drop(&leaf->entries, first, end - 1, &dropped);
	umem_odp_leaf_unlock(leaf);
	atomic_long_sub(nr, &m->resident_pages);
	umem_odp_leaf_remove_if_empty(chunk, leaf);
}

static void mirror_uncover_chunk(struct umem_odp_mirror *m, struct umem_odp_chunk *chunk, u64 start,
				 u64 last)
{
	struct umem_odp_leaf *leaf;
	unsigned int i;

	for (i = umem_odp_leaf_index(start); i <= umem_odp_leaf_index(last); i++) {
		scoped_guard(rcu) {
			leaf = rcu_dereference(chunk->leaves[i]);
			if (leaf)
				mirror_uncover_leaf(m, chunk, leaf);
		}
		cond_resched();
	}
}

/**
 * umem_odp_mirror_remove() - undo umem_odp_mirror_add()
 * @m: the mirror
 * @r: the region, closed
 *
 * Accesses of the region that were under way have ended when it returns. What no other region
 * covers is out of the table.
 *
 * Context: May sleep. Waits for accesses, for no fault.
 */
void umem_odp_mirror_remove(struct umem_odp_mirror *m, struct umem_odp_region *r)
{
	u64 start = r->node.start, last = r->node.last;
	struct umem_odp_chunk *chunk;
	unsigned long index;
	bool unused;

	might_sleep();
	scoped_guard(spinlock_bh, &m->regions_lock) {
		interval_tree_remove(&r->node, &m->regions);
		m->tally_from = NULL;
		unused = !--m->nr_regions;
		m->unused_since = jiffies;
	}
	xa_for_each_range(&m->chunks, index, chunk, start >> UMEM_ODP_CHUNK_SHIFT,
			  last >> UMEM_ODP_CHUNK_SHIFT) {
		chunk = umem_odp_chunk_get_existing(m, index);
		if (!chunk)
			continue;
		mirror_uncover_chunk(m, chunk, max(start, umem_odp_chunk_start(chunk)),
				     min(last, umem_odp_chunk_last(chunk)));
		umem_odp_chunk_put(chunk);
	}
	if (unused)
		umem_odp_chunk_schedule_reap(m, UMEM_ODP_REAP_JIFFIES);
}

/**
 * umem_odp_mirror_put_unused() - let go of a mirror that has been without regions for a while
 * @m: the mirror
 *
 * Return: in how many jiffies to ask again; 0 if it has regions, or was let go.
 */
unsigned long umem_odp_mirror_put_unused(struct umem_odp_mirror *m)
{
	unsigned long now = jiffies, due;

	scoped_guard(spinlock_bh, &m->regions_lock) {
		if (m->nr_regions || !m->kept)
			return 0;
		due = m->unused_since + UMEM_ODP_REAP_JIFFIES;
		if (!m->mm_gone && time_before(now, due))
			return due - now;
		WRITE_ONCE(m->kept, false);
	}
	umem_odp_queue_end_idle(&m->queue);
	umem_odp_mirror_put(m);
	return 0;
}

/**
 * umem_odp_mirror_wait_for_all() - wait until no mirror is left, for the module's end
 */
void umem_odp_mirror_wait_for_all(void)
{
	wait_event(no_mirrors, !atomic_read(&nr_mirrors));
}
