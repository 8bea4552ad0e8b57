// SPDX-License-Identifier: GPL-2.0
/*
 * The passes' side of a queue: which waiter a pass is made of, whom it serves, whether it may
 * wait. The states are explained in queue.c.
 */
#include <linux/sched/signal.h>

#include "hook.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "user.h"
#include "waiters.h"

/* So many passes of one mm may wait for pages, and so many for file systems. */
#define MM_BLOCKED_MAX	7
/* Of these so many may be passes that prefetches began: the rest is left for faults. */
#define MM_BLOCKED_PREFETCH_MAX	3

/* A pass goes through at most so many leaves for its leader's span. */
#define PASS_LEAVES_MAX	8

static bool pass_has_page(const struct umem_odp_pass *pass, u64 page)
{
	return pass->next <= page && page < pass->end;
}

static bool pass_covers(const struct umem_odp_pass *pass, const struct umem_odp_waiter *w)
{
	if (pass->stopped || !pass_has_page(pass, umem_odp_waiter_page(w)))
		return false;
	/* While a write fault waits for a page, that may be readable: no reader waits for it. */
	return pass->write == w->write || (pass->write && !pass->blocked);
}

/**
 * umem_odp_queue_find_pass() - find a pass at work that may serve a waiter
 * @q: the queue; its lock is held
 * @w: the waiter
 *
 * Return: the pass, or NULL.
 */
struct umem_odp_pass *umem_odp_queue_find_pass(struct umem_odp_queue *q,
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

/**
 * umem_odp_queue_stop_if_unwanted() - stop a pass if nobody waits for it any more
 * @pass: the pass, listed; its queue's lock is held
 */
void umem_odp_queue_stop_if_unwanted(struct umem_odp_pass *pass)
{
	lockdep_assert_held(&pass->mirror->queue.lock);
	if (pass->leader || !list_empty(&pass->inside) || pass->stopped)
		return;
	pass->stopped = true;
	send_sig(SIGKILL, pass->task, 1);
}

/**
 * umem_odp_queue_stop_ahead() - stop a pass that brings in what nobody waits for
 * @q: the queue; its lock is held
 */
void umem_odp_queue_stop_ahead(struct umem_odp_queue *q)
{
	struct umem_odp_pass *pass;

	lockdep_assert_held(&q->lock);
	list_for_each_entry(pass, &q->passes, node) {
		if (!pass->ahead)
			continue;
		umem_odp_queue_stop_if_unwanted(pass);
		if (pass->stopped)
			return;
	}
}

/*
 * How far to look for mapped pages: as the region's streams say, within the leaf and the region. A
 * prefetch looks at what it was asked for alone.
 */
static u64 pass_look_end(struct umem_odp_pass *pass)
{
	u64 last = pass->next | (UMEM_ODP_LEAF_BYTES - 1), end;

	lockdep_assert_held(&pass->mirror->queue.lock);
	if (!pass->region || pass->prefetch)
		return pass->wanted_end;
	end = umem_odp_streams_begin(&pass->region->streams, pass->next);
	end = min(end, min_t(u64, last, pass->region->node.last) + 1);
	return max(end, pass->wanted_end);
}

/* 0 if the region does not cover the whole block; node.last is the last byte of a page. */
static u64 pass_block_start(struct umem_odp_pass *pass)
{
	u64 start = pass->next & ~(u64)(UMEM_ODP_BLOCK_BYTES - 1);

	lockdep_assert_held(&pass->mirror->queue.lock);
	if (!pass->region || pass->prefetch || start < pass->region->node.start ||
	    pass->region->node.last - start < UMEM_ODP_BLOCK_BYTES - 1)
		return 0;
	return start;
}

/* The pass works on the pages from @page to the end of its leaf, or to span_end if that is less. */
static void pass_begin_leaf(struct umem_odp_pass *pass, u64 page)
{
	lockdep_assert_held(&pass->mirror->queue.lock);
	pass->next = page;
	pass->end = min(pass->span_end, umem_odp_leaf_end(page));
	pass->wanted_end = pass->end;
	pass->look_end = pass_look_end(pass);
	pass->told = page;
	pass->block_start = pass_block_start(pass);
}

static void pass_begin(struct umem_odp_queue *q, struct umem_odp_pass *pass,
		       struct umem_odp_waiter *leader)
{
	u64 end = PAGE_ALIGN(leader->va + leader->len_bytes), page = umem_odp_waiter_page(leader);
	/* A prefetch asks for each leaf itself. */
	u64 leaves = leader->prefetch ? 1 : PASS_LEAVES_MAX;

	lockdep_assert_held(&q->lock);
	list_del_init(&leader->node);
	leader->pass = pass;
	pass->leader = leader;
	/* umem_odp_queue_close() has been through the passes already if closed is set. */
	pass->region = leader->region->closed ? NULL : leader->region;
	pass->write = leader->write;
	pass->prefetch = leader->prefetch;
	pass->ahead = false;
	pass->span_end = min(end, umem_odp_leaf_end(page) + (leaves - 1) * UMEM_ODP_LEAF_BYTES);
	pass_begin_leaf(pass, page);
	pass->stopped = false;
	pass->blocked = false;
	INIT_LIST_HEAD(&pass->inside);
	INIT_LIST_HEAD(&pass->served);
	list_add(&pass->node, &q->passes);
}

/*
 * The leader to be taken next. Every other time it is the one that came last, so that a new one,
 * whose page may be at hand, does not wait for a long list; and those that were slow have every
 * fourth turn.
 */
static struct umem_odp_waiter *queue_next_ready(struct umem_odp_queue *q)
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
	while ((w = queue_next_ready(q))) {
		other = umem_odp_queue_find_pass(q, w);
		if (!other) {
			pass_begin(q, pass, w);
			umem_odp_queue_call_thread(q);
			return true;
		}
		list_move_tail(&w->node, &other->inside);
	}
	return false;
}

