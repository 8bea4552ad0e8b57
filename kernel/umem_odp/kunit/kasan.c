// SPDX-License-Identifier: GPL-2.0
/*
 * Every test on a kernel with KASAN relies on a correct shadow. This one checks that a purge of
 * freed vmalloc areas does not clear the shadow of areas in use that lie between them, such as
 * kernel stacks.
 */
#include <kunit/test.h>
#include <linux/kasan.h>
#include <linux/vmalloc.h>

#define GRANULE_BYTES	BIT(KASAN_SHADOW_SCALE_SHIFT)
#define AREAS		64
/* The last granule is used in part, what follows on the page not at all. */
#define AREA_BYTES	100

static bool shadow_is_true(const char *area)
{
	const u8 *last = kasan_mem_to_shadow(area + AREA_BYTES);

	return last[0] == AREA_BYTES % GRANULE_BYTES && last[1];
}

static void purge_spares_areas_in_use(struct kunit *test)
{
	char *area[AREAS];
	int cleared = 0;
	int i;

	for (i = 0; i < AREAS; i++) {
		area[i] = vmalloc(AREA_BYTES);
		KUNIT_EXPECT_NOT_NULL(test, area[i]);
	}
	for (i = 0; i < AREAS; i += 2)
		vfree(area[i]);
	vm_unmap_aliases();
	for (i = 1; i < AREAS; i += 2) {
		cleared += area[i] && !shadow_is_true(area[i]);
		vfree(area[i]);
	}
	KUNIT_EXPECT_EQ_MSG(test, cleared, 0, "of %d areas in use", AREAS / 2);
}

static struct kunit_case kasan_cases[] = {
	KUNIT_CASE(purge_spares_areas_in_use),
	{}
};

static struct kunit_suite kasan_suite = {
	.name = "umem_odp_kasan",
	.test_cases = kasan_cases,
};

kunit_test_suite(kasan_suite);
