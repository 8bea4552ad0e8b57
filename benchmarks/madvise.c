// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * madvise(MADV_DONTNEED) inside an ODP region and outside any: of 32 MiB that nobody ever
 * touched, and of 1 GiB that is resident and, inside, known to the NIC. Elsewhere in the region
 * the NIC has been at work, so that its notifier exists.
 */
#include "bench.h"
#include "method.h"

#define UNTOUCHED (32 * MIB)
#define RESIDENT  GIB
#define REGION	  (RESIDENT + 64 * MIB)
#define CALLS	  21

static double dontneed_us(uint8_t *addr, size_t bytes)
{
	double start = seconds();

	assert_zero(madvise(addr, bytes, MADV_DONTNEED));
	return (seconds() - start) * 1e6;
}

static void nic_writes(struct flow *flow, size_t from, size_t to)
{
	size_t at;

	for (at = from; at < to; at += MIB) {
		flow_post(flow, OP_WRITE, 0, at, MIB);
		while (flow->posted != flow->done) {
			if (!flow_poll_cq(flow, flow->a.scq, &flow->done))
				sched_yield();
			if (flow->failed != IBV_WC_SUCCESS)
				fail_because("write: %s", ibv_wc_status_str(flow->failed));
		}
	}
}

/* A prefetch is faster where the driver has it. */
static void nic_knows(struct rig *rig, struct flow *flow, size_t from, size_t bytes)
{
	struct ibv_sge sge = { (uintptr_t)flow->to->addr + from, bytes, flow->to->lkey };

	int err = mr_advise(rig->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, IBV_ADVISE_MR_FLAG_FLUSH,
			    &sge, 1);

	if (err && err != EOPNOTSUPP)
		fail_because("prefetch: errno %d", err);
	if (err)
		nic_writes(flow, from, from + bytes);
}

/* Of a region of ours, which counts them; the one at the region's end is always there. */
static void check_resident(struct ibv_mr *mr, size_t bytes)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(mr, &stats, sizeof(stats)));
	if (stats.resident_pages < bytes / PAGE)
		fail_because("%llu pages are present", (unsigned long long)stats.resident_pages);
}

/* The region's first 32 MiB stay untouched, its next GiB is made resident, at its end one MiB is always. */
static void measure(struct rig *rig, enum driver driver, uint8_t *outside, unsigned int round)
{
	const char *name = driver_names[driver];
	double in[CALLS], out[CALLS];
	struct conn conn = bench_conn();
	struct flow flow = { 0 };
	uint8_t *from = map_pages(MIB), *inside = map_pages(REGION);
	unsigned int i;

	ends_open(&flow.a, rig, &flow.b, rig, &conn);
	flow.from = ibv_reg_mr(rig->pd, from, MIB, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	flow.to = ibv_reg_mr(rig->pd, inside, REGION, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!flow.from || !flow.to)
		fail_because("ibv_reg_mr: errno %d", errno);
	nic_writes(&flow, REGION - MIB, REGION);

	for (i = 0; i < CALLS; i++) {
		out[i] = dontneed_us(outside, UNTOUCHED);
		in[i] = dontneed_us(inside, UNTOUCHED);
	}
	row("madvise", name, "untouched outside", "-", UNTOUCHED, 1, round, median(out, CALLS),
	    "us");
	row("madvise", name, "untouched inside", "odp", UNTOUCHED, 1, round, median(in, CALLS),
	    "us");

	memset(outside + UNTOUCHED, 1, RESIDENT);
	memset(inside + UNTOUCHED, 1, RESIDENT);
	nic_knows(rig, &flow, UNTOUCHED, RESIDENT);
	if (driver == OURS)
		check_resident(flow.to, RESIDENT);
	row("madvise", name, "resident outside", "-", RESIDENT, 1, round,
	    dontneed_us(outside + UNTOUCHED, RESIDENT), "us");
	row("madvise", name, "resident inside", "odp", RESIDENT, 1, round,
	    dontneed_us(inside + UNTOUCHED, RESIDENT), "us");
	flow_close(&flow);
}

int main(void)
{
	uint8_t *outside = map_pages(REGION);
	struct rig rigs[DRIVERS];
	unsigned int round, d;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			driver_open(&rigs[d], d);
	for (round = 1; round <= ROUNDS; round++)
		for (d = 0; d < DRIVERS; d++)
			if (driver_wanted(d))
				measure(&rigs[d], d, outside, round);
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			rig_close(&rigs[d]);
	return 0;
}
