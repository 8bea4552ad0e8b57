// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "event.h"

#include <poll.h>

static bool readable(int fd, int timeout_ms)
{
	struct pollfd pfd = { fd, POLLIN, 0 };

	return poll(&pfd, 1, timeout_ms) == 1;
}

bool cq_event(struct ibv_comp_channel *channel, struct ibv_cq *cq, int timeout_ms)
{
	struct ibv_cq *got;
	void *context;

	if (!readable(channel->fd, timeout_ms))
		return false;
	assert_zero(ibv_get_cq_event(channel, &got, &context));
	assert_ptr_equal(got, cq);
	ibv_ack_cq_events(got, 1);
	return true;
}

bool async_any(struct ibv_context *ctx, int timeout_ms, struct ibv_async_event *event)
{
	if (!readable(ctx->async_fd, timeout_ms))
		return false;
	assert_zero(ibv_get_async_event(ctx, event));
	ibv_ack_async_event(event);
	return true;
}

struct ibv_async_event async_expect_at(const char *file, int line, struct ibv_context *ctx,
				       enum ibv_event_type type)
{
	struct ibv_async_event event;

	do {
		if (!async_any(ctx, BOUND_S * 1000, &event))
			fail_at(file, line, "no event \"%s\" within %d s", ibv_event_type_str(type),
				BOUND_S);
	} while (event.event_type != type);
	return event;
}
