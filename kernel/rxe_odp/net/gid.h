/* SPDX-License-Identifier: GPL-2.0 */
/* The GID table, where ib_core does not follow the addresses of a netdev. */
#ifndef RXO_GID_H
#define RXO_GID_H

struct rxo_dev;

/* At module load and unload: before the first device, after the last link was made. May sleep. */
int rxo_gid_notify_begin(void);
void rxo_gid_notify_end(void);

void rxo_gid_init(struct rxo_dev *dev);

/* Queues a scan of dev->netdev's addresses, if it is no Ethernet netdev. Any context. */
void rxo_gid_rescan(struct rxo_dev *dev);

#endif /* RXO_GID_H */
