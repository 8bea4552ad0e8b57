// SPDX-License-Identifier: GPL-2.0
/*
 * Passes that have gone on behind what their leader waits for, when somebody else asks for a page:
 * one is stopped if it has the last thread that may work, and else left alone.
 */
#include <kunit/test.h>
#include <linux/align.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "env.h"

#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "thread.h"

/* Three that one asks for, and a fourth, of which another one asks for a page. */
#define AHEAD_LEAVES	4

struct ahead_asker {
	struct umem_odp_waiter waiter;
	struct completion done;
	int err;
};

struct ahead {
	struct umem_odp_region *r;
	struct umem_odp_mirror *m;
	u64 va;
	unsigned int other_threads;
	struct ahead_asker first;
	struct ahead_asker other;
	int asked;
};

static void ahead_wake(struct umem_odp_waiter *w, int err)
{
	struct ahead_asker *asker = container_of(w, struct ahead_asker, waiter);

	asker->err = err;
	complete(&asker->done);
}

static void ahead_asker_init(struct ahead_asker *asker)
{
	asker->waiter.wake = ahead_wake;
	init_completion(&asker->done);
}

static struct ahead *ahead_init(struct kunit *test)
{
	struct ahead *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	unsigned long va;

	KUNIT_ASSERT_NOT_NULL(test, a);
	va = vm_mmap(NULL, 0, (AHEAD_LEAVES + 1) * UMEM_ODP_LEAF_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(va));
	a->va = ALIGN(va, UMEM_ODP_LEAF_BYTES);
	a->r = umem_odp_env_region(test, a->va, AHEAD_LEAVES * UMEM_ODP_LEAF_BYTES);
	a->m = a->r->mirror;
	ahead_asker_init(&a->first);
	ahead_asker_init(&a->other);
	return a;
}

static u64 ahead_leaf(const struct ahead *a, unsigned int nr)
{
	return a->va + nr * UMEM_ODP_LEAF_BYTES;
}

/* In the thread of the pass: all others that there may be are at work. */
static void ahead_ask(void *data)
{
	struct ahead *a = data;

	scoped_guard(spinlock_bh, &a->m->queue.lock)
		a->m->queue.nr_threads += a->other_threads;
	a->asked = umem_odp_fault_async(a->r, ahead_leaf(a, 3), 1, true, &a->other.waiter);
}

static bool ahead_is_over(struct umem_odp_mirror *m)
{
	guard(spinlock_bh)(&m->queue.lock);
	return list_empty(&m->queue.passes);
}

/* The other one asks when the pass has gone on behind the first leaf. */
static void ahead_run(struct kunit *test, struct ahead *a)
{
	umem_odp_env_step(UMEM_ODP_WENT_AHEAD, a->m, ahead_ask, a);
	KUNIT_ASSERT_EQ(test, -EINPROGRESS,
			umem_odp_fault_async(a->r, a->va, 3 * UMEM_ODP_LEAF_BYTES, true,
					     &a->first.waiter));
	wait_for_completion(&a->first.done);
	KUNIT_EXPECT_EQ(test, a->first.err, 0);
	while (!ahead_is_over(a->m))
		schedule_timeout_uninterruptible(1);
	KUNIT_ASSERT_TRUE(test, umem_odp_env_stepped());
	KUNIT_ASSERT_EQ(test, a->asked, -EINPROGRESS);
	wait_for_completion(&a->other.done);
	KUNIT_EXPECT_EQ(test, a->other.err, 0);
	while (!ahead_is_over(a->m))
		schedule_timeout_uninterruptible(1);
	scoped_guard(spinlock_bh, &a->m->queue.lock)
		a->m->queue.nr_threads -= a->other_threads;
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(a->r, a->va, true), 0);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(a->r, ahead_leaf(a, 3), true), 0);
}

/* There may be no more threads, so it brings in nothing more. */
static void ahead_is_stopped_for_its_thread(struct kunit *test)
{
	struct ahead *a = ahead_init(test);

	a->other_threads = UMEM_ODP_ACTIVE_THREADS - 1;
	ahead_run(test, a);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(a->r, ahead_leaf(a, 1), true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(a->r, ahead_leaf(a, 2), true), -EAGAIN);
}

/* One more may be made, which works beside it: it comes to the end of its leaf at least. */
static void ahead_is_left_alone(struct kunit *test)
{
	struct ahead *a = ahead_init(test);

	a->other_threads = UMEM_ODP_ACTIVE_THREADS - 2;
	ahead_run(test, a);
	KUNIT_EXPECT_EQ(test, umem_odp_env_look(a->r, ahead_leaf(a, 2) - 1, true), 0);
}

static struct kunit_case ahead_cases[] = {
	KUNIT_CASE(ahead_is_stopped_for_its_thread),
	KUNIT_CASE(ahead_is_left_alone),
	{}
};

static struct kunit_suite ahead_suite = {
	.name = "umem_odp_ahead",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = ahead_cases,
};

kunit_test_suite(ahead_suite);
