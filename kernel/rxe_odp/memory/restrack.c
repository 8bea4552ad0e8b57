// SPDX-License-Identifier: GPL-2.0
/*
 * What "rdma resource show mr" and "rdma statistic show mr" tell of a region. Anybody may ask, so
 * they tell no addresses, and of pages how many there are, but for that of the longest fault. What
 * "rdma -r resource show mr" tells, the map of a region among it, is for CAP_NET_ADMIN; the core
 * sees to that.
 */
#include <linux/slab.h>
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>
#include <rdma/rxe_odp-abi.h>

#include "device/dev.h"
#include "device/stats.h"
#include "memory/mem.h"
#include "memory/mr.h"

static const char * const kind_names[] = {
	[RXO_MR_DMA]	= "dma",
	[RXO_MR_PINNED]	= "pinned",
	[RXO_MR_ODP]	= "odp",
	[RXO_MR_DMABUF]	= "dma-buf",
	[RXO_MR_FAST]	= "fast",
};

int rxo_fill_res_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct nlattr *nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);

	if (!nest)
		return -EMSGSIZE;
	if (rdma_nl_put_driver_string(msg, "kind", kind_names[to_rxo_ibmr(ibmr)->mem->kind])) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

/* In 255ths, and not 0 where there is something. */
static u8 restrack_share(u64 pages, u64 of_pages)
{
	return min_t(u64, DIV64_U64_ROUND_UP(pages * U8_MAX, of_pages), U8_MAX);
}

static void restrack_fill_cells(struct rxe_odp_mr_map *map, const struct rxo_mem *mem)
{
	u64 first = mem->va & PAGE_MASK, last = mem->va + mem->length_bytes - 1, at;
	struct umem_odp_resident found;
	unsigned int i;

	for (i = 0; i < map->nr_cells; i++) {
		at = ((first >> map->cell_shift) + i) << map->cell_shift;
		umem_odp_region_count(mem->region, at, at + BIT_ULL(map->cell_shift) - 1, &found);
		/* Pages of the cell that lie in the region. */
		at = (min(at + BIT_ULL(map->cell_shift) - 1, last) >> PAGE_SHIFT) -
		     (max(at, first) >> PAGE_SHIFT) + 1;
		map->cells[i].present = restrack_share(found.pages, at);
		map->cells[i].huge = restrack_share(found.huge_pages, at);
	}
}

int rxo_fill_res_mr_entry_raw(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_odp_mr_map *map __free(kfree) = kzalloc(sizeof(*map), GFP_KERNEL);
	struct rxo_mem *mem = to_rxo_ibmr(ibmr)->mem;
	struct umem_odp_stats stats;
	u64 last;

	if (!map)
		return -ENOMEM;
	/* The core then leaves this region out of the list. */
	if (mem->kind != RXO_MR_ODP)
		return -EAGAIN;
	last = mem->va + mem->length_bytes - 1;
	umem_odp_region_counters(mem->region, &stats);
	map->start = mem->va;
	map->length = mem->length_bytes;
	map->worst_fault_address = stats.worst_fault_va;
	map->cell_shift = PAGE_SHIFT;
	while ((last >> map->cell_shift) - (mem->va >> map->cell_shift) >= RXE_ODP_MR_MAP_CELLS)
		map->cell_shift++;
	map->nr_cells = (last >> map->cell_shift) - (mem->va >> map->cell_shift) + 1;
	restrack_fill_cells(map, mem);
	return nla_put(msg, RDMA_NLDEV_ATTR_RES_RAW, offsetof(struct rxe_odp_mr_map, cells) +
		       map->nr_cells * sizeof(map->cells[0]), map);
}

/*
 * The page of the longest fault is told, from the region's start, for regions of up to this size.
 * Larger ones may span several mappings, whose distances, which ASLR makes random, are not to be
 * told.
 */
#define RESTRACK_TELL_PAGE_BYTES	SZ_4G

static int restrack_put_worst_page(struct sk_buff *msg, const struct ib_mr *ibmr,
				   const struct rxo_mem *mem, const struct umem_odp_stats *stats)
{
	if (!stats->worst_fault_ns || ibmr->length > RESTRACK_TELL_PAGE_BYTES)
		return 0;
	return rdma_nl_stat_hwcounter_entry(msg, "worst_fault_page",
					    (stats->worst_fault_va >> PAGE_SHIFT) -
					    (mem->va >> PAGE_SHIFT));
}

int rxo_fill_stat_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxo_mem *mem = to_rxo_ibmr(ibmr)->mem;
	struct umem_odp_stats stats;
	struct nlattr *nest;

	if (mem->kind != RXO_MR_ODP)
		return 0;
	umem_odp_region_stats(mem->region, &stats);

	nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!nest)
		return -EMSGSIZE;
	if (rxo_stats_put_odp(msg, &stats) || restrack_put_worst_page(msg, ibmr, mem, &stats)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}
