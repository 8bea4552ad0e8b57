// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The direct interface: the last access error of a queue pair, in numbers and in words. */
#include <errno.h>
#include <ccan/array_size.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "dv.h"

#define DV_SAME_PLACE(field)                                                                       \
	static_assert(offsetof(struct rxe_odp_dv_qp_error, field) ==                               \
			      offsetof(struct rxe_odp_access_error, field) + 8,                    \
		      "the kernel's layout behind comp_mask")

DV_SAME_PLACE(count);
DV_SAME_PLACE(fault_address);
DV_SAME_PLACE(region_key);
DV_SAME_PLACE(reserved);

RXO_DV_SAME(RXE_ODP_DV_SIDE_PEER, RXE_ODP_SIDE_PEER);
RXO_DV_SAME(RXE_ODP_DV_REASON_QP_ACCESS, RXE_ODP_REASON_QP_ACCESS);
RXO_DV_SAME(RXE_ODP_DV_REASON_TAKEN_BACK, RXE_ODP_REASON_TAKEN_BACK);
RXO_DV_SAME(RXE_ODP_DV_REASON_WINDOW, RXE_ODP_REASON_WINDOW);

#define DV_ERROR_LEAST RXO_DV_THROUGH(struct rxe_odp_dv_qp_error, reserved)

RXO_DV_EXPORT int rxe_odp_dv_query_qp_error(struct ibv_qp *qp, struct rxe_odp_dv_qp_error *error,
					    size_t size)
{
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_QP, RXE_ODP_METHOD_QP_ACCESS_ERROR, 2);
	int err = rxo_dv_refuse(qp ? qp->context : NULL, size, DV_ERROR_LEAST);
	struct rxo_dv_filled to;

	if (err)
		return err;
	to = rxo_dv_begin(error, size, sizeof(*error));
	fill_attr_in_obj(cmd, RXE_ODP_ATTR_QP_ACCESS_ERROR_HANDLE, qp->handle);
	fill_attr_out(cmd, RXE_ODP_ATTR_QP_ACCESS_ERROR_RESP, to.bytes, to.len);
	return rxo_dv_error(execute_ioctl(qp->context, cmd));
}

struct text {
	char *at;
	size_t room; /* with the 0 at the end */
	int len;     /* of all that was to be said */
};

static void __attribute__((format(printf, 2, 3))) text_add(struct text *text, const char *fmt, ...)
{
	va_list args;
	size_t said;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->at, text->room, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	text->len += n;
	said = (size_t)n < text->room ? (size_t)n : text->room ? text->room - 1 : 0;
	text->at += said;
	text->room -= said;
}

static const struct {
	const char *words;
	bool somewhere; /* at the fault's address */
} reasons[] = {
	[RXE_ODP_DV_REASON_UNKNOWN] = { "no reason is known" },
	[RXE_ODP_DV_REASON_NO_KEY] = { "no region of the process has that key" },
	[RXE_ODP_DV_REASON_OTHER_PD] = { "the region of that key is in another protection domain" },
	[RXE_ODP_DV_REASON_REGION_ACCESS] = { "the region was registered without that right" },
	[RXE_ODP_DV_REASON_RANGE] = { "not all of it lies in the region" },
	[RXE_ODP_DV_REASON_QP_ACCESS] = { "the queue pair does not grant its peer that right" },
	[RXE_ODP_DV_REASON_ALIGNMENT] = { "an atomic needs an address that 8 divides" },
	[RXE_ODP_DV_REASON_NOT_MAPPED] = { "nothing is mapped", true },
	[RXE_ODP_DV_REASON_MAP_ACCESS] = { "what is mapped does not permit it", true },
	[RXE_ODP_DV_REASON_MAP_SPECIAL] = { "what is mapped is no memory that may be shared",
					    true },
	[RXE_ODP_DV_REASON_NO_PAGE] = { "there is no page behind the mapping (the end of a file?)",
					true },
	[RXE_ODP_DV_REASON_POISONED] = { "the memory is broken", true },
	[RXE_ODP_DV_REASON_OWNER_GONE] = { "the process whose memory it was has ended" },
	[RXE_ODP_DV_REASON_DEREGISTERED] = { "the region was deregistered meanwhile" },
	[RXE_ODP_DV_REASON_TAKEN_BACK] = { "the exporter of the dma-buf has taken it back" },
	[RXE_ODP_DV_REASON_OTHER_QP] = { "the memory window is bound for another queue pair" },
	[RXE_ODP_DV_REASON_WINDOW] = { "the window is bound already, or its type is not bound so" },
};

