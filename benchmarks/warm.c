// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What paging costs where every page is there: write, read and send of 64 bytes to 1 MiB by 1 to 16
 * queue pairs that share one region at either end, pinned and on demand by turns, with the same
 * queue pairs and the same memory; both ends on one device by packets, across a veth, and without
 * packets. Ours alone.
 */
#include "bench.h"

#define QPS	  16
#define BUF_BYTES MIB

enum way { LO, ACROSS, LOCAL, WAYS };

static const char *const parts[WAYS] = { "warm", "warm-veth", "warm-local" };

/* The same queue pairs, each with a piece of the region. */
struct bed {
	struct flow flows[2][QPS]; /* by odp */
	struct ibv_mr *from[2], *to[2];
	struct ibv_mr from_pieces[2][QPS], to_pieces[2][QPS];
};

static struct ibv_mr piece(const struct ibv_mr *mr, unsigned int i)
{
	struct ibv_mr p = *mr;

	p.addr = (uint8_t *)mr->addr + i * BUF_BYTES;
	p.length = BUF_BYTES;
	return p;
}

static struct ibv_mr *reg(struct rig *rig, void *map, bool odp)
{
	struct ibv_mr *mr = ibv_reg_mr(rig->pd, map, QPS * BUF_BYTES,
				       ACCESS_ALL | (odp ? IBV_ACCESS_ON_DEMAND : 0));

	if (!mr)
		fail_because("ibv_reg_mr: errno %d", errno);
	return mr;
}

static void bed_open(struct bed *bed, struct rig *from_rig, struct rig *to_rig)
{
	void *from = map_pages(QPS * BUF_BYTES), *to = map_pages(QPS * BUF_BYTES);
	struct conn conn = bench_conn();
	unsigned int i, odp;

	memset(bed, 0, sizeof(*bed));
	memset(from, 1, QPS * BUF_BYTES);
	memset(to, 2, QPS * BUF_BYTES);
	for (odp = 0; odp <= 1; odp++) {
		bed->from[odp] = reg(from_rig, from, odp);
		bed->to[odp] = reg(to_rig, to, odp);
	}
	for (i = 0; i < QPS; i++) {
		ends_open(&bed->flows[0][i].a, from_rig, &bed->flows[0][i].b, to_rig, &conn);
		bed->flows[1][i] = bed->flows[0][i];
		for (odp = 0; odp <= 1; odp++) {
			bed->from_pieces[odp][i] = piece(bed->from[odp], i);
			bed->to_pieces[odp][i] = piece(bed->to[odp], i);
			bed->flows[odp][i].from = &bed->from_pieces[odp][i];
			bed->flows[odp][i].to = &bed->to_pieces[odp][i];
		}
	}
}

static void bed_close(struct bed *bed)
{
	unsigned int i, odp;

	for (i = 0; i < QPS; i++) {
		end_close(&bed->flows[0][i].a);
		end_close(&bed->flows[0][i].b);
	}
	munmap(bed->from[0]->addr, QPS * BUF_BYTES);
	munmap(bed->to[0]->addr, QPS * BUF_BYTES);
	for (odp = 0; odp <= 1; odp++) {
		assert_zero(ibv_dereg_mr(bed->from[odp]));
		assert_zero(ibv_dereg_mr(bed->to[odp]));
	}
}

static void sample(struct bed *bed, enum way way, enum op op, size_t bytes, unsigned int qps,
		   unsigned int round)
{
	struct flow *lanes[2] = { bed->flows[0], bed->flows[1] };
	enum ibv_wc_status failed[2];
	unsigned int odp;
	double rate[2];

	lanes_rates(lanes, 2, qps, op, bytes, rate, failed);
	for (odp = 0; odp <= 1; odp++) {
		if (failed[odp] != IBV_WC_SUCCESS)
			fail_because("%s of %zu bytes: %s", op_name(op), bytes,
				     ibv_wc_status_str(failed[odp]));
		row(parts[way], "rxe_odp", op_name(op), mode_names[odp], bytes, qps, round,
		    rate[odp], "MB/s");
	}
}

static void measure(struct bed *beds, unsigned int round)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	static const size_t sizes[] = { 64, 512, 4 * KIB, 64 * KIB, MIB };
	static const unsigned int qps[] = { 1, 4, 16 };
	unsigned int way, o, s, q;

	for (way = 0; way < WAYS; way++) {
		setenv("RDMA_ODP_DEVICE", "rxe_odp0", 1);
		rig_set_local(way == LOCAL);
		for (o = 0; o < ARRAY_SIZE(ops); o++)
			for (s = 0; s < ARRAY_SIZE(sizes); s++)
				for (q = 0; q < ARRAY_SIZE(qps); q++)
					sample(&beds[way == ACROSS], way, ops[o], sizes[s], qps[q],
					       round);
	}
	/* The programs behind this one measure packets. */
	rig_set_local(false);
}

int main(void)
{
	static struct bed beds[2];
	struct rig rig, peer;
	unsigned int round;

	driver_open(&rig, OURS);
	driver_open_peer(&peer, OURS);
	bed_open(&beds[0], &rig, &rig);
	bed_open(&beds[1], &rig, &peer);
	for (round = 1; round <= ROUNDS; round++)
		measure(beds, round);
	bed_close(&beds[0]);
	bed_close(&beds[1]);
	rig_close(&rig);
	rig_close(&peer);
	return 0;
}
