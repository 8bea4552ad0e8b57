// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A write to a page that userfaultfd brings after 3 s: how it ends, and what the writes of
 * another QP of the same device to the same process lose meanwhile.
 */
#include "bench.h"

#define DELAY_MS 3000
#define MESSAGE	 (64 * KIB)

static void measure(struct rig *rig, enum driver driver, unsigned int round)
{
	const char *name = driver_names[driver];
	struct flow late, busy;
	enum ibv_wc_status failed;
	double before, during, after, start;
	struct uffd uffd;

	flow_open(&busy, rig, rig, MESSAGE, IBV_ACCESS_ON_DEMAND);
	flow_open(&late, rig, rig, MESSAGE, IBV_ACCESS_ON_DEMAND);
	assert_zero(madvise(late.to->addr, MESSAGE, MADV_DONTNEED));
	uffd_register(&uffd, late.to->addr, MESSAGE);
	uffd_serve(&uffd, 1, DELAY_MS);

	flows_rate(&busy, 1, OP_WRITE, MESSAGE, 16, 0.2, &failed);
	before = flows_rate(&busy, 1, OP_WRITE, MESSAGE, 16, 2, &failed);
	start = seconds();
	flow_post(&late, OP_WRITE, 0, 0, PAGE);
	during = flows_rate(&busy, 1, OP_WRITE, MESSAGE, 16, 2, &failed);
	flow_poll_cq(&late, late.a.scq, &late.done);
	if (late.posted == late.done && late.failed == IBV_WC_SUCCESS)
		fail_because("the late page was not late");
	while (late.posted != late.done) {
		usleep(1000);
		flow_poll_cq(&late, late.a.scq, &late.done);
		if (seconds() - start > 60)
			fail_because("the late write does not complete");
	}
	start = seconds() - start;
	after = flows_rate(&busy, 1, OP_WRITE, MESSAGE, 16, 2, &failed);

	row("late", name, "other QP before", "odp", MESSAGE, 1, round, before, "MB/s");
	row("late", name, "other QP meanwhile", "odp", MESSAGE, 1, round, during, "MB/s");
	row("late", name, "other QP after", "odp", MESSAGE, 1, round, after, "MB/s");
	row("late", name, "meanwhile / mean of before and after", "odp", MESSAGE, 1, round,
	    2 * during / (before + after), "x");
	if (late.failed == IBV_WC_SUCCESS)
		row("late", name, "the write", "odp", PAGE, 1, round, start, "s");
	else
		row_failed("late", name, "the write", "odp", PAGE, 1, round,
			   ibv_wc_status_str(late.failed));
	uffd_close(&uffd);
	flow_close(&late);
	flow_close(&busy);
}

int main(void)
{
	unsigned int round, d;
	struct rig rig;

	for (round = 1; round <= ROUNDS; round++) {
		for (d = 0; d < DRIVERS; d++) {
			if (!driver_wanted(d))
				continue;
			driver_open(&rig, d);
			measure(&rig, d, round);
			rig_close(&rig);
		}
	}
	return 0;
}
