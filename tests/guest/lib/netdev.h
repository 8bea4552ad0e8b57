/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef TESTS_GUEST_NETDEV_H
#define TESTS_GUEST_NETDEV_H

#include <stdbool.h>

/* A feature of a netdev by its name of ethtool -k; returns whether it was on. */
bool netdev_set_feature(const char *netdev, const char *feature, bool on);

#endif
