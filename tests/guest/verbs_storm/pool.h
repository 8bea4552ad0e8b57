/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What queue pairs share: protection domains, CQs, SRQs, XRC domains of one device, each with the number of those that use it. Who is
 * in use cannot be destroyed, and says so.
 */
#ifndef VERBS_STORM_POOL_H
#define VERBS_STORM_POOL_H

#include "mem.h"
#include "random.h"

#define PDS	   3
#define CQS	   4
#define SRQS	   3 /* of each sort */
#define XRCDS	   2
#define AHS	   3
#define RECEIVES   32
#define SLOT_BYTES 2200UL
#define MIN_CQE	   1000
#define MIN_SRQ	   64

/* Whose a receive is; in the wr_id. */
enum wr_kind { WR_REQUEST, WR_RECEIVE, WR_SRQ_RECEIVE, WR_BIND };

struct wr_id {
	uint32_t generation;
	uint16_t slot;
	uint8_t index;
	uint8_t kind;
};

_Static_assert(sizeof(struct wr_id) == 8, "it is passed as a number");

struct pd {
	struct ibv_pd *pd;
	unsigned int users;
};

struct cq {
	struct ibv_cq *cq;
	unsigned int users;
};

struct xrcd {
	struct ibv_xrcd *xrcd;
	unsigned int users;
};

struct srq {
	struct ibv_srq *srq;
	unsigned int users;
	uint32_t generation;
	struct pd *pd;
	struct cq *cq;	   /* XRC */
	struct xrcd *xrcd; /* XRC */
	struct ibv_mr *mr;
	uint8_t *mem;
	uint32_t posted; /* one bit for each slot */
};

struct ah {
	struct ibv_ah *ah;
	struct pd *pd;
};

/* A device. */
struct side {
	struct rig rig;
	struct pd pds[PDS];
	struct cq cqs[CQS];
	struct xrcd xrcds[XRCDS];
	struct srq srqs[2 * SRQS]; /* XRC ones behind the others */
	struct ah ahs[AHS];
};

/* One of them, made if need be; the caller counts himself in. */
struct pd *pool_pd(struct side *side, struct rnd *r);
struct cq *pool_cq(struct side *side, struct rnd *r);
struct srq *pool_srq(struct side *side, struct rnd *r, bool xrc);

/* Something of the pool is made, changed or destroyed; or cannot be. */
void pool_disturb(struct side *side, struct rnd *r);

/* All receives that were taken are posted again. */
void pool_post_receives(struct side *side);

/* Nothing is used any more: all goes. */
void pool_clear(struct side *side);

/* A call that destroys: it says EBUSY exactly if there are users. True if it was done. */
bool destroyed_at(int line, int rc, bool busy, const char *what);
#define destroyed(rc, busy, what) destroyed_at(__LINE__, rc, busy, what)

/* A number that none before it was. */
uint32_t next_generation(void);
uint64_t wr_id_of(enum wr_kind kind, unsigned int index, unsigned int slot, uint32_t generation);

uint8_t *map_bytes(size_t bytes);

#endif
