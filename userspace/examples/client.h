/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The end of a connection that asks for it. */
#ifndef EXAMPLES_CLIENT_H
#define EXAMPLES_CLIENT_H

#include "common.h"

/* What the server told in its answer to the connection, if it was that much; else nothing. */
static inline const void *peer_told(const struct peer *p, size_t bytes)
{
	const struct rdma_conn_param *answer = &p->id->event->param.conn;

	return answer->private_data_len >= bytes ? answer->private_data : NULL;
}

static inline int peer_connect(struct peer *p, const char *address, const char *port,
			       size_t message_bytes)
{
	/*
	 * rnr_retry_count 7: ask without end. That is what a target answers whose page comes late, and a finite number ends the
	 * connection when it is used up.
	 */
	struct rdma_conn_param param = { .responder_resources = RDMA_MAX_RESP_RES,
					 .initiator_depth = RDMA_MAX_INIT_DEPTH,
					 .retry_count = 7,
					 .rnr_retry_count = 7 };
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP }, *to;
	struct rdma_cm_id *id;
	int rc;

	if (rdma_getaddrinfo(address, port, &hints, &to))
		return complain("'%s' is no address of a machine", address);
	rc = rdma_create_ep(&id, to, NULL, NULL);
	rdma_freeaddrinfo(to);
	if (rc)
		return complain("no RDMA device leads to %s: %s", address, strerror(errno));
	if (peer_open(p, id, message_bytes))
		return -1;
	if (!rdma_connect(id, &param))
		return 0;
	complain("no connection to %s: %s; does the server run there?", address, strerror(errno));
	peer_close(p);
	return -1;
}

/*
 * Waits for completions: how many came, or -1. Where no request is under way only the end of the connection tells that the
 * server is gone, so that is waited for, too.
 */
static inline int peer_wait(struct peer *p, struct ibv_wc *wc, int max)
{
	struct pollfd fds[] = { { p->events->fd, POLLIN, 0 }, { p->id->channel->fd, POLLIN, 0 } };
	struct ibv_cq *cq;
	void *context;
	int n;

	while (!(n = ibv_poll_cq(p->cq, max, wc))) {
		/* What completes from here on is an event. What did before is not: look once more. */
		if (ibv_req_notify_cq(p->cq, 0))
			return complain("no events of completions: %s", strerror(errno));
		n = ibv_poll_cq(p->cq, max, wc);
		if (n)
			break;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return complain("poll: %s", strerror(errno));
		if (fds[0].revents && !ibv_get_cq_event(p->events, &cq, &context))
			ibv_ack_cq_events(cq, 1);
		else if (fds[1].revents)
			return complain("the server has ended the connection");
	}
	return n < 0 ? complain("the completion queue is broken") : n;
}

#endif
