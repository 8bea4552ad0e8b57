// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for a page, without a thread that waits.
 *
 * An engine that misses asks umem_odp for the span and returns; its context
 * goes on with other work. The fault thread calls wait_page_came(), which takes
 * the lock, calls done(), and drops the references. The request is made
 * under the lock, so that a wake which comes before the request has returned
 * finds @pending set and waits its turn:
 *
 *	engine (lock held)			fault thread
 *	------------------			------------
 *	pending = true
 *	rxo_mr_fault_async()
 *						wait_page_came()
 *						  lock		(waits)
 *	unlock
 *						  pending = false
 *						  done(): engine runs on
 */

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/wait_bit.h>

#include "memory/mw.h"
#include "transport/qp.h"

/* Of all packets that wait for a page, or behind another. No socket or cgroup is charged. */
static atomic_long_t held_bytes;

static void wait_uncharge(struct sk_buff *skb)
{
	atomic_long_sub(skb->truesize, &held_bytes);
}

static bool wait_charge(struct sk_buff *skb)
{
	long max_bytes = totalram_pages() / 64 * PAGE_SIZE;

	if (atomic_long_add_return(skb->truesize, &held_bytes) > max_bytes) {
		wait_uncharge(skb);
		return false;
	}
	skb->destructor = wait_uncharge;
	return true;
}

/* The struct rxo_tx of the same direction, for its counters. */
static struct rxo_tx *wait_tx(const struct rxo_wait *wait)
{
	struct rxo_qp *qp = wait->qp;

	return wait->lock == &qp->sq.lock ? &qp->sq.tx : &qp->rq.tx;
}

/*
 * rxo_wait_hold - put a packet behind those that are to be executed
 * @wait: of this direction
 * @held: where it goes
 * @skb: orphaned; consumed if it cannot be held
 *
 * Under the direction's lock. Returns false for a packet that is dropped: too
 * many are held here, or too much memory (1/64 of all) by faults anywhere.
 */
bool rxo_wait_hold(struct rxo_wait *wait, struct sk_buff_head *held, struct sk_buff *skb)
{
	struct rxo_tx *tx = wait_tx(wait);
	bool waits = wait->pending || !skb_queue_empty(held);

	lockdep_assert_held(wait->lock);
	if (skb_queue_len(held) >= RXO_HOLD_PKTS || (waits && !wait_charge(skb))) {
		rxo_tx_count(tx, RXO_STAT_RCV_DROPPED, 1);
		kfree_skb(skb);
		return false;
	}
	if (wait->pending)
		rxo_tx_count(tx, RXO_STAT_FAULT_HELD_PKTS, 1);
	rxo_pkt(skb)->done_bytes = 0;
	__skb_queue_tail(held, skb);
	return true;
}

/*
 * rxo_wait_charge_first - account for the first held packet, when the direction begins to wait
 * @wait: of this direction
 * @held: its first packet is charged, unless it was when it came (it had to wait for others)
 *
 * Under the direction's lock. Beyond the bound it is not charged, and held all the same: each
 * direction may hold one.
 */
void rxo_wait_charge_first(struct rxo_wait *wait, struct sk_buff_head *held)
{
	struct sk_buff *skb = skb_peek(held);

	lockdep_assert_held(wait->lock);
	if (skb && !skb->destructor)
		wait_charge(skb);
}

static void wait_clear(struct rxo_wait *wait)
{
	lockdep_assert_held(wait->lock);
	WRITE_ONCE(wait->pending, false);
}

static void wait_put_refs(struct rxo_wait *wait, struct rxo_mr *mr)
{
	struct rxo_qp *qp = wait->qp;

	smp_mb();	/* pending is cleared before waiters are looked for: see wake_up_var() */
	wake_up_var(&wait->pending);
	rxo_mr_put(mr);
	rxo_qp_put(qp);
}

/*
 * rxo_fault_is_final - whether done()'s error says that the memory will never be there
 *
 * After any other error the caller runs the engine again.
 */
bool rxo_fault_is_final(int err)
{
	return err && err != -EAGAIN && err != -ENOMEM && err != -EBUSY;
}

static void wait_page_came(struct umem_odp_waiter *waiter, int err)
{
	struct rxo_wait *wait = container_of(waiter, struct rxo_wait, waiter);
	struct rxo_mr *mr;

	spin_lock_bh(wait->lock);
	mr = wait->mr;
	wait_clear(wait);
	if (rxo_fault_is_final(err))
		wait->failed = err;
	wait->done(wait->qp, err);
	spin_unlock_bh(wait->lock);
	/*
	 * done() may have begun another fault with this rxo_wait, which has references
	 * of its own; these are the old ones.
	 */
	wait_put_refs(wait, mr);
}

static void wait_later_work(struct work_struct *work)
{
	struct rxo_wait *wait = container_of(to_delayed_work(work), struct rxo_wait, later);

	queue_work(rxo_wq, wait->work);
}

