/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The ways in which a NIC comes to memory of a region, and what each owes where it is refused. */
#ifndef TESTS_GUEST_WAY_H
#define TESTS_GUEST_WAY_H

#include "pair.h"

enum way { REMOTE_WRITE, REMOTE_READ, REMOTE_ATOMIC, LOCAL_SOURCE, LOCAL_TARGET, RECV, WAYS };

const char *way_name(enum way way);
/* The region is the peer's, b's: who posts is a. */
bool way_is_remote(enum way way);
/* Eight bytes at addr of the region mr, and of good on the other side: it fails as it must. The pair is in error then. */
void way_is_refused(struct pair *pair, enum way way, const struct buf *good,
		    const struct ibv_mr *mr, uint64_t addr);

#endif
