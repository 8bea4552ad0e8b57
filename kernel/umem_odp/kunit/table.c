// SPDX-License-Identifier: GPL-2.0
/*
 * The table under its real locks: what the install puts in, notifiers take out, and who counts it.
 * Huge leaves among it, which no User Mode Linux maps: a block of 2 MiB is put in as if it did.
 */
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "env.h"

#include "chunk.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "region.h"

#define PAGE_AT(n)	(ENV_VA + (n) * PAGE_SIZE)

static u64 table_resident(const struct umem_odp_region *r)
{
	struct umem_odp_stats stats;

	umem_odp_region_stats(r, &stats);
	return stats.resident_pages;
}

static void table_expect_leaf_gone(struct kunit *test, struct umem_odp_pass *pass)
{
	struct umem_odp_chunk *chunk = umem_odp_chunk_get(pass->mirror, ENV_VA);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	umem_odp_env_pass_end(test, pass);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(chunk->leaves[0]));
	KUNIT_EXPECT_EQ(test, chunk->nr_leaves, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&chunk->mirror->resident_pages), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&chunk->mirror->table_bytes), sizeof(*chunk));
	umem_odp_chunk_put(chunk);
}

/* An access reaches over pages, a page's event takes all of it, each region counts its share. */
static void huge_leaf_is_one(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *all = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_region *part = umem_odp_env_region(test, PAGE_AT(100), 56 * PAGE_SIZE);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, all, ENV_VA);
	struct umem_odp_access acc;

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 1, true));
	KUNIT_EXPECT_EQ(test, table_resident(all), UMEM_ODP_LEAF_PAGES);
	KUNIT_EXPECT_EQ(test, table_resident(part), 56);
	KUNIT_EXPECT_NULL(test, pass->leaf->entries.pages);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(page_folio(block)));

	KUNIT_ASSERT_EQ(test, 0, umem_odp_access_begin(all, &acc, PAGE_AT(5) + 10, SZ_64K, true));
	umem_odp_access_end(&acc);
	KUNIT_EXPECT_EQ(test, acc.len_bytes, SZ_64K);
	KUNIT_EXPECT_PTR_EQ(test, acc.kaddr, page_address(block) + 5 * PAGE_SIZE + 10);

	umem_odp_env_invalidate(pass->chunk, PAGE_AT(7), PAGE_AT(8) - 1,
				MMU_NOTIFY_PROTECTION_PAGE);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(all, PAGE_AT(500), false), 0);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(all, PAGE_AT(500), true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, all->downgrades, UMEM_ODP_LEAF_PAGES);
	KUNIT_EXPECT_EQ(test, part->downgrades, 56);

	umem_odp_env_invalidate(pass->chunk, PAGE_AT(300), PAGE_AT(301) - 1, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(all, PAGE_AT(7), false), -EAGAIN);
	KUNIT_EXPECT_EQ(test, all->invalidated_pages, UMEM_ODP_LEAF_PAGES);
	KUNIT_EXPECT_EQ(test, part->invalidated_pages, 56);
	KUNIT_EXPECT_EQ(test, part->invalidations, 2);
	table_expect_leaf_gone(test, pass);
}

/* A held access goes on over pages that lie apart, and no further than it may. */
static void access_goes_on(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES + 100);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, r, ENV_VA);
	struct umem_odp_access acc;
	u32 had;

	/* Each page behind one that lies above it. */
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, PAGE_AT(0), block + 1, 1, false));
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, PAGE_AT(1), block, 1, false));
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, PAGE_AT(400), block + 100, 112, false));

	KUNIT_ASSERT_EQ(test, 0, umem_odp_access_begin(r, &acc, ENV_VA + 10, SZ_64K, true));
	KUNIT_EXPECT_EQ(test, acc.len_bytes, PAGE_SIZE - 10);
	KUNIT_EXPECT_TRUE(test, umem_odp_access_next(&acc, 20));
	KUNIT_EXPECT_EQ(test, acc.len_bytes, 20);
	KUNIT_EXPECT_PTR_EQ(test, acc.kaddr, page_address(block));
	KUNIT_EXPECT_TRUE(test, umem_odp_access_next(&acc, SZ_64K));
	KUNIT_EXPECT_EQ(test, acc.len_bytes, PAGE_SIZE - 20);
	KUNIT_EXPECT_PTR_EQ(test, acc.kaddr, page_address(block) + 20);
	/* Nothing is there, and the access is what it was. */
	KUNIT_EXPECT_FALSE(test, umem_odp_access_next(&acc, 1));
	KUNIT_EXPECT_PTR_EQ(test, acc.kaddr, page_address(block) + 20);
	umem_odp_access_end(&acc);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_access_begin(r, &acc, PAGE_AT(400), 1, true));
	for (had = acc.len_bytes; umem_odp_access_next(&acc, 5000); had += acc.len_bytes)
		;
	umem_odp_access_end(&acc);
	KUNIT_EXPECT_EQ(test, had, UMEM_ODP_ACCESS_MAX);

	/* Where the leaf ends, and where the region does. */
	KUNIT_ASSERT_EQ(test, 0, umem_odp_access_begin(r, &acc, PAGE_AT(511), SZ_64K, true));
	KUNIT_EXPECT_EQ(test, acc.len_bytes, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, umem_odp_access_next(&acc, 1));
	umem_odp_access_end(&acc);
	umem_odp_env_pass_end(test, pass);

	r = umem_odp_env_region(test, PAGE_AT(400), PAGE_SIZE + 100);
	KUNIT_ASSERT_EQ(test, 0, umem_odp_access_begin(r, &acc, PAGE_AT(400), PAGE_SIZE, true));
	KUNIT_EXPECT_TRUE(test, umem_odp_access_next(&acc, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, acc.len_bytes, 100);
	KUNIT_EXPECT_FALSE(test, umem_odp_access_next(&acc, 1));
	umem_odp_access_end(&acc);
}

