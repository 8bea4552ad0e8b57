// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every operation, every path MTU, each end pinned or on-demand, at offsets and lengths around page and MTU
 * boundaries, with every byte compared and the guards too.
 *
 * One buffer serves all cases of a combination, at different places of it, so that cold and warm pages, and pages with
 * and without write permission, meet in one message. On a slow kernel the cases are thinned by a fixed stride. Atomics are done at
 * every place that they may have in a page.
 */
#include "pair.h"

static const size_t offsets[] = { 0, 1, 7, 8, 255, 2049, 4088, 4095 };
static const long around[] = { 1, 255, 256, 257, 1023, 1025, 4095, 4096, 4097, 8191, 8193, 12289 };

#define SPAN (8 * PAGE)

static void one_case(struct pair *pair, enum op op, struct buf *from, struct buf *to,
		     size_t from_at, size_t to_at, size_t bytes, uint32_t seed)
{
	char what[120];
	size_t end = to_at + bytes;

	pattern_fill(from->data + from_at, bytes, seed, 0);
	memset(to->data + to_at, 0x11, bytes);
	memset(to->data + to_at - 64, 0x22, 64);
	memset(to->data + end, 0x33, 64);
	pair_move(pair, op, from, from_at, to, to_at, bytes);
	snprintf(what, sizeof(what), "%s, path MTU %d, from +%zu to +%zu, %zu bytes", op_name(op),
		 128 << pair->conn.mtu, from_at, to_at, bytes);
	pattern_check(to->data + to_at, bytes, seed, 0, what);
	for (size_t i = 0; i < 64; i++)
		if (to->data[to_at - 64 + i] != 0x22 || to->data[end + i] != 0x33)
			fail_because("%s: bytes around the target changed", what);
}

static void combination(struct pair *pair, enum op op, int from_odp, int to_odp)
{
	size_t stride = slow_kernel() ? 11 : 1, n = 0, o, l;
	struct buf from, to;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, 16 * SPAN, 0, ACCESS_ALL | from_odp);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, 16 * SPAN, 0, ACCESS_ALL | to_odp);
	for (o = 0; o < ARRAY_SIZE(offsets); o++) {
		for (l = 0; l < ARRAY_SIZE(around); l++, n++) {
			size_t from_at, to_at;

			/* Others for each combination: all are met in sum. */
			if ((n + op + pair->conn.mtu + !!from_odp + !!to_odp) % stride)
				continue;
			from_at = (n % 14) * SPAN + PAGE + offsets[o];
			to_at = (n * 5 % 14) * SPAN + PAGE + offsets[(o + l) % ARRAY_SIZE(offsets)];
			one_case(pair, op, &from, &to, from_at, to_at, around[l], n);
		}
	}
	buf_free(&from);
	buf_free(&to);
}

static void run(enum op op)
{
	int mtu, ends;

	for (mtu = IBV_MTU_256; mtu <= IBV_MTU_4096; mtu++) {
		struct conn conn = CONN;
		struct pair pair;

		conn.mtu = mtu;
		pair_open(&pair, &conn);
		rig_need_odp(&pair.rig, 0, 0);
		for (ends = 0; ends < 4; ends++)
			combination(&pair, op, ends & 1 ? IBV_ACCESS_ON_DEMAND : 0,
				    ends & 2 ? IBV_ACCESS_ON_DEMAND : 0);
		pair_close(&pair);
	}
}

static void write_(void **state)
{
	(void)state;
	run(OP_WRITE);
}
static void write_imm(void **state)
{
	(void)state;
	run(OP_WRITE_IMM);
}
static void read_(void **state)
{
	(void)state;
	run(OP_READ);
}
static void send_(void **state)
{
	(void)state;
	run(OP_SEND);
}
static void send_imm(void **state)
{
	(void)state;
	run(OP_SEND_IMM);
}

/* Fetch-and-add and compare-and-swap at that place: what was there, and what is there now. */
static void atomics_at(struct pair *pair, struct buf *local, struct buf *to, size_t local_at,
		       size_t at)
{
	struct ibv_sge sge = buf_sge(local, local_at, 8);
	uint64_t start, old, now;
	struct ibv_send_wr wr;

	pattern_fill(to->data + at - 8, 24, at, 0);
	memcpy(&start, to->data + at, 8);
	wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, to, at, 5, 0);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	memcpy(&old, local->data + local_at, 8);
	memcpy(&now, to->data + at, 8);
	if (old != start || now != start + 5)
		fail_because("fetch-and-add at +%zu: %#lx, then %#lx", at, (long)old, (long)now);
	wr = wr_atomic(IBV_WR_ATOMIC_CMP_AND_SWP, &sge, to, at, start + 5, ~start);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	memcpy(&old, local->data + local_at, 8);
	memcpy(&now, to->data + at, 8);
	if (old != start + 5 || now != ~start)
		fail_because("compare-and-swap at +%zu: %#lx, then %#lx", at, (long)old, (long)now);
	pattern_check(to->data + at - 8, 8, at, 0, "before the atomic");
	pattern_check(to->data + at + 8, 8, at, 16, "behind the atomic");
}

static void atomic(void **state)
{
	size_t step = slow_kernel() ? 7 : 1, at;
	struct conn conn = CONN;
	struct buf local, to;
	struct pair pair;
	int ends;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	for (ends = 0; ends < 4; ends++) {
		buf_make(&local, pair.a.rig->pd, MEM_ANON, 4 * PAGE, 0,
			 ACCESS_ALL | (ends & 1 ? IBV_ACCESS_ON_DEMAND : 0));
		buf_make(&to, pair.b.rig->pd, MEM_ANON, 4 * PAGE, 0,
			 ACCESS_ALL | (ends & 2 ? IBV_ACCESS_ON_DEMAND : 0));
		/* The answer goes to any place, over the end of a page too. */
		for (at = PAGE - 64; at < 2 * PAGE + 64; at += 8 * step)
			atomics_at(&pair, &local, &to, PAGE - 16 + at / 8 % 31, at);
		buf_free(&local);
		buf_free(&to);
	}
	pair_close(&pair);
}

TEST_MAIN(TEST(write_), TEST(write_imm), TEST(read_), TEST(send_), TEST(send_imm), TEST(atomic))
