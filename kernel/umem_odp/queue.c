// SPDX-License-Identifier: GPL-2.0
/*
 * The queue of a mirror: who waits for which page, and which passes are at work.
 *
 * A waiter that leads (waiters.c) is in one of these states, under queue->lock:
 *
 *	ready		a thread is to take it (again: after it was slow)
 *	inside		its page lies in the window of a pass at work, which may serve it
 *	taken		it leads a pass, which begins with its page
 *	slow		its page does not come at once, and too many wait already; tried again later
 *
 * and any waiter is claimed in the end: waiting is false, and it belongs to the thread that will
 * call its wake(), soon, without a wait for any page in between. Cancelling is too late then.
 *
 * All of this state is in struct umem_odp_waiter, which the caller provides: asking for a fault
 * allocates nothing, so it cannot fail in softirq.
 *
 * A pass serves whoever waits for a page that it has put in: readers, and if it works for writing
 * writers too. A leader that was inside and was not served gets a pass that begins with its own
 * page. So an error, or a page that never comes, concerns only those who asked for that very page:
 *
 *	pass A, pages 0 to 511			page 7, inside
 *	----------------------			--------------
 *	page 0 does not come at once
 *	queue->lock
 *	 blocked: the window is page 0 alone
 *	 page 7 is ready			another thread takes it
 *	unlock
 *	waits for page 0 for ever		page 7 is put in
 *
 * Stopping. A pass that nobody waits for any more is stopped by a signal: it may hang in a page
 * fault for ever. The signal is sent under queue->lock while the pass is listed, and the thread
 * discards signals under the same lock when it has unlisted it: a signal never hits a later pass.
 * A pass that was stopped before it blocks does not block. One that has gone ahead of its leader
 * waits for nothing, so it goes on unless its region closes or others need its thread.
 *
 * The end of a region. busy counts waiters until their wake() has returned. The thread lowers it,
 * and wakes umem_odp_region_destroy(), under queue->lock, and does not touch the region after that.
 * A pass does not keep a region: closing one clears the region of its passes under queue->lock.
 */
#include <linux/ktime.h>

#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "thread.h"
#include "trace.h"
#include "user.h"
#include "waiters.h"

/**
 * umem_odp_queue_init() - make a queue
 * @q: the queue
 * @user: whose it is; the reference is taken over
 */
void umem_odp_queue_init(struct umem_odp_queue *q, struct umem_odp_user *user)
{
	unsigned int i;

	spin_lock_init(&q->lock);
	q->waiting = RB_ROOT;
	INIT_LIST_HEAD(&q->ready);
	INIT_LIST_HEAD(&q->again);
	for (i = 0; i < UMEM_ODP_BACKOFFS; i++)
		INIT_LIST_HEAD(&q->slow[i]);
	INIT_DELAYED_WORK(&q->retry, umem_odp_queue_retry_work);
	INIT_LIST_HEAD(&q->passes);
	init_waitqueue_head(&q->wait);
	INIT_WORK(&q->grow, umem_odp_thread_grow_work);
	q->user = user;
}

/**
 * umem_odp_queue_destroy() - undo umem_odp_queue_init(), when nobody waits and no thread is left
 * @q: the queue
 */
void umem_odp_queue_destroy(struct umem_odp_queue *q)
{
	umem_odp_user_put(q->user);
}

/**
 * umem_odp_queue_call_thread() - wake or make a thread, if leaders are ready
 * @q: the queue; its lock is held
 *
 * If there may be no more threads, a pass that brings in what nobody waits for is stopped.
 */
void umem_odp_queue_call_thread(struct umem_odp_queue *q)
{
	unsigned int blocked = q->nr_blocked[UMEM_ODP_WAIT_PAGE] +
			       q->nr_blocked[UMEM_ODP_WAIT_FILE_SYSTEM];

	lockdep_assert_held(&q->lock);
	if (list_empty(&q->ready) && list_empty(&q->again))
		return;
	if (q->nr_idle) {
		wake_up(&q->wait);
		return;
	}
	if (q->growing)
		return;
	if (q->nr_threads - blocked >= UMEM_ODP_ACTIVE_THREADS) {
		umem_odp_queue_stop_ahead(q);
		return;
	}
	q->growing = true;
	q->nr_threads++;
	umem_odp_mirror_hold(umem_odp_queue_mirror(q));
	queue_work(umem_odp_wq, &q->grow);
}

static void queue_put_busy(struct umem_odp_region *r)
{
	lockdep_assert_held(&r->mirror->queue.lock);
	if (!--r->busy)
		wake_up_all(&r->idle);
}

