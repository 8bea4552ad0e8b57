/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Bytes that tell their position: byte i of pattern S repeats at no power of two, so that a wrong page, a wrong
 * offset in a page, a swapped packet and a byte too many all show.
 */
#ifndef TESTS_GUEST_PATTERN_H
#define TESTS_GUEST_PATTERN_H

#include "test.h"

uint8_t pattern_byte(uint32_t seed, size_t pos);

/* Fills addr with the bytes first, first + 1, ... of pattern seed. */
void pattern_fill(void *addr, size_t bytes, uint32_t seed, size_t first);

/* 0 if addr holds them, else prints the first difference and the number of wrong bytes; from any thread. */
int pattern_differs(const void *addr, size_t bytes, uint32_t seed, size_t first, const char *what);

/* The same as an assertion. */
void pattern_check_at(const char *file, int line, const void *addr, size_t bytes, uint32_t seed,
		      size_t first, const char *what);

#define pattern_check(addr, bytes, seed, first, what)                                              \
	pattern_check_at(__FILE__, __LINE__, addr, bytes, seed, first, what)

#endif
