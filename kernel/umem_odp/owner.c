// SPDX-License-Identifier: GPL-2.0
/*
 * Owners: one object for each mm that has regions.
 *
 * It bounds the fault threads of a process, and it is where the first interval notifier of an mm
 * is made: that one takes mmap_lock and every VMA's lock in the kernel, which a registration can
 * afford and a fault cannot. Later notifiers of the mm, the chunks', need a spinlock only.
 */
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "owner.h"
#include "queue.h"

static DEFINE_MUTEX(owners_lock);
static LIST_HEAD(owners);

static struct umem_odp_owner *find_get(struct mm_struct *mm)
{
	struct umem_odp_owner *owner;

	lockdep_assert_held(&owners_lock);
	list_for_each_entry(owner, &owners, node) {
		/* One that has lost its last reference waits for the mutex to leave the list. */
		if (owner->mm == mm && refcount_inc_not_zero(&owner->refs))
			return owner;
	}
	return NULL;
}

static bool never_called(struct mmu_interval_notifier *notifier,
			 const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(notifier, seq);
	return true;
}

/* The kernel keeps what this makes for as long as the mm lives. */
static int prepare_mm(struct mm_struct *mm)
{
	static const struct mmu_interval_notifier_ops ops = {
		.invalidate = never_called,
	};
	struct mmu_interval_notifier notifier;
	int err;

	err = mmu_interval_notifier_insert(&notifier, mm, 0, PAGE_SIZE, &ops);
	if (!err)
		mmu_interval_notifier_remove(&notifier);
	return err;
}

static struct umem_odp_owner *make(struct mm_struct *mm)
{
	struct umem_odp_owner *owner;
	int err;

	owner = kzalloc_obj(*owner, GFP_KERNEL_ACCOUNT);
	if (!owner)
		return ERR_PTR(-ENOMEM);
	err = prepare_mm(mm);
	if (err) {
		kfree(owner);
		return ERR_PTR(err);
	}
	mmgrab(mm);
	owner->mm = mm;
	refcount_set(&owner->refs, 1);
	spin_lock_init(&owner->lock);
	INIT_LIST_HEAD(&owner->pending);
	INIT_LIST_HEAD(&owner->passes);
	INIT_LIST_HEAD(&owner->pool_node);
	INIT_DELAYED_WORK(&owner->retry, umem_odp_queue_retry_work);
	return owner;
}

static void destroy(struct umem_odp_owner *owner)
{
	cancel_delayed_work_sync(&owner->retry);
	mmdrop(owner->mm);
	kfree_rcu(owner, rcu);
}

/**
 * umem_odp_owner_get() - find or make the owner of an address space
 * @mm: the address space, with a user reference held by the caller
 *
 * Context: May sleep, takes mmap_lock for writing if it makes one. That happens outside of
 * owners_lock, so that a process whose mmap_lock is stuck holds up nobody else.
 * Return: the owner, or ERR_PTR: -ENOMEM, -EINTR.
 */
struct umem_odp_owner *umem_odp_owner_get(struct mm_struct *mm)
{
	struct umem_odp_owner *owner, *new;

	scoped_guard(mutex, &owners_lock)
		owner = find_get(mm);
	if (owner)
		return owner;

	new = make(mm);
	if (IS_ERR(new))
		return new;
	scoped_guard(mutex, &owners_lock) {
		owner = find_get(mm);
		if (!owner)
			list_add(&new->node, &owners);
	}
	if (!owner)
		return new;
	destroy(new);
	return owner;
}

/**
 * umem_odp_owner_put() - undo umem_odp_owner_get()
 * @owner: the owner
 *
 * Context: May sleep.
 */
void umem_odp_owner_put(struct umem_odp_owner *owner)
{
	if (!refcount_dec_and_mutex_lock(&owner->refs, &owners_lock))
		return;
	list_del(&owner->node);
	mutex_unlock(&owners_lock);
	destroy(owner);
}
