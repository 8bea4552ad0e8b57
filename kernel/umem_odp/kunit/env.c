// SPDX-License-Identifier: GPL-2.0
/*
 * The suites' module contains the sources of umem_odp once more, compiled with its hooks (Kbuild).
 * So the suites reach functions that umem_odp.ko does not export, umem_odp.ko has nothing for tests
 * in it, and the state is their own. The two modules may be loaded together, so the caches here
 * have other names; the rest is as in main.c, with its wait at the end for all that must have gone.
 *
 * Each test has an address space of its own, which ends with its thread.
 */
#include <linux/atomic.h>
#include <linux/hmm.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "env.h"

#include "chunk.h"
#include "invalidate.h"
#include "leaf.h"
#include "mem_cache.h"
#include "mirror.h"
#include "pass.h"
#include "region.h"
#include "thread.h"

/* Against a hang, when what is waited for does not come. */
#define WAIT_JIFFIES	(20 * HZ)

struct kmem_cache *umem_odp_region_cache;
struct kmem_cache *umem_odp_mirror_cache;
struct kmem_cache *umem_odp_chunk_cache;
struct kmem_cache *umem_odp_leaf_cache;
struct kmem_cache *umem_odp_entries_cache;
struct workqueue_struct *umem_odp_wq;

enum env_step_state { STEP_NONE, STEP_READY, STEP_BEGUN, STEP_TAKEN };

static struct {
	atomic_t state;
	enum umem_odp_moment moment;
	const void *of;
	void (*take)(void *data);
	void *data;
} env_step;

/**
 * umem_odp_hook() - a thread has come to a moment
 * @moment: the moment
 * @of: of what
 */
void umem_odp_hook(enum umem_odp_moment moment, const void *of)
{
	if (atomic_read_acquire(&env_step.state) != STEP_READY || env_step.moment != moment ||
	    env_step.of != of)
		return;
	if (atomic_cmpxchg(&env_step.state, STEP_READY, STEP_BEGUN) != STEP_READY)
		return;
	env_step.take(env_step.data);
	atomic_set_release(&env_step.state, STEP_TAKEN);
}

/**
 * umem_odp_env_step() - have a step taken at a moment
 * @moment: the moment
 * @of: of what
 * @take: the step, in the context of the moment
 * @data: for it; lasts until umem_odp_env_stepped()
 */
void umem_odp_env_step(enum umem_odp_moment moment, const void *of, void (*take)(void *data),
		       void *data)
{
	env_step.moment = moment;
	env_step.of = of;
	env_step.take = take;
	env_step.data = data;
	atomic_set_release(&env_step.state, STEP_READY);
}

/**
 * umem_odp_env_stepped() - has the step been taken
 *
 * One that another thread has begun is waited for. It is not taken any more afterwards.
 *
 * Return: true if so.
 */
bool umem_odp_env_stepped(void)
{
	if (atomic_cmpxchg(&env_step.state, STEP_READY, STEP_NONE) == STEP_READY)
		return false;
	while (atomic_read_acquire(&env_step.state) == STEP_BEGUN)
		schedule_timeout_uninterruptible(1);
	return atomic_xchg(&env_step.state, STEP_NONE) == STEP_TAKEN;
}

/**
 * umem_odp_env_init() - give a test an address space
 * @test: the test
 *
 * Return: 0 or -errno.
 */
int umem_odp_env_init(struct kunit *test)
{
	return kunit_attach_mm();
}

/**
 * umem_odp_env_exit() - undo umem_odp_env_init()
 * @test: the test
 */
void umem_odp_env_exit(struct kunit *test)
{
	umem_odp_env_stepped();
}

KUNIT_DEFINE_ACTION_WRAPPER(env_destroy, umem_odp_region_destroy, struct umem_odp_region *);

/**
 * umem_odp_env_region() - register memory of the test's address space, for writing
 * @test: the test, at whose end it is destroyed at the latest
 * @start: first address
 * @length_bytes: how much
 *
 * Return: the region.
 */
struct umem_odp_region *umem_odp_env_region(struct kunit *test, u64 start, u64 length_bytes)
{
	struct umem_odp_region *r;

