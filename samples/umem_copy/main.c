// SPDX-License-Identifier: GPL-2.0
/*
 * A sample driver above umem_odp that is no NIC: a process exposes a range of its memory, and
 * others copy from one such range to another. What user space sees is in umem_copy.h.
 *
 * The life of a range. It belongs to its open file, and is published once, by cmpxchg() on
 * private_data. Each call holds the files that it works with: its own by the system call, the other
 * by fdget. So ->release() runs when no call is under way with the file and none can come, and the
 * region may go. That the owner ends meanwhile is umem_odp's business: the region then has no
 * pages, and a fault is told so.
 *
 * Values from user space are checked before they are used. An owner may unmap, protect or truncate
 * what it has exposed at any moment: an access finds that, or is told by a fault. It may also
 * change the bytes while they are copied, which harms nobody but who reads them. A page that never
 * comes keeps the copier waiting until it is killed, and nobody else.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <umem_odp/umem_odp.h>

#include "umem_copy.h"

/**
 * struct exposed - what a file exposes; immutable, freed with the file
 * @region: of the process that exposed it
 * @start: first user address
 * @length_bytes: length
 */
struct exposed {
	struct umem_odp_region *region;
	u64 start;
	u64 length_bytes;
};

/**
 * struct copy - one copy under way, on its caller's stack
 * @from: region that is read
 * @from_va: address of the next byte there
 * @to: region that is written
 * @to_va: address of the next byte there
 * @left_bytes: how many are still to be copied
 * @page: of the caller's own, for what cannot be copied at once
 */
struct copy {
	struct umem_odp_region *from;
	u64 from_va;
	struct umem_odp_region *to;
	u64 to_va;
	u64 left_bytes;
	void *page;
};

static void copy_advance(struct copy *c, size_t nr_bytes)
{
	c->from_va += nr_bytes;
	c->to_va += nr_bytes;
	c->left_bytes -= nr_bytes;
}

/*
 * Both pages are at hand: from one to the other. Between begin and end nothing may sleep, and the
 * second leaf is only tried, so that two copiers never wait for each other.
 */
static int copy_direct(struct copy *c)
{
	u32 want = min_t(u64, c->left_bytes, UMEM_ODP_ACCESS_MAX), nr;
	struct umem_odp_access src, dst;
	unsigned long poisoned;
	int err;

	err = umem_odp_access_begin(c->from, &src, c->from_va, want, false);
	if (err)
		return err;
	err = umem_odp_access_try_begin(c->to, &dst, c->to_va, src.len_bytes, true);
	if (err)
		goto end_src;
	nr = dst.len_bytes;
	poisoned = copy_mc_to_kernel(dst.kaddr, src.kaddr, nr);
	umem_odp_access_end(&dst);
	copy_advance(c, nr - poisoned);
	if (poisoned)
		err = -EHWPOISON;
end_src:
	umem_odp_access_end(&src);
	return err;
}

/*
 * After a miss: brings that page in, or says why the copy ends. No more is asked for, since an
 * error of a later page is not to keep this one from being copied. -EBUSY is for now.
 */
static int copy_fault(struct umem_odp_region *r, u64 va, bool write)
{
	int err = umem_odp_fault(r, va, 1, write);

	if (err && err != -EBUSY)
		return err;
	if (signal_pending(current))
		return -EINTR;
	cond_resched();
	return 0;
}

/*
 * By way of a page of ours. It needs one side's memory at a time: it gets on where the two push
 * each other out of a cgroup, or where the second leaf was not to be had.
 */
static int copy_by_page(struct copy *c)
{
	size_t want = min_t(u64, c->left_bytes, PAGE_SIZE), got = 0, put, step;
	int err;

	while ((err = umem_odp_copy_from(c->from, c->from_va, c->page, want, &got)) == -EAGAIN &&
	       !got) {
		err = copy_fault(c->from, c->from_va, false);
		if (err)
			return err;
	}
	/* A part of it will do: the rest has its turn next. */
	if (!got)
		return err;
	for (put = 0; put < got; put += step) {
		err = umem_odp_copy_to(c->to, c->to_va + put, c->page + put, got - put, &step);
		if (err == -EAGAIN)
			err = copy_fault(c->to, c->to_va + put + step, true);
		if (err) {
			put += step;
			break;
		}
	}
	copy_advance(c, put);
	return err;
}

