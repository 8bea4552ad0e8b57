// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <rdma/rdma_netlink.h>
#include <rdma/rxe_odp-abi.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(RXE_ODP_MR_MAP_CELLS == TOP_MAP_CELLS, "maps are kept whole");

static int device_each(const struct nlattr *attrs, uint32_t len, void *arg)
{
	struct top_device *dev = snapshot_add_device(arg);
	const struct nlattr *attr;
	uint32_t left;

	if (!dev)
		return -ENOMEM;
	nla_for_each(attr, attrs, len, left) {
		switch (nla_type(attr)) {
		case RDMA_NLDEV_ATTR_DEV_INDEX:
			dev->index = nla_u32(attr);
			break;
		case RDMA_NLDEV_ATTR_DEV_NAME:
			nla_string(attr, dev->name, sizeof(dev->name));
			break;
		case RDMA_NLDEV_ATTR_PORT_INDEX:
			dev->ports = nla_u32(attr);
			break;
		}
	}
	return 0;
}

/* Name and value of each counter in a nest of them go to @value, by the names. */
static void counters_parse(const struct nlattr *nest, const char *const *names, int nr,
			   uint64_t *value)
{
	const struct nlattr *entry, *attr;
	uint32_t left, inner;
	uint64_t number;
	char name[64];
	int i;

	nla_for_each(entry, nla_data(nest), nla_len(nest), left) {
		number = 0;
		name[0] = 0;
		nla_for_each(attr, nla_data(entry), nla_len(entry), inner) {
			if (nla_type(attr) == RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_NAME)
				nla_string(attr, name, sizeof(name));
			else if (nla_type(attr) == RDMA_NLDEV_ATTR_STAT_HWCOUNTER_ENTRY_VALUE)
				number = nla_u64(attr);
		}
		i = top_find_name(names, nr, name, strlen(name));
		if (i >= 0)
			value[i] = number;
	}
}

static int link_each(const struct nlattr *attrs, uint32_t len, void *arg)
{
	uint64_t port[TOP_DEV_FIGURES] = { 0 };
	struct top_device *dev = arg;
	const struct nlattr *attr;
	uint32_t left;
	int i;

	nla_for_each(attr, attrs, len, left)
		if (nla_type(attr) == RDMA_NLDEV_ATTR_STAT_HWCOUNTERS)
			counters_parse(attr, top_device_figure_names, TOP_DEV_FIGURES, port);
	for (i = 0; i < TOP_DEV_FIGURES; i++)
		dev->value[i] += port[i];
	return 0;
}

static void driver_parse(const struct nlattr *nest, struct top_region *r)
{
	const struct nlattr *attr;
	bool is_kind = false;
	char text[32];
	uint32_t left;

	nla_for_each(attr, nla_data(nest), nla_len(nest), left) {
		if (nla_type(attr) != RDMA_NLDEV_ATTR_DRIVER_STRING) {
			is_kind = false;
			continue;
		}
		if (is_kind)
			nla_string(attr, r->kind, sizeof(r->kind));
		nla_string(attr, text, sizeof(text));
		is_kind = !is_kind && !strcmp(text, "kind");
	}
}

static void region_parse(const struct nlattr *entry, struct top_region *r)
{
	const struct nlattr *attr;
	uint32_t left;

	nla_for_each(attr, nla_data(entry), nla_len(entry), left) {
		switch (nla_type(attr)) {
		case RDMA_NLDEV_ATTR_RES_MRN:
			r->mrn = nla_u32(attr);
			break;
		case RDMA_NLDEV_ATTR_RES_MRLEN:
			r->length = nla_u64(attr);
			break;
		case RDMA_NLDEV_ATTR_RES_PID:
			r->pid = nla_u32(attr);
			break;
		case RDMA_NLDEV_ATTR_RES_KERN_NAME:
			nla_string(attr, r->comm, sizeof(r->comm));
			break;
		case RDMA_NLDEV_ATTR_DRIVER:
			driver_parse(attr, r);
			break;
		}
	}
}

