// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const top_sort_names[TOP_SORTS] = {
	[TOP_BY_FAULTS] = "faults",	[TOP_BY_INVALIDATIONS] = "invalidations",
	[TOP_BY_PREFETCH] = "prefetch", [TOP_BY_REFAULTS] = "refaults",
	[TOP_BY_WORST] = "worst",	[TOP_BY_RESIDENT] = "resident",
	[TOP_BY_SIZE] = "size",		[TOP_BY_PID] = "pid",
};

static const enum top_figure rate_figures[TOP_RATES] = {
	[TOP_RATE_FAULT] = TOP_FAULT_PAGES,
	[TOP_RATE_INVALIDATE] = TOP_INVALIDATED_PAGES,
	[TOP_RATE_PREFETCH] = TOP_PREFETCHED_PAGES,
	[TOP_RATE_REFAULT] = TOP_FAULT_PAGES,
};

uint64_t top_pages(uint64_t length, uint32_t page_bytes)
{
	if (length == TOP_IMPLICIT || !page_bytes)
		return 0;
	return length / page_bytes + !!(length % page_bytes);
}

static int past_compare(const void *a, const void *b)
{
	const struct top_past *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->mrn < y->mrn ? -1 : x->mrn > y->mrn;
}

/* NULL: it is new, or another one that has its number. */
static const struct top_past *model_past(const struct top_model *m, const struct top_region *r)
{
	struct top_past key = { .device = r->device, .mrn = r->mrn };
	const struct top_past *past;

	if (!m->nr_past)
		return NULL;
	past = bsearch(&key, m->past, m->nr_past, sizeof(key), past_compare);
	return past && past->pid == r->pid ? past : NULL;
}

static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* Pages that were taken and brought in again are refaults; what is left of those taken may still become some. */
static void past_count_refaults(struct top_past *now, uint64_t taken, uint64_t brought)
{
	uint64_t again;

	now->taken += taken;
	again = brought < now->taken ? brought : now->taken;
	now->taken -= again;
	now->refaults += again;
}

static void model_feed_region(const struct top_model *m, const struct top_region *r,
			      struct top_past *now, struct top_flow *flow)
{
	static const struct top_past none;
	const struct top_past *past = model_past(m, r);
	const struct top_past *before = past ? past : &none;
	uint64_t delta[TOP_RATES];
	int i;

	*now = (struct top_past){ .device = r->device, .mrn = r->mrn, .pid = r->pid };
	now->taken = before->taken;
	now->refaults = before->refaults;
	for (i = 0; i < TOP_RATES; i++) {
		now->figure[i] = r->value[rate_figures[i]];
		delta[i] = grown(now->figure[i], before->figure[i]);
	}
	past_count_refaults(now, delta[TOP_RATE_INVALIDATE], delta[TOP_RATE_FAULT]);
	delta[TOP_RATE_REFAULT] = now->refaults - before->refaults;
	for (i = 0; i < TOP_RATES; i++) {
		flow->total[i] = i == TOP_RATE_REFAULT ? now->refaults : now->figure[i];
		/* Of a new one all that it has counted was since the last snapshot, if there was one. */
		flow->rate[i] = m->seconds > 0 ? delta[i] / m->seconds : 0;
	}
}

static void model_feed_devices(struct top_model *m, const struct top_snapshot *s)
{
	uint64_t before[TOP_DEVICES_MAX][TOP_DEV_FIGURES];
	uint32_t index[TOP_DEVICES_MAX];
	size_t nr = m->nr_devices, i, j;
	int f;

	memcpy(before, m->device_value, sizeof(before));
	memcpy(index, m->device_index, sizeof(index));
	m->nr_devices = s->nr_devices < TOP_DEVICES_MAX ? s->nr_devices : TOP_DEVICES_MAX;
	for (i = 0; i < m->nr_devices; i++) {
		for (j = 0; j < nr && index[j] != s->devices[i].index; j++)
			;
		m->device_index[i] = s->devices[i].index;
		for (f = 0; f < TOP_DEV_FIGURES; f++) {
			uint64_t now = s->devices[i].value[f];

			m->device_value[i][f] = now;
			m->device_rate[i][f] = j < nr && m->seconds > 0 ?
						       grown(now, before[j][f]) / m->seconds :
						       0;
		}
	}
}

