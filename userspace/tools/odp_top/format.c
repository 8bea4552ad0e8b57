// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void format_clean(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
			*line = '?';
}

/* Three digits at most, by the first unit in which they are enough. */
static void format_scaled(char *to, double value, double step, const char *const *units, int nr)
{
	int i = 0;

	while (i < nr - 1 && value >= (i ? 999.5 : step == 1000 ? 9999.5 : 1023.5)) {
		value /= step;
		i++;
	}
	if (value < 9.95 && (i || value != (int)value))
		snprintf(to, TOP_TEXT_BYTES, "%.1f%s", value, units[i]);
	else
		snprintf(to, TOP_TEXT_BYTES, "%.0f%s", value, units[i]);
}

void format_count(char *to, double count)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", "E" };

	if (count > 0 && count < 0.05)
		count = 0.1;
	format_scaled(to, count, 1000, units, 7);
}

void format_bytes(char *to, uint64_t bytes)
{
	static const char *const units[] = { "B", "K", "M", "G", "T", "P", "E" };

	if (bytes)
		format_scaled(to, bytes, 1024, units, 7);
	else
		memcpy(to, "0", 2);
}

void format_time(char *to, uint64_t ns)
{
	if (ns < 1000)
		snprintf(to, TOP_TEXT_BYTES, "%uns", (unsigned int)ns);
	else if (ns < 10000)
		snprintf(to, TOP_TEXT_BYTES, "%.1fus", ns / 1e3);
	else if (ns < 1000000)
		snprintf(to, TOP_TEXT_BYTES, "%uus", (unsigned int)(ns / 1000));
	else if (ns < 10000000)
		snprintf(to, TOP_TEXT_BYTES, "%.1fms", ns / 1e6);
	else if (ns < 1000000000)
		snprintf(to, TOP_TEXT_BYTES, "%ums", (unsigned int)(ns / 1000000));
	else if (ns < 100000000000)
		snprintf(to, TOP_TEXT_BYTES, "%.1fs", ns / 1e9);
	else
		snprintf(to, TOP_TEXT_BYTES, "%" PRIu64 "m", ns / 60000000000);
}

static int bar_share(int width, uint64_t part, uint64_t all)
{
	int share = (double)part / all * width + 0.5;

	if (part && !share)
		share = 1;
	if (part < all && share == width && width > 1)
		share = width - 1;
	return share > width ? width : share;
}

void format_bar(char *to, int width, uint64_t pages, uint64_t resident, uint64_t huge)
{
	int there, of_huge;

	if (resident > pages)
		resident = pages;
	if (huge > resident)
		huge = resident;
	there = pages ? bar_share(width, resident, pages) : 0;
	of_huge = resident ? bar_share(there, huge, resident) : 0;
	memset(to, TOP_BAR_HUGE, of_huge);
	memset(to + of_huge, TOP_BAR_SMALL, there - of_huge);
	memset(to + there, TOP_BAR_ABSENT, width - there);
	to[width] = 0;
}

/* @from: the width of a screen that has it. The bar takes what is left. */
static const struct {
	const char *title, *total;
	int width, from;
	bool left;
} columns[TOP_COLUMNS] = {
	[TOP_COL_PID] = { "PID", NULL, 7, 0, false },
	[TOP_COL_NAME] = { "COMMAND", NULL, 15, 0, true },
	[TOP_COL_DEVICE] = { "DEVICE", NULL, 10, 104, true },
	[TOP_COL_KIND] = { "KIND", NULL, 7, 128, true },
	[TOP_COL_SIZE] = { "SIZE", NULL, 5, 0, false },
	[TOP_COL_BAR] = { "NIC FINDS", NULL, 8, 62, true },
	[TOP_COL_RESIDENT] = { "RES", NULL, 5, 92, false },
	[TOP_COL_HUGE] = { "HUGE", NULL, 5, 140, false },
	[TOP_COL_FAULTS] = { "FAULT/s", "FAULTED", 7, 0, false },
	[TOP_COL_INVALIDATIONS] = { "TAKEN/s", "TAKEN", 7, 0, false },
	[TOP_COL_PREFETCH] = { "PREF/s", "PREFET", 6, 76, false },
	[TOP_COL_REFAULTS] = { "REF/s", "REFLT", 5, 68, false },
	[TOP_COL_WORST] = { "WORST", NULL, 6, 0, false },
	[TOP_COL_PAGE] = { "AT PAGE", NULL, 10, 116, false },
};

void layout_make(struct top_layout *l, int width, bool totals, uint32_t page_bytes)
{
	int i, at = 0, left = width;

	memset(l, 0, sizeof(*l));
	l->totals = totals;
	l->page_bytes = page_bytes;
	for (i = 0; i < TOP_COLUMNS; i++) {
		if (width < columns[i].from)
			continue;
		l->width[i] = columns[i].width;
		left -= l->width[i] + 1;
	}
	if (l->width[TOP_COL_BAR] && left > -1)
		l->width[TOP_COL_BAR] += left + 1;
	for (i = 0; i < TOP_COLUMNS; i++) {
		l->at[i] = at;
		if (l->width[i])
			at += l->width[i] + 1;
	}
	l->all = at ? at - 1 : 0;
}

static void layout_put(const struct top_layout *l, char *to, enum top_column column,
		       const char *text)
{
	int width = l->width[column], len = strlen(text), at = l->at[column];

	if (!width)
		return;
	if (len > width)
		len = width;
	if (!columns[column].left)
		at += width - len;
	memcpy(to + at, text, len);
}

static void layout_clear(const struct top_layout *l, char *to)
{
	memset(to, ' ', l->all);
	to[l->all] = 0;
}

