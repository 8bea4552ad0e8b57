// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What fork() costs who is read by a peer: a region of 1 GiB on demand, all of it present in 4 KiB
 * pages, is read as a whole before and while there is a child; then the process writes one page in
 * sixteen, and it is read once more. Ours alone: faults and pages as the region counts them.
 */
#include "bench.h"
#include "method.h"

#include <sys/wait.h>

#define BYTES	((size_t)env_number("BENCH_FORK_MIB", 1024) * MIB)
#define WRITTEN 16

static struct rxe_odp_mr_stats stats_of(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(mr, &stats, sizeof(stats)));
	return stats;
}

static double read_all_ms(struct flow *flow, size_t bytes)
{
	double start = seconds();
	size_t at;

	for (at = 0; at < bytes; at += MIB) {
		flow_post(flow, OP_READ, 0, at, MIB);
		while (flow->posted != flow->done)
			if (!flow_poll_cq(flow, flow->a.scq, &flow->done))
				sched_yield();
		if (flow->failed != IBV_WC_SUCCESS)
			fail_because("read: %s", ibv_wc_status_str(flow->failed));
	}
	return (seconds() - start) * 1e3;
}

static pid_t child_begin(int *end)
{
	int go[2];
	pid_t pid;
	char c;

	assert_zero(pipe(go));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(go[1]);
		_exit(read(go[0], &c, 1) != 0);
	}
	close(go[0]);
	*end = go[1];
	return pid;
}

static void print(const char *what, size_t bytes, unsigned int round, double value,
		  const char *unit)
{
	row("fork", "rxe_odp", what, "odp", bytes, 1, round, value, unit);
}

static void measure(struct rig *rig, unsigned int round)
{
	size_t bytes = BYTES, at;
	uint8_t *scratch = map_pages(MIB), *region = map_pages(bytes);
	struct conn conn = bench_conn();
	struct flow flow = { 0 };
	struct rxe_odp_mr_stats before, after;
	int end, status;
	pid_t child;

	ends_open(&flow.a, rig, &flow.b, rig, &conn);
	memset(scratch, 0, MIB);
	memset(region, 3, bytes);
	flow.from = ibv_reg_mr(rig->pd, scratch, MIB, ACCESS_ALL);
	flow.to = ibv_reg_mr(rig->pd, region, bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!flow.from || !flow.to)
		fail_because("ibv_reg_mr: errno %d", errno);
	for (at = 0; at < bytes; at += GIB) {
		struct ibv_sge sge = { (uintptr_t)region + at, bytes - at < GIB ? bytes - at : GIB,
				       flow.to->lkey };

		assert_zero(mr_advise(rig->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
				      IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
	}
	print("read before", bytes, round, read_all_ms(&flow, bytes), "ms");
	before = stats_of(flow.to);
	if (before.resident_pages != bytes / PAGE)
		fail_because("%llu pages are present", (unsigned long long)before.resident_pages);

	child = child_begin(&end);
	print("read with a child", bytes, round, read_all_ms(&flow, bytes), "ms");
	after = stats_of(flow.to);
	print("faults", bytes, round, after.faults - before.faults, "faults");
	for (at = 0; at < bytes; at += WRITTEN * PAGE)
		region[at] = 4;
	print("pages gone / written", bytes, round,
	      (bytes / PAGE - stats_of(flow.to).resident_pages) * WRITTEN * (double)PAGE / bytes,
	      "x");
	print("read after writing", bytes, round, read_all_ms(&flow, bytes), "ms");
	print("faults after writing", bytes, round, stats_of(flow.to).faults - after.faults,
	      "faults");
	close(end);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	flow_close(&flow);
}

int main(void)
{
	unsigned int round;
	struct rig rig;

	driver_open(&rig, OURS);
	for (round = 1; round <= ROUNDS; round++)
		measure(&rig, round);
	rig_close(&rig);
	return 0;
}
