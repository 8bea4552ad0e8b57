// SPDX-License-Identifier: GPL-2.0
/*
 * A pass: make pages present in one leaf, from the first that its leader waits for. What follows
 * when it has come to the end of the leaf is in serve.c.
 *
 * A round of it looks up what the leader asked for, brings in what comes at once (lookup.c), puts
 * it in (install.c) and wakes who waits for any of it. When the leader's page is not among them
 * the pass waits for that one page, and has another round. It ends when that page is there; with a
 * file system it goes on for a few more, since each of these has to be waited for, whoever asks.
 *
 * How long it tries is decided in one place, struct patience.
 *
 * Memory is charged to the owner's cgroup. The mm is kept from going by a user reference, which is
 * given back without running the exit here.
 */
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "hook.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "trace.h"

/* After so many rounds in a row lost to invalidations the fault ends with -EBUSY. */
#define LOST_MAX	64
/* After so many waits in a row that ended without error and without the page it is tried later. */
#define VAIN_MAX	4

/**
 * struct patience - how long a pass goes on
 * @first: the page that it began with
 * @pages_max: how many pages to look up: fewer after a round that was lost, so that one is won
 * @lost: rounds in a row that were lost to invalidations
 * @vain: waits in a row after which the page was not there
 * @waits: all waits
 */
struct patience {
	u64 first;
	unsigned int pages_max;
	unsigned int lost;
	unsigned int vain;
	unsigned int waits;
};

/* The next round looks at half of what was asked for at most, and not ahead. */
static int pass_lost_round(const struct umem_odp_pass *pass, struct patience *p)
{
	u64 wanted = (pass->wanted_end - pass->next) >> PAGE_SHIFT;

	p->pages_max = max_t(u64, min_t(u64, p->pages_max, wanted) / 2, 1);
	return ++p->lost == LOST_MAX ? -EBUSY : -EAGAIN;
}

/* The page at pass->next is not there: true if the pass ends, false if it waits for the page. */
static bool pass_is_enough(const struct umem_odp_pass *pass, const struct patience *p)
{
	if (pass->ahead)
		return true;
	if (pass->next == p->first)
		return false;
	return !pass->file_system || p->waits >= UMEM_ODP_PASS_ASKS;
}

static int pass_wait_for_page(struct umem_odp_pass *pass, struct patience *p)
{
	int err;

	if (p->vain++ == VAIN_MAX)
		return UMEM_ODP_PASS_LATER;
	err = umem_odp_pass_wait(pass);
	p->waits++;
	return err ?: -EAGAIN;
}

/*
 * Whether the last process that had the mm has ended, while this pass, or somebody else, keeps it.
 * Its userfaultfds are closed then, or will be. A page that none of them has filled reads as zeros
 * from there on, which is not the owner's data.
 *
 *	the owner's exit			pass
 *	----------------			----
 *	mm->owner = NULL			looks the page up, under mmap_lock
 *	closes userfaultfds, under mmap_lock	looks at mm->owner
 *
 * One that was looked up after the close sees that there is no owner: at exit, and at exec, which
 * puts off the closing until it has returned. What others close while the owner is still being
 * killed cannot be told from what they close while it lives; nor can anything on a kernel without
 * memory cgroups.
 */
static bool pass_owner_ended(const struct umem_odp_pass *pass)
{
#ifdef CONFIG_MEMCG
	return !rcu_access_pointer(pass->mirror->mm->owner);
#else
	return false;
#endif
}

/* Returns -EAGAIN if another round is needed. */
static int pass_round(struct umem_odp_pass *pass, struct patience *p)
{
	u64 next = pass->next;
	int err;

	/* Nobody is left to be charged for what is faulted in. */
	if (pass_owner_ended(pass))
		return -EOWNERDEAD;
	err = umem_odp_pass_look_up(pass, p->pages_max);
	if (err)
		return err;
	if (pass_owner_ended(pass))
		return -EOWNERDEAD;
	umem_odp_hook(UMEM_ODP_LOOKED_UP, pass->mirror);
	err = umem_odp_pass_install(pass);
	umem_odp_queue_wake_served(pass);
	if (pass->next != next) {
		p->lost = 0;
		p->vain = 0;
	}
	if (pass->next >= pass->wanted_end)
		return 0;
	if (err)
		return err == -EAGAIN ? pass_lost_round(pass, p) : err;
	if (pass->look_only)
		return 0;
	return pass_is_enough(pass, p) ? 0 : pass_wait_for_page(pass, p);
}

