// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bandwidth of write, read and send, pinned and warm ODP, and the latency of an 8-byte write, alone
 * and in lists of 32, with both ends on one device and across a veth; ours also without packets
 * (local=on). The samples of both drivers, places and registrations
 * alternate, so that what else the machine does meets all of them. Both registrations are of the
 * same memory and are used by the same queue pairs: which CPU a queue pair is served by matters
 * more than what is compared here.
 */
#include "bench.h"

#define QPS	  16
#define LIST	  32
#define BUF_BYTES MIB

/* What the lanes of a driver in a place share. */
struct road {
	struct rig *from_rig, *to_rig;
	struct flow flows[QPS];
	struct ibv_mr *from[QPS][2], *to[QPS][2]; /* by odp */
};

struct lane {
	enum driver driver;
	enum place place;
	int odp;
	bool local;
};

#define LANES ((DRIVERS + 1) * PLACES * 2)

static const char *const bw_parts[2][PLACES] = {
	{ [ONE_DEVICE] = "bw", [VETH] = "bw-veth" },
	{ [ONE_DEVICE] = "bw-local", [VETH] = "bw-local-veth" },
};

static const char *const lat_parts[2][PLACES] = {
	{ [ONE_DEVICE] = "lat", [VETH] = "lat-veth" },
	{ [ONE_DEVICE] = "lat-local", [VETH] = "lat-local-veth" },
};

static struct rig rigs[DRIVERS][2]; /* the device, its peer */
static struct road roads[DRIVERS][PLACES];

static void road_open(struct road *road)
{
	unsigned int i;

	for (i = 0; i < QPS; i++) {
		struct flow *flow = &road->flows[i];
		int odp = ACCESS_ALL | IBV_ACCESS_ON_DEMAND;

		flow_open(flow, road->from_rig, road->to_rig, BUF_BYTES, 0);
		road->from[i][0] = flow->from;
		road->to[i][0] = flow->to;
		road->from[i][1] = ibv_reg_mr(road->from_rig->pd, flow->from->addr, BUF_BYTES, odp);
		road->to[i][1] = ibv_reg_mr(road->to_rig->pd, flow->to->addr, BUF_BYTES, odp);
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

static struct road *lane_road(const struct lane *lane)
{
	return &roads[lane->driver][lane->place];
}

static void set_local(bool on)
{
	setenv("RDMA_ODP_DEVICE", "rxe_odp0", 1);
	rig_set_local(on);
}

/* The road's flows, with that lane's registrations. */
static struct flow *lane_flows(const struct lane *lane)
{
	struct road *road = lane_road(lane);
	unsigned int i;

	if (lane->driver == OURS)
		set_local(lane->local);
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
	double slice = env_number("BENCH_SAMPLE_MS", 300) / 1e3 / SLICES;
	unsigned int depth = bytes <= 4 * KIB ? 128 : bytes <= 64 * KIB ? 32 : 8;
	enum ibv_wc_status failed[LANES] = { 0 };
	double rates[LANES][SLICES + 1];
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
			road_close(lane_road(&lanes[at]));
			road_open(lane_road(&lanes[at]));
		}
	}
	for (l = 0; l < n; l++) {
		const char *part = bw_parts[lanes[l].local][lanes[l].place];
		const char *driver = driver_names[lanes[l].driver];
		const char *mode = mode_names[lanes[l].odp];

		/* The first touches of the pages and of the caches are not the subject. */
		row_rate(part, driver, op_name(op), mode, bytes, qps, round,
			 median(rates[l] + 1, SLICES), failed[l]);
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
	row(lat_parts[lane->local][lane->place], driver_names[lane->driver], "write",
	    mode_names[lane->odp], 8, 1, round, (seconds() - start) / turns / 2 * 1e6, "us");
	while (there->posted != there->done || back.posted != back.done) {
		flow_poll_cq(there, there->a.scq, &there->done);
		flow_poll_cq(&back, back.a.scq, &back.done);
		sched_yield();
	}
}

static void flow_post_list(struct flow *flow, unsigned int num, size_t bytes)
{
	struct ibv_sge sge = { (uintptr_t)flow->from->addr, bytes, flow->from->lkey };
	struct ibv_send_wr *bad, wrs[LIST];
	unsigned int i;

	for (i = 0; i < num; i++)
		wrs[i] = (struct ibv_send_wr){
			.next = i + 1 < num ? &wrs[i + 1] : NULL,
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma = { (uintptr_t)flow->to->addr, flow->to->rkey },
		};
	assert_zero(ibv_post_send(flow->a.qp, wrs, &bad));
	flow->posted += num;
}

/* Writes of eight bytes in lists, each when the one before is complete: the time of one write. */
static void sample_lists(struct lane *lane, unsigned int round)
{
	unsigned long i, turns = env_number("BENCH_PING_PONGS", 1000);
	struct flow *flow = lane_flows(lane);
	double start = 0;

	for (i = 0; i < turns + 10; i++) {
		if (i == 10)
			start = seconds();
		flow_post_list(flow, LIST, 8);
		while (flow->done != flow->posted) {
			if (!flow_poll_cq(flow, flow->a.scq, &flow->done))
				sched_yield();
			if (flow->failed != IBV_WC_SUCCESS)
				fail_because("a list: %s", ibv_wc_status_str(flow->failed));
		}
	}
	row(lat_parts[lane->local][lane->place], driver_names[lane->driver], "list",
	    mode_names[lane->odp], 8, 1, round, (seconds() - start) / turns / LIST * 1e6, "us");
}

static unsigned int lanes_open(struct lane *lanes)
{
	unsigned int n = 0, d, p, odp;

	for (d = 0; d < DRIVERS; d++) {
		if (!driver_wanted(d))
			continue;
		driver_open(&rigs[d][0], d);
		driver_open_peer(&rigs[d][1], d);
		for (p = 0; p < PLACES; p++) {
			roads[d][p].from_rig = &rigs[d][0];
			roads[d][p].to_rig = &rigs[d][p == VETH];
			road_open(&roads[d][p]);
			for (odp = 0; odp <= 1; odp++) {
				lanes[n++] = (struct lane){ .driver = d, .place = p, .odp = odp };
				if (d == OURS)
					lanes[n++] = (struct lane){ .place = p,
								    .odp = odp,
								    .local = true };
			}
		}
	}
	return n;
}

static void lanes_close(void)
{
	unsigned int d;

	/* The programs behind this one measure packets. */
	if (driver_wanted(OURS))
		set_local(false);
	for (d = 0; d < DRIVERS; d++) {
		if (!driver_wanted(d))
			continue;
		road_close(&roads[d][ONE_DEVICE]);
		road_close(&roads[d][VETH]);
		rig_close(&rigs[d][0]);
		rig_close(&rigs[d][1]);
	}
}

int main(void)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	static const unsigned int qps[] = { 1, 4, 16 };
	static struct lane lanes[LANES];
	unsigned int n = lanes_open(lanes), l, o, s, q, round;

	for (round = 1; round <= ROUNDS; round++) {
		for (l = 0; l < n; l++) {
			sample_latency(&lanes[l], round);
			sample_lists(&lanes[l], round);
		}
		for (o = 0; o < ARRAY_SIZE(ops); o++)
			for (s = 0; s < ARRAY_SIZE(sizes); s++)
				for (q = 0; q < ARRAY_SIZE(qps); q++)
					sample_rates(lanes, n, ops[o], sizes[s], qps[q], round);
	}
	lanes_close();
	return 0;
}
