/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the kernel's slab caches hold. */
#ifndef TESTS_GUEST_SLAB_H
#define TESTS_GUEST_SLAB_H

#include "test.h"

/*
 * Bytes in use in all caches whose names begin so; -1 if there are none. What CPUs keep for themselves counts as used, and is taken
 * from them first. An instrumented kernel puts its own data behind every object, which is not counted.
 */
int64_t slab_bytes(const char *beginning, bool print);

#endif
