// SPDX-License-Identifier: GPL-2.0
/*
 * The races that the diagrams draw, each in the order in which it would go wrong: a step is taken
 * at the moment between two others (hook.h), where possible in the thread that has come to it.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "env.h"

#include "chunk.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "region.h"

/* One page that is in the table, and what happens to it. */
struct race {
	struct umem_odp_region *r;
	struct umem_odp_pass *pass;
	struct umem_odp_chunk *chunk;
	struct umem_odp_leaf *leaf;
	int err[2];
	bool holds;
	bool saw_closing;
	bool went_on;
	bool has_ended;
};

static struct race *race_init(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	struct page *block = umem_odp_env_block(test);

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->r = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	race->pass = umem_odp_env_pass(test, race->r, ENV_VA);
	race->chunk = race->pass->chunk;
	race->leaf = race->pass->leaf;
	KUNIT_ASSERT_EQ(test, 0, umem_odp_env_put(race->pass, ENV_VA, block, 1, false));
	return race;
}

static void race_invalidate(void *data)
{
	struct race *race = data;

	umem_odp_env_invalidate(race->chunk, ENV_VA, ENV_VA + PAGE_SIZE - 1, MMU_NOTIFY_CLEAR);
}

/* leaf.c: an access that comes while a leaf is closing misses, and does not spin. */
static void race_access_twice(void *data)
{
	struct umem_odp_access acc;
	struct race *race = data;

	race->err[0] = umem_odp_env_look(race->r, ENV_VA, false);
	race->err[1] = umem_odp_access_try_begin(race->r, &acc, ENV_VA, 1, true);
	if (!race->err[1])
		umem_odp_access_end(&acc);
}

static void access_misses_what_is_closing(struct kunit *test)
{
	struct race *race = race_init(test);

	umem_odp_env_step(UMEM_ODP_LEAF_CLOSING, race->leaf, race_access_twice, race);
	race_invalidate(race);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_EXPECT_EQ(test, race->err[0], -EAGAIN);
	KUNIT_EXPECT_EQ(test, race->err[1], -EAGAIN);
	KUNIT_EXPECT_FALSE(test, umem_odp_leaf_is_closing(race->leaf));
}

/* Holds an access until somebody wants the leaf. */
static int race_reader(void *data)
{
	struct umem_odp_access acc;
	struct race *race = data;

	race->err[0] = umem_odp_access_begin(race->r, &acc, ENV_VA, 1, false);
	umem_odp_env_set(&race->holds);
	if (!race->err[0]) {
		umem_odp_env_wait_for(&race->saw_closing);
		/* Time for who does not wait to be through. */
		mdelay(20);
		race->went_on = umem_odp_access_next(&acc, 1);
		memset(acc.kaddr, 1, acc.len_bytes);
		umem_odp_env_set(&race->has_ended);
		umem_odp_access_end(&acc);
	}
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void race_note_closing(void *data)
{
	struct race *race = data;

	umem_odp_env_set(&race->saw_closing);
}

/*
 * leaf.c: who has had the lock knows that no access to what it cleared is in flight. One that is
 * waited for does not go on.
 */
static void invalidation_waits_for_an_access(struct kunit *test)
{
	struct race *race = race_init(test);
	struct task_struct *task;

	umem_odp_env_step(UMEM_ODP_LEAF_CLOSING, race->leaf, race_note_closing, race);
	task = umem_odp_env_beside(test, race_reader, race);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_wait_for(&race->holds));
	race_invalidate(race);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_is_set(&race->has_ended));
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, race->err[0], 0);
	KUNIT_EXPECT_FALSE(test, race->went_on);
}

/* mirror.c: so does who removes a region, also if another one covers all of it. */
static void removal_waits_for_an_access(struct kunit *test)
{
	struct race *race = race_init(test);
	struct umem_odp_region *other = umem_odp_env_region(test, ENV_VA, UMEM_ODP_LEAF_BYTES);
	struct task_struct *task;

	umem_odp_env_step(UMEM_ODP_LEAF_CLOSING, race->leaf, race_note_closing, race);
	task = umem_odp_env_beside(test, race_reader, race);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_wait_for(&race->holds));
	umem_odp_env_destroy(test, race->r);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_is_set(&race->has_ended));
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, race->err[0], 0);
	KUNIT_EXPECT_FALSE(test, race->went_on);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(other, ENV_VA, true), 0);
}

