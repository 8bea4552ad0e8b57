/* SPDX-License-Identifier: GPL-2.0 */
/* A process's context. Its verbs are queue/ctx.c's. */
#ifndef RXO_DEVICE_CTX_H
#define RXO_DEVICE_CTX_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <rdma/ib_verbs.h>

/* What becomes of a registration without IB_ACCESS_ON_DEMAND. */
enum rxo_register {
	RXO_REGISTER_AS_DEVICE,		/* as the device's attribute "register" says */
	RXO_REGISTER_PINNED,
	RXO_REGISTER_ON_DEMAND,
};

/* The thread that polls the send queues of a context. But for idle_ns it is transport/poll.c's. */
struct rxo_ctx_poll {
	u64 idle_ns;			/* of idleness until it sleeps; 0: there is none */
	struct task_struct *task;	/* NULL: there is none; immutable */
	struct mutex lock;		/* protects qps, and is held in a round */
	struct list_head qps;		/* of struct rxo_qp */
	struct wait_queue_head wait;
	bool called;			/* a doorbell rang since it was about to sleep */
	struct ib_device *device;	/* the rest: who has how many */
	kuid_t uid;
	struct list_head node;
};

struct rxo_ucontext {
	struct ib_ucontext ibuc;
	u64 id;				/* no other context ever has it, and never 0; immutable */
	u64 caps;			/* RXE_ODP_CAP_* that both sides have; immutable */
	enum rxo_register plain;	/* registrations; immutable */
	struct xarray cookies;		/* mmap offset >> PAGE_SHIFT to struct rxo_queue */
	u32 next_cookie;
	atomic_t prefetches;		/* memory/prefetch.c's: under way */
	u32 mcast_groups;		/* that its queue pairs are in; dev->mcast_lock */
	struct rxo_ctx_poll poll;
};

static inline struct rxo_ucontext *to_rxo_ucontext(struct ib_ucontext *ibuc)
{
	return container_of(ibuc, struct rxo_ucontext, ibuc);
}

#endif /* RXO_DEVICE_CTX_H */
