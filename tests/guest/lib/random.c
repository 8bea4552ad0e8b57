// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "random.h"
#include "test.h"

#include <time.h>

uint64_t rnd_seed(void)
{
	uint64_t seed = env_number("FUZZ_SEED", time(NULL));

	printf("seed: FUZZ_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

uint64_t rnd_next(struct rnd *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void rnd_fill(struct rnd *r, void *to, size_t bytes)
{
	uint8_t *at = to;

	while (bytes--)
		*at++ = rnd_next(r);
}
