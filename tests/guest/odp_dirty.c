// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the NIC wrote is dirty. A page that the CPU has only read, and that has a clean copy in swap, is written by a peer and
 * paged out again, without the process's touching it: the peer's bytes must come back, not the old copy.
 */
#include "pair.h"
#include "swap.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES  (256 * KIB)
#define ROUNDS 6

static unsigned char sum_of(const struct buf *buf)
{
	unsigned char sum = 0;
	size_t at;

	for (at = 0; at < buf->bytes; at += PAGE)
		sum += *(volatile uint8_t *)(buf->data + at);
	return sum;
}

static void write_and_page_out(enum mem kind, enum op op, bool offset)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	uint32_t seed;

	swap_begin();
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, kind, BYTES, offset ? 100 : 0,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	pattern_fill(to.data, BYTES, 100, 0);
	for (seed = 1; seed <= ROUNDS; seed++) {
		assert_true(page_out(to.map, to.map_bytes));
		/* Read by the CPU: present, clean, with a copy in swap. */
		sum_of(&to);
		pattern_fill(from.data, BYTES, seed, 0);
		pair_move(&pair, op, &from, 0, &to, 0, BYTES);
		assert_true(page_out(to.map, to.map_bytes));
		pattern_check(to.data, BYTES, seed, 0, mem_name(kind));
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void every_op(enum mem kind)
{
	static const enum op ops[] = { OP_WRITE, OP_SEND, OP_READ };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		write_and_page_out(kind, ops[i], false);
		write_and_page_out(kind, ops[i], true);
	}
}

static void private_memory(void **state)
{
	(void)state;
	every_op(MEM_ANON);
}
static void shared_memory(void **state)
{
	(void)state;
	every_op(MEM_SHARED);
}
static void private_file(void **state)
{
	(void)state;
	every_op(MEM_PRIVATE_FILE);
}

/* One that is dropped from the process's tables without being written has to be found again by the next. */
static void an_atomic(void **state)
{
	struct conn conn = CONN;
	struct buf local, to;
	struct pair pair;
	uint64_t i, value;

	(void)state;
	swap_begin();
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&local, pair.rig.pd, MEM_ANON, 8, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	memset(to.data, 0, PAGE);
	for (i = 0; i < 20; i++) {
		struct ibv_sge sge = buf_sge(&local, 0, 8);
		struct ibv_send_wr wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &to, 64, 3, 0);

		assert_true(page_out(to.data, PAGE));
		sum_of(&to);
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		memcpy(&value, local.data, 8);
		assert_true(value == 3 * i);
	}
	assert_true(page_out(to.data, PAGE));
	memcpy(&value, to.data + 64, 8);
	assert_true(value == 60);
	buf_free(&local);
	buf_free(&to);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(private_memory), TEST(shared_memory),
					    TEST(private_file), TEST(an_atomic) };
	int rc = test_run(tests, ARRAY_SIZE(tests));

	swap_end();
	return rc;
}
