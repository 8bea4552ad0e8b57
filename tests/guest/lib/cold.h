/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One message over on-demand-paging regions whose pages neither the CPU nor the device has touched. */
#ifndef TESTS_GUEST_COLD_H
#define TESTS_GUEST_COLD_H

#include "pair.h"

#define COLD_SOURCE 1
#define COLD_TARGET 2

/* For every kind of memory. The end that is not cold is pinned. */
void cold_run(enum op op, int which);

/* A buffer whose content (pattern seed) exists and is mapped nowhere, as far as its kind allows that. */
void cold_source(struct buf *buf, struct ibv_pd *pd, enum mem kind, size_t bytes,
		 size_t page_offset, uint32_t seed);

#endif
