/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Stock rdma_rxe beside us: its mixed0 on veth0 is the device under test, our mixed1 on veth1, in the namespace "peer", is the
 * peer. What they were before is there again afterwards.
 */
#ifndef TESTS_GUEST_MIXED_H
#define TESTS_GUEST_MIXED_H

#include "test.h"

/* Runs the tests between them; what main() returns. */
int mixed_run(const struct CMUnitTest *tests, size_t count);

#endif
