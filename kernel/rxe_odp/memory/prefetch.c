// SPDX-License-Identifier: GPL-2.0
/*
 * Prefetches of on-demand regions: ibv_advise_mr().
 *
 * One that is waited for runs in its caller. One that is not is a struct rxo_prefetch, which goes
 * through its spans by itself: umem_odp's threads bring pages in and call back, so nobody waits on
 * a workqueue of the device, for however long a page takes.
 *
 * It keeps keys and no regions: between two spans it has a reference to none, and looks the next
 * one up. So a deregistration finds at most one that waits, and wakes it:
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
 */
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "device/ctx.h"
#include "device/dev.h"
#include "memory/mem.h"
#include "memory/prefetch.h"

struct prefetch_span {
	u64 iova;
	u32 length_bytes;
	u32 lkey;
};

/* Belongs to whoever runs it, one after the other; the first five are immutable. */
struct rxo_prefetch {
	struct rxo_pd *pd;
	struct rxo_ucontext *uctx;	/* NULL for a kernel user */
	bool write;
	u32 num_spans;
	struct prefetch_span *spans;
	u32 at;				/* the present one */
	struct rxo_mr *mr;		/* of the present one */
	struct umem_odp_prefetch step;
};

/*
 * What a span names, with a reference. -ENOENT: no such key. -EPERM: another domain, or not to be
 * written. -EINVAL: not on demand. -EFAULT: not all of it lies in the region.
 */
static struct rxo_mr *prefetch_mr_get(struct rxo_pd *pd, const struct prefetch_span *span,
				      bool write)
{
	struct rxo_mr *mr;
	int err = 0;

	mr = rxo_mr_get(pd, span->lkey, RXO_LKEY, 0, span->iova, span->length_bytes);
	if (mr == ERR_PTR(-ERANGE))
		return ERR_PTR(-EFAULT);
	if (IS_ERR(mr))
		return mr;
	if (mr->mem->kind != RXO_MR_ODP)
		err = -EINVAL;
	else if (write && !mr->mem->writable)
		err = -EPERM;
	if (!err)
		return mr;
	rxo_mr_put(mr);
	return ERR_PTR(err);
}

static u64 prefetch_va(const struct rxo_mr *mr, const struct prefetch_span *span)
{
	return mr->mem->va + (span->iova - mr->iova);
}

static void prefetch_free(struct rxo_prefetch *p)
{
	kvfree(p->spans);
	kfree(p);
}

static void prefetch_end(struct rxo_prefetch *p)
{
	struct rxo_pd *pd = p->pd;

	if (p->uctx)
		atomic_dec(&p->uctx->prefetches);
	prefetch_free(p);
	/* The last use of the domain: what is woken by is only its address. */
	if (atomic_dec_and_test(&pd->prefetches))
		wake_up_var(&pd->prefetches);
}

static int prefetch_begin_span(struct rxo_prefetch *p, const struct prefetch_span *span)
{
	int err;

	if (!span->length_bytes)
		return 0;
	p->mr = prefetch_mr_get(p->pd, span, p->write);
	if (IS_ERR(p->mr))
		return PTR_ERR(p->mr);
	err = umem_odp_prefetch_async(p->mr->mem->region, prefetch_va(p->mr, span),
				      span->length_bytes, p->write, &p->step);
	if (err != -EINPROGRESS)
		rxo_mr_put(p->mr);
	return err;
}

/* Not touched any more once a span is under way. A span that cannot be had is left out. */
static void prefetch_run(struct rxo_prefetch *p)
{
	while (p->at < p->num_spans) {
		if (prefetch_begin_span(p, &p->spans[p->at]) == -EINPROGRESS)
			return;
		p->at++;
	}
	prefetch_end(p);
}

static void prefetch_span_done(struct umem_odp_prefetch *step, int err)
{
	struct rxo_prefetch *p = container_of(step, struct rxo_prefetch, step);

	rxo_mr_put(p->mr);
	p->at++;
	prefetch_run(p);
}

