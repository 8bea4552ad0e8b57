/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The kernel as the source of snapshots, by RDMA netlink and /proc. Needs no privilege, but for maps. */
#ifndef ODP_TOP_SOURCE_H
#define ODP_TOP_SOURCE_H

#include "netlink.h"
#include "snapshot.h"

/* Fills an empty snapshot. 0 or -errno; then it holds nothing. */
int source_read(struct nl *nl, struct top_snapshot *s);
/* Appends the map of a region. 0 or -errno: -EPERM without CAP_NET_ADMIN, -EINVAL where the driver has none. */
int source_read_map(struct nl *nl, struct top_snapshot *s, uint32_t device, uint32_t mrn);
/* Of all regions on demand, as far as they can be had. */
void source_read_maps(struct nl *nl, struct top_snapshot *s);
/* The process that a thread is of: whoever registered memory is a thread in netlink. 0: it has ended, or is hidden. */
uint32_t source_process(uint32_t thread);

#endif
