// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions over hugetlbfs pages of 2 MiB and of 1 GiB, registered with IBV_ACCESS_HUGETLB and without: one entry for 2 MiB, no
 * page of entries; the flag is accepted, also where it is not true.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "method.h"
#include "pair.h"

#define HUGE_SHIFT  21
#define GIANT_SHIFT 30
#define HUGE	    (1UL << HUGE_SHIFT)
#define POOL	    "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages"
/* A chunk and 512 leaves; the region's own struct has room in it as well. */
#define TABLE_OF_A_GIB (64 * KIB)

static const char *pool_path(unsigned int shift)
{
	static char path[100];

	snprintf(path, sizeof(path), POOL, (1UL << shift) / KIB);
	return path;
}

/* So many pages for us, or the test is skipped. */
static uint8_t *map_hugetlb(unsigned int shift, unsigned int pages)
{
	char text[20];
	void *map;

	snprintf(text, sizeof(text), "%u", pages);
	if (access(pool_path(shift), W_OK))
		skip_because("no hugetlb pages of %lu KiB", (1UL << shift) / KIB);
	/* What free memory there is lies in pieces after other programs. */
	write_text("/proc/sys/vm/compact_memory", "1");
	assert_zero(write_text(pool_path(shift), text));
	map = mmap(NULL, (size_t)pages << shift, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(shift << MAP_HUGE_SHIFT), -1,
		   0);
	if (map == MAP_FAILED)
		skip_because("no %u hugetlb pages of %lu KiB can be had", pages,
			     (1UL << shift) / KIB);
	return map;
}

/* After each test, however it ended: pages that are still mapped go with the process. */
static int pools_empty(void **state)
{
	static const unsigned int shifts[] = { HUGE_SHIFT, GIANT_SHIFT };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(shifts); i++)
		if (!access(pool_path(shifts[i]), W_OK) && write_text(pool_path(shifts[i]), "0"))
			return -1;
	return 0;
}

static struct ibv_mr *reg(struct pair *pair, void *addr, size_t bytes, int access)
{
	struct ibv_mr *mr = ibv_reg_mr(pair->b.rig->pd, addr, bytes, access);

	if (!mr)
		fail_because("ibv_reg_mr with access 0x%x: errno %d", access, errno);
	return mr;
}

static struct rxe_odp_mr_stats stats_of(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(mr, &stats, sizeof(stats)));
	return stats;
}

static void open_pair(struct pair *pair)
{
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	pair_open(pair, &conn);
	rig_need_odp(&pair->rig, IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ, 0);
}

static void pages_of_2_mib(int access)
{
	/* The last page stays as it is. */
	const size_t at = HUGE - 1000, bytes = HUGE + 2000;
	struct pair pair;
	struct buf from, to = { 0 };
	uint8_t *map;

	open_pair(&pair);
	map = map_hugetlb(HUGE_SHIFT, 4);
	to.data = map;
	to.bytes = 4 * HUGE;
	to.mr = reg(&pair, map, to.bytes, ACCESS_ALL | access);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, bytes, 0, ACCESS_ALL);
	pattern_fill(from.data, bytes, 1, 0);
	pair_move(&pair, OP_WRITE, &from, 0, &to, at, bytes);
	pattern_check(map + at, bytes, 1, 0, "written into hugetlb pages");
	if (access & IBV_ACCESS_ON_DEMAND) {
		assert_int_equal(stats_of(to.mr).resident_pages, 3 * HUGE / PAGE);
		assert_in_range(stats_of(to.mr).faults, 1, 3);
		assert_true(stats_of(to.mr).table_bytes < 3 * PAGE);
	}
	pattern_fill(map + at, bytes, 2, 0);
	pair_move(&pair, OP_READ, &to, at, &from, 0, bytes);
	pattern_check(from.data, bytes, 2, 0, "read from hugetlb pages");
	assert_zero(ibv_dereg_mr(to.mr));
	buf_free(&from);
	pair_close(&pair);
	munmap(map, 4 * HUGE);
}

static void on_demand(void **state)
{
	(void)state;
	pages_of_2_mib(IBV_ACCESS_ON_DEMAND);
}

static void on_demand_and_said_to_be(void **state)
{
	(void)state;
	pages_of_2_mib(IBV_ACCESS_ON_DEMAND | IBV_ACCESS_HUGETLB);
}

static void pinned_and_said_to_be(void **state)
{
	(void)state;
	pages_of_2_mib(IBV_ACCESS_HUGETLB);
}

static void the_flag_over_small_pages(void **state)
{
	struct pair pair;
	struct buf from, to;

	(void)state;
	open_pair(&pair);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 5 * PAGE, 100, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 5 * PAGE, 200,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND | IBV_ACCESS_HUGETLB);
	pair_move_checked(&pair, OP_WRITE, &from, &to, 1);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* What is asked for by one advice costs no page of entries, and what each leaf takes. */
static void a_page_of_1_gib(void **state)
{
	struct pair pair;
	struct ibv_sge all;
	struct buf from, to = { .bytes = GIB };
	uint8_t *map;

	(void)state;
	open_pair(&pair);
	map = map_hugetlb(GIANT_SHIFT, 1);
	to.data = map;
	to.mr = reg(&pair, map, GIB, ACCESS_ALL | IBV_ACCESS_ON_DEMAND | IBV_ACCESS_HUGETLB);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	pattern_fill(from.data, 3 * PAGE, 1, 0);
	pair_move(&pair, OP_WRITE, &from, 0, &to, 100 * HUGE - PAGE - 1, 3 * PAGE);
	pattern_check(map + 100 * HUGE - PAGE - 1, 3 * PAGE, 1, 0, "written into a page of 1 GiB");
	assert_int_equal(stats_of(to.mr).resident_pages, 2 * HUGE / PAGE);

	all = (struct ibv_sge){ (uintptr_t)map, GIB, to.mr->lkey };
	assert_zero(mr_advise(pair.b.rig->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			      IBV_ADVISE_MR_FLAG_FLUSH, &all, 1));
	assert_int_equal(stats_of(to.mr).resident_pages, GIB / PAGE);
	assert_in_range(stats_of(to.mr).table_bytes, 1, TABLE_OF_A_GIB);
	munmap(map, GIB);
	assert_int_equal(stats_of(to.mr).resident_pages, 0);
	assert_zero(ibv_dereg_mr(to.mr));
	buf_free(&from);
	pair_close(&pair);
}

/* clang-format off */
#define TEST_POOL(fn) { #fn, fn, NULL, pools_empty, NULL }
/* clang-format on */

TEST_MAIN(TEST_POOL(on_demand), TEST_POOL(on_demand_and_said_to_be),
	  TEST_POOL(pinned_and_said_to_be), TEST(the_flag_over_small_pages),
	  TEST_POOL(a_page_of_1_gib))