static int copy_all(struct copy *c)
{
	int err;

	while (c->left_bytes) {
		err = copy_direct(c);
		if (err == -EAGAIN)
			err = copy_by_page(c);
		if (err)
			return err;
		if (c->left_bytes && signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Is [offset, offset + length) in the range? */
static bool range_has(const struct exposed *range, u64 offset_bytes, u64 length_bytes)
{
	return offset_bytes <= range->length_bytes &&
	       length_bytes <= range->length_bytes - offset_bytes;
}

static int copy_ranges(const struct exposed *from, const struct exposed *to,
		       struct umem_copy_order *order)
{
	struct copy c = { .left_bytes = order->length_bytes };
	int err;

	if (!from || !to)
		return -ENODATA;
	if (!range_has(from, order->from_offset, order->length_bytes) ||
	    !range_has(to, order->to_offset, order->length_bytes))
		return -EINVAL;
	c.from = from->region;
	c.from_va = from->start + order->from_offset;
	c.to = to->region;
	c.to_va = to->start + order->to_offset;
	c.page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!c.page)
		return -ENOMEM;
	err = copy_all(&c);
	order->done_bytes = order->length_bytes - c.left_bytes;
	free_page((unsigned long)c.page);
	return err;
}

static const struct file_operations umem_copy_fops;

/* What a file exposes, or NULL. */
static const struct exposed *range_of(const struct file *file)
{
	/* Pairs with the cmpxchg() of range_expose(). */
	return smp_load_acquire(&file->private_data);
}

static long umem_copy_copy(const struct file *file, struct umem_copy_order __user *uorder)
{
	struct umem_copy_order order;
	int err;

	if (copy_from_user(&order, uorder, sizeof(order)))
		return -EFAULT;
	if (order.reserved)
		return -EINVAL;
	CLASS(fd, from)(order.from_fd);
	if (fd_empty(from) || fd_file(from)->f_op != &umem_copy_fops ||
	    !(fd_file(from)->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	order.done_bytes = 0;
	err = copy_ranges(range_of(fd_file(from)), range_of(file), &order);
	if (put_user(order.done_bytes, &uorder->done_bytes))
		return -EFAULT;
	return err;
}

static void range_free(struct exposed *range)
{
	umem_odp_region_destroy(range->region);
	kfree(range);
}

static long range_expose(struct file *file, const struct umem_copy_range __user *urange)
{
	struct umem_copy_range arg;
	struct exposed *range;
	int err;

	if (copy_from_user(&arg, urange, sizeof(arg)))
		return -EFAULT;
	range = kzalloc_obj(*range, GFP_KERNEL_ACCOUNT);
	if (!range)
		return -ENOMEM;
	/* umem_odp judges the range: what it takes neither wraps nor leaves user memory. */
	range->region = umem_odp_region_create(current->mm, arg.start, arg.length_bytes,
					       UMEM_ODP_WRITE);
	if (IS_ERR(range->region)) {
		err = PTR_ERR(range->region);
		kfree(range);
		return err;
	}
	range->start = arg.start;
	range->length_bytes = arg.length_bytes;
	/* Of two threads that expose at a time one is told that it is too late. */
	if (cmpxchg(&file->private_data, NULL, range)) {
		range_free(range);
		return -EBUSY;
	}
	return 0;
}

static long umem_copy_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case UMEM_COPY_EXPOSE:
		return range_expose(file, uarg);
	case UMEM_COPY_COPY:
		return umem_copy_copy(file, uarg);
	default:
		return -ENOTTY;
	}
}

static int umem_copy_open(struct inode *inode, struct file *file)
{
	/* The misc device left itself here. */
	file->private_data = NULL;
	return 0;
}

/* The last reference to the file has gone, so no call uses the range. */
static int umem_copy_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		range_free(file->private_data);
	return 0;
}

static const struct file_operations umem_copy_fops = {
	.owner = THIS_MODULE,
	.open = umem_copy_open,
	.release = umem_copy_release,
	.unlocked_ioctl = umem_copy_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice umem_copy_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "umem_copy",
	.fops = &umem_copy_fops,
};

module_misc_device(umem_copy_device);

MODULE_DESCRIPTION("Sample driver above umem_odp: copies between the memory of processes");
MODULE_LICENSE("GPL");
