/* SPDX-License-Identifier: GPL-2.0 */
/* Prefetches: spans of several regions, one after the other. */
#ifndef RXO_PREFETCH_H
#define RXO_PREFETCH_H

#include <linux/mutex.h>
#include <linux/refcount.h>
#include <rdma/ib_verbs.h>
#include <umem_odp/umem_odp.h>

#include "memory/mr.h"

struct eventfd_ctx;
struct rxo_pd;
struct rxo_ucontext;

/* So many may be under way in a context: each waits for one page at a time. */
#define RXO_PREFETCHES_MAX	64

enum rxo_prefetch_mode {
	RXO_PREFETCH_READ,
	RXO_PREFETCH_WRITE,
	RXO_PREFETCH_LOOK,		/* what the process has mapped now */
};

struct rxo_span {
	u64 iova;
	u64 length_bytes;
	u32 lkey;
	int err;			/* -EINPROGRESS until it has ended */
};

/*
 * @lock protects what follows it; the rest is immutable once it runs. @refs: who runs it, its
 * object, and whoever is at work on it. @pd and @uctx are used only until it has ended.
 */
struct rxo_prefetch {
	refcount_t refs;
	struct rxo_pd *pd;
	struct rxo_ucontext *uctx;	/* NULL for a kernel user */
	struct eventfd_ctx *eventfd;	/* NULL for none */
	u64 user_data;
	enum rxo_prefetch_mode mode;
	bool waited_for;		/* in its caller; the first error ends it */
	u32 num_spans;
	struct rxo_span *spans;		/* the errors by @lock */
	struct mutex lock;
	u32 at;				/* the present span: those before it have ended */
	bool cancelled;			/* also read without it, at the end */
	bool ended;			/* of one that is waited for; written once, release */
	int err;			/* the first one */
	struct rxo_mr *mr;		/* that is waited for, with a reference; else NULL */
	struct umem_odp_prefetch step;	/* there */
};

/**
 * rxo_prefetch_alloc - make a prefetch, which does not run yet
 * @pd: the protection domain that the keys are of
 * @mode: what is done
 * @num_spans: how many; @spans are to be filled
 *
 * May sleep, memory is charged to the caller. Returns the first reference, or ERR_PTR(-ENOMEM).
 */
struct rxo_prefetch *rxo_prefetch_alloc(struct rxo_pd *pd, enum rxo_prefetch_mode mode,
					u32 num_spans);
void rxo_prefetch_put(struct rxo_prefetch *p);

/* Runs it, with a reference of its own. May sleep, not for pages. 0, or -EAGAIN: too many do. */
int rxo_prefetch_start(struct rxo_prefetch *p);

/* On return it has ended, or ends without waiting for a page. May sleep, not for pages. */
void rxo_prefetch_cancel(struct rxo_prefetch *p);

/* What an advice says: a mode, or -EOPNOTSUPP. */
int rxo_prefetch_mode(u32 advice);

/* Waits until the last prefetch of a domain without regions has ended, which they do at once. */
void rxo_prefetch_drain(struct rxo_pd *pd);

/* The verb. */
int rxo_advise_mr(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice advice, u32 flags,
		  struct ib_sge *sg_list, u32 num_sge, struct uverbs_attr_bundle *attrs);

/* prefetch_methods.c: prefetches as objects of uverbs */
extern const struct uapi_definition rxo_prefetch_uapi[];

#endif /* RXO_PREFETCH_H */
