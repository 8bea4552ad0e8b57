// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every operation, every path MTU, each end pinned or on-demand, at offsets and lengths around page and MTU
 * boundaries, with every byte compared and the guards too.
 *
 * One buffer serves all cases of a combination, at different places of it, so that cold and warm pages, and pages with
 * and without write permission, meet in one message. On a slow kernel the cases are thinned by a fixed stride.
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
	size_t stride = slow_kernel() ? 11 : 3, n = 0, o, l;
	struct buf from, to;

	buf_make(&from, pair->a.rig->pd, MEM_ANON, 16 * SPAN, 0, ACCESS_ALL | from_odp);
	buf_make(&to, pair->b.rig->pd, MEM_ANON, 16 * SPAN, 0, ACCESS_ALL | to_odp);
	for (o = 0; o < ARRAY_SIZE(offsets); o++) {
		for (l = 0; l < ARRAY_SIZE(around); l++, n++) {
			size_t from_at, to_at;

			/* Another third of the cases for each combination: all are met in sum. */
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

TEST_MAIN(TEST(write_), TEST(write_imm), TEST(read_), TEST(send_), TEST(send_imm))
