// SPDX-License-Identifier: GPL-2.0
/*
 * A pass: make pages present in one leaf, from its first missing one up to the first that does not
 * come at once, at least one.
 *
 * A round of it:
 *
 *	1	mmu_interval_read_begin(): waits while the chunk is being invalidated.
 *	2	mmap_lock for reading. Refuse for good what the kernel must not touch.
 *	3	hmm_range_fault() with no request flags only looks the pages up.
 *	4	Bring in those that are missing, as far as that goes without waiting
 *		(RETRY_NOWAIT), under the same mmap_lock: one lock for up to 512 pages. Look again.
 *	5	If the first page did not come, wait for it with fixup_user_fault(), which drops
 *		mmap_lock meanwhile and may last for ever; then another round.
 *	6	Let go of mmap_lock. Under region->lock, if nothing of the chunk was invalidated
 *		since 1: mark dirty what will be writable, claim the waiters, put the entries in,
 *		run touch().
 *
 * Why hmm does not bring the pages in itself: it faults without FAULT_FLAG_ALLOW_RETRY. So it
 * answers EFAULT in a range of userfaultfd, keeps mmap_lock across I/O, so that the owner's mmap()
 * stands still, and makes every error an EFAULT.
 *
 * Why later pages are not waited for: who waits for the first page would wait for them too. A
 * mapping with page_mkwrite is written to through 5 only, a few pages in a row: the file system
 * may throttle there, and does not know RETRY_NOWAIT.
 *
 * Why dirty is handed over in 6 and not at invalidation. WRITE goes only to entries of a fault for
 * writing. Then a writable mapping of a file system that tracks writes is dirty already; its
 * writeback takes WRITE away (PROTECTION_PAGE) before it clears dirty. Anonymous and shared memory
 * are cleaned only when they are unmapped (CLEAR). Each of these comes through the chunk's
 * notifier, which waits for region->lock before it lets the kernel go on:
 *
 *	pass					reclaim
 *	----					-------
 *	region->lock
 *	 nothing was invalidated
 *						unmap the page: notifier waits for region->lock
 *	 folio_mark_dirty()
 *	 entry with WRITE
 *	unlock
 *						 the entry goes
 *						sees a dirty page, writes it out
 *
 * It cannot be done under leaf->lock (inode locks are taken with BH on), nor after region->lock
 * (the page may be truncated then).
 *
 * Memory is charged to the owner's cgroup. The mm is kept from going by a user reference, which is
 * given back without running the exit here.
 */
#include <linux/hmm.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "chunk.h"
#include "leaf.h"
#include "owner.h"
#include "pass.h"
#include "queue.h"
#include "region.h"
#include "trace.h"

/* So many rounds in which nothing moved, lost to invalidations: then the asker decides. */
#define LOST_ROUNDS_MAX		64
/* region->lock is held for so many pages at a time. */
#define INSTALL_BATCH		64
/* So many pages a pass waits for, one after the other, where a file system is asked for each. */
#define WAITS_MAX		16
/* And so many waiters may use the page before it is let go; the others are only woken. */
#define TOUCHES_MAX		16

static struct mm_struct *pass_mm(const struct umem_odp_pass *pass)
{
	return pass->region->owner->mm;
}

static bool is_secret(struct vm_area_struct *vma)
{
	/* vma_is_secretmem() is not for modules. */
	return vma->vm_file && file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

static bool may_touch(struct vm_area_struct *vma, bool write)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP) || !(vma->vm_flags & VM_READ) || is_secret(vma))
		return false;
	return !write || (vma->vm_flags & VM_WRITE && !(vma->vm_flags & VM_SHADOW_STACK));
}

/* Does a fault for writing ask a file system, which may take its time? */
static bool asks_file_system(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_SHARED && vma->vm_ops && vma->vm_ops->page_mkwrite;
}

