// SPDX-License-Identifier: GPL-2.0
/*
 * Users: a bound on the fault threads that wait, for all processes of a user together, since a user
 * who can fork escapes the bound of each process. Reaching it slows down this user's own faults
 * alone: pages that do not come at once are tried again and again instead of waited for, and what
 * has to ask a file system is put off until another such wait has ended.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "user.h"

#define USER_BLOCKED_MIN	8UL
#define USER_BLOCKED_MAX	1024UL

/**
 * struct umem_odp_user - what the mirrors of one user share
 * @node: in users; users_lock
 * @uid: whose; immutable
 * @refs: mirrors
 * @blocked: passes that wait, by what for: neither starves the other
 * @blocked_max: how many of each may; the first process's RLIMIT_NPROC within
 *	USER_BLOCKED_MIN and USER_BLOCKED_MAX; immutable
 */
struct umem_odp_user {
	struct list_head node;
	kuid_t uid;
	refcount_t refs;
	atomic_long_t blocked[UMEM_ODP_WAITS];
	long blocked_max;
};

/* _bh: the last reference may be put in softirq. */
static DEFINE_SPINLOCK(users_lock);
static LIST_HEAD(users);

static struct umem_odp_user *user_find(kuid_t uid)
{
	struct umem_odp_user *user;

	lockdep_assert_held(&users_lock);
	list_for_each_entry(user, &users, node) {
		if (uid_eq(user->uid, uid)) {
			refcount_inc(&user->refs);
			return user;
		}
	}
	return NULL;
}

/**
 * umem_odp_user_get() - find or make the user of the current process
 *
 * Context: May sleep.
 * Return: the user, or ERR_PTR(-ENOMEM).
 */
struct umem_odp_user *umem_odp_user_get(void)
{
	struct umem_odp_user *user, *new;
	kuid_t uid = current_uid();

	new = kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);
	new->uid = uid;
	refcount_set(&new->refs, 1);
	new->blocked_max = clamp(rlimit(RLIMIT_NPROC), USER_BLOCKED_MIN, USER_BLOCKED_MAX);

	scoped_guard(spinlock_bh, &users_lock) {
		user = user_find(uid);
		if (!user)
			list_add(&new->node, &users);
	}
	if (!user)
		return new;
	kfree(new);
	return user;
}

/**
 * umem_odp_user_put() - undo umem_odp_user_get()
 * @user: the user
 *
 * Context: Any context up to softirq.
 */
void umem_odp_user_put(struct umem_odp_user *user)
{
	scoped_guard(spinlock_bh, &users_lock) {
		if (!refcount_dec_and_test(&user->refs))
			return;
		list_del(&user->node);
	}
	kfree(user);
}

/**
 * umem_odp_user_block() - a pass of the user is going to wait
 * @user: the user
 * @wait: for what
 *
 * The module cannot be removed until umem_odp_user_unblock().
 *
 * Context: Any context up to softirq.
 * Return: false if too many wait already, or the module is being removed.
 */
bool umem_odp_user_block(struct umem_odp_user *user, enum umem_odp_wait wait)
{
	if (atomic_long_inc_return(&user->blocked[wait]) <= user->blocked_max &&
	    try_module_get(THIS_MODULE))
		return true;
	atomic_long_dec(&user->blocked[wait]);
	return false;
}

/**
 * umem_odp_user_unblock() - undo umem_odp_user_block()
 * @user: the user
 * @wait: as it was
 */
void umem_odp_user_unblock(struct umem_odp_user *user, enum umem_odp_wait wait)
{
	atomic_long_dec(&user->blocked[wait]);
	/* This thread still runs our code: umem_odp_thread_wait_for_all() waits for its end. */
	module_put(THIS_MODULE);
}
