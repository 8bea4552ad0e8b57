/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UMEM_ODP_INVALIDATE_H
#define UMEM_ODP_INVALIDATE_H

struct mmu_interval_notifier_ops;
struct umem_odp_chunk;

extern const struct mmu_interval_notifier_ops umem_odp_invalidate_ops;

void umem_odp_invalidate_chunk(struct umem_odp_chunk *chunk);

#endif
