// SPDX-License-Identifier: GPL-2.0
#include <linux/mmu_notifier.h>

static bool probe_young(struct mmu_notifier *subscription, struct mm_struct *mm, unsigned long va)
{
	return false;
}

const struct mmu_notifier_ops probe_ops = {
	.test_young = probe_young,
};
