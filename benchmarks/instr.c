// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Instructions of the whole guest for one warm write of 64 KiB. For a guest of one CPU whose
 * clock counts instructions (./run vm --icount). What a nanosecond of that clock is worth is
 * measured first, with a loop of known length.
 */
#include "bench.h"

#define MESSAGE (64 * KIB)
#define LOOP	20000000UL

static double instructions_per_second(void)
{
	unsigned long n = LOOP;
	double start = seconds();

	asm volatile("1: dec %0\n\tjnz 1b" : "+r"(n));
	return 2.0 * LOOP / (seconds() - start);
}

static void measure(struct rig *rig, enum driver driver, int odp, double hz, unsigned int round)
{
	unsigned long i, messages = env_number("BENCH_MESSAGES", 200);
	struct flow flow;
	double start = 0;

	flow_open(&flow, rig, MESSAGE, odp ? IBV_ACCESS_ON_DEMAND : 0);
	for (i = 0; i < messages + 10; i++) {
		if (i == 10)
			start = seconds();
		flow_post(&flow, OP_WRITE, 0, 0, MESSAGE);
		while (flow.posted != flow.done)
			if (!flow_poll_cq(&flow, flow.a.scq, &flow.done))
				sched_yield();
		if (flow.failed != IBV_WC_SUCCESS)
			fail_because("write: %s", ibv_wc_status_str(flow.failed));
	}
	row("instr", driver_names[driver], "write", mode_names[odp], MESSAGE, 1, round,
	    (seconds() - start) * hz / messages, "instructions");
	flow_close(&flow);
}

int main(void)
{
	struct rig rigs[DRIVERS];
	unsigned int round, d, odp;
	double hz;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			driver_open(&rigs[d], d);
	hz = instructions_per_second();
	row("instr", "cpu", "instructions per second of the guest's clock", "-", 0, 1, 1, hz,
	    "1/s");
	for (round = 1; round <= ROUNDS; round++)
		for (odp = 0; odp <= 1; odp++)
			for (d = 0; d < DRIVERS; d++)
				if (driver_wanted(d))
					measure(&rigs[d], d, odp, hz, round);
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			rig_close(&rigs[d]);
	return 0;
}
