// SPDX-License-Identifier: GPL-2.0
/* What "rdma resource show mr" and "rdma statistic show mr" tell of a region. */
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

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
	if (rxo_stats_put_odp(msg, &stats)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}