static void queue_claim(struct umem_odp_queue *q, struct umem_odp_waiter *w,
			struct list_head *claimed)
{
	lockdep_assert_held(&q->lock);
	umem_odp_waiters_remove(q, w);
	w->waiting = false;
	list_add_tail(&w->node, claimed);
}

/**
 * umem_odp_queue_claim_group() - claim a leader and those who follow it
 * @q: the queue; its lock is held
 * @leader: the leader
 * @claimed: where they go
 * @budget: how many may be claimed at most; lowered
 *
 * Return: true if all were; else the leader is left.
 */
bool umem_odp_queue_claim_group(struct umem_odp_queue *q, struct umem_odp_waiter *leader,
				struct list_head *claimed, unsigned int *budget)
{
	struct umem_odp_waiter *w, *next;

	lockdep_assert_held(&q->lock);
	list_for_each_entry_safe(w, next, &leader->followers, node) {
		if (!*budget)
			return false;
		--*budget;
		queue_claim(q, w, claimed);
	}
	if (!*budget)
		return false;
	--*budget;
	queue_claim(q, leader, claimed);
	return true;
}

static unsigned int queue_fault_class(u64 ns)
{
	unsigned int class = 0;
	u64 bound = 10 * NSEC_PER_USEC;

	while (class < UMEM_ODP_FAULT_CLASSES - 1 && ns >= bound) {
		bound *= 10;
		class++;
	}
	return class;
}

static void queue_measure_fault(struct umem_odp_region *r, struct umem_odp_waiter *w)
{
	u64 ns = ktime_get_ns() - w->start_ns, avg = r->avg_fault_ns;

	lockdep_assert_held(&r->mirror->queue.lock);
	w->fault_ns = ns;
	if (w->prefetch)
		return;
	r->faults_by_time[queue_fault_class(ns)]++;
	r->last_fault_ns = ns;
	if (ns > r->worst_fault_ns) {
		r->worst_fault_ns = ns;
		r->worst_fault_va = w->va;
	}
	WRITE_ONCE(r->avg_fault_ns, avg ? avg - avg / 8 + ns / 8 : ns);
}

/**
 * umem_odp_queue_wake() - wake waiters that were claimed
 * @q: the queue
 * @claimed: the waiters; empty afterwards
 * @err: what their wake() is given
 *
 * Context: Process context, no lock held. A waiter is its user's again when its wake() is called.
 */
void umem_odp_queue_wake(struct umem_odp_queue *q, struct list_head *claimed, int err)
{
	struct umem_odp_waiter *w, *next;

	list_for_each_entry_safe(w, next, claimed, node) {
		struct umem_odp_region *r = w->region;

		scoped_guard(spinlock_bh, &q->lock)
			queue_measure_fault(r, w);
		if (err && !w->prefetch)
			umem_odp_count(&r->counters.failed_faults, 1);
		trace_umem_odp_wake(umem_odp_queue_mirror(q), w, err);
		w->wake(w, err);
		scoped_guard(spinlock_bh, &q->lock)
			queue_put_busy(r);
	}
	INIT_LIST_HEAD(claimed);
}

static void queue_count_fault(const struct umem_odp_waiter *w, atomic64_t *counter)
{
	if (!w->prefetch)
		umem_odp_count(counter, 1);
}

/**
 * umem_odp_queue_add() - let a waiter wait
 * @w: the waiter, with region, span and mode set
 *
 * Context: Any context up to softirq.
 * Return: -EINPROGRESS, -ESHUTDOWN, or -ECANCELED if it was stopped.
 */
int umem_odp_queue_add(struct umem_odp_waiter *w)
{
	struct umem_odp_region *r = w->region;
	struct umem_odp_queue *q = &r->mirror->queue;
	struct umem_odp_pass *pass;

	w->tries = 0;
	w->start_ns = ktime_get_ns();

	guard(spinlock_bh)(&q->lock);
	if (r->closed)
		return -ESHUTDOWN;
	if (w->stopped)
		return -ECANCELED;
	r->busy++;
	w->waiting = true;
	queue_count_fault(w, &r->counters.faults);
	if (!umem_odp_waiters_add(q, w)) {
		queue_count_fault(w, &r->counters.joined_faults);
		return -EINPROGRESS;
	}
	pass = umem_odp_queue_find_pass(q, w);
	if (pass) {
		queue_count_fault(w, &r->counters.joined_faults);
		list_add_tail(&w->node, &pass->inside);
		return -EINPROGRESS;
	}
	list_add_tail(&w->node, &q->ready);
	umem_odp_queue_call_thread(q);
	return -EINPROGRESS;
}

