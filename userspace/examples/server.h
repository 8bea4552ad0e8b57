/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The end of connections that answers: one thread for all peers, since the data needs none of its time. What a peer sends is
 * hostile: a message is at most as long as its receive, a peer that sends what is no message or does not take its answers
 * loses its connection, and no peer has more than RECEIVES messages handled before the others have their turn.
 *
 * What it does not do is notice a machine that has gone without a word: it keeps that connection until it sends something.
 */
#ifndef EXAMPLES_SERVER_H
#define EXAMPLES_SERVER_H

#include "common.h"

#include <fcntl.h>
#include <signal.h>

#define CLIENTS 32

struct client {
	struct peer peer;
	void *state; /* the service's own */
};

struct service {
	const char *port;
	size_t message_bytes; /* of the longest */
	/* A peer connects: may tell it something (private_data). */
	int (*welcome)(struct client *c, struct rdma_conn_param *answer);
	/* What it sent; bytes are the receive's, not a string. -1 ends the connection. */
	int (*message)(struct client *c, const void *message, size_t bytes);
	/* Undoes welcome; its queue pair can do nothing any longer. */
	void (*farewell)(struct client *c);
};

static struct client *clients[CLIENTS];
static volatile sig_atomic_t ended;

static void server_end(int sig)
{
	ended = sig;
}

static void client_drop(const struct service *service, struct client *c)
{
	unsigned int i;

	for (i = 0; i < CLIENTS && clients[i] != c; i++)
		;
	clients[i] = NULL;
	rdma_disconnect(c->peer.id);
	/* First, so that none of its requests is under way in what the service takes away. */
	rdma_destroy_qp(c->peer.id);
	service->farewell(c);
	peer_close(&c->peer);
	free(c);
}

static void client_admit(const struct service *service, struct rdma_cm_id *id)
{
	struct rdma_conn_param answer = { .responder_resources = RDMA_MAX_RESP_RES,
					  .initiator_depth = RDMA_MAX_INIT_DEPTH,
					  .rnr_retry_count = 7 };
	struct client *c = calloc(1, sizeof(*c));
	unsigned int i;

	for (i = 0; i < CLIENTS && clients[i]; i++)
		;
	if (!c || i == CLIENTS) {
		complain("a peer is refused: there are %d already, or no memory", CLIENTS);
		rdma_reject(id, NULL, 0);
		rdma_destroy_id(id);
		free(c);
	} else if (peer_open(&c->peer, id, service->message_bytes)) {
		free(c); /* the id went, which refuses the peer */
	} else {
		id->context = c;
		clients[i] = c;
		if (ibv_req_notify_cq(c->peer.cq, 0) || service->welcome(c, &answer) ||
		    rdma_accept(id, &answer))
			client_drop(service, c);
	}
}

/* Messages and the ends of answers. */
static int client_look(const struct service *service, struct client *c)
{
	struct ibv_wc wc[SENDS + RECEIVES];
	struct peer *p = &c->peer;
	struct ibv_cq *cq;
	void *context;
	int i, n;

	/* Asked for before the look: what comes after it is another event. */
	if (ibv_get_cq_event(p->events, &cq, &context))
		return -1;
	ibv_ack_cq_events(cq, 1);
	if (ibv_req_notify_cq(cq, 0))
		return -1;
	n = ibv_poll_cq(cq, SENDS + RECEIVES, wc);
	for (i = 0; i < n; i++) {
		if (wc[i].status)
			return -1;
		/* A WRITE with immediate data ends a receive, too, but has put nothing into it. */
		if (wc[i].opcode == IBV_WC_RECV_RDMA_WITH_IMM)
			return -1;
		if (wc[i].opcode != IBV_WC_RECV)
			continue;
		if (service->message(c, p->inbox + wc[i].wr_id * p->message_bytes,
				     wc[i].byte_len) ||
		    peer_receive(p, wc[i].wr_id))
			return -1;
	}
	return n < 0 ? -1 : 0;
}

