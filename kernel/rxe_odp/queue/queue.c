// SPDX-License-Identifier: GPL-2.0
/*
 * Rings shared with user space.
 *
 * The memory is pages that vmap() joins, charged to whoever creates the queue, and it is
 * mapped page by page with vm_insert_page(): each mapped page carries a
 * reference of its own. A ring may therefore be freed while it is mapped: vfree()
 * drops the ring's references, the pages live until the last mapping goes, and
 * the process goes on looking at memory that nobody else uses. Nothing of this
 * module is left in the VMA (no vm_ops of ours, no private data), so neither the
 * device nor the module has to outlive it.
 *
 * A cookie is the mmap() offset that a ring can be mapped with, once. Looking it
 * up takes a reference to the ring under the lock of the context's cookies, so
 * that destroying the ring meanwhile is harmless.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <rdma/rxe_odp-abi.h>

#include "device/dev.h"
#include "queue/ctx.h"
#include "queue/queue.h"

/* Entries that are copied at once: completions with interrupts off. */
#define MOVE_BATCH	256U

/*
 * A ring may be half a gigabyte. One that its owner's cgroup has no room for is
 * refused, and nothing is killed for it. This is not __vmalloc(), which gives
 * back what it had got of a failed ring only later: until then the cgroup would
 * be full.
 */
static void *ring_alloc(size_t bytes)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	u32 num = bytes >> PAGE_SHIFT, i = 0;
	struct page **pages;
	void *buf;

	pages = kvmalloc_array(num, sizeof(*pages),
			       GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY);
	if (!pages)
		return NULL;
	while (i < num && !fatal_signal_pending(current)) {
		pages[i] = alloc_page(gfp | __GFP_ZERO);
		if (!pages[i])
			break;
		i++;
		cond_resched();
	}
	/* vfree() puts the pages and frees the array. */
	buf = i == num ? vmap(pages, num, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL) : NULL;
	if (buf)
		return buf;
	while (i--)
		__free_page(pages[i]);
	kvfree(pages);
	return NULL;
}

struct rxo_queue *rxo_queue_create(u32 *num_elem, u32 elem_bytes)
{
	struct rxo_queue *q;
	u32 mask, elem_shift;

	if (!rxo_ring_shape(*num_elem, elem_bytes, &mask, &elem_shift))
		return ERR_PTR(-EINVAL);
	q = kzalloc_obj(*q, GFP_KERNEL_ACCOUNT);
	if (!q)
		return ERR_PTR(-ENOMEM);

	q->mask = mask;
	q->elem_shift = elem_shift;
	q->buf_bytes = PAGE_ALIGN(sizeof(*q->buf) + rxo_ring_bytes(mask, elem_shift));
	q->buf = ring_alloc(q->buf_bytes);
	if (!q->buf) {
		kfree(q);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&q->ref);
	/* For user space only: never read back. */
	q->buf->log2_elem_size = elem_shift;
	q->buf->index_mask = mask;
	*num_elem = mask;
	return q;
}

static void ring_release(struct kref *ref)
{
	struct rxo_queue *q = container_of(ref, struct rxo_queue, ref);

	vfree(q->buf);
	kfree(q);
}

void rxo_queue_destroy(struct rxo_queue *q)
{
	if (!q)
		return;
	/* No effect if the cookie was used up. Cookies go round: no other ring has this one. */
	if (q->uctx)
		xa_cmpxchg(&q->uctx->cookies, q->cookie, q, NULL, 0);
	kref_put(&q->ref, ring_release);
}

static void *ring_entry(const struct rxo_queue *q, u32 index)
{
	return q->buf->data + rxo_ring_offset(index, q->mask, q->elem_shift);
}

u32 rxo_queue_count(const struct rxo_queue *q)
{
	/* Pairs with the poster's release: entries are read after the index. */
	return rxo_ring_count(smp_load_acquire(&q->buf->producer_index), READ_ONCE(q->index),
			      q->mask);
}

int rxo_queue_try_count(const struct rxo_queue *q, u32 *num)
{
	u32 producer = smp_load_acquire(&q->buf->producer_index);	/* as above */

	if (producer > q->mask)
		return -ENOTRECOVERABLE;
	*num = rxo_ring_count(producer, READ_ONCE(q->index), q->mask);
	return 0;
}

void *rxo_queue_at(const struct rxo_queue *q, u32 nth)
{
	return ring_entry(q, q->index + nth);
}

void rxo_queue_advance(struct rxo_queue *q)
{
	WRITE_ONCE(q->index, rxo_ring_add(q->index, 1, q->mask));
	/* Pairs with the poster's acquire: it may write the entry from here on. */
	smp_store_release(&q->buf->consumer_index, q->index);
}

void rxo_queue_drop(struct rxo_queue *q)
{
	WRITE_ONCE(q->index, rxo_ring_add(q->index, rxo_queue_count(q), q->mask));
	/* As in rxo_queue_advance(). */
	smp_store_release(&q->buf->consumer_index, q->index);
}

void rxo_queue_promise(struct rxo_queue *q, u32 promise)
{
	WRITE_ONCE(q->buf->pad_3[RXE_ODP_PROMISE_PAD], promise);
}

u32 rxo_queue_produced(const struct rxo_queue *q)
{
	/* Pairs with the poller's release: it has read the entries before this. */
	return rxo_ring_count(q->index, smp_load_acquire(&q->buf->consumer_index), q->mask);
}

bool rxo_queue_full(const struct rxo_queue *q)
{
	return rxo_queue_produced(q) == q->mask;
}

void *rxo_queue_slot(const struct rxo_queue *q)
{
	return ring_entry(q, q->index);
}

