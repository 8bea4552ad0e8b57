// SPDX-License-Identifier: GPL-2.0
/*
 * The mm's side of a pass: looking pages up, bringing in what comes at once, waiting for one page.
 *
 * hmm_range_fault() with no request flags only looks. It does not bring the pages in, because it
 * faults without FAULT_FLAG_ALLOW_RETRY: it answers EFAULT in a range of userfaultfd, keeps
 * mmap_lock across I/O, so that the owner's mmap() stands still, and makes every error an EFAULT.
 *
 * What is missing is asked for with RETRY_NOWAIT, page by page under one mmap_lock. That goes on
 * past a page that needs swap-in, so that several are under way; what a file system would have to
 * read is left out, since not every file system starts that and returns. Only for its first page
 * does a pass wait: that fault drops mmap_lock meanwhile, and may last for ever.
 *
 * A mapping with page_mkwrite is written to through the latter only: the file system may throttle
 * there, and does not know RETRY_NOWAIT. It may keep mmap_lock while it does: the owner's own
 * mmap() waits then, as it does behind a write fault of the owner's. A frozen file system would
 * keep it until it is thawed, which the owner may be the one to do; so nobody can freeze it
 * meanwhile, and one that is frozen is waited for without mmap_lock.
 *
 * What is refused for good: mappings that the kernel must not touch, and what hmm calls an error.
 * A page that was asked for and is not there, without an error, is none: another thread may be
 * bringing it in (a swap-in from zram), or somebody has taken it again.
 */
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include "leaf.h"
#include "mirror.h"
#include "pass.h"
#include "thread.h"

/* lookup_bring_in() ends after so many pages in a row that do not come at once. */
#define MISSES_MAX	32

static bool lookup_is_secret(const struct vm_area_struct *vma)
{
	/* vma_is_secretmem() is not for modules. */
	return vma->vm_file && file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

static enum umem_odp_refusal lookup_refusal(const struct vm_area_struct *vma, bool write)
{
	if (!vma)
		return UMEM_ODP_REFUSAL_NOT_MAPPED;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP) || lookup_is_secret(vma) ||
	    (write && vma->vm_flags & VM_SHADOW_STACK))
		return UMEM_ODP_REFUSAL_SPECIAL;
	if (!(vma->vm_flags & VM_READ) || (write && !(vma->vm_flags & VM_WRITE)))
		return UMEM_ODP_REFUSAL_PERMISSION;
	return UMEM_ODP_REFUSAL_NONE;
}

/* Where the mapping or the hole ends in which pass->next lies; for a pass that only looks. */
static u64 lookup_mapping_end(const struct umem_odp_pass *pass)
{
	struct vm_area_struct *vma = find_vma(pass->mirror->mm, pass->next);

	if (!vma)
		return pass->wanted_end;
	return min_t(u64, pass->wanted_end,
		     vma->vm_start <= pass->next ? vma->vm_end : vma->vm_start);
}

static struct vm_area_struct *lookup_vma(struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass->mirror->mm;
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	vma = vma_lookup(mm, pass->next);
	pass->refusal = lookup_refusal(vma, pass->write);
	if (pass->refusal && pass->look_only)
		pass->looked_end = lookup_mapping_end(pass);
	return pass->refusal ? NULL : vma;
}

/* Does a fault for writing ask a file system, which may take its time? */
static bool lookup_asks_file_system(const struct vm_area_struct *vma, bool write)
{
	return write && vma->vm_flags & VM_SHARED && vma->vm_ops && vma->vm_ops->page_mkwrite;
}

/* Pages of devices have a struct page, but no memory that the CPU may copy like its own. */
static bool lookup_is_refused(unsigned long pfn)
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
	return pfn & (pass->write ? HMM_PFN_WRITE : HMM_PFN_VALID) && !lookup_is_refused(pfn);
}

