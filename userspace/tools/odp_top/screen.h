/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The screen: the table, one region, help. */
#ifndef ODP_TOP_SCREEN_H
#define ODP_TOP_SCREEN_H

#include "app.h"
#include "faults.h"

/* The exit status. */
int screen_run(struct top_app *app);

/* Colours, or what stands for them on a terminal that has none. */
enum screen_look {
	LOOK_PLAIN,
	LOOK_HEAD,
	LOOK_TITLES,
	LOOK_SELECTED,
	LOOK_PROCESS,
	LOOK_HUGE,
	LOOK_SMALL,
	LOOK_PART,
	LOOK_ABSENT,
	LOOK_WORST,
};

int screen_attr(enum screen_look look);
/* At most what the line has room for. */
void screen_put(int y, int x, int attr, const char *text);
/* Characters of a bar or of a map, each in its own look. */
void screen_put_cells(int y, int x, const char *cells);

/* detail.c: one region, from line @y on, in @lines lines. */
void detail_draw(struct top_app *app, const struct top_row *row, const struct top_faults *faults,
		 int y, int lines);

#endif