/* All spans are good now. Later, when their turn comes, they may not be. */
static int prefetch_check(struct rxo_pd *pd, const struct prefetch_span *spans, u32 num, bool write)
{
	struct rxo_mr *mr;
	u32 i;

	for (i = 0; i < num; i++) {
		mr = prefetch_mr_get(pd, &spans[i], write);
		if (IS_ERR(mr))
			return PTR_ERR(mr);
		rxo_mr_put(mr);
	}
	return 0;
}

static struct rxo_ucontext *prefetch_context(const struct rxo_pd *pd)
{
	return pd->ibpd.uobject ? to_rxo_ucontext(pd->ibpd.uobject->context) : NULL;
}

/* Takes over @spans if it returns 0. */
static int prefetch_start(struct rxo_pd *pd, struct prefetch_span *spans, u32 num, bool write)
{
	struct rxo_ucontext *uctx = prefetch_context(pd);
	struct rxo_prefetch *p;
	int err;

	err = prefetch_check(pd, spans, num, write);
	if (err)
		return err;
	p = kzalloc_obj(*p, GFP_KERNEL_ACCOUNT);
	if (!p)
		return -ENOMEM;
	if (uctx && atomic_inc_return(&uctx->prefetches) > RXO_PREFETCHES_MAX) {
		atomic_dec(&uctx->prefetches);
		kfree(p);
		return -EAGAIN;
	}
	atomic_inc(&pd->prefetches);
	p->pd = pd;
	p->uctx = uctx;
	p->write = write;
	p->num_spans = num;
	p->spans = spans;
	p->step.done = prefetch_span_done;
	prefetch_run(p);
	return 0;
}

void rxo_prefetch_drain(struct rxo_pd *pd)
{
	wait_var_event(&pd->prefetches, !atomic_read(&pd->prefetches));
}

/* Ends at the first span that cannot be had. */
static int prefetch_now(struct rxo_pd *pd, const struct prefetch_span *spans, u32 num,
			enum umem_odp_prefetch_mode mode)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < num; i++) {
		struct rxo_mr *mr = prefetch_mr_get(pd, &spans[i], mode == UMEM_ODP_PREFETCH_WRITE);

		if (IS_ERR(mr))
			return PTR_ERR(mr);
		if (spans[i].length_bytes)
			err = umem_odp_prefetch(mr->mem->region, prefetch_va(mr, &spans[i]),
						spans[i].length_bytes, mode);
		rxo_mr_put(mr);
	}
	/* It was deregistered meanwhile. */
	return err == -ESHUTDOWN ? -ENOENT : err;
}

static int prefetch_mode(enum ib_uverbs_advise_mr_advice advice)
{
	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH:
		return UMEM_ODP_PREFETCH_READ;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
		return UMEM_ODP_PREFETCH_WRITE;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		return UMEM_ODP_PREFETCH_LOOK;
	default:
		return -EOPNOTSUPP;
	}
}

static struct prefetch_span *prefetch_spans(const struct ib_sge *sg_list, u32 num)
{
	struct prefetch_span *spans = kvmalloc_array(num, sizeof(*spans), GFP_KERNEL_ACCOUNT);
	u32 i;

	for (i = 0; spans && i < num; i++)
		spans[i] = (struct prefetch_span) {
			.iova = sg_list[i].addr,
			.length_bytes = sg_list[i].length,
			.lkey = sg_list[i].lkey,
		};
	return spans;
}

int rxo_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice, u32 flags,
		  struct ib_sge *sg_list, u32 num_sge, struct uverbs_attr_bundle *attrs)
{
	struct prefetch_span *spans;
	int mode = prefetch_mode(advice), err;

	if (mode < 0)
		return mode;
	if (flags & ~IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		return -EINVAL;
	if (!num_sge)
		return 0;
	spans = prefetch_spans(sg_list, num_sge);
	if (!spans)
		return -ENOMEM;
	/* To look never waits. */
	if (flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH || mode == UMEM_ODP_PREFETCH_LOOK) {
		err = prefetch_now(to_rxo_pd(ibpd), spans, num_sge, mode);
	} else {
		err = prefetch_start(to_rxo_pd(ibpd), spans, num_sge,
				     mode == UMEM_ODP_PREFETCH_WRITE);
		if (!err)
			return 0;
	}
	kvfree(spans);
	return err;
}
