// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Writes across a veth, by packets that go one by one and by packets that go through the host
 * together (the module's parameter gso), by turns.
 */
#include "bench.h"

#define SLICES	  10
#define PARAMETER "/sys/module/rxe_odp/parameters/gso"

static const char *const modes[] = { "one by one", "together" };

static void sample(struct flow *flow, size_t bytes, unsigned int round)
{
	double slice = env_number("BENCH_SAMPLE_MS", 300) / 1e3 / SLICES;
	unsigned int depth = bytes <= 64 * KIB ? 32 : 8, i, k;
	enum ibv_wc_status failed;
	double rates[2][SLICES + 1];

	for (i = 0; i <= SLICES; i++)
		for (k = 0; k < 2; k++) {
			unsigned int together = (i + k) % 2;

			assert_zero(write_text(PARAMETER, together ? "Y" : "N"));
			rates[together][i] =
				flows_rate(flow, 1, OP_WRITE, bytes, depth, slice, &failed);
			if (failed != IBV_WC_SUCCESS)
				fail_because("a write: %s", ibv_wc_status_str(failed));
		}
	/* The first touches of the pages and of the caches are not the subject. */
	for (k = 0; k < 2; k++)
		row("gso", "rxe_odp", "write", modes[k], bytes, 1, round,
		    median(rates[k] + 1, SLICES), "MB/s");
}

int main(void)
{
	static const size_t sizes[] = { 64 * KIB, MIB };
	struct rig rig, peer;
	unsigned int round, s;
	struct flow flow;

	driver_open(&rig, OURS);
	driver_open_peer(&peer, OURS);
	flow_open(&flow, &rig, &peer, MIB, 0);
	for (round = 1; round <= ROUNDS; round++)
		for (s = 0; s < ARRAY_SIZE(sizes); s++)
			sample(&flow, sizes[s], round);
	assert_zero(write_text(PARAMETER, "Y"));
	flow_close(&flow);
	rig_close(&rig);
	rig_close(&peer);
	return 0;
}
