/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RXO_VERBS_H
#define RXO_VERBS_H

#include <rdma/ib_verbs.h>

extern const struct ib_device_ops rxo_dev_ops;

#endif /* RXO_VERBS_H */
