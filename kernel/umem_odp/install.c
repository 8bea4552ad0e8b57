// SPDX-License-Identifier: GPL-2.0
/*
 * Putting pages in that a pass has looked up: under chunk->lock, if nothing of its window was
 * invalidated meanwhile, and only what some region covers.
 *
 * Why pages are marked dirty here and not at invalidation. Only a fault for writing makes entries
 * with WRITE. Then a writable mapping of a file system that tracks writes is dirty already; its
 * writeback takes WRITE away (PROTECTION_PAGE) before it clears dirty. Anonymous and shared memory
 * are cleaned only when they are unmapped (CLEAR). Each of these comes through the chunk's
 * notifier, which waits for chunk->lock before it lets the kernel go on:
 *
 *	pass					reclaim
 *	----					-------
 *	chunk->lock
 *	 nothing was invalidated
 *						unmap the page: notifier waits for chunk->lock
 *	 folio_mark_dirty()
 *	 entry with WRITE
 *	unlock
 *						 the entry goes
 *						sees a dirty page, writes it out
 *
 * It cannot be done under leaf->lock (inode locks are taken with BH on), nor after chunk->lock
 * (the page may be truncated then).
 */
#include <linux/hmm.h>
#include <linux/mm.h>

#include "hook.h"
#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "queue.h"
#include "trace.h"

/* chunk->lock is held for so many pages at a time. */
#define INSTALL_BATCH	64U

static unsigned long install_entry_bits(const struct umem_odp_pass *pass)
{
	return UMEM_ODP_ENTRY_VALID | (pass->write ? UMEM_ODP_ENTRY_WRITE : 0);
}

/* The huge entry that covers the leaf, if its mapping is huge; or 0. */
static unsigned long install_huge_entry(const struct umem_odp_pass *pass)
{
	unsigned long frame;

	if (!umem_odp_pass_usable(pass, pass->pfns[0]) ||
	    hmm_pfn_to_map_order(pass->pfns[0]) < UMEM_ODP_LEAF_ORDER)
		return 0;
	frame = (pass->pfns[0] & ~HMM_PFN_FLAGS) - umem_odp_leaf_page(pass->start);
	if (!IS_ALIGNED(frame, UMEM_ODP_LEAF_PAGES))
		return 0;
	return PFN_PHYS(frame) | install_entry_bits(pass);
}

/* Turns pass->pfns into entries, 0 where there is no usable page. False if there is none. */
static bool install_make_entries(struct umem_odp_pass *pass)
{
	unsigned long pfn;
	bool any = false;
	unsigned int i;

	for (i = 0; i < pass->nr; i++) {
		pfn = pass->pfns[i];
		pass->pfns[i] = umem_odp_pass_usable(pass, pfn) ?
				PFN_PHYS(pfn & ~HMM_PFN_FLAGS) | install_entry_bits(pass) : 0;
		any |= pass->pfns[i];
	}
	return any;
}

static void install_mark_dirty(const unsigned long *entries, unsigned int nr)
{
	struct folio *folio, *last = NULL;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		folio = page_folio(pfn_to_page(entries[i] >> PAGE_SHIFT));
		if (folio != last && !folio_test_dirty(folio))
			folio_mark_dirty(folio);
		last = folio;
	}
}

static void install_entries(struct umem_odp_pass *pass, u64 va, const unsigned long *entries,
			    unsigned int nr, bool huge)
{
	struct umem_odp_leaf *leaf = pass->leaf;
	long added;

	lockdep_assert_held(&pass->chunk->lock);
	if (pass->write)
		install_mark_dirty(entries, huge ? 1 : nr);
	umem_odp_leaf_lock_to_install(leaf);
	added = -(long)leaf->entries.resident;
	if (huge)
		umem_odp_entries_set_huge(&leaf->entries, *entries);
	else
		umem_odp_entries_set(&leaf->entries, umem_odp_leaf_page(va), nr, entries);
	added += leaf->entries.resident;
	umem_odp_leaf_unlock(leaf);
	atomic_long_add(added, &pass->mirror->resident_pages);
	trace_umem_odp_install(pass->mirror, va, nr, pass->write, huge);
}

/*
 * Puts in @nr pages from @va on, or as many of them as some region covers. Returns how many;
 * -EAGAIN if something of the window was invalidated.
 */
static int install_run(struct umem_odp_pass *pass, u64 va, const unsigned long *entries,
		       unsigned int nr)
{
	u64 end = va + ((u64)nr << PAGE_SHIFT);

	scoped_guard(spinlock_bh, &pass->chunk->lock) {
		if (pass->window.hit)
			return -EAGAIN;
		end = umem_odp_mirror_covered(pass->mirror, va, end);
		nr = (end - va) >> PAGE_SHIFT;
		umem_odp_hook(UMEM_ODP_COVERED, pass->chunk);
		if (nr)
			install_entries(pass, va, entries, nr, false);
	}
	umem_odp_queue_serve(pass, va, end, nr);
	return nr;
}

/* As install_run(), for all of the leaf. Returns 0 if regions cover only a part of it. */
static int install_huge(struct umem_odp_pass *pass, unsigned long entry)
{
	u64 start = umem_odp_leaf_start(pass->chunk, pass->leaf);
	u64 end = start + UMEM_ODP_LEAF_BYTES;

	scoped_guard(spinlock_bh, &pass->chunk->lock) {
		if (pass->window.hit)
			return -EAGAIN;
		if (umem_odp_mirror_covered(pass->mirror, start, end) != end)
			return 0;
		install_entries(pass, start, &entry, UMEM_ODP_LEAF_PAGES, true);
	}
	umem_odp_queue_serve(pass, start, end, pass->nr);
	return UMEM_ODP_LEAF_PAGES;
}

/* How many pages can be put in together from the i-th on. */
static unsigned int install_run_length(const struct umem_odp_pass *pass, unsigned int i,
				       unsigned int next)
{
	unsigned int stop = min(i + INSTALL_BATCH, pass->nr), at;

	/* End before @next: install_run() puts nothing in if no region covers its first page. */
	if (i < next)
		stop = min(stop, next);
	for (at = i; at < stop && pass->pfns[at]; at++)
		;
	return at - i;
}

static int install_runs(struct umem_odp_pass *pass)
{
	unsigned int next = (pass->next - pass->start) >> PAGE_SHIFT, i, nr;
	u64 start = pass->start;
	int done;

	for (i = 0; i < pass->nr; i += nr) {
		nr = install_run_length(pass, i, next);
		if (!nr) {
			nr = 1;
			continue;
		}
		done = install_run(pass, start + ((u64)i << PAGE_SHIFT), pass->pfns + i, nr);
		if (done < 0)
			return done;
	}
	return 0;
}

/**
 * umem_odp_pass_install() - put in what was looked up, and claim who waits for it
 * @pass: the pass; pass->next stands behind the first pages that are there
 *
 * Context: May sleep.
 * Return: 0; -EAGAIN if something was invalidated, what was put in before that stays; -ENOMEM.
 */
int umem_odp_pass_install(struct umem_odp_pass *pass)
{
	unsigned long huge = install_huge_entry(pass);
	int done, err;

	if (huge) {
		done = install_huge(pass, huge);
		if (done)
			return min(done, 0);
	}
	if (!install_make_entries(pass))
		return 0;
	err = umem_odp_leaf_alloc_pages(pass->chunk, pass->leaf);
	return err ?: install_runs(pass);
}