/* Where regions cover a part of a huge mapping, only their pages are put in, one by one. */
static void huge_page_in_part_of_a_region(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *low = umem_odp_env_region(test, ENV_VA, 70 * PAGE_SIZE);
	struct umem_odp_region *high = umem_odp_env_region(test, PAGE_AT(100), UMEM_ODP_LEAF_BYTES);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, low, ENV_VA);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, UMEM_ODP_LEAF_PAGES, true));
	KUNIT_EXPECT_EQ(test, pass->leaf->entries.huge, 0);
	KUNIT_EXPECT_EQ(test, table_resident(low), 70);
	KUNIT_EXPECT_EQ(test, pass->leaf->entries.resident,
			table_resident(low) + table_resident(high));
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(high, PAGE_AT(511), true), 0);
	umem_odp_env_destroy(test, high);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pass->mirror->resident_pages), 70);
	umem_odp_env_destroy(test, low);
	table_expect_leaf_gone(test, pass);
}

/* Pages become a huge leaf, as by a collapse, and that pages, as by a split. */
static void pages_and_huge_leaf_follow_each_other(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test), *pages = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, r, ENV_VA);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, PAGE_AT(200), pages, 150, false));
	KUNIT_EXPECT_EQ(test, table_resident(r), 150);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, PAGE_AT(349), true), 0);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, PAGE_AT(350), true), -EAGAIN);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 1, true));
	KUNIT_EXPECT_EQ(test, table_resident(r), UMEM_ODP_LEAF_PAGES);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, PAGE_AT(350), true), 0);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, PAGE_AT(10), pages, 3, false));
	KUNIT_EXPECT_EQ(test, table_resident(r), 3);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, PAGE_AT(349), false), -EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pass->mirror->resident_pages), 3);

	umem_odp_env_invalidate(pass->chunk, ENV_VA, ENV_VA + UMEM_ODP_CHUNK_BYTES - 1,
				MMU_NOTIFY_UNMAP);
	table_expect_leaf_gone(test, pass);
}

/* A pin keeps an empty leaf; who found it before it went finds no entries in it. */
static void leaf_is_gone_with_its_last_page(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, r, ENV_VA);
	struct umem_odp_chunk *chunk = umem_odp_chunk_get(r->mirror, ENV_VA);
	struct umem_odp_leaf *leaf = pass->leaf;
	unsigned long phys, bits;
	size_t found;
	bool gone;

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 2, false));
	umem_odp_env_invalidate(chunk, ENV_VA, PAGE_AT(2) - 1, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(chunk->leaves[0]), leaf);
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 2, false));
	umem_odp_env_pass_end(test, pass);
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(chunk->leaves[0]), leaf);

	scoped_guard(rcu) {
		umem_odp_env_invalidate(chunk, ENV_VA, PAGE_AT(2) - 1, MMU_NOTIFY_CLEAR);
		gone = !rcu_access_pointer(chunk->leaves[0]);
		found = umem_odp_entries_look(&leaf->entries, 0, PAGE_SIZE, false, &phys, &bits);
	}
	KUNIT_EXPECT_TRUE(test, gone);
	KUNIT_EXPECT_EQ(test, found, 0);
	umem_odp_chunk_put(chunk);
}

/* Pages invalidated since the look are not put in; an invalidation beside them does not matter. */
static void window_is_hit_by_its_own_pages(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, r, ENV_VA);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, PAGE_AT(8), block, 8, false));
	umem_odp_env_found(pass, PAGE_AT(8), block, 8, false);
	umem_odp_env_invalidate(pass->chunk, ENV_VA, PAGE_AT(8) - 1, MMU_NOTIFY_CLEAR);
	umem_odp_env_invalidate(pass->chunk, PAGE_AT(16), PAGE_AT(20) - 1, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_FALSE(test, pass->window.hit);
	umem_odp_env_invalidate(pass->chunk, ENV_VA, PAGE_AT(9) - 1, MMU_NOTIFY_PROTECTION_PAGE);
	KUNIT_EXPECT_TRUE(test, pass->window.hit);
	KUNIT_EXPECT_EQ(test, umem_odp_pass_install(pass), -EAGAIN);
	KUNIT_EXPECT_EQ(test, table_resident(r), 8);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, PAGE_AT(8), true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, PAGE_AT(9), true), 0);
}

static struct kunit_case table_cases[] = {
	KUNIT_CASE(huge_leaf_is_one),
	KUNIT_CASE(access_goes_on),
	KUNIT_CASE(huge_page_in_part_of_a_region),
	KUNIT_CASE(pages_and_huge_leaf_follow_each_other),
	KUNIT_CASE(leaf_is_gone_with_its_last_page),
	KUNIT_CASE(window_is_hit_by_its_own_pages),
	{}
};

static struct kunit_suite table_suite = {
	.name = "umem_odp_table",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = table_cases,
};

kunit_test_suite(table_suite);
