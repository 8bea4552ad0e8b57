/* SPDX-License-Identifier: GPL-2.0 */
/* Whether the device has accessed pages: callbacks of the mirror's subscription. */
#ifndef UMEM_ODP_AGE_H
#define UMEM_ODP_AGE_H

#include <linux/mmu_notifier.h>

compat_young_t umem_odp_age_clear(struct mmu_notifier *subscription, struct mm_struct *mm,
				  unsigned long start, unsigned long end);
compat_young_t umem_odp_age_test(struct mmu_notifier *subscription, struct mm_struct *mm,
				 unsigned long va);

#endif