/* A connection that begins or ends. -1: no more can come. */
static int server_event(const struct service *service, struct rdma_event_channel *channel,
			struct rdma_cm_id *listener)
{
	enum rdma_cm_event_type type;
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;

	/* There may be none any longer: those of an id go with it. */
	if (rdma_get_cm_event(channel, &event))
		return errno == EAGAIN ? 0 :
					 complain("no events of connections: %s", strerror(errno));
	type = event->event;
	id = event->id;
	/* An id with an event that is not acknowledged cannot be destroyed. */
	rdma_ack_cm_event(event);
	if (type == RDMA_CM_EVENT_CONNECT_REQUEST)
		client_admit(service, id);
	else if (id == listener)
		return complain("the device of this address has gone");
	else if (type != RDMA_CM_EVENT_ESTABLISHED)
		client_drop(service, id->context);
	return 0;
}

/* Where it listens, or NULL. */
static struct rdma_cm_id *server_listen(struct rdma_event_channel *channel, const char *address,
					const char *port)
{
	struct rdma_addrinfo hints = { .ai_flags = RAI_PASSIVE, .ai_port_space = RDMA_PS_TCP };
	struct rdma_cm_id *id = NULL;
	struct rdma_addrinfo *at;

	if (rdma_getaddrinfo(address, port, &hints, &at)) {
		complain("'%s' is no address", address);
		return NULL;
	}
	if (rdma_create_id(channel, &id, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(id, at->ai_src_addr) || rdma_listen(id, CLIENTS)) {
		complain("cannot listen at %s, port %s: %s", address ?: "any address", port,
			 strerror(errno));
		if (id)
			rdma_destroy_id(id);
		id = NULL;
	}
	rdma_freeaddrinfo(at);
	return id;
}

/* Serves at an address (NULL: all) until SIGINT or SIGTERM; what main() returns. */
static int serve(const struct service *service, const char *address)
{
	struct sigaction action = { .sa_handler = server_end };
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_cm_id *listener = channel ? server_listen(channel, address, service->port) :
						NULL;
	int rc = listener ? 0 : -1;
	sigset_t waiting, working;
	unsigned int i;

	/* Signals come while it waits and at no other time: none is missed between a look and a wait. */
	sigemptyset(&working);
	sigaddset(&working, SIGINT);
	sigaddset(&working, SIGTERM);
	sigprocmask(SIG_BLOCK, &working, &waiting);
	sigdelset(&waiting, SIGINT);
	sigdelset(&waiting, SIGTERM);
	/* A limit of the file size, and who reads what we say: errors of calls, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!rc && fcntl(channel->fd, F_SETFL, O_NONBLOCK))
		rc = complain("the events of connections: %s", strerror(errno));
	if (!rc)
		printf("serving at %s, port %s\n", address ?: "any address", service->port);
	fflush(stdout);
	while (!rc && !ended) {
		struct pollfd fds[CLIENTS + 1] = { { channel->fd, POLLIN, 0 } };

		for (i = 0; i < CLIENTS; i++)
			fds[i + 1] = (struct pollfd){ clients[i] ? clients[i]->peer.events->fd : -1,
						      POLLIN, 0 };
		if (ppoll(fds, CLIENTS + 1, NULL, &waiting) < 0) {
			rc = errno == EINTR ? 0 : complain("ppoll: %s", strerror(errno));
			continue;
		}
		for (i = 0; i < CLIENTS; i++)
			if (fds[i + 1].revents && client_look(service, clients[i]))
				client_drop(service, clients[i]);
		/* Last, since it changes who the clients are. */
		if (fds[0].revents)
			rc = server_event(service, channel, listener);
	}
	for (i = 0; i < CLIENTS; i++)
		if (clients[i])
			client_drop(service, clients[i]);
	if (listener)
		rdma_destroy_id(listener);
	if (channel)
		rdma_destroy_event_channel(channel);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
