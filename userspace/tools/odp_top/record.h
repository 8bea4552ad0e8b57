/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Recordings: snapshots as text, one thing a line, words apart by one space. A file begins with "odp_top 1". A snapshot is
 *
 *	s TIME_NS CLOCK_NS PAGE_BYTES
 *	d INDEX NAME FIGURE=VALUE ...
 *	r DEVICE MRN PID UID LENGTH KIND COMM FIGURE=VALUE ...
 *	m DEVICE MRN START LENGTH WORST SHIFT CELLS
 *	e
 *
 * Names are percent-encoded, "-" where there is none; a cell is four hexadecimal digits, present and huge. Figures and lines of
 * another kind are left out, so that newer recordings can be read; so is a last snapshot without its "e".
 */
#ifndef ODP_TOP_RECORD_H
#define ODP_TOP_RECORD_H

#include "snapshot.h"

#include <stdio.h>

int record_begin(FILE *f);
/* 0 or -errno, also of what was written before. */
int record_write(FILE *f, const struct top_snapshot *s);

struct recording {
	size_t nr;
	struct top_snapshot *snapshots;
	size_t bad_line; /* where record_load() said -EPROTO */
};

/* Reads all of it. 0, -errno, or -EPROTO: no recording, or a line that cannot be. */
int record_load(FILE *f, struct recording *rec);
void record_free(struct recording *rec);

#endif
