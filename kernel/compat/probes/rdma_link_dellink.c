// SPDX-License-Identifier: GPL-2.0
#include <rdma/ib_verbs.h>
#include <rdma/rdma_netlink.h>

int probe(struct ib_device *dev);

struct rdma_link_ops ops = { .dellink = probe };
