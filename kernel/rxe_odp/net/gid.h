/* SPDX-License-Identifier: GPL-2.0 */
/* The GID table, where ib_core does not follow the addresses of a netdev. */
#ifndef RXO_GID_H
#define RXO_GID_H

struct rxo_dev;

/* At module load and unload: before the first device, after the last link was made. May sleep. */
int rxo_gid_notify_begin(void);
void rxo_gid_notify_end(void);

void rxo_gid_init(struct rxo_dev *dev);

/* Has the addresses of dev->netdev looked through, if that is ours to do. Any context. */
void rxo_gid_rescan(struct rxo_dev *dev);

#endif /* RXO_GID_H */
