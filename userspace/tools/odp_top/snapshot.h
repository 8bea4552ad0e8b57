/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What was read at one moment: devices, regions, and maps of regions where these may be read. */
#ifndef ODP_TOP_SNAPSHOT_H
#define ODP_TOP_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_NAME_BYTES 64
#define TOP_MAP_CELLS  512
/* The length of a region that is all of a process's memory. */
#define TOP_IMPLICIT UINT64_MAX
#define TOP_NO_PAGE  UINT64_MAX
#define TOP_NO_UID   UINT32_MAX

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Figures of a region, by the names that "rdma statistic show mr" has for them. */
enum top_figure {
	TOP_FAULTS,
	TOP_FAULT_PAGES,
	TOP_INVALIDATED_PAGES,
	TOP_PREFETCHED_PAGES,
	TOP_JOINED,
	TOP_RETRIES,
	TOP_FAILED,
	TOP_INVALIDATIONS,
	TOP_DOWNGRADES,
	TOP_RESIDENT,
	TOP_HUGE,
	TOP_TABLE_BYTES,
	TOP_WORST_NS,
	TOP_WORST_PAGE,
	TOP_BELOW_10US,
	TOP_ABOVE_1S = TOP_BELOW_10US + 6,
	TOP_FIGURES,
};

/* Of a device, by the names of "rdma statistic show link". */
enum top_device_figure {
	TOP_DEV_FAULTS,
	TOP_DEV_FAULT_RNR,
	TOP_DEV_SENT_RNR,
	TOP_DEV_RCVD_RNR,
	TOP_DEV_HELD,
	TOP_DEV_FIGURES,
};

extern const char *const top_figure_names[TOP_FIGURES];
extern const char *const top_device_figure_names[TOP_DEV_FIGURES];

struct top_device {
	uint32_t index;
	uint32_t ports;
	char name[TOP_NAME_BYTES];
	uint64_t value[TOP_DEV_FIGURES];
};

struct top_region {
	uint32_t device; /* its index */
	uint32_t mrn;
	uint32_t pid; /* 0: the kernel's, or its owner has ended */
	uint32_t uid; /* TOP_NO_UID: not known */
	uint64_t length;
	char kind[16]; /* "odp", "pinned", ...; "" where the driver does not tell */
	char comm[TOP_NAME_BYTES];
	bool has_figures;
	uint64_t value[TOP_FIGURES];
};

struct top_cell {
	uint8_t present; /* in 255ths */
	uint8_t huge;
};

/* Where a region is, and how much of each piece of it the NIC finds: struct rxe_odp_mr_map. */
struct top_map {
	uint32_t device;
	uint32_t mrn;
	uint64_t start;
	uint64_t length;
	uint64_t worst;
	uint32_t shift;
	uint32_t nr;
	struct top_cell cells[TOP_MAP_CELLS];
};

struct top_snapshot {
	uint64_t time_ns;  /* of the day */
	uint64_t clock_ns; /* of a clock that does not jump */
	uint32_t page_bytes;
	size_t nr_devices, nr_regions, nr_maps;
	struct top_device *devices;
	struct top_region *regions; /* sorted by device and mrn once it is complete */
	struct top_map *maps;
};

/* A new one at the end, zeroed; NULL without memory. What was returned before may have moved. */
struct top_device *snapshot_add_device(struct top_snapshot *s);
struct top_region *snapshot_add_region(struct top_snapshot *s);
struct top_map *snapshot_add_map(struct top_snapshot *s);

void snapshot_sort(struct top_snapshot *s);
struct top_region *snapshot_find(const struct top_snapshot *s, uint32_t device, uint32_t mrn);
const struct top_device *snapshot_device(const struct top_snapshot *s, uint32_t index);
const struct top_map *snapshot_map(const struct top_snapshot *s, uint32_t device, uint32_t mrn);
void snapshot_free(struct top_snapshot *s);

/* The index of a name in a table, or -1. */
int top_find_name(const char *const *names, int nr, const char *name, size_t len);

#endif
