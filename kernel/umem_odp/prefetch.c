// SPDX-License-Identifier: GPL-2.0
/*
 * Prefetches: making pages present before anybody needs them.
 *
 * One that may wait is a waiter that asks for the first missing page of its span, is woken when
 * that came, and asks for the next: the fault threads do the work as they do it for faults, and no
 * thread waits for the prefetch. It has one page to wait for at a time. Cancelling sets stopped,
 * under queue->lock, for good: so a wake() that is under way cannot ask again.
 *
 * One that only looks is a pass that is not listed, in the thread that asks: it waits for nothing.
 */
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "chunk.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "region.h"

static bool prefetch_span_is_good(const struct umem_odp_region *r, u64 va, u64 len_bytes,
				  bool write)
{
	return len_bytes && umem_odp_region_has(r, va) && len_bytes - 1 <= r->last - va &&
	       (!write || r->flags & UMEM_ODP_WRITE);
}

/* The first page from @at on that is missing, or @end. Both are addresses of pages. */
static u64 prefetch_missing(const struct umem_odp_region *r, u64 at, u64 end, bool write)
{
	struct umem_odp_chunk *chunk;
	u64 leaf_end;

	while (at < end) {
		leaf_end = min(umem_odp_leaf_end(at), end);
		scoped_guard(rcu) {
			chunk = xa_load(&r->mirror->chunks, at >> UMEM_ODP_CHUNK_SHIFT);
			if (!chunk)
				return at;
			at = umem_odp_leaf_missing(chunk, at, leaf_end, write);
		}
		if (at != leaf_end)
			return at;
		cond_resched();
	}
	return end;
}

/* Asks for what is missing from p->at on. After -EINPROGRESS done() may have freed @p. */
static int prefetch_ask(struct umem_odp_prefetch *p)
{
	struct umem_odp_waiter *w = &p->waiter;
	struct umem_odp_region *r = w->region;
	int err;

	for (;;) {
		p->at = prefetch_missing(r, p->at, p->end, w->write);
		if (p->at >= p->end)
			return 0;
		err = umem_odp_fault_async(r, max(p->at, r->start), p->end - p->at, w->write, w);
		if (err)
			return err;
		/* It has come meanwhile. */
		p->at += PAGE_SIZE;
	}
}

static void prefetch_woken(struct umem_odp_waiter *w, int err)
{
	struct umem_odp_prefetch *p = container_of(w, struct umem_odp_prefetch, waiter);

	if (!err) {
		/* The page was there once, which is all that is promised: so this ends. */
		p->at += PAGE_SIZE;
		err = prefetch_ask(p);
	}
	if (err != -EINPROGRESS)
		p->done(p, err);
}

int umem_odp_prefetch_async(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write,
			    struct umem_odp_prefetch *p)
{
	might_sleep();
	if (!prefetch_span_is_good(r, va, len_bytes, write))
		return -EFAULT;
	p->waiter = (struct umem_odp_waiter) {
		.wake = prefetch_woken,
		.region = r,
		.write = write,
		.prefetch = true,
	};
	p->at = va & PAGE_MASK;
	p->end = PAGE_ALIGN(va + len_bytes);
	return prefetch_ask(p);
}
EXPORT_SYMBOL_GPL(umem_odp_prefetch_async);

bool umem_odp_prefetch_cancel(struct umem_odp_prefetch *p)
{
	return umem_odp_queue_stop(&p->waiter);
}
EXPORT_SYMBOL_GPL(umem_odp_prefetch_cancel);

/* Looks at one leaf's part, or a mapping's part of that: up to pass->looked_end. */
static int prefetch_look_once(struct umem_odp_pass *pass, u64 at, u64 end)
{
	int err;

	pass->next = at;
	pass->looked_end = at;
	pass->wanted_end = min(umem_odp_leaf_end(at), end);
	pass->end = pass->wanted_end;
	pass->look_end = pass->wanted_end;
	pass->block_start = 0;
	err = umem_odp_pass_run(pass);
	umem_odp_queue_wake_served(pass);
	/* Without a look, if another pass had put the pages in: only pass->next moves then. */
	pass->looked_end = max(pass->looked_end, pass->next);
	/* Nothing that may be touched is mapped there. */
	return err == -EFAULT ? 0 : err;
}

/* The first page from @at on that is missing and may be found, or @end. */
static u64 prefetch_next(const struct umem_odp_region *r, u64 at, u64 end)
{
	at = prefetch_missing(r, at, end, false);
	return at < end ? umem_odp_pass_next_mapped(r->mirror->mm, at, end) : end;
}

int umem_odp_prefetch_look(struct umem_odp_region *r, u64 va, u64 len_bytes)
{
	struct umem_odp_pass *pass __free(kfree) = kzalloc_obj(*pass, GFP_KERNEL);
	u64 at = va & PAGE_MASK, end = PAGE_ALIGN(va + len_bytes);
	int err;

	might_sleep();
	if (!prefetch_span_is_good(r, va, len_bytes, false))
		return -EFAULT;
	if (!pass)
		return -ENOMEM;
	pass->mirror = r->mirror;
	pass->region = r;
	pass->prefetch = true;
	pass->look_only = true;
	INIT_LIST_HEAD(&pass->node);
	INIT_LIST_HEAD(&pass->inside);
	INIT_LIST_HEAD(&pass->served);
	INIT_LIST_HEAD(&pass->window.node);

	while ((at = prefetch_next(r, at, end)) < end) {
		if (READ_ONCE(r->closed))
			return -ESHUTDOWN;
		if (fatal_signal_pending(current))
			return -EINTR;
		err = prefetch_look_once(pass, at, end);
		if (err)
			return err;
		at = pass->looked_end;
		cond_resched();
	}
	return 0;
}
EXPORT_SYMBOL_GPL(umem_odp_prefetch_look);