void rxo_wait_init(struct rxo_wait *wait, struct rxo_qp *qp, spinlock_t *lock,
		   struct work_struct *work, void (*done)(struct rxo_qp *qp, int err))
{
	wait->qp = qp;
	wait->lock = lock;
	wait->work = work;
	wait->done = done;
	wait->pending = false;
	INIT_DELAYED_WORK(&wait->later, wait_later_work);
}

/*
 * rxo_wait_fault - ask for the pages of a miss
 * @wait: of this direction, not pending
 * @miss: its reference to the region is taken over
 * @write: whether they will be written
 *
 * Under the direction's lock. Returns 0 (they are there: try again),
 * -EAGAIN (done() will be called), or why they never will be.
 */
int rxo_wait_fault(struct rxo_wait *wait, struct rxo_miss *miss, bool write)
{
	int err;

	lockdep_assert_held(wait->lock);
	if (WARN_ON_ONCE(wait->pending)) {
		rxo_mr_put(miss->mr);
		return -EBUSY;
	}
	wait->waiter.wake = wait_page_came;
	wait->iova = miss->iova;
	wait->key = miss->mr->key;
	rxo_mw_to_region(&miss->mr, &miss->iova);
	wait->mr = miss->mr;
	wait->failed = 0;
	wait->start_ns = ktime_get_ns();
	WRITE_ONCE(wait->pending, true);
	rxo_qp_hold(wait->qp);

	err = rxo_mr_fault_async(miss->mr, miss->iova, miss->length_bytes, write, &wait->waiter);
	if (err == -EINPROGRESS) {
		rxo_tx_count(wait_tx(wait), RXO_STAT_ODP_FAULTS, 1);
		return -EAGAIN;
	}
	wait_clear(wait);
	wait_put_refs(wait, miss->mr);
	if (rxo_fault_is_final(err))
		wait->failed = err;
	else if (err)
		err = rxo_wait_again(wait, err);
	return err;
}

/*
 * rxo_wait_again - let the work item run the engine again
 *
 * For an access that missed twice although its pages are present: each time an invalidation of
 * other pages was waiting for their leaf, but none was when rxo_mr_fault_async() looked in between.
 * Nothing spins here until the leaf is left alone.
 *
 * Memory that could not be had (@err is
 * -ENOMEM) gets a jiffy to come, and so does a page that was always taken again
 * before it could be put in (-EBUSY). Returns -EAGAIN.
 */
int rxo_wait_again(struct rxo_wait *wait, int err)
{
	lockdep_assert_held(wait->lock);
	if (err == -ENOMEM || err == -EBUSY)
		queue_delayed_work(rxo_wq, &wait->later, 1);
	else
		queue_work(rxo_wq, wait->work);
	return -EAGAIN;
}

/*
 * rxo_wait_copy - rxo_sg_copy() that asks for what is missing
 *
 * Under the direction's lock. 0, -EAGAIN (the engine will be run again), or
 * the errno of the copy or of a fault that failed for good. While another fault
 * is under way, what is missing is asked for after its end.
 */
int rxo_wait_copy(struct rxo_wait *wait, const struct rxo_sg *sg, void *buf, u32 bytes,
		  bool to_mem, u32 *done)
{
	struct rxo_miss miss;
	int tries, err;

	for (tries = 0; tries < 2; tries++) {
		err = rxo_sg_copy(sg, buf, bytes, to_mem, done, &miss);
		if (err != -EAGAIN)
			return err;
		if (wait->pending) {
			rxo_mr_put(miss.mr);
			return -EAGAIN;
		}
		err = rxo_wait_fault(wait, &miss, to_mem);
		if (err)
			return err;
	}
	return rxo_wait_again(wait, -EAGAIN);
}

/*
 * rxo_wait_cancel - wait no longer: the direction is in error, and starts no fault any more
 *
 * Under the direction's lock; does not wait. A page may never come: until then
 * the fault would keep a thread, and this a reference to the MR and the QP. If
 * the wake is already on its way, done() is called and finds the QP in error.
 */
void rxo_wait_cancel(struct rxo_wait *wait)
{
	lockdep_assert_held(wait->lock);
	if (!wait->pending || !umem_odp_fault_cancel(&wait->waiter))
		return;
	wait_clear(wait);
	/* Not the QP's last reference: the caller holds one, or keeps the QP alive. */
	wait_put_refs(wait, wait->mr);
}

/*
 * Ends a wait, by cancelling it or by seeing its wake through. May sleep, no
 * locks; the engine no longer starts any (the state is RESET).
 */
void rxo_wait_stop(struct rxo_wait *wait)
{
	spin_lock_bh(wait->lock);
	rxo_wait_cancel(wait);
	spin_unlock_bh(wait->lock);
	wait_var_event(&wait->pending, !READ_ONCE(wait->pending));
	/* wait_page_came() clears it first: let its done() end, which may queue work. */
	spin_lock_bh(wait->lock);
	spin_unlock_bh(wait->lock);
	cancel_delayed_work_sync(&wait->later);
}
