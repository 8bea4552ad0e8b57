// SPDX-License-Identifier: GPL-2.0
/*
 * Waiters whose page does not come at once, while no thread may wait for it: they are tried again
 * after longer and longer delays.
 */
#include <linux/jiffies.h>
#include <linux/sched.h>

#include <umem_odp/umem_odp.h>

#include "mirror.h"
#include "queue.h"

#define BACKOFF_JIFFIES		max(HZ / 100, 1)

static void queue_retry_at(struct umem_odp_queue *q, unsigned long due)
{
	unsigned long delay = time_after(due, jiffies) ? due - jiffies : 0;

	lockdep_assert_held(&q->lock);
	if (delayed_work_pending(&q->retry) && time_before_eq(q->retry_at, due))
		return;
	q->retry_at = due;
	/* The work has a reference for as long as it is queued, and puts it. */
	umem_odp_mirror_hold(umem_odp_queue_mirror(q));
	if (mod_delayed_work(umem_odp_wq, &q->retry, delay))
		umem_odp_mirror_drop_ref(umem_odp_queue_mirror(q));
}

/**
 * umem_odp_queue_retry_soon() - try to make a thread again in about 10 ms
 * @q: the queue; its lock is held
 */
void umem_odp_queue_retry_soon(struct umem_odp_queue *q)
{
	queue_retry_at(q, jiffies + BACKOFF_JIFFIES);
}

/**
 * umem_odp_queue_make_slow() - try a leader again later
 * @q: the queue; its lock is held
 * @w: the leader, on no list
 *
 * Its page does not come at once, and no thread may wait for it. Somebody else may bring the page
 * in, of which the kernel tells nobody: so it is tried again, after longer and longer delays.
 */
void umem_odp_queue_make_slow(struct umem_odp_queue *q, struct umem_odp_waiter *w)
{
	unsigned int i = min_t(unsigned int, w->tries, UMEM_ODP_BACKOFFS - 1);

	lockdep_assert_held(&q->lock);
	w->tries = i + 1;
	w->due = jiffies + (BACKOFF_JIFFIES << i);
	list_add_tail(&w->node, &q->slow[i]);
	queue_retry_at(q, w->due);
}

/* Makes those ready that are due. Returns false if there may be more. */
static bool queue_retry_due(struct umem_odp_queue *q)
{
	unsigned int budget = UMEM_ODP_QUEUE_BATCH, i;
	struct umem_odp_waiter *w;

	guard(spinlock_bh)(&q->lock);
	/* All in one list have the same delay, so the first is due first. */
	for (i = 0; i < UMEM_ODP_BACKOFFS; i++) {
		while ((w = list_first_entry_or_null(&q->slow[i], struct umem_odp_waiter, node))) {
			if (time_before(jiffies, w->due)) {
				queue_retry_at(q, w->due);
				break;
			}
			if (!budget--)
				return false;
			list_move_tail(&w->node, &q->again);
		}
	}
	umem_odp_queue_call_thread(q);
	return true;
}

/**
 * umem_odp_queue_retry_work() - make those ready that are due
 * @work: the queue's retry
 */
void umem_odp_queue_retry_work(struct work_struct *work)
{
	struct umem_odp_queue *q = container_of(to_delayed_work(work), struct umem_odp_queue,
						retry);

	while (!queue_retry_due(q))
		cond_resched();
	umem_odp_mirror_drop_ref(umem_odp_queue_mirror(q));
}