static void queue_stop_unwanted(struct umem_odp_queue *q)
{
	struct umem_odp_pass *pass;

	lockdep_assert_held(&q->lock);
	list_for_each_entry(pass, &q->passes, node) {
		/* One gone ahead has no waiter: a cancel is no reason, its region's close is. */
		if (!pass->ahead || !pass->region)
			umem_odp_queue_stop_if_unwanted(pass);
	}
}

static bool queue_cancel_locked(struct umem_odp_queue *q, struct umem_odp_waiter *w)
{
	lockdep_assert_held(&q->lock);
	if (!w->waiting)
		return false;
	w->waiting = false;
	/* The next leader of the pass has not asked for the rest of this one's span. */
	if (w->pass)
		w->pass->span_end = w->pass->next;
	umem_odp_waiters_remove(q, w);
	queue_stop_unwanted(q);
	queue_put_busy(w->region);
	return true;
}

/**
 * umem_odp_queue_cancel() - let a waiter wait no longer
 * @w: the waiter
 *
 * Context: Any context up to softirq.
 * Return: true if it had not been claimed.
 */
bool umem_odp_queue_cancel(struct umem_odp_waiter *w)
{
	struct umem_odp_queue *q = &w->region->mirror->queue;

	guard(spinlock_bh)(&q->lock);
	return queue_cancel_locked(q, w);
}

/**
 * umem_odp_queue_stop() - let a waiter wait no longer, nor again
 * @w: the waiter, which its wake() may be about to add again
 *
 * Context: Any context up to softirq.
 * Return: true if it had not been claimed.
 */
bool umem_odp_queue_stop(struct umem_odp_waiter *w)
{
	struct umem_odp_queue *q = &w->region->mirror->queue;

	guard(spinlock_bh)(&q->lock);
	w->stopped = true;
	return queue_cancel_locked(q, w);
}

/**
 * umem_odp_queue_close() - take no more waiters for a region, and send away those who wait
 * @r: the region
 *
 * Context: Process context, no lock held.
 */
void umem_odp_queue_close(struct umem_odp_region *r)
{
	struct umem_odp_queue *q = &r->mirror->queue;
	struct umem_odp_waiter *w, *next;
	struct umem_odp_pass *pass;
	unsigned int budget;
	LIST_HEAD(claimed);
	bool more;

	do {
		budget = UMEM_ODP_QUEUE_BATCH;
		scoped_guard(spinlock_bh, &q->lock) {
			WRITE_ONCE(r->closed, true);
			list_for_each_entry_safe(w, next, &r->waiters, region_node) {
				if (!budget--)
					break;
				queue_claim(q, w, &claimed);
			}
			list_for_each_entry(pass, &q->passes, node) {
				if (pass->region == r)
					pass->region = NULL;
			}
			queue_stop_unwanted(q);
			more = !list_empty(&r->waiters);
		}
		umem_odp_queue_wake(q, &claimed, -ESHUTDOWN);
	} while (more);
}

/**
 * umem_odp_queue_is_idle() - has every waiter of a region been woken
 * @r: the region
 *
 * Return: true if so; once it is closed, that stays so.
 */
bool umem_odp_queue_is_idle(struct umem_odp_region *r)
{
	guard(spinlock_bh)(&r->mirror->queue.lock);
	return !r->busy;
}

/**
 * umem_odp_queue_no_thread() - no thread can be had
 * @q: the queue
 * @err: why
 *
 * If there is no thread at all, all waiters are woken with @err. Otherwise they are left to the
 * other threads, and making one is tried again soon, since those may wait for their own pages for
 * ever.
 */
void umem_odp_queue_no_thread(struct umem_odp_queue *q, int err)
{
	struct umem_odp_waiter *w;
	bool none;

	scoped_guard(spinlock_bh, &q->lock) {
		q->growing = false;
		none = !--q->nr_threads;
		if (!none)
			umem_odp_queue_retry_soon(q);
	}
	while (none) {
		unsigned int budget = UMEM_ODP_QUEUE_BATCH;
		LIST_HEAD(claimed);

		scoped_guard(spinlock_bh, &q->lock) {
			/* Another was made meanwhile, or nobody waits any more. */
			none = !q->nr_threads && (w = umem_odp_waiters_first(q, 0));
			if (none)
				umem_odp_queue_claim_group(q, w, &claimed, &budget);
		}
		umem_odp_queue_wake(q, &claimed, err);
	}
}

/**
 * umem_odp_queue_end_idle() - have idle threads end, since the mirror is of no use any more
 * @q: the queue
 *
 * Context: Any context up to softirq.
 */
void umem_odp_queue_end_idle(struct umem_odp_queue *q)
{
	wake_up_all(&q->wait);
}
