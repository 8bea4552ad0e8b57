// SPDX-License-Identifier: GPL-2.0
/*
 * What is behind a memory region, in five kinds: the kernel's own memory at its
 * kernel addresses (the device uses ib_core's virtual DMA addresses), all of it
 * or blocks that work requests register, user memory under a pin, user memory on
 * demand, and a dma-buf.
 *
 * Payload is copied here and nowhere else. A copy may stop after any byte: at a
 * miss, or at a poisoned page, which must be an errno and not a machine check.
 */
#include <linux/atomic.h>
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/libnvdimm.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <rdma/ib_umem.h>

#include "device/dev.h"
#include "memory/dmabuf.h"
#include "memory/mem.h"

static struct rxo_mem *mem_alloc(enum rxo_mr_kind kind, u64 va, u64 length_bytes, bool writable)
{
	struct rxo_mem *mem = kzalloc_obj(*mem, GFP_KERNEL_ACCOUNT);

	if (!mem)
		return NULL;
	mem->kind = kind;
	mem->writable = writable;
	mem->va = va;
	mem->length_bytes = length_bytes;
	refcount_set(&mem->refs, 1);
	init_completion(&mem->unused);
	INIT_LIST_HEAD(&mem->list);
	if (kind != RXO_MR_DMA && kind != RXO_MR_FAST) {
		mem->mm = current->mm;
		mmgrab(mem->mm);
	}
	return mem;
}

static void mem_free(struct rxo_mem *mem)
{
	if (mem->mm)
		mmdrop(mem->mm);
	kfree(mem);
}

struct rxo_mem *rxo_mem_create_dma(void)
{
	return mem_alloc(RXO_MR_DMA, 0, U64_MAX, true) ?: ERR_PTR(-ENOMEM);
}

static u64 *mem_alloc_blocks(u32 num)
{
	return kvcalloc(num, sizeof(u64), GFP_KERNEL_ACCOUNT);
}

static void mem_free_blocks(struct rxo_mem *mem)
{
	kvfree(mem->blocks);
	kvfree(mem->next_blocks);
}

struct rxo_mem *rxo_mem_create_fast(u32 max_blocks)
{
	struct rxo_mem *mem = mem_alloc(RXO_MR_FAST, 0, 0, true);

	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->max_blocks = max_blocks;
	mem->blocks = mem_alloc_blocks(max_blocks);
	mem->next_blocks = mem_alloc_blocks(max_blocks);
	if (!mem->blocks || !mem->next_blocks) {
		mem_free_blocks(mem);
		mem_free(mem);
		return ERR_PTR(-ENOMEM);
	}
	return mem;
}

