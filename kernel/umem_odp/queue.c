// SPDX-License-Identifier: GPL-2.0
/*
 * The queue of an owner: who waits for which page, and which passes are at work.
 *
 * A waiter is in one of these states, under owner->lock:
 *
 *	pending		in owner->pending; a thread will take it
 *	joined		in pass->waiters; its first page lies in the pass's window
 *	claimed		waiting is false; the waker's own. wake() is called soon, without
 *			waiting for any page, and cancelling is too late
 *
 * The state is in the waiter, which its user has: asking for a fault allocates nothing, so it
 * cannot fail in softirq.
 *
 * Joining. A waiter joins a pass of its region whose window has its first page, readers those that
 * read and writers those that write: what may not be written may be read. A pass makes pages
 * present up to the first that does not come at once; who joined for a later one goes back to
 * pending, and gets a pass that starts with its own page. So an error concerns those only who asked
 * for that very page, and so does a page that never comes:
 *
 *	pass A, pages 0 to 511			pass B, page 7, had joined A
 *	----------------------			----------------------------
 *	page 0 does not come at once
 *	owner->lock
 *	 blocked, the window is page 0 alone
 *	 B's waiter back to pending		another thread takes it
 *	unlock
 *	waits for page 0 for ever		page 7 is put in
 *
 * The claim. A pass claims the waiters of the pages that it is about to put in under region->lock,
 * when nothing can fail any more, then runs their touch() under leaf->lock, and wakes them when it
 * has let go of both. A cancel is either before the claim, and then touch() and wake() never run,
 * or after it, and then wake() comes soon.
 *
 * Stopping. A pass that has lost its last waiter, or whose region is closed, is stopped by a
 * signal: it may hang in a page fault for ever. The signal is sent under owner->lock while the
 * pass is listed, and the thread discards signals under the same lock when it has unlisted it: a
 * signal never hits a later pass. A pass that was stopped before it blocks does not block, and puts
 * nobody back: on a closed region nobody would stop the pass that is made of him.
 *
 * The end of a region. busy counts waiters until their wake() has returned, and passes. The thread
 * lowers it, and wakes who waits for it, under owner->lock, and touches the region no more after
 * that.
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "owner.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "thread.h"
#include "trace.h"

#define RETRY_JIFFIES	(HZ / 10)

static u64 first_page(const struct umem_odp_waiter *w)
{
	return w->va & PAGE_MASK;
}

static bool takeable(const struct umem_odp_owner *owner, const struct umem_odp_waiter *w)
{
	return !w->slow || owner->nr_blocked < UMEM_ODP_OWNER_BLOCKED;
}

static bool fits(const struct umem_odp_pass *pass, const struct umem_odp_waiter *w)
{
	return pass->region == w->region && pass->write == w->write && !pass->stopped &&
	       first_page(w) >= pass->next && first_page(w) < pass->end;
}

static void join(struct umem_odp_pass *pass, struct umem_odp_waiter *w)
{
	w->pass = pass;
	list_move_tail(&w->node, &pass->waiters);
}

/* Have one more thread come, if there is work for it and the owner may have it. */
static void call_thread(struct umem_odp_owner *owner)
{
	struct umem_odp_waiter *w;

	lockdep_assert_held(&owner->lock);
	if (owner->queued || owner->nr_threads == UMEM_ODP_OWNER_THREADS)
		return;
	list_for_each_entry(w, &owner->pending, node) {
		if (!takeable(owner, w))
			continue;
		owner->queued = true;
		umem_odp_thread_call(owner);
		return;
	}
}

static void put_busy(struct umem_odp_region *r)
{
	lockdep_assert_held(&r->owner->lock);
	if (!--r->busy)
		wake_up_all(&r->idle);
}

static void claim(struct umem_odp_waiter *w, struct list_head *claimed)
{
	lockdep_assert_held(&w->region->owner->lock);
	w->waiting = false;
	list_move_tail(&w->node, claimed);
}

