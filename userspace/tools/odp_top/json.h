/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A snapshot as one line of JSON: devices, processes, regions, totals and, from the second on, rates a second. */
#ifndef ODP_TOP_JSON_H
#define ODP_TOP_JSON_H

#include "model.h"

#include <stdio.h>

/* Of the rows that model_rows() has made, unfolded. */
void json_write(FILE *f, const struct top_snapshot *s, const struct top_model *m);

#endif
