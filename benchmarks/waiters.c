// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a waiter costs when there are many: ns to add one, to cancel it, and to serve it when its page comes, each on a page of
 * its own or all on one, of a userfaultfd that does not answer before. Ours alone, through umem_odp's test module.
 */
#include "bench.h"
#include "umem.h"

static const unsigned int counts[] = { 1000, 5000, 20000 };

#define MOST 20000UL

/* All added, then cancelled; all added, then served. */
static void measure(const char *where, size_t stride, unsigned int count, unsigned int round)
{
	size_t bytes = stride ? count * stride : PAGE;
	uint8_t *map = umem_map(MOST * PAGE);
	struct umem_selftest_crowd_end end;
	struct uffd uffd;
	char what[64];
	double start;
	int fd;

	uffd_register(&uffd, map, MOST * PAGE);
	fd = umem_region(map, MOST * PAGE);
	assert_zero(umem_crowd(fd, map, stride, count, true));
	assert_non_null(uffd_next(&uffd, 60000));
	end = umem_crowd_end(fd, 0);
	assert_int_equal(end.cancelled, count);
	snprintf(what, sizeof(what), "add %s", where);
	row("waiters", "rxe_odp", what, "odp", count, 1, round, (double)end.ns_add / count, "ns");
	snprintf(what, sizeof(what), "cancel %s", where);
	row("waiters", "rxe_odp", what, "odp", count, 1, round, (double)end.ns_cancel / count,
	    "ns");

	assert_zero(umem_crowd(fd, map, stride, count, true));
	start = seconds();
	uffd_give_zeros(&uffd, map, bytes);
	end = umem_crowd_end(fd, 600000);
	assert_int_equal(end.woken, count);
	snprintf(what, sizeof(what), "serve %s", where);
	row("waiters", "rxe_odp", what, "odp", count, 1, round, (seconds() - start) * 1e9 / count,
	    "ns");
	umem_close(fd);
	uffd_close(&uffd);
	munmap(map, MOST * PAGE);
}

int main(void)
{
	unsigned int round, i;

	for (round = 1; round <= ROUNDS; round++) {
		for (i = 0; i < ARRAY_SIZE(counts); i++) {
			measure("each a page", PAGE, counts[i], round);
			measure("all one page", 0, counts[i], round);
		}
	}
	return 0;
}
