/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What all processes of the storm have made and seen, in memory that they share; and where they find one another. */
#ifndef VERBS_STORM_TALLY_H
#define VERBS_STORM_TALLY_H

#include "rig.h"

#define CHILDREN 6

enum kind {
	PD_MADE,
	CQ_MADE,
	CQ_RESIZED,
	SRQ_MADE,
	SRQ_RESIZED,
	QP_RC,
	QP_UC,
	QP_UD,
	AH_MADE,
	MR_PINNED,
	MR_ON_DEMAND,
	MR_IMPLICIT,
	MR_REREGISTERED,
	MW_TYPE_1,
	MW_TYPE_2,
	MW_BOUND,
	MW_INVALIDATED,
	BUSY,
	REQUESTS,
	REQUESTS_FAILED,
	MESSAGES,
	FOREIGN_MESSAGES,
	STALE_KEYS,
	KEY_GONE_UNDER_WAY,
	MEMORY_GONE_UNDER_WAY,
	QP_GONE_UNDER_WAY,
	CHILD_KILLED,
	CHILD_LEFT,
	CHILD_CLEANED,
	WATCHED,
	/* Through librxe_odp alone. */
	XRC_KINDS,
	XRCD_MADE = XRC_KINDS,
	XRC_SRQ_MADE,
	QP_XRC,
	KINDS
};

/* A queue pair that takes datagrams from everybody. Nothing keeps it true: its process may have ended. */
struct address {
	union ibv_gid gid;
	uint32_t qp_num;
};

struct tally {
	unsigned long done[KINDS];
	struct address addresses[CHILDREN];
};

extern struct tally *tally;

/* In the parent: the memory, and the descriptor that a child maps it by. */
int tally_make(void);
void tally_map(int fd);
void tally_free(int fd);

static inline void tally_count(enum kind kind)
{
	__atomic_fetch_add(&tally->done[kind], 1, __ATOMIC_RELAXED);
}

void tally_print(void);

/* What was not done once, or NULL. */
const char *tally_missing(void);

#endif
