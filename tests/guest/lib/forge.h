/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Forged packets: random ones that are nearly right, from a raw socket of the peer's namespace, over IPv4 and IPv6, with right and with
 * wrong ICRCs, to a live QP of any service, to QP1 and to numbers that nobody has.
 */
#ifndef TESTS_GUEST_FORGE_H
#define TESTS_GUEST_FORGE_H

#include "pair.h"
#include "random.h"

#define FORGE_QP1_QKEY 0x80010000
#define FORGE_QP1_MAX  256 /* bytes of a management datagram */
#define FORGE_SRQS     5

/* Where packets go: end a of a pair, and what they may say about it. */
struct forge_target {
	struct pair *pair;
	const struct buf *buf;
	uint32_t request_psn;	      /* that it expects */
	uint32_t answer_psn, answers; /* that it waits for, from there on */
	uint32_t spared_qpn;
	uint32_t srqs[FORGE_SRQS]; /* numbers, the QP's own first */
	bool answering;
};

/* Sockets of both families. */
struct forge_wire {
	int fd4, fd6;
};

struct forge_wire forge_open(void);
void forge_close(const struct forge_wire *wire);
void forge_send(const struct forge_wire *wire, const struct forge_target *t, const uint8_t *packet,
		size_t bytes);

/* A random packet of at most ROCE_MAX_PACKET bytes. Returns its length. */
size_t forge_packet(struct rnd *r, const struct forge_target *t, uint8_t *packet);
/* What tells whether one of ours is at the other end; likewise. A cookie of ours nobody can guess. */
size_t forge_probe(struct rnd *r, const struct forge_target *t, uint8_t *packet);
/* The packet is there from the BTH to the payload: adds all that the network does, a wrong ICRC unless @right. Likewise. */
size_t forge_seal(const struct forge_target *t, struct rnd *r, uint8_t *packet, size_t bth_bytes,
		  bool right);

size_t forge_path_mtu_bytes(const struct forge_target *t);

#endif
