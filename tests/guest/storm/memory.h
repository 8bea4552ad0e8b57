/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The three kinds of memory that the storm goes through, each one region, and cut into a slice for each worker. */
#ifndef STORM_MEMORY_H
#define STORM_MEMORY_H

#include "pair.h"

#define MEMORIES    3
#define SLICES	    (3 * MEMORIES)
#define SLICE_BYTES (768 * KIB) /* 2 MiB tables hold parts of several */
#define HUGE_BYTES  (2 * MIB)

enum memory_kind { PRIVATE, SHARED, EXT4 };

struct memory {
	enum memory_kind kind;
	int fd;
	void *room; /* data lies in it, aligned */
	uint8_t *data;
	struct ibv_mr *mr;
};

extern struct memory memories[MEMORIES];

void memories_make(struct ibv_pd *pd);
void memories_free(void);

/* Maps at the same place what was there: false if the kernel does not. */
bool memory_map_again(const struct memory *m, uint8_t *at, size_t bytes);

#endif
