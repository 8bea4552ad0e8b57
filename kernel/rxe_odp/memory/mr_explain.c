// SPDX-License-Identifier: GPL-2.0
/*
 * Why an access was refused: from an errno to what a person wants to know.
 *
 * Accesses return an errno and nothing else, to stay cheap. Reporting an error may cost more: the
 * key is looked up again here.
 */
#include <rdma/ib_verbs.h>
#include <rdma/rxe_odp-abi.h>

#include "device/dev.h"
#include "memory/mem.h"
#include "memory/mr.h"

/*
 * A reference, whatever the domain and rights of the region or window; or NULL. With BH off, as
 * rxo_mr_get(), which looks at the key twice for the same reason.
 */
static struct rxo_mr *explain_find(struct rxo_pd *pd, u32 key)
{
	struct rxo_dev *dev = to_rxo_dev(pd->ibpd.device);
	struct rxo_mr *mr;

	guard(rcu)();
	mr = xa_load(&dev->mrs, key >> 8);
	if (!mr || READ_ONCE(mr->key) != key || !refcount_inc_not_zero(&mr->refs))
		return NULL;
	smp_mb__after_atomic();		/* as in rxo_mr_get() */
	if (smp_load_acquire(&mr->key) == key)	/* likewise */
		return mr;
	rxo_mr_put(mr);
	return NULL;
}

/* Both domains exist: one has a region that is held, the other asks. */
static bool explain_same_owner(const struct rxo_pd *a, const struct rxo_pd *b)
{
	const struct ib_uobject *one = a->ibpd.uobject, *other = b->ibpd.uobject;

	return one && other && one->context == other->context;
}

static u32 explain_right(const struct rxo_mr *mr, struct rxo_pd *pd)
{
	if (mr->pd == pd)
		return RXE_ODP_REASON_REGION_ACCESS;
	/* Whether another process has the key is not for this one to know. */
	return explain_same_owner(mr->pd, pd) ? RXE_ODP_REASON_OTHER_PD : RXE_ODP_REASON_NO_KEY;
}

static u32 explain_mapping(enum umem_odp_refusal refusal)
{
	static const u8 reasons[] = {
		[UMEM_ODP_REFUSAL_NONE]		= RXE_ODP_REASON_UNKNOWN,
		[UMEM_ODP_REFUSAL_NOT_MAPPED]	= RXE_ODP_REASON_NOT_MAPPED,
		[UMEM_ODP_REFUSAL_PERMISSION]	= RXE_ODP_REASON_MAP_ACCESS,
		[UMEM_ODP_REFUSAL_SPECIAL]	= RXE_ODP_REASON_MAP_SPECIAL,
		[UMEM_ODP_REFUSAL_NO_PAGE]	= RXE_ODP_REASON_NO_PAGE,
	};

	return reasons[refusal];
}

/*
 * Why memory could not be had. @mr may have got the key since then: one of another domain says
 * nothing of this fault.
 */
static u32 explain_fault(const struct rxo_mr *mr, const struct rxo_pd *pd,
			 enum umem_odp_refusal refusal)
{
	if (mr && mr->pd == pd && rxo_mem_is_taken_back(mr->mem))
		return RXE_ODP_REASON_TAKEN_BACK;
	return explain_mapping(refusal);
}

static u32 explain_errno(const struct rxo_mr *mr, struct rxo_pd *pd, int err,
			 enum umem_odp_refusal refusal)
{
	switch (err) {
	case -ENOENT:
	case -ENXIO:
		return RXE_ODP_REASON_NO_KEY;
	case -EPERM:
		return mr ? explain_right(mr, pd) : RXE_ODP_REASON_NO_KEY;
	case -EXDEV:
		return RXE_ODP_REASON_OTHER_QP;
	case -ERANGE:
		return RXE_ODP_REASON_RANGE;
	case -EINVAL:
		return RXE_ODP_REASON_ALIGNMENT;
	case -EFAULT:
		return explain_fault(mr, pd, refusal);
	case -EHWPOISON:
		return RXE_ODP_REASON_POISONED;
	case -EOWNERDEAD:
		return RXE_ODP_REASON_OWNER_GONE;
	case -ESHUTDOWN:
		return RXE_ODP_REASON_DEREGISTERED;
	default:
		return RXE_ODP_REASON_UNKNOWN;
	}
}

void rxo_mr_explain(struct rxo_pd *pd, int err, enum umem_odp_refusal refusal,
		    struct rxe_odp_access_error *error)
{
	struct rxo_mr *mr = explain_find(pd, error->key);

	error->reason = explain_errno(mr, pd, err, refusal);
	if (!mr)
		return;
	if (mr->pd == pd) {
		error->region_address = mr->iova;
		error->region_length = mr->length;
		error->region_access = mr->access;
		error->region_key = error->key;
	}
	rxo_mr_put(mr);
}
