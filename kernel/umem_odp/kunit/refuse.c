// SPDX-License-Identifier: GPL-2.0
/* What is refused, with which error, and that nothing is left of it. */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>

#include "env.h"

#include "chunk.h"
#include "mirror.h"
#include "region.h"

static void arguments_of_a_region(struct kunit *test)
{
	static const struct {
		u64 start;
		u64 length_bytes;
		u32 flags;
	} bad[] = {
		{ ENV_VA, 0, 0 },
		{ ENV_VA, PAGE_SIZE, 2 },
		{ ENV_VA, ~0ULL, 0 },
		{ ~0ULL, 1, 0 },
	};
	struct mm_struct *mm = current->mm;
	struct umem_odp_region *r;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r = umem_odp_region_create(mm, bad[i].start, bad[i].length_bytes, bad[i].flags);
		KUNIT_EXPECT_PTR_EQ(test, r, ERR_PTR(-EINVAL));
	}
	r = umem_odp_region_create(mm, mm->task_size - 1, 2, 0);
	KUNIT_EXPECT_PTR_EQ(test, r, ERR_PTR(-EINVAL));
	r = umem_odp_env_region(test, mm->task_size - 1, 1);
	KUNIT_EXPECT_EQ(test, umem_odp_fault(r, mm->task_size - 1, 1, false), -EFAULT);
}

struct refused {
	struct umem_odp_waiter waiter;
	struct completion done;
	int err;
};

static void refused_wake(struct umem_odp_waiter *w, int err)
{
	struct refused *refused = container_of(w, struct refused, waiter);

	refused->err = err;
	complete(&refused->done);
}

static void refused_expect(struct kunit *test, unsigned long prot, bool write,
			   enum umem_odp_refusal refusal)
{
	struct refused *refused = kunit_kzalloc(test, sizeof(*refused), GFP_KERNEL);
	struct umem_odp_region *r;
	struct umem_odp_mirror *m;
	unsigned long va;

	KUNIT_ASSERT_NOT_NULL(test, refused);
	va = vm_mmap(NULL, 0, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(va));
	if (refusal == UMEM_ODP_REFUSAL_NOT_MAPPED)
		vm_munmap(va, PAGE_SIZE);
	r = umem_odp_env_region(test, va, PAGE_SIZE);
	m = r->mirror;
	init_completion(&refused->done);
	refused->waiter.wake = refused_wake;
	KUNIT_ASSERT_EQ(test, -EINPROGRESS,
			umem_odp_fault_async(r, va, 1, write, &refused->waiter));
	wait_for_completion(&refused->done);
	KUNIT_EXPECT_EQ(test, refused->err, -EFAULT);
	KUNIT_EXPECT_EQ(test, refused->waiter.refusal, refusal);
	KUNIT_EXPECT_EQ(test, atomic64_read(&r->counters.failed_faults), 1);
	umem_odp_env_destroy(test, r);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->resident_pages), 0);
	KUNIT_EXPECT_LE(test, atomic_long_read(&m->table_bytes), sizeof(struct umem_odp_chunk));
}

static void reasons_of_a_refusal(struct kunit *test)
{
	refused_expect(test, PROT_READ, false, UMEM_ODP_REFUSAL_NOT_MAPPED);
	refused_expect(test, PROT_READ, true, UMEM_ODP_REFUSAL_PERMISSION);
	refused_expect(test, PROT_NONE, false, UMEM_ODP_REFUSAL_PERMISSION);
}

struct owner {
	struct umem_odp_region *r;
	struct mm_struct *mm;
	struct completion done;
	int err;
};

/* Registers memory, and ends. */
static int owner_fn(void *data)
{
	struct owner *owner = data;

	owner->err = kunit_attach_mm();
	if (!owner->err) {
		owner->mm = current->mm;
		mmgrab(owner->mm);
		owner->r = umem_odp_region_create(owner->mm, ENV_VA, PAGE_SIZE, 0);
	}
	kthread_complete_and_exit(&owner->done, 0);
}

/* A region outlives its owner, and says so; another one is not to be had. */
static void owner_has_ended(struct kunit *test)
{
	struct owner *owner = kunit_kzalloc(test, sizeof(*owner), GFP_KERNEL);
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	init_completion(&owner->done);
	task = kthread_run(owner_fn, owner, "umem_odp_owner");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	wait_for_completion(&owner->done);
	KUNIT_ASSERT_EQ(test, owner->err, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, owner->r);
	while (atomic_read(&owner->mm->mm_users))
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_PTR_EQ(test, umem_odp_region_create(owner->mm, ENV_VA, PAGE_SIZE, 0),
			    ERR_PTR(-EOWNERDEAD));
	KUNIT_EXPECT_EQ(test, umem_odp_fault(owner->r, ENV_VA, 1, false), -EOWNERDEAD);
	umem_odp_region_destroy(owner->r);
	mmdrop(owner->mm);
}

static struct kunit_case refuse_cases[] = {
	KUNIT_CASE(arguments_of_a_region),
	KUNIT_CASE(reasons_of_a_refusal),
	KUNIT_CASE(owner_has_ended),
	{}
};

static struct kunit_suite refuse_suite = {
	.name = "umem_odp_refuse",
	.init = umem_odp_env_init,
	.exit = umem_odp_env_exit,
	.test_cases = refuse_cases,
};

kunit_test_suite(refuse_suite);
