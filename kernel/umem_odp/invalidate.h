/* SPDX-License-Identifier: GPL-2.0 */
/* What the notifier of a chunk calls. */
#ifndef UMEM_ODP_INVALIDATE_H
#define UMEM_ODP_INVALIDATE_H

struct mmu_interval_notifier_ops;

extern const struct mmu_interval_notifier_ops umem_odp_invalidate_ops;

#endif