struct source_walk {
	struct top_snapshot *s;
	uint32_t device;
	int (*entry)(struct source_walk *walk, const struct nlattr *entry);
};

static int walk_each(const struct nlattr *attrs, uint32_t len, void *arg)
{
	const struct nlattr *table, *entry;
	struct source_walk *walk = arg;
	uint32_t left, inner;
	int err = 0;

	nla_for_each(table, attrs, len, left) {
		if (nla_type(table) != RDMA_NLDEV_ATTR_RES_MR)
			continue;
		nla_for_each(entry, nla_data(table), nla_len(table), inner) {
			err = walk->entry(walk, entry);
			if (err)
				return err;
		}
	}
	return 0;
}

static int walk_region(struct source_walk *walk, const struct nlattr *entry)
{
	struct top_region *r = snapshot_add_region(walk->s);

	if (!r)
		return -ENOMEM;
	r->device = walk->device;
	region_parse(entry, r);
	return 0;
}

/* Figures of a region that was made since the regions were read are left out. */
static int walk_figures(struct source_walk *walk, const struct nlattr *entry)
{
	const struct nlattr *attr, *counters = NULL;
	uint32_t left, mrn = 0;
	struct top_region *r;

	nla_for_each(attr, nla_data(entry), nla_len(entry), left) {
		if (nla_type(attr) == RDMA_NLDEV_ATTR_RES_MRN)
			mrn = nla_u32(attr);
		else if (nla_type(attr) == RDMA_NLDEV_ATTR_STAT_HWCOUNTERS)
			counters = attr;
	}
	r = counters ? snapshot_find(walk->s, walk->device, mrn) : NULL;
	if (!r)
		return 0;
	counters_parse(counters, top_figure_names, TOP_FIGURES, r->value);
	r->has_figures = true;
	return 0;
}

/* Counters of a link that has none are 0. */
static int source_read_links(struct nl *nl, struct top_device *dev)
{
	uint32_t port;
	int err;

	for (port = 1; port <= dev->ports; port++) {
		nl_begin(nl, RDMA_NLDEV_CMD_STAT_GET, false);
		nl_put_u32(nl, RDMA_NLDEV_ATTR_DEV_INDEX, dev->index);
		nl_put_u32(nl, RDMA_NLDEV_ATTR_PORT_INDEX, port);
		err = nl_call(nl, link_each, dev);
		if (err && err != -EINVAL && err != -EOPNOTSUPP)
			return err;
	}
	return 0;
}

static int source_walk(struct nl *nl, struct source_walk *walk, uint16_t command)
{
	nl_begin(nl, command, true);
	nl_put_u32(nl, RDMA_NLDEV_ATTR_DEV_INDEX, walk->device);
	if (command == RDMA_NLDEV_CMD_STAT_GET)
		nl_put_u32(nl, RDMA_NLDEV_ATTR_STAT_RES, RDMA_NLDEV_ATTR_RES_MR);
	return nl_call(nl, walk_each, walk);
}

static int source_read_device(struct nl *nl, struct top_snapshot *s, struct top_device *dev)
{
	struct source_walk walk = { .s = s, .device = dev->index, .entry = walk_region };
	int err;

	err = source_read_links(nl, dev);
	if (!err)
		err = source_walk(nl, &walk, RDMA_NLDEV_CMD_RES_MR_GET);
	if (err)
		return err;
	snapshot_sort(s);
	walk.entry = walk_figures;
	return source_walk(nl, &walk, RDMA_NLDEV_CMD_STAT_GET);
}

/* Who has ended meanwhile, or is hidden, stays without a name. */
static void source_read_owner(struct top_region *r)
{
	char path[64];
	struct stat st;
	FILE *f;

	if (!r->pid)
		return;
	snprintf(path, sizeof(path), "/proc/%u", r->pid);
	if (!stat(path, &st))
		r->uid = st.st_uid;
	snprintf(path, sizeof(path), "/proc/%u/comm", r->pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(r->comm, sizeof(r->comm), f))
		r->comm[strcspn(r->comm, "\n")] = 0;
	fclose(f);
}

