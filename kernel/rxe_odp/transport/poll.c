// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that polls the send queues of a context, if the process asks for it when it opens the
 * device (io_uring's SQPOLL is the model). While it is awake the queues promise that it looks at
 * them (promise.c), and posts need no system call.
 *
 * When nobody has posted for the time that the owner named, the thread withdraws the promises,
 * looks at each queue once more, and sleeps. The doorbell that is then rung runs the requester as
 * ever, and wakes the thread:
 *
 *	thread					process, then its doorbell
 *	------					--------------------------
 *	called = false
 *	with each queue, sq.lock held:
 *						producer index = p
 *	  promise = 0				full barrier
 *	  smp_mb()				promise? 0: rings
 *	  producer index?			takes sq.lock, runs the requester
 *	sleeps unless called			called = true, wakes
 *
 * Either the thread sees p and stays awake, or the process sees 0; then its doorbell has sq.lock
 * behind the thread, and sets called behind the thread's false.
 *
 * Whoever can open a device can have a thread, as with io_uring: it does nothing that the process
 * could not do itself by ringing in a loop. It joins the cgroups of the process, takes on its nice
 * value and its CPUs, and packets are sent in its time. A user has no more threads on a device than
 * there are CPUs. The thread has no mm and holds nothing but its context, which waits for it:
 *
 * 1. ib_core has destroyed all objects of the context: no queue is left, and no doorbell, so nobody
 *    wakes the thread any more.
 * 2. kthread_stop() waits until it has ended. It waits for nothing but locks of queues.
 *
 * A queue pair leaves the list before it is destroyed, under the lock that the thread holds in a
 * round: behind that the thread does not know it. An administrator may kill the thread: it
 * withdraws all promises and ends, and the context goes on by doorbells.
 */
#include <linux/bottom_half.h>
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <rdma/rxe_odp-abi.h>

#include "queue/ctx.h"
#include "queue/queue.h"
#include "transport/qp.h"

/* Protects polls: the contexts that have a thread. */
static DEFINE_MUTEX(polls_lock);
static LIST_HEAD(polls);

/* What a new thread is given: on the stack of the process, which waits for @joined. */
struct poll_birth {
	struct rxo_ucontext *uctx;
	struct task_struct *owner;
	struct completion joined;
	int err;
};

/* Without the lock: what is missed or wrong now is seen in the next round. */
static bool poll_needs_lock(const struct rxo_sq *sq)
{
	u32 promise = READ_ONCE(sq->promise);

	if (!(promise & RXE_ODP_PROMISE_POLLER))
		return true;
	return !(promise & RXE_ODP_PROMISE_ENGINE) &&
	       READ_ONCE(sq->copied) < rxo_queue_count(sq->queue);
}

/* True if something was posted since the last round. */
static bool poll_qp(struct rxo_ctx_poll *poll, struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	u32 posted = READ_ONCE(sq->queue->buf->producer_index);
	bool active = posted != qp->polled_index;

	lockdep_assert_held(&poll->lock);	/* protects polled_index */
	qp->polled_index = posted;
	if (rxo_qp_state(qp) < IB_QPS_RTS || !poll_needs_lock(sq))
		return active;
	spin_lock_bh(&sq->lock);
	if (rxo_promise_poll(qp))
		rxo_req_kick(qp);
	spin_unlock_bh(&sq->lock);
	return active;
}

static bool poll_all(struct rxo_ctx_poll *poll)
{
	struct rxo_qp *qp;
	bool active = false;

	guard(mutex)(&poll->lock);
	list_for_each_entry(qp, &poll->qps, poll_node) {
		active |= poll_qp(poll, qp);
		cond_resched_tasks_rcu_qs();
	}
	return active;
}

/* True if nothing was posted meanwhile. */
static bool poll_withdraw_all(struct rxo_ctx_poll *poll)
{
	bool idle = true;
	struct rxo_qp *qp;

	guard(mutex)(&poll->lock);
	list_for_each_entry(qp, &poll->qps, poll_node) {
		spin_lock_bh(&qp->sq.lock);
		if (rxo_promise_poll_ends(qp)) {
			rxo_req_kick(qp);
			idle = false;
		}
		spin_unlock_bh(&qp->sq.lock);
		cond_resched();
	}
	return idle;
}

static bool poll_ends(void)
{
	return kthread_should_stop() || signal_pending(current);
}

static void poll_sleep(struct rxo_ctx_poll *poll)
{
	WRITE_ONCE(poll->called, false);
	if (poll_withdraw_all(poll))
		wait_event_interruptible(poll->wait,
					 READ_ONCE(poll->called) || kthread_should_stop());
}

/* Joins the owner's cgroups, and takes on its nice value and the CPUs that it may use. */
static int poll_join_owner(struct task_struct *owner)
{
	int err = cgroup_attach_task_all(owner, current);

	if (err)
		return err;
	set_user_nice(current, task_nice(owner));
	return set_cpus_allowed_ptr(current, owner->cpus_ptr);
}

static int rxe_odp_poll_thread(void *data)
{
	struct poll_birth *birth = data;
	struct rxo_ctx_poll *poll = &birth->uctx->poll;
	u64 active_ns = ktime_get_ns();
	int err;

	allow_signal(SIGKILL);
	err = poll_join_owner(birth->owner);
	birth->err = err;
	complete(&birth->joined);	/* @birth is gone from here on */
	while (!err && !poll_ends()) {
		/* Runs pending softirqs: ksoftirqd would have to wait for this busy thread. */
		local_bh_disable();
		local_bh_enable();
		if (poll_all(poll)) {
			active_ns = ktime_get_ns();
		} else if (ktime_get_ns() - active_ns > poll->idle_ns) {
			poll_sleep(poll);
			active_ns = ktime_get_ns();
		}
		cond_resched_tasks_rcu_qs();
	}
	poll_withdraw_all(poll);
	return 0;
}

static int poll_start(struct rxo_ucontext *uctx)
{
	struct poll_birth birth = {
		.uctx = uctx,
		.owner = current,
		.joined = COMPLETION_INITIALIZER_ONSTACK(birth.joined),
	};
	struct task_struct *task = kthread_create(rxe_odp_poll_thread, &birth, "rxe_odp_poll");

	if (IS_ERR(task))
		return PTR_ERR(task);
	/* For kthread_stop(): the thread may be killed, and have ended before. */
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&birth.joined);
	if (birth.err) {
		kthread_stop_put(task);
		return birth.err;
	}
	uctx->poll.task = task;
	return 0;
}