/* Returns false if there may be more of them. */
static bool queue_serve_some(struct umem_odp_pass *pass, u64 start, u64 end)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	unsigned int budget = UMEM_ODP_QUEUE_BATCH;
	struct umem_odp_waiter *w, *next;

	guard(spinlock_bh)(&q->lock);
	for (w = umem_odp_waiters_first(q, start); w && umem_odp_waiter_page(w) < end; w = next) {
		struct umem_odp_pass *other = w->pass;

		next = umem_odp_waiters_next(w);
		if (w->write && !pass->write)
			continue;
		if (!umem_odp_queue_claim_group(q, w, &pass->served, &budget))
			return false;
		if (other && other != pass)
			umem_odp_queue_stop_if_unwanted(other);
	}
	return true;
}

static void serve_count(struct umem_odp_pass *pass, unsigned int put_in)
{
	struct umem_odp_counters *c = &pass->region->counters;

	lockdep_assert_held(&pass->mirror->queue.lock);
	umem_odp_count(pass->prefetch ? &c->prefetched_pages : &c->fault_pages, put_in);
}

/*
 * A pass without waiters is stopped when another pass finds its next page present: most likely the
 * access has overtaken it, and it would bring pages in after the access has ended. If that guess is
 * wrong, those pages cost another fault.
 */
static void serve_stop_overtaken(const struct umem_odp_pass *pass, u64 start, u64 end)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	struct umem_odp_pass *other;

	lockdep_assert_held(&q->lock);
	list_for_each_entry(other, &q->passes, node) {
		if (other != pass && start <= other->next && other->next < end &&
		    (pass->write || !other->write))
			umem_odp_queue_stop_if_unwanted(other);
	}
}

/**
 * umem_odp_queue_serve() - claim the waiters of pages that are present now
 * @pass: the pass that has found or put them in
 * @start: the first page
 * @end: behind the last
 * @put_in: how many of them the pass has put in
 */
void umem_odp_queue_serve(struct umem_odp_pass *pass, u64 start, u64 end, unsigned int put_in)
{
	struct umem_odp_queue *q = &pass->mirror->queue;

	scoped_guard(spinlock_bh, &q->lock) {
		if (start <= pass->next && pass->next < end)
			pass->next = end;
		if (pass->region)
			serve_count(pass, put_in);
	}
	while (!queue_serve_some(pass, start, end))
		cond_resched();
	/* After that: leaders inside of other passes have been served, so these may be unwanted. */
	scoped_guard(spinlock_bh, &q->lock)
		serve_stop_overtaken(pass, start, end);
}

static void serve_tell_stream(struct umem_odp_pass *pass)
{
	guard(spinlock_bh)(&pass->mirror->queue.lock);
	if (pass->next == pass->told || !pass->region || pass->prefetch)
		return;
	umem_odp_streams_went(&pass->region->streams, pass->told, pass->next,
			      pass->next >= pass->look_end);
	pass->told = pass->next;
}

/**
 * umem_odp_queue_wake_served() - wake those who were served
 * @pass: the pass, listed, or one that only looks
 *
 * Context: No lock held.
 */
void umem_odp_queue_wake_served(struct umem_odp_pass *pass)
{
	/* First, since a waiter that is woken may ask for the next page at once. */
	serve_tell_stream(pass);
	umem_odp_queue_wake(&pass->mirror->queue, &pass->served, 0);
}

/* A fault that joined a prefetch waits as a fault does. */
static unsigned int pass_blocked_max(const struct umem_odp_pass *pass)
{
	lockdep_assert_held(&pass->mirror->queue.lock);
	if (pass->prefetch && (!pass->leader || list_empty(&pass->leader->followers)))
		return MM_BLOCKED_PREFETCH_MAX;
	return MM_BLOCKED_MAX;
}

/**
 * umem_odp_queue_block() - the pass is going to wait for its next page
 * @pass: the pass
 * @wait: for what
 *
 * Leaders inside, which wait for other pages, become ready. The module cannot be removed meanwhile.
 *
 * Return: false if the pass may not wait: too many of the mm or of the user do, nobody wants it any
 * more, or the module goes.
 */