void layout_titles(const struct top_layout *l, char *to)
{
	int i;

	layout_clear(l, to);
	for (i = 0; i < TOP_COLUMNS; i++)
		layout_put(l, to, i,
			   l->totals && columns[i].total ? columns[i].total : columns[i].title);
}

static void layout_name(const struct top_layout *l, const struct top_row *row, char *to)
{
	char text[TOP_NAME_BYTES];

	if (row->region) {
		snprintf(text, sizeof(text), " mr %u", row->region->mrn);
	} else {
		snprintf(text, sizeof(text), "%s", *row->comm ? row->comm : "?");
		snprintf(to + l->at[TOP_COL_PID], 8, "%7u", row->pid);
		to[l->at[TOP_COL_PID] + 7] = ' ';
	}
	layout_put(l, to, TOP_COL_NAME, text);
	if (row->device)
		layout_put(l, to, TOP_COL_DEVICE, row->device->name);
	if (row->region)
		layout_put(l, to, TOP_COL_KIND, row->region->kind);
}

static void layout_flow(const struct top_layout *l, const struct top_row *row, char *to)
{
	char text[TOP_TEXT_BYTES];
	int i;

	for (i = 0; i < TOP_RATES; i++) {
		format_count(text, l->totals ? (double)row->flow.total[i] : row->flow.rate[i]);
		layout_put(l, to, TOP_COL_FAULTS + i, text);
	}
	if (!row->worst)
		return;
	format_time(text, row->worst_ns);
	layout_put(l, to, TOP_COL_WORST, text);
	if (row->worst->value[TOP_WORST_PAGE] == TOP_NO_PAGE)
		return;
	if (row->region)
		snprintf(text, sizeof(text), "%" PRIu64, row->worst->value[TOP_WORST_PAGE]);
	else
		snprintf(text, sizeof(text), "mr %u", row->worst->mrn);
	layout_put(l, to, TOP_COL_PAGE, text);
}

static void layout_residency(const struct top_layout *l, const struct top_row *row, char *to)
{
	int width = l->width[TOP_COL_BAR];
	char text[TOP_LINE_BYTES];

	if (row->on_demand) {
		format_bytes(text, row->resident * l->page_bytes);
		layout_put(l, to, TOP_COL_RESIDENT, text);
		format_bytes(text, row->huge * l->page_bytes);
		layout_put(l, to, TOP_COL_HUGE, text);
	}
	if (width < 3)
		return;
	if (!row->on_demand) {
		snprintf(text, sizeof(text), "%s",
			 row->region && *row->region->kind ? row->region->kind : "pinned");
	} else if (row->implicit) {
		char there[TOP_TEXT_BYTES];

		/* A share of all memory says nothing. */
		format_bytes(there, row->resident * l->page_bytes);
		snprintf(text, sizeof(text), "implicit: %s", there);
	} else {
		text[0] = '[';
		format_bar(text + 1, width - 2, row->pages, row->resident, row->huge);
		memcpy(text + width - 1, "]", 2);
	}
	layout_put(l, to, TOP_COL_BAR, text);
}

void layout_row(const struct top_layout *l, const struct top_row *row, char *to)
{
	char text[TOP_TEXT_BYTES];

	layout_clear(l, to);
	layout_name(l, row, to);
	format_bytes(text, row->bytes);
	layout_put(l, to, TOP_COL_SIZE, row->implicit && !row->bytes ? "all" : text);
	if (row->on_demand)
		layout_flow(l, row, to);
	layout_residency(l, row, to);
	format_clean(to);
}

void format_head(char *to, size_t bytes, const struct top_snapshot *s, const struct top_model *m)
{
	char registered[TOP_TEXT_BYTES], resident[TOP_TEXT_BYTES], huge[TOP_TEXT_BYTES];
	char table[TOP_TEXT_BYTES], clock[16] = "?";
	struct top_row sum = { 0 };
	unsigned int processes = 0;
	time_t seconds = s->time_ns / 1000000000;
	struct tm tm;
	size_t i;

	for (i = 0; i < m->nr_rows; i++) {
		const struct top_row *row = &m->rows[i];

		if (row->region)
			continue;
		processes++;
		sum.nr_regions += row->nr_regions;
		sum.bytes += row->bytes;
		sum.resident += row->resident;
		sum.huge += row->huge;
		sum.table_bytes += row->table_bytes;
	}
	if (localtime_r(&seconds, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	format_bytes(registered, sum.bytes);
	format_bytes(resident, sum.resident * s->page_bytes);
	format_bytes(huge, sum.huge * s->page_bytes);
	format_bytes(table, sum.table_bytes);
	snprintf(to, bytes, "odp_top %s  %u proc, %u regions of %s, %s resident, %s huge, table %s",
		 clock, processes, sum.nr_regions, registered, resident, huge, table);
}

void format_device(char *to, size_t bytes, const struct top_snapshot *s, const struct top_model *m,
		   size_t i, bool totals)
{
	char text[TOP_DEV_FIGURES][TOP_TEXT_BYTES];
	const char *per = totals ? "" : "/s";
	int f;

	for (f = 0; f < TOP_DEV_FIGURES; f++)
		format_count(text[f], totals		  ? (double)s->devices[i].value[f] :
				      i < TOP_DEVICES_MAX ? m->device_rate[i][f] :
							    0);
	snprintf(to, bytes,
		 "%-10s faults %s%s  held packets %s%s  RNR sent %s%s, for faults %s, got %s",
		 s->devices[i].name, text[TOP_DEV_FAULTS], per, text[TOP_DEV_HELD], per,
		 text[TOP_DEV_SENT_RNR], per, text[TOP_DEV_FAULT_RNR], text[TOP_DEV_RCVD_RNR]);
	format_clean(to);
}
