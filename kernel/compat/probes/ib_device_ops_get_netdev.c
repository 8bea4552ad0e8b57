// SPDX-License-Identifier: GPL-2.0
#include <rdma/ib_verbs.h>

struct net_device *probe(struct ib_device *dev, u32 port);

const struct ib_device_ops ops = { .get_netdev = probe };
