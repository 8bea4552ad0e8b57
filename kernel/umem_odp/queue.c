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
 * and any waiter is claimed in the end: waiting is false, it is the waker's own. wake() is called
 * soon, without a wait for any page in between, and cancelling is too late.
 *
 * All of it is in the waiter, which its user has: asking for a fault allocates nothing, so it
 * cannot fail in softirq.
 *
 * A pass serves whoever waits for a page that it has put in: readers, and if it works for writing
 * writers too. Who stood inside of its window and was not served gets a pass that begins with his
 * own page. So an error concerns those only who asked for that very page, and so does a page that
 * never comes:
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
 * Stopping. A pass that nobody waits for any more is stopped by a signal: it may hang in a page fault
 * for ever. The signal is sent under queue->lock while the pass is listed, and the thread discards
 * signals under the same lock when it has unlisted it: a signal never hits a later pass. A pass that
 * was stopped before it blocks does not block.
 *
 * The end of a region. busy counts waiters until their wake() has returned. The thread lowers it, and
 * wakes who waits for it, under queue->lock, and touches the region no more after that. A pass does
 * not keep a region: it is told under queue->lock when the one that it counts for closes.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "thread.h"
#include "trace.h"
#include "user.h"
#include "waiters.h"

#define BACKOFF_JIFFIES		max(HZ / 100, 1)
/* So many passes of one mm may wait for pages, and so many for file systems. */
#define BLOCKED_MAX		7

static void queue_retry_work(struct work_struct *work);

static struct umem_odp_mirror *to_mirror(struct umem_odp_queue *q)
{
	return container_of(q, struct umem_odp_mirror, queue);
}

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
	INIT_DELAYED_WORK(&q->retry, queue_retry_work);
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

static bool pass_covers(const struct umem_odp_pass *pass, const struct umem_odp_waiter *w)
{
	u64 page = umem_odp_waiter_page(w);

	return !pass->stopped && page >= pass->next && page < pass->end &&
	       (pass->write || !w->write);
}

static struct umem_odp_pass *find_pass_for(struct umem_odp_queue *q,
					   const struct umem_odp_waiter *w)
{
	struct umem_odp_pass *pass;

	lockdep_assert_held(&q->lock);
	list_for_each_entry(pass, &q->passes, node) {
		if (pass_covers(pass, w))
			return pass;
	}
	return NULL;
}

/* Have one more thread at work, if there is work for it and the mm may have it. */
static void call_thread(struct umem_odp_queue *q)
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
	if (q->growing || q->nr_threads - blocked >= UMEM_ODP_ACTIVE_THREADS)
		return;
	q->growing = true;
	q->nr_threads++;
	umem_odp_mirror_hold(to_mirror(q));
	queue_work(umem_odp_wq, &q->grow);
}

static void put_busy(struct umem_odp_region *r)
{
	lockdep_assert_held(&r->mirror->queue.lock);
	if (!--r->busy)
		wake_up_all(&r->idle);
}

static void claim(struct umem_odp_queue *q, struct umem_odp_waiter *w, struct list_head *claimed)
{
	umem_odp_waiters_remove(q, w);
	w->waiting = false;
	list_add_tail(&w->node, claimed);
}

/* A leader and all who follow it. */
static void claim_group(struct umem_odp_queue *q, struct umem_odp_waiter *leader,
			struct list_head *claimed)
{
	struct umem_odp_waiter *w, *next;

	list_for_each_entry_safe(w, next, &leader->followers, node)
		claim(q, w, claimed);
	claim(q, leader, claimed);
}

/* Does nobody wait for it any more? Then it need not go on. */
static void stop_if_unwanted(struct umem_odp_pass *pass)
{
	lockdep_assert_held(&pass->mirror->queue.lock);
	if (pass->leader || !list_empty(&pass->inside) || pass->stopped)
		return;
	pass->stopped = true;
	send_sig(SIGKILL, pass->task, 1);
}

