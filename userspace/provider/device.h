/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXO_DEVICE_H
#define RXO_DEVICE_H

#include <infiniband/driver.h>

/* Whether this library drives it. */
bool rxo_device_is_ours(const struct ibv_device *ibdev);

#endif /* RXO_DEVICE_H */
