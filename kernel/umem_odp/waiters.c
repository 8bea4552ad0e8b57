// SPDX-License-Identifier: GPL-2.0
/*
 * Waiters by the page and the mode, reading or writing, that they wait for.
 *
 * The first for a page and a mode leads: it stands in the tree, in one of the queue's lists or
 * with a pass. Those who come later follow it, in a list of its own, and are served with it. When
 * the leader leaves, its first follower takes its place everywhere. So each step costs O(log n),
 * however many wait, and whether for one page or for many.
 *
 * All under queue->lock.
 */
#include "pass.h"
#include "region.h"
#include "waiters.h"

static u64 waiter_key(const struct umem_odp_waiter *w)
{
	return umem_odp_waiter_page(w) | w->write;
}

static struct umem_odp_waiter *to_waiter(struct rb_node *rb)
{
	return rb_entry_safe(rb, struct umem_odp_waiter, rb);
}

/**
 * umem_odp_waiters_add() - add a waiter
 * @q: the queue
 * @w: the waiter, with region, span and mode set
 *
 * Return: true if it leads, and is to be put on one of the queue's lists.
 */
bool umem_odp_waiters_add(struct umem_odp_queue *q, struct umem_odp_waiter *w)
{
	struct rb_node **link = &q->waiting.rb_node, *parent = NULL;
	struct umem_odp_waiter *at;

	lockdep_assert_held(&q->lock);
	list_add_tail(&w->region_node, &w->region->waiters);
	INIT_LIST_HEAD(&w->followers);
	INIT_LIST_HEAD(&w->node);
	w->pass = NULL;
	while (*link) {
		parent = *link;
		at = to_waiter(parent);
		if (waiter_key(w) == waiter_key(at)) {
			w->leads = false;
			list_add_tail(&w->node, &at->followers);
			return false;
		}
		link = waiter_key(w) < waiter_key(at) ? &parent->rb_left : &parent->rb_right;
	}
	w->leads = true;
	rb_link_node(&w->rb, parent, link);
	rb_insert_color(&w->rb, &q->waiting);
	return true;
}

static void waiter_hand_over(struct umem_odp_queue *q, struct umem_odp_waiter *w,
			     struct umem_odp_waiter *heir)
{
	list_del_init(&heir->node);
	if (!list_empty(&w->node))
		list_replace_init(&w->node, &heir->node);
	list_splice_init(&w->followers, &heir->followers);
	rb_replace_node(&w->rb, &heir->rb, &q->waiting);
	heir->leads = true;
	heir->tries = w->tries;
	heir->due = w->due;
	heir->pass = w->pass;
	if (heir->pass)
		heir->pass->leader = heir;
}

/**
 * umem_odp_waiters_remove() - remove a waiter
 * @q: the queue
 * @w: the waiter; its node is not in any list afterwards
 *
 * A pass that it led, and that has no other leader now, has none.
 */
void umem_odp_waiters_remove(struct umem_odp_queue *q, struct umem_odp_waiter *w)
{
	struct umem_odp_waiter *heir;

	lockdep_assert_held(&q->lock);
	list_del(&w->region_node);
	if (!w->leads) {
		list_del_init(&w->node);
		return;
	}
	heir = list_first_entry_or_null(&w->followers, struct umem_odp_waiter, node);
	if (heir) {
		waiter_hand_over(q, w, heir);
		return;
	}
	rb_erase(&w->rb, &q->waiting);
	list_del_init(&w->node);
	if (w->pass)
		w->pass->leader = NULL;
}

/**
 * umem_odp_waiters_first() - find the first leader from a page on
 * @q: the queue
 * @page: address of the page
 *
 * Return: the leader with the lowest page at or behind @page, a reader before a writer; or NULL.
 */
struct umem_odp_waiter *umem_odp_waiters_first(struct umem_odp_queue *q, u64 page)
{
	struct rb_node *rb = q->waiting.rb_node, *found = NULL;

	lockdep_assert_held(&q->lock);
	while (rb) {
		if (waiter_key(to_waiter(rb)) >= page) {
			found = rb;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return to_waiter(found);
}

/**
 * umem_odp_waiters_next() - the next leader
 * @w: a leader
 *
 * Return: the one that follows it in the order of umem_odp_waiters_first(), or NULL.
 */
struct umem_odp_waiter *umem_odp_waiters_next(struct umem_odp_waiter *w)
{
	return to_waiter(rb_next(&w->rb));
}