static void measure(struct umem_odp_region *r, struct umem_odp_waiter *w)
{
	u64 ns = ktime_get_ns() - w->start_ns, avg = r->avg_fault_ns;

	lockdep_assert_held(&r->mirror->queue.lock);
	w->fault_ns = ns;
	r->last_fault_ns = ns;
	r->worst_fault_ns = max(r->worst_fault_ns, ns);
	WRITE_ONCE(r->avg_fault_ns, avg ? avg - avg / 8 + ns / 8 : ns);
}

/* Called without a lock. A waiter is its user's again when its wake() is called. */
static void wake_all(struct umem_odp_queue *q, struct list_head *claimed, int err)
{
	struct umem_odp_waiter *w, *next;

	list_for_each_entry_safe(w, next, claimed, node) {
		struct umem_odp_region *r = w->region;

		scoped_guard(spinlock_bh, &q->lock)
			measure(r, w);
		if (err)
			umem_odp_count(&r->counters.failed_faults, 1);
		trace_umem_odp_wake(to_mirror(q)->mm, w->va, err, w->fault_ns);
		w->wake(w, err);
		scoped_guard(spinlock_bh, &q->lock)
			put_busy(r);
	}
	INIT_LIST_HEAD(claimed);
}

/**
 * umem_odp_queue_add() - let a waiter wait
 * @w: the waiter, with region, span and mode set
 *
 * Context: Any context up to softirq.
 * Return: -EINPROGRESS, or -ESHUTDOWN.
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
	r->busy++;
	w->waiting = true;
	umem_odp_count(&r->counters.faults, 1);
	if (!umem_odp_waiters_add(q, w)) {
		umem_odp_count(&r->counters.joined_faults, 1);
		return -EINPROGRESS;
	}
	pass = find_pass_for(q, w);
	if (pass) {
		umem_odp_count(&r->counters.joined_faults, 1);
		list_add_tail(&w->node, &pass->inside);
		return -EINPROGRESS;
	}
	list_add_tail(&w->node, &q->ready);
	call_thread(q);
	return -EINPROGRESS;
}

static void stop_unwanted(struct umem_odp_queue *q)
{
	struct umem_odp_pass *pass;

	list_for_each_entry(pass, &q->passes, node)
		stop_if_unwanted(pass);
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
	if (!w->waiting)
		return false;
	w->waiting = false;
	umem_odp_waiters_remove(q, w);
	stop_unwanted(q);
	put_busy(w->region);
	return true;
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
	LIST_HEAD(claimed);

	scoped_guard(spinlock_bh, &q->lock) {
		WRITE_ONCE(r->closed, true);
		list_for_each_entry_safe(w, next, &r->waiters, region_node)
			claim(q, w, &claimed);
		list_for_each_entry(pass, &q->passes, node) {
			if (pass->region == r)
				pass->region = NULL;
		}
		stop_unwanted(q);
	}
	wake_all(q, &claimed, -ESHUTDOWN);
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

static void begin_pass(struct umem_odp_queue *q, struct umem_odp_pass *pass,
		       struct umem_odp_waiter *leader)
{
	u64 end = PAGE_ALIGN(leader->va + leader->len_bytes);

	list_del_init(&leader->node);
	leader->pass = pass;
	pass->leader = leader;
	pass->region = leader->region;
	pass->write = leader->write;
	pass->next = umem_odp_waiter_page(leader);
	pass->end = min_t(u64, end, (leader->va | (UMEM_ODP_LEAF_BYTES - 1)) + 1);
	pass->wanted_end = pass->end;
	pass->stopped = false;
	INIT_LIST_HEAD(&pass->inside);
	INIT_LIST_HEAD(&pass->served);
	list_add(&pass->node, &q->passes);
}

/*
 * The next to be taken. Every other time it is the last one that came, so that a newcomer, whose page
 * may be at hand, never stands behind a crowd; and those that were slow have every fourth turn.
 */
static struct umem_odp_waiter *next_ready(struct umem_odp_queue *q)
{
	unsigned int turn = q->turn++;

	lockdep_assert_held(&q->lock);
	if (list_empty(&q->ready) || (turn % 4 == 2 && !list_empty(&q->again)))
		return list_first_entry_or_null(&q->again, struct umem_odp_waiter, node);
	if (turn % 2)
		return list_last_entry(&q->ready, struct umem_odp_waiter, node);
	return list_first_entry(&q->ready, struct umem_odp_waiter, node);
}

