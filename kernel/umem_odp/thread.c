// SPDX-License-Identifier: GPL-2.0
/*
 * Fault threads: a pool that grows when an owner needs one and none is idle, and shrinks when they
 * have had nothing to do for a while.
 *
 * They are threads of our own, not kworkers, because a page fault may last for ever and only a
 * signal ends it, and kworkers get none. There is no bound on the pool: each owner has a bound of
 * its own (queue.c), so what a process can occupy does not grow with what others want, and nobody
 * waits behind somebody else's stuck page.
 *
 * A thread is asked for in softirq, where none can be made: if too few are idle a work item makes
 * one. If that fails the owner's waiters are told -ENOMEM, unless a thread is at work for it
 * already.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "owner.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "thread.h"

#define IDLE_JIFFIES	(10 * HZ)

static void grow(struct work_struct *work);

/*
 * lock protects called, nr_called, nr_idle and stopping, and is taken inside of owner->lock.
 * Threads that are just being made count as idle. Each thread completes gone once, as its last
 * step.
 */
static struct {
	spinlock_t lock;	/* the next four */
	struct list_head called;
	unsigned int nr_called;
	unsigned int nr_idle;
	bool stopping;
	struct wait_queue_head wait;
	struct work_struct grow;
	unsigned int nr_made;
	struct completion gone;
} pool = {
	.lock = __SPIN_LOCK_UNLOCKED(pool.lock),
	.called = LIST_HEAD_INIT(pool.called),
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(pool.wait),
	.grow = __WORK_INITIALIZER(pool.grow, grow),
	.gone = COMPLETION_INITIALIZER(pool.gone),
};

static struct umem_odp_owner *pop(void)
{
	struct umem_odp_owner *owner;

	lockdep_assert_held(&pool.lock);
	owner = list_first_entry_or_null(&pool.called, struct umem_odp_owner, pool_node);
	if (owner) {
		list_del_init(&owner->pool_node);
		pool.nr_called--;
	}
	return owner;
}

/* For an idle thread: is there an owner, or an end? If so it is idle no more. */
static bool idle_ends(struct umem_odp_owner **owner)
{
	guard(spinlock_bh)(&pool.lock);
	*owner = pop();
	if (!*owner && !pool.stopping)
		return false;
	pool.nr_idle--;
	return true;
}

static struct umem_odp_owner *next_owner(void)
{
	struct umem_odp_owner *owner;

	if (wait_event_idle_exclusive_timeout(pool.wait, idle_ends(&owner), IDLE_JIFFIES))
		return owner;

	/* Too long idle. A call that came this moment is not lost. */
	guard(spinlock_bh)(&pool.lock);
	pool.nr_idle--;
	return pop();
}

static int thread(void *data)
{
	struct umem_odp_pass *pass = data;
	struct umem_odp_owner *owner;

	/* Fatal to page faults, not to the thread. User space cannot send it. */
	allow_kernel_signal(SIGKILL);
	pass->task = current;
	while ((owner = next_owner())) {
		umem_odp_queue_serve(owner, pass);
		umem_odp_owner_put(owner);
		scoped_guard(spinlock_bh, &pool.lock)
			pool.nr_idle++;
	}
	kfree(pass);
	kthread_complete_and_exit(&pool.gone, 0);
}

static int make(void)
{
	struct umem_odp_pass *pass;
	struct task_struct *task;

	pass = kzalloc_obj(*pass, GFP_KERNEL);
	if (!pass)
		return -ENOMEM;
	task = kthread_run(thread, pass, "umem_odp_fault");
	if (IS_ERR(task)) {
		kfree(pass);
		return PTR_ERR(task);
	}
	return 0;
}

static bool must_grow(void)
{
	guard(spinlock_bh)(&pool.lock);
	if (pool.nr_idle >= pool.nr_called)
		return false;
	pool.nr_idle++;
	pool.nr_made++;
	return true;
}

static void grow(struct work_struct *work)
{
	struct umem_odp_owner *owner;

	while (must_grow()) {
		if (!make())
			continue;
		scoped_guard(spinlock_bh, &pool.lock) {
			pool.nr_idle--;
			pool.nr_made--;
			owner = pop();
		}
		if (owner) {
			umem_odp_queue_fail(owner, -ENOMEM);
			umem_odp_owner_put(owner);
		}
	}
}

/**
 * umem_odp_thread_call() - have a thread come to an owner
 * @owner: the owner, not called already; owner->lock is held
 */
void umem_odp_thread_call(struct umem_odp_owner *owner)
{
	lockdep_assert_held(&owner->lock);
	refcount_inc(&owner->refs);
	scoped_guard(spinlock, &pool.lock) {
		list_add_tail(&owner->pool_node, &pool.called);
		if (++pool.nr_called > pool.nr_idle)
			queue_work(umem_odp_wq, &pool.grow);
	}
	wake_up(&pool.wait);
}

/**
 * umem_odp_thread_end_all() - end all threads, when no region is left
 */
void umem_odp_thread_end_all(void)
{
	cancel_work_sync(&pool.grow);
	scoped_guard(spinlock_bh, &pool.lock)
		pool.stopping = true;
	wake_up_all(&pool.wait);
	while (pool.nr_made--)
		wait_for_completion(&pool.gone);
}
