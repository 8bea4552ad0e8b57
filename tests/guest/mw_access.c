// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a peer reaches through a memory window: each operation, over each kind of region, to the byte at both ends, by the
 * window's own rights; and where addresses begin at zero, in a window or in a region.
 */
#include "dmabuf.h"
#include "method.h"
#include "mw.h"

#include <sys/mman.h>
#include <unistd.h>

#define REGION (4 * PAGE)
#define AT     1000UL /* where in the region the window is; 8 divides it */
#define BYTES  5000UL

static const enum ibv_mw_type types[] = { IBV_MW_TYPE_1, IBV_MW_TYPE_2 };

struct bed {
	struct pair pair;
	struct buf local, region;
	struct ibv_mw *mw;
	uint64_t base; /* the peer's name for the window's first byte */
};

static void bed_open_over(struct bed *bed, enum ibv_qp_type qp_type, enum ibv_mw_type type)
{
	struct conn conn = CONN;

	conn.type = qp_type;
	pair_open(&bed->pair, &conn);
	buf_make(&bed->local, bed->pair.a.rig->pd, MEM_ANON, REGION, 0, ACCESS_ALL);
	bed->mw = mw_make(bed->pair.b.rig->pd, type);
}

static void bed_open(struct bed *bed, enum ibv_mw_type type)
{
	bed_open_over(bed, IBV_QPT_RC, type);
}

static void bed_region(struct bed *bed, void **state)
{
	buf_make(&bed->region, bed->pair.b.rig->pd, MEM_ANON, REGION, 0,
		 ACCESS_BIND | mode(&bed->pair.rig, state));
	bed->base = (uintptr_t)bed->region.data + AT;
}

static void bed_close(struct bed *bed)
{
	mw_free(bed->mw);
	buf_free(&bed->local);
	pair_close(&bed->pair);
}

/* The window's bytes are those of a seed, the region's others another's. */
static void check_region(const uint8_t *data, uint32_t in, uint32_t out)
{
	pattern_check(data, AT, out, 0, "before the window");
	pattern_check(data + AT, BYTES, in, 0, "the window");
	pattern_check(data + AT + BYTES, REGION - AT - BYTES, out, AT + BYTES, "behind the window");
}

static void write_and_read(struct bed *bed, uint8_t *data)
{
	pattern_fill(data, REGION, 1, 0);
	pattern_fill(bed->local.data, BYTES, 2, 0);
	mw_granted(&bed->pair, IBV_WR_RDMA_WRITE, &bed->local, BYTES, bed->mw->rkey, bed->base);
	check_region(data, 2, 1);
	memset(bed->local.data, 0, BYTES);
	mw_granted(&bed->pair, IBV_WR_RDMA_READ, &bed->local, BYTES, bed->mw->rkey, bed->base);
	pattern_check(bed->local.data, BYTES, 2, 0, "what was read");
}

static void write_with_immediate(struct bed *bed, uint8_t *data)
{
	pattern_fill(bed->local.data, BYTES, 3, 0);
	end_post_recv(&bed->pair.b, 1, NULL, 0);
	mw_granted(&bed->pair, IBV_WR_RDMA_WRITE_WITH_IMM, &bed->local, BYTES, bed->mw->rkey,
		   bed->base);
	assert_int_equal(cq_success(bed->pair.b.rcq).byte_len, BYTES);
	check_region(data, 3, 1);
}

static void add(struct bed *bed, uint8_t *data)
{
	uint64_t before, after;

	memcpy(&before, data + AT, sizeof(before));
	mw_granted(&bed->pair, IBV_WR_ATOMIC_FETCH_AND_ADD, &bed->local, 8, bed->mw->rkey,
		   bed->base);
	memcpy(&after, data + AT, sizeof(after));
	assert_true(after == before + 1);
	assert_memory_equal(bed->local.data, &before, sizeof(before));
}

/* As buf_forget() leaves them, nobody has touched the window's pages. */
static void cold(struct bed *bed)
{
	buf_forget(&bed->region);
	mw_granted(&bed->pair, IBV_WR_RDMA_WRITE, &bed->local, BYTES, bed->mw->rkey, bed->base);
	assert_memory_equal(bed->local.data, bed->region.data + AT, BYTES);
	buf_forget(&bed->region);
	mw_granted(&bed->pair, IBV_WR_RDMA_READ, &bed->local, BYTES, bed->mw->rkey, bed->base);
	assert_memory_equal(bed->local.data, bed->region.data + AT, BYTES);
	buf_forget(&bed->region);
	mw_granted(&bed->pair, IBV_WR_ATOMIC_FETCH_AND_ADD, &bed->local, 8, bed->mw->rkey,
		   bed->base);
	assert_int_equal(bed->region.data[AT], 1);
}

