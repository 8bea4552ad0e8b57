// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How long single rounds take, and how many take milliseconds: a request, and the wait for its completion, a thousand of each kind
 * in a round of the benchmark, and of them percentiles. Timers of the driver are whole jiffies, 10 ms in a User Mode Linux: one
 * that waited for a timer would take as long. Stock rxe beside ours, by turns.
 */
#include "bench.h"

#define MESSAGE 4096UL
#define SLOTS	256UL
#define TIMES	1000

struct kind {
	const char *mode;
	int access;
	bool atomic, fresh; /* fresh: each goes to a page that is not there */
};

static void report(enum driver driver, const struct kind *kind, unsigned int round, double *took)
{
	static const int per_mille[] = { 10, 100, 250, 500, 750, 900, 950, 990, 995, 999 };
	const char *what = kind->atomic ? "fetch-and-add" : "write", *name = driver_names[driver];
	size_t bytes = kind->atomic ? 8 : MESSAGE;
	int i, two = 0, nine = 0;
	char text[64];

	qsort(took, TIMES, sizeof(*took), compare_doubles);
	for (i = 0; i < TIMES; i++) {
		two += took[i] > 0.002;
		nine += took[i] > 0.009;
	}
	for (i = 0; i < (int)ARRAY_SIZE(per_mille); i++) {
		snprintf(text, sizeof(text), "%s %g %%", what, per_mille[i] / 10.0);
		row("rounds", name, text, kind->mode, bytes, 1, round,
		    took[TIMES * per_mille[i] / 1000 - 1] * 1e6, "us");
	}
	snprintf(text, sizeof(text), "%s most", what);
	row("rounds", name, text, kind->mode, bytes, 1, round, took[TIMES - 1] * 1e6, "us");
	snprintf(text, sizeof(text), "%s > 2 ms", what);
	row("rounds", name, text, kind->mode, bytes, 1, round, two, "of 1000");
	snprintf(text, sizeof(text), "%s > 9 ms", what);
	row("rounds", name, text, kind->mode, bytes, 1, round, nine, "of 1000");
}

static void completions(struct pair *pair, enum driver driver, const struct kind *kind,
			unsigned int round)
{
	static double took[TIMES];
	struct buf from, to;
	struct ibv_sge sge;
	double start;
	int i;

	buf_make(&from, pair->rig.pd, MEM_ANON, MESSAGE, 0, ACCESS_ALL | kind->access);
	buf_make(&to, pair->rig.pd, MEM_ANON, SLOTS * MESSAGE, 0, ACCESS_ALL | kind->access);
	memset(from.data, 1, MESSAGE);
	memset(to.data, 0, SLOTS * MESSAGE);
	sge = buf_sge(&from, 0, kind->atomic ? 8 : MESSAGE);
	for (i = 0; i < TIMES; i++) {
		size_t at = i % SLOTS * MESSAGE;
		struct ibv_send_wr wr =
			kind->atomic ? wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &to, at, 1, 0) :
				       wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, at);

		if (kind->fresh && !at)
			assert_zero(madvise(to.data, SLOTS * MESSAGE, MADV_DONTNEED));
		start = seconds();
		end_post(&pair->a, &wr);
		cq_success(pair->a.scq);
		took[i] = seconds() - start;
	}
	report(driver, kind, round, took);
	buf_free(&from);
	buf_free(&to);
}

static void pair_of(struct pair *pair, enum driver driver)
{
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	memset(pair, 0, sizeof(*pair));
	driver_open(&pair->rig, driver);
	ends_open(&pair->a, &pair->rig, &pair->b, &pair->rig, &conn);
}

int main(void)
{
	static const struct kind kinds[] = {
		{ "pinned", 0, false, false },
		{ "odp", IBV_ACCESS_ON_DEMAND, false, false },
		{ "odp first touch", IBV_ACCESS_ON_DEMAND, false, true },
		{ "pinned", 0, true, false },
		{ "odp", IBV_ACCESS_ON_DEMAND, true, false },
		{ "odp first touch", IBV_ACCESS_ON_DEMAND, true, true },
	};
	struct pair pairs[DRIVERS];
	unsigned int round, d, k;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			pair_of(&pairs[d], d);
	for (round = 1; round <= ROUNDS; round++)
		for (k = 0; k < ARRAY_SIZE(kinds); k++)
			for (d = 0; d < DRIVERS; d++)
				if (driver_wanted(d))
					completions(&pairs[d], d, &kinds[k], round);
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			pair_close(&pairs[d]);
	return 0;
}
