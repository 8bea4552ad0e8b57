/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rings shared with user space, in the layout of struct rxe_queue_buf.
 *
 * What is mapped is hostile: the kernel keeps its own index of its own side
 * (consumer of a work queue, producer of a completion queue) and its own
 * geometry, reads the other side's index once per use and masks it, and never
 * reads back what it wrote.
 */
#ifndef RXO_QUEUE_H
#define RXO_QUEUE_H

#include <linux/kref.h>
#include <linux/types.h>
#include <rdma/rdma_user_rxe.h>

#include "queue/ring.h"

struct rxo_ucontext;
struct vm_area_struct;

struct rxo_queue {
	struct rxe_queue_buf *buf;	/* zeroed pages, perhaps mapped */
	size_t buf_bytes;		/* whole pages */
	u32 index;			/* our side's private index, masked */
	u32 mask;			/* entries - 1 */
	u32 elem_shift;			/* log2 of the element's bytes */
	/* the rest is queue.c's */
	struct kref ref;		/* the owner, and an mmap() that is under way */
	struct rxo_ucontext *uctx;	/* where @cookie is known, NULL if it was never offered */
	u32 cookie;
};

/**
 * rxo_queue_create - allocate a ring
 * @num_elem: wanted capacity; a ring holds one entry less than its size, so it
 *	      grows to the next power of two above; returns the capacity
 * @elem_bytes: of one entry; grows to the next power of two
 *
 * May sleep, memory is charged to the caller. Returns ERR_PTR on failure:
 * -EINVAL for a size out of ring.h's bounds, -ENOMEM.
 */
struct rxo_queue *rxo_queue_create(u32 *num_elem, u32 elem_bytes);

/* Withdraws the cookie, if it was not used. What is mapped stays mapped. May sleep. */
void rxo_queue_destroy(struct rxo_queue *q);

/*
 * A work queue (user or kernel posts, we consume). Serialised by the caller's lock.
 *
 * count	entries posted and not consumed, at most the mask; without the lock, a hint
 * try_count	likewise; -ENOTRECOVERABLE if the poster's index is none of the ring, which no
 *		library writes: what the ring holds is unknown
 * at		the nth behind our index; hostile bytes
 * advance	consume one, and tell the poster
 * drop		consume all there are, likewise
 * promise	tell the process who is going to look at a send queue again, RXE_ODP_PROMISE_*
 */
u32 rxo_queue_count(const struct rxo_queue *q);
int rxo_queue_try_count(const struct rxo_queue *q, u32 *num);
void *rxo_queue_at(const struct rxo_queue *q, u32 nth);
void rxo_queue_advance(struct rxo_queue *q);
void rxo_queue_drop(struct rxo_queue *q);
void rxo_queue_promise(struct rxo_queue *q, u32 promise);

/*
 * A completion queue (we produce, user or kernel polls). Likewise.
 *
 * produced	entries pushed and not polled, at most the mask
 * slot		where to write the next entry
 * push		publish it
 */
u32 rxo_queue_produced(const struct rxo_queue *q);
bool rxo_queue_full(const struct rxo_queue *q);
void *rxo_queue_slot(const struct rxo_queue *q);
void rxo_queue_push(struct rxo_queue *q);

/* The other side, for kernel users: post to a work queue, poll a completion queue. */
bool rxo_queue_kernel_full(const struct rxo_queue *q);
void *rxo_queue_kernel_slot(const struct rxo_queue *q);
void rxo_queue_kernel_push(struct rxo_queue *q);
void *rxo_queue_kernel_head(const struct rxo_queue *q);		/* NULL when empty */
void rxo_queue_kernel_pop(struct rxo_queue *q);

/* How far a move of completions has come; begins zeroed, on the stack. */
struct rxo_queue_move {
	u32 next;			/* of the old ring, masked */
	u32 moved;
};

/*
 * Resize: move what the ring holds to an empty one, which must be able to hold
 * it. -EINVAL if it does not fit.
 *
 * move_work		much may have been posted: without the lock that serialises
 *			our side, but no other resize beside it; @num entries from @first
 * follow_work		under that lock, then: what we consumed of them meanwhile
 * move_completions	under that lock, again and again while it returns -EAGAIN: a
 *			batch each time, what is pushed meanwhile as well. 0: all are
 *			there, and the lock must not be given up before @to is in use.
 */
int rxo_queue_move_work(struct rxo_queue *to, const struct rxo_queue *from, u32 *first, u32 *num);
void rxo_queue_follow_work(struct rxo_queue *to, const struct rxo_queue *from, u32 first, u32 num);
int rxo_queue_move_completions(struct rxo_queue *to, const struct rxo_queue *from,
			       struct rxo_queue_move *move);

/*
 * Offer the ring to the process: makes a one-shot cookie of @uctx and fills @mi
 * with it. The cookie goes when it is used, or with the ring.
 */
int rxo_queue_offer(struct rxo_queue *q, struct rxo_ucontext *uctx, struct mminfo *mi);

/* mmap() with a cookie: -EINVAL for an unknown one or for a length that is not the ring's. */
int rxo_queue_mmap(struct rxo_ucontext *uctx, struct vm_area_struct *vma);

#endif /* RXO_QUEUE_H */