/* leaf.c: a leaf that goes when an access has found it is there until the access has missed. */
static void access_found_what_is_removed(struct kunit *test)
{
	struct race *race = race_init(test);

	umem_odp_env_pass_end(test, race->pass);
	umem_odp_env_step(UMEM_ODP_LEAF_FOUND, race->leaf, race_invalidate, race);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(race->r, ENV_VA, true), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_EXPECT_EQ(test, atomic_long_read(&race->r->mirror->resident_pages), 0);
}

/* access.c: a region that closes when an access has found the leaf is looked at again. */
static void race_close(void *data)
{
	struct race *race = data;

	umem_odp_queue_close(race->r);
}

static void access_found_a_region_that_closes(struct kunit *test)
{
	struct race *race = race_init(test);

	umem_odp_env_step(UMEM_ODP_LEAF_FOUND, race->leaf, race_close, race);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(race->r, ENV_VA, true), -ESHUTDOWN);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
}

/* Two faults make the same: one of them is kept, and counted. */
static void race_make_leaf(void *data)
{
	struct race *race = data;

	race->leaf = umem_odp_leaf_get(race->chunk, ENV_VA + UMEM_ODP_LEAF_BYTES);
}

static void leaf_is_made_twice(struct kunit *test)
{
	struct race *race = race_init(test);
	long bytes = atomic_long_read(&race->r->mirror->table_bytes);
	struct umem_odp_leaf *leaf;

	umem_odp_env_step(UMEM_ODP_LEAF_MADE, race->chunk, race_make_leaf, race);
	leaf = umem_odp_leaf_get(race->chunk, ENV_VA + UMEM_ODP_LEAF_BYTES);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, leaf);
	KUNIT_EXPECT_PTR_EQ(test, leaf, race->leaf);
	KUNIT_EXPECT_EQ(test, leaf->pins, 2);
	KUNIT_EXPECT_EQ(test, race->chunk->nr_leaves, 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&race->r->mirror->table_bytes) - bytes,
			sizeof(*leaf));
	umem_odp_leaf_put(race->chunk, leaf);
	umem_odp_leaf_put(race->chunk, race->leaf);
	KUNIT_EXPECT_EQ(test, race->chunk->nr_leaves, 1);
}

static void race_make_pages(void *data)
{
	struct race *race = data;

	race->err[0] = umem_odp_leaf_alloc_pages(race->chunk, race->leaf);
}

static void pages_are_made_twice(struct kunit *test)
{
	struct race *race = race_init(test);
	struct umem_odp_mirror *m = race->r->mirror;
	struct umem_odp_leaf *leaf = umem_odp_leaf_get(race->chunk, ENV_VA + UMEM_ODP_LEAF_BYTES);
	long bytes = atomic_long_read(&m->table_bytes);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, leaf);
	race->leaf = leaf;
	umem_odp_env_step(UMEM_ODP_PAGES_MADE, leaf, race_make_pages, race);
	KUNIT_EXPECT_EQ(test, umem_odp_leaf_alloc_pages(race->chunk, leaf), 0);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_EXPECT_EQ(test, race->err[0], 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->table_bytes) - bytes, UMEM_ODP_ENTRIES_BYTES);
	umem_odp_leaf_put(race->chunk, leaf);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->table_bytes) + sizeof(*leaf), bytes);
}

static void race_make_chunk(void *data)
{
	struct race *race = data;

	race->chunk = umem_odp_chunk_get(race->r->mirror, 2 * ENV_VA);
}

static void chunk_is_made_twice(struct kunit *test)
{
	struct race *race = race_init(test);
	struct umem_odp_mirror *m = race->r->mirror;
	long bytes = atomic_long_read(&m->table_bytes);
	struct umem_odp_chunk *chunk;

	umem_odp_env_step(UMEM_ODP_CHUNK_MADE, m, race_make_chunk, race);
	chunk = umem_odp_chunk_get(m, 2 * ENV_VA);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	KUNIT_EXPECT_PTR_EQ(test, chunk, race->chunk);
	KUNIT_EXPECT_EQ(test, chunk->pins, 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->table_bytes) - bytes, sizeof(*chunk));
	umem_odp_chunk_put(chunk);
	umem_odp_chunk_put(race->chunk);
}

