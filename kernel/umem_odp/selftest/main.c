// SPDX-License-Identifier: GPL-2.0
/*
 * A second driver above umem_odp, for tests only: it does what a NIC does with a region, when a
 * test program asks by ioctl. The protocol is in include/umem_odp/selftest.h.
 *
 * One open file has one region. file->lock protects it against ioctls of other threads: all but
 * those that create and destroy hold it shared.
 */
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <umem_odp/selftest.h>
#include <umem_odp/umem_odp.h>

#include "crowd.h"

#define HAMMERS_MAX	8

struct slot {
	struct umem_odp_waiter waiter;
	struct completion done;
	bool used;
	int err;
	unsigned int wakes;
};

struct hammer {
	struct umem_odp_region *region;
	struct umem_selftest_hammer arg;
	struct task_struct *task;
	u64 accesses;
	u64 misses;
};

struct selftest {
	struct rw_semaphore lock;
	struct umem_odp_region *region;
	struct slot slots[UMEM_SELFTEST_SLOTS];
	struct hammer hammers[HAMMERS_MAX];
	unsigned int nr_hammers;
	struct selftest_crowd *crowd;
};

static long create(struct selftest *s, void __user *uarg)
{
	struct umem_selftest_span arg;
	struct umem_odp_region *r;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (s->region)
		return -EBUSY;
	r = umem_odp_region_create(current->mm, arg.va, arg.len_bytes,
				   arg.flags & UMEM_SELFTEST_WRITE ? UMEM_ODP_WRITE : arg.flags);
	if (IS_ERR(r))
		return PTR_ERR(r);
	s->region = r;
	return 0;
}

