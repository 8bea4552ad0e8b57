// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages as the kernel maps them, and takes them away: by faults, by its own notifiers. Skipped
 * where it has none (User Mode Linux), or gives none.
 */
#include <kunit/test.h>
#include <linux/align.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "env.h"

#include "chunk.h"
#include "leaf.h"
#include "mirror.h"
#include "region.h"

#define MARK	0xa5

/* Of the test's address space, unmapped with that; aligned, with room for a leaf. */
static u64 mapped_make(struct kunit *test)
{
	unsigned long va;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		kunit_skip(test, "this kernel has no huge pages");
	va = vm_mmap(NULL, 0, 2 * UMEM_ODP_LEAF_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(va));
	return ALIGN(va, UMEM_ODP_LEAF_BYTES);
}

static bool mapped_is_huge(struct umem_odp_region *r, u64 va)
{
	struct umem_odp_chunk *chunk = umem_odp_chunk_get(r->mirror, va);
	struct umem_odp_leaf *leaf;
	bool huge = false;

	if (IS_ERR(chunk))
		return false;
	leaf = umem_odp_leaf_get(chunk, va);
	if (!IS_ERR(leaf)) {
		huge = READ_ONCE(leaf->entries.huge);
		umem_odp_leaf_put(chunk, leaf);
	}
	umem_odp_chunk_put(chunk);
	return huge;
}

/* Brings in one page, and what is mapped with it. */
static void mapped_fault(struct kunit *test, struct umem_odp_region *r, u64 va, bool write)
{
	KUNIT_ASSERT_EQ(test, 0, umem_odp_fault(r, va, 1, write));
	if (!mapped_is_huge(r, va))
		kunit_skip(test, "the kernel gave no huge page");
}

static u64 mapped_resident(const struct umem_odp_region *r)
{
	struct umem_odp_stats stats;

	umem_odp_region_stats(r, &stats);
	return stats.resident_pages;
}

static void mapped_write(struct kunit *test, struct umem_odp_region *r, u64 va, u8 byte)
{
	size_t done;

	KUNIT_EXPECT_EQ(test, umem_odp_copy_to(r, va, &byte, 1, &done), 0);
}

static void mapped_expect(struct kunit *test, struct umem_odp_region *r, u64 va, u8 want)
{
	u8 byte = ~want;
	size_t done;

	KUNIT_EXPECT_EQ(test, umem_odp_copy_from(r, va, &byte, 1, &done), 0);
	KUNIT_EXPECT_EQ(test, byte, want);
}

/* A byte brings in all of it as one entry; a page that is unmapped takes all of it out. */
static void page_unmapped_takes_all(struct kunit *test)
{
	u64 va = mapped_make(test);
	struct umem_odp_region *r = umem_odp_env_region(test, va, UMEM_ODP_LEAF_BYTES);
	u64 hole = va + 7 * PAGE_SIZE, last = r->last;

	mapped_fault(test, r, va, true);
	KUNIT_EXPECT_EQ(test, mapped_resident(r), UMEM_ODP_LEAF_PAGES);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, last, true), 0);
	mapped_write(test, r, last, MARK);

	KUNIT_ASSERT_EQ(test, vm_munmap(hole, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, mapped_resident(r), 0);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, va, false), -EAGAIN);
	KUNIT_EXPECT_EQ(test, umem_odp_fault(r, hole, 1, false), -EFAULT);

	KUNIT_ASSERT_EQ(test, umem_odp_fault(r, last, 1, true), 0);
	KUNIT_EXPECT_FALSE(test, mapped_is_huge(r, last));
	mapped_expect(test, r, last, MARK);
}

/* What is read is the kernel's page of zeros, which nobody writes. */
static void zeros_are_not_written(struct kunit *test)
{
	u64 va = mapped_make(test);
	struct umem_odp_region *r = umem_odp_env_region(test, va, UMEM_ODP_LEAF_BYTES);

	mapped_fault(test, r, va, false);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, r->last, false), 0);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, r->last, true), -EAGAIN);
	KUNIT_ASSERT_EQ(test, umem_odp_fault(r, r->last, 1, true), 0);
	mapped_write(test, r, r->last, MARK);
	KUNIT_ASSERT_EQ(test, umem_odp_fault(r, va, 1, false), 0);
	mapped_expect(test, r, va, 0);
	mapped_expect(test, r, r->last, MARK);
}

/* A region that is less than the page has entries for its part alone. */
static void part_has_entries_of_its_own(struct kunit *test)
{
	u64 va = mapped_make(test), part = va + 3 * PAGE_SIZE;
	struct umem_odp_region *all = umem_odp_env_region(test, va, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_region *r;

	mapped_fault(test, all, va, true);
	umem_odp_env_destroy(test, all);
	r = umem_odp_env_region(test, part, 200 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mapped_resident(r), 0);
	KUNIT_ASSERT_EQ(test, umem_odp_fault(r, part, 200 * PAGE_SIZE, true), 0);
	KUNIT_EXPECT_FALSE(test, mapped_is_huge(r, part));
	KUNIT_EXPECT_EQ(test, mapped_resident(r), 200);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->mirror->resident_pages), 200);
}

static struct kunit_case mapped_cases[] = {
	KUNIT_CASE(page_unmapped_takes_all),
	KUNIT_CASE(zeros_are_not_written),
	KUNIT_CASE(part_has_entries_of_its_own),
	{}
};

static struct kunit_suite mapped_suite = {
	.name = "umem_odp_mapped",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = mapped_cases,
};

kunit_test_suite(mapped_suite);
