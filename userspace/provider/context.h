/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXO_CONTEXT_H
#define RXO_CONTEXT_H

#include <infiniband/driver.h>

struct verbs_context *rxo_alloc_context(struct ibv_device *ibdev, int cmd_fd, void *private_data);
struct verbs_context *rxo_import_context(struct ibv_device *ibdev, int cmd_fd);

#endif /* RXO_CONTEXT_H */