int model_feed(struct top_model *m, const struct top_snapshot *s)
{
	struct top_past *past = calloc(s->nr_regions + 1, sizeof(*past));
	struct top_flow *flows = calloc(s->nr_regions + 1, sizeof(*flows));
	size_t i;

	if (!past || !flows) {
		free(past);
		free(flows);
		return -ENOMEM;
	}
	m->seconds = m->clock_ns && s->clock_ns > m->clock_ns ? (s->clock_ns - m->clock_ns) / 1e9 :
								0;
	for (i = 0; i < s->nr_regions; i++)
		model_feed_region(m, &s->regions[i], &past[i], &flows[i]);
	model_feed_devices(m, s);
	free(m->past);
	free(m->flows);
	m->past = past;
	m->nr_past = s->nr_regions;
	m->flows = flows;
	m->nr_flows = s->nr_regions;
	m->clock_ns = s->clock_ns;
	return 0;
}

static bool contains(const char *text, const char *part)
{
	return strcasestr(text, part);
}

static bool filter_takes(const struct top_filter *filter, const struct top_region *r,
			 const struct top_device *device)
{
	char pid[16];

	if (!filter->all && !r->has_figures)
		return false;
	if (filter->uid != TOP_NO_UID && filter->uid != r->uid)
		return false;
	if (filter->pid && filter->pid != r->pid)
		return false;
	if (!filter->text || !*filter->text)
		return true;
	snprintf(pid, sizeof(pid), "%u", r->pid);
	return contains(r->comm, filter->text) || contains(r->kind, filter->text) ||
	       (device && contains(device->name, filter->text)) || !strcmp(pid, filter->text);
}

static void row_of_region(struct top_row *row, const struct top_snapshot *s,
			  const struct top_region *r, const struct top_flow *flow)
{
	*row = (struct top_row){
		.region = r,
		.device = snapshot_device(s, r->device),
		.pid = r->pid,
		.uid = r->uid,
		.comm = r->comm,
		.nr_regions = 1,
		.implicit = r->length == TOP_IMPLICIT,
		.on_demand = r->has_figures,
		.bytes = r->length == TOP_IMPLICIT ? 0 : r->length,
		.pages = r->has_figures ? top_pages(r->length, s->page_bytes) : 0,
		.resident = r->value[TOP_RESIDENT],
		.huge = r->value[TOP_HUGE],
		.table_bytes = r->value[TOP_TABLE_BYTES],
		.worst_ns = r->value[TOP_WORST_NS],
		.worst = r->value[TOP_WORST_NS] ? r : NULL,
		.flow = *flow,
	};
	/* Its first page may begin in the middle. */
	if (!row->implicit && row->resident > row->pages)
		row->pages = row->resident;
}

static void row_add(struct top_row *sum, const struct top_row *one)
{
	int i;

	sum->nr_regions += one->nr_regions;
	sum->implicit |= one->implicit;
	sum->on_demand |= one->on_demand;
	sum->bytes += one->bytes;
	sum->pages += one->pages;
	sum->resident += one->resident;
	sum->huge += one->huge;
	sum->table_bytes += one->table_bytes;
	if (one->worst_ns > sum->worst_ns) {
		sum->worst_ns = one->worst_ns;
		sum->worst = one->worst;
	}
	for (i = 0; i < TOP_RATES; i++) {
		sum->flow.total[i] += one->flow.total[i];
		sum->flow.rate[i] += one->flow.rate[i];
	}
}

/* What is greater comes first; a rate that is none yet gives way to its total. */
static double row_key(const struct top_row *row, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_FAULTS:
	case TOP_BY_INVALIDATIONS:
	case TOP_BY_PREFETCH:
	case TOP_BY_REFAULTS:
		return row->flow.rate[(int)sort - TOP_BY_FAULTS];
	case TOP_BY_WORST:
		return row->worst_ns;
	case TOP_BY_RESIDENT:
		return row->resident;
	case TOP_BY_SIZE:
		return row->bytes;
	case TOP_BY_PID:
		return -(double)row->pid;
	case TOP_SORTS:
		break;
	}
	return 0;
}

