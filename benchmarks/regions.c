// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the process pays at madvise for how many regions cover its memory: none, one, or one for each page; and at munmap of memory that
 * none covers. Ours alone, through umem_odp's test module.
 */
#include "bench.h"
#include "swap.h"
#include "umem.h"

#include <sys/resource.h>

#define PAGES 10000UL
#define BYTES (PAGES * PAGE)

#define ELSEWHERE (MIB)
#define CALLS	  101

static int fds[PAGES];

static double advise_us(uint8_t *map, int advice)
{
	double start = seconds();

	assert_zero(madvise(map, BYTES, advice));
	return (seconds() - start) * 1e6;
}

static double munmap_us(void)
{
	uint8_t *map = umem_map(ELSEWHERE);
	double start;

	assert_true(!madvise(map, ELSEWHERE, MADV_NOHUGEPAGE) || errno == EINVAL);
	memset(map, 1, ELSEWHERE);
	start = seconds();
	assert_zero(munmap(map, ELSEWHERE));
	return (seconds() - start) * 1e6;
}

/* All is resident. */
static void measure_elsewhere(const char *name, unsigned int round)
{
	double us[CALLS];
	char what[64];
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		us[i] = munmap_us();
	snprintf(what, sizeof(what), "munmap elsewhere %s", name);
	row("regions", "rxe_odp", what, "odp", ELSEWHERE, 1, round, median(us, CALLS), "us");
}

static void measure(uint8_t *map, unsigned int regions, const char *name, unsigned int round)
{
	size_t each = regions ? BYTES / regions : 0;
	char what[64];
	unsigned int i, n;
	static const struct {
		int advice;
		const char *name;
	} calls[] = { { MADV_DONTNEED, "MADV_DONTNEED" }, { MADV_PAGEOUT, "MADV_PAGEOUT" } };

	for (i = 0; i < regions; i++)
		fds[i] = umem_region(map + i * each, each);
	for (n = 0; n < ARRAY_SIZE(calls); n++) {
		memset(map, 1, BYTES);
		for (i = 0; i < regions; i++)
			assert_zero(umem_fault(fds[i], map + i * each, each, true));
		if (!n)
			measure_elsewhere(name, round);
		snprintf(what, sizeof(what), "%s %s", calls[n].name, name);
		row("regions", "rxe_odp", what, "odp", BYTES, 1, round,
		    advise_us(map, calls[n].advice), "us");
	}
	for (i = 0; i < regions; i++)
		umem_close(fds[i]);
}

int main(void)
{
	struct rlimit files = { PAGES + 100, PAGES + 100 };
	uint8_t *map = umem_map(BYTES);
	unsigned int round;

	assert_zero(setrlimit(RLIMIT_NOFILE, &files));
	/* Refused where there are none. */
	assert_true(!madvise(map, BYTES, MADV_NOHUGEPAGE) || errno == EINVAL);
	swap_begin();
	for (round = 1; round <= ROUNDS; round++) {
		measure(map, 0, "no region", round);
		measure(map, 1, "1 region", round);
		measure(map, PAGES, "10000 regions", round);
	}
	swap_end();
	return 0;
}
