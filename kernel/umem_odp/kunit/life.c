// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetimes: what the kernel's questions for age find while leaves come and go, and what is left of
 * a mirror when its regions have gone.
 */
#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/refcount.h>

#include "env.h"

#include "age.h"
#include "chunk.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "region.h"

#define AGE_ROUNDS	300
#define AGE_PAGES	40

static bool age_clear(struct umem_odp_mirror *m)
{
	return umem_odp_age_clear(&m->subscription, m->mm, ENV_VA, ENV_VA + UMEM_ODP_CHUNK_BYTES);
}

static bool age_test(struct umem_odp_mirror *m, u64 va)
{
	return umem_odp_age_test(&m->subscription, m->mm, va);
}

/* An access makes its pages young, a question old; new entries keep it, removal does not. */
static void age_follows_accesses(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_pass *pass = umem_odp_env_pass(test, r, ENV_VA);
	struct umem_odp_mirror *m = r->mirror;

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 2, false));
	KUNIT_EXPECT_FALSE(test, age_clear(m));
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, ENV_VA, true), 0);
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 2, false));
	KUNIT_EXPECT_TRUE(test, age_test(m, ENV_VA));
	KUNIT_EXPECT_FALSE(test, age_test(m, ENV_VA + PAGE_SIZE));
	umem_odp_env_invalidate(pass->chunk, ENV_VA, ENV_VA + PAGE_SIZE - 1,
				MMU_NOTIFY_PROTECTION_PAGE);
	KUNIT_EXPECT_TRUE(test, age_clear(m));
	KUNIT_EXPECT_FALSE(test, age_clear(m));

	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, ENV_VA, false), 0);
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 1, true));
	KUNIT_EXPECT_TRUE(test, age_test(m, ENV_VA + 511 * PAGE_SIZE));
	umem_odp_env_invalidate(pass->chunk, ENV_VA, ENV_VA, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_FALSE(test, age_clear(m));
}

struct age_found {
	struct umem_odp_region *r;
	struct umem_odp_chunk *chunk;
};

static void age_remove(void *data)
{
	struct age_found *found = data;

	umem_odp_env_invalidate(found->chunk, ENV_VA, found->r->last, MMU_NOTIFY_CLEAR);
}

/* A leaf that goes when a question has found it lasts until that has looked; it is not young. */
static void age_found_what_is_removed(struct kunit *test)
{
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct age_found found = { r, umem_odp_chunk_get(r->mirror, ENV_VA) };
	struct umem_odp_pass *pass = umem_odp_env_pass(test, r, ENV_VA);

	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(pass, ENV_VA, block, 1, false));
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(r, ENV_VA, true), 0);
	umem_odp_env_step(UMEM_ODP_AGE_FOUND, pass->leaf, age_remove, &found);
	umem_odp_env_pass_end(test, pass);
	KUNIT_EXPECT_FALSE(test, age_clear(r->mirror));
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	umem_odp_chunk_put(found.chunk);
}

struct age_asker {
	struct umem_odp_mirror *m;
	unsigned int young;
	bool asks;
};

static int age_ask(void *data)
{
	struct age_asker *asker = data;

	while (!kthread_should_stop()) {
		WRITE_ONCE(asker->young, asker->young + age_clear(asker->m));
		umem_odp_env_set(&asker->asks);
		cond_resched();
	}
	return 0;
}

static bool age_wait_for_answer(const struct age_asker *asker, unsigned int before)
{
	unsigned long end = jiffies + 20 * HZ;

	while (READ_ONCE(asker->young) == before) {
		if (time_after(jiffies, end))
			return false;
		cond_resched();
	}
	return true;
}

/*
 * Leaves with pages, and huge ones, are made, accessed and removed meanwhile, at times when the
 * answer has come. KASAN is the judge.
 */
