/* SPDX-License-Identifier: GPL-2.0 */
/* Streams: runs of faults, each of which begins where the one before had come to. */
#ifndef UMEM_ODP_STREAM_H
#define UMEM_ODP_STREAM_H

#include <linux/types.h>

#define UMEM_ODP_STREAMS	4

/**
 * struct umem_odp_streams - the streams of a region, the one that went on last first
 * @of: each of them
 * @of.next: the page where the next fault of the stream would begin
 * @of.pages: how many pages its last fault was good for; the next one may look at twice as many
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