/* The waiter goes back to the queue's head: it has waited once already. */
static void put_back(struct umem_odp_owner *owner, struct umem_odp_waiter *w)
{
	lockdep_assert_held(&owner->lock);
	w->pass = NULL;
	list_move(&w->node, &owner->pending);
}

/*
 * Its page does not come at once, and as many of the owner's passes wait for pages as may. It
 * waits for one of them to end, and is tried now and then: somebody else may bring the page in,
 * and the kernel tells nobody when a page comes.
 */
static void make_slow(struct umem_odp_owner *owner, struct umem_odp_waiter *w)
{
	lockdep_assert_held(&owner->lock);
	w->pass = NULL;
	w->slow = true;
	list_move_tail(&w->node, &owner->pending);
	queue_delayed_work(umem_odp_wq, &owner->retry, RETRY_JIFFIES);
}

/**
 * umem_odp_queue_retry_work() - try those again who were too many to wait for their pages, or
 *	found no thread
 * @work: the owner's retry
 */
void umem_odp_queue_retry_work(struct work_struct *work)
{
	struct umem_odp_owner *owner = container_of(to_delayed_work(work), struct umem_odp_owner,
						    retry);
	struct umem_odp_waiter *w;

	guard(spinlock_bh)(&owner->lock);
	list_for_each_entry(w, &owner->pending, node)
		w->slow = false;
	call_thread(owner);
}

static void measure(struct umem_odp_region *r, struct umem_odp_waiter *w)
{
	u64 ns = ktime_get_ns() - w->start_ns;

	lockdep_assert_held(&r->owner->lock);
	w->fault_ns = ns;
	r->last_fault_ns = ns;
	r->worst_fault_ns = max(r->worst_fault_ns, ns);
	r->avg_fault_ns = r->avg_fault_ns ? r->avg_fault_ns - r->avg_fault_ns / 8 + ns / 8 : ns;
}

/* Called without a lock. A waiter is its user's again when its wake() is called. */
static void wake_all(struct umem_odp_owner *owner, struct list_head *claimed, int err)
{
	struct umem_odp_waiter *w, *next;

	list_for_each_entry_safe(w, next, claimed, node) {
		struct umem_odp_region *r = w->region;

		spin_lock_bh(&owner->lock);
		measure(r, w);
		spin_unlock_bh(&owner->lock);
		if (err)
			umem_odp_count(&r->counters.failed_faults);
		trace_umem_odp_wake(r, w->va, err, w->fault_ns);
		w->wake(w, err);
		spin_lock_bh(&owner->lock);
		put_busy(r);
		spin_unlock_bh(&owner->lock);
	}
}

/**
 * umem_odp_queue_add() - let a waiter wait
 * @w: the waiter, with region and span set
 *
 * Return: -EINPROGRESS, or -ESHUTDOWN.
 */
int umem_odp_queue_add(struct umem_odp_waiter *w)
{
	struct umem_odp_region *r = w->region;
	struct umem_odp_owner *owner = r->owner;
	struct umem_odp_pass *pass;

	w->pass = NULL;
	w->slow = false;
	w->touched_bytes = 0;
	w->start_ns = ktime_get_ns();
	INIT_LIST_HEAD(&w->node);

	guard(spinlock_bh)(&owner->lock);
	if (r->closed)
		return -ESHUTDOWN;
	r->busy++;
	w->waiting = true;
	umem_odp_count(&r->counters.faults);
	list_for_each_entry(pass, &owner->passes, node) {
		if (fits(pass, w)) {
			umem_odp_count(&r->counters.joined_faults);
			join(pass, w);
			return -EINPROGRESS;
		}
	}
	list_add_tail(&w->node, &owner->pending);
	call_thread(owner);
	return -EINPROGRESS;
}

static void stop(struct umem_odp_pass *pass)
{
	lockdep_assert_held(&pass->region->owner->lock);
	pass->stopped = true;
	send_sig(SIGKILL, pass->task, 1);
}

