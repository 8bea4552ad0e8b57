/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Swap on zram, for tests of what is written out. */
#ifndef TESTS_GUEST_SWAP_H
#define TESTS_GUEST_SWAP_H

#include <stdbool.h>
#include <stddef.h>

/* Skips the test where there is no zram. A second call does nothing. */
void swap_begin(void);
/* To be called when the program ends. */
void swap_end(void);

/* MADV_PAGEOUT of pages that were touched; false if more than a quarter of them stays in memory. */
bool page_out(void *addr, size_t bytes);

#endif
