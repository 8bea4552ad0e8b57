/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Packet sequence numbers: 24 bits, compared modulo 2^24 (IBTA 9.7.2). Of two
 * numbers less than 2^23 apart, the later one is greater.
 */
#ifndef RXO_PSN_H
#define RXO_PSN_H

#include <linux/types.h>

#define RXO_PSN_MASK	0xffffffU
#define RXO_PSN_HALF	0x800000U	/* half of the space: the widest window */

static inline u32 rxo_psn_add(u32 psn, u32 n)
{
	return (psn + n) & RXO_PSN_MASK;
}

/* Numbers from @b up to @a, in [0, 2^24). */
static inline u32 rxo_psn_sub(u32 a, u32 b)
{
	return (a - b) & RXO_PSN_MASK;
}

/* Negative, zero or positive, as @a is before, at or after @b; the signed distance. */
static inline s32 rxo_psn_cmp(u32 a, u32 b)
{
	u32 distance = rxo_psn_sub(a, b);

	return distance < RXO_PSN_HALF ? (s32)distance : (s32)distance - (s32)RXO_PSN_MASK - 1;
}

#endif /* RXO_PSN_H */