/**
 * umem_odp_queue_remove() - let a waiter wait no longer
 * @w: the waiter
 *
 * Return: true if it had not been claimed.
 */
bool umem_odp_queue_remove(struct umem_odp_waiter *w)
{
	struct umem_odp_region *r = w->region;

	guard(spinlock_bh)(&r->owner->lock);
	if (!w->waiting)
		return false;
	w->waiting = false;
	list_del(&w->node);
	if (w->pass && list_empty(&w->pass->waiters))
		stop(w->pass);
	put_busy(r);
	return true;
}

/**
 * umem_odp_queue_close() - take no more waiters for a region, and send away those who wait
 * @r: the region
 */
void umem_odp_queue_close(struct umem_odp_region *r)
{
	struct umem_odp_owner *owner = r->owner;
	struct umem_odp_waiter *w, *next;
	struct umem_odp_pass *pass;
	LIST_HEAD(claimed);

	spin_lock_bh(&owner->lock);
	WRITE_ONCE(r->closed, true);
	list_for_each_entry_safe(w, next, &owner->pending, node) {
		if (w->region == r)
			claim(w, &claimed);
	}
	list_for_each_entry(pass, &owner->passes, node) {
		if (pass->region == r)
			stop(pass);
	}
	spin_unlock_bh(&owner->lock);
	wake_all(owner, &claimed, -ESHUTDOWN);
}

/**
 * umem_odp_queue_is_idle() - does anybody work on or wait for a region
 * @r: the region
 *
 * Return: true if not; once it is closed, that stays so.
 */
bool umem_odp_queue_is_idle(struct umem_odp_region *r)
{
	guard(spinlock_bh)(&r->owner->lock);
	return !r->busy;
}

/**
 * umem_odp_queue_claim() - claim the waiters of pages that are about to be put in
 * @pass: the pass
 * @next: the first page behind them
 * @claimed: where the waiters go
 */
void umem_odp_queue_claim(struct umem_odp_pass *pass, u64 next, struct list_head *claimed)
{
	struct umem_odp_waiter *w, *n;

	guard(spinlock_bh)(&pass->region->owner->lock);
	pass->next = next;
	list_for_each_entry_safe(w, n, &pass->waiters, node) {
		if (first_page(w) < next)
			claim(w, claimed);
	}
}

/**
 * umem_odp_queue_block() - the pass is going to wait for its next page
 * @pass: the pass
 *
 * Waiters for other pages wait with it no longer.
 *
 * Return: false if it may not: enough others of the owner do, it was stopped, or nobody waits for
 * that page any longer.
 */
bool umem_odp_queue_block(struct umem_odp_pass *pass)
{
	struct umem_odp_owner *owner = pass->region->owner;
	struct umem_odp_waiter *w, *next;

	guard(spinlock_bh)(&owner->lock);
	if (pass->stopped || owner->nr_blocked == UMEM_ODP_OWNER_BLOCKED)
		return false;
	pass->end = pass->next + PAGE_SIZE;
	list_for_each_entry_safe_reverse(w, next, &pass->waiters, node) {
		if (first_page(w) != pass->next)
			put_back(owner, w);
	}
	if (list_empty(&pass->waiters))
		return false;
	owner->nr_blocked++;
	call_thread(owner);
	return true;
}

/**
 * umem_odp_queue_unblock() - undo umem_odp_queue_block()
 * @pass: the pass
 */
void umem_odp_queue_unblock(struct umem_odp_pass *pass)
{
	struct umem_odp_owner *owner = pass->region->owner;

	guard(spinlock_bh)(&owner->lock);
	owner->nr_blocked--;
	pass->end = pass->wanted_end;
	/* A waiter that would have to wait may be taken now. */
	call_thread(owner);
}

