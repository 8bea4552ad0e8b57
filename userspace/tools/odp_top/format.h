/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Figures as short texts, and the columns of the table, for a terminal and for a file. Pure. */
#ifndef ODP_TOP_FORMAT_H
#define ODP_TOP_FORMAT_H

#include "model.h"

/* Room for any of these, with its end. */
#define TOP_TEXT_BYTES 24
/* And for a line of the table. */
#define TOP_LINE_BYTES 1024

#define TOP_BAR_HUGE   '#'
#define TOP_BAR_SMALL  '='
#define TOP_BAR_ABSENT '.'

/*
 * A program, a device and a recording have the names that somebody gave them: whatever is no printable ASCII becomes '?', before a
 * terminal gets it. Lines that have names are made clean here already.
 */
void format_clean(char *line);
/* At most five characters: 0, 0.5, 12, 1.2k, 34M. */
void format_count(char *to, double count);
/* 4K, 1.5M, 64G. */
void format_bytes(char *to, uint64_t bytes);
/* 12us, 1.5ms, 3.2s, 5m. */
void format_time(char *to, uint64_t ns);
/*
 * @width characters, and the end: how much is there in huge entries, in small ones, and not. What there is some of has at least
 * one, if all fit.
 */
void format_bar(char *to, int width, uint64_t pages, uint64_t resident, uint64_t huge);

enum top_column {
	TOP_COL_PID,
	TOP_COL_NAME,
	TOP_COL_DEVICE,
	TOP_COL_KIND,
	TOP_COL_SIZE,
	TOP_COL_BAR,
	TOP_COL_RESIDENT,
	TOP_COL_HUGE,
	TOP_COL_FAULTS,
	TOP_COL_INVALIDATIONS,
	TOP_COL_PREFETCH,
	TOP_COL_REFAULTS,
	TOP_COL_WORST,
	TOP_COL_PAGE,
	TOP_COLUMNS,
};

/* Which columns a screen has room for, and where they begin: width 0 is none. */
struct top_layout {
	int width[TOP_COLUMNS];
	int at[TOP_COLUMNS];
	int all;
	bool totals; /* since the registration, not a second */
	uint32_t page_bytes;
};

void layout_make(struct top_layout *l, int width, bool totals, uint32_t page_bytes);
/* A line of exactly layout.all characters: titles, or a row. */
void layout_titles(const struct top_layout *l, char *to);
void layout_row(const struct top_layout *l, const struct top_row *row, char *to);

/* The head: when, and how much of what there is. */
void format_head(char *to, size_t bytes, const struct top_snapshot *s, const struct top_model *m);
/* What a device does, by its place in the snapshot; rates, or totals. */
void format_device(char *to, size_t bytes, const struct top_snapshot *s, const struct top_model *m,
		   size_t i, bool totals);

#endif