	r = umem_odp_region_create(current->mm, start, length_bytes, UMEM_ODP_WRITE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, r);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, env_destroy, r));
	return r;
}

/**
 * umem_odp_env_destroy() - undo umem_odp_env_region()
 * @test: the test
 * @r: the region
 */
void umem_odp_env_destroy(struct kunit *test, struct umem_odp_region *r)
{
	kunit_release_action(test, env_destroy, r);
}

static void env_free_block(void *page)
{
	__free_pages(page, UMEM_ODP_LEAF_ORDER);
}

/**
 * umem_odp_env_block() - allocate what stands for a huge page
 * @test: the test, at whose end it is freed; made before the regions that it is put into
 *
 * Return: its first page.
 */
struct page *umem_odp_env_block(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, UMEM_ODP_LEAF_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, env_free_block, page));
	return page;
}

static void env_end_pass(void *data)
{
	struct umem_odp_pass *pass = data;

	umem_odp_chunk_close_window(pass->chunk, &pass->window);
	umem_odp_leaf_put(pass->chunk, pass->leaf);
	umem_odp_chunk_put(pass->chunk);
}

/**
 * umem_odp_env_pass() - begin a pass that puts in what it is given instead of what it looks up
 * @test: the test, at whose end the pass ends at the latest
 * @r: the region that it counts for
 * @va: an address in its leaf
 *
 * Return: the pass, its chunk and its leaf pinned.
 */
struct umem_odp_pass *umem_odp_env_pass(struct kunit *test, struct umem_odp_region *r, u64 va)
{
	struct umem_odp_pass *pass = kunit_kzalloc(test, sizeof(*pass), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pass);
	pass->mirror = r->mirror;
	pass->region = r;
	pass->prefetch = true;
	pass->look_only = true;
	pass->write = true;
	INIT_LIST_HEAD(&pass->node);
	INIT_LIST_HEAD(&pass->inside);
	INIT_LIST_HEAD(&pass->served);
	INIT_LIST_HEAD(&pass->window.node);
	pass->chunk = umem_odp_chunk_get(r->mirror, va);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pass->chunk);
	pass->leaf = umem_odp_leaf_get(pass->chunk, va);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pass->leaf);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, env_end_pass, pass));
	return pass;
}

/**
 * umem_odp_env_pass_end() - undo umem_odp_env_pass()
 * @test: the test
 * @pass: the pass
 */
void umem_odp_env_pass_end(struct kunit *test, struct umem_odp_pass *pass)
{
	kunit_release_action(test, env_end_pass, pass);
}

/**
 * umem_odp_env_found() - let a pass have looked pages up
 * @pass: the pass
 * @va: where
 * @page: the first of what it has found there
 * @nr: how many
 * @huge: they are mapped as one
 */
void umem_odp_env_found(struct umem_odp_pass *pass, u64 va, struct page *page, unsigned int nr,
			bool huge)
{
	unsigned long order = huge ? UMEM_ODP_LEAF_ORDER : 0;
	unsigned int i;

	umem_odp_chunk_open_window(pass->chunk, &pass->window, va, va + nr * PAGE_SIZE - 1);
	pass->next = va;
	pass->start = va;
	pass->nr = nr;
	for (i = 0; i < nr; i++)
		pass->pfns[i] = (page_to_pfn(page) + i) | HMM_PFN_VALID | HMM_PFN_WRITE |
				order << HMM_PFN_ORDER_SHIFT;
}

/**
 * umem_odp_env_put() - let a pass look pages up, and put them in
 * @pass: the pass
 * @va: where
 * @page: the first of them
 * @nr: how many
 * @huge: they are mapped as one
 *
 * Return: as umem_odp_pass_install().
 */
int umem_odp_env_put(struct umem_odp_pass *pass, u64 va, struct page *page, unsigned int nr,
		     bool huge)
{
	umem_odp_env_found(pass, va, page, nr, huge);
	return umem_odp_pass_install(pass);
}

/**
 * umem_odp_env_invalidate() - as the kernel's notifier calls, when nothing else changes the mm
 * @chunk: the chunk
 * @start: first address
 * @last: last address
 * @event: what happens there
 */
