// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bandwidth of write, read and send, pinned and warm ODP, and the latency of an 8-byte write. The
 * samples of both drivers and both registrations alternate, so that what else the machine does
 * meets all four. Both registrations are of the same memory and are used by the same queue pairs:
 * which CPU a queue pair is served by matters more than what is compared here.
 */
#include "bench.h"

#define QPS	  4
#define BUF_BYTES MIB
#define SLICES	  10

/* What a driver's lanes share. */
struct road {
	struct rig rig;
	struct flow flows[QPS];
	struct ibv_mr *from[QPS][2], *to[QPS][2]; /* by odp */
};

struct lane {
	enum driver driver;
	int odp;
};

static struct road roads[DRIVERS];

static void road_open(struct road *road)
{
	unsigned int i;

	for (i = 0; i < QPS; i++) {
		struct flow *flow = &road->flows[i];
		int odp = ACCESS_ALL | IBV_ACCESS_ON_DEMAND;

		flow_open(flow, &road->rig, BUF_BYTES, 0);
		road->from[i][0] = flow->from;
		road->to[i][0] = flow->to;
		road->from[i][1] = ibv_reg_mr(road->rig.pd, flow->from->addr, BUF_BYTES, odp);
		road->to[i][1] = ibv_reg_mr(road->rig.pd, flow->to->addr, BUF_BYTES, odp);
		if (!road->from[i][1] || !road->to[i][1])
			fail_because("ibv_reg_mr: errno %d", errno);
	}
}

static void road_close(struct road *road)
{
	unsigned int i;

	for (i = 0; i < QPS; i++) {
		road->flows[i].from = road->from[i][0];
		road->flows[i].to = road->to[i][0];
		assert_zero(ibv_dereg_mr(road->from[i][1]));
		assert_zero(ibv_dereg_mr(road->to[i][1]));
		flow_close(&road->flows[i]);
	}
}

/* The driver's flows, with that lane's registrations. */
static struct flow *lane_flows(const struct lane *lane)
{
	struct road *road = &roads[lane->driver];
	unsigned int i;

	for (i = 0; i < QPS; i++) {
		road->flows[i].from = road->from[i][lane->odp];
		road->flows[i].to = road->to[i][lane->odp];
	}
	return road->flows;
}

/*
 * One sample of each lane. It is cut into slices, by turns, and is the median of its slices: what the host does to this guest
 * lasts longer than a slice, and where it stops the guest for a while one slice is lost.
 */
static void sample_rates(struct lane *lanes, unsigned int n, enum op op, size_t bytes,
			 unsigned int qps, unsigned int round)
{
	double slice = env_number("BENCH_SAMPLE_MS", 400) / 1e3 / SLICES;
	unsigned int depth = bytes <= 4 * KIB ? 128 : bytes <= 64 * KIB ? 32 : 8;
	enum ibv_wc_status failed[2 * DRIVERS] = { 0 };
	double rates[2 * DRIVERS][SLICES + 1];
	unsigned int l, i;

	for (i = 0; i <= SLICES; i++) {
		for (l = 0; l < n; l++) {
			/* The last goes first in the next turn. */
			unsigned int at = (l + i) % n;

			if (failed[at] != IBV_WC_SUCCESS)
				continue;
			rates[at][i] = flows_rate(lane_flows(&lanes[at]), qps, op, bytes, depth,
						  slice, &failed[at]);
			if (failed[at] == IBV_WC_SUCCESS)
				continue;
			/* The other lane goes on with new queue pairs. */
			road_close(&roads[lanes[at].driver]);
			road_open(&roads[lanes[at].driver]);
		}
	}
	for (l = 0; l < n; l++) {
		const char *driver = driver_names[lanes[l].driver];
		const char *mode = mode_names[lanes[l].odp];

		/* The first touches of the pages and of the caches are not the subject. */
		if (failed[l] == IBV_WC_SUCCESS)
			row("bw", driver, op_name(op), mode, bytes, qps, round,
			    median(rates[l] + 1, SLICES), "MB/s");
		else
			row_failed("bw", driver, op_name(op), mode, bytes, qps, round,
				   ibv_wc_status_str(failed[l]));
	}
}

