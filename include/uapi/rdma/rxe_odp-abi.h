/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * What rxe_odp's user ABI has beyond that of rxe (<rdma/rdma_user_rxe.h>), which it has whole. Text: docs/user-abi.md.
 *
 * A device of ours has the sysfs attribute "user_abi", which reads RXE_ODP_USER_ABI and a newline; stock rxe has none. That name
 * changes if old and new cannot work together at all. All else is told by capability bits, which both sides give when a context is
 * opened: a feature is in force if both have its bit.
 *
 * Structures grow at their end. The kernel takes any length: what a shorter one does not have is 0, and what a longer one has beyond
 * what the kernel knows must be 0. What it fills is cut to what the caller has room for; the caller zeroes what it gives.
 */
#ifndef RXE_ODP_ABI_USER_H
#define RXE_ODP_ABI_USER_H

#include <linux/types.h>

#define RXE_ODP_USER_ABI	"rxe_odp 1"

/*
 * The driver's part of opening a context. Without it (stock librxe gives none) a context is as rxe's.
 *
 * @caps: RXE_ODP_CAP_*: request: that the provider knows (bits unknown to the kernel are ignored); response: that the kernel has
 * @flags: RXE_ODP_UCTX_*: what the context is to be like; EOPNOTSUPP for one that the kernel does not know
 */
struct rxe_odp_alloc_ucontext_req {
	__aligned_u64 caps;
	__u32 flags;
	__u32 reserved;			/* 0 */
};

struct rxe_odp_alloc_ucontext_resp {
	__aligned_u64 caps;
};

#endif /* RXE_ODP_ABI_USER_H */
