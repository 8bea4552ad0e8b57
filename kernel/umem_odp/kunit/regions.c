// SPDX-License-Identifier: GPL-2.0
/*
 * The regions of a mirror against a naive model, which looks at each page and each region: what
 * they cover, and what each counts of an invalidation.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "env.h"

#include "leaf.h"
#include "mirror.h"
#include "region.h"

#define SPAN_LEAVES	3
#define SPAN_PAGES	(SPAN_LEAVES * UMEM_ODP_LEAF_PAGES)
#define REGIONS		24
#define ROUNDS		400

struct regions_model {
	struct umem_odp_region *mirror_user;
	struct umem_odp_region *of;
	bool in[REGIONS];
	unsigned int first[REGIONS];
	unsigned int last[REGIONS];
	u64 invalidations[REGIONS];
	u64 pages[REGIONS];
	u64 downgrades[REGIONS];
	struct rnd_state rnd;
};

static unsigned int model_random(struct regions_model *s, unsigned int below)
{
	return prandom_u32_state(&s->rnd) % below;
}

/* Mostly short ones, some of them side by side, and not of whole pages. */
static void model_add(struct regions_model *s, unsigned int i)
{
	struct umem_odp_region *r = &s->of[i];
	unsigned int nr = 1 + model_random(s, i % 4 ? 60 : SPAN_PAGES);

	s->first[i] = model_random(s, SPAN_PAGES);
	if (i && s->in[i - 1] && s->last[i - 1] + 1 < SPAN_PAGES && model_random(s, 2))
		s->first[i] = s->last[i - 1] + 1;
	s->last[i] = min(s->first[i] + nr, SPAN_PAGES) - 1;
	r->start = ENV_VA + s->first[i] * PAGE_SIZE + model_random(s, PAGE_SIZE / 2);
	r->last = ENV_VA + s->last[i] * PAGE_SIZE + PAGE_SIZE / 2 + model_random(s, PAGE_SIZE / 2);
	umem_odp_mirror_add(r->mirror, r);
	s->in[i] = true;
}

static void model_turn(struct regions_model *s, unsigned int i)
{
	if (s->in[i])
		umem_odp_mirror_remove(s->of[i].mirror, &s->of[i]);
	if (s->in[i])
		s->in[i] = false;
	else
		model_add(s, i);
}

static bool model_covers(const struct regions_model *s, unsigned int page)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		if (s->in[i] && s->first[i] <= page && page <= s->last[i])
			return true;
	}
	return false;
}

static void model_compare_covered(struct kunit *test, struct regions_model *s)
{
	unsigned int first = model_random(s, SPAN_PAGES), page = first;
	unsigned int end = first + model_random(s, SPAN_PAGES - first + 1);
	u64 covered;

	while (page < end && model_covers(s, page))
		page++;
	covered = umem_odp_mirror_covered(s->mirror_user->mirror, ENV_VA + first * PAGE_SIZE,
					  ENV_VA + end * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, (covered - ENV_VA) >> PAGE_SHIFT, page);
}

/* A few pages of a leaf, one after the other, or here and there. */
static void model_take(struct regions_model *s, unsigned long *taken)
{
	unsigned int first = model_random(s, UMEM_ODP_LEAF_PAGES), i;
	unsigned int nr = 1 + model_random(s, UMEM_ODP_LEAF_PAGES - first);

	bitmap_zero(taken, UMEM_ODP_LEAF_PAGES);
	if (model_random(s, 2))
		bitmap_set(taken, first, nr);
	else
		for (i = 0; i < 5; i++)
			__set_bit(model_random(s, UMEM_ODP_LEAF_PAGES), taken);
}

static unsigned int model_weight(const struct regions_model *s, unsigned int i,
				 const unsigned long *taken)
{
	unsigned int page, nr = 0;

	for_each_set_bit(page, taken, SPAN_PAGES)
		nr += s->first[i] <= page && page <= s->last[i];
	return nr;
}

/* One invalidation, which takes something from some of the leaves. */
static void model_invalidate(struct regions_model *s, bool protect)
{
	struct umem_odp_tally tally = {};
	struct umem_odp_page_set set;
	DECLARE_BITMAP(taken, SPAN_PAGES);
	unsigned int leaf, i, nr;

	bitmap_zero(taken, SPAN_PAGES);
	for (leaf = 0; leaf < SPAN_LEAVES; leaf++) {
		if (!model_random(s, 4))
			continue;
		model_take(s, set.bits);
		memcpy(taken + leaf * BITS_TO_LONGS(UMEM_ODP_LEAF_PAGES), &set, sizeof(set));
		umem_odp_tally_invalidation(s->mirror_user->mirror, &tally,
					    ENV_VA + leaf * UMEM_ODP_LEAF_BYTES, &set, protect);
	}
	for (i = 0; i < REGIONS; i++) {
		nr = s->in[i] ? model_weight(s, i, taken) : 0;
		*(protect ? &s->downgrades[i] : &s->pages[i]) += nr;
		s->invalidations[i] += !!nr;
	}
}

static void model_compare_counters(struct kunit *test, const struct regions_model *s)
{
	const struct umem_odp_region *r;
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		r = &s->of[i];
		KUNIT_ASSERT_EQ(test, r->invalidated_pages, s->pages[i]);
		KUNIT_ASSERT_EQ(test, r->downgrades, s->downgrades[i]);
		KUNIT_ASSERT_EQ(test, r->invalidations, s->invalidations[i]);
	}
}

static void model_remove_all(void *data)
{
	struct regions_model *s = data;
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		if (s->in[i])
			model_turn(s, i);
	}
}

static void regions_against_model(struct kunit *test)
{
	struct regions_model *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->of = kunit_kcalloc(test, REGIONS, sizeof(*s->of), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s->of);
	/* It keeps the mirror, and lies beside what is looked at. */
	s->mirror_user = umem_odp_env_region(test, ENV_VA + SPAN_LEAVES * UMEM_ODP_LEAF_BYTES, 1);
	for (i = 0; i < REGIONS; i++)
		s->of[i].mirror = s->mirror_user->mirror;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, model_remove_all, s));

	prandom_seed_state(&s->rnd, 1);
	for (i = 0; i < ROUNDS; i++) {
		model_turn(s, model_random(s, REGIONS));
		model_compare_covered(test, s);
		model_invalidate(s, i % 3 == 0);
		model_invalidate(s, false);
		model_compare_counters(test, s);
	}
}

static struct kunit_case regions_cases[] = {
	KUNIT_CASE(regions_against_model),
	{}
};

static struct kunit_suite regions_suite = {
	.name = "umem_odp_regions",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = regions_cases,
};

kunit_test_suite(regions_suite);
