// SPDX-License-Identifier: GPL-2.0
/* Prefetches as objects, which tell by an eventfd that they have ended (docs/user-abi.md). */
#include <linux/eventfd.h>
#include <linux/slab.h>
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>
#include <rdma/uverbs_std_types.h>

#include "device/dev.h"
#include "memory/prefetch.h"

#define UVERBS_MODULE_NAME rxo_prefetch
#include <rdma/uverbs_named_ioctl.h>

static int prefetch_object_end(struct ib_uobject *uobject, enum rdma_remove_reason why,
			       struct uverbs_attr_bundle *attrs)
{
	struct rxo_prefetch *p = uobject->object;

	rxo_prefetch_cancel(p);
	rxo_prefetch_put(p);
	return 0;
}

static int prefetch_fill_spans(struct rxo_prefetch *p, const struct rxe_odp_span *from)
{
	u32 i;

	for (i = 0; i < p->num_spans; i++) {
		if (from[i].reserved)
			return -EOPNOTSUPP;
		p->spans[i].iova = from[i].address;
		p->spans[i].length_bytes = from[i].length;
		p->spans[i].lkey = from[i].key;
	}
	return 0;
}

static int prefetch_set_eventfd(struct rxo_prefetch *p, int fd)
{
	struct eventfd_ctx *eventfd;

	if (fd == -1)
		return 0;
	eventfd = eventfd_ctx_fdget(fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	p->eventfd = eventfd;
	return 0;
}

static struct rxo_prefetch *prefetch_from_attrs(struct uverbs_attr_bundle *attrs)
{
	struct ib_pd *pd = uverbs_attr_get_obj(attrs, RXE_ODP_ATTR_PREFETCH_START_PD_HANDLE);
	struct rxe_odp_span *spans;
	struct rxe_odp_prefetch req;
	struct rxo_prefetch *p;
	int mode, num, err;

	err = uverbs_copy_from_or_zero(&req, attrs, RXE_ODP_ATTR_PREFETCH_START_REQ);
	if (err)
		return ERR_PTR(err);
	mode = rxo_prefetch_mode(req.advice);
	if (mode < 0)
		return ERR_PTR(mode);
	num = uverbs_attr_ptr_get_array_size(attrs, RXE_ODP_ATTR_PREFETCH_START_SPANS,
					     sizeof(struct rxe_odp_span));
	if (num <= 0)
		return ERR_PTR(num ?: -EINVAL);
	spans = uverbs_attr_get_alloced_ptr(attrs, RXE_ODP_ATTR_PREFETCH_START_SPANS);
	p = rxo_prefetch_alloc(to_rxo_pd(pd), mode, num);
	if (IS_ERR(p))
		return p;
	p->user_data = req.user_data;
	err = prefetch_fill_spans(p, spans) ?: prefetch_set_eventfd(p, req.eventfd);
	if (!err)
		return p;
	rxo_prefetch_put(p);
	return ERR_PTR(err);
}

static int UVERBS_HANDLER(RXE_ODP_METHOD_PREFETCH_START)(struct uverbs_attr_bundle *attrs)
{
	struct ib_uobject *uobject = uverbs_attr_get_uobject(attrs,
							     RXE_ODP_ATTR_PREFETCH_START_HANDLE);
	struct rxo_prefetch *p = prefetch_from_attrs(attrs);
	int err;

	if (IS_ERR(p))
		return PTR_ERR(p);
	err = rxo_prefetch_start(p);
	if (err) {
		rxo_prefetch_put(p);
		return err;
	}
	uobject->object = p;
	uverbs_finalize_uobj_create(attrs, RXE_ODP_ATTR_PREFETCH_START_HANDLE);
	return 0;
}

/* EINVAL for a region that is not on demand, where ibv_advise_mr() has ENOENT. */
static u32 prefetch_user_errno(int err)
{
	return err == -EOPNOTSUPP ? EINVAL : -err;
}

/* What the caller's array has room for; it is optional. */
static int prefetch_write_errors(struct rxo_prefetch *p, struct uverbs_attr_bundle *attrs)
{
	int room = uverbs_attr_ptr_get_array_size(attrs, RXE_ODP_ATTR_PREFETCH_QUERY_RESP_SPANS,
						  sizeof(u32));
	u32 *errors __free(kvfree) = NULL;
	u32 i, num;

	if (room < 0)
		return room == -ENOENT ? 0 : room;
	num = min_t(u32, room, p->num_spans);
	errors = kvmalloc_array(num, sizeof(*errors), GFP_KERNEL);
	if (!errors)
		return -ENOMEM;
	scoped_guard(mutex, &p->lock) {
		for (i = 0; i < num; i++)
			errors[i] = prefetch_user_errno(p->spans[i].err);
	}
	return uverbs_copy_to(attrs, RXE_ODP_ATTR_PREFETCH_QUERY_RESP_SPANS, errors,
			      num * sizeof(*errors));
}

static int UVERBS_HANDLER(RXE_ODP_METHOD_PREFETCH_QUERY)(struct uverbs_attr_bundle *attrs)
{
	struct rxo_prefetch *p = uverbs_attr_get_obj(attrs, RXE_ODP_ATTR_PREFETCH_QUERY_HANDLE);
	struct rxe_odp_prefetch_result result = {
		.user_data = p->user_data,
		.num_spans = p->num_spans,
	};
	u32 i;
	int err;

	scoped_guard(mutex, &p->lock) {
		result.ended_spans = p->at;
		for (i = 0; i < p->at; i++)
			result.failed_spans += !!p->spans[i].err;
	}
	err = prefetch_write_errors(p, attrs);
	return err ?: uverbs_copy_to_struct_or_zero(attrs, RXE_ODP_ATTR_PREFETCH_QUERY_RESP,
						    &result, sizeof(result));
}

DECLARE_UVERBS_NAMED_METHOD(RXE_ODP_METHOD_PREFETCH_START,
			    UVERBS_ATTR_IDR(RXE_ODP_ATTR_PREFETCH_START_HANDLE,
					    RXE_ODP_OBJECT_PREFETCH, UVERBS_ACCESS_NEW,
					    UA_MANDATORY),
			    UVERBS_ATTR_IDR(RXE_ODP_ATTR_PREFETCH_START_PD_HANDLE, UVERBS_OBJECT_PD,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_IN(RXE_ODP_ATTR_PREFETCH_START_REQ,
					       UVERBS_ATTR_STRUCT(struct rxe_odp_prefetch, eventfd),
					       UA_MANDATORY),
			    UVERBS_ATTR_PTR_IN(RXE_ODP_ATTR_PREFETCH_START_SPANS,
					       UVERBS_ATTR_MIN_SIZE(sizeof(struct rxe_odp_span)),
					       UA_MANDATORY, UA_ALLOC_AND_COPY));

DECLARE_UVERBS_NAMED_METHOD(RXE_ODP_METHOD_PREFETCH_QUERY,
			    UVERBS_ATTR_IDR(RXE_ODP_ATTR_PREFETCH_QUERY_HANDLE,
					    RXE_ODP_OBJECT_PREFETCH, UVERBS_ACCESS_READ,
					    UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_ODP_ATTR_PREFETCH_QUERY_RESP,
						UVERBS_ATTR_MIN_SIZE(sizeof(u64)), UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_ODP_ATTR_PREFETCH_QUERY_RESP_SPANS,
						UVERBS_ATTR_MIN_SIZE(sizeof(u32)), UA_OPTIONAL));

DECLARE_UVERBS_NAMED_METHOD_DESTROY(RXE_ODP_METHOD_PREFETCH_DESTROY,
				    UVERBS_ATTR_IDR(RXE_ODP_ATTR_PREFETCH_DESTROY_HANDLE,
						    RXE_ODP_OBJECT_PREFETCH, UVERBS_ACCESS_DESTROY,
						    UA_MANDATORY));

DECLARE_UVERBS_NAMED_OBJECT(RXE_ODP_OBJECT_PREFETCH, UVERBS_TYPE_ALLOC_IDR(prefetch_object_end),
			    &UVERBS_METHOD(RXE_ODP_METHOD_PREFETCH_START),
			    &UVERBS_METHOD(RXE_ODP_METHOD_PREFETCH_QUERY),
			    &UVERBS_METHOD(RXE_ODP_METHOD_PREFETCH_DESTROY));

const struct uapi_definition rxo_prefetch_uapi[] = {
	UAPI_DEF_CHAIN_OBJ_TREE_NAMED(RXE_ODP_OBJECT_PREFETCH),
	{},
};
