// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The direct interface: prefetches, which are objects of the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dv.h"

#define DV_SAME_PLACE(ours, kernels, field, behind)                                                \
	static_assert(offsetof(struct ours, field) == offsetof(struct kernels, field) + (behind),  \
		      "the kernel's layout")

DV_SAME_PLACE(rxe_odp_dv_span, rxe_odp_span, address, 0);
DV_SAME_PLACE(rxe_odp_dv_span, rxe_odp_span, length, 0);
DV_SAME_PLACE(rxe_odp_dv_span, rxe_odp_span, key, 0);
static_assert(sizeof(struct rxe_odp_dv_span) == sizeof(struct rxe_odp_span), "the kernel's layout");
DV_SAME_PLACE(rxe_odp_dv_prefetch_result, rxe_odp_prefetch_result, user_data, 8);
DV_SAME_PLACE(rxe_odp_dv_prefetch_result, rxe_odp_prefetch_result, failed_spans, 8);
DV_SAME_PLACE(rxe_odp_dv_prefetch_result, rxe_odp_prefetch_result, reserved, 8);

struct rxe_odp_dv_prefetch {
	struct ibv_context *context;
	uint32_t handle;
	uint32_t num_spans;
};

/* An attribute is shorter than 64 KiB. */
#define DV_SPANS_MAX (UINT16_MAX / sizeof(struct rxe_odp_span))

/* What a caller of a later version says beyond what is known here must be 0. */
static int dv_check_attr(const struct rxe_odp_dv_prefetch_attr *attr, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)attr;
	size_t i;

	for (i = sizeof(*attr); i < size; i++)
		if (bytes[i])
			return EOPNOTSUPP;
	if (attr->comp_mask || attr->reserved)
		return EOPNOTSUPP;
	if (!attr->num_spans || !attr->spans)
		return EINVAL;
	return attr->num_spans > DV_SPANS_MAX ? E2BIG : 0;
}

static int dv_start(struct rxe_odp_dv_prefetch *prefetch, const struct ibv_pd *pd,
		    const struct rxe_odp_dv_prefetch_attr *attr)
{
	DECLARE_COMMAND_BUFFER(cmd, RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_START, 4);
	struct rxe_odp_prefetch req = { attr->user_data, attr->advice, attr->eventfd };
	struct ib_uverbs_attr *handle;
	int err;

	handle = fill_attr_out_obj(cmd, RXE_ODP_ATTR_PREFETCH_START_HANDLE);
	fill_attr_in_obj(cmd, RXE_ODP_ATTR_PREFETCH_START_PD_HANDLE, pd->handle);
	fill_attr_in_ptr(cmd, RXE_ODP_ATTR_PREFETCH_START_REQ, &req);
	fill_attr_in(cmd, RXE_ODP_ATTR_PREFETCH_START_SPANS, attr->spans,
		     attr->num_spans * sizeof(*attr->spans));
	err = execute_ioctl(pd->context, cmd);
	if (err)
		return rxo_dv_error(err);
	prefetch->context = pd->context;
	prefetch->handle = read_attr_obj(RXE_ODP_ATTR_PREFETCH_START_HANDLE, handle);
	prefetch->num_spans = attr->num_spans;
	return 0;
}

RXO_DV_EXPORT struct rxe_odp_dv_prefetch *
rxe_odp_dv_prefetch(struct ibv_pd *pd, const struct rxe_odp_dv_prefetch_attr *attr, size_t size)
{
	struct rxe_odp_dv_prefetch *prefetch = NULL;
	int err = rxo_dv_refuse(pd ? pd->context : NULL, attr ? size : 0, sizeof(*attr));

	err = err ?: dv_check_attr(attr, size);
	if (!err) {
		prefetch = malloc(sizeof(*prefetch));
		err = prefetch ? dv_start(prefetch, pd, attr) : ENOMEM;
	}
	if (!err)
		return prefetch;
	free(prefetch);
	errno = err;
	return NULL;
}

RXO_DV_EXPORT int rxe_odp_dv_query_prefetch(struct rxe_odp_dv_prefetch *prefetch,
					    struct rxe_odp_dv_prefetch_result *result, size_t size,
					    uint32_t *errors, uint32_t num_errors)
{
	DECLARE_COMMAND_BUFFER(cmd, RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_QUERY, 3);
	struct rxo_dv_filled to;

	if (!prefetch || !result || size < sizeof(*result) || (num_errors && !errors))
		return EINVAL;
	if (num_errors > prefetch->num_spans)
		num_errors = prefetch->num_spans;
	to = rxo_dv_begin(result, size, sizeof(*result));
	fill_attr_in_obj(cmd, RXE_ODP_ATTR_PREFETCH_QUERY_HANDLE, prefetch->handle);
	fill_attr_out(cmd, RXE_ODP_ATTR_PREFETCH_QUERY_RESP, to.bytes, to.len);
	if (num_errors)
		fill_attr_out(cmd, RXE_ODP_ATTR_PREFETCH_QUERY_RESP_SPANS, errors,
			      num_errors * sizeof(*errors));
	return rxo_dv_error(execute_ioctl(prefetch->context, cmd));
}

RXO_DV_EXPORT int rxe_odp_dv_destroy_prefetch(struct rxe_odp_dv_prefetch *prefetch)
{
	DECLARE_COMMAND_BUFFER(cmd, RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_DESTROY, 1);
	int err;

	if (!prefetch)
		return EINVAL;
	fill_attr_in_obj(cmd, RXE_ODP_ATTR_PREFETCH_DESTROY_HANDLE, prefetch->handle);
	err = execute_ioctl(prefetch->context, cmd);
	/* With the device the kernel's object has gone. */
	if (err && err != EIO)
		return rxo_dv_error(err);
	free(prefetch);
	return 0;
}
