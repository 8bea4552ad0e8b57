// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "lengths.h"

static const size_t lengths[] = { 1, 3, 4, 255, 1023, 1024, 1025, 4096, 8191, 65536, 300001 };

void lengths_all(void **state, enum op op)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	size_t i;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		buf_make(&from, pair.a.rig->pd, MEM_ANON, lengths[i], i, ACCESS_ALL | odp);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, lengths[i], 2 * i, ACCESS_ALL | odp);
		pair_move_checked(&pair, op, &from, &to, i);
		/* Again, over pages that the device knows now. */
		pair_move_checked(&pair, op, &from, &to, 100 + i);
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

void lengths_zero(void **state, enum op op)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL | odp);
	pattern_fill(to.data, 64, 9, 0);
	pair_move(&pair, op, &from, 0, &to, 0, 0);
	pattern_check(to.data, 64, 9, 0, "a target of zero bytes");
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

void lengths_wire(void **state, enum op op)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int odp;

	conn.wire = true;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 100000, 11, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 100000, 4001, ACCESS_ALL | odp);
	pair_move_checked(&pair, op, &from, &to, 5);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}
