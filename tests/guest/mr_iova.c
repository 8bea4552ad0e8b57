// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A registration whose iova is not its virtual address: remote and local addresses are iovas, the data lands at the
 * memory, and the memory's own virtual address is out of bounds.
 */
#include "pair.h"

#define BYTES (5 * PAGE + 100)
#define AT    17 /* in the first page, of the memory and of the iova */

static const uint64_t iovas[] = { 0, 0x10000, 1ULL << 46, 0xfffffffff0000000ULL };

static void make_at(struct buf *buf, struct ibv_pd *pd, enum mem kind, size_t bytes, uint64_t iova,
		    int odp)
{
	buf_map(buf, kind, bytes, iova % PAGE);
	buf->mr = ibv_reg_mr_iova(pd, buf->data, bytes, iova, ACCESS_ALL | odp);
	assert_non_null(buf->mr);
}

/* Local memory, and the remote memory of a work request, at an address of the caller's choice. */
static struct ibv_sge sge_at(const struct buf *buf, uint64_t addr, size_t bytes)
{
	return (struct ibv_sge){ addr, bytes, buf->mr->lkey };
}

static struct ibv_send_wr wr_at(enum ibv_wr_opcode opcode, struct ibv_sge *sge,
				const struct buf *remote, uint64_t addr)
{
	struct ibv_send_wr wr = wr_rdma(opcode, sge, 1, remote, 0);

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr = wr_atomic(opcode, sge, remote, 0, 1, 0);
		wr.wr.atomic.remote_addr = addr;
	} else {
		wr.wr.rdma.remote_addr = addr;
	}
	return wr;
}

static void post_and_succeed(struct pair *pair, struct ibv_send_wr wr)
{
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
}

/* All but the first and the last byte, by every operation and back. */
static void every_operation(struct pair *pair, struct buf *from, uint64_t from_iova, struct buf *to,
			    uint64_t to_iova)
{
	size_t bytes = from->bytes - 2;
	struct ibv_sge sge = sge_at(from, from_iova + 1, bytes);
	struct ibv_sge recv = sge_at(to, to_iova + 1, bytes);
	uint64_t before, now;
	size_t word;

	pattern_fill(from->data, from->bytes, 1, 0);
	post_and_succeed(pair, wr_at(IBV_WR_RDMA_WRITE, &sge, to, to_iova + 1));
	pattern_check(to->data + 1, bytes, 1, 1, "a write through iovas");
	memset(from->data, 0, from->bytes);
	post_and_succeed(pair, wr_at(IBV_WR_RDMA_READ, &sge, to, to_iova + 1));
	pattern_check(from->data + 1, bytes, 1, 1, "a read through iovas");

	pattern_fill(from->data, from->bytes, 2, 0);
	end_post_recv(&pair->b, 1, &recv, 1);
	post_and_succeed(pair, wr_make(IBV_WR_SEND, &sge, 1));
	cq_success(pair->b.rcq);
	pattern_check(to->data + 1, bytes, 2, 1, "a send through iovas");
	assert_int_equal(to->data[0], 0);
	assert_int_equal(to->data[bytes + 1], 0);

	/* Aligned in both, since an iova and its memory are the same bytes of a page. */
	word = bytes / 2;
	word += -(to_iova + word) % 8;
	memcpy(&before, to->data + word, 8);
	sge = sge_at(from, from_iova + 3, 8);
	post_and_succeed(pair, wr_at(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, to, to_iova + word));
	memcpy(&now, to->data + word, 8);
	assert_true(now == before + 1);
	memcpy(&now, from->data + 3, 8);
	assert_true(now == before);
	pattern_check(to->data + 1, word - 1, 2, 1, "before the atomic");
	pattern_check(to->data + word + 8, bytes + 1 - word - 8, 2, word + 8, "behind the atomic");
	pattern_check(from->data, 3, 2, 0, "before its answer");
	pattern_check(from->data + 11, bytes - 9, 2, 11, "behind its answer");
}

