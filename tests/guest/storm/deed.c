// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "deed.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct {
	const char *name;
	unsigned long done, refused;
	int error;
} deeds[DEEDS] = {
	[DONTNEED] = { .name = "MADV_DONTNEED" },
	[UNMAPPED] = { .name = "munmap" },
	[MOVED] = { .name = "mremap" },
	[PROTECTED] = { .name = "mprotect and back" },
	[READ_ONLY] = { .name = "mprotect for a while" },
	[FREED] = { .name = "MADV_FREE" },
	[HOLE] = { .name = "hole punched" },
	[SECRET] = { .name = "memfd_secret" },
	[CUT] = { .name = "truncated" },
	[PAGED_OUT] = { .name = "MADV_PAGEOUT" },
	[LOCAL_PAGED_OUT] = { .name = "MADV_PAGEOUT, local" },
	[COLLAPSED] = { .name = "MADV_COLLAPSE" },
	[SPLIT] = { .name = "MADV_(NO)HUGEPAGE" },
	[MERGED] = { .name = "MADV_(UN)MERGEABLE" },
	[SOFT_DIRTY] = { .name = "soft-dirty cleared" },
	[COMPACTED] = { .name = "compaction" },
	[SYNCED] = { .name = "fdatasync" },
	[DROPPED] = { .name = "dropped from the cache" },
	[FORKED] = { .name = "fork" },
	[KILLED] = { .name = "owner killed" },
	[EXECUTED] = { .name = "owner calls exec" },
	[EXITED] = { .name = "owner exits" },
};

void deed_count(enum deed deed, int rc, int error)
{
	if (!rc) {
		__sync_fetch_and_add(&deeds[deed].done, 1);
		return;
	}
	__sync_fetch_and_add(&deeds[deed].refused, 1);
	deeds[deed].error = error;
}

static bool may_be_left_out(enum deed deed)
{
	switch (deed) {
	case SECRET:
	case COLLAPSED:
	case SPLIT:
	case LOCAL_PAGED_OUT:
	case COMPACTED:
		return true;
	default:
		return false;
	}
}

void deeds_check(bool lazy_mmu)
{
	unsigned int i;

	for (i = 0; i < DEEDS; i++) {
		printf("%-22s %8lu times", deeds[i].name, deeds[i].done);
		if (deeds[i].refused)
			printf(", refused %lu times (%s)", deeds[i].refused,
			       strerror(deeds[i].error));
		printf("\n");
	}
	/* It needs 2 MiB that nobody cuts up meanwhile; others must be done, and not only be tried. */
	deeds[COLLAPSED].done += deeds[COLLAPSED].refused;
	for (i = 0; i < DEEDS; i++) {
		if (lazy_mmu && may_be_left_out(i))
			continue;
		if (!deeds[i].done || (i < TAKES_AWAY && i != MOVED && deeds[i].refused))
			fail_because("%s: %lu times, refused %lu times", deeds[i].name,
				     deeds[i].done, deeds[i].refused);
	}
}