static void each_operation(void **state)
{
	struct bed bed;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		bed_open(&bed, types[i]);
		bed_region(&bed, state);
		mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW);
		write_and_read(&bed, bed.region.data);
		write_with_immediate(&bed, bed.region.data);
		add(&bed, bed.region.data);
		if (*state)
			cold(&bed);
		/* The region's own key is none for peers. */
		mw_refused(&bed.pair, IBV_WR_RDMA_READ, &bed.local, 8, bed.region.mr->rkey,
			   bed.base);
		mw_free(bed.mw);
		buf_free(&bed.region);
		bed.mw = mw_make(bed.pair.b.rig->pd, types[i]);
		bed_close(&bed);
	}
}

/* What an unreliable connection's queue does itself: it binds, and takes back. */
static void over_uc(void **state)
{
	struct bed bed;
	size_t t;

	for (t = 0; t < ARRAY_SIZE(types); t++) {
		bed_open_over(&bed, IBV_QPT_UC, types[t]);
		bed_region(&bed, state);
		pattern_fill(bed.region.data, REGION, 1, 0);
		mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW);
		write_with_immediate(&bed, bed.region.data);
		if (types[t] == IBV_MW_TYPE_1)
			mw_unbind(&bed.pair.b, bed.mw, &bed.region);
		else
			mw_local_inv(&bed.pair.b, bed.mw->rkey);
		buf_free(&bed.region);
		bed_close(&bed);
	}
}

static void over_a_dma_buf(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, IBV_MW_TYPE_2);
	dmabuf_make(&bed.region, bed.pair.b.rig->pd, EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, REGION, 8,
		    IBV_ACCESS_LOCAL_WRITE);
	/* uverbs takes this right for memory of a process alone, and later on for any. */
	assert_zero(
		mr_rereg(bed.region.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_BIND));
	bed.base = (uintptr_t)bed.region.data + AT;
	mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW);
	write_and_read(&bed, bed.region.data);
	add(&bed, bed.region.data);
	mw_refused(&bed.pair, IBV_WR_RDMA_READ, &bed.local, BYTES + 1, bed.mw->rkey, bed.base);
	/* By then it is of no use, and still bound. */
	assert_zero(dmabuf_revoke(bed.region.fd));
	mw_refused(&bed.pair, IBV_WR_RDMA_READ, &bed.local, 8, bed.mw->rkey, bed.base);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	assert_zero(dmabuf_dereg(bed.region.mr));
	munmap(bed.region.map, bed.region.map_bytes);
	close(bed.region.fd);
	bed_close(&bed);
}

static void to_the_byte(void **state)
{
	static const enum ibv_wr_opcode ways[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };
	struct bed bed;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		bed_open(&bed, types[i]);
		bed_region(&bed, state);
		mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW);
		pattern_fill(bed.region.data, REGION, 1, 0);
		for (k = 0; k < ARRAY_SIZE(ways); k++) {
			mw_refused(&bed.pair, ways[k], &bed.local, 1, bed.mw->rkey, bed.base - 1);
			mw_refused(&bed.pair, ways[k], &bed.local, 1, bed.mw->rkey,
				   bed.base + BYTES);
			mw_refused(&bed.pair, ways[k], &bed.local, BYTES, bed.mw->rkey,
				   bed.base + 1);
			mw_refused(&bed.pair, ways[k], &bed.local, BYTES + 1, bed.mw->rkey,
				   bed.base - 1);
		}
		pattern_check(bed.region.data, REGION, 1, 0, "after writes that were refused");
		mw_granted(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.mw->rkey, bed.base);
		mw_granted(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.mw->rkey,
			   bed.base + BYTES - 1);
		mw_granted(&bed.pair, IBV_WR_ATOMIC_FETCH_AND_ADD, &bed.local, 8, bed.mw->rkey,
			   bed.base + BYTES - 8);
		mw_refused(&bed.pair, IBV_WR_ATOMIC_FETCH_AND_ADD, &bed.local, 8, bed.mw->rkey,
			   bed.base + BYTES);
		mw_free(bed.mw);
		buf_free(&bed.region);
		bed.mw = mw_make(bed.pair.b.rig->pd, types[i]);
		bed_close(&bed);
	}
}