static void text_add_reason(struct text *text, const struct rxe_odp_dv_qp_error *error)
{
	if (error->side == RXE_ODP_DV_SIDE_PEER) {
		text_add(text, "the peer refused, and its own queue pair knows why");
		return;
	}
	if (error->reason >= ARRAY_SIZE(reasons)) {
		text_add(text, "reason %" PRIu32 ", which this library does not know",
			 error->reason);
		return;
	}
	text_add(text, "%s", reasons[error->reason].words);
	if (reasons[error->reason].somewhere)
		text_add(text, " at %#" PRIx64, error->fault_address);
}

static void text_add_who(struct text *text, const struct rxe_odp_dv_qp_error *error)
{
	switch (error->side) {
	case RXE_ODP_DV_SIDE_SEND:
	case RXE_ODP_DV_SIDE_PEER:
		text_add(text, "send request %#" PRIx64, error->wr_id);
		break;
	case RXE_ODP_DV_SIDE_RECEIVE:
		text_add(text, "receive request %#" PRIx64, error->wr_id);
		break;
	case RXE_ODP_DV_SIDE_REQUEST:
		text_add(text, "request of the peer");
		break;
	default:
		text_add(text, "request");
	}
}

static const char *wanted(const struct rxe_odp_dv_qp_error *error)
{
	if (error->side == RXE_ODP_DV_SIDE_PEER)
		return "of the peer";
	if (error->access & IBV_ACCESS_REMOTE_ATOMIC)
		return "for an atomic";
	if (error->access & (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE))
		return "to be written";
	return "to be read";
}

static const struct {
	uint32_t flag;
	const char *words;
} rights[] = {
	{ IBV_ACCESS_LOCAL_WRITE, "local write" }, { IBV_ACCESS_REMOTE_WRITE, "remote write" },
	{ IBV_ACCESS_REMOTE_READ, "remote read" }, { IBV_ACCESS_REMOTE_ATOMIC, "remote atomic" },
	{ IBV_ACCESS_MW_BIND, "windows" },	   { IBV_ACCESS_ON_DEMAND, "on demand" },
};

static void text_add_region(struct text *text, const struct rxe_odp_dv_qp_error *error)
{
	const char *between = ": ";
	size_t i;

	if (!error->region_length)
		return;
	text_add(text, "; the region has %" PRIu64 " bytes at %#" PRIx64, error->region_length,
		 error->region_address);
	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		if (!(error->region_access & rights[i].flag))
			continue;
		text_add(text, "%s%s", between, rights[i].words);
		between = ", ";
	}
}

RXO_DV_EXPORT int rxe_odp_dv_error_str(const struct rxe_odp_dv_qp_error *error, size_t size,
				       char *str, size_t len)
{
	struct text text = { str, len, 0 };

	if (!error || size < DV_ERROR_LEAST || (!str && len)) {
		errno = EINVAL;
		return -1;
	}
	if (!error->count) {
		text_add(&text, "no access was refused");
		return text.len;
	}
	text_add_who(&text, error);
	text_add(&text, ", %" PRIu64 " bytes at %#" PRIx64 " %s, key %#" PRIx32 ": ", error->length,
		 error->address, wanted(error), error->key);
	text_add_reason(&text, error);
	text_add_region(&text, error);
	return text.len;
}
