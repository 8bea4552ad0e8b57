/* SPDX-License-Identifier: GPL-2.0 */
/* What the suites share: an address space for each test, pages put in by hand, and steps. */
#ifndef UMEM_ODP_KUNIT_ENV_H
#define UMEM_ODP_KUNIT_ENV_H

#include <asm/barrier.h>
#include <kunit/test.h>
#include <linux/mmu_notifier.h>
#include <linux/types.h>

#include <umem_odp/umem_odp.h>

#include "hook.h"

struct umem_odp_chunk;
struct umem_odp_pass;

/* An address at which no test has a mapping; the first of a chunk. */
#define ENV_VA	(4ULL << UMEM_ODP_CHUNK_SHIFT)

int umem_odp_env_init(struct kunit *test);
void umem_odp_env_exit(struct kunit *test);

struct umem_odp_region *umem_odp_env_region(struct kunit *test, u64 start, u64 length_bytes);
void umem_odp_env_destroy(struct kunit *test, struct umem_odp_region *r);
struct page *umem_odp_env_block(struct kunit *test);
struct umem_odp_pass *umem_odp_env_pass(struct kunit *test, struct umem_odp_region *r, u64 va);
void umem_odp_env_pass_end(struct kunit *test, struct umem_odp_pass *pass);
void umem_odp_env_found(struct umem_odp_pass *pass, u64 va, struct page *page, unsigned int nr,
			bool huge);
int umem_odp_env_put(struct umem_odp_pass *pass, u64 va, struct page *page, unsigned int nr,
		     bool huge);
void umem_odp_env_invalidate(struct umem_odp_chunk *chunk, u64 start, u64 last,
			     enum mmu_notifier_event event);
int umem_odp_env_look(struct umem_odp_region *r, u64 va, bool write);

/* A step is taken once, in the thread that comes to the moment first. */
void umem_odp_env_step(enum umem_odp_moment moment, const void *of, void (*take)(void *data),
		       void *data);
bool umem_odp_env_stepped(void);

/* A thread on another CPU than the test's, which stays on its own. */
struct task_struct *umem_odp_env_beside(struct kunit *test, int (*fn)(void *data), void *data);
bool umem_odp_env_wait_for(const bool *flag);

/* A flag that one thread sets for another, behind all that it wrote before. */
static inline void umem_odp_env_set(bool *flag)
{
	/* Pairs with umem_odp_env_is_set(). */
	smp_store_release(flag, true);
}

static inline bool umem_odp_env_is_set(const bool *flag)
{
	/* Pairs with umem_odp_env_set(). */
	return smp_load_acquire(flag);
}

#endif
