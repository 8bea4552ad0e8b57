// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* RDMA WRITE from and into pages that are in no page table yet, of every kind of memory. */
#include "cold.h"

static void source_is_cold(void **state)
{
	(void)state;
	cold_run(OP_WRITE, COLD_SOURCE);
}

static void target_is_cold(void **state)
{
	(void)state;
	cold_run(OP_WRITE, COLD_TARGET);
}

static void both_are_cold(void **state)
{
	(void)state;
	cold_run(OP_WRITE, COLD_SOURCE | COLD_TARGET);
}

TEST_MAIN(TEST(source_is_cold), TEST(target_is_cold), TEST(both_are_cold))