/* Wakes those who wait for pages that another pass has put in since; false if there is none. */
static bool pass_serve_present(struct umem_odp_pass *pass)
{
	unsigned long offset = pass->next & (UMEM_ODP_LEAF_BYTES - 1), phys, bits;
	size_t found;

	/* An invalidation at work makes every access miss: nobody is woken before its end. */
	mmu_interval_read_begin(&pass->chunk->notifier);
	read_lock_bh(&pass->leaf->lock);
	found = umem_odp_entries_look(&pass->leaf->entries, offset, pass->wanted_end - pass->next,
				      pass->write, &phys, &bits);
	read_unlock_bh(&pass->leaf->lock);
	if (!found)
		return false;
	umem_odp_queue_serve(pass, pass->next, pass->next + found, 0);
	umem_odp_queue_wake_served(pass);
	return true;
}

static int pass_rounds(struct umem_odp_pass *pass)
{
	struct patience p = { .first = pass->next, .pages_max = UMEM_ODP_LEAF_PAGES };
	int err = 0;

	trace_umem_odp_fault_begin(pass->mirror, pass->next, pass->wanted_end, pass->write);
	if (!pass_serve_present(pass)) {
		while ((err = pass_round(pass, &p)) == -EAGAIN) {
			if (fatal_signal_pending(current)) {
				err = -EINTR;
				break;
			}
			/* One gone ahead gives way to invalidations. Leaders inside get passes. */
			if (pass->ahead)
				break;
			pass->retries++;
			cond_resched();
		}
		umem_odp_chunk_close_window(pass->chunk, &pass->window);
	}
	/* An error of a page behind the first concerns nobody yet. */
	if (pass->next != p.first)
		err = 0;
	trace_umem_odp_fault_end(pass->mirror, pass->next, err, pass->retries);
	return err;
}

static int pass_run_pinned(struct umem_odp_pass *pass)
{
	int err;

	pass->chunk = umem_odp_chunk_get(pass->mirror, pass->next);
	if (IS_ERR(pass->chunk))
		return PTR_ERR(pass->chunk);
	pass->leaf = umem_odp_leaf_get(pass->chunk, pass->next);
	if (IS_ERR(pass->leaf)) {
		err = PTR_ERR(pass->leaf);
		goto err_put_chunk;
	}
	err = pass_rounds(pass);
	umem_odp_leaf_put(pass->chunk, pass->leaf);
err_put_chunk:
	umem_odp_chunk_put(pass->chunk);
	return err;
}

/**
 * umem_odp_pass_run() - run a pass
 * @pass: the pass, listed
 *
 * Context: A fault thread. May last for ever; ends with SIGKILL, if the kernel allows it.
 * Return: 0 if at least its first page was there: those who waited for it have been woken, or are
 * in pass->served. A pass that has gone ahead also returns 0 if that page was not there, and
 * -EAGAIN when a round was lost. -EFAULT, -EHWPOISON, -ENOMEM and -EBUSY concern the page at
 * pass->next, -EOWNERDEAD all pages. -EINTR: the pass was stopped. UMEM_ODP_PASS_LATER: it would
 * have to wait for the page, and may not.
 */
int umem_odp_pass_run(struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass->mirror->mm;
	struct mem_cgroup *memcg, *old;
	int err;

	pass->retries = 0;
	pass->refusal = UMEM_ODP_REFUSAL_NONE;
	if (!mmget_not_zero(mm))
		return -EOWNERDEAD;
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	err = pass_run_pinned(pass);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	mmput_async(mm);
	return err;
}