/* Looks up pages [@from, @end), counted from pass->start. */
static int lookup_pages(struct umem_odp_pass *pass, unsigned int from, unsigned int end)
{
	struct mmu_interval_notifier *notifier = &pass->chunk->notifier;
	struct hmm_range range = {
		.notifier = notifier,
		.start = pass->start + ((u64)from << PAGE_SHIFT),
		.end = pass->start + ((u64)end << PAGE_SHIFT),
		.hmm_pfns = pass->pfns + from,
	};
	int err;

	mmap_assert_locked(pass->mirror->mm);
	if (from >= end)
		return 0;
	/*
	 * pass->window notices what invalidates these pages. hmm checks the notifier's sequence,
	 * which any invalidation in the GiB changes: read just before, so that the check fails only
	 * for one that comes in between.
	 */
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		memset(range.hmm_pfns, 0, (end - from) * sizeof(*range.hmm_pfns));
		range.notifier_seq = READ_ONCE(notifier->invalidate_seq);
		err = hmm_range_fault(&range);
	} while (err == -EBUSY);
	return err;
}

static bool lookup_is_huge(const struct umem_odp_pass *pass, unsigned int i)
{
	return umem_odp_pass_usable(pass, pass->pfns[i]) &&
	       hmm_pfn_to_map_order(pass->pfns[i]) >= UMEM_ODP_LEAF_ORDER;
}

static unsigned int lookup_fault_flags(const struct umem_odp_pass *pass)
{
	return FAULT_FLAG_REMOTE | (pass->write ? FAULT_FLAG_WRITE : 0);
}

/*
 * Can a fault with RETRY_NOWAIT be tried? For a page of a file that is not in the page cache it
 * would read, and wait for that under mmap_lock where there is no readahead.
 */
static bool lookup_needs_no_read(struct vm_area_struct *vma, u64 va)
{
	struct address_space *mapping;
	struct folio *folio;
	pgoff_t index;
	bool uptodate;

	if (!vma->vm_file || vma_is_anonymous(vma) || is_vm_hugetlb_page(vma))
		return true;
	mapping = vma->vm_file->f_mapping;
	index = vma->vm_pgoff + ((va - vma->vm_start) >> PAGE_SHIFT);
	/* shmem allocates a page that it does not have, unless it was swapped out. */
	if (shmem_mapping(mapping))
		return !xa_is_value(xa_load(&mapping->i_pages, index));
	folio = filemap_get_folio(mapping, index);
	if (IS_ERR_OR_NULL(folio))
		return false;
	/* A fault on a page with the readahead mark starts the next readahead, which may wait. */
	uptodate = folio_test_uptodate(folio) && !folio_test_readahead(folio);
	folio_put(folio);
	return uptodate;
}