/**
 * umem_odp_queue_take() - make a pass of the next waiter
 * @q: the queue
 * @pass: the thread's pass, unused
 *
 * Context: Process context, q->lock held.
 * Return: false if nobody is ready.
 */
bool umem_odp_queue_take(struct umem_odp_queue *q, struct umem_odp_pass *pass)
{
	struct umem_odp_pass *other;
	struct umem_odp_waiter *w;

	lockdep_assert_held(&q->lock);
	while ((w = next_ready(q))) {
		other = find_pass_for(q, w);
		if (!other) {
			begin_pass(q, pass, w);
			call_thread(q);
			return true;
		}
		list_move_tail(&w->node, &other->inside);
	}
	return false;
}

/**
 * umem_odp_queue_serve() - claim those who wait for pages that are there now
 * @pass: the pass that saw it
 * @start: the first page
 * @end: behind the last
 * @put_in: how many of them the pass has put in
 */
void umem_odp_queue_serve(struct umem_odp_pass *pass, u64 start, u64 end, unsigned int put_in)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	struct umem_odp_waiter *w, *next;

	guard(spinlock_bh)(&q->lock);
	if (start <= pass->next && pass->next < end)
		pass->next = end;
	if (pass->region)
		umem_odp_count(&pass->region->counters.fault_pages, put_in);
	for (w = umem_odp_waiters_first(q, start); w && umem_odp_waiter_page(w) < end; w = next) {
		struct umem_odp_pass *other = w->pass;

		next = umem_odp_waiters_next(w);
		if (w->write && !pass->write)
			continue;
		claim_group(q, w, &pass->served);
		if (other && other != pass)
			stop_if_unwanted(other);
	}
}

/**
 * umem_odp_queue_wake_served() - wake those who were served
 * @pass: the pass
 *
 * Context: No lock held.
 */
void umem_odp_queue_wake_served(struct umem_odp_pass *pass)
{
	wake_all(&pass->mirror->queue, &pass->served, 0);
}

/**
 * umem_odp_queue_block() - the pass is going to wait for its next page
 * @pass: the pass
 * @wait: for what
 *
 * Who waits for other pages is not held up by it. The module cannot be removed meanwhile.
 *
 * Return: false if it may not: enough others of the mm or of the user wait for such things, it was
 * stopped, or the module goes.
 */
bool umem_odp_queue_block(struct umem_odp_pass *pass, enum umem_odp_wait wait)
{
	struct umem_odp_queue *q = &pass->mirror->queue;

	guard(spinlock_bh)(&q->lock);
	if (pass->stopped || q->nr_blocked[wait] == BLOCKED_MAX)
		return false;
	if (!umem_odp_user_block(q->user))
		return false;
	q->nr_blocked[wait]++;
	pass->end = pass->next + PAGE_SIZE;
	list_splice_init(&pass->inside, &q->ready);
	call_thread(q);
	return true;
}

/* It may be that somebody who was too many can wait now. */
static void ready_one_slow(struct umem_odp_queue *q)
{
	struct umem_odp_waiter *w;
	unsigned int i;

	for (i = 0; i < UMEM_ODP_BACKOFFS; i++) {
		w = list_first_entry_or_null(&q->slow[i], struct umem_odp_waiter, node);
		if (w) {
			list_move_tail(&w->node, &q->ready);
			return;
		}
	}
}

/**
 * umem_odp_queue_unblock() - undo umem_odp_queue_block()
 * @pass: the pass
 * @wait: as it was
 */
void umem_odp_queue_unblock(struct umem_odp_pass *pass, enum umem_odp_wait wait)
{
	struct umem_odp_queue *q = &pass->mirror->queue;

	guard(spinlock_bh)(&q->lock);
	umem_odp_user_unblock(q->user);
	q->nr_blocked[wait]--;
	pass->end = pass->wanted_end;
	ready_one_slow(q);
	call_thread(q);
}

