// SPDX-License-Identifier: GPL-2.0
/*
 * The mm's side of a pass: looking pages up, bringing in what comes at once, waiting for one page.
 *
 * hmm_range_fault() with no request flags only looks. It does not bring the pages in, because it
 * faults without FAULT_FLAG_ALLOW_RETRY: it answers EFAULT in a range of userfaultfd, keeps mmap_lock
 * across I/O, so that the owner's mmap() stands still, and makes every error an EFAULT.
 *
 * What is missing is asked for with RETRY_NOWAIT, page by page under one mmap_lock. That goes on past
 * a page that needs I/O, so that several are under way. Only for its first page does a pass wait,
 * with fixup_user_fault(), which drops mmap_lock meanwhile and may last for ever.
 *
 * A mapping with page_mkwrite is written to through the latter only: the file system may throttle
 * there, and does not know RETRY_NOWAIT. It may keep mmap_lock while it does: the owner's own mmap()
 * waits then, as it does behind a write fault of the owner's. A frozen file system would keep it
 * until it is thawed, which the owner may be the one to do; so that is looked at before, and waited
 * for without mmap_lock.
 *
 * What is refused for good: mappings that the kernel must not touch, and what hmm calls an error. A
 * page that was asked for and is not there, without an error, is none: another thread may be bringing
 * it in (a swap-in from zram), or somebody has taken it again.
 */
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>

#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "thread.h"

/* After so many pages in a row that do not come at once it asks for no more. */
#define MISSES_MAX	32

static bool is_secret(const struct vm_area_struct *vma)
{
	/* vma_is_secretmem() is not for modules. */
	return vma->vm_file && file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

static bool may_touch(const struct vm_area_struct *vma, bool write)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP) || !(vma->vm_flags & VM_READ) || is_secret(vma))
		return false;
	return !write || (vma->vm_flags & VM_WRITE && !(vma->vm_flags & VM_SHADOW_STACK));
}

static struct vm_area_struct *find_vma_to_touch(const struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass->mirror->mm;
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	vma = vma_lookup(mm, pass->next);
	return vma && may_touch(vma, pass->write) ? vma : NULL;
}

/* Does a fault for writing ask a file system, which may take its time? */
static bool asks_file_system(const struct vm_area_struct *vma, bool write)
{
	return write && vma->vm_flags & VM_SHARED && vma->vm_ops && vma->vm_ops->page_mkwrite;
}

static bool is_frozen(const struct vm_area_struct *vma)
{
	return READ_ONCE(file_inode(vma->vm_file)->i_sb->s_writers.frozen) != SB_UNFROZEN;
}

/* Behind the kernel address of a device's page is nothing that the CPU may just copy. */
static bool is_refused(unsigned long pfn)
{
	struct page *page;

	if (pfn & HMM_PFN_ERROR)
		return true;
	if (!(pfn & HMM_PFN_VALID))
		return false;
	page = hmm_pfn_to_page(pfn);
	return is_pci_p2pdma_page(page) || is_device_private_page(page);
}

/**
 * umem_odp_pass_usable() - can a page that was looked up be put in
 * @pass: the pass
 * @pfn: what was found
 *
 * Return: true if so.
 */
bool umem_odp_pass_usable(const struct umem_odp_pass *pass, unsigned long pfn)
{
	return pfn & (pass->write ? HMM_PFN_WRITE : HMM_PFN_VALID) && !is_refused(pfn);
}

/* Looks up pages @from to the window's end. */
static int look(struct umem_odp_pass *pass, unsigned int from)
{
	struct hmm_range range = {
		.notifier = &pass->chunk->notifier,
		.start = pass->next + ((u64)from << PAGE_SHIFT),
		.end = pass->next + ((u64)pass->nr << PAGE_SHIFT),
		.hmm_pfns = pass->pfns + from,
	};
	int err;

	mmap_assert_locked(pass->mirror->mm);
	if (from >= pass->nr)
		return 0;
	/* EBUSY: something in the chunk was invalidated. Whether in the window is seen later. */
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		memset(range.hmm_pfns, 0, (pass->nr - from) * sizeof(*range.hmm_pfns));
		range.notifier_seq = mmu_interval_read_begin(range.notifier);
		err = hmm_range_fault(&range);
	} while (err == -EBUSY);
	return err;
}

static bool may_be_huge(const struct umem_odp_pass *pass)
{
	return umem_odp_pass_usable(pass, pass->pfns[0]) &&
	       hmm_pfn_to_map_order(pass->pfns[0]) >= UMEM_ODP_LEAF_ORDER;
}

/* What is invalidated from here on is noticed, our own faults' invalidations too. */
static int look_at_all(struct umem_odp_pass *pass)
{
	u64 last = pass->next + ((u64)pass->nr << PAGE_SHIFT) - 1;
	u64 leaf = pass->next & ~(u64)(UMEM_ODP_LEAF_BYTES - 1);
	int err;

	umem_odp_chunk_open_window(pass->chunk, &pass->window, pass->next, last);
	err = look(pass, 0);
	if (err || !may_be_huge(pass))
		return err;
	/* The entry would stand for all of the leaf, so all of it must be watched. */
	umem_odp_chunk_open_window(pass->chunk, &pass->window, leaf,
				   leaf + UMEM_ODP_LEAF_BYTES - 1);
	return look(pass, 0);
}

