// SPDX-License-Identifier: GPL-2.0
/* A process's context, and the rings that it may map. */
#include <linux/mm.h>

#include "queue/ctx.h"
#include "queue/queue.h"

int rxo_alloc_ucontext(struct ib_ucontext *ibuc, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = to_rxo_ucontext(ibuc);

	/* Offset 0 is no cookie: it is what a process maps by default. */
	xa_init_flags(&uctx->cookies, XA_FLAGS_ALLOC1);
	return 0;
}

void rxo_dealloc_ucontext(struct ib_ucontext *ibuc)
{
	struct rxo_ucontext *uctx = to_rxo_ucontext(ibuc);

	/* Each ring that was freed removed its cookie. */
	WARN_ON_ONCE(!xa_empty(&uctx->cookies));
	xa_destroy(&uctx->cookies);
}

int rxo_mmap(struct ib_ucontext *ibuc, struct vm_area_struct *vma)
{
	return rxo_queue_mmap(to_rxo_ucontext(ibuc), vma);
}

/*
 * The device goes while the process has it open. uverbs has destroyed every
 * object by now; rings that are still mapped are memory and nothing else
 * (queue.c), so there is nothing to revoke. That this op exists is what lets
 * uverbs, "rdma dev set netns" and module removal go on without the process.
 */
void rxo_disassociate_ucontext(struct ib_ucontext *ibuc)
{
}
