/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Messages of every length by one operation of RC, each as a test: of memory that is pinned or on demand (TEST_BOTH). */
#ifndef TESTS_GUEST_LENGTHS_H
#define TESTS_GUEST_LENGTHS_H

#include "pair.h"

/* Between buffers at different offsets in their pages, each length twice. */
void lengths_all(void **state, enum op op);
void lengths_zero(void **state, enum op op);
/* Between the two namespaces, in packets of 4096 bytes. */
void lengths_wire(void **state, enum op op);

/* A program whose tests these are. */
#define LENGTHS_MAIN(op)                                                                           \
	static void every_length(void **state)                                                     \
	{                                                                                          \
		lengths_all(state, op);                                                            \
	}                                                                                          \
	static void zero_bytes(void **state)                                                       \
	{                                                                                          \
		lengths_zero(state, op);                                                           \
	}                                                                                          \
	static void over_the_wire(void **state)                                                    \
	{                                                                                          \
		lengths_wire(state, op);                                                           \
	}                                                                                          \
	TEST_MAIN(TEST_BOTH(every_length), TEST_BOTH(zero_bytes), TEST_BOTH(over_the_wire))

#endif