/* Three windows over one region, each for one thing. */
static void by_its_own_rights(void **state)
{
	static const struct {
		enum ibv_wr_opcode opcode;
		int right;
	} ways[] = {
		{ IBV_WR_RDMA_WRITE, IBV_ACCESS_REMOTE_WRITE },
		{ IBV_WR_RDMA_READ, IBV_ACCESS_REMOTE_READ },
		{ IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_ACCESS_REMOTE_ATOMIC },
	};
	struct ibv_mw *mws[ARRAY_SIZE(ways)];
	struct bed bed;
	size_t i, k;

	bed_open(&bed, IBV_MW_TYPE_2);
	/* What the region gives a peer by its own key does not matter. */
	buf_make(&bed.region, bed.pair.b.rig->pd, MEM_ANON, REGION, 8,
		 ACCESS_BIND | ACCESS_WINDOW | mode(&bed.pair.rig, state));
	bed.base = (uintptr_t)bed.region.data + AT;
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		mws[i] = mw_make(bed.pair.b.rig->pd, types[i % 2]);
		mw_bind(&bed.pair.b, mws[i], &bed.region, AT, BYTES,
			ways[i].right | IBV_ACCESS_LOCAL_WRITE);
	}
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (k = 0; k < ARRAY_SIZE(ways); k++) {
			if (i == k)
				mw_granted(&bed.pair, ways[k].opcode, &bed.local, 8, mws[i]->rkey,
					   bed.base);
			else
				mw_refused(&bed.pair, ways[k].opcode, &bed.local, 8, mws[i]->rkey,
					   bed.base);
		}
	}
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		mw_free(mws[i]);
	buf_free(&bed.region);
	bed_close(&bed);
}

static void from_zero(void **state)
{
	struct bed bed;

	bed_open(&bed, IBV_MW_TYPE_2);
	bed_region(&bed, state);
	bed.base = 0;
	mw_bind(&bed.pair.b, bed.mw, &bed.region, AT, BYTES, ACCESS_WINDOW | IBV_ACCESS_ZERO_BASED);
	write_and_read(&bed, bed.region.data);
	add(&bed, bed.region.data);
	if (*state)
		cold(&bed);
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.mw->rkey, BYTES);
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 2, bed.mw->rkey, BYTES - 1);
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 2, bed.mw->rkey, UINT64_MAX);
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.mw->rkey,
		   (uintptr_t)bed.region.data + AT);
	mw_local_inv(&bed.pair.b, bed.mw->rkey);
	buf_free(&bed.region);
	bed_close(&bed);
}

/* Locally and for a peer. */
static void region_from_zero(void **state)
{
	struct ibv_sge sge = { 100, 64, 0 };
	struct ibv_send_wr wr;
	struct bed bed;

	bed_open(&bed, IBV_MW_TYPE_1);
	buf_make(&bed.region, bed.pair.b.rig->pd, MEM_ANON, REGION, 8,
		 ACCESS_ALL | IBV_ACCESS_ZERO_BASED | mode(&bed.pair.rig, state));
	pattern_fill(bed.region.data, REGION, 1, 0);
	pattern_fill(bed.local.data, REGION, 2, 0);
	mw_granted(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, REGION, bed.region.mr->rkey, 0);
	pattern_check(bed.region.data, REGION, 2, 0, "a region from zero");
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.region.mr->rkey, REGION);
	mw_refused(&bed.pair, IBV_WR_RDMA_WRITE, &bed.local, 1, bed.region.mr->rkey,
		   (uintptr_t)bed.region.data);
	sge.lkey = bed.region.mr->lkey;
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &bed.local, 0);
	end_post(&bed.pair.b, &wr);
	cq_success(bed.pair.b.scq);
	pattern_check(bed.local.data, 64, 2, 100, "sent from a region from zero");
	buf_free(&bed.region);
	bed_close(&bed);
}

TEST_MAIN(TEST_BOTH(each_operation), TEST_BOTH(over_uc), TEST(over_a_dma_buf),
	  TEST_BOTH(to_the_byte), TEST_BOTH(by_its_own_rights), TEST_BOTH(from_zero),
	  TEST_BOTH(region_from_zero))
