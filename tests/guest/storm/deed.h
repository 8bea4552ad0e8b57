/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What was done to the memory, and how often the kernel did it or said no. */
#ifndef STORM_DEED_H
#define STORM_DEED_H

#include <stdbool.h>

enum deed {
	DONTNEED,
	UNMAPPED,
	MOVED,
	PROTECTED,
	READ_ONLY,
	FREED,
	HOLE,
	SECRET,
	CUT,
	TAKES_AWAY, /* those before it do */
	PAGED_OUT = TAKES_AWAY,
	LOCAL_PAGED_OUT,
	COLLAPSED,
	SPLIT,
	MERGED,
	SOFT_DIRTY,
	COMPACTED,
	SYNCED,
	DROPPED,
	FORKED,
	KILLED,
	EXECUTED,
	EXITED,
	DEEDS
};

/* Any thread. Nonzero rc: the kernel refused it with that errno. */
void deed_count(enum deed deed, int rc, int error);

/* Tells them all. Each must have been done, but what User Mode Linux (lazy_mmu) cannot do, or is spared. */
void deeds_check(bool lazy_mmu);

#endif
