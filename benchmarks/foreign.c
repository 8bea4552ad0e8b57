// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bandwidth across a veth with stock rxe as the other end, which asks or answers, beside stock rxe with itself. Plain RoCEv2: what
 * two ends of ours agree on is not there. One queue pair, pinned memory; the samples alternate.
 */
#include "bench.h"

enum lane { OURS_TO_STOCK, STOCK_TO_OURS, STOCK_TO_STOCK, LANES };

static const struct {
	const char *name, *from, *to;
} lanes[] = {
	[OURS_TO_STOCK] = { "ours to rxe", "rxe_odp2", "rxe2" },
	[STOCK_TO_OURS] = { "rxe to ours", "rxe2", "rxe_odp2" },
	[STOCK_TO_STOCK] = { "rxe to rxe", "rxe0", "rxe1" },
};

static void open_named(struct rig *rig, const char *device)
{
	setenv("RDMA_ODP_DEVICE", device, 1);
	rig_open(rig);
}

static void sample(struct flow *flows, enum op op, size_t bytes, unsigned int round)
{
	struct flow *of[LANES];
	enum ibv_wc_status failed[LANES];
	double rates[LANES];
	unsigned int k;

	for (k = 0; k < LANES; k++)
		of[k] = &flows[k];
	lanes_rates(of, LANES, 1, op, bytes, rates, failed);
	for (k = 0; k < LANES; k++)
		row_rate("foreign", lanes[k].name, op_name(op), "pinned", bytes, 1, round, rates[k],
			 failed[k]);
}

int main(void)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	struct rig from[LANES], to[LANES];
	struct flow flows[LANES];
	unsigned int round, l, o, s;

	if (!driver_wanted(STOCK)) {
		printf("stock rxe is not there\n");
		return 0;
	}
	for (round = 1; round <= ROUNDS; round++)
		for (o = 0; o < ARRAY_SIZE(ops); o++)
			for (s = 0; s < ARRAY_SIZE(sizes); s++) {
				/* Afresh, whatever the last sample has left. */
				for (l = 0; l < LANES; l++) {
					open_named(&from[l], lanes[l].from);
					open_named(&to[l], lanes[l].to);
					flow_open(&flows[l], &from[l], &to[l], MIB, 0);
				}
				sample(flows, ops[o], sizes[s], round);
				for (l = 0; l < LANES; l++) {
					flow_close(&flows[l]);
					rig_close(&from[l]);
					rig_close(&to[l]);
				}
			}
	return 0;
}
