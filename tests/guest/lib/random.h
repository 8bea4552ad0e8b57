/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Seeded random numbers for fuzzers and storms: SplitMix64, so that a thread's stream depends on nothing but its seed.
 * FUZZ_SEED repeats a run; without it the clock chooses, and the seed is printed.
 */
#ifndef TESTS_GUEST_RANDOM_H
#define TESTS_GUEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct rnd {
	uint64_t state;
};

uint64_t rnd_seed(void);
uint64_t rnd_next(struct rnd *r);

/* Below n. */
static inline uint64_t rnd_below(struct rnd *r, uint64_t n)
{
	return rnd_next(r) % n;
}

/* True once in n. */
static inline int rnd_one_in(struct rnd *r, uint64_t n)
{
	return !rnd_below(r, n);
}

void rnd_fill(struct rnd *r, void *to, size_t bytes);

#endif