static void age_is_asked_beside_all_else(struct kunit *test)
{
	struct age_asker *asker = kunit_kzalloc(test, sizeof(*asker), GFP_KERNEL);
	struct page *block = umem_odp_env_block(test);
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct umem_odp_chunk *chunk = umem_odp_chunk_get(r->mirror, ENV_VA);
	struct umem_odp_pass *pass;
	struct task_struct *task;
	unsigned int i, young, missed = 0;

	KUNIT_ASSERT_NOT_NULL(test, asker);
	asker->m = r->mirror;
	task = umem_odp_env_beside(test, age_ask, asker);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_wait_for(&asker->asks));
	for (i = 0; i < AGE_ROUNDS; i++) {
		pass = umem_odp_env_pass(test, r, ENV_VA);
		missed += !!umem_odp_env_put(pass, ENV_VA, block, i % 2 ? AGE_PAGES : 1, !(i % 2));
		umem_odp_env_pass_end(test, pass);
		young = READ_ONCE(asker->young);
		missed += !!umem_odp_env_look(r, ENV_VA, true);
		if (i % 8 < 2)
			missed += !age_wait_for_answer(asker, young);
		umem_odp_env_invalidate(chunk, ENV_VA, r->last, MMU_NOTIFY_CLEAR);
	}
	kthread_stop(task);
	umem_odp_chunk_put(chunk);
	KUNIT_EXPECT_EQ(test, missed, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->mirror->resident_pages), 0);
}

static void mirror_age(struct umem_odp_mirror *m)
{
	scoped_guard(spinlock_bh, &m->regions_lock)
		m->unused_since = jiffies - UMEM_ODP_REAP_JIFFIES;
	umem_odp_chunk_schedule_reap(m, 0);
	flush_delayed_work(&m->reap);
}

/*
 * Without regions a mirror stays for a while, with its chunks and its threads, for the next region;
 * then all of it goes but what somebody still holds.
 */
static void mirror_goes_a_while_after_its_last_region(struct kunit *test)
{
	unsigned long va = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, 0);
	struct umem_odp_region *r;
	struct umem_odp_mirror *m;
	unsigned long before;

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(va));
	r = umem_odp_env_region(test, va, PAGE_SIZE);
	m = r->mirror;
	umem_odp_mirror_hold(m);
	KUNIT_EXPECT_EQ(test, umem_odp_fault(r, va, PAGE_SIZE, true), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->resident_pages), 1);
	mirror_age(m);
	KUNIT_EXPECT_TRUE(test, umem_odp_mirror_is_kept(m));

	before = jiffies;
	umem_odp_env_destroy(test, r);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->resident_pages), 0);
	r = umem_odp_env_region(test, va, PAGE_SIZE);
	if (time_before(jiffies, before + UMEM_ODP_REAP_JIFFIES))
		KUNIT_EXPECT_PTR_EQ(test, r->mirror, m);

	umem_odp_env_destroy(test, r);
	mirror_age(m);
	KUNIT_EXPECT_FALSE(test, umem_odp_mirror_is_kept(m));
	r = umem_odp_env_region(test, va, PAGE_SIZE);
	KUNIT_EXPECT_PTR_NE(test, r->mirror, m);
	KUNIT_EXPECT_EQ(test, umem_odp_fault(r, va, PAGE_SIZE, true), 0);

	/* Its thread and its notifier end by themselves. */
	mmu_notifier_synchronize();
	while (refcount_read(&m->refs) > 1)
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->table_bytes), 0);
	umem_odp_mirror_drop_ref(m);
}

static struct kunit_case life_cases[] = {
	KUNIT_CASE(age_follows_accesses),
	KUNIT_CASE(age_found_what_is_removed),
	KUNIT_CASE(age_is_asked_beside_all_else),
	KUNIT_CASE(mirror_goes_a_while_after_its_last_region),
	{}
};

static struct kunit_suite life_suite = {
	.name = "umem_odp_life",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = life_cases,
};

kunit_test_suite(life_suite);
