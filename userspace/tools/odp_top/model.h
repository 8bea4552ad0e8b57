/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * From snapshots to what is shown: rates between two of them, regions summed by process, sorted and filtered. Pure.
 *
 * A refault is a page that was brought in again after it had been taken. The kernel keeps no list of what it took, so what is told is
 * the most there can be of them: of the pages brought in, as many as were taken before and have not been counted since.
 */
#ifndef ODP_TOP_MODEL_H
#define ODP_TOP_MODEL_H

#include "snapshot.h"

enum top_rate {
	TOP_RATE_FAULT,
	TOP_RATE_INVALIDATE,
	TOP_RATE_PREFETCH,
	TOP_RATE_REFAULT,
	TOP_RATES
};

enum top_sort {
	TOP_BY_FAULTS,
	TOP_BY_INVALIDATIONS,
	TOP_BY_PREFETCH,
	TOP_BY_REFAULTS,
	TOP_BY_WORST,
	TOP_BY_RESIDENT,
	TOP_BY_SIZE,
	TOP_BY_PID,
	TOP_SORTS,
};

extern const char *const top_sort_names[TOP_SORTS];

/* Pages, since the registration and a second. */
struct top_flow {
	uint64_t total[TOP_RATES];
	double rate[TOP_RATES];
};

/* A line: a region, or with @region NULL a process on a device. */
struct top_row {
	const struct top_region *region;
	const struct top_device *device;
	uint32_t pid;
	uint32_t uid;
	const char *comm;
	uint32_t nr_regions; /* of the process */
	bool implicit;	     /* one of them is all of its memory */
	bool on_demand;	     /* at least one has figures */
	uint64_t bytes;	     /* registered, but for implicit ones */
	uint64_t pages;	     /* of that, those on demand */
	uint64_t resident;
	uint64_t huge;
	uint64_t table_bytes;
	uint64_t worst_ns;
	const struct top_region *worst; /* whose fault that was; NULL: none */
	struct top_flow flow;
	size_t group; /* the number of its process among those of the snapshot */
};

/* What was counted of a region up to the last snapshot. */
struct top_past {
	uint32_t device, mrn, pid;
	uint64_t figure[TOP_RATES]; /* as the kernel told; that of refaults is not used */
	uint64_t taken;		    /* and not brought in again since */
	uint64_t refaults;
};

struct top_filter {
	const char *text; /* in the command, the device or the kind, or a PID; NULL: any */
	uint32_t uid;	  /* TOP_NO_UID: any */
	uint32_t pid;	  /* 0: any */
	bool all;	  /* those as well that are not on demand */
};

struct top_model {
	struct top_past *past;
	size_t nr_past;
	uint64_t clock_ns;			 /* of the last snapshot; 0: there was none */
	double seconds;				 /* between the last two; 0: there was but one */
	double device_rate[16][TOP_DEV_FIGURES]; /* by place in the snapshot */
	uint64_t device_value[16][TOP_DEV_FIGURES];
	uint32_t device_index[16];
	size_t nr_devices;
	struct top_flow *flows; /* of the regions of the last snapshot, in its order */
	size_t nr_flows;

	struct top_row *rows;
	size_t nr_rows;
};

#define TOP_DEVICES_MAX 16

/* Takes the next snapshot in. 0 or -ENOMEM. */
int model_feed(struct top_model *m, const struct top_snapshot *s);
/*
 * Makes the rows of the snapshot that was taken in last, which must outlive them: processes, each with its regions behind it unless
 * @fold. 0 or -ENOMEM.
 */
int model_rows(struct top_model *m, const struct top_snapshot *s, const struct top_filter *filter,
	       enum top_sort sort, bool reverse, bool fold);
void model_drop_rows(struct top_model *m);
void model_free(struct top_model *m);

/* How many pages of @page_bytes a length has at least; of an implicit region 0. */
uint64_t top_pages(uint64_t length, uint32_t page_bytes);

#endif
