// SPDX-License-Identifier: GPL-2.0
/*
 * A crowd: very many waiters of one region. They are added in one call and counted as they are
 * woken; the end of the crowd cancels those that still wait.
 *
 * left counts the waiters that wait, and one more while waiters are added, so that it cannot reach
 * zero before all are. Whoever takes it to zero completes done, and does not touch the crowd after
 * that. A waiter leaves by wake() or by a cancel that was in time, never by both.
 */
#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <umem_odp/selftest.h>
#include <umem_odp/umem_odp.h>

#include "crowd.h"

struct crowd_waiter {
	struct umem_odp_waiter waiter;
	struct selftest_crowd *crowd;
	bool asked;
};

struct selftest_crowd {
	struct completion done;
	atomic_t left;
	atomic_t woken;
	atomic_t failed;
	u32 present;
	u64 ns_add;
	u32 count;
	struct crowd_waiter waiters[] __counted_by(count);
};

static void crowd_leave(struct selftest_crowd *crowd)
{
	if (atomic_dec_and_test(&crowd->left))
		complete_all(&crowd->done);
}

static void crowd_wake(struct umem_odp_waiter *w, int err)
{
	struct selftest_crowd *crowd = container_of(w, struct crowd_waiter, waiter)->crowd;

	might_sleep();
	atomic_inc(err ? &crowd->failed : &crowd->woken);
	crowd_leave(crowd);
}

static void crowd_ask(struct umem_odp_region *r, struct selftest_crowd *crowd,
		      struct crowd_waiter *w, u64 va, bool write)
{
	int err;

	w->crowd = crowd;
	w->waiter.wake = crowd_wake;
	atomic_inc(&crowd->left);
	local_bh_disable();
	err = umem_odp_fault_async(r, va, 1, write, &w->waiter);
	local_bh_enable();
	w->asked = err == -EINPROGRESS;
	if (w->asked)
		return;
	if (err)
		atomic_inc(&crowd->failed);
	else
		crowd->present++;
	crowd_leave(crowd);
}

static int crowd_ask_all(struct umem_odp_region *r, struct selftest_crowd *crowd,
			 const struct umem_selftest_crowd *arg)
{
	u64 begin = ktime_get_ns();
	int err = 0;
	u32 i;

	for (i = 0; i < crowd->count && !err; i++) {
		crowd_ask(r, crowd, &crowd->waiters[i], arg->va + i * arg->stride_bytes,
			  arg->flags & UMEM_SELFTEST_WRITE);
		cond_resched();
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	crowd->ns_add = ktime_get_ns() - begin;
	return err;
}

/**
 * selftest_crowd_begin() - add a crowd of waiters, UMEM_SELFTEST_CROWD
 * @r: the region
 * @crowd: where the crowd goes; must be NULL before. It may be set on failure too
 * @uarg: the caller's struct umem_selftest_crowd
 *
 * Return: 0 or -errno.
 */
long selftest_crowd_begin(struct umem_odp_region *r, struct selftest_crowd **crowd,
			  void __user *uarg)
{
	struct umem_selftest_crowd arg;
	struct selftest_crowd *new;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (*crowd)
		return -EBUSY;
	if (arg.count > UMEM_SELFTEST_CROWD_MAX)
		return -EINVAL;
	new = kvzalloc(struct_size(new, waiters, arg.count), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->count = arg.count;
	init_completion(&new->done);
	atomic_set(&new->left, 1);
	err = crowd_ask_all(r, new, &arg);
	crowd_leave(new);
	*crowd = new;
	return err;
}

/* How many were cancelled in time; the others were woken, or are just being woken. */
static u32 crowd_cancel(struct selftest_crowd *crowd)
{
	u32 i, cancelled = 0;
	bool in_time;

	for (i = 0; i < crowd->count; i++) {
		if (!crowd->waiters[i].asked)
			continue;
		local_bh_disable();
		in_time = umem_odp_fault_cancel(&crowd->waiters[i].waiter);
		local_bh_enable();
		if (in_time) {
			cancelled++;
			crowd_leave(crowd);
		}
		cond_resched();
	}
	return cancelled;
}

/**
 * selftest_crowd_end() - wait for wakes, then cancel the rest, UMEM_SELFTEST_CROWD_END
 * @crowd: the crowd; NULL afterwards, except with -EINTR
 * @uarg: the caller's struct umem_selftest_crowd_end
 *
 * Return: 0 or -errno.
 */
long selftest_crowd_end(struct selftest_crowd **crowd, void __user *uarg)
{
	struct selftest_crowd *c = *crowd;
	struct umem_selftest_crowd_end arg;
	u64 begin;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (!c)
		return -ENOENT;
	if (wait_for_completion_killable_timeout(&c->done, msecs_to_jiffies(arg.timeout_ms)) < 0)
		return -EINTR;
	begin = ktime_get_ns();
	arg.cancelled = crowd_cancel(c);
	arg.ns_cancel = ktime_get_ns() - begin;
	wait_for_completion(&c->done);
	arg.ns_add = c->ns_add;
	arg.present = c->present;
	arg.woken = atomic_read(&c->woken);
	arg.failed = atomic_read(&c->failed);
	*crowd = NULL;
	kvfree(c);
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/**
 * selftest_crowd_destroy() - free a crowd whose region is destroyed
 * @crowd: the crowd, or NULL
 *
 * The end of the region has woken those that waited.
 */
void selftest_crowd_destroy(struct selftest_crowd *crowd)
{
	if (!crowd)
		return;
	wait_for_completion(&crowd->done);
	kvfree(crowd);
}