static unsigned int fault_flags(const struct umem_odp_pass *pass)
{
	return FAULT_FLAG_REMOTE | (pass->write ? FAULT_FLAG_WRITE : 0);
}

/*
 * Brings in what is missing and comes at once. One fault can bring in its neighbours (a huge page,
 * what the page cache has), so it looks again after one page, two, four: that finds them, and
 * costs little where there are none. Returns how many pages came, or an error of the first page.
 */
static int bring_in(struct umem_odp_pass *pass, struct vm_area_struct *vma)
{
	const unsigned int flags = fault_flags(pass) | FAULT_FLAG_ALLOW_RETRY |
				   FAULT_FLAG_RETRY_NOWAIT;
	unsigned int i = 0, misses = 0, streak, stop;
	int came = 0, err;
	vm_fault_t ret;

	for (streak = 1; i < pass->nr; streak *= 2) {
		for (stop = min(pass->nr, i + streak); i < stop; i++) {
			if (umem_odp_pass_usable(pass, pass->pfns[i]))
				continue;
			if (fatal_signal_pending(current))
				return -EINTR;
			/* With RETRY_NOWAIT mmap_lock is kept, so there is no COMPLETED. */
			ret = handle_mm_fault(vma, pass->next + ((u64)i << PAGE_SHIFT), flags, NULL);
			if (!i && ret & (VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE))
				return -EHWPOISON;
			if (!(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY))) {
				misses = 0;
				came++;
			} else if (++misses == MISSES_MAX) {
				return came;
			}
		}
		err = look(pass, i);
		if (err)
			return err;
	}
	return came;
}

static bool is_complete(const struct umem_odp_pass *pass)
{
	unsigned int i = 0;

	while (i < pass->nr && umem_odp_pass_usable(pass, pass->pfns[i]))
		i++;
	return i == pass->nr;
}

static int look_up_locked(struct umem_odp_pass *pass, unsigned int pages_max)
{
	struct vm_area_struct *vma = find_vma_to_touch(pass);
	int err;

	if (!vma)
		return -EFAULT;
	pass->nr = (min_t(u64, pass->wanted_end, vma->vm_end) - pass->next) >> PAGE_SHIFT;
	pass->nr = min(pass->nr, pages_max);
	pass->file_system = asks_file_system(vma, pass->write);
	if (pass->file_system)
		pass->nr = min(pass->nr, UMEM_ODP_PASS_ASKS);

	err = look_at_all(pass);
	if (err)
		return err;
	if (!pass->file_system && !is_complete(pass)) {
		err = bring_in(pass, vma);
		if (err > 0)
			err = look_at_all(pass);
		if (err)
			return err;
	}
	return is_refused(pass->pfns[0]) ? -EFAULT : 0;
}

/**
 * umem_odp_pass_look_up() - look up pages from pass->next on, and bring in what comes at once
 * @pass: the pass; its window is open afterwards, and pfns filled for nr pages
 * @pages_max: at most so many
 *
 * Context: May sleep, takes mmap_lock for reading.
 * Return: 0, whatever was found; -EFAULT, -EHWPOISON if the page at pass->next is refused; -EINTR.
 */
int umem_odp_pass_look_up(struct umem_odp_pass *pass, unsigned int pages_max)
{
	struct mm_struct *mm = pass->mirror->mm;
	int err;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = look_up_locked(pass, pages_max);
	mmap_read_unlock(mm);
	return err;
}

static int wait_locked(struct umem_odp_pass *pass)
{
	struct vm_area_struct *vma = find_vma_to_touch(pass);
	enum umem_odp_wait wait = UMEM_ODP_WAIT_PAGE;
	bool unlocked = false;
	int err;

	if (!vma)
		return -EFAULT;
	if (asks_file_system(vma, pass->write)) {
		if (is_frozen(vma))
			return UMEM_ODP_PASS_LATER;
		wait = UMEM_ODP_WAIT_FILE_SYSTEM;
	}
	if (!umem_odp_queue_block(pass, wait))
		return UMEM_ODP_PASS_LATER;
	err = fixup_user_fault(pass->mirror->mm, pass->next, fault_flags(pass), &unlocked);
	umem_odp_queue_unblock(pass, wait);
	return err;
}

/**
 * umem_odp_pass_wait() - wait for the page at pass->next
 * @pass: the pass
 *
 * Context: May sleep for ever, takes mmap_lock for reading, and drops it while it waits for I/O.
 * Return: 0 if the kernel says that the page was there; -EFAULT, -EHWPOISON, -ENOMEM; -EINTR;
 * UMEM_ODP_PASS_LATER if it may not wait.
 */
int umem_odp_pass_wait(struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass->mirror->mm;
	int err;

	umem_odp_thread_join_owner(pass);
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = wait_locked(pass);
	mmap_read_unlock(mm);
	return err;
}
