/* SPDX-License-Identifier: GPL-2.0 */
/* Scatter/gather lists of WQEs: bytes at an offset of a message, in local memory. */
#ifndef RXO_SGL_H
#define RXO_SGL_H

#include <rdma/rdma_user_rxe.h>

#include "memory/mr.h"

/* Where a copy stopped for a page, with a reference to the region. */
struct rxo_miss {
	struct rxo_mr *mr;
	u64 iova;
	u64 length_bytes;	/* all that the message will want of this entry */
};

/* A list and the message's place in it. On the copying function's stack. */
struct rxo_sg {
	struct rxo_pd *pd;
	const struct rxe_sge *sge;
	u32 num;
	u32 offset_bytes;	/* into the message */
	u32 length_bytes;	/* of the message: what a fault asks for */
};

/**
 * rxo_sg_copy - copy between a buffer and local memory
 * @sg: list and offset
 * @buf: kernel memory
 * @bytes: how much
 * @to_mem: into local memory (needs IB_ACCESS_LOCAL_WRITE), else out of it
 * @done: bytes copied before, moved on by what is copied now
 * @miss: filled for -EAGAIN; the caller owns the reference
 *
 * Any context up to softirq. 0, -EAGAIN, -ENOENT, -EPERM, -ERANGE (no such key,
 * right, or range), -EFAULT and the others of rxo_mr_copy_to().
 */
int rxo_sg_copy(const struct rxo_sg *sg, void *buf, u32 bytes, bool to_mem, u32 *done,
		struct rxo_miss *miss);

/* One side of a copy between memories: @buf if it is set, else @mr if it is set, else @sg. */
struct rxo_side {
	const void *buf;		/* to read from: inline data */
	struct rxo_mr *mr;		/* a region, whose rights were checked */
	u64 iova;			/* with @mr: the first byte */
	const struct rxo_sg *sg;	/* local memory */
};

/**
 * rxo_sg_move - copy between memories, without a buffer
 * @to: not @buf
 * @from: a side
 * @bytes: how much
 *
 * BH off. 0 or the errors of rxo_sg_copy() and rxo_mr_move(); then some bytes may have been copied.
 * Asks for no page.
 */
int rxo_sg_move(const struct rxo_side *to, const struct rxo_side *from, u32 bytes);

/* Whether the first @bytes of what is moved from a side would be found now. BH off. */
bool rxo_sg_present(const struct rxo_side *from, u32 bytes);

#endif /* RXO_SGL_H */
