/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What odp_top was asked for, and where it takes snapshots from: the kernel, or a recording. */
#ifndef ODP_TOP_APP_H
#define ODP_TOP_APP_H

#include "model.h"
#include "netlink.h"
#include "record.h"

struct top_app {
	/* Asked for. */
	double delay_s;
	unsigned long iterations; /* 0: no end */
	struct top_filter filter;
	char text[64]; /* filter.text, while it is not NULL */
	enum top_sort sort;
	bool reverse;
	bool fold;
	const char *record_path;
	const char *replay_path;

	/* Where they come from and go to. */
	struct nl nl;
	bool live;
	struct recording rec;
	size_t next; /* of the recording */
	FILE *record;

	struct top_snapshot own; /* of the kernel */
	const struct top_snapshot *now;
	struct top_model model;
};

/* Says in a sentence why not, and returns false. */
bool app_open(struct top_app *app);
void app_close(struct top_app *app);
/* Takes the next snapshot, and records it. 0, -ENODATA at the end of a recording, or -errno. */
int app_next(struct top_app *app);
/* Of a recording: back to the one before. */
int app_back(struct top_app *app);
/* Makes the rows of the present one. */
int app_rows(struct top_app *app);
/* The map of a region, asked for where it is not there; NULL, and why in *err. */
const struct top_map *app_map(struct top_app *app, uint32_t device, uint32_t mrn, int *err);

#endif
