// SPDX-License-Identifier: GPL-2.0
/*
 * Prefetches of on-demand regions.
 *
 * A prefetch goes through its spans by itself: umem_odp's threads bring pages in and call back, so
 * nobody waits on a workqueue of the device, for however long a page takes. A caller may wait for
 * its end, until the caller is killed or the device goes. What only looks is done in the caller.
 *
 * A prefetch keeps keys and no regions: between two spans it has a reference to none, and looks the
 * next one up. So a deregistration finds at most one that waits, and wakes it:
 *
 *	dereg_mr				prefetch in its region
 *	--------				----------------------
 *	key unpublished
 *	umem_odp_region_close()
 *						done(-ESHUTDOWN): puts its reference,
 *						goes on to the next span, or ends
 *	waits for the last reference
 *
 * The protection domain, and with it the context, outlive it: when the domain is deallocated all
 * its regions have gone. So a prefetch that is left waits for no page, finds no region, and ends;
 * rxo_prefetch_drain() waits for that.
 *
 * Cancelling takes the lock under which a span is begun and its end is noted: it either finds the
 * wait and takes it back, or the end of that span sees that it is cancelled.
 */
#include <linux/eventfd.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "device/ctx.h"
#include "device/dev.h"
#include "memory/mem.h"
#include "memory/prefetch.h"

/*
 * What a span names, with a reference. -ENOENT: no such key. -EPERM: another domain, or not to be
 * written. -EINVAL: a memory window. -EOPNOTSUPP: not on demand, for which each of the two kinds of
 * callers has its own errno. -EFAULT: not all of it lies in the region.
 */
static struct rxo_mr *prefetch_mr_find(struct rxo_pd *pd, const struct rxo_span *span,
				       enum rxo_prefetch_mode mode)
{
	struct rxo_mr *mr;
	int err = 0;

	mr = rxo_mr_get(pd, span->lkey, RXO_LKEY, 0, span->iova, span->length_bytes);
	if (IS_ERR(mr) && rxo_mr_is_window(pd, span->lkey))
		return ERR_PTR(-EINVAL);
	if (mr == ERR_PTR(-ERANGE))
		return ERR_PTR(-EFAULT);
	if (IS_ERR(mr))
		return mr;
	if (mr->mem->kind != RXO_MR_ODP)
		err = -EOPNOTSUPP;
	else if (mode == RXO_PREFETCH_WRITE && !mr->mem->writable)
		err = -EPERM;
	if (!err)
		return mr;
	rxo_mr_put(mr);
	return ERR_PTR(err);
}

static struct rxo_mr *prefetch_mr_get(struct rxo_pd *pd, const struct rxo_span *span,
				      enum rxo_prefetch_mode mode)
{
	struct rxo_mr *mr;

	/* As rxo_mr_get() asks of kernel users. */
	local_bh_disable();
	mr = prefetch_mr_find(pd, span, mode);
	local_bh_enable();
	return mr;
}

static u64 prefetch_va(const struct rxo_mr *mr, const struct rxo_span *span)
{
	return mr->mem->va + (span->iova - mr->iova);
}

/* A span that a deregistration ended fails as one without a key does. */
static int prefetch_errno(int err)
{
	return err == -ESHUTDOWN ? -ENOENT : err;
}

struct rxo_prefetch *rxo_prefetch_alloc(struct rxo_pd *pd, enum rxo_prefetch_mode mode,
					u32 num_spans)
{
	struct rxo_prefetch *p = kzalloc_obj(*p, GFP_KERNEL_ACCOUNT);

	if (!p)
		return ERR_PTR(-ENOMEM);
	p->spans = kvcalloc(num_spans, sizeof(*p->spans), GFP_KERNEL_ACCOUNT);
	if (!p->spans) {
		kfree(p);
		return ERR_PTR(-ENOMEM);
	}
	refcount_set(&p->refs, 1);
	mutex_init(&p->lock);
	p->pd = pd;
	p->mode = mode;
	p->num_spans = num_spans;
	if (pd->ibpd.uobject)
		p->uctx = to_rxo_ucontext(pd->ibpd.uobject->context);
	return p;
}

