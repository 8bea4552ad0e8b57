// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Registration and release of ODP regions from 1 MiB to 1 TiB over memory that nothing has
 * touched, and of all memory of the process (implicit, of SIZE_MAX bytes), also with 10,000 other
 * mappings; and the kernel memory that a region takes: what MemFree loses while many are registered.
 */
#include "bench.h"

#define TIMED 9
/* To ask for the time is a system call under User Mode Linux, as dear as most of a registration. */
#define BATCH 16
#define MANY  256

#define IMPLICIT SIZE_MAX
#define MAPPINGS 10000UL

static double mem_free_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			break;
	fclose(f);
	assert_true(kib > 0);
	return kib;
}

static bool measure_time(struct rig *rig, const char *name, void *addr, size_t bytes,
			 unsigned int round)
{
	double reg_us[TIMED], dereg_us[TIMED];
	struct ibv_mr *mrs[BATCH];
	unsigned int i, n, k;
	double start;

	for (i = 0; i < TIMED; i++) {
		start = seconds();
		for (n = 0; n < BATCH; n++) {
			mrs[n] =
				ibv_reg_mr(rig->pd, addr, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
			if (!mrs[n])
				break;
		}
		reg_us[i] = (seconds() - start) * 1e6 / BATCH;
		if (n < BATCH)
			row_failed("reg", name, "register", "odp", bytes, 1, round,
				   strerror(errno));
		start = seconds();
		for (k = 0; k < n; k++)
			assert_zero(ibv_dereg_mr(mrs[k]));
		dereg_us[i] = (seconds() - start) * 1e6 / BATCH;
		if (n < BATCH)
			return false;
	}
	row("reg", name, "register", "odp", bytes, 1, round, median(reg_us, TIMED), "us");
	row("reg", name, "release", "odp", bytes, 1, round, median(dereg_us, TIMED), "us");
	return true;
}

static void measure_memory(struct rig *rig, enum driver driver, void *addr, size_t bytes,
			   unsigned int round)
{
	struct ibv_mr *mrs[MANY];
	double before, after;
	unsigned int i;

	before = mem_free_kib();
	for (i = 0; i < MANY; i++) {
		mrs[i] = ibv_reg_mr(rig->pd, addr, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		assert_non_null(mrs[i]);
	}
	after = mem_free_kib();
	for (i = 0; i < MANY; i++)
		assert_zero(ibv_dereg_mr(mrs[i]));
	/* The releases' memory goes after RCU. */
	usleep(100000);
	row("reg", driver_names[driver], "kernel memory", "odp", bytes, 1, round,
	    (before - after) / MANY, "KiB");
}

/* Each a page that has been touched; its neighbours have other rights. */
static void measure_among_mappings(struct rig *rig, unsigned int round)
{
	uint8_t *map = map_pages(MAPPINGS * PAGE);
	size_t i;

	memset(map, 1, MAPPINGS * PAGE);
	for (i = 0; i < MAPPINGS; i += 2)
		assert_zero(mprotect(map + i * PAGE, PAGE, PROT_READ));
	measure_time(rig, "rxe_odp among 10000 mappings", NULL, IMPLICIT, round);
	munmap(map, MAPPINGS * PAGE);
}

int main(void)
{
	static const size_t sizes[] = { MIB, 16 * MIB, 256 * MIB, GIB, 16 * GIB, 256 * GIB, TIB };
	struct rig rigs[DRIVERS];
	unsigned int round, s, d;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			driver_open(&rigs[d], d);
	for (round = 1; round <= ROUNDS; round++) {
		for (s = 0; s < ARRAY_SIZE(sizes); s++) {
			void *addr = mmap(NULL, sizes[s], PROT_NONE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

			if (addr == MAP_FAILED) {
				row_failed("reg", "-", "mmap", "-", sizes[s], 1, round,
					   strerror(errno));
				continue;
			}
			for (d = 0; d < DRIVERS; d++)
				if (driver_wanted(d) &&
				    measure_time(&rigs[d], driver_names[d], addr, sizes[s], round))
					measure_memory(&rigs[d], d, addr, sizes[s], round);
			munmap(addr, sizes[s]);
		}
		for (d = 0; d < DRIVERS; d++)
			if (driver_wanted(d) &&
			    measure_time(&rigs[d], driver_names[d], NULL, IMPLICIT, round))
				measure_memory(&rigs[d], d, NULL, IMPLICIT, round);
		measure_among_mappings(&rigs[OURS], round);
	}
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			rig_close(&rigs[d]);
	return 0;
}
