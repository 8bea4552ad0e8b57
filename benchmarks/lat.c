// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How long single rounds take, and how many take milliseconds: a request, and the wait for its completion. Timers of the
 * driver are whole jiffies, 10 ms in a User Mode Linux: a round that waited for one would take as long.
 */
#include "bench.h"

#define MESSAGE 4096UL
#define SLOTS	256UL

static int rounds(void)
{
	return 1000 * ROUNDS;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *what, const char *mode, double *took, int n)
{
	int i, two = 0, nine = 0;

	qsort(took, n, sizeof(*took), by_size);
	for (i = 0; i < n; i++) {
		two += took[i] > 0.002;
		nine += took[i] > 0.009;
	}
	printf("%-22s %-16s %9.1f %9.1f %9.1f %9.1f %6d %6d of %d\n", what, mode, took[n / 2] * 1e6,
	       took[n * 99 / 100] * 1e6, took[n * 999L / 1000] * 1e6, took[n - 1] * 1e6, two, nine,
	       n);
	fflush(stdout);
}

/* Where fresh is set, each round goes to a page that is not there. */
static void completions(struct pair *pair, const char *mode, int access, bool atomic, bool fresh)
{
	double *took = calloc(rounds(), sizeof(*took)), start;
	struct buf from, to;
	struct ibv_sge sge;
	int i;

	assert_non_null(took);
	buf_make(&from, pair->rig.pd, MEM_ANON, MESSAGE, 0, ACCESS_ALL | access);
	buf_make(&to, pair->rig.pd, MEM_ANON, SLOTS * MESSAGE, 0, ACCESS_ALL | access);
	memset(from.data, 1, MESSAGE);
	memset(to.data, 0, SLOTS * MESSAGE);
	sge = buf_sge(&from, 0, atomic ? 8 : MESSAGE);
	for (i = 0; i < rounds(); i++) {
		size_t at = i % SLOTS * MESSAGE;
		struct ibv_send_wr wr =
			atomic ? wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &to, at, 1, 0) :
				 wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, at);

		if (fresh && !at)
			assert_zero(madvise(to.data, SLOTS * MESSAGE, MADV_DONTNEED));
		start = seconds();
		end_post(&pair->a, &wr);
		cq_success(pair->a.scq);
		took[i] = seconds() - start;
	}
	report(atomic ? "8 byte fetch-add" : "4 KiB write", mode, took, rounds());
	buf_free(&from);
	buf_free(&to);
	free(took);
}

static void latency(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	printf("%-22s %-16s %9s %9s %9s %9s %6s %6s\n", "one round, us", "", "median", "99 %",
	       "99.9 %", "most", ">2 ms", ">9 ms");
	completions(&pair, "pinned", 0, false, false);
	completions(&pair, "odp", IBV_ACCESS_ON_DEMAND, false, false);
	completions(&pair, "odp, first touch", IBV_ACCESS_ON_DEMAND, false, true);
	completions(&pair, "pinned", 0, true, false);
	completions(&pair, "odp", IBV_ACCESS_ON_DEMAND, true, false);
	completions(&pair, "odp, first touch", IBV_ACCESS_ON_DEMAND, true, true);
	pair_close(&pair);
}

TEST_MAIN(TEST(latency))
