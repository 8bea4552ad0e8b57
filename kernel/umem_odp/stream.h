/* SPDX-License-Identifier: GPL-2.0 */
/* Streams: runs of faults, each of which begins where the one before had come to. */
#ifndef UMEM_ODP_STREAM_H
#define UMEM_ODP_STREAM_H

#include <linux/types.h>

#define UMEM_ODP_STREAMS	4

/**
 * struct umem_odp_streams - the streams of a region, the one that went on last first
 * @next: the page where the next fault of it would begin
 * @pages: how many pages the last one was good for; half of what the next may look at
 */
struct umem_odp_streams {
	struct {
		u64 next;
		unsigned int pages;
	} of[UMEM_ODP_STREAMS];
};

u64 umem_odp_streams_begin(struct umem_odp_streams *s, u64 page);
void umem_odp_streams_went(struct umem_odp_streams *s, u64 from, u64 to, bool all);

#endif
