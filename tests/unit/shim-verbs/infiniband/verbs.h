/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* libibverbs of the host, which may be older than FLUSH. */
#ifndef SHIM_INFINIBAND_VERBS_H
#define SHIM_INFINIBAND_VERBS_H

#include_next <infiniband/verbs.h>

#define IBV_WR_FLUSH	     14
#define IBV_WR_ATOMIC_WRITE  15
#define IBV_WC_FLUSH	     8
#define IBV_WC_ATOMIC_WRITE  9
#define IBV_QP_EX_WITH_FLUSH (1 << 11)

#endif
