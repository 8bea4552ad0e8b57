// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that a kernel user registers by work requests: states, keys, bounds, rights, invalidation by itself and by a peer,
 * fences, many at once, completions in every context. What is done and expected is in kernel/rxe_odp/selftest/kuser.
 */
#include "kuser.h"

KERNEL_TEST(states)
KERNEL_TEST(data)
KERNEL_TEST(received_and_added)
KERNEL_TEST(bounds)
KERNEL_TEST(key_byte)
KERNEL_TEST(key_of_another)
KERNEL_TEST(after_invalidation)
KERNEL_TEST(rights)
KERNEL_TEST(other_domain)
KERNEL_TEST(lists)
KERNEL_TEST(block_sizes)
KERNEL_TEST(by_peer)
KERNEL_TEST(behind_read)
KERNEL_TEST(deregistered_before)
KERNEL_TEST(chained)
KERNEL_TEST(under_way)
KERNEL_TEST(many_in_flight)
KERNEL_TEST(poll_contexts)

TEST_MAIN(TEST(states), TEST(data), TEST(received_and_added), TEST(bounds), TEST(key_byte),
	  TEST(key_of_another), TEST(after_invalidation), TEST(rights), TEST(other_domain),
	  TEST(lists), TEST(block_sizes), TEST(by_peer), TEST(behind_read),
	  TEST(deregistered_before), TEST(chained), TEST(under_way), TEST(many_in_flight),
	  TEST(poll_contexts))
