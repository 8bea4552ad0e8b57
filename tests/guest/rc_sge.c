// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Scatter and gather: pieces of several regions, empty ones among them, become one message and are laid out again. */
#include "pair.h"

#define BYTES 20000UL

static const size_t cuts[] = { 0, 1, 4097, 4097, BYTES }; /* four pieces, one of them empty */

/* Piece i lies at another place of the buffer than its turn tells. */
static void pieces(struct ibv_sge *sge, struct buf *buf)
{
	int i;

	for (i = 0; i < 4; i++)
		sge[i] = buf_sge(buf, (3 - i) * (BYTES + 64) + 5 * i, cuts[i + 1] - cuts[i]);
}

static void run(void **state, enum ibv_wr_opcode opcode)
{
	struct conn conn = CONN;
	struct ibv_sge src[4], dst[4];
	struct buf from, to, flat;
	struct ibv_send_wr wr;
	struct pair pair;
	int i, odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 4 * BYTES + 512, 13, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 4 * BYTES + 512, 29, ACCESS_ALL | odp);
	buf_make(&flat, pair.b.rig->pd, MEM_ANON, BYTES, 4095, ACCESS_ALL | odp);
	pieces(src, &from);
	pieces(dst, &to);
	if (opcode == IBV_WR_RDMA_READ) {
		pattern_fill(flat.data, BYTES, 21, 0);
		wr = wr_rdma(opcode, src, 4, &flat, 0);
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		for (i = 0; i < 4; i++)
			pattern_check((void *)src[i].addr, src[i].length, 21, cuts[i],
				      "a scattered read");
	} else {
		for (i = 0; i < 4; i++)
			pattern_fill((void *)src[i].addr, src[i].length, 22, cuts[i]);
		wr = wr_rdma(opcode, src, 4, &flat, 0);
		if (opcode == IBV_WR_SEND)
			end_post_recv(&pair.b, 1, dst, 4);
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		if (opcode == IBV_WR_SEND) {
			assert_int_equal(cq_success(pair.b.rcq).byte_len, BYTES);
			for (i = 0; i < 4; i++)
				pattern_check((void *)dst[i].addr, dst[i].length, 22, cuts[i],
					      "a scattered receive");
		} else {
			pattern_check(flat.data, BYTES, 22, 0, "a gathered write");
		}
	}
	buf_free(&from);
	buf_free(&to);
	buf_free(&flat);
	pair_close(&pair);
}

static void gather_write(void **state)
{
	run(state, IBV_WR_RDMA_WRITE);
}
static void scatter_read(void **state)
{
	run(state, IBV_WR_RDMA_READ);
}
static void gather_and_scatter_send(void **state)
{
	run(state, IBV_WR_SEND);
}

TEST_MAIN(TEST_BOTH(gather_write), TEST_BOTH(scatter_read), TEST_BOTH(gather_and_scatter_send))
