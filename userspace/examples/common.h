/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the examples share: one end of a reliable connection that RDMA-CM makes (client.h, server.h).
 * Each end has a protection domain of its own. A key is good for one domain only, so what is registered for one peer is of
 * no use to another that guesses its key.
 */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>

/* Of a connection: requests and receives that may be under way. */
#define SENDS	 16U
#define RECEIVES 8U

struct peer {
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_comp_channel *events;
	struct ibv_cq *cq;
	/* RECEIVES messages of message_bytes each. */
	size_t message_bytes;
	char *inbox;
	struct ibv_mr *inbox_mr;
};

static inline int complained(int printed)
{
	return printed < 0 ? printed : -1;
}

/* Tells a person, in a sentence; negative, for the caller to return. */
#define complain(format, ...)                                                                      \
	complained(                                                                                \
		fprintf(stderr, "%s: " format "\n", program_invocation_short_name, ##__VA_ARGS__))

/* A receive for the message of that place in the inbox, which is its wr_id. */
static inline int peer_receive(struct peer *p, uintptr_t place)
{
	return rdma_post_recv(p->id, (void *)place, p->inbox + place * p->message_bytes,
			      p->message_bytes, p->inbox_mr);
}

static inline void peer_close(struct peer *p)
{
	if (p->id->qp)
		rdma_destroy_qp(p->id);
	if (p->inbox_mr)
		ibv_dereg_mr(p->inbox_mr);
	if (p->cq)
		ibv_destroy_cq(p->cq);
	if (p->events)
		ibv_destroy_comp_channel(p->events);
	if (p->pd)
		ibv_dealloc_pd(p->pd);
	free(p->inbox);
	rdma_destroy_id(p->id);
}

/* What the connection needs on this side, with all its receives posted. If that fails the id is gone, too. */
static inline int peer_open(struct peer *p, struct rdma_cm_id *id, size_t message_bytes)
{
	struct ibv_qp_init_attr qp = { .qp_type = IBV_QPT_RC, .sq_sig_all = 1 };
	uintptr_t place;

	*p = (struct peer){ .id = id, .message_bytes = message_bytes };
	qp.cap = (struct ibv_qp_cap){ SENDS, RECEIVES, 1, 1, 128 };
	p->pd = ibv_alloc_pd(id->verbs);
	p->events = ibv_create_comp_channel(id->verbs);
	/* Room for every completion that can be: a completion queue that overflows ends its queue pairs. */
	p->cq = p->events ? ibv_create_cq(id->verbs, SENDS + RECEIVES, NULL, p->events, 0) : NULL;
	p->inbox = calloc(RECEIVES, message_bytes);
	qp.send_cq = p->cq;
	qp.recv_cq = p->cq;
	if (!p->pd || !p->cq || !p->inbox || rdma_create_qp(id, p->pd, &qp))
		goto err;
	p->inbox_mr = rdma_reg_msgs(id, p->inbox, RECEIVES * message_bytes);
	if (!p->inbox_mr)
		goto err;
	for (place = 0; place < RECEIVES; place++)
		if (peer_receive(p, place))
			goto err;
	return 0;
err:
	complain("no queues for a connection: %s; ulimit -l may allow for too little",
		 strerror(errno));
	peer_close(p);
	return -1;
}

#endif