void rxo_queue_push(struct rxo_queue *q)
{
	q->index = rxo_ring_add(q->index, 1, q->mask);
	/* Pairs with the poller's acquire: it sees the entry with the index. */
	smp_store_release(&q->buf->producer_index, q->index);
}

bool rxo_queue_kernel_full(const struct rxo_queue *q)
{
	/* Pairs with rxo_queue_advance(): the entry was read before. */
	return rxo_ring_full(q->buf->producer_index, smp_load_acquire(&q->buf->consumer_index),
			     q->mask);
}

void *rxo_queue_kernel_slot(const struct rxo_queue *q)
{
	return ring_entry(q, q->buf->producer_index);
}

void rxo_queue_kernel_push(struct rxo_queue *q)
{
	/* Pairs with rxo_queue_count(): the entry is seen with the index. */
	smp_store_release(&q->buf->producer_index,
			  rxo_ring_add(q->buf->producer_index, 1, q->mask));
}

void *rxo_queue_kernel_head(const struct rxo_queue *q)
{
	u32 consumer = q->buf->consumer_index;

	/* Pairs with rxo_queue_push(). */
	if (smp_load_acquire(&q->buf->producer_index) == consumer)
		return NULL;
	return ring_entry(q, consumer);
}

void rxo_queue_kernel_pop(struct rxo_queue *q)
{
	/* Pairs with rxo_queue_produced(): the entry was read before. */
	smp_store_release(&q->buf->consumer_index,
			  rxo_ring_add(q->buf->consumer_index, 1, q->mask));
}

/* Copies @num entries from index @first behind @at others, in a new ring of the same entry size. */
static int ring_copy_entries(struct rxo_queue *to, u32 at, const struct rxo_queue *from, u32 first,
			     u32 num)
{
	u32 i;

	if (at + num > to->mask)
		return -EINVAL;
	for (i = 0; i < num; i++)
		memcpy(ring_entry(to, at + i), ring_entry(from, first + i),
		       1UL << from->elem_shift);
	return 0;
}

int rxo_queue_move_work(struct rxo_queue *to, const struct rxo_queue *from, u32 *first, u32 *num)
{
	u32 producer, at;
	int err = 0;

	*first = READ_ONCE(from->index);
	/* Pairs with the poster's release: entries are read after the index. */
	producer = smp_load_acquire(&from->buf->producer_index);
	if (producer > from->mask)
		return -ENOTRECOVERABLE;
	*num = rxo_ring_count(producer, *first, from->mask);
	/* Published to the process by the mmap() that maps the ring. */
	to->buf->producer_index = *num;
	for (at = 0; !err && at < *num; at += MOVE_BATCH) {
		err = ring_copy_entries(to, at, from, *first + at, min(*num - at, MOVE_BATCH));
		cond_resched();
	}
	return err;
}

void rxo_queue_follow_work(struct rxo_queue *to, const struct rxo_queue *from, u32 first, u32 num)
{
	to->index = min(rxo_ring_count(from->index, first, from->mask), num);
	to->buf->consumer_index = to->index;
}

int rxo_queue_move_completions(struct rxo_queue *to, const struct rxo_queue *from,
			       struct rxo_queue_move *move)
{
	u32 produced = rxo_queue_produced(from), num;
	int err;

	if (!move->moved)
		move->next = from->index - produced;
	num = rxo_ring_count(from->index, move->next, from->mask);
	if (num > MOVE_BATCH)
		num = MOVE_BATCH;
	err = ring_copy_entries(to, move->moved, from, move->next, num);
	if (err)
		return err;
	move->next = rxo_ring_add(move->next, num, from->mask);
	move->moved += num;
	if (move->next != from->index)
		return -EAGAIN;

	/*
	 * Published to the process by the mmap() that maps the ring. What was
	 * polled meanwhile counts as polled there, too.
	 */
	to->index = move->moved;
	to->buf->producer_index = move->moved;
	to->buf->consumer_index = move->moved - min(produced, move->moved);
	return 0;
}

int rxo_queue_offer(struct rxo_queue *q, struct rxo_ucontext *uctx, struct mminfo *mi)
{
	int err;

	err = xa_alloc_cyclic(&uctx->cookies, &q->cookie, q, xa_limit_31b, &uctx->next_cookie,
			      GFP_KERNEL_ACCOUNT);
	if (err < 0)
		return err;
	q->uctx = uctx;
	mi->offset = (u64)q->cookie << PAGE_SHIFT;
	mi->size = q->buf_bytes;
	mi->pad = 0;
	return 0;
}

/* The ring behind a cookie, with a reference; uses the cookie up. */
static struct rxo_queue *ring_take_offer(struct rxo_ucontext *uctx, unsigned long cookie,
					 unsigned long bytes)
{
	struct rxo_queue *q;

	xa_lock(&uctx->cookies);
	q = xa_load(&uctx->cookies, cookie);
	if (q && q->buf_bytes == bytes) {
		kref_get(&q->ref);
		__xa_erase(&uctx->cookies, cookie);
	} else {
		q = NULL;
	}
	xa_unlock(&uctx->cookies);
	return q;
}

int rxo_queue_mmap(struct rxo_ucontext *uctx, struct vm_area_struct *vma)
{
	struct rxo_queue *q;
	size_t off;
	int err = 0;

	q = ring_take_offer(uctx, vma->vm_pgoff, vma->vm_end - vma->vm_start);
	if (!q)
		return -EINVAL;

	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (off = 0; !err && off < q->buf_bytes; off += PAGE_SIZE) {
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		err = vm_insert_page(vma, vma->vm_start + off,
				     vmalloc_to_page((void *)q->buf + off));
		cond_resched();
	}
	kref_put(&q->ref, ring_release);
	return err;
}