static void source_read_owners(struct top_snapshot *s)
{
	struct top_region *r, *before = NULL;

	for (r = s->regions; r < s->regions + s->nr_regions; before = r++) {
		if (before && r->pid && before->pid == r->pid) {
			r->uid = before->uid;
			memcpy(r->comm, before->comm, sizeof(r->comm));
		} else {
			source_read_owner(r);
		}
	}
}

static uint64_t source_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int source_read(struct nl *nl, struct top_snapshot *s)
{
	size_t i;
	int err;

	memset(s, 0, sizeof(*s));
	s->time_ns = source_clock(CLOCK_REALTIME);
	s->clock_ns = source_clock(CLOCK_MONOTONIC);
	s->page_bytes = sysconf(_SC_PAGESIZE);
	nl_begin(nl, RDMA_NLDEV_CMD_GET, true);
	err = nl_call(nl, device_each, s);
	for (i = 0; !err && i < s->nr_devices; i++) {
		err = source_read_device(nl, s, &s->devices[i]);
		/* It went meanwhile. */
		if (err == -EINVAL || err == -ENODEV)
			err = 0;
	}
	if (err) {
		snapshot_free(s);
		return err;
	}
	source_read_owners(s);
	return 0;
}

static int map_each(const struct nlattr *attrs, uint32_t len, void *arg)
{
	struct top_map *map = arg;
	struct rxe_odp_mr_map raw;
	const struct nlattr *attr;
	uint32_t left, head = offsetof(struct rxe_odp_mr_map, cells), cells;

	nla_for_each(attr, attrs, len, left) {
		if (nla_type(attr) != RDMA_NLDEV_ATTR_RES_RAW || nla_len(attr) < head)
			continue;
		memcpy(&raw, nla_data(attr), head);
		cells = raw.nr_cells * sizeof(raw.cells[0]);
		if (!raw.nr_cells || raw.nr_cells > TOP_MAP_CELLS || cells > nla_len(attr) - head ||
		    raw.cell_shift > 63)
			return -EPROTO;
		map->start = raw.start;
		map->length = raw.length;
		map->worst = raw.worst_fault_address;
		map->shift = raw.cell_shift;
		map->nr = raw.nr_cells;
		memcpy(map->cells, (const char *)nla_data(attr) + nla_len(attr) - cells, cells);
	}
	return 0;
}

int source_read_map(struct nl *nl, struct top_snapshot *s, uint32_t device, uint32_t mrn)
{
	struct top_map *map = snapshot_add_map(s);
	int err;

	if (!map)
		return -ENOMEM;
	map->device = device;
	map->mrn = mrn;
	nl_begin(nl, RDMA_NLDEV_CMD_RES_MR_GET_RAW, false);
	nl_put_u32(nl, RDMA_NLDEV_ATTR_DEV_INDEX, device);
	nl_put_u32(nl, RDMA_NLDEV_ATTR_RES_MRN, mrn);
	err = nl_call(nl, map_each, map);
	if (!err && !map->nr)
		err = -EINVAL;
	if (err)
		s->nr_maps--;
	return err;
}

void source_read_maps(struct nl *nl, struct top_snapshot *s)
{
	size_t i;

	for (i = 0; i < s->nr_regions; i++)
		if (s->regions[i].has_figures &&
		    source_read_map(nl, s, s->regions[i].device, s->regions[i].mrn) == -EPERM)
			return;
}

uint32_t source_process(uint32_t thread)
{
	char path[64], line[128];
	uint32_t process = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", thread);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (!process && fgets(line, sizeof(line), f))
		sscanf(line, "Tgid: %" SCNu32, &process);
	fclose(f);
	return process;
}