void rxo_prefetch_put(struct rxo_prefetch *p)
{
	if (!refcount_dec_and_test(&p->refs))
		return;
	if (p->eventfd)
		eventfd_ctx_put(p->eventfd);
	kvfree(p->spans);
	kfree(p);
}

static void prefetch_end(struct rxo_prefetch *p)
{
	struct rxo_pd *pd = p->pd;

	/* A cancel that comes now may be too late to keep the eventfd from being signalled. */
	if (p->eventfd && !READ_ONCE(p->cancelled))
		eventfd_signal(p->eventfd);
	if (p->waited_for) {
		smp_store_release(&p->ended, true);	/* pairs with prefetch_has_ended() */
		wake_up_all(&to_rxo_dev(pd->ibpd.device)->calls_wait);
	}
	if (p->uctx)
		atomic_dec(&p->uctx->prefetches);
	rxo_prefetch_put(p);
	/* The last use of the domain: wake_up_var() does not dereference the address. */
	if (atomic_dec_and_test(&pd->prefetches))
		wake_up_var(&pd->prefetches);
}

/* Sets p->mr if it answers -EINPROGRESS. */
static int prefetch_begin_span(struct rxo_prefetch *p, const struct rxo_span *span)
{
	struct rxo_mr *mr;
	int err = 0;

	lockdep_assert_held(&p->lock);
	mr = prefetch_mr_get(p->pd, span, p->mode);
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	if (span->length_bytes)
		err = umem_odp_prefetch_async(mr->mem->region, prefetch_va(mr, span),
					      span->length_bytes, p->mode == RXO_PREFETCH_WRITE,
					      &p->step);
	if (err == -EINPROGRESS)
		p->mr = mr;
	else
		rxo_mr_put(mr);
	return err;
}

static void prefetch_note(struct rxo_prefetch *p, int err)
{
	lockdep_assert_held(&p->lock);
	err = prefetch_errno(err);
	p->spans[p->at++].err = err;
	p->err = p->err ?: err;
}

static bool prefetch_goes_on(const struct rxo_prefetch *p)
{
	lockdep_assert_held(&p->lock);
	return p->at < p->num_spans && !p->cancelled && !(p->waited_for && p->err);
}

/* Goes on until there is something to wait for. */
static void prefetch_run(struct rxo_prefetch *p)
{
	bool ended;
	int err;

	refcount_inc(&p->refs);
	mutex_lock(&p->lock);
	while (prefetch_goes_on(p)) {
		err = prefetch_begin_span(p, &p->spans[p->at]);
		if (err == -EINPROGRESS)
			break;
		prefetch_note(p, err);
	}
	ended = !p->mr;
	mutex_unlock(&p->lock);
	if (ended)
		prefetch_end(p);
	rxo_prefetch_put(p);
}

static void prefetch_span_done(struct umem_odp_prefetch *step, int err)
{
	struct rxo_prefetch *p = container_of(step, struct rxo_prefetch, step);
	struct rxo_mr *mr;

	scoped_guard(mutex, &p->lock) {
		mr = p->mr;
		p->mr = NULL;
		prefetch_note(p, err);
	}
	rxo_mr_put(mr);
	prefetch_run(p);
}

static int prefetch_look_at_span(const struct rxo_prefetch *p, const struct rxo_span *span)
{
	struct rxo_mr *mr = prefetch_mr_get(p->pd, span, p->mode);
	int err = 0;

	if (IS_ERR(mr))
		return PTR_ERR(mr);
	if (span->length_bytes)
		err = umem_odp_prefetch_look(mr->mem->region, prefetch_va(mr, span),
					     span->length_bytes);
	rxo_mr_put(mr);
	return err;
}

/*
 * Looks at all spans at once, before anybody else knows of the prefetch. Not under p->lock: finding
 * pages wakes waiters, among them other prefetches, which take their lock.
 */
static void prefetch_look(struct rxo_prefetch *p)
{
	bool more = true;
	int err;

	while (more) {
		err = prefetch_look_at_span(p, &p->spans[p->at]);
		scoped_guard(mutex, &p->lock) {
			prefetch_note(p, err);
			more = prefetch_goes_on(p);
		}
	}
	prefetch_end(p);
}

