// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every operation, every path MTU, each end pinned or on-demand, at offsets and lengths around page and MTU
 * boundaries, with every byte compared and the guards too.
 *
 * One buffer serves all cases of a combination, at different places of it, so that pages with and
 * without write permission meet in one message. In half of the cases every page of on-demand memory
 * is dropped first, the others find what those before them left. Not every case of the product is
 * done, but every pair: any two of operation, path MTU, kinds of ends, length, offset in the source,
 * offset in the target. Atomics are done at every place that they may have in a page.
 */
#include "pair.h"

static const size_t offsets[] = { 0, 1, 7, 8, 255, 2049, 4088, 4095 };
static const long lengths[] = { 0,    1,    255,  256,	257,  511,  512,  513,	1023, 1024, 1025,
				2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193, 12289 };

#define SPAN (8 * PAGE)

/* The content of shared memory is still there when its pages are dropped. */
static void make(struct buf *buf, struct end *end, size_t bytes, bool odp)
{
	buf_make(buf, end->rig->pd, odp ? MEM_SHARED : MEM_ANON, bytes, 0,
		 ACCESS_ALL | (odp ? IBV_ACCESS_ON_DEMAND : 0));
}

/* What is on demand of the two has no page now. */
static void cool(struct buf *from, bool from_odp, struct buf *to, bool to_odp)
{
	if (from_odp)
		buf_forget(from);
	if (to_odp)
		buf_forget(to);
}

static void assert_mapped(const struct buf *buf, size_t at, bool mapped, const char *what)
{
	if (!(pagemap_entry(buf->data + at) & PAGEMAP_PRESENT) == mapped)
		fail_because("%s: the first page is %smapped", what, mapped ? "not " : "");
}

static void one_case(struct pair *pair, enum op op, struct buf *from, struct buf *to,
		     size_t from_at, size_t to_at, size_t bytes, uint32_t seed, int cold)
{
	size_t end = to_at + bytes;
	char what[120];
	int after;

	snprintf(what, sizeof(what), "%s, path MTU %d, from +%zu to +%zu, %zu bytes", op_name(op),
		 128 << pair->conn.mtu, from_at, to_at, bytes);
	pattern_fill(from->data + from_at, bytes, seed, 0);
	memset(to->data + to_at, 0x11, bytes);
	memset(to->data + to_at - 64, 0x22, 64);
	memset(to->data + end, 0x33, 64);
	cool(from, cold & 1, to, cold & 2);
	/* The process's own page comes by the NIC's fault, not only the NIC's entry for it. */
	for (after = 0; after < 2; after++) {
		if (bytes && cold & 1)
			assert_mapped(from, from_at, after, what);
		if (bytes && cold & 2)
			assert_mapped(to, to_at, after, what);
		if (!after)
			pair_move(pair, op, from, from_at, to, to_at, bytes);
	}
	pattern_check(to->data + to_at, bytes, seed, 0, what);
	for (size_t i = 0; i < 64; i++)
		if (to->data[to_at - 64 + i] != 0x22 || to->data[end + i] != 0x33)
			fail_because("%s: bytes around the target changed", what);
}

/* Each length once is enough for all pairs. */
static unsigned int cases_of_each(void)
{
	return slow_kernel() ? 9 : (slow_cpu() ? 1 : 2) * ARRAY_SIZE(lengths);
}

static void combination(struct pair *pair, enum op op, int ends)
{
	unsigned int cases = cases_of_each(), i;
	unsigned int number = ((op * 5 + pair->conn.mtu - IBV_MTU_256) * 4 + ends) * cases;
	struct buf from, to;

	make(&from, &pair->a, 16 * SPAN, ends & 1);
	make(&to, &pair->b, 16 * SPAN, ends & 2);
	for (i = 0; i < cases; i++, number++) {
		/* 21 lengths and 8 offsets: all their pairs, in 168 cases. */
		size_t from_at = i % 14 * SPAN + PAGE + offsets[number % ARRAY_SIZE(offsets)];
		size_t to_at = i * 5 % 14 * SPAN + PAGE +
			       offsets[(number + number / 8) % ARRAY_SIZE(offsets)];

		one_case(pair, op, &from, &to, from_at, to_at,
			 lengths[number % ARRAY_SIZE(lengths)], number, number / 5 & 1 ? ends : 0);
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
			combination(&pair, op, ends);
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
		       size_t at, int cold)
{
	struct ibv_sge sge = buf_sge(local, local_at, 8);
	uint64_t start, old, now;
	struct ibv_send_wr wr;

	pattern_fill(to->data + at - 8, 24, at, 0);
	memcpy(&start, to->data + at, 8);
	cool(local, cold & 1, to, cold & 2);
	wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, to, at, 5, 0);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	memcpy(&old, local->data + local_at, 8);
	memcpy(&now, to->data + at, 8);
	if (old != start || now != start + 5)
		fail_because("fetch-and-add at +%zu: %#lx, then %#lx", at, (long)old, (long)now);
	cool(local, cold & 1, to, cold & 2);
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

/* Every fifth place, the others are done with the other path MTUs. */
static void atomics(struct pair *pair)
{
	size_t step = slow_kernel() ? 56 : 8, at, n;
	struct buf local, to;
	int ends;

	for (ends = 0; ends < 4; ends++) {
		make(&local, &pair->a, 4 * PAGE, ends & 1);
		make(&to, &pair->b, 4 * PAGE, ends & 2);
		/* The answer goes to any place, over the end of a page too. */
		at = PAGE - 64 + step * (pair->conn.mtu - IBV_MTU_256);
		for (n = 0; at < 2 * PAGE + 64; at += 5 * step, n++)
			atomics_at(pair, &local, &to, PAGE - 16 + at / 8 % 31, at,
				   n & 1 ? ends : 0);
		buf_free(&local);
		buf_free(&to);
	}
}

static void atomic(void **state)
{
	int mtu;

	(void)state;
	for (mtu = IBV_MTU_256; mtu <= IBV_MTU_4096; mtu++) {
		struct conn conn = CONN;
		struct pair pair;

		conn.mtu = mtu;
		pair_open(&pair, &conn);
		rig_need_odp(&pair.rig, 0, 0);
		atomics(&pair);
		pair_close(&pair);
	}
}

TEST_MAIN(TEST(write_), TEST(write_imm), TEST(read_), TEST(send_), TEST(send_imm), TEST(atomic))
