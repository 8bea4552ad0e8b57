// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Instructions of the whole guest for one warm write, both ends on one device and across a veth. For
 * a guest of one CPU whose clock counts instructions (./run vm --icount). What a nanosecond of that
 * clock is worth is measured first, with a loop of known length.
 */
#include "bench.h"

#define LOOP 20000000UL

static const char *const parts[] = { [ONE_DEVICE] = "instr", [VETH] = "instr-veth" };
static struct rig rigs[DRIVERS][2]; /* the device, its peer */

static double instructions_per_second(void)
{
	unsigned long n = LOOP;
	double start = seconds();

	asm volatile("1: dec %0\n\tjnz 1b" : "+r"(n));
	return 2.0 * LOOP / (seconds() - start);
}

static void measure(enum driver driver, enum place place, int odp, size_t bytes, double hz,
		    unsigned int round)
{
	unsigned long i, messages = env_number("BENCH_MESSAGES", 200);
	struct flow flow;
	double start = 0;

	flow_open(&flow, &rigs[driver][0], &rigs[driver][place == VETH], bytes,
		  odp ? IBV_ACCESS_ON_DEMAND : 0);
	for (i = 0; i < messages + 10; i++) {
		if (i == 10)
			start = seconds();
		flow_post(&flow, OP_WRITE, 0, 0, bytes);
		while (flow.posted != flow.done)
			if (!flow_poll_cq(&flow, flow.a.scq, &flow.done))
				sched_yield();
		if (flow.failed != IBV_WC_SUCCESS)
			fail_because("write: %s", ibv_wc_status_str(flow.failed));
	}
	row(parts[place], driver_names[driver], "write", mode_names[odp], bytes, 1, round,
	    (seconds() - start) * hz / messages, "instructions");
	flow_close(&flow);
}

static void measure_all(size_t bytes, double hz, unsigned int round)
{
	unsigned int d, p, odp;

	for (p = 0; p < PLACES; p++)
		for (odp = 0; odp <= 1; odp++)
			for (d = 0; d < DRIVERS; d++)
				if (driver_wanted(d))
					measure(d, p, odp, bytes, hz, round);
}

int main(void)
{
	static const size_t sizes[] = { 8, 4 * KIB, 64 * KIB };
	unsigned int round, d, s;
	double hz;

	for (d = 0; d < DRIVERS; d++) {
		if (!driver_wanted(d))
			continue;
		driver_open(&rigs[d][0], d);
		driver_open_peer(&rigs[d][1], d);
	}
	hz = instructions_per_second();
	row("instr", "cpu", "instructions per second of the guest's clock", "-", 0, 1, 1, hz,
	    "1/s");
	for (round = 1; round <= ROUNDS; round++)
		for (s = 0; s < ARRAY_SIZE(sizes); s++)
			measure_all(sizes[s], hz, round);
	for (d = 0; d < DRIVERS; d++) {
		if (!driver_wanted(d))
			continue;
		rig_close(&rigs[d][0]);
		rig_close(&rigs[d][1]);
	}
	return 0;
}
