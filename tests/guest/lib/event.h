/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Completion and asynchronous events, waited for with a bound. */
#ifndef TESTS_GUEST_EVENT_H
#define TESTS_GUEST_EVENT_H

#include "pair.h"

/* True if a completion event came within that time; it is taken and acknowledged, and must be cq's. */
bool cq_event(struct ibv_comp_channel *channel, struct ibv_cq *cq, int timeout_ms);

/* The next asynchronous event is this one; it is acknowledged and returned. Others before it are dropped. */
struct ibv_async_event async_expect_at(const char *file, int line, struct ibv_context *ctx,
				       enum ibv_event_type type);
#define async_expect(ctx, type) async_expect_at(__FILE__, __LINE__, ctx, type)
/* True if one comes within that time; acknowledged. */
bool async_any(struct ibv_context *ctx, int timeout_ms, struct ibv_async_event *event);

#endif
