// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

const char *const top_figure_names[TOP_FIGURES] = {
	[TOP_FAULTS] = "faults",
	[TOP_FAULT_PAGES] = "page_faults",
	[TOP_INVALIDATED_PAGES] = "page_invalidations",
	[TOP_PREFETCHED_PAGES] = "page_prefetch",
	[TOP_JOINED] = "joined_faults",
	[TOP_RETRIES] = "retries",
	[TOP_FAILED] = "failed_faults",
	[TOP_INVALIDATIONS] = "invalidations",
	[TOP_DOWNGRADES] = "downgrades",
	[TOP_RESIDENT] = "resident_pages",
	[TOP_HUGE] = "huge_pages",
	[TOP_TABLE_BYTES] = "table_bytes",
	[TOP_WORST_NS] = "worst_fault_ns",
	[TOP_WORST_PAGE] = "worst_fault_page",
	[TOP_BELOW_10US] = "faults_below_10us",
	[TOP_BELOW_10US + 1] = "faults_below_100us",
	[TOP_BELOW_10US + 2] = "faults_below_1ms",
	[TOP_BELOW_10US + 3] = "faults_below_10ms",
	[TOP_BELOW_10US + 4] = "faults_below_100ms",
	[TOP_BELOW_10US + 5] = "faults_below_1s",
	[TOP_ABOVE_1S] = "faults_above_1s",
};

const char *const top_device_figure_names[TOP_DEV_FIGURES] = {
	[TOP_DEV_FAULTS] = "odp_faults",     [TOP_DEV_FAULT_RNR] = "fault_rnr",
	[TOP_DEV_SENT_RNR] = "send_rnr_err", [TOP_DEV_RCVD_RNR] = "rcvd_rnr_err",
	[TOP_DEV_HELD] = "fault_held_pkts",
};

int top_find_name(const char *const *names, int nr, const char *name, size_t len)
{
	int i;

	for (i = 0; i < nr; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return i;
	return -1;
}

/* Arrays have room for a power of two. */
static void *snapshot_grow(void **array, size_t *nr, size_t bytes)
{
	void *more;

	if (!(*nr & (*nr - 1))) {
		more = reallocarray(*array, *nr ? *nr * 2 : 1, bytes);
		if (!more)
			return NULL;
		*array = more;
	}
	more = (char *)*array + *nr * bytes;
	memset(more, 0, bytes);
	++*nr;
	return more;
}

struct top_device *snapshot_add_device(struct top_snapshot *s)
{
	return snapshot_grow((void **)&s->devices, &s->nr_devices, sizeof(*s->devices));
}

struct top_region *snapshot_add_region(struct top_snapshot *s)
{
	struct top_region *r;

	r = snapshot_grow((void **)&s->regions, &s->nr_regions, sizeof(*s->regions));
	if (r) {
		r->uid = TOP_NO_UID;
		r->value[TOP_WORST_PAGE] = TOP_NO_PAGE;
	}
	return r;
}

struct top_map *snapshot_add_map(struct top_snapshot *s)
{
	return snapshot_grow((void **)&s->maps, &s->nr_maps, sizeof(*s->maps));
}

static int region_compare(const void *a, const void *b)
{
	const struct top_region *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->mrn < y->mrn ? -1 : x->mrn > y->mrn;
}

void snapshot_sort(struct top_snapshot *s)
{
	if (s->nr_regions)
		qsort(s->regions, s->nr_regions, sizeof(*s->regions), region_compare);
}

struct top_region *snapshot_find(const struct top_snapshot *s, uint32_t device, uint32_t mrn)
{
	struct top_region key = { .device = device, .mrn = mrn };

	if (!s->nr_regions)
		return NULL;
	return bsearch(&key, s->regions, s->nr_regions, sizeof(key), region_compare);
}

const struct top_device *snapshot_device(const struct top_snapshot *s, uint32_t index)
{
	size_t i;

	for (i = 0; i < s->nr_devices; i++)
		if (s->devices[i].index == index)
			return &s->devices[i];
	return NULL;
}

const struct top_map *snapshot_map(const struct top_snapshot *s, uint32_t device, uint32_t mrn)
{
	size_t i;

	for (i = 0; i < s->nr_maps; i++)
		if (s->maps[i].device == device && s->maps[i].mrn == mrn)
			return &s->maps[i];
	return NULL;
}

void snapshot_free(struct top_snapshot *s)
{
	free(s->devices);
	free(s->regions);
	free(s->maps);
	memset(s, 0, sizeof(*s));
}
