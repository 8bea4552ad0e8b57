// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Writes across a veth, by packets that go one by one with an ICRC each, that go through the host together (the module's
 * parameter gso), that fill the netdev's frames, too (frames), and that have no ICRC (icrc), by turns.
 */
#include "bench.h"

#define PARAMETERS "/sys/module/rxe_odp/parameters/"
/* In which both ends find out, by probes, what packets may be like. */
#define SETTLE_S 0.1

static const struct {
	const char *name, *gso, *frames, *icrc;
} modes[] = {
	{ "one by one", "N", "N", "Y" },   { "full frames", "N", "Y", "Y" },
	{ "together", "Y", "N", "Y" },	   { "full frames together", "Y", "Y", "Y" },
	{ "without ICRC", "Y", "N", "N" },
};

static void set_mode(unsigned int mode)
{
	assert_zero(write_text(PARAMETERS "gso", modes[mode].gso));
	assert_zero(write_text(PARAMETERS "frames", modes[mode].frames));
	assert_zero(write_text(PARAMETERS "icrc", modes[mode].icrc));
}

static void sample(struct flow *flow, size_t bytes, unsigned int round)
{
	double slice = env_number("BENCH_SAMPLE_MS", 300) / 1e3 / SLICES;
	unsigned int depth = bytes <= 64 * KIB ? 32 : 8, i, k;
	double rates[ARRAY_SIZE(modes)][SLICES + 1];
	long again = rig_counter("retried_pkts");
	enum ibv_wc_status failed;

	for (i = 0; i <= SLICES; i++)
		for (k = 0; k < ARRAY_SIZE(modes); k++) {
			unsigned int mode = (i + k) % ARRAY_SIZE(modes);

			set_mode(mode);
			flows_rate(flow, 1, OP_WRITE, bytes, depth, SETTLE_S, &failed);
			rates[mode][i] =
				flows_rate(flow, 1, OP_WRITE, bytes, depth, slice, &failed);
			if (failed != IBV_WC_SUCCESS)
				fail_because("a write: %s", ibv_wc_status_str(failed));
		}
	/* After a loss packets go one by one with an ICRC for a while, whatever the parameters say. */
	if (rig_counter("retried_pkts") != again) {
		row_failed("gso", "rxe_odp", "write", "-", bytes, 1, round, "packets were lost");
		return;
	}
	/* The first touches of the pages and of the caches are not the subject. */
	for (k = 0; k < ARRAY_SIZE(modes); k++)
		row("gso", "rxe_odp", "write", modes[k].name, bytes, 1, round,
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
	set_mode(ARRAY_SIZE(modes) - 1);
	flow_close(&flow);
	rig_close(&rig);
	rig_close(&peer);
	return 0;
}