void umem_odp_env_invalidate(struct umem_odp_chunk *chunk, u64 start, u64 last,
			     enum mmu_notifier_event event)
{
	const struct mmu_notifier_range range = {
		.mm = chunk->mirror->mm,
		.start = start,
		.end = last + 1,
		.event = event,
	};

	umem_odp_invalidate_ops.invalidate(&chunk->notifier, &range,
					   chunk->notifier.invalidate_seq);
}

/**
 * umem_odp_env_look() - begin an access, and end it at once
 * @r: the region
 * @va: where
 * @write: for writing
 *
 * Return: as umem_odp_access_begin().
 */
int umem_odp_env_look(struct umem_odp_region *r, u64 va, bool write)
{
	struct umem_odp_access acc;
	int err = umem_odp_access_begin(r, &acc, va, 1, write);

	if (!err)
		umem_odp_access_end(&acc);
	return err;
}

/**
 * umem_odp_env_beside() - start a thread on another CPU than the test's
 * @test: the test
 * @fn: what it does
 * @data: for that
 *
 * Return: the thread, to be ended by kthread_stop().
 */
struct task_struct *umem_odp_env_beside(struct kunit *test, int (*fn)(void *data), void *data)
{
	unsigned int own = cpumask_first(cpu_online_mask), other = cpumask_last(cpu_online_mask);
	struct task_struct *task;

	KUNIT_ASSERT_NE_MSG(test, own, other, "it takes two CPUs");
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(own)));
	task = kthread_create_on_cpu(fn, data, other, "umem_odp_kunit/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	wake_up_process(task);
	return task;
}

/**
 * umem_odp_env_wait_for() - spin until another thread has set a flag
 * @flag: the flag
 *
 * Context: Any.
 * Return: false if it has not, for a long time.
 */
bool umem_odp_env_wait_for(const bool *flag)
{
	unsigned long end = jiffies + WAIT_JIFFIES;

	while (!umem_odp_env_is_set(flag)) {
		if (time_after(jiffies, end))
			return false;
		cpu_relax();
	}
	return true;
}

static void env_destroy_caches(void)
{
	kmem_cache_destroy(umem_odp_entries_cache);
	kmem_cache_destroy(umem_odp_leaf_cache);
	kmem_cache_destroy(umem_odp_chunk_cache);
	kmem_cache_destroy(umem_odp_mirror_cache);
	kmem_cache_destroy(umem_odp_region_cache);
}

static struct kmem_cache *env_cache(const char *name, size_t size_bytes, size_t align)
{
	return kmem_cache_create(name, size_bytes, align, SLAB_ACCOUNT | SLAB_NO_MERGE, NULL);
}

#define ENV_CACHE(type) env_cache("kunit_" #type, sizeof(struct type), __alignof__(struct type))

static int __init env_module_init(void)
{
	umem_odp_region_cache = ENV_CACHE(umem_odp_region);
	umem_odp_mirror_cache = ENV_CACHE(umem_odp_mirror);
	umem_odp_chunk_cache = ENV_CACHE(umem_odp_chunk);
	umem_odp_leaf_cache = ENV_CACHE(umem_odp_leaf);
	umem_odp_entries_cache = env_cache("kunit_umem_odp_entries", UMEM_ODP_ENTRIES_BYTES, 0);
	umem_odp_wq = alloc_workqueue("umem_odp_kunit", WQ_UNBOUND, 0);
	if (umem_odp_region_cache && umem_odp_mirror_cache && umem_odp_chunk_cache &&
	    umem_odp_leaf_cache && umem_odp_entries_cache && umem_odp_wq)
		return 0;
	if (umem_odp_wq)
		destroy_workqueue(umem_odp_wq);
	env_destroy_caches();
	return -ENOMEM;
}

static void __exit env_module_exit(void)
{
	umem_odp_mirror_wait_for_all();
	umem_odp_thread_wait_for_all();
	mmu_notifier_synchronize();
	rcu_barrier();
	destroy_workqueue(umem_odp_wq);
	env_destroy_caches();
}

module_init(env_module_init);
module_exit(env_module_exit);

MODULE_DESCRIPTION("KUnit suites of umem_odp");
MODULE_LICENSE("GPL");
