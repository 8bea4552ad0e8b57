/* SPDX-License-Identifier: GPL-2.0 */
/* A process's context, what it and the kernel know of each other, and the rings that it may map. */
#ifndef RXO_CTX_H
#define RXO_CTX_H

#include "device/ctx.h"

/* The verbs. */
int rxo_alloc_ucontext(struct ib_ucontext *ibuc, struct ib_udata *udata);
int rxo_query_ucontext(struct ib_ucontext *ibuc, struct uverbs_attr_bundle *attrs);
void rxo_dealloc_ucontext(struct ib_ucontext *ibuc);
int rxo_mmap(struct ib_ucontext *ibuc, struct vm_area_struct *vma);
void rxo_disassociate_ucontext(struct ib_ucontext *ibuc);

#endif /* RXO_CTX_H */
