/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RXO_VERBS_H
#define RXO_VERBS_H

#include <rdma/ib_verbs.h>
#include <rdma/uverbs_ioctl.h>

extern const struct ib_device_ops rxo_dev_ops;
extern const struct uapi_definition rxo_dev_uapi[];

#endif /* RXO_VERBS_H */