/* Polls memory until the bytes are there. */
static void await_word(struct flow *flow, volatile uint64_t *word, uint64_t value)
{
	unsigned long polls = 0;
	double bound = 0;

	while (*word != value) {
		if (++polls % 64)
			continue;
		sched_yield();
		if (polls % (1UL << 16))
			continue;
		flow_poll_cq(flow, flow->a.scq, &flow->done);
		if (flow->failed != IBV_WC_SUCCESS)
			fail_because("a write of 8 bytes: %s", ibv_wc_status_str(flow->failed));
		if (!bound)
			bound = seconds() + 30;
		else if (seconds() > bound)
			fail_because("a write of 8 bytes does not arrive: %lu posted, %lu done",
				     flow->posted, flow->done);
	}
}

/* Eight bytes there, and when they are seen, eight bytes back; the time of one way. */
static void sample_latency(struct lane *lane, unsigned int round)
{
	struct flow *there = lane_flows(lane), back = *there;
	volatile uint64_t *at_b = there->to->addr, *at_a = there->from->addr;
	unsigned long i, turns = env_number("BENCH_PING_PONGS", 1000);
	double start = 0;

	back.a = there->b;
	back.b = there->a;
	back.from = there->to;
	back.to = there->from;
	back.posted = 0;
	back.done = 0;
	for (i = 1; i <= turns + 50; i++) {
		if (i == 51)
			start = seconds();
		*at_a = i;
		flow_post(there, OP_WRITE, 0, 0, 8);
		await_word(there, at_b, i);
		/* What comes back differs from what lies there. */
		*at_b = i | 1UL << 63;
		flow_post(&back, OP_WRITE, 0, 0, 8);
		await_word(&back, at_a, i | 1UL << 63);
		flow_poll_cq(there, there->a.scq, &there->done);
		flow_poll_cq(&back, back.a.scq, &back.done);
	}
	row("lat", driver_names[lane->driver], "write", mode_names[lane->odp], 8, 1, round,
	    (seconds() - start) / turns / 2 * 1e6, "us");
	while (there->posted != there->done || back.posted != back.done) {
		flow_poll_cq(there, there->a.scq, &there->done);
		flow_poll_cq(&back, back.a.scq, &back.done);
		sched_yield();
	}
}

static void memcpy_rate(void)
{
	uint8_t *from = map_pages(BUF_BYTES), *to = map_pages(BUF_BYTES);
	unsigned int round, i;

	memset(from, 1, BUF_BYTES);
	for (round = 1; round <= ROUNDS; round++) {
		double start;

		memcpy(to, from, BUF_BYTES);
		start = seconds();
		for (i = 0; i < 500; i++) {
			memcpy(to, from, BUF_BYTES);
			asm volatile("" ::: "memory");
		}
		row("bw", "cpu", "memcpy", "-", BUF_BYTES, 1, round,
		    500.0 * BUF_BYTES / (seconds() - start) / 1e6, "MB/s");
	}
}

int main(void)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	static const unsigned int qps[] = { 1, 4 };
	static struct lane lanes[2 * DRIVERS];
	unsigned int n = 0, l, o, s, q, round;

	for (l = 0; l < 2 * DRIVERS; l++) {
		enum driver driver = l % DRIVERS;

		if (!driver_wanted(driver))
			continue;
		if (l < DRIVERS) {
			driver_open(&roads[driver].rig, driver);
			road_open(&roads[driver]);
		}
		lanes[n].driver = driver;
		lanes[n++].odp = l / DRIVERS;
	}
	memcpy_rate();
	for (round = 1; round <= ROUNDS; round++) {
		for (l = 0; l < n; l++)
			sample_latency(&lanes[l], round);
		for (o = 0; o < ARRAY_SIZE(ops); o++)
			for (s = 0; s < ARRAY_SIZE(sizes); s++)
				for (q = 0; q < ARRAY_SIZE(qps); q++)
					sample_rates(lanes, n, ops[o], sizes[s], qps[q], round);
	}
	for (l = 0; l < DRIVERS; l++) {
		if (!driver_wanted(l))
			continue;
		road_close(&roads[l]);
		rig_close(&roads[l].rig);
	}
	return 0;
}
