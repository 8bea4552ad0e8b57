// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A TiB of which a page in every 256 MiB is used: what a fault costs that finds nothing of the table there, what the table
 * takes, and what the process pays to discard all of it. Ours alone, through umem_odp's test module.
 */
#include "bench.h"
#include "umem.h"

#define AREA   (1UL << 40)
#define STRIDE (256 * MIB)
#define PAGES  (AREA / STRIDE)

int main(void)
{
	uint8_t *map = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned int round;
	double start;
	size_t at;
	int fd;

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_zero(madvise(map, AREA, MADV_NOHUGEPAGE));
	for (round = 1; round <= ROUNDS; round++) {
		fd = umem_region(map, AREA);
		for (at = 0; at < AREA; at += STRIDE)
			map[at] = 1;
		start = seconds();
		for (at = 0; at < AREA; at += STRIDE)
			assert_zero(umem_fault(fd, map + at, 1, true));
		row("sparse", "rxe_odp", "us a fault", "odp", AREA, 1, round,
		    (seconds() - start) * 1e6 / PAGES, "us");
		row("sparse", "rxe_odp", "table", "odp", AREA, 1, round,
		    umem_stats(fd).table_bytes / (double)MIB, "MiB");
		start = seconds();
		assert_zero(madvise(map, AREA, MADV_DONTNEED));
		row("sparse", "rxe_odp", "us to discard", "odp", AREA, 1, round,
		    (seconds() - start) * 1e6, "us");
		umem_close(fd);
	}
	return 0;
}