/* @rank: of groups, or NULL; first by that. */
struct row_order {
	enum top_sort sort;
	bool reverse;
	const size_t *rank;
};

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int row_compare(const void *a, const void *b, void *arg)
{
	const struct row_order *order = arg;
	const struct top_row *x = a, *y = b;
	double p = row_key(x, order->sort), q = row_key(y, order->sort);
	int i;

	if (order->rank && order->rank[x->group] != order->rank[y->group])
		return compare_u64(order->rank[x->group], order->rank[y->group]);
	if (p != q)
		return (p > q) == order->reverse ? 1 : -1;
	if (order->sort <= TOP_BY_REFAULTS) {
		i = compare_u64(y->flow.total[order->sort], x->flow.total[order->sort]);
		if (i)
			return order->reverse ? -i : i;
	}
	if (x->pid != y->pid)
		return compare_u64(x->pid, y->pid);
	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return compare_u64(x->region ? x->region->mrn : 0, y->region ? y->region->mrn : 0);
}

/* Of one process on one device, together. */
static int row_group(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	if (x->pid != y->pid)
		return compare_u64(x->pid, y->pid);
	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return strcmp(x->comm, y->comm);
}

/* @regions, grouped, are numbered by their groups and become @sums, one for each. Returns how many. */
static size_t rows_sum(struct top_row *regions, size_t nr, struct top_row *sums)
{
	size_t i, groups = 0;

	for (i = 0; i < nr; i++) {
		if (i && !row_group(&regions[i], &regions[i - 1])) {
			regions[i].group = groups - 1;
			row_add(&sums[groups - 1], &regions[i]);
			continue;
		}
		regions[i].group = groups;
		sums[groups] = regions[i];
		sums[groups++].region = NULL;
	}
	return groups;
}

/* Behind each sum its regions, which are in the order of the sums, unless folded. */
static size_t rows_lay_out(const struct top_row *regions, size_t nr, const struct top_row *sums,
			   size_t groups, bool fold, struct top_row *to)
{
	size_t g, i = 0, out = 0;

	for (g = 0; g < groups; g++) {
		to[out++] = sums[g];
		for (; !fold && i < nr && regions[i].group == sums[g].group; i++)
			to[out++] = regions[i];
	}
	return out;
}

int model_rows(struct top_model *m, const struct top_snapshot *s, const struct top_filter *filter,
	       enum top_sort sort, bool reverse, bool fold)
{
	struct row_order order = { .sort = sort, .reverse = reverse };
	struct top_row *regions = calloc(s->nr_regions + 1, sizeof(*regions));
	struct top_row *sums = calloc(s->nr_regions + 1, sizeof(*sums));
	struct top_row *rows = calloc(2 * s->nr_regions + 1, sizeof(*rows));
	size_t *rank = calloc(s->nr_regions + 1, sizeof(*rank));
	size_t i, nr = 0, groups;
	int err = -ENOMEM;

	if (!regions || !sums || !rows || !rank)
		goto out;
	for (i = 0; i < s->nr_regions && i < m->nr_flows; i++) {
		const struct top_region *r = &s->regions[i];

		if (filter_takes(filter, r, snapshot_device(s, r->device)))
			row_of_region(&regions[nr++], s, r, &m->flows[i]);
	}
	qsort(regions, nr, sizeof(*regions), row_group);
	groups = rows_sum(regions, nr, sums);
	qsort_r(sums, groups, sizeof(*sums), row_compare, &order);
	for (i = 0; i < groups; i++)
		rank[sums[i].group] = i;
	order.rank = rank;
	qsort_r(regions, nr, sizeof(*regions), row_compare, &order);
	free(m->rows);
	m->nr_rows = rows_lay_out(regions, nr, sums, groups, fold, rows);
	m->rows = rows;
	rows = NULL;
	err = 0;
out:
	free(regions);
	free(sums);
	free(rows);
	free(rank);
	return err;
}

void model_drop_rows(struct top_model *m)
{
	free(m->rows);
	m->rows = NULL;
	m->nr_rows = 0;
}

void model_free(struct top_model *m)
{
	free(m->past);
	free(m->flows);
	free(m->rows);
	memset(m, 0, sizeof(*m));
}