bool umem_odp_queue_block(struct umem_odp_pass *pass, enum umem_odp_wait wait)
{
	struct umem_odp_queue *q = &pass->mirror->queue;

	guard(spinlock_bh)(&q->lock);
	/* With a file system it may go on for pages that its region will ask for next. */
	if (pass->stopped ||
	    !(pass->leader || (pass->region && wait == UMEM_ODP_WAIT_FILE_SYSTEM)))
		return false;
	if (q->nr_blocked[wait] >= pass_blocked_max(pass) || !umem_odp_user_block(q->user, wait))
		return false;
	q->nr_blocked[wait]++;
	pass->blocked = true;
	pass->end = pass->next + PAGE_SIZE;
	list_splice_init(&pass->inside, &q->ready);
	umem_odp_queue_call_thread(q);
	return true;
}

/* One pass fewer waits, so one slow leader may be allowed to wait now: it is tried again. */
static void queue_ready_one_slow(struct umem_odp_queue *q)
{
	struct umem_odp_waiter *w;
	unsigned int i;

	lockdep_assert_held(&q->lock);
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
	umem_odp_user_unblock(q->user, wait);
	q->nr_blocked[wait]--;
	pass->blocked = false;
	pass->end = pass->wanted_end;
	queue_ready_one_slow(q);
	umem_odp_queue_call_thread(q);
}

static bool queue_has_pass_at(struct umem_odp_queue *q, u64 page)
{
	struct umem_odp_pass *pass;

	lockdep_assert_held(&q->lock);
	list_for_each_entry(pass, &q->passes, node) {
		if (pass_has_page(pass, page))
			return true;
	}
	return false;
}

/*
 * A pass that has come to the end of its leaf goes on behind it for the rest of what its leader
 * asked for, so that an access which goes through the first leaf meanwhile finds the next one
 * present. Nobody waits for that: so it begins a leaf only while no leader is ready, is stopped
 * when another one needs its thread (umem_odp_queue_call_thread()), and does not wait for pages.
 * Returns false if the pass is to end.
 */
static bool pass_go_on(struct umem_odp_queue *q, struct umem_odp_pass *pass)
{
	lockdep_assert_held(&q->lock);
	if (pass->stopped || !pass->region || pass->next < pass->end ||
	    pass->end >= pass->span_end || queue_has_pass_at(q, pass->end) ||
	    !list_empty(&q->ready) || !list_empty(&q->again))
		return false;
	pass->ahead = true;
	pass_begin_leaf(pass, pass->end);
	return true;
}

/*
 * Decides by @err what becomes of the leader, and unlists the pass unless it @goes_on. Returns
 * false if more waiters of that page have yet to be claimed to fail: call it again.
 */
static bool pass_end(struct umem_odp_pass *pass, int err, struct list_head *failed, bool *goes_on)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	unsigned int budget = UMEM_ODP_QUEUE_BATCH;
	struct umem_odp_waiter *leader;

	guard(spinlock_bh)(&q->lock);
	leader = pass->leader;
	if (leader && err == UMEM_ODP_PASS_LATER)
		umem_odp_queue_make_slow(q, leader);
	else if (leader && (!err || err == -EINTR))
		list_add(&leader->node, &q->ready);
	else if (leader && !umem_odp_queue_claim_group(q, leader, failed, &budget))
		return false;
	if (pass->leader) {
		pass->leader->pass = NULL;
		pass->leader = NULL;
	}
	if (pass->region)
		umem_odp_count(&pass->region->counters.retries, pass->retries);
	list_splice_init(&pass->inside, &q->ready);
	*goes_on = !err && pass_go_on(q, pass);
	if (*goes_on)
		return true;
	list_del(&pass->node);
	flush_signals(current);
	return true;
}

/* Returns whether it is to be run again, for its next leaf. */
static bool pass_run_leaf(struct umem_odp_pass *pass)
{
	struct umem_odp_queue *q = &pass->mirror->queue;
	struct umem_odp_waiter *w;
	LIST_HEAD(failed);
	bool goes_on;
	int err;

	err = umem_odp_pass_run(pass);
	while (!pass_end(pass, err, &failed, &goes_on))
		cond_resched();
	list_for_each_entry(w, &failed, node)
		w->refusal = pass->refusal;
	umem_odp_queue_wake(q, &pass->served, 0);
	umem_odp_queue_wake(q, &failed, err);
	return goes_on;
}

/**
 * umem_odp_queue_run() - run a pass, and wake who was waiting for it
 * @pass: the pass, taken
 *
 * Context: A fault thread. May last for ever; ends with SIGKILL, if the kernel allows it.
 */
void umem_odp_queue_run(struct umem_odp_pass *pass)
{
	while (pass_run_leaf(pass)) {
		umem_odp_hook(UMEM_ODP_WENT_AHEAD, pass->mirror);
		cond_resched();
	}
}
