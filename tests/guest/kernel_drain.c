// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A kernel user drains its queue pairs: in the error state each request completes, once, and what is posted then does too, wherever
 * ib_core polls, whatever the peer does and whichever CPU sent last. What is done and expected is in kernel/rxe_odp/selftest/kuser/drain.c.
 *
 * rdma-odp: timeout 240
 */
#include "kuser.h"

KERNEL_TEST(drain_bound)
KERNEL_TEST(drain_storm)

TEST_MAIN(TEST(drain_bound), TEST(drain_storm))
