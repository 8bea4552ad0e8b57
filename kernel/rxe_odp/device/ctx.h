/* SPDX-License-Identifier: GPL-2.0 */
/* A process's context. Its verbs are queue/ctx.c's. */
#ifndef RXO_DEVICE_CTX_H
#define RXO_DEVICE_CTX_H

#include <linux/atomic.h>
#include <linux/xarray.h>
#include <rdma/ib_verbs.h>

/* What a registration is that does not say that it is to be on demand. */
enum rxo_register {
	RXO_REGISTER_AS_DEVICE,		/* as the device's attribute "register" says */
	RXO_REGISTER_PINNED,
	RXO_REGISTER_ON_DEMAND,
};

struct rxo_ucontext {
	struct ib_ucontext ibuc;
	u64 caps;			/* RXE_ODP_CAP_* that both sides have; immutable */
	enum rxo_register plain;	/* registrations; immutable */
	struct xarray cookies;		/* mmap offset >> PAGE_SHIFT to struct rxo_queue */
	u32 next_cookie;
	atomic_t prefetches;		/* memory/prefetch.c's: under way */
};

static inline struct rxo_ucontext *to_rxo_ucontext(struct ib_ucontext *ibuc)
{
	return container_of(ibuc, struct rxo_ucontext, ibuc);
}

#endif /* RXO_DEVICE_CTX_H */
