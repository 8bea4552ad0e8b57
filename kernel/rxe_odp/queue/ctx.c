// SPDX-License-Identifier: GPL-2.0
/* A process's context, what it and the kernel know of each other, and the rings that it may map. */
#include <linux/mm.h>
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>

#include "queue/ctx.h"
#include "queue/queue.h"

/* What a provider can rely on, RXE_ODP_CAP_*. */
#define CTX_CAPS	(RXE_ODP_CAP_MR_STATS | RXE_ODP_CAP_QP_ACCESS_ERROR | \
			 RXE_ODP_CAP_MR_RESIDENCY | RXE_ODP_CAP_ADVISE_MR | \
			 RXE_ODP_CAP_REGISTER | RXE_ODP_CAP_PREFETCH | \
			 RXE_ODP_CAP_PROMISE | RXE_ODP_CAP_POLL)
/* What a context can be asked to be, RXE_ODP_UCTX_*. */
#define CTX_REGISTER	(RXE_ODP_UCTX_REGISTER_ON_DEMAND | RXE_ODP_UCTX_REGISTER_PINNED)
#define CTX_FLAGS	CTX_REGISTER

static atomic64_t ctx_last_id;

/* A request that stops short of a field leaves that 0; one from a later header may end in zeros. */
static int ctx_read_request(struct rxe_odp_alloc_ucontext_req *req, struct ib_udata *udata)
{
	*req = (struct rxe_odp_alloc_ucontext_req) {};
	if (ib_copy_from_udata(req, udata, min(sizeof(*req), udata->inlen)))
		return -EFAULT;
	if (udata->inlen > sizeof(*req) &&
	    !ib_is_udata_cleared(udata, sizeof(*req), udata->inlen - sizeof(*req)))
		return -EOPNOTSUPP;
	if (req->flags & ~CTX_FLAGS)
		return -EOPNOTSUPP;
	if (req->poll_idle_us > RXE_ODP_POLL_MAX_US)
		return -EINVAL;
	/* On demand and pinned exclude each other. */
	return (req->flags & CTX_REGISTER) == CTX_REGISTER ? -EINVAL : 0;
}

static enum rxo_register ctx_plain(u32 flags)
{
	if (flags & RXE_ODP_UCTX_REGISTER_ON_DEMAND)
		return RXO_REGISTER_ON_DEMAND;
	return flags & RXE_ODP_UCTX_REGISTER_PINNED ? RXO_REGISTER_PINNED : RXO_REGISTER_AS_DEVICE;
}

static int ctx_respond(struct ib_udata *udata)
{
	struct rxe_odp_alloc_ucontext_resp resp = { .caps = CTX_CAPS };

	return ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
}

int rxo_alloc_ucontext(struct ib_ucontext *ibuc, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = to_rxo_ucontext(ibuc);
	struct rxe_odp_alloc_ucontext_req req;
	int err;

	err = ctx_read_request(&req, udata) ?: ctx_respond(udata);
	if (err)
		return err;
	uctx->id = atomic64_inc_return(&ctx_last_id);
	uctx->caps = req.caps & CTX_CAPS;
	uctx->plain = ctx_plain(req.flags);
	uctx->poll.idle_ns = (u64)req.poll_idle_us * NSEC_PER_USEC;
	/* Offset 0 is no cookie: it is what a process maps by default. */
	xa_init_flags(&uctx->cookies, XA_FLAGS_ALLOC1);
	return 0;
}

/* Another process was given the context's file. It needs nothing beyond what ib_core tells it. */
int rxo_query_ucontext(struct ib_ucontext *ibuc, struct uverbs_attr_bundle *attrs)
{
	return 0;
}

void rxo_dealloc_ucontext(struct ib_ucontext *ibuc)
{
	struct rxo_ucontext *uctx = to_rxo_ucontext(ibuc);

	/* Each ring that was freed removed its cookie. */
	WARN_ON_ONCE(!xa_empty(&uctx->cookies));
	xa_destroy(&uctx->cookies);
}

int rxo_mmap(struct ib_ucontext *ibuc, struct vm_area_struct *vma)
{
	return rxo_queue_mmap(to_rxo_ucontext(ibuc), vma);
}

/*
 * The device goes while the process has it open. uverbs has destroyed every
 * object by now; rings that are still mapped are memory and nothing else
 * (queue.c), so there is nothing to revoke. That this op exists is what lets
 * uverbs, "rdma dev set netns" and module removal go on without the process.
 */
void rxo_disassociate_ucontext(struct ib_ucontext *ibuc)
{
}
