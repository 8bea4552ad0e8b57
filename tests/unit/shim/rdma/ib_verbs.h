/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The kernel's names for what <rdma/ib_user_verbs.h> numbers; statuses as libibverbs and the kernel both number them. */
#ifndef SHIM_RDMA_IB_VERBS_H
#define SHIM_RDMA_IB_VERBS_H

#include <linux/types.h>
#include <rdma/ib_user_verbs.h>

#define DECLARE_FLEX_ARRAY(type, name)                                                             \
	struct {                                                                                   \
		struct {                                                                           \
		} empty_##name;                                                                    \
		type name[];                                                                       \
	}

enum {
	IB_WR_RDMA_WRITE = IB_UVERBS_WR_RDMA_WRITE,
	IB_WR_RDMA_WRITE_WITH_IMM = IB_UVERBS_WR_RDMA_WRITE_WITH_IMM,
	IB_WR_SEND = IB_UVERBS_WR_SEND,
	IB_WR_SEND_WITH_IMM = IB_UVERBS_WR_SEND_WITH_IMM,
	IB_WR_RDMA_READ = IB_UVERBS_WR_RDMA_READ,
	IB_WR_ATOMIC_CMP_AND_SWP = IB_UVERBS_WR_ATOMIC_CMP_AND_SWP,
	IB_WR_ATOMIC_FETCH_AND_ADD = IB_UVERBS_WR_ATOMIC_FETCH_AND_ADD,
	IB_WR_LOCAL_INV = IB_UVERBS_WR_LOCAL_INV,
	IB_WR_BIND_MW = IB_UVERBS_WR_BIND_MW,
	IB_WR_SEND_WITH_INV = IB_UVERBS_WR_SEND_WITH_INV,
	IB_WR_FLUSH = 14, /* a header of before Linux 6.2 has not these two */
	IB_WR_ATOMIC_WRITE = 15,
	IB_WR_REG_MR = 0x20,
};

#define IB_SEND_INLINE (1 << 3)

#define IB_FLUSH_GLOBAL	    1
#define IB_FLUSH_PERSISTENT 2
#define IB_FLUSH_RANGE	    0
#define IB_FLUSH_MR	    1

enum ib_wc_status { IB_WC_SUCCESS, IB_WC_LOC_LEN_ERR, IB_WC_LOC_QP_OP_ERR };

#endif