static void retry_at(struct umem_odp_queue *q, unsigned long due)
{
	unsigned long delay = time_after(due, jiffies) ? due - jiffies : 0;

	lockdep_assert_held(&q->lock);
	if (delayed_work_pending(&q->retry) && time_before_eq(q->retry_at, due))
		return;
	q->retry_at = due;
	/* The work has a reference for as long as it is queued, and puts it. */
	umem_odp_mirror_hold(to_mirror(q));
	if (mod_delayed_work(umem_odp_wq, &q->retry, delay))
		umem_odp_mirror_drop_ref(to_mirror(q));
}

/*
 * Its page does not come at once, and it may not wait. It is tried again later and later: somebody
 * else may bring the page in, and the kernel tells nobody when a page comes.
 */
static void make_slow(struct umem_odp_queue *q, struct umem_odp_waiter *w)
{
	unsigned int i = min_t(unsigned int, w->tries, UMEM_ODP_BACKOFFS - 1);

	lockdep_assert_held(&q->lock);
	w->tries = i + 1;
	w->due = jiffies + (BACKOFF_JIFFIES << i);
	list_add_tail(&w->node, &q->slow[i]);
	retry_at(q, w->due);
}

/* All in one list have the same delay, so the first is due first. */
static void queue_retry_work(struct work_struct *work)
{
	struct umem_odp_queue *q = container_of(to_delayed_work(work), struct umem_odp_queue,
						retry);
	struct umem_odp_waiter *w;
	unsigned int i;

	scoped_guard(spinlock_bh, &q->lock) {
		for (i = 0; i < UMEM_ODP_BACKOFFS; i++) {
			while ((w = list_first_entry_or_null(&q->slow[i], struct umem_odp_waiter,
							     node))) {
				if (time_before(jiffies, w->due)) {
					retry_at(q, w->due);
					break;
				}
				list_move_tail(&w->node, &q->again);
			}
		}
		call_thread(q);
	}
	umem_odp_mirror_drop_ref(to_mirror(q));
}

/* Unlists the pass, and says what becomes of its leader. */
static void end_pass(struct umem_odp_pass *pass, int err, struct list_head *failed)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	struct umem_odp_waiter *leader = pass->leader;

	lockdep_assert_held(&q->lock);
	list_del(&pass->node);
	flush_signals(current);
	if (pass->region)
		umem_odp_count(&pass->region->counters.retries, pass->rounds - 1);
	list_splice(&pass->inside, &q->ready);
	if (!leader)
		return;
	leader->pass = NULL;
	pass->leader = NULL;
	if (err == UMEM_ODP_PASS_LATER)
		make_slow(q, leader);
	else if (!err || err == -EINTR)
		list_add(&leader->node, &q->ready);
	else
		claim_group(q, leader, failed);
}

/**
 * umem_odp_queue_run() - run a pass, and wake who was waiting for it
 * @pass: the pass, taken
 *
 * Context: A fault thread. May last for ever; ends with SIGKILL, if the kernel allows it.
 */
void umem_odp_queue_run(struct umem_odp_pass *pass)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	LIST_HEAD(failed);
	int err;

	err = umem_odp_pass_run(pass);
	scoped_guard(spinlock_bh, &q->lock)
		end_pass(pass, err, &failed);
	wake_all(q, &pass->served, 0);
	wake_all(q, &failed, err);
}

/**
 * umem_odp_queue_no_thread() - no thread can be had
 * @q: the queue
 * @err: why
 *
 * Who waits is sent away, if there is no thread at all. Else they are left to the others, and it
 * is tried again soon: these may wait for their own pages for ever.
 */
void umem_odp_queue_no_thread(struct umem_odp_queue *q, int err)
{
	struct umem_odp_waiter *w;
	LIST_HEAD(claimed);

	scoped_guard(spinlock_bh, &q->lock) {
		q->growing = false;
		if (--q->nr_threads) {
			retry_at(q, jiffies + BACKOFF_JIFFIES);
		} else {
			while ((w = umem_odp_waiters_first(q, 0)))
				claim_group(q, w, &claimed);
		}
	}
	wake_all(q, &claimed, err);
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