/* Returns 1 if the page came, 0 if it would have to be waited for or is refused; -EHWPOISON. */
static int lookup_fault_page(struct umem_odp_pass *pass, struct vm_area_struct *vma, u64 va)
{
	vm_fault_t ret;

	if (!lookup_needs_no_read(vma, va))
		return 0;
	/* With RETRY_NOWAIT mmap_lock is kept, so there is no COMPLETED. */
	ret = handle_mm_fault(vma, va, lookup_fault_flags(pass) | FAULT_FLAG_ALLOW_RETRY |
			      FAULT_FLAG_RETRY_NOWAIT, NULL);
	if (ret & (VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE))
		return -EHWPOISON;
	return !(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/* How many of the pages that are looked up were asked for; those come first. */
static unsigned int lookup_wanted(const struct umem_odp_pass *pass)
{
	u64 end = min(pass->wanted_end, pass->next + ((u64)pass->nr << PAGE_SHIFT));

	return (end - pass->next) >> PAGE_SHIFT;
}

/*
 * Brings in what is missing and comes at once. One fault can bring in its neighbours (a huge page,
 * what the page cache has), so after one page, two, four it looks again at the next two, four,
 * eight: that finds them, and looks at each page once. Returns how many pages came, or an error of
 * the first page.
 */
static int lookup_bring_in(struct umem_odp_pass *pass, struct vm_area_struct *vma)
{
	unsigned int i = 0, misses = 0, wanted = lookup_wanted(pass), streak, stop;
	int came = 0, err;

	for (streak = 1; i < wanted; streak *= 2) {
		for (stop = min(wanted, i + streak); i < stop; i++) {
			if (umem_odp_pass_usable(pass, pass->pfns[i]))
				continue;
			if (fatal_signal_pending(current))
				return -EINTR;
			err = lookup_fault_page(pass, vma, pass->next + ((u64)i << PAGE_SHIFT));
			if (err < 0 && !i)
				return err;
			if (err > 0) {
				misses = 0;
				came++;
			} else if (++misses == MISSES_MAX) {
				return came;
			}
		}
		err = came ? lookup_pages(pass, i, min(wanted, i + 2 * streak)) : 0;
		if (err)
			return err;
		/* All of the leaf came with it. */
		if (came && i < wanted && lookup_is_huge(pass, i))
			break;
	}
	return came;
}

static bool lookup_is_complete(const struct umem_odp_pass *pass)
{
	unsigned int i = 0, wanted = lookup_wanted(pass);

	while (i < wanted && umem_odp_pass_usable(pass, pass->pfns[i]))
		i++;
	return i == wanted;
}

/* How to look pages up. lookup_locked() changes it when it asks to be called again. */
struct lookup {
	unsigned int pages_max;
	bool bring_in;
	bool whole_leaf;
	bool whole_block;
};

/*
 * Whether pass->next lies in an aligned block of 64 KiB that may be mapped by one large folio (of
 * multi-size THP, or of the page cache). The kernel brings such a block in and takes it away as a
 * whole, so a fault puts all of it in. Not after a lost round, nor where a file system is asked for
 * each page.
 */
static bool lookup_is_in_block(const struct umem_odp_pass *pass, const struct lookup *how)
{
	unsigned long page = pass->next >> PAGE_SHIFT, pfn = pass->pfns[0] & ~HMM_PFN_FLAGS;

	/* A pass that has gone on may stand behind the block in which it began. */
	if (!pass->block_start || pass->next - pass->block_start >= UMEM_ODP_BLOCK_BYTES ||
	    pass->file_system || how->pages_max < UMEM_ODP_LEAF_PAGES ||
	    !umem_odp_pass_usable(pass, pass->pfns[0]) ||
	    (pfn ^ page) & (UMEM_ODP_BLOCK_PAGES - 1))
		return false;
	if (pass->next == pass->block_start && pass->nr >= UMEM_ODP_BLOCK_PAGES)
		return false;
	/* A hint: nothing keeps the page. What may be put in is decided by the next look. */
	return PageCompound(hmm_pfn_to_page(pass->pfns[0]));
}

static bool lookup_is_block(const struct umem_odp_pass *pass)
{
	unsigned long first = pass->pfns[0] & ~HMM_PFN_FLAGS;
	unsigned int i;

	if (pass->start != pass->block_start || pass->nr < UMEM_ODP_BLOCK_PAGES ||
	    first & (UMEM_ODP_BLOCK_PAGES - 1))
		return false;
	for (i = 0; i < UMEM_ODP_BLOCK_PAGES; i++)
		if (!umem_odp_pass_usable(pass, pass->pfns[i]) ||
		    (pass->pfns[i] & ~HMM_PFN_FLAGS) != first + i)
			return false;
	return true;
}

/* From where to where to look: in one mapping. */
static void lookup_set_span(struct umem_odp_pass *pass, const struct vm_area_struct *vma,
			    const struct lookup *how)
{
	u64 end = min(pass->look_end, pass->next + ((u64)how->pages_max << PAGE_SHIFT));

	pass->start = pass->next;
	if (how->whole_block) {
		pass->start = max_t(u64, pass->block_start, vma->vm_start);
		end = max(end, pass->block_start + UMEM_ODP_BLOCK_BYTES);
	}
	pass->file_system = lookup_asks_file_system(vma, pass->write);
	pass->nr = (min_t(u64, end, vma->vm_end) - pass->start) >> PAGE_SHIFT;
	if (pass->file_system)
		pass->nr = min(pass->nr, UMEM_ODP_PASS_ASKS);
}

/*
 * The pages are no block after all: keeps those from pass->next on, up to look_end. pass->next is
 * among the pages that were looked up, since PASS_ASKS is not less than a block.
 */
static void lookup_leave_block(struct umem_odp_pass *pass)
{
	unsigned int before = (pass->next - pass->start) >> PAGE_SHIFT;

	BUILD_BUG_ON(UMEM_ODP_PASS_ASKS < UMEM_ODP_BLOCK_PAGES);
	if (WARN_ON_ONCE(before >= pass->nr)) {
		pass->pfns[0] = 0;
		pass->nr = 0;
		pass->start = pass->next;
		return;
	}
	pass->nr = min_t(u64, pass->nr - before, (pass->look_end - pass->next) >> PAGE_SHIFT);
	memmove(pass->pfns, pass->pfns + before, pass->nr * sizeof(*pass->pfns));
	pass->start = pass->next;
}

/* Returns 1 if it is to be done again. */
static int lookup_locked(struct umem_odp_pass *pass, struct lookup *how)
{
	struct vm_area_struct *vma = lookup_vma(pass);
	int err;

	if (!vma)
		return -EFAULT;
	lookup_set_span(pass, vma, how);
	pass->looked_end = pass->next + ((u64)pass->nr << PAGE_SHIFT);
	err = lookup_pages(pass, 0, pass->nr);
	if (err)
		return err;
	if (how->bring_in && !pass->file_system && !lookup_is_complete(pass)) {
		how->bring_in = false;
		err = lookup_bring_in(pass, vma);
		if (err)
			return min(err, 1);
	}
	if (how->whole_block && !lookup_is_block(pass))
		lookup_leave_block(pass);
	if (lookup_is_huge(pass, 0) && !how->whole_leaf) {
		/* The entry would stand for all of the leaf, so all of it must be watched. */
		how->whole_leaf = true;
		return 1;
	}
	if (!how->whole_leaf && !how->whole_block && lookup_is_in_block(pass, how)) {
		how->whole_block = true;
		how->bring_in = false;
		return 1;
	}
	/* A pass that only looks skips what is refused. */
	if (!lookup_is_refused(pass->pfns[0]) || pass->look_only)
		return 0;
	pass->refusal = UMEM_ODP_REFUSAL_SPECIAL;
	return -EFAULT;
}

static void lookup_open_window(struct umem_odp_pass *pass, const struct lookup *how)
{
	u64 start = pass->next, end = start + ((u64)how->pages_max << PAGE_SHIFT);

	end = min(end, pass->look_end);
	if (how->whole_block) {
		start = pass->block_start;
		end = max(end, start + UMEM_ODP_BLOCK_BYTES);
	}
	if (how->whole_leaf) {
		start &= ~(u64)(UMEM_ODP_LEAF_BYTES - 1);
		end = start + UMEM_ODP_LEAF_BYTES;
	}
	umem_odp_chunk_open_window(pass->chunk, &pass->window, start, end - 1);
	mmu_interval_read_begin(&pass->chunk->notifier);
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
	struct lookup how = {
		.pages_max = pages_max,
		.bring_in = !pass->look_only,
		.whole_leaf = pages_max == UMEM_ODP_LEAF_PAGES &&
			      pass->look_end - pass->next == UMEM_ODP_LEAF_BYTES,
	};
	struct mm_struct *mm = pass->mirror->mm;
	int err;

	/* Our own faults invalidate too, and hit the window: look again in a new one. */
	do {
		lookup_open_window(pass, &how);
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		err = lookup_locked(pass, &how);
		mmap_read_unlock(mm);
	} while (err > 0);
	return err;
}

/*
 * One fault that waits. Unlike fixup_user_fault() it does not try again: another mapping may be
 * there by then, which the next round is to judge. *@locked is cleared if mmap_lock was dropped.
 */
static int lookup_fault_waiting(struct umem_odp_pass *pass, struct vm_area_struct *vma,
				enum umem_odp_wait wait, bool *locked)
{
	vm_fault_t ret;

	if (!umem_odp_queue_block(pass, wait))
		return UMEM_ODP_PASS_LATER;
	ret = handle_mm_fault(vma, pass->next, lookup_fault_flags(pass) | FAULT_FLAG_ALLOW_RETRY |
			      FAULT_FLAG_KILLABLE, NULL);
	umem_odp_queue_unblock(pass, wait);
	if (ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) {
		*locked = false;
		return fatal_signal_pending(current) ? -EINTR : 0;
	}
	if (ret & (VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV))
		pass->refusal = UMEM_ODP_REFUSAL_NO_PAGE;
	return ret & VM_FAULT_ERROR ? vm_fault_to_errno(ret, FOLL_HWPOISON) : 0;
}

/*
 * A page fault in a frozen file system waits for the thaw with mmap_lock held, and the owner could
 * not even call mmap(). freeze_super() waits for writers before it keeps faults out, so the pass is
 * a writer during the fault. It holds the file, because the mapping may go.
 */
static int lookup_fault_in_file(struct umem_odp_pass *pass, struct vm_area_struct *vma,
				bool *locked)
{
	struct super_block *sb = file_inode(vma->vm_file)->i_sb;
	struct file *file;
	int err;

	if (!sb_start_write_trylock(sb))
		return UMEM_ODP_PASS_LATER;
	file = get_file(vma->vm_file);
	err = lookup_fault_waiting(pass, vma, UMEM_ODP_WAIT_FILE_SYSTEM, locked);
	sb_end_write(sb);
	fput(file);
	return err;
}

/**
 * umem_odp_pass_wait() - wait for the page at pass->next
 * @pass: the pass
 *
 * Context: May sleep for ever, takes mmap_lock for reading, and drops it while it waits for I/O.
 * Return: 0 if the kernel says that the page was there; -EFAULT, -EHWPOISON, -ENOMEM; -EINTR, also
 * if no region covers the page any more; UMEM_ODP_PASS_LATER if it may not wait.
 */
int umem_odp_pass_wait(struct umem_odp_pass *pass)
{
	struct mm_struct *mm = pass->mirror->mm;
	struct vm_area_struct *vma;
	bool locked = true;
	int err;

	if (umem_odp_mirror_covered(pass->mirror, pass->next, pass->next + PAGE_SIZE) == pass->next)
		return -EINTR;
	umem_odp_thread_join_owner(pass);
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = lookup_vma(pass);
	if (!vma)
		err = -EFAULT;
	else if (lookup_asks_file_system(vma, pass->write))
		err = lookup_fault_in_file(pass, vma, &locked);
	else
		err = lookup_fault_waiting(pass, vma, UMEM_ODP_WAIT_PAGE, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return err;
}

/**
 * umem_odp_pass_next_mapped() - skip what is not mapped, or must not be read
 * @mm: the address space
 * @at: the first page
 * @end: behind the last page
 *
 * So the cost of looking at a large span depends on what is mapped in it, not on its length.
 *
 * Context: May sleep, takes mmap_lock for reading.
 * Return: the first page that lies in a mapping that may be read, or @end; a page before that if
 * the mm has no users any more, or the caller is killed.
 */
u64 umem_odp_pass_next_mapped(struct mm_struct *mm, u64 at, u64 end)
{
	struct vm_area_struct *vma;

	if (!mmget_not_zero(mm))
		return at;
	if (!mmap_read_lock_killable(mm)) {
		while (at < end && !fatal_signal_pending(current)) {
			vma = find_vma(mm, at);
			at = vma ? max_t(u64, at, vma->vm_start) : end;
			if (!vma || !lookup_refusal(vma, false))
				break;
			at = vma->vm_end;
			cond_resched();
		}
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
	return min(at, end);
}

int umem_odp_check_mapped(struct mm_struct *mm, u64 start, u64 length_bytes, bool write)
{
	u64 at = start, last = start + length_bytes - 1;
	struct vm_area_struct *vma;
	int err = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (!err && at <= last) {
		vma = vma_lookup(mm, at);
		if (lookup_refusal(vma, write))
			err = -EFAULT;
		else if (fatal_signal_pending(current))
			err = -EINTR;
		else
			at = vma->vm_end;
		cond_resched();
	}
	mmap_read_unlock(mm);
	return err;
}
EXPORT_SYMBOL_GPL(umem_odp_check_mapped);
