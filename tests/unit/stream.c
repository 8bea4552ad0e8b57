// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How far a fault looks: runs double up to a leaf, a few of them by turns; what does not go on looks nowhere. */
#include "unit.h"

#include "entries.h"
#include "stream.h"

#define LEAF (UMEM_ODP_LEAF_PAGES * PAGE_SIZE)

/* A fault for one page, which finds so many pages from there on: up to how many it looked. */
static unsigned int fault(struct umem_odp_streams *s, u64 page, unsigned int there)
{
	u64 end = umem_odp_streams_begin(s, page);
	unsigned int look = end > page ? (end - page) / PAGE_SIZE : 1;
	unsigned int found = there < look ? there : look;

	if (found)
		umem_odp_streams_went(s, page, page + (u64)found * PAGE_SIZE, found == look);
	return look;
}

static void a_run_doubles(void **state)
{
	struct umem_odp_streams s = { 0 };
	unsigned int look, want = 1;
	u64 at = LEAF;
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		look = fault(&s, at, ~0U);
		assert_int_equal(look, want);
		at += (u64)look * PAGE_SIZE;
		want = want * 2 > UMEM_ODP_LEAF_PAGES ? UMEM_ODP_LEAF_PAGES : want * 2;
	}
}

static void what_it_does_not_find_makes_it_short(void **state)
{
	struct umem_odp_streams s = { 0 };
	u64 at = LEAF;
	int i;

	(void)state;
	for (i = 0; i < 7; i++)
		at += (u64)fault(&s, at, ~0U) * PAGE_SIZE;
	assert_int_equal(fault(&s, at, 3), 128);
	at += 3 * PAGE_SIZE;
	assert_int_equal(fault(&s, at, 1), 6);
	at += PAGE_SIZE;
	assert_int_equal(fault(&s, at, 1), 2);
}

static void a_fault_that_is_tried_again_looks_as_far(void **state)
{
	struct umem_odp_streams s = { 0 };

	(void)state;
	fault(&s, LEAF, 1);
	assert_int_equal(fault(&s, LEAF + PAGE_SIZE, 0), 2);
	assert_int_equal(fault(&s, LEAF + PAGE_SIZE, 0), 2);
	assert_int_equal(fault(&s, LEAF + PAGE_SIZE, ~0U), 2);
	assert_int_equal(fault(&s, LEAF + 3 * PAGE_SIZE, ~0U), 4);
}

/* Rounds of faults, one for each of so many runs: how far the last round looked. */
static unsigned int by_turns(unsigned int runs)
{
	struct umem_odp_streams s = { 0 };
	unsigned int round, i, look = 0;
	u64 at[2 * UMEM_ODP_STREAMS];

	for (i = 0; i < runs; i++)
		at[i] = (i + 1) * LEAF;
	for (round = 0; round < 5; round++)
		for (i = 0; i < runs; i++) {
			look = fault(&s, at[i], ~0U);
			at[i] += (u64)look * PAGE_SIZE;
		}
	return look;
}

static void several_by_turns(void **state)
{
	(void)state;
	assert_int_equal(by_turns(UMEM_ODP_STREAMS), 16);
	assert_int_equal(by_turns(UMEM_ODP_STREAMS + 1), 1);
}

/* One that goes on is not lost to others that do not, as long as these are fewer than there is room for. */
static void beside_faults_here_and_there(void **state)
{
	struct umem_odp_streams s = { 0 };
	unsigned int i, want = 1;
	u64 at = LEAF;

	(void)state;
	for (i = 0; i < 30; i++) {
		if (i % UMEM_ODP_STREAMS) {
			assert_int_equal(fault(&s, (1000 + 2 * i) * LEAF, ~0U), 1);
			continue;
		}
		assert_int_equal(fault(&s, at, ~0U), want);
		at += (u64)want * PAGE_SIZE;
		want *= 2;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_doubles),
		cmocka_unit_test(what_it_does_not_find_makes_it_short),
		cmocka_unit_test(a_fault_that_is_tried_again_looks_as_far),
		cmocka_unit_test(several_by_turns),
		cmocka_unit_test(beside_faults_here_and_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
