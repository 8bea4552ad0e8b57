// SPDX-License-Identifier: GPL-2.0
/*
 * Posts that need no doorbell.
 *
 * A process rings the doorbell after a post, by a system call, unless the requester or a polling
 * thread is going to look at the queue anyhow. Whether one is, is told by the promise, a word of
 * the send queue's header that the process reads after it has posted (<rdma/rxe_odp-abi.h>). The
 * kernel only writes it: a process that writes it as well harms itself alone.
 *
 * The requester promises while it runs or is told to run, and when it stops with requests that it
 * has not sent: what holds it up (a full window, a page, an RNR timer, a queue of this host, SQD,
 * the batches of a flush) runs it again when that ends, and what is posted meanwhile is behind
 * those requests. Where it ran dry instead (rxo_swqe_posted()) nothing will run it: it withdraws
 * the promise and looks once more:
 *
 *	requester, sq.lock held			process
 *	-----------------------			-------
 *	nothing more is posted
 *						producer index = p
 *	promise = 0				full barrier
 *	smp_mb()				promise?
 *	producer index?
 *
 * One of the two sees the other: the requester finds p and runs again, or the process finds 0 and
 * rings. The process's barrier is that of the provider's post, and of anything else that leaves a
 * doorbell out. tests/unit/promise.c goes through all interleavings.
 *
 * Made only for contexts that know of promises (RXE_ODP_CAP_PROMISE).
 *
 * There is no promise before RTS, where a doorbell answers that nothing may be sent. A reset
 * withdraws it before it empties the ring, by the same rule: a post that still saw the promise is
 * dropped with the others.
 */
#include <rdma/rxe_odp-abi.h>

#include "queue/queue.h"
#include "transport/qp.h"

static void promise_set(struct rxo_sq *sq, u32 promise)
{
	lockdep_assert_held(&sq->lock);
	WRITE_ONCE(sq->promise, promise);
	rxo_queue_promise(sq->queue, promise);
}

static bool promise_has_unsent(struct rxo_qp *qp)
{
	return qp->sq.cur < qp->sq.copied || rxo_swqe_posted(qp);
}

void rxo_promise_make(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	if (!(sq->promise & RXE_ODP_PROMISE_ENGINE) &&
	    rxo_qp_state(qp) >= IB_QPS_RTS && promise_has_unsent(qp))
		promise_set(sq, sq->promise | RXE_ODP_PROMISE_ENGINE);
	sq->ran_dry = false;
}

bool rxo_promise_review(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;
	bool ran_dry = sq->ran_dry;

	lockdep_assert_held(&sq->lock);
	if (!(sq->promise & RXE_ODP_PROMISE_ENGINE))
		return false;
	/* If it ran dry, this was posted since. Else something holds it up. */
	if (promise_has_unsent(qp))
		return ran_dry;
	promise_set(sq, sq->promise & ~RXE_ODP_PROMISE_ENGINE);
	smp_mb();	/* pairs with the process's barrier, drawn above */
	if (!promise_has_unsent(qp))
		return false;
	promise_set(sq, sq->promise | RXE_ODP_PROMISE_ENGINE);
	return true;
}

/* The polling thread is awake. True: something was posted that nobody but it looks at. */
bool rxo_promise_poll(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	if (rxo_qp_state(qp) < IB_QPS_RTS)
		return false;
	if (!(sq->promise & RXE_ODP_PROMISE_POLLER))
		promise_set(sq, sq->promise | RXE_ODP_PROMISE_POLLER);
	return !(sq->promise & RXE_ODP_PROMISE_ENGINE) && promise_has_unsent(qp);
}

/* The polling thread is about to sleep. Returns what rxo_promise_poll() does. */
bool rxo_promise_poll_ends(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	if (!(sq->promise & RXE_ODP_PROMISE_POLLER))
		return false;
	promise_set(sq, sq->promise & ~RXE_ODP_PROMISE_POLLER);
	smp_mb();	/* pairs with the process's barrier, drawn in poll.c */
	return !(sq->promise & RXE_ODP_PROMISE_ENGINE) && promise_has_unsent(qp);
}

/* The QP is in RESET, and its ring about to be emptied. Under sq.lock. */
void rxo_promise_withdraw(struct rxo_qp *qp)
{
	promise_set(&qp->sq, 0);
	smp_mb();	/* pairs with the process's barrier, drawn above */
}
