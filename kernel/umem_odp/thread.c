// SPDX-License-Identifier: GPL-2.0
/*
 * Fault threads: each works for one mirror. They are made when faults are ready and none is idle,
 * and end when they have had nothing to do for a while, or when the mirror is of no use any more.
 *
 * They are threads of our own, not kworkers, because a page fault may last for ever and only a
 * signal ends it, and kworkers get none; and kernel threads, not threads of the process
 * (vhost_task), because a process cannot exit before its last thread, and some page faults do not
 * end even with a signal.
 *
 * A thread joins the cgroups of the process, so that it and its CPU time are counted there, and it
 * runs on the CPUs of the process's cpuset: the first time that it has nothing to do or has to
 * wait, since joining can take a grace period of RCU. The kernel counts a thread that joins in
 * pids.current and does not refuse it: pids.max limits what the process itself can still make, and
 * the number of threads of a mm has a bound of its own.
 *
 * A thread is asked for in softirq, where none can be made, so a work item makes it.
 */
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "thread.h"

#define IDLE_JIFFIES	(10 * HZ)

/* How many were made; each completes thread_gone once, as its last step. */
static atomic_t nr_made = ATOMIC_INIT(0);
static DECLARE_COMPLETION(thread_gone);

#ifdef CONFIG_MEMCG
static struct task_struct *thread_owner_get(struct mm_struct *mm)
{
	struct task_struct *owner;

	guard(rcu)();
	owner = rcu_dereference(mm->owner);
	if (owner)
		get_task_struct(owner);
	return owner;
}
#else
static struct task_struct *thread_owner_get(struct mm_struct *mm)
{
	return NULL;
}
#endif

/**
 * umem_odp_thread_join_owner() - put the current thread where its owner is accounted
 * @pass: of the current thread
 *
 * Once for a thread. If the owner moves to other cgroups later, the thread does not follow; if it
 * cannot join, it stays where it is.
 *
 * Context: May sleep, no lock held.
 */
void umem_odp_thread_join_owner(struct umem_odp_pass *pass)
{
	struct task_struct *owner;

	might_sleep();
	if (pass->joined)
		return;
	pass->joined = true;
	owner = thread_owner_get(pass->mirror->mm);
	if (!owner)
		return;
	if (!(READ_ONCE(owner->flags) & PF_EXITING))
		cgroup_attach_task_all(owner, current);
	put_task_struct(owner);
}

/* For an idle thread: has it work, or is it to end? */
static bool thread_idle_ends(struct umem_odp_pass *pass, bool *work)
{
	struct umem_odp_queue *q = &pass->mirror->queue;

	guard(spinlock_bh)(&q->lock);
	/* Not counted as idle here: umem_odp_queue_take() may call one more thread. */
	q->nr_idle--;
	*work = umem_odp_queue_take(q, pass);
	if (*work)
		return true;
	if (umem_odp_mirror_is_kept(pass->mirror)) {
		q->nr_idle++;
		return false;
	}
	q->nr_threads--;
	return true;
}

/* Waits until the pass has work. Returns false if the thread is to end. */
static bool thread_wait_for_work(struct umem_odp_pass *pass)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	bool work;

	scoped_guard(spinlock_bh, &q->lock) {
		if (umem_odp_queue_take(q, pass))
			return true;
	}
	umem_odp_thread_join_owner(pass);

	scoped_guard(spinlock_bh, &q->lock)
		q->nr_idle++;
	if (wait_event_idle_exclusive_timeout(q->wait, thread_idle_ends(pass, &work),
					      IDLE_JIFFIES)) {
		/*
		 * umem_odp_queue_take() may have called one more thread, and woken this one, which
		 * was still on q->wait: call again.
		 */
		guard(spinlock_bh)(&q->lock);
		umem_odp_queue_call_thread(q);
		return work;
	}

	/* Idle too long. Work that became ready at this moment is taken, and not lost. */
	guard(spinlock_bh)(&q->lock);
	q->nr_idle--;
	if (umem_odp_queue_take(q, pass))
		return true;
	q->nr_threads--;
	return false;
}

static int umem_odp_fault_thread(void *data)
{
	struct umem_odp_pass *pass = data;

	/* Ends a page fault, not the thread. Only the kernel can send it. */
	allow_kernel_signal(SIGKILL);
	scoped_guard(spinlock_bh, &pass->mirror->queue.lock)
		pass->mirror->queue.growing = false;
	while (thread_wait_for_work(pass))
		umem_odp_queue_run(pass);

	umem_odp_mirror_drop_ref(pass->mirror);
	kfree(pass);
	kthread_complete_and_exit(&thread_gone, 0);
}

static int thread_make(struct umem_odp_mirror *m)
{
	struct umem_odp_pass *pass;
	struct task_struct *task;

	pass = kzalloc_obj(*pass, GFP_KERNEL);
	if (!pass)
		return -ENOMEM;
	pass->mirror = m;
	INIT_LIST_HEAD(&pass->window.node);
	task = kthread_create(umem_odp_fault_thread, pass, "umem_odp_fault");
	if (IS_ERR(task)) {
		/* Whatever it is, it may succeed later, as with -ENOMEM. */
		kfree(pass);
		return -ENOMEM;
	}
	pass->task = task;
	atomic_inc(&nr_made);
	wake_up_process(task);
	return 0;
}

/**
 * umem_odp_thread_grow_work() - make a thread
 * @work: the queue's grow
 *
 * Its reference to the mirror becomes the thread's.
 */
void umem_odp_thread_grow_work(struct work_struct *work)
{
	struct umem_odp_queue *q = container_of(work, struct umem_odp_queue, grow);
	struct umem_odp_mirror *m = container_of(q, struct umem_odp_mirror, queue);
	int err;

	err = thread_make(m);
	if (!err)
		return;
	umem_odp_queue_no_thread(q, err);
	umem_odp_mirror_drop_ref(m);
}

/**
 * umem_odp_thread_wait_for_all() - wait until all threads have ended, when no region is left
 */
void umem_odp_thread_wait_for_all(void)
{
	int nr;

	for (nr = atomic_read(&nr_made); nr; nr--)
		wait_for_completion(&thread_gone);
}
