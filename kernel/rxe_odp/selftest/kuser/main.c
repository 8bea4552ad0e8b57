// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel user of memory registration, for tests: runs one of kuser/tests.c or kuser/drain.c on a
 * device, in the process that asks for it. The protocol is in include/rxe_odp/selftest.h.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <rxe_odp/selftest.h>

#include "bed.h"

static const struct kuser_test *kuser_find(const char *name)
{
	static const struct kuser_test *const lists[] = { kuser_tests, kuser_drain_tests };
	const struct kuser_test *test;
	int i;

	for (i = 0; i < ARRAY_SIZE(lists); i++)
		for (test = lists[i]; test->name; test++)
			if (!strcmp(test->name, name))
				return test;
	return NULL;
}

/* Protects wanted and found. */
static DEFINE_MUTEX(kuser_lock);
static const char *kuser_wanted;
static struct ib_device *kuser_found;

static int kuser_add(struct ib_device *dev)
{
	if (!kuser_found && !strcmp(dev_name(&dev->dev), kuser_wanted) && ib_device_try_get(dev))
		kuser_found = dev;
	return -EOPNOTSUPP;	/* nothing is to be told of it */
}

/* With a reference. A client is shown all devices; there is no other way to one by its name. */
static struct ib_device *kuser_find_device(const char *name)
{
	struct ib_client client = { .name = "rxe_odp_kuser", .add = kuser_add };

	guard(mutex)(&kuser_lock);
	kuser_wanted = name;
	kuser_found = NULL;
	if (!ib_register_client(&client))
		ib_unregister_client(&client);
	return kuser_found;
}

static int kuser_run(struct rxe_odp_kuser_run *run)
{
	struct kuser_bed *bed __free(kfree) = kzalloc(sizeof(*bed), GFP_KERNEL);
	const struct kuser_test *test = kuser_find(run->test);
	struct ib_device *dev;

	if (!bed)
		return -ENOMEM;
	if (!test)
		return -ENOENT;
	dev = kuser_find_device(run->device);
	if (!dev)
		return -ENODEV;
	kuser_open(bed, dev);
	if (!kuser_failed(bed))
		test->run(bed);
	kuser_close(bed);
	ib_device_put(dev);
	strscpy(run->why, bed->why, sizeof(run->why));
	return kuser_failed(bed) ? -EIO : 0;
}

static long kuser_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct rxe_odp_kuser_run *run __free(kfree) = kzalloc(sizeof(*run), GFP_KERNEL);
	void __user *uarg = (void __user *)arg;
	int err;

	if (cmd != RXE_ODP_KUSER_RUN)
		return -ENOTTY;
	if (!run)
		return -ENOMEM;
	if (copy_from_user(run, uarg, sizeof(*run)))
		return -EFAULT;
	run->device[sizeof(run->device) - 1] = 0;
	run->test[sizeof(run->test) - 1] = 0;
	err = kuser_run(run);
	return copy_to_user(uarg, run, sizeof(*run)) ? -EFAULT : err;
}

static const struct file_operations kuser_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = kuser_ioctl,
};

static struct miscdevice kuser_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "rxe_odp_kuser",
	.fops = &kuser_fops,
};

module_misc_device(kuser_device);

MODULE_DESCRIPTION("A kernel user of memory registration, for tests of rxe_odp");
MODULE_LICENSE("GPL");
