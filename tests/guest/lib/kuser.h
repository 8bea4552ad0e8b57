/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Tests that the module rxe_odp_kuser runs in the kernel (kernel/rxe_odp/selftest/kuser), on the first device. */
#ifndef TESTS_GUEST_KUSER_H
#define TESTS_GUEST_KUSER_H

#include "test.h"

void kuser_run(const char *test);

#define KERNEL_TEST(name)                                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		kuser_run(#name);                                                                  \
	}

#endif
