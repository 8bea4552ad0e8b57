/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef SHIM_LINUX_BITOPS_H
#define SHIM_LINUX_BITOPS_H

#include <linux/bits.h>
#include <stdbool.h>

#define BITS_TO_LONGS(nr) (((nr) + 8 * sizeof(long) - 1) / (8 * sizeof(long)))

/* For bits of one word. */
static inline void set_bit(long nr, unsigned long *word)
{
	__atomic_fetch_or(word, BIT(nr), __ATOMIC_RELAXED);
}

static inline bool test_and_clear_bit(long nr, unsigned long *word)
{
	return __atomic_fetch_and(word, ~BIT(nr), __ATOMIC_RELAXED) & BIT(nr);
}

#endif
