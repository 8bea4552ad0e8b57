// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A registration whose iova is not its virtual address: remote and local addresses are iovas, the data lands at the
 * memory, and the memory's own virtual address is out of bounds.
 */
#include "pair.h"

#define BYTES (5 * PAGE + 100)

static const uint64_t iovas[] = { 0, 0x10000, 1ULL << 46, 0xfffffffff0000000ULL };

static void through_iova(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	size_t i;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	for (i = 0; i < ARRAY_SIZE(iovas); i++) {
		buf_map(&from, MEM_ANON, BYTES, 17);
		buf_map(&to, MEM_ANON, BYTES, 17);
		from.mr = ibv_reg_mr_iova(pair.a.rig->pd, from.data, BYTES,
					  iovas[i] + 17 + 3 * PAGE, ACCESS_ALL | odp);
		to.mr = ibv_reg_mr_iova(pair.b.rig->pd, to.data, BYTES, iovas[i] + 17,
					ACCESS_ALL | odp);
		assert_non_null(from.mr);
		assert_non_null(to.mr);
		pattern_fill(from.data, BYTES, i, 0);
		sge = (struct ibv_sge){ iovas[i] + 17 + 3 * PAGE + 1, BYTES - 2, from.mr->lkey };
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		wr.wr.rdma.remote_addr = iovas[i] + 17 + 1;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		pattern_check(to.data + 1, BYTES - 2, i, 1, "a write through iovas");
		/* And back by a read, into the first bytes that the write left out. */
		memset(from.data, 0, BYTES);
		wr.opcode = IBV_WR_RDMA_READ;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		pattern_check(from.data + 1, BYTES - 2, i, 1, "a read through iovas");
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

static void the_va_is_out_of_bounds(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL | odp);
	buf_map(&to, MEM_ANON, BYTES, 0);
	pattern_fill(to.data, BYTES, 1, 0);
	to.mr = ibv_reg_mr_iova(pair.b.rig->pd, to.data, BYTES, 0x40000, ACCESS_ALL | odp);
	assert_non_null(to.mr);
	sge = buf_sge(&from, 0, 64);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	pattern_check(to.data, BYTES, 1, 0, "the region");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(through_iova), TEST_BOTH(the_va_is_out_of_bounds))
