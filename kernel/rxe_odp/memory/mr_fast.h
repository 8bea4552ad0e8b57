/* SPDX-License-Identifier: GPL-2.0 */
/* Regions that kernel users register by work requests, as mr.c and mr_verbs.c see them. */
#ifndef RXO_MR_FAST_H
#define RXO_MR_FAST_H

#include "memory/mr.h"

/* Without its memory and domain. May sleep. NULL without memory. */
struct rxo_mr *rxo_fast_alloc(void);

/* Before it is unpublished: no work request reaches its memory any more. BH on. */
void rxo_fast_close(struct rxo_mr *mr);

/* Under RCU, with BH off; as rxo_mr_invalidate(). @mr is such a region of the asker's domain. */
int rxo_fast_invalidate(struct rxo_mr *mr, u32 key, bool remote);

#endif /* RXO_MR_FAST_H */