/* Behind the kernel address of a device's page is nothing that the CPU may just copy. */
static bool is_device_page(unsigned long pfn)
{
	struct page *page = hmm_pfn_to_page(pfn);

	return is_pci_p2pdma_page(page) || is_device_private_page(page);
}

static bool usable(const struct umem_odp_pass *pass, unsigned long pfn)
{
	return pfn & (pass->write ? HMM_PFN_WRITE : HMM_PFN_VALID) && !(pfn & HMM_PFN_ERROR) &&
	       !is_device_page(pfn);
}

/* Looks up pages @from to the window's end. */
static int look(struct umem_odp_pass *pass, unsigned int from)
{
	struct hmm_range range = {
		.notifier = &pass->chunk->notifier,
		.notifier_seq = pass->seq,
		.start = pass->next + ((u64)from << PAGE_SHIFT),
		.end = pass->next + ((u64)pass->nr << PAGE_SHIFT),
		.hmm_pfns = pass->pfns + from,
	};
	int err;

	if (from == pass->nr)
		return 0;
	memset(pass->pfns + from, 0, (pass->nr - from) * sizeof(*pass->pfns));
	err = hmm_range_fault(&range);
	return err == -EBUSY ? -EAGAIN : err;
}

static void count_usable(struct umem_odp_pass *pass)
{
	unsigned int n = 0;

	while (n < pass->nr && usable(pass, pass->pfns[n]))
		n++;
	pass->usable = n;
}

static unsigned int fault_flags(const struct umem_odp_pass *pass)
{
	return FAULT_FLAG_REMOTE | (pass->write ? FAULT_FLAG_WRITE : 0);
}

