// SPDX-License-Identifier: GPL-2.0
/*
 * How far beyond what was asked for a fault looks for pages that the process has mapped. A fault
 * that continues no other looks nowhere else. One that begins where another had come to looks at
 * twice as many pages as that one was good for, up to a leaf; so a run of faults for single pages
 * looks at 2, 4, 8, ... as long as it finds all of them, and one through memory that nobody has
 * touched yet, where nothing is to be found, at one page more than it needs.
 *
 * A region has a few streams, for a few queue pairs or arrays that are gone through by turns. With
 * more than that none continues, and each fault brings in what it is asked for.
 *
 * Nothing here locks; it is under queue->lock.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "entries.h"
#include "stream.h"

static int stream_find(const struct umem_odp_streams *s, u64 page)
{
	int i;

	for (i = 0; i < UMEM_ODP_STREAMS && s->of[i].next != page; i++)
		;
	return i;
}

/**
 * umem_odp_streams_begin() - a fault begins
 * @s: the streams
 * @page: its first page
 *
 * A fault that is tried again begins again.
 *
 * Return: up to where to look for pages that the process has mapped: @page, or behind that.
 */
u64 umem_odp_streams_begin(struct umem_odp_streams *s, u64 page)
{
	int i = stream_find(s, page);
	unsigned int pages = i < UMEM_ODP_STREAMS ? s->of[i].pages : 0;

	memmove(s->of + 1, s->of, min(i, UMEM_ODP_STREAMS - 1) * sizeof(*s->of));
	s->of[0].next = page;
	s->of[0].pages = pages;
	return page + ((u64)min(2 * pages, UMEM_ODP_LEAF_PAGES) << PAGE_SHIFT);
}

/**
 * umem_odp_streams_went() - a fault has come forward
 * @s: the streams
 * @from: the page where it stood
 * @to: where it stands now: what lies between is in the table
 * @all: it found all that it looked for
 */
void umem_odp_streams_went(struct umem_odp_streams *s, u64 from, u64 to, bool all)
{
	unsigned int found = min_t(u64, (to - from) >> PAGE_SHIFT, UMEM_ODP_LEAF_PAGES);
	int i = stream_find(s, from);

	if (i == UMEM_ODP_STREAMS)
		return;
	s->of[i].next = to;
	/* The end of a leaf or of a mapping may have cut what it looked for. */
	if (all && found < 2 * s->of[i].pages)
		found = min(2 * s->of[i].pages, UMEM_ODP_LEAF_PAGES);
	s->of[i].pages = found;
}