/* One pointer per page, so that an access finds its page at once. */
static int mem_list_pages(struct rxo_mem *mem)
{
	size_t num = ib_umem_num_pages(mem->umem), i = 0;
	struct sg_page_iter iter;

	mem->pages = kvmalloc_array(num, sizeof(*mem->pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!mem->pages)
		return -ENOMEM;
	for_each_sgtable_page(&mem->umem->sgt_append.sgt, &iter, 0) {
		if (WARN_ON_ONCE(i == num))
			break;
		mem->pages[i++] = sg_page_iter_page(&iter);
	}
	return WARN_ON_ONCE(i != num) ? -EINVAL : 0;
}

struct rxo_mem *rxo_mem_create_pinned(struct rxo_dev *dev, u64 va, u64 length_bytes, int access)
{
	struct rxo_mem *mem;
	int err;

	mem = mem_alloc(RXO_MR_PINNED, va, length_bytes, ib_access_writable(access));
	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->umem = ib_umem_get_va(&dev->ibdev, va, length_bytes, access);
	if (IS_ERR(mem->umem)) {
		err = PTR_ERR(mem->umem);
		goto err_free;
	}
	err = mem_list_pages(mem);
	if (err)
		goto err_release;
	return mem;

err_release:
	kvfree(mem->pages);
	ib_umem_release(mem->umem);
err_free:
	mem_free(mem);
	return ERR_PTR(err);
}

struct rxo_mem *rxo_mem_create_odp(struct rxo_dev *dev, u64 va, u64 length_bytes, bool writable)
{
	struct rxo_mem *mem;
	int err;

	mem = mem_alloc(RXO_MR_ODP, va, length_bytes, writable);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->region = umem_odp_region_create(mem->mm, va, length_bytes,
					     writable ? UMEM_ODP_WRITE : 0);
	if (IS_ERR(mem->region)) {
		err = PTR_ERR(mem->region);
		mem_free(mem);
		return ERR_PTR(err);
	}
	mutex_lock(&dev->mems_lock);
	list_add_tail(&mem->list, &dev->mems);
	mutex_unlock(&dev->mems_lock);
	return mem;
}

struct rxo_mem *rxo_mem_create_dmabuf(struct rxo_dev *dev, int fd, u64 offset, u64 length_bytes)
{
	struct rxo_mem *mem;
	int err;

	mem = mem_alloc(RXO_MR_DMABUF, offset, length_bytes, false);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->dmabuf = rxo_dmabuf_open(dev, fd, offset, length_bytes);
	if (IS_ERR(mem->dmabuf)) {
		err = PTR_ERR(mem->dmabuf);
		mem_free(mem);
		return ERR_PTR(err);
	}
	mem->writable = rxo_dmabuf_is_writable(mem->dmabuf);
	return mem;
}

bool rxo_mem_is_taken_back(const struct rxo_mem *mem)
{
	return mem->kind == RXO_MR_DMABUF && rxo_dmabuf_is_taken_back(mem->dmabuf);
}

static void mem_add_stats(struct umem_odp_stats *sum, const struct umem_odp_stats *one)
{
	unsigned int i;

	sum->faults += one->faults;
	sum->fault_pages += one->fault_pages;
	sum->joined_faults += one->joined_faults;
	sum->retries += one->retries;
	sum->failed_faults += one->failed_faults;
	sum->prefetched_pages += one->prefetched_pages;
	sum->invalidations += one->invalidations;
	sum->invalidated_pages += one->invalidated_pages;
	sum->downgrades += one->downgrades;
	sum->resident_pages += one->resident_pages;
	sum->huge_pages += one->huge_pages;
	sum->table_bytes += one->table_bytes;
	sum->worst_fault_ns = max(sum->worst_fault_ns, one->worst_fault_ns);
	for (i = 0; i < UMEM_ODP_FAULT_CLASSES; i++)
		sum->faults_by_time[i] += one->faults_by_time[i];
}

/* Removes it from the device's list; its counts are kept. */
static void mem_retire_stats(struct rxo_dev *dev, struct rxo_mem *mem)
{
	struct umem_odp_stats stats;

	umem_odp_region_counters(mem->region, &stats);
	mutex_lock(&dev->mems_lock);
	list_del(&mem->list);
	mem_add_stats(&dev->odp_retired, &stats);
	mutex_unlock(&dev->mems_lock);
}

void rxo_mem_sum_stats(struct rxo_dev *dev, struct umem_odp_stats *sum)
{
	struct umem_odp_stats stats;
	struct rxo_mem *mem;

	mutex_lock(&dev->mems_lock);
	*sum = dev->odp_retired;
	list_for_each_entry(mem, &dev->mems, list) {
		umem_odp_region_stats(mem->region, &stats);
		mem_add_stats(sum, &stats);
	}
	mutex_unlock(&dev->mems_lock);
}

/*
 * A remaining reference belongs to an access, which ends by itself, or to a
 * waiter for a fault, which closing the region wakes.
 */
void rxo_mem_destroy(struct rxo_dev *dev, struct rxo_mem *mem)
{
	if (mem->kind == RXO_MR_ODP)
		umem_odp_region_close(mem->region);
	wait_for_completion(&mem->unused);

	switch (mem->kind) {
	case RXO_MR_DMA:
		break;
	case RXO_MR_PINNED:
		kvfree(mem->pages);
		ib_umem_release(mem->umem);
		break;
	case RXO_MR_ODP:
		mem_retire_stats(dev, mem);
		umem_odp_region_destroy(mem->region);
		break;
	case RXO_MR_DMABUF:
		rxo_dmabuf_close(mem->dmabuf);
		break;
	case RXO_MR_FAST:
		mem_free_blocks(mem);
		break;
	}
	mem_free(mem);
}

/*
 * Kernel addresses come unchecked from a kernel user, or with an unsafe global
 * rkey from a peer: only mapped memory is accessed.
 */
static bool mem_is_mapped(u64 va, u32 length)
{
	u64 at;

	if (va + length < va)
		return false;
	for (at = va & PAGE_MASK; at < va + length; at += PAGE_SIZE)
		if (!virt_addr_valid((void *)(uintptr_t)at))
			return false;
	return true;
}

/* The page of a pinned region that holds @va, and how many of @length bytes lie in it. */
static struct page *mem_page_at(const struct rxo_mem *mem, u64 va, u32 length, u32 *bytes)
{
	*bytes = min_t(u64, length, PAGE_SIZE - offset_in_page(va));
	return mem->pages[(va >> PAGE_SHIFT) - (mem->va >> PAGE_SHIFT)];
}

static int mem_pinned_copy_from(const struct rxo_mem *mem, u64 va, void *dst, u32 length, u32 *done)
{
	struct page *page;
	unsigned long left;
	void *kaddr;
	u32 n;

	while (*done < length) {
		page = mem_page_at(mem, va + *done, length - *done, &n);
		kaddr = kmap_local_page(page);
		left = copy_mc_to_kernel(dst + *done, kaddr + offset_in_page(va + *done), n);
		kunmap_local(kaddr);
		*done += n - left;
		if (left)
			return -EHWPOISON;
	}
	return 0;
}

static void mem_pinned_copy_to(const struct rxo_mem *mem, u64 va, const void *src, u32 length,
			       u32 *done)
{
	struct page *page;
	void *kaddr;
	u32 n;

	while (*done < length) {
		page = mem_page_at(mem, va + *done, length - *done, &n);
		kaddr = kmap_local_page(page);
		memcpy(kaddr + offset_in_page(va + *done), src + *done, n);
		kunmap_local(kaddr);
		*done += n;
	}
}

/* The bytes of a fast registration at @va, and how many of @length lie behind each other there. */
static void *mem_block_at(const struct rxo_mem *mem, u64 va, u32 length, u32 *bytes)
{
	u64 offset = va & (BIT_ULL(mem->block_shift) - 1);

	*bytes = min_t(u64, length, BIT_ULL(mem->block_shift) - offset);
	return (void *)(uintptr_t)(mem->blocks[va >> mem->block_shift] + offset);
}

static int mem_fast_copy_from(const struct rxo_mem *mem, u64 va, void *dst, u32 length, u32 *done)
{
	unsigned long left;
	void *kaddr;
	u32 n;

	while (*done < length) {
		kaddr = mem_block_at(mem, va + *done, length - *done, &n);
		left = copy_mc_to_kernel(dst + *done, kaddr, n);
		*done += n - left;
		if (left)
			return -EHWPOISON;
	}
	return 0;
}

static void mem_fast_copy_to(const struct rxo_mem *mem, u64 va, const void *src, u32 length,
			     u32 *done)
{
	void *kaddr;
	u32 n;

	while (*done < length) {
		kaddr = mem_block_at(mem, va + *done, length - *done, &n);
		memcpy(kaddr, src + *done, n);
		*done += n;
	}
}

static int mem_dmabuf_copy_from(const struct rxo_mem *mem, u64 va, void *dst, u32 length,
				u32 *done)
{
	void *kaddr = rxo_dmabuf_begin(mem->dmabuf, va);
	unsigned long left;

	if (!kaddr)
		return -EFAULT;
	left = copy_mc_to_kernel(dst, kaddr, length);
	rxo_dmabuf_end();
	*done = length - left;
	return left ? -EHWPOISON : 0;
}

static int mem_dmabuf_copy_to(const struct rxo_mem *mem, u64 va, const void *src, u32 length,
			      u32 *done)
{
	void *kaddr = rxo_dmabuf_begin(mem->dmabuf, va);

	if (!kaddr)
		return -EFAULT;
	memcpy(kaddr, src, length);
	rxo_dmabuf_end();
	*done = length;
	return 0;
}

int rxo_mem_copy_from(struct rxo_mem *mem, u64 va, void *dst, u32 length, u32 *done)
{
	size_t copied;
	int err = 0;

	*done = 0;
	switch (mem->kind) {
	case RXO_MR_DMA:
		if (!mem_is_mapped(va, length))
			return -EFAULT;
		memcpy(dst, (void *)(uintptr_t)va, length);
		*done = length;
		break;
	case RXO_MR_PINNED:
		err = mem_pinned_copy_from(mem, va, dst, length, done);
		break;
	case RXO_MR_ODP:
		err = umem_odp_copy_from(mem->region, va, dst, length, &copied);
		*done = copied;
		break;
	case RXO_MR_DMABUF:
		err = mem_dmabuf_copy_from(mem, va, dst, length, done);
		break;
	case RXO_MR_FAST:
		err = mem_fast_copy_from(mem, va, dst, length, done);
		break;
	}
	return err;
}

int rxo_mem_copy_to(struct rxo_mem *mem, u64 va, const void *src, u32 length, u32 *done)
{
	size_t copied;
	int err = 0;

	*done = 0;
	switch (mem->kind) {
	case RXO_MR_DMA:
		if (!mem_is_mapped(va, length))
			return -EFAULT;
		memcpy((void *)(uintptr_t)va, src, length);
		*done = length;
		break;
	case RXO_MR_PINNED:
		mem_pinned_copy_to(mem, va, src, length, done);
		break;
	case RXO_MR_ODP:
		err = umem_odp_copy_to(mem->region, va, src, length, &copied);
		*done = copied;
		break;
	case RXO_MR_DMABUF:
		err = mem_dmabuf_copy_to(mem, va, src, length, done);
		break;
	case RXO_MR_FAST:
		mem_fast_copy_to(mem, va, src, length, done);
		break;
	}
	return err;
}

/*
 * Uses the CPU's own atomics, so that CPUs and the NIC may share a counter. Those
 * cannot recover from poisoned memory: a safe read comes first. A store consumes no
 * poison; what was written before it is seen before it.
 */
static int mem_atomic_on_word(void *kaddr, enum rxo_atomic_op op, u64 compare, u64 value, u64 *old)
{
	atomic64_t *word = kaddr;

	if (op == RXO_ATOMIC_STORE) {
		atomic64_set_release(word, value);
		return 0;
	}
	if (copy_mc_to_kernel(old, kaddr, sizeof(*old)))
		return -EHWPOISON;
	if (op == RXO_ATOMIC_CMP_SWAP)
		*old = atomic64_cmpxchg(word, compare, value);
	else
		*old = atomic64_fetch_add(value, word);
	return 0;
}

int rxo_mem_atomic(struct rxo_mem *mem, u64 va, enum rxo_atomic_op op, u64 compare, u64 value,
		   u64 *old)
{
	struct umem_odp_access acc;
	void *kaddr;
	u32 bytes;
	int err;

	/* Aligned, so it lies in one page; iova and va may differ in alignment. */
	if (va & 7)
		return -EINVAL;
	switch (mem->kind) {
	case RXO_MR_DMA:
		if (!mem_is_mapped(va, 8))
			return -EFAULT;
		return mem_atomic_on_word((void *)(uintptr_t)va, op, compare, value, old);
	case RXO_MR_PINNED:
		kaddr = kmap_local_page(mem_page_at(mem, va, 8, &bytes));
		err = mem_atomic_on_word(kaddr + offset_in_page(va), op, compare, value, old);
		kunmap_local(kaddr);
		return err;
	case RXO_MR_ODP:
		err = umem_odp_access_begin(mem->region, &acc, va, 8, true);
		if (err)
			return err;
		err = -EFAULT;
		if (!WARN_ON_ONCE(acc.len_bytes != 8))
			err = mem_atomic_on_word(acc.kaddr, op, compare, value, old);
		umem_odp_access_end(&acc);
		return err;
	case RXO_MR_DMABUF:
		kaddr = rxo_dmabuf_begin(mem->dmabuf, va);
		if (!kaddr)
			return -EFAULT;
		err = mem_atomic_on_word(kaddr, op, compare, value, old);
		rxo_dmabuf_end();
		return err;
	case RXO_MR_FAST:
		return mem_atomic_on_word(mem_block_at(mem, va, 8, &bytes), op, compare, value,
					  old);
	}
	return -EINVAL;
}

/*
 * Only persistent memory can be written back. Another page without a mapping is the page of zeros
 * as which a hole of a DAX file is read: nothing can have been written there.
 */
static int mem_write_back_page(struct page *page, u64 va, u32 bytes)
{
	void *kaddr;

	if (!is_zone_device_page(page))
		return page_folio(page)->mapping ? -EOPNOTSUPP : 0;
	kaddr = kmap_local_page(page);
	arch_wb_cache_pmem(kaddr + offset_in_page(va), bytes);
	kunmap_local(kaddr);
	return 0;
}

static int mem_odp_write_back(struct rxo_mem *mem, u64 va, u32 bytes)
{
	struct umem_odp_access acc;
	int err = umem_odp_access_begin(mem->region, &acc, va, bytes, false);

	if (err)
		return err;
	err = mem_write_back_page(virt_to_page(acc.kaddr), va, bytes);
	umem_odp_access_end(&acc);
	return err;
}

/*
 * A page that is not present is a miss, and not skipped: it may have been written to before it left
 * the page tables, which writes nothing back.
 */
int rxo_mem_write_back(struct rxo_mem *mem, u64 va, u32 length, u32 *done)
{
	struct page *page;
	int err = 0;
	u32 n;

	*done = 0;
	if (mem->kind != RXO_MR_ODP && mem->kind != RXO_MR_PINNED)
		return -EOPNOTSUPP;
	for (; *done < length; *done += n) {
		if (mem->kind == RXO_MR_PINNED) {
			page = mem_page_at(mem, va + *done, length - *done, &n);
			err = mem_write_back_page(page, va + *done, n);
		} else {
			n = min_t(u64, length - *done, PAGE_SIZE - offset_in_page(va + *done));
			err = mem_odp_write_back(mem, va + *done, n);
		}
		if (err)
			break;
	}
	pmem_wmb();
	return err;
}

static bool mem_pages_are_persistent(const struct rxo_mem *mem)
{
	size_t num = ib_umem_num_pages(mem->umem), i;

	for (i = 0; i < num; i++) {
		if (region_intersects(page_to_phys(mem->pages[i]), PAGE_SIZE, IORESOURCE_MEM,
				      IORES_DESC_PERSISTENT_MEMORY) != REGION_INTERSECTS)
			return false;
		cond_resched();
	}
	return true;
}

/*
 * Whether all of it is mapped with MAP_SYNC. Only then does the file system guarantee that a block
 * belongs to the file before it can be written to, so that to write back the CPU's caches is
 * enough.
 */
static bool mem_mapping_is_synchronous(const struct rxo_mem *mem)
{
	const u64 end = mem->va + mem->length_bytes;
	struct mm_struct *mm = mem->mm;
	struct vm_area_struct *vma;
	u64 at = mem->va;

	if (!mmget_not_zero(mm))
		return false;
	mmap_read_lock(mm);
	while (at < end) {
		vma = vma_lookup(mm, at);
		if (!vma || !(vma->vm_flags & VM_SYNC))
			break;
		at = vma->vm_end;
	}
	mmap_read_unlock(mm);
	mmput(mm);
	return at >= end;
}

bool rxo_mem_is_persistent(const struct rxo_mem *mem)
{
	switch (mem->kind) {
	case RXO_MR_PINNED:
		return mem_pages_are_persistent(mem);
	case RXO_MR_ODP:
		return mem_mapping_is_synchronous(mem);
	default:
		return false;
	}
}

static void mem_show_odp(struct rxo_mem_access *acc)
{
	acc->kaddr = acc->odp.kaddr;
	acc->bytes = acc->odp.len_bytes;
}

static int mem_odp_begin(struct rxo_mem *mem, struct rxo_mem_access *acc, u64 va, u32 length,
			 bool write, bool second)
{
	int err;

	if (second)
		err = umem_odp_access_try_begin(mem->region, &acc->odp, va, length, write);
	else
		err = umem_odp_access_begin(mem->region, &acc->odp, va, length, write);
	if (!err)
		mem_show_odp(acc);
	return err;
}

int rxo_mem_begin(struct rxo_mem *mem, struct rxo_mem_access *acc, u64 va, u32 length, bool write,
		  bool second)
{
	acc->mem = mem;
	switch (mem->kind) {
	case RXO_MR_DMA:
		acc->bytes = min_t(u64, length, PAGE_SIZE - offset_in_page(va));
		if (!mem_is_mapped(va, acc->bytes))
			return -EFAULT;
		acc->kaddr = (void *)(uintptr_t)va;
		return 0;
	case RXO_MR_PINNED:
		acc->kaddr = kmap_local_page(mem_page_at(mem, va, length, &acc->bytes)) +
			     offset_in_page(va);
		return 0;
	case RXO_MR_ODP:
		return mem_odp_begin(mem, acc, va, length, write, second);
	case RXO_MR_FAST:
		acc->kaddr = mem_block_at(mem, va, length, &acc->bytes);
		return 0;
	case RXO_MR_DMABUF:
		break;
	}
	return -EOPNOTSUPP;
}

bool rxo_mem_advance(struct rxo_mem_access *acc, u32 bytes, u32 length)
{
	if (bytes < acc->bytes) {
		acc->kaddr += bytes;
		acc->bytes -= bytes;
		return true;
	}
	if (acc->mem->kind != RXO_MR_ODP || !umem_odp_access_next(&acc->odp, length))
		return false;
	mem_show_odp(acc);
	return true;
}

void rxo_mem_end(struct rxo_mem_access *acc)
{
	if (acc->mem->kind == RXO_MR_PINNED)
		kunmap_local(acc->kaddr);
	else if (acc->mem->kind == RXO_MR_ODP)
		umem_odp_access_end(&acc->odp);
}
