// SPDX-License-Identifier: GPL-2.0
/*
 * Faults as their users see them: asked for in any context, waited for or not.
 */
#include <linux/completion.h>
#include <linux/export.h>
#include <linux/sched.h>

#include "queue.h"
#include "region.h"

static bool fault_is_present(struct umem_odp_region *r, u64 va, bool write)
{
	struct umem_odp_access acc;

	if (umem_odp_access_begin(r, &acc, va, 1, write))
		return false;
	umem_odp_access_end(&acc);
	return true;
}

int umem_odp_fault_async(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write,
			 struct umem_odp_waiter *w)
{
	if (!umem_odp_region_has(r, va) || !len_bytes || (write && !(r->flags & UMEM_ODP_WRITE)))
		return -EFAULT;
	/*
	 * A leaf that is closing counts as a miss here: the fault thread waits for the end of the
	 * invalidation, and the caller does not spin.
	 */
	if (fault_is_present(r, va, write))
		return 0;

	w->region = r;
	w->va = va;
	w->len_bytes = min(len_bytes, r->last - va + 1);
	w->write = write;
	w->refusal = UMEM_ODP_REFUSAL_NONE;
	return umem_odp_queue_add(w);
}
EXPORT_SYMBOL_GPL(umem_odp_fault_async);

bool umem_odp_fault_cancel(struct umem_odp_waiter *w)
{
	return umem_odp_queue_cancel(w);
}
EXPORT_SYMBOL_GPL(umem_odp_fault_cancel);

struct fault_sleeper {
	struct umem_odp_waiter waiter;
	struct completion done;
	int err;
};

static void fault_wake_sleeper(struct umem_odp_waiter *w, int err)
{
	struct fault_sleeper *s = container_of(w, struct fault_sleeper, waiter);

	s->err = err;
	complete(&s->done);
}

static int fault_first(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write)
{
	struct fault_sleeper s = { .waiter.wake = fault_wake_sleeper };
	int err;

	init_completion(&s.done);
	err = umem_odp_fault_async(r, va, len_bytes, write, &s.waiter);
	if (err != -EINPROGRESS)
		return err;
	if (wait_for_completion_killable(&s.done)) {
		if (umem_odp_fault_cancel(&s.waiter))
			return -EINTR;
		wait_for_completion(&s.done);
	}
	return s.err;
}

int umem_odp_fault(struct umem_odp_region *r, u64 va, u64 len_bytes, bool write)
{
	struct umem_odp_access acc;
	u64 done = 0;
	u32 step;
	int err;

	might_sleep();
	if (!len_bytes || !umem_odp_region_has(r, va) || len_bytes - 1 > r->last - va)
		return -EFAULT;
	while (done < len_bytes) {
		step = min_t(u64, len_bytes - done, UMEM_ODP_ACCESS_MAX);
		err = umem_odp_access_begin(r, &acc, va + done, step, write);
		if (!err) {
			done += acc.len_bytes;
			umem_odp_access_end(&acc);
			cond_resched();
			continue;
		}
		if (err == -EAGAIN)
			err = fault_first(r, va + done, len_bytes - done, write);
		if (err)
			return err;
		/* The page was there once, which is all that is promised: so the loop ends. */
		done += PAGE_SIZE - ((va + done) & ~PAGE_MASK);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(umem_odp_fault);
