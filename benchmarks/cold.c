// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An RDMA WRITE of 64 MiB into an ODP region that nothing has touched, per page, beside the CPU's
 * own first touch of as much memory and the same write when it is warm. As one message and as 64.
 * The source is warm and pinned.
 */
#include "bench.h"

#define BYTES (64 * MIB)
#define PAGES (BYTES / PAGE)

static double write_all(struct flow *flow, size_t message)
{
	double start = seconds(), last = start + 300;
	size_t at = 0;

	while (at < BYTES || flow->posted != flow->done) {
		while (at < BYTES && flow->posted - flow->done < 16) {
			flow_post(flow, OP_WRITE, at, at, message);
			at += message;
		}
		if (!flow_poll_cq(flow, flow->a.scq, &flow->done)) {
			sched_yield();
			if (seconds() > last)
				fail_because("a write does not complete");
		}
		if (flow->failed != IBV_WC_SUCCESS)
			fail_because("write: %s", ibv_wc_status_str(flow->failed));
	}
	return (seconds() - start) / PAGES * 1e6;
}

static double first_touch(void)
{
	volatile uint8_t *p = map_pages(BYTES);
	double start = seconds();
	size_t at;

	for (at = 0; at < BYTES; at += PAGE)
		p[at] = 1;
	start = seconds() - start;
	munmap((void *)p, BYTES);
	return start / PAGES * 1e6;
}

static double memcpy_warm(const void *from)
{
	void *to = map_pages(BYTES);
	double start;

	memset(to, 1, BYTES);
	start = seconds();
	memcpy(to, from, BYTES);
	start = seconds() - start;
	munmap(to, BYTES);
	return start / PAGES * 1e6;
}

static void measure(struct rig *rig, enum driver driver, size_t message, unsigned int round)
{
	const char *name = driver_names[driver];
	struct conn conn = bench_conn();
	struct flow flow = { 0 };
	void *from = map_pages(BYTES), *to = map_pages(BYTES);
	double touch, copy, cold, warm;

	memset(from, 7, BYTES);
	ends_open(&flow.a, rig, &flow.b, rig, &conn);
	flow.from = ibv_reg_mr(rig->pd, from, BYTES, ACCESS_ALL);
	flow.to = ibv_reg_mr(rig->pd, to, BYTES, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!flow.from || !flow.to)
		fail_because("ibv_reg_mr: errno %d", errno);
	touch = first_touch();
	copy = memcpy_warm(from);
	cold = write_all(&flow, message);
	if (memcmp(from, to, BYTES))
		fail_because("wrong data");
	warm = write_all(&flow, message);
	row("cold", name, "cpu first touch", "-", message, 1, round, touch, "us/page");
	row("cold", name, "memcpy", "-", message, 1, round, copy, "us/page");
	row("cold", name, "cold write", "odp", message, 1, round, cold, "us/page");
	row("cold", name, "warm write", "odp", message, 1, round, warm, "us/page");
	row("cold", name, "cold / (first touch + warm)", "odp", message, 1, round,
	    cold / (touch + warm), "x");
	flow_close(&flow);
}

int main(void)
{
	static const size_t messages[] = { MIB, BYTES };
	struct rig rigs[DRIVERS];
	unsigned int round, m, d;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			driver_open(&rigs[d], d);
	for (round = 1; round <= ROUNDS; round++)
		for (m = 0; m < ARRAY_SIZE(messages); m++)
			for (d = 0; d < DRIVERS; d++)
				if (driver_wanted(d))
					measure(&rigs[d], d, messages[m], round);
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			rig_close(&rigs[d]);
	return 0;
}
