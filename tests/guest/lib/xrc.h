/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * An XRC connection as a pair: end a is the initiator; end b is the target, its SRQ is the one that a's requests name, and its
 * rcq is that SRQ's. Through librxe_odp alone: rig_use_provider().
 */
#ifndef TESTS_GUEST_XRC_H
#define TESTS_GUEST_XRC_H

#include "pair.h"

struct xrc {
	struct pair pair;
	struct ibv_xrcd *xrcd; /* of end b's device */
};

/* CONN, for XRC. */
struct conn xrc_conn(void);

void xrc_open(struct xrc *x, const struct conn *conn);
/* In the domain of a file (-1: of none), perhaps (not 0) by a target that another process made there. */
void xrc_open_in(struct xrc *x, const struct conn *conn, int fd, uint32_t target_num);
void xrc_close(struct xrc *x);

/* The parts. NULL, with errno, if they cannot be had; they report nothing, for child processes. */
/* The domain of a file, created if it is not there; of no file for -1. */
struct ibv_xrcd *xrc_domain(struct ibv_context *ctx, int fd);
struct ibv_srq *xrc_srq(struct ibv_pd *pd, struct ibv_xrcd *xrcd, struct ibv_cq *cq,
			const struct conn *conn);
struct ibv_qp *xrc_target(struct ibv_context *ctx, struct ibv_xrcd *xrcd);
struct ibv_qp *xrc_open_target(struct ibv_context *ctx, struct ibv_xrcd *xrcd, uint32_t qp_num);
struct ibv_qp *xrc_initiator(struct end *end, const struct conn *conn);
uint32_t xrc_srq_num(struct ibv_srq *srq);

#endif
