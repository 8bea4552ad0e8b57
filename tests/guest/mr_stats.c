// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A process asks what a region of its own has seen: by a method of our own, in a structure of any length. */
#include "method.h"
#include "pair.h"

#include <sys/mman.h>

#define PAGES 8

static struct rxe_odp_mr_stats stats_of(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	memset(&stats, 0xee, sizeof(stats));
	assert_int_equal(mr_stats(mr, &stats, sizeof(stats)), 0);
	return stats;
}

static void of_a_pinned_region(void **state)
{
	struct rxe_odp_mr_stats stats;
	struct buf buf;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	buf_make(&buf, rig.pd, MEM_ANON, PAGE + 2, PAGE - 1, ACCESS_ALL);
	stats = stats_of(buf.mr);
	assert_int_equal(stats.kind, RXE_ODP_MR_PINNED);
	assert_int_equal(stats.key, buf.mr->lkey);
	assert_int_equal(stats.resident_pages, 3);
	assert_int_equal(stats.faults, 0);
	buf_free(&buf);
	rig_close(&rig);
}

static void of_an_on_demand_region(void **state)
{
	struct rxe_odp_mr_stats stats;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	uint64_t ended = 0;
	unsigned int i;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	stats = stats_of(to.mr);
	assert_int_equal(stats.kind, RXE_ODP_MR_ON_DEMAND);
	assert_int_equal(stats.key, to.mr->lkey);
	assert_int_equal(stats.resident_pages, 0);
	assert_true(stats.table_bytes > 0);

	pair_move(&pair, OP_WRITE, &from, 0, &to, 0, PAGES * PAGE);
	stats = stats_of(to.mr);
	assert_int_equal(stats.resident_pages, PAGES);
	assert_int_equal(stats.fault_pages, PAGES);
	assert_in_range(stats.faults, 1, PAGES);
	assert_int_equal(stats.failed_faults, 0);
	assert_true(stats.worst_fault_ns > 0);
	for (i = 0; i < RXE_ODP_FAULT_CLASSES; i++)
		ended += stats.faults_by_time[i];
	assert_int_equal(ended, stats.faults);

	assert_zero(madvise(to.data, 3 * PAGE, MADV_DONTNEED));
	stats = stats_of(to.mr);
	assert_int_equal(stats.resident_pages, PAGES - 3);
	assert_int_equal(stats.invalidations, 1);
	assert_int_equal(stats.invalidated_pages, 3);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void any_length(void **state)
{
	struct rxe_odp_mr_stats whole;
	uint8_t some[400];
	struct buf buf;
	struct rig rig;
	size_t bytes, at;

	(void)state;
	rig_open(&rig);
	buf_make(&buf, rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	whole = stats_of(buf.mr);
	for (bytes = 0; bytes < sizeof(some); bytes++) {
		int err;

		memset(some, 0xee, sizeof(some));
		err = mr_stats(buf.mr, (struct rxe_odp_mr_stats *)some, bytes);
		assert_int_equal(err, bytes < 8 ? EINVAL : 0);
		if (!err)
			assert_memory_equal(some, &whole,
					    bytes < sizeof(whole) ? bytes : sizeof(whole));
		/* What the kernel does not know is 0. */
		for (at = sizeof(whole); at < bytes; at++)
			assert_int_equal(some[at], 0);
		for (at = err ? 0 : bytes; at < sizeof(some); at++)
			assert_int_equal(some[at], 0xee);
	}
	assert_int_equal(mr_stats(buf.mr, NULL, sizeof(whole)), EFAULT);
	buf_free(&buf);
	rig_close(&rig);
}

/* No handle at all, one of another kind, one of another context. */
static void wrong_handles(void **state)
{
	struct rxe_odp_mr_stats stats;
	struct ibv_mr fake;
	struct rig rig, other;
	struct buf buf;

	(void)state;
	rig_open(&rig);
	rig_open(&other);
	buf_make(&buf, rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	fake = *buf.mr;
	fake.handle += 1000;
	assert_int_equal(mr_stats(&fake, &stats, sizeof(stats)), ENOENT);
	fake.handle = rig.pd->handle;
	assert_int_not_equal(fake.handle, buf.mr->handle);
	assert_int_equal(mr_stats(&fake, &stats, sizeof(stats)), EINVAL);
	fake = *buf.mr;
	fake.context = other.ctx;
	assert_int_not_equal(mr_stats(&fake, &stats, sizeof(stats)), 0);
	fake = *buf.mr;
	buf_dereg(&buf);
	assert_int_equal(mr_stats(&fake, &stats, sizeof(stats)), ENOENT);
	buf_free(&buf);
	rig_close(&other);
	rig_close(&rig);
}

TEST_MAIN(TEST(of_a_pinned_region), TEST(of_an_on_demand_region), TEST(any_length),
	  TEST(wrong_handles))