/* Enters the context among those of its user on its device, if there is room for one more. */
static bool poll_enter(struct rxo_ucontext *uctx)
{
	const struct rxo_ctx_poll *other;
	unsigned int nr = 0;

	guard(mutex)(&polls_lock);
	list_for_each_entry(other, &polls, node)
		nr += other->device == uctx->poll.device && uid_eq(other->uid, uctx->poll.uid);
	if (nr >= num_online_cpus())
		return false;
	list_add(&uctx->poll.node, &polls);
	return true;
}

static void poll_leave(struct rxo_ucontext *uctx)
{
	guard(mutex)(&polls_lock);
	list_del(&uctx->poll.node);
}

/*
 * rxo_poll_begin - start the thread of a new context, if it asked for one
 *
 * -EAGAIN if its user has as many as there may be, or what the making of threads returns.
 */
int rxo_poll_begin(struct rxo_ucontext *uctx)
{
	struct rxo_ctx_poll *poll = &uctx->poll;
	int err;

	if (!poll->idle_ns)
		return 0;
	mutex_init(&poll->lock);
	INIT_LIST_HEAD(&poll->qps);
	init_waitqueue_head(&poll->wait);
	poll->device = uctx->ibuc.device;
	poll->uid = current_uid();
	if (!poll_enter(uctx))
		return -EAGAIN;
	err = poll_start(uctx);
	if (err)
		poll_leave(uctx);
	return err;
}

/* Ends the thread of a context; the stages are in the comment at the top. */
void rxo_poll_end(struct rxo_ucontext *uctx)
{
	if (!uctx->poll.task)
		return;
	WARN_ON_ONCE(!list_empty(&uctx->poll.qps));
	kthread_stop_put(uctx->poll.task);
	poll_leave(uctx);
}

static struct rxo_ctx_poll *poll_of(const struct rxo_qp *qp)
{
	struct rxo_ucontext *uctx = qp->sq.queue ? qp->sq.queue->uctx : NULL;

	return uctx && uctx->poll.task ? &uctx->poll : NULL;
}

void rxo_poll_add(struct rxo_qp *qp)
{
	struct rxo_ctx_poll *poll = poll_of(qp);

	if (!poll)
		return;
	guard(mutex)(&poll->lock);
	list_add_tail(&qp->poll_node, &poll->qps);
}

void rxo_poll_remove(struct rxo_qp *qp)
{
	struct rxo_ctx_poll *poll = poll_of(qp);

	if (!poll)
		return;
	guard(mutex)(&poll->lock);
	list_del(&qp->poll_node);
}

/* A doorbell rang: wakes the polling thread, which then promises to look again. */
void rxo_poll_call(const struct rxo_qp *qp)
{
	struct rxo_ctx_poll *poll = poll_of(qp);

	if (!poll || READ_ONCE(poll->called))
		return;
	WRITE_ONCE(poll->called, true);
	wake_up(&poll->wait);
}