int rxo_prefetch_start(struct rxo_prefetch *p)
{
	u32 i;

	/* Not counted: each takes a thread of the process, which waits. */
	if (p->waited_for)
		p->uctx = NULL;
	if (p->uctx && atomic_inc_return(&p->uctx->prefetches) > RXO_PREFETCHES_MAX) {
		atomic_dec(&p->uctx->prefetches);
		return -EAGAIN;
	}
	for (i = 0; i < p->num_spans; i++)
		p->spans[i].err = -EINPROGRESS;
	p->step.done = prefetch_span_done;
	atomic_inc(&p->pd->prefetches);
	refcount_inc(&p->refs);
	if (p->mode == RXO_PREFETCH_LOOK)
		prefetch_look(p);
	else
		prefetch_run(p);
	return 0;
}

void rxo_prefetch_cancel(struct rxo_prefetch *p)
{
	struct rxo_mr *mr = NULL;

	scoped_guard(mutex, &p->lock) {
		WRITE_ONCE(p->cancelled, true);
		/* p->mr keeps the region, to whose queue the cancelling goes. */
		if (p->mr && umem_odp_prefetch_cancel(&p->step))
			swap(mr, p->mr);
	}
	if (!mr)
		return;
	rxo_mr_put(mr);
	prefetch_end(p);
}

void rxo_prefetch_drain(struct rxo_pd *pd)
{
	wait_var_event(&pd->prefetches, !atomic_read(&pd->prefetches));
}

/* All spans are good now. Later, when their turn comes, they may not be. */
static int prefetch_check(const struct rxo_prefetch *p)
{
	struct rxo_mr *mr;
	u32 i;

	for (i = 0; i < p->num_spans; i++) {
		mr = prefetch_mr_get(p->pd, &p->spans[i], p->mode);
		if (IS_ERR(mr))
			return PTR_ERR(mr);
		rxo_mr_put(mr);
	}
	return 0;
}

static bool prefetch_has_ended(const struct rxo_prefetch *p)
{
	return smp_load_acquire(&p->ended);	/* p->err was set before */
}

/* Up to the first span that cannot be had, or until the caller is killed or the device goes. */
static int prefetch_and_wait(struct rxo_prefetch *p)
{
	struct rxo_dev *dev = to_rxo_dev(p->pd->ibpd.device);
	int err;

	p->waited_for = true;
	err = rxo_prefetch_start(p);
	if (err)
		return err;
	err = wait_event_killable(dev->calls_wait,
				  prefetch_has_ended(p) || READ_ONCE(dev->leaving));
	if (prefetch_has_ended(p))
		return p->err;
	rxo_prefetch_cancel(p);
	return err ? -EINTR : -ENODEV;
}

int rxo_prefetch_mode(u32 advice)
{
	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH:
		return RXO_PREFETCH_READ;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
		return RXO_PREFETCH_WRITE;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		return RXO_PREFETCH_LOOK;
	default:
		return -EOPNOTSUPP;
	}
}

int rxo_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice, u32 flags,
		  struct ib_sge *sg_list, u32 num_sge, struct uverbs_attr_bundle *attrs)
{
	int mode = rxo_prefetch_mode(advice), err;
	struct rxo_prefetch *p;
	u32 i;

	if (mode < 0)
		return mode;
	if (flags & ~IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		return -EINVAL;
	if (!num_sge)
		return 0;
	p = rxo_prefetch_alloc(to_rxo_pd(ibpd), mode, num_sge);
	if (IS_ERR(p))
		return PTR_ERR(p);
	for (i = 0; i < num_sge; i++) {
		p->spans[i].iova = sg_list[i].addr;
		p->spans[i].length_bytes = sg_list[i].length;
		p->spans[i].lkey = sg_list[i].lkey;
	}
	/* To look never waits, so its errors can be told. */
	if (flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH || mode == RXO_PREFETCH_LOOK)
		err = prefetch_and_wait(p);
	else
		err = prefetch_check(p) ?: rxo_prefetch_start(p);
	rxo_prefetch_put(p);
	/* -EOPNOTSUPP is prefetch_mr_find()'s: not on demand. As mlx5, for which that is no key. */
	return err == -EOPNOTSUPP ? -ENOENT : err;
}