/* Makes a pass of the first waiter that can be taken, and of those who can join it. */
static bool start(struct umem_odp_owner *owner, struct umem_odp_pass *pass)
{
	struct umem_odp_waiter *w, *next;
	struct umem_odp_region *r;
	u64 end;

	lockdep_assert_held(&owner->lock);
	list_for_each_entry(w, &owner->pending, node) {
		if (takeable(owner, w))
			goto found;
	}
	return false;

found:
	r = w->region;
	end = min(PAGE_ALIGN(w->va + w->len_bytes), (r->last | ~PAGE_MASK) + 1);
	pass->region = r;
	pass->write = w->write;
	pass->next = first_page(w);
	pass->end = min_t(u64, end, (w->va | (UMEM_ODP_LEAF_BYTES - 1)) + 1);
	pass->wanted_end = pass->end;
	pass->stopped = false;
	INIT_LIST_HEAD(&pass->waiters);
	INIT_LIST_HEAD(&pass->ready);
	list_add(&pass->node, &owner->passes);
	r->busy++;
	join(pass, w);
	list_for_each_entry_safe(w, next, &owner->pending, node) {
		if (fits(pass, w)) {
			umem_odp_count(&r->counters.joined_faults);
			join(pass, w);
		}
	}
	call_thread(owner);
	return true;
}

/* Does an error of the pass concern those who wait for another page than its next? */
static bool concerns_all(int err)
{
	return err == -EOWNERDEAD || err == -ESHUTDOWN;
}

/* Unlists the pass, and sorts its waiters. Returns the error for those in @failed. */
static int finish(struct umem_odp_pass *pass, int err, struct list_head *failed)
{
	struct umem_odp_region *r = pass->region;
	struct umem_odp_owner *owner = r->owner;
	struct umem_odp_waiter *w, *next;
	bool again = !err || err == -EINTR || err == UMEM_ODP_PASS_LATER;

	lockdep_assert_held(&owner->lock);
	list_del(&pass->node);
	flush_signals(current);
	if (r->closed) {
		err = -ESHUTDOWN;
		again = false;
	}
	list_for_each_entry_safe_reverse(w, next, &pass->waiters, node) {
		bool mine = first_page(w) == pass->next;

		if (mine && err == UMEM_ODP_PASS_LATER)
			make_slow(owner, w);
		else if (again || !(mine || concerns_all(err)))
			put_back(owner, w);
		else
			claim(w, failed);
	}
	return err;
}

/**
 * umem_odp_queue_serve() - work for an owner until no waiter is left that can be taken
 * @owner: the owner
 * @pass: the thread's pass, unused
 */
void umem_odp_queue_serve(struct umem_odp_owner *owner, struct umem_odp_pass *pass)
{
	int err;

	spin_lock_bh(&owner->lock);
	owner->queued = false;
	owner->nr_threads++;
	while (start(owner, pass)) {
		struct umem_odp_region *r = pass->region;
		LIST_HEAD(failed);

		spin_unlock_bh(&owner->lock);
		err = umem_odp_pass_run(pass);
		spin_lock_bh(&owner->lock);
		err = finish(pass, err, &failed);
		spin_unlock_bh(&owner->lock);
		wake_all(owner, &pass->ready, 0);
		wake_all(owner, &failed, err);
		spin_lock_bh(&owner->lock);
		put_busy(r);
	}
	owner->nr_threads--;
	spin_unlock_bh(&owner->lock);
}

/**
 * umem_odp_queue_fail() - send away who waits, because no thread can be had
 * @owner: the owner, taken from the pool's list
 * @err: why
 *
 * If a thread is at work for the owner they are left to that, and tried again soon: it may wait
 * for its own page for ever.
 */
void umem_odp_queue_fail(struct umem_odp_owner *owner, int err)
{
	struct umem_odp_waiter *w, *next;
	LIST_HEAD(claimed);

	spin_lock_bh(&owner->lock);
	owner->queued = false;
	if (!owner->nr_threads) {
		list_for_each_entry_safe(w, next, &owner->pending, node)
			claim(w, &claimed);
	} else {
		queue_delayed_work(umem_odp_wq, &owner->retry, RETRY_JIFFIES);
	}
	spin_unlock_bh(&owner->lock);
	wake_all(owner, &claimed, err);
}