static int copy_all(struct umem_odp_region *r, struct umem_selftest_copy *arg, void *buf, bool to)
{
	size_t done = 0, step;
	int err;

	for (;;) {
		if (to)
			err = umem_odp_copy_to(r, arg->va + done, buf + done, arg->len_bytes - done,
					       &step);
		else
			err = umem_odp_copy_from(r, arg->va + done, buf + done,
						 arg->len_bytes - done, &step);
		done += step;
		arg->done_bytes = done;
		if (err != -EAGAIN || arg->flags & UMEM_SELFTEST_NOFAULT)
			return err;

		err = umem_odp_fault(r, arg->va + done, arg->len_bytes - done, to);
		if (err && err != -EBUSY)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static long copy(struct selftest *s, void __user *uarg, bool to)
{
	struct umem_selftest_copy arg;
	void *buf;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.len_bytes > UMEM_SELFTEST_COPY_MAX)
		return -EINVAL;
	arg.done_bytes = 0;
	buf = kvzalloc(arg.len_bytes, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = -EFAULT;
	if (to && copy_from_user(buf, u64_to_user_ptr(arg.buf), arg.len_bytes))
		goto out;
	err = copy_all(s->region, &arg, buf, to);
	if (!to && copy_to_user(u64_to_user_ptr(arg.buf), buf, arg.done_bytes))
		err = -EFAULT;
	if (copy_to_user(uarg, &arg, sizeof(arg)))
		err = -EFAULT;
out:
	kvfree(buf);
	return err;
}

static long fault(struct selftest *s, void __user *uarg)
{
	struct umem_selftest_span arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	return umem_odp_fault(s->region, arg.va, arg.len_bytes, arg.flags & UMEM_SELFTEST_WRITE);
}

static void slot_wake(struct umem_odp_waiter *w, int err)
{
	struct slot *slot = container_of(w, struct slot, waiter);

	might_sleep();
	slot->err = err;
	slot->wakes++;
	complete(&slot->done);
}

static long async(struct selftest *s, void __user *uarg)
{
	struct umem_selftest_span arg;
	struct slot *slot;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.slot >= UMEM_SELFTEST_SLOTS)
		return -EINVAL;
	slot = &s->slots[arg.slot];
	if (slot->used)
		return -EBUSY;
	slot->waiter.wake = slot_wake;
	init_completion(&slot->done);
	slot->wakes = 0;
	slot->used = true;
	local_bh_disable();
	err = umem_odp_fault_async(s->region, arg.va, arg.len_bytes,
				   arg.flags & UMEM_SELFTEST_WRITE, &slot->waiter);
	local_bh_enable();
	if (err != -EINPROGRESS)
		slot->used = false;
	return err;
}

static struct slot *get_slot(struct selftest *s, struct umem_selftest_slot *arg, void __user *uarg)
{
	if (copy_from_user(arg, uarg, sizeof(*arg)))
		return ERR_PTR(-EFAULT);
	if (arg->slot >= UMEM_SELFTEST_SLOTS || !s->slots[arg->slot].used)
		return ERR_PTR(-EINVAL);
	return &s->slots[arg->slot];
}

static long wait_slot(struct selftest *s, void __user *uarg)
{
	struct umem_selftest_slot arg;
	struct slot *slot = get_slot(s, &arg, uarg);

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (wait_for_completion_timeout(&slot->done, msecs_to_jiffies(arg.timeout_ms))) {
		arg.err = slot->err;
		arg.fault_ns = slot->waiter.fault_ns;
		slot->used = false;
	} else {
		arg.err = -EINPROGRESS;
	}
	arg.wakes = slot->wakes;
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static long cancel_slot(struct selftest *s, void __user *uarg)
{
	struct umem_selftest_slot arg;
	struct slot *slot = get_slot(s, &arg, uarg);

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	local_bh_disable();
	arg.err = umem_odp_fault_cancel(&slot->waiter);
	local_bh_enable();
	if (!arg.err)
		wait_for_completion(&slot->done);
	slot->used = false;
	arg.wakes = slot->wakes;
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static long stats(struct selftest *s, void __user *uarg)
{
	struct umem_odp_stats st;
	struct umem_selftest_stats arg;

	umem_odp_region_stats(s->region, &st);
	arg = (struct umem_selftest_stats) {
		.faults = st.faults,
		.fault_pages = st.fault_pages,
		.joined_faults = st.joined_faults,
		.retries = st.retries,
		.failed_faults = st.failed_faults,
		.invalidations = st.invalidations,
		.invalidated_pages = st.invalidated_pages,
		.downgrades = st.downgrades,
		.resident_pages = st.resident_pages,
		.table_bytes = st.table_bytes,
		.worst_fault_ns = st.worst_fault_ns,
		.last_fault_ns = st.last_fault_ns,
		.avg_fault_ns = st.avg_fault_ns,
	};
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/* Access after access with BH off all the time, as in a softirq that has much to do. */
static int hammer_thread(void *data)
{
	struct hammer *h = data;
	struct umem_odp_access acc;
	unsigned int i;
	u8 byte;

	while (!kthread_should_stop()) {
		local_bh_disable();
		for (i = 0; i < 64; i++) {
			if (umem_odp_access_begin(h->region, &acc, h->arg.va, h->arg.len_bytes,
						  h->arg.flags & UMEM_SELFTEST_WRITE)) {
				h->misses++;
				continue;
			}
			byte = READ_ONCE(*(u8 *)acc.kaddr);
			if (h->arg.flags & UMEM_SELFTEST_WRITE)
				WRITE_ONCE(*(u8 *)acc.kaddr, byte);
			h->accesses++;
			umem_odp_access_end(&acc);
		}
		local_bh_enable();
		cond_resched();
	}
	return 0;
}

static void hammers_end(struct selftest *s, struct umem_selftest_hammer *arg)
{
	struct hammer *h;

	while (s->nr_hammers) {
		h = &s->hammers[--s->nr_hammers];
		kthread_stop(h->task);
		arg->accesses += h->accesses;
		arg->misses += h->misses;
	}
}

static long hammer(struct selftest *s, void __user *uarg)
{
	struct umem_selftest_hammer arg;
	unsigned int threads;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	arg.accesses = 0;
	arg.misses = 0;
	hammers_end(s, &arg);
	threads = min(arg.threads, HAMMERS_MAX);
	while (s->nr_hammers < threads) {
		struct hammer *h = &s->hammers[s->nr_hammers];

		*h = (struct hammer) { .region = s->region, .arg = arg };
		h->task = kthread_run(hammer_thread, h, "umem_hammer");
		if (IS_ERR(h->task))
			return PTR_ERR(h->task);
		s->nr_hammers++;
	}
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static long destroy(struct selftest *s)
{
	struct umem_selftest_hammer arg = {};

	hammers_end(s, &arg);
	umem_odp_region_destroy(s->region);
	s->region = NULL;
	selftest_crowd_destroy(s->crowd);
	s->crowd = NULL;
	return 0;
}

static long ioctl_shared(struct selftest *s, unsigned int cmd, void __user *uarg)
{
	if (!s->region)
		return -ENODEV;
	switch (cmd) {
	case UMEM_SELFTEST_COPY_FROM:
		return copy(s, uarg, false);
	case UMEM_SELFTEST_COPY_TO:
		return copy(s, uarg, true);
	case UMEM_SELFTEST_FAULT:
		return fault(s, uarg);
	case UMEM_SELFTEST_ASYNC:
		return async(s, uarg);
	case UMEM_SELFTEST_WAIT:
		return wait_slot(s, uarg);
	case UMEM_SELFTEST_CANCEL:
		return cancel_slot(s, uarg);
	case UMEM_SELFTEST_STATS:
		return stats(s, uarg);
	case UMEM_SELFTEST_CLOSE:
		umem_odp_region_close(s->region);
		return 0;
	default:
		return -ENOTTY;
	}
}

static long ioctl_exclusive(struct selftest *s, unsigned int cmd, void __user *uarg)
{
	switch (cmd) {
	case UMEM_SELFTEST_CREATE:
		return create(s, uarg);
	case UMEM_SELFTEST_DESTROY:
		return destroy(s);
	}
	if (!s->region)
		return -ENODEV;
	switch (cmd) {
	case UMEM_SELFTEST_CROWD:
		return selftest_crowd_begin(s->region, &s->crowd, uarg);
	case UMEM_SELFTEST_CROWD_END:
		return selftest_crowd_end(&s->crowd, uarg);
	default:
		return hammer(s, uarg);
	}
}

static bool is_exclusive(unsigned int cmd)
{
	switch (cmd) {
	case UMEM_SELFTEST_CREATE:
	case UMEM_SELFTEST_DESTROY:
	case UMEM_SELFTEST_HAMMER:
	case UMEM_SELFTEST_CROWD:
	case UMEM_SELFTEST_CROWD_END:
		return true;
	default:
		return false;
	}
}

static long selftest_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct selftest *s = file->private_data;
	void __user *uarg = (void __user *)arg;
	long ret;

	if (is_exclusive(cmd)) {
		down_write(&s->lock);
		ret = ioctl_exclusive(s, cmd, uarg);
		up_write(&s->lock);
	} else {
		down_read(&s->lock);
		ret = ioctl_shared(s, cmd, uarg);
		up_read(&s->lock);
	}
	return ret;
}

static int selftest_open(struct inode *inode, struct file *file)
{
	struct selftest *s = kvzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	init_rwsem(&s->lock);
	file->private_data = s;
	return 0;
}

static int selftest_release(struct inode *inode, struct file *file)
{
	struct selftest *s = file->private_data;

	destroy(s);
	kvfree(s);
	return 0;
}

static const struct file_operations selftest_fops = {
	.owner = THIS_MODULE,
	.open = selftest_open,
	.release = selftest_release,
	.unlocked_ioctl = selftest_ioctl,
};

static struct miscdevice selftest_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "umem_odp_selftest",
	.fops = &selftest_fops,
};

module_misc_device(selftest_device);

MODULE_DESCRIPTION("Tests of umem_odp");
MODULE_LICENSE("GPL");
