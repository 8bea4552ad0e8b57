// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "cold.h"

#define ODP (ACCESS_ALL | IBV_ACCESS_ON_DEMAND)

void cold_source(struct buf *buf, struct ibv_pd *pd, enum mem kind, size_t bytes,
		 size_t page_offset, uint32_t seed)
{
	buf_map(buf, kind, bytes, page_offset);
	if (buf->alias)
		pattern_fill(buf->alias + buf->guard_before, bytes, seed, 0);
	if (kind == MEM_ANON || kind == MEM_HUGE) {
		pattern_fill(buf->data, bytes, seed, 0);
	} else if (kind == MEM_PRIVATE_FILE) {
		/* The guards made private copies of the pages at the ends. */
		size_t head = PAGE - page_offset % PAGE, tail = (page_offset + bytes) % PAGE;

		head = head < bytes ? head : bytes;
		tail = tail < bytes ? tail : bytes;
		pattern_fill(buf->data, head, seed, 0);
		pattern_fill(buf->data + bytes - tail, tail, seed, bytes - tail);
	}
	buf_reg(buf, pd, ODP);
}

void cold_run(enum op op, int which)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	size_t bytes;
	int kind;

	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	for (kind = 0; kind < MEM_KINDS; kind++) {
		bytes = kind == MEM_HUGE && !slow_kernel() ? 5 * MIB + 123 : 150 * KIB + 123;
		if (which & COLD_SOURCE) {
			cold_source(&from, pair.a.rig->pd, kind, bytes, 33, kind);
		} else {
			buf_make(&from, pair.a.rig->pd, kind, bytes, 33, ACCESS_ALL);
			pattern_fill(from.data, bytes, kind, 0);
		}
		buf_make(&to, pair.b.rig->pd, kind, bytes, 4001,
			 which & COLD_TARGET ? ODP : ACCESS_ALL);
		pair_move(&pair, op, &from, 0, &to, 0, bytes);
		pattern_check(to.data, bytes, kind, 0, mem_name(kind));
		if (kind == MEM_SHARED)
			pattern_check(to.alias + to.guard_before, bytes, kind, 0,
				      "the other mapping");
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}
