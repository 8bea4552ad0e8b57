/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two connected queue pairs of a process, of any sort, with memory of their own on either side and a window over that of the second.
 * The first asks: it writes, sends, reads and adds in bursts of requests, and does not wait for them. Before a burst all memory
 * is filled; from then on each byte is what it was or what was to come, and what a request has moved that succeeded is all there. When a
 * key is taken back under way, requests may fail, and no byte changes any more.
 */
#ifndef VERBS_STORM_LINK_H
#define VERBS_STORM_LINK_H

#include "pair.h"
#include "pool.h"

#define LINKS	    5
#define MAX_BURST   8
#define RQ_RECEIVES 16
#define AREA_BYTES  (2 * PAGE)

enum sort { RC, UC, UD, XRC, SORTS };

enum region { NONE, PINNED, ON_DEMAND, IMPLICIT };

/* What each side's memory holds. */
struct memory {
	uint8_t from[AREA_BYTES];
	uint8_t to[AREA_BYTES];
	uint64_t words[PAGE / sizeof(uint64_t)];
	uint8_t receives[RQ_RECEIVES][SLOT_BYTES];
};

struct request {
	enum ibv_wr_opcode opcode;
	uint32_t at, bytes;
	bool ok;
};

struct link {
	enum sort sort;
	unsigned int nr;
	uint32_t generation; /* of the connection */
	struct conn conn;
	struct side *side[2];
	struct rig rig[2]; /* the side's, with the end's domain */
	struct end end[2]; /* no qp: there is none */
	struct pd *pd[2];
	struct cq *scq[2], *rcq[2];
	struct srq *srq;
	struct memory *memory[2];
	struct ibv_mr *mr[2];
	enum region region[2];
	struct ibv_mw *mw;
	bool bound, bind_waits;
	enum ibv_wc_status bind_status;
	struct ibv_ah *foreign;
	uint32_t received; /* one bit for each receive that is posted */

	/* The burst. */
	struct request requests[MAX_BURST];
	unsigned int posted, left, failed;
	uint16_t seed;
	bool was_zero[2]; /* what the side's "to" held before */
	bool by_window, invalidates, must_fail;
	bool settles_later; /* a window that it goes by is being taken away */
	bool gone[2];	    /* the side's memory can no longer be reached, by key or at all */
	uint8_t *frozen[2]; /* and what it was then */
};

struct zoo {
	struct rnd rnd;
	unsigned int child;
	struct side sides[2];
	struct link links[LINKS];
};

/* Does something with it that may be done now. */
void link_step(struct zoo *z, struct link *link);
void link_break(struct zoo *z, struct link *link);

/* Takes all completions, and looks at what is complete. */
void reap(struct zoo *z);

/* A datagram to another process, which may have ended. */
void link_send_foreign(struct zoo *z, struct link *link);

#endif
