/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A process's side of the rings that it shares with the kernel (struct rxe_queue_buf). Pure: tested and fuzzed without a device.
 *
 * What lies in the mapping is believed as little here as on the kernel's side: the geometry is looked at once and checked
 * against the mapping, the index of our own side is private (the mapping gets copies of it), and the kernel's index is masked
 * with each use. A kernel that writes nonsense there makes entries appear or vanish; it makes nobody read or write past the
 * ring, nor loop for ever.
 *
 * A ring has a power of two of entries, of which one always stays empty: equal indices mean an empty ring. A ring whose mask
 * is 0 has no entry at all: it is always empty and always full, which is what is left of one that could not be mapped.
 *
 * The caller serialises: one thread at a time on our side of a ring.
 */
#ifndef RXO_RING_H
#define RXO_RING_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <rdma/rdma_user_rxe.h>
#include <rdma/rxe_odp-abi.h>

#define RXO_RING_MAX_ELEM_SHIFT 16

struct rxo_ring {
	struct rxe_queue_buf *buf;
	size_t buf_bytes;    /* of the mapping */
	uint32_t mask;	     /* entries - 1 */
	uint32_t elem_shift; /* log2 of an entry's bytes */
	uint32_t index;	     /* our side's, masked */
};

/* Looks at a mapped ring: 0, or EIO if it is none, or has no room for entries of @elem_bytes. */
static inline int rxo_ring_init(struct rxo_ring *ring, void *buf, size_t buf_bytes,
				size_t elem_bytes)
{
	const struct rxe_queue_buf *shared = buf;
	uint32_t mask = __atomic_load_n(&shared->index_mask, __ATOMIC_RELAXED);
	uint32_t shift = __atomic_load_n(&shared->log2_elem_size, __ATOMIC_RELAXED);

	if (buf_bytes < sizeof(*shared) || !mask || (mask & (mask + 1)) ||
	    shift > RXO_RING_MAX_ELEM_SHIFT || (size_t)1 << shift < elem_bytes ||
	    ((uint64_t)mask + 1) << shift > buf_bytes - sizeof(*shared))
		return EIO;
	*ring = (struct rxo_ring){
		.buf = buf,
		.buf_bytes = buf_bytes,
		.mask = mask,
		.elem_shift = shift,
	};
	return 0;
}

/* The @nth entry from our index on; inside the ring, whatever @nth is. */
static inline void *rxo_ring_at(const struct rxo_ring *ring, uint32_t nth)
{
	return ring->buf->data + ((size_t)((ring->index + nth) & ring->mask) << ring->elem_shift);
}

/* A work queue: how many entries may be written. The mask at most, whatever the kernel's index is. */
static inline uint32_t rxo_ring_room(const struct rxo_ring *ring)
{
	/* Pairs with the release in the kernel's rxo_queue_advance(): it has read what it consumed. */
	uint32_t consumer = __atomic_load_n(&ring->buf->consumer_index, __ATOMIC_ACQUIRE);

	return ring->mask - ((ring->index - consumer) & ring->mask);
}

/* Publishes @num entries that were written at rxo_ring_at(0) and on. */
static inline void rxo_ring_post(struct rxo_ring *ring, uint32_t num)
{
	ring->index = (ring->index + num) & ring->mask;
	/* Pairs with the acquire in the kernel's rxo_queue_count(): it sees the entries with the index. */
	__atomic_store_n(&ring->buf->producer_index, ring->index, __ATOMIC_RELEASE);
}

/* A send queue: not 0 if the kernel is going to look at it, RXE_ODP_PROMISE_*. Behind a full barrier after the post. */
static inline uint32_t rxo_ring_promise(const struct rxo_ring *ring)
{
	return __atomic_load_n(&ring->buf->pad_3[RXE_ODP_PROMISE_PAD], __ATOMIC_RELAXED);
}

/* A completion queue: how many entries may be read. Likewise. */
static inline uint32_t rxo_ring_filled(const struct rxo_ring *ring)
{
	/* Pairs with the release in the kernel's rxo_queue_push(): the entries are seen with the index. */
	uint32_t producer = __atomic_load_n(&ring->buf->producer_index, __ATOMIC_ACQUIRE);

	return (producer - ring->index) & ring->mask;
}

/* Gives @num entries back, which were read. */
static inline void rxo_ring_take(struct rxo_ring *ring, uint32_t num)
{
	ring->index = (ring->index + num) & ring->mask;
	/* Pairs with the acquire in the kernel's rxo_queue_produced(): they were read before this. */
	__atomic_store_n(&ring->buf->consumer_index, ring->index, __ATOMIC_RELEASE);
}

/* After a resize the kernel says where in the new ring our side stands. */
static inline void rxo_ring_resume_posting(struct rxo_ring *ring)
{
	ring->index = __atomic_load_n(&ring->buf->producer_index, __ATOMIC_RELAXED) & ring->mask;
}

static inline void rxo_ring_resume_polling(struct rxo_ring *ring)
{
	ring->index = __atomic_load_n(&ring->buf->consumer_index, __ATOMIC_RELAXED) & ring->mask;
}

/* The kernel no longer looks at it: nothing can be posted, nothing comes. */
static inline void rxo_ring_kill(struct rxo_ring *ring)
{
	ring->mask = 0;
	ring->index = 0;
}

#endif /* RXO_RING_H */
