// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bandwidth between two namespaces whose netdevs are ports of a bridge in a third (lib/guest), of ours, pinned and warm ODP, and of
 * stock rxe. The samples alternate.
 */
#include "bench.h"

#define QPS 4

enum lane { PINNED, ODP, STOCK_RXE, LANES };

static const struct {
	const char *device, *driver, *mode;
	int access;
} lanes[] = {
	[PINNED] = { "rxe_odp_b0", "rxe_odp", "pinned", 0 },
	[ODP] = { "rxe_odp_b0", "rxe_odp", "odp", IBV_ACCESS_ON_DEMAND },
	[STOCK_RXE] = { "rxe_b0", "rxe", "pinned", 0 },
};

static struct rig from[LANES], to[LANES];
static struct flow flows[LANES][QPS];

/* Stock rxe's devices are in this namespace, wherever their netdev is. */
static void lane_open(enum lane lane)
{
	unsigned int i;

	setenv("RDMA_ODP_DEVICE", lanes[lane].device, 1);
	rig_open(&from[lane]);
	if (lane == STOCK_RXE) {
		setenv("RDMA_ODP_DEVICE", "rxe_b1", 1);
		rig_open(&to[lane]);
	} else {
		rig_open_peer(&to[lane]);
	}
	for (i = 0; i < QPS; i++)
		flow_open(&flows[lane][i], &from[lane], &to[lane], MIB, lanes[lane].access);
}

static void lane_close(enum lane lane)
{
	unsigned int i;

	for (i = 0; i < QPS; i++)
		flow_close(&flows[lane][i]);
	rig_close(&from[lane]);
	rig_close(&to[lane]);
}

static void sample(unsigned int num, enum op op, size_t bytes, unsigned int qps, unsigned int round)
{
	struct flow *of[LANES];
	enum ibv_wc_status failed[LANES];
	double rates[LANES];
	unsigned int k;

	for (k = 0; k < num; k++)
		of[k] = flows[k];
	lanes_rates(of, num, qps, op, bytes, rates, failed);
	for (k = 0; k < num; k++) {
		row_rate("bridge", lanes[k].driver, op_name(op), lanes[k].mode, bytes, qps, round,
			 rates[k], failed[k]);
		if (failed[k] != IBV_WC_SUCCESS) {
			lane_close(k);
			lane_open(k);
		}
	}
}

int main(void)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	unsigned int num = driver_wanted(STOCK) ? LANES : STOCK_RXE, round, l, o, s;

	for (l = 0; l < num; l++)
		lane_open(l);
	for (round = 1; round <= ROUNDS; round++)
		for (o = 0; o < ARRAY_SIZE(ops); o++)
			for (s = 0; s < ARRAY_SIZE(sizes); s++) {
				sample(num, ops[o], sizes[s], 1, round);
				sample(num, ops[o], sizes[s], QPS, round);
			}
	for (l = 0; l < num; l++)
		lane_close(l);
	return 0;
}