/* chunk.c: nobody gets a dead chunk, and who wants one there gets another. */
struct dead_race {
	struct work_struct fault;
	struct umem_odp_mirror *m;
	struct umem_odp_chunk *found;
	struct umem_odp_chunk *got;
	struct completion begun;
};

static void dead_fault(struct work_struct *work)
{
	struct dead_race *race = container_of(work, struct dead_race, fault);

	complete(&race->begun);
	race->got = umem_odp_chunk_get(race->m, ENV_VA);
}

static void dead_step(void *data)
{
	struct dead_race *race = data;

	race->found = umem_odp_chunk_get_existing(race->m, ENV_VA >> UMEM_ODP_CHUNK_SHIFT);
	queue_work(system_dfl_wq, &race->fault);
	wait_for_completion(&race->begun);
}

static void fault_beside_a_dead_chunk(struct kunit *test)
{
	struct umem_odp_region *r = umem_odp_env_region(test, ENV_VA, PAGE_SIZE);
	struct dead_race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	struct umem_odp_mirror *m = r->mirror;
	struct umem_odp_chunk *chunk;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->m = m;
	INIT_WORK(&race->fault, dead_fault);
	init_completion(&race->begun);
	chunk = umem_odp_chunk_get(m, ENV_VA);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	umem_odp_env_step(UMEM_ODP_CHUNK_DEAD, chunk, dead_step, race);
	/* As umem_odp_chunk_put() did long ago. */
	scoped_guard(spinlock_bh, &chunk->lock) {
		chunk->pins--;
		chunk->empty_since = jiffies - UMEM_ODP_REAP_JIFFIES;
	}
	umem_odp_chunk_schedule_reap(m, 0);
	flush_delayed_work(&m->reap);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_EXPECT_NULL(test, race->found);
	flush_work(&race->fault);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, race->got);
	KUNIT_EXPECT_FALSE(test, race->got->dead);
	KUNIT_EXPECT_PTR_EQ(test, xa_load(&m->chunks, ENV_VA >> UMEM_ODP_CHUNK_SHIFT),
			    (void *)race->got);
	umem_odp_chunk_put(race->got);
}

/* A page of real memory, whose pass is at work in a fault thread when the step is taken. */
struct fault_race {
	struct umem_odp_region *r;
	struct umem_odp_mirror *m;
	u64 va;
	struct work_struct destroy;
	bool destroyed;
	int err;
};

static struct fault_race *fault_race_init(struct kunit *test)
{
	struct fault_race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->va = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(race->va));
	KUNIT_ASSERT_EQ(test, 0, put_user(1, (int __user *)race->va));
	return race;
}

static bool fault_race_is_over(struct umem_odp_mirror *m)
{
	guard(spinlock_bh)(&m->queue.lock);
	return list_empty(&m->queue.passes);
}

static void fault_race_wait(struct umem_odp_mirror *m)
{
	while (!fault_race_is_over(m))
		schedule_timeout_uninterruptible(1);
}

/* The owner maps another page there, and writes to it. */
static void fault_race_remap(void *data)
{
	struct fault_race *race = data;

	kthread_use_mm(race->m->mm);
	if (vm_mmap(NULL, race->va, PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0) != race->va ||
	    put_user(2, (int __user *)race->va))
		race->err = -EIO;
	kthread_unuse_mm(race->m->mm);
}

/* invalidate.c, chunk.c: what was looked up before an invalidation is looked up again. */
static void invalidation_between_look_and_install(struct kunit *test)
{
	struct fault_race *race = fault_race_init(test);
	int value = 0;
	size_t done;

	race->r = umem_odp_env_region(test, race->va, PAGE_SIZE);
	race->m = race->r->mirror;
	umem_odp_env_step(UMEM_ODP_LOOKED_UP, race->m, fault_race_remap, race);
	KUNIT_EXPECT_EQ(test, umem_odp_fault(race->r, race->va, PAGE_SIZE, true), 0);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_EXPECT_EQ(test, race->err, 0);
	KUNIT_EXPECT_EQ(test, umem_odp_copy_from(race->r, race->va, &value, sizeof(value), &done),
			0);
	KUNIT_EXPECT_EQ(test, value, 2);
	fault_race_wait(race->m);
	KUNIT_EXPECT_GE(test, atomic64_read(&race->r->counters.retries), 1);
}

