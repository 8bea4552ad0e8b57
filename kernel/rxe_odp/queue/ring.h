/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Arithmetic of rings: pure, so that user space can test it.
 *
 * A ring has a power of two of entries, of which one always stays empty: equal
 * indices mean an empty ring. Indices are kept masked. An index that comes from
 * user space may have any value: masked, it is at worst a wrong one.
 */
#ifndef RXO_RING_H
#define RXO_RING_H

#include <linux/types.h>

/*
 * No ring is asked to hold more: 2^20 work requests of 32 SGEs, and one free entry, are 2 GiB.
 * The process is told a ring's size in 32 bits.
 */
#define RXO_RING_MAX_ENTRIES	8388608U
#define RXO_RING_MAX_ELEM_BYTES	65536U
#define RXO_RING_MAX_BYTES	2147483648U

/* Smallest n with 1 << n >= @value, for @value up to 1 << 31. */
static inline u32 rxo_ring_log2_up(u32 value)
{
	u32 n = 0;

	while ((1U << n) < value)
		n++;
	return n;
}

/* At most 1 << 39. */
static inline u64 rxo_ring_bytes(u32 mask, u32 elem_shift)
{
	return ((u64)mask + 1) << elem_shift;
}

/*
 * The shape of a ring that holds @num entries of @elem_bytes: one less than its
 * entries, log2 of an element's bytes. False if one of them is 0 or past its bound,
 * or the ring past its own.
 */
static inline bool rxo_ring_shape(u32 num, u32 elem_bytes, u32 *mask, u32 *elem_shift)
{
	if (!num || num >= RXO_RING_MAX_ENTRIES || !elem_bytes ||
	    elem_bytes > RXO_RING_MAX_ELEM_BYTES)
		return false;
	*mask = (1U << rxo_ring_log2_up(num + 1)) - 1;
	*elem_shift = rxo_ring_log2_up(elem_bytes);
	return rxo_ring_bytes(*mask, *elem_shift) <= RXO_RING_MAX_BYTES;
}

/* How many lie between them; @mask at most, whatever the indices are. */
static inline u32 rxo_ring_count(u32 producer, u32 consumer, u32 mask)
{
	return (producer - consumer) & mask;
}

static inline bool rxo_ring_full(u32 producer, u32 consumer, u32 mask)
{
	return rxo_ring_count(producer, consumer, mask) == mask;
}

/* The index @n behind @index. */
static inline u32 rxo_ring_add(u32 index, u32 n, u32 mask)
{
	return (index + n) & mask;
}

/* Where an entry lies, in bytes; inside the ring, whatever the index is. */
static inline size_t rxo_ring_offset(u32 index, u32 mask, u32 elem_shift)
{
	return (size_t)(index & mask) << elem_shift;
}

#endif /* RXO_RING_H */