static void through_iova(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	size_t i;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	for (i = 0; i < ARRAY_SIZE(iovas); i++) {
		uint64_t from_iova = iovas[i] + AT + 3 * PAGE, to_iova = iovas[i] + AT;

		make_at(&from, pair.a.rig->pd, MEM_ANON, BYTES, from_iova, odp);
		make_at(&to, pair.b.rig->pd, MEM_ANON, BYTES, to_iova, odp);
		every_operation(&pair, &from, from_iova, &to, to_iova);
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

/* A huge page begins at other places of the iovas than of the memory. */
static void huge_pages_elsewhere(void **state)
{
	size_t bytes = slow_kernel() ? 3 * MIB : 5 * MIB;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int odp;

	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	make_at(&from, pair.a.rig->pd, MEM_HUGE, bytes, 7 * PAGE + AT, odp);
	make_at(&to, pair.b.rig->pd, MEM_HUGE, bytes, (1ULL << 40) + MIB + AT, odp);
	every_operation(&pair, &from, 7 * PAGE + AT, &to, (1ULL << 40) + MIB + AT);
	printf("%ld and %ld KiB of huge pages\n", smaps_kb(from.data, "AnonHugePages"),
	       smaps_kb(to.data, "AnonHugePages"));
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void refused(struct pair *pair, struct ibv_send_wr wr, enum ibv_wc_status status)
{
	end_post(&pair->a, &wr);
	cq_expect(pair->a.scq, status);
	pair_reconnect(pair);
}

/* Eight bytes from there on, as remote and as local memory. */
static void is_out_of_bounds(struct pair *pair, struct buf *mem, uint64_t addr, struct buf *other)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						      IBV_WR_ATOMIC_FETCH_AND_ADD };
	struct ibv_sge good = buf_sge(other, 0, 8), bad = sge_at(mem, addr, 8);
	struct ibv_send_wr wr;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		/* An atomic at such an address may be refused for its alignment. */
		if (opcodes[i] != IBV_WR_ATOMIC_FETCH_AND_ADD || addr % 8 == 0)
			refused(pair, wr_at(opcodes[i], &good, mem, addr), IBV_WC_REM_ACCESS_ERR);
		refused(pair, wr_at(opcodes[i], &bad, other, (uintptr_t)other->data),
			IBV_WC_LOC_PROT_ERR);
	}
	refused(pair, wr_make(IBV_WR_SEND, &bad, 1), IBV_WC_LOC_PROT_ERR);
	end_post_recv(&pair->b, 1, &bad, 1);
	wr = wr_make(IBV_WR_SEND, &good, 1);
	end_post(&pair->a, &wr);
	cq_expect(pair->b.rcq, IBV_WC_LOC_PROT_ERR);
	cq_expect(pair->a.scq, IBV_WC_REM_OP_ERR);
	pair_reconnect(pair);
}

static void the_rest_is_out_of_bounds(void **state)
{
	const uint64_t iova = 0x40000;
	struct conn conn = CONN;
	struct buf mem, other;
	struct pair pair;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&other, pair.rig.pd, MEM_ANON, 64, 0, ACCESS_ALL | odp);
	make_at(&mem, pair.rig.pd, MEM_ANON, BYTES + 4, iova, odp);
	pattern_fill(mem.data, mem.bytes, 1, 0);
	is_out_of_bounds(&pair, &mem, (uintptr_t)mem.data, &other);
	is_out_of_bounds(&pair, &mem, iova - 8, &other);
	is_out_of_bounds(&pair, &mem, iova - 1, &other);
	is_out_of_bounds(&pair, &mem, iova + mem.bytes - 7, &other);
	is_out_of_bounds(&pair, &mem, iova + mem.bytes, &other);
	pattern_check(mem.data, mem.bytes, 1, 0, "the region");
	buf_free(&other);
	buf_free(&mem);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(through_iova), TEST_BOTH(huge_pages_elsewhere),
	  TEST_BOTH(the_rest_is_out_of_bounds))