static void fault_race_expect_nothing_left(struct kunit *test, struct umem_odp_mirror *m)
{
	fault_race_wait(m);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->resident_pages), 0);
	KUNIT_EXPECT_LE(test, atomic_long_read(&m->table_bytes), sizeof(struct umem_odp_chunk));
}

static void fault_race_destroy(void *data)
{
	struct fault_race *race = data;

	umem_odp_region_destroy(race->r);
}

/* mirror.c: the region has left the tree, so nothing is put in. */
static void removal_between_look_and_install(struct kunit *test)
{
	struct umem_odp_region *other = umem_odp_env_region(test, ENV_VA, PAGE_SIZE);
	struct fault_race *race = fault_race_init(test);

	race->m = other->mirror;
	race->r = umem_odp_region_create(current->mm, race->va, PAGE_SIZE, UMEM_ODP_WRITE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, race->r);
	umem_odp_env_step(UMEM_ODP_LOOKED_UP, race->m, fault_race_destroy, race);
	KUNIT_EXPECT_EQ(test, umem_odp_fault(race->r, race->va, PAGE_SIZE, true), -ESHUTDOWN);
	fault_race_expect_nothing_left(test, race->m);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
}

static void fault_race_destroy_work(struct work_struct *work)
{
	struct fault_race *race = container_of(work, struct fault_race, destroy);

	umem_odp_region_destroy(race->r);
	umem_odp_env_set(&race->destroyed);
}

/* Under chunk->lock: the removal, on another CPU, comes as far as it can. */
static void fault_race_destroy_beside(void *data)
{
	unsigned int own = smp_processor_id(), other = cpumask_any_but(cpu_online_mask, own);
	unsigned long end = jiffies + 20 * HZ;
	struct fault_race *race = data;
	unsigned int ms;

	if (other >= nr_cpu_ids) {
		race->err = -ENODEV;
		return;
	}
	queue_work_on(other, system_percpu_wq, &race->destroy);
	while (READ_ONCE(race->m->nr_regions) == 2 && time_before(jiffies, end))
		cpu_relax();
	if (READ_ONCE(race->m->nr_regions) == 2)
		race->err = -ETIMEDOUT;
	/* Time for who does not wait to be through. */
	for (ms = 0; ms < 50 && !umem_odp_env_is_set(&race->destroyed); ms++)
		mdelay(1);
}

/* mirror.c: the region leaves the tree after the install's check: removal waits, and drops. */
static void removal_beside_an_install(struct kunit *test)
{
	struct umem_odp_region *other = umem_odp_env_region(test, ENV_VA, PAGE_SIZE);
	struct fault_race *race = fault_race_init(test);
	struct umem_odp_chunk *chunk;
	int err;

	race->m = other->mirror;
	race->r = umem_odp_region_create(current->mm, race->va, PAGE_SIZE, UMEM_ODP_WRITE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, race->r);
	INIT_WORK(&race->destroy, fault_race_destroy_work);
	chunk = umem_odp_chunk_get(race->m, race->va);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, chunk);
	umem_odp_env_step(UMEM_ODP_COVERED, chunk, fault_race_destroy_beside, race);
	err = umem_odp_fault(race->r, race->va, PAGE_SIZE, true);
	KUNIT_EXPECT_EQ(test, err, -ESHUTDOWN);
	flush_work(&race->destroy);
	fault_race_expect_nothing_left(test, race->m);
	KUNIT_EXPECT_TRUE(test, umem_odp_env_stepped());
	KUNIT_EXPECT_EQ(test, race->err, 0);
	umem_odp_chunk_put(chunk);
}

static struct kunit_case races_cases[] = {
	KUNIT_CASE(access_misses_what_is_closing),
	KUNIT_CASE(invalidation_waits_for_an_access),
	KUNIT_CASE(removal_waits_for_an_access),
	KUNIT_CASE(access_found_what_is_removed),
	KUNIT_CASE(access_found_a_region_that_closes),
	KUNIT_CASE(leaf_is_made_twice),
	KUNIT_CASE(pages_are_made_twice),
	KUNIT_CASE(chunk_is_made_twice),
	KUNIT_CASE(fault_beside_a_dead_chunk),
	KUNIT_CASE(invalidation_between_look_and_install),
	KUNIT_CASE(removal_between_look_and_install),
	KUNIT_CASE(removal_beside_an_install),
	{}
};

static struct kunit_suite races_suite = {
	.name = "umem_odp_races",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = races_cases,
};

kunit_test_suite(races_suite);
