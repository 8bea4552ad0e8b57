// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* ODP registrations from 1 GiB to 1 TiB of address space that is not there: they cost nothing, and reach their ends. */
#include "pair.h"

#include <sys/mman.h>

static const size_t sizes[] = { 1 * GIB,  2 * GIB,   3 * GIB,	4 * GIB,
				64 * GIB, 127 * GIB, 256 * GIB, TIB };

static void reserve(struct buf *buf, size_t bytes)
{
	memset(buf, 0, sizeof(*buf));
	buf->fd = -1;
	buf->map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(buf->map, MAP_FAILED);
	buf->map_bytes = bytes;
	buf->data = buf->map;
	buf->bytes = bytes;
}

static void both_ends_reached(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	size_t i, j;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 2 * PAGE, 7, ACCESS_ALL);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t at[] = { 0, sizes[i] / 2 - PAGE, sizes[i] - 2 * PAGE };

		reserve(&to, sizes[i]);
		buf_reg(&to, pair.b.rig->pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		for (j = 0; j < ARRAY_SIZE(at); j++) {
			pattern_fill(from.data, 2 * PAGE, i, j);
			pair_move(&pair, OP_WRITE, &from, 0, &to, at[j], 2 * PAGE);
			pattern_check(to.data + at[j], 2 * PAGE, i, j, "a place in a large region");
		}
		buf_free(&to);
	}
	buf_free(&from);
	pair_close(&pair);
}

/* PROT_NONE may be registered on demand: what counts is what is there when it is used. */
static void none_becomes_writable(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	reserve(&to, TIB);
	assert_zero(mprotect(to.map, TIB, PROT_NONE));
	buf_reg(&to, pair.b.rig->pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_zero(mprotect(to.map + TIB / 2, PAGE, PROT_READ | PROT_WRITE));
	pattern_fill(from.data, PAGE, 3, 0);
	pair_move(&pair, OP_WRITE, &from, 0, &to, TIB / 2, PAGE);
	pattern_check(to.data + TIB / 2, PAGE, 3, 0, "a page that became writable");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(both_ends_reached), TEST(none_becomes_writable))