static bool fault_at_once(struct umem_odp_pass *pass, struct vm_area_struct *vma, unsigned int i)
{
	vm_fault_t ret;

	ret = handle_mm_fault(vma, pass->next + ((u64)i << PAGE_SHIFT),
			      fault_flags(pass) | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT,
			      NULL);
	/* With RETRY_NOWAIT mmap_lock is never dropped, so there is no COMPLETED. */
	return !(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/*
 * Brings in what is missing and comes at once. One fault can bring in its neighbours (a huge page,
 * what the page cache has), so it looks again after one page, two, four: that finds them, and
 * costs little where there are none. Returns how many it asked for.
 */
static unsigned int bring_in(struct umem_odp_pass *pass, struct vm_area_struct *vma)
{
	unsigned int i = pass->usable, brought = 0, stop;

	while (i < pass->nr) {
		stop = min(pass->nr, i + pass->streak);
		for (; i < stop; i++) {
			if (usable(pass, pass->pfns[i]))
				continue;
			if (fatal_signal_pending(current) || !fault_at_once(pass, vma, i))
				return brought;
			brought++;
		}
		pass->streak = min(pass->streak * 2, UMEM_ODP_LEAF_PAGES);
		/* An invalidation, our own copy-on-write's too, ends the round. */
		if (look(pass, i))
			return brought;
	}
	return brought;
}

/* Waits for a page, with mmap_lock dropped. Ends the round, or says why the page does not come. */
static int wait_for(struct umem_odp_pass *pass, unsigned int i)
{
	bool unlocked = false;
	int err;

	if (!umem_odp_queue_block(pass))
		return UMEM_ODP_PASS_LATER;
	err = fixup_user_fault(pass_mm(pass), pass->next + ((u64)i << PAGE_SHIFT),
			       fault_flags(pass), &unlocked);
	umem_odp_queue_unblock(pass);
	if (err)
		return err;
	if (!unlocked && !i)
		pass->useless++;
	return -EAGAIN;
}

/* The first missing page does not come at once. Those before it can be put in, if there are any. */
static int wait_or_go_on(struct umem_odp_pass *pass, bool file_system)
{
	int err;

	if (!pass->usable)
		return pass->useless == 2 ? -EFAULT : wait_for(pass, 0);
	if (!file_system || pass->waits++ == WAITS_MAX)
		return 0;
	err = wait_for(pass, pass->usable);
	return err == -EAGAIN ? err : 0;
}

/* Step 2 to 5, under mmap_lock. */
static int examine(struct umem_odp_pass *pass)
{
	struct vm_area_struct *vma;
	bool file_system;
	int err;

	vma = vma_lookup(pass_mm(pass), pass->next);
	if (!vma || !may_touch(vma, pass->write))
		return -EFAULT;
	pass->nr = (min_t(u64, pass->wanted_end, vma->vm_end) - pass->next) >> PAGE_SHIFT;
	file_system = pass->write && asks_file_system(vma);
	if (file_system)
		pass->nr = min(pass->nr, WAITS_MAX);

	err = look(pass, 0);
	if (err)
		return err;
	count_usable(pass);
	if (pass->usable == pass->nr)
		return 0;
	if (!file_system && bring_in(pass, vma)) {
		err = look(pass, 0);
		if (err)
			return err;
		count_usable(pass);
	}
	return pass->usable == pass->nr ? 0 : wait_or_go_on(pass, file_system);
}

/* The huge entry that covers the leaf, if its mapping is huge; or 0. */
static unsigned long huge_entry(const struct umem_odp_pass *pass)
{
	const struct umem_odp_region *r = pass->region;
	u64 start = pass->next & ~(u64)(UMEM_ODP_LEAF_BYTES - 1);
	unsigned long frame;

	if (hmm_pfn_to_map_order(pass->pfns[0]) < UMEM_ODP_LEAF_ORDER)
		return 0;
	if (start < r->start || start + UMEM_ODP_LEAF_BYTES - 1 > r->last)
		return 0;
	frame = (pass->pfns[0] & ~HMM_PFN_FLAGS) - umem_odp_leaf_page(pass->next);
	if (!IS_ALIGNED(frame, UMEM_ODP_LEAF_PAGES))
		return 0;
	return PFN_PHYS(frame) | UMEM_ODP_ENTRY_VALID | (pass->write ? UMEM_ODP_ENTRY_WRITE : 0);
}

static void make_entries(struct umem_odp_pass *pass)
{
	unsigned long bits = UMEM_ODP_ENTRY_VALID | (pass->write ? UMEM_ODP_ENTRY_WRITE : 0);
	unsigned int i;

	for (i = 0; i < pass->usable; i++)
		pass->pfns[i] = PFN_PHYS(pass->pfns[i] & ~HMM_PFN_FLAGS) | bits;
}

static void mark_dirty(const unsigned long *entries, unsigned int nr)
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

static void run_touch(struct umem_odp_leaf *leaf, struct umem_odp_waiter *w)
{
	unsigned long phys;
	size_t len;

	len = umem_odp_entries_look(&leaf->entries, w->va & (UMEM_ODP_LEAF_BYTES - 1),
				    min_t(u64, w->len_bytes, UMEM_ODP_ACCESS_MAX), w->write, &phys);
	if (len)
		w->touched_bytes = w->touch(w, w->va, __va(phys), len);
}

/* Step 6 for some pages. Returns false if something was invalidated. */
static bool install(struct umem_odp_pass *pass, const unsigned long *entries, unsigned int nr,
		    bool huge)
{
	struct umem_odp_region *r = pass->region;
	struct umem_odp_leaf *leaf = pass->leaf;
	u64 va = pass->next;
	unsigned int touches = 0;
	struct umem_odp_waiter *w;
	LIST_HEAD(claimed);
	long added;

	guard(spinlock)(&r->lock);
	if (mmu_interval_read_retry(&pass->chunk->notifier, pass->seq))
		return false;
	if (pass->write)
		mark_dirty(entries, huge ? 1 : nr);
	umem_odp_queue_claim(pass, va + ((u64)nr << PAGE_SHIFT), &claimed);

	umem_odp_leaf_lock(leaf);
	added = -(long)leaf->entries.resident;
	if (huge)
		umem_odp_entries_set_huge(&leaf->entries, *entries);
	else
		umem_odp_entries_set(&leaf->entries, umem_odp_leaf_page(va), nr, entries);
	added += leaf->entries.resident;
	list_for_each_entry(w, &claimed, node) {
		if (w->touch && touches++ < TOUCHES_MAX)
			run_touch(leaf, w);
	}
	umem_odp_leaf_unlock(leaf);

	list_splice_tail(&claimed, &pass->ready);
	atomic_long_add(added, &r->resident_pages);
	atomic64_add(nr, &r->counters.fault_pages);
	trace_umem_odp_install(r, va, nr, pass->write, huge);
	return true;
}

static int install_all(struct umem_odp_pass *pass)
{
	unsigned long huge = huge_entry(pass);
	unsigned int done, nr;
	int err;

	if (huge)
		return install(pass, &huge, pass->usable, true) ? 0 : -EAGAIN;
	err = umem_odp_leaf_alloc_pages(pass->region, pass->leaf);
	if (err)
		return err;
	make_entries(pass);
	for (done = 0; done < pass->usable; done += nr) {
		nr = min(pass->usable - done, INSTALL_BATCH);
		if (!install(pass, pass->pfns + done, nr, false))
			return done ? 0 : -EAGAIN;
	}
	return 0;
}

static int run_round(struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass_mm(pass);
	unsigned long seq;
	int err;

	seq = mmu_interval_read_begin(&pass->chunk->notifier);
	if (seq != pass->seq)
		pass->useless = 0;
	pass->seq = seq;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = examine(pass);
	mmap_read_unlock(mm);
	return err ?: install_all(pass);
}

static int run_rounds(struct umem_odp_pass *pass)
{
	unsigned int rounds = 0, lost = 0, streak;
	int err;

	trace_umem_odp_fault_begin(pass->region, pass->next, pass->end, pass->write);
	pass->streak = 1;
	pass->useless = 0;
	pass->waits = 0;
	do {
		streak = pass->streak;
		err = run_round(pass);
		rounds++;
		/* A round that lost its pages to its own copy-on-write has moved. */
		if (pass->streak == streak)
			lost++;
		if (err == -EAGAIN && lost == LOST_ROUNDS_MAX)
			err = -EBUSY;
		if (err == -EAGAIN && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	} while (err == -EAGAIN);
	atomic64_add(rounds - 1, &pass->region->counters.retries);
	trace_umem_odp_fault_end(pass->region, pass->next, err, rounds);
	return err;
}

static int run_pinned(struct umem_odp_pass *pass)
{
	struct umem_odp_region *r = pass->region;
	int err;

	pass->chunk = umem_odp_chunk_get(r, pass->next);
	if (IS_ERR(pass->chunk))
		return PTR_ERR(pass->chunk);
	pass->leaf = umem_odp_leaf_get(r, pass->chunk, pass->next);
	if (IS_ERR(pass->leaf)) {
		err = PTR_ERR(pass->leaf);
		goto err_put_chunk;
	}
	err = run_rounds(pass);
	umem_odp_leaf_put(r, pass->chunk, pass->leaf);
err_put_chunk:
	umem_odp_chunk_put(r, pass->chunk);
	return err;
}

/**
 * umem_odp_pass_run() - run a pass
 * @pass: the pass, listed
 *
 * Context: A fault thread. May last for ever; ends with SIGKILL.
 * Return: 0 if at least its first page was put in: the waiters of what was put in are in
 * pass->ready, and pass->next stands behind it. -EFAULT, -EHWPOISON, -ENOMEM and -EBUSY concern
 * the page at pass->next, -EOWNERDEAD all. -EINTR: stopped. UMEM_ODP_PASS_LATER: it would have to
 * wait for the page at pass->next.
 */
int umem_odp_pass_run(struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass_mm(pass);
	struct mem_cgroup *memcg, *old;
	int err;

	if (!mmget_not_zero(mm))
		return -EOWNERDEAD;
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	err = run_pinned(pass);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	mmput_async(mm);
	return err;
}
