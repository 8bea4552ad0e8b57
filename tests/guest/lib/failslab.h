/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Allocations of the kernel that fail, where it was built for that. */
#ifndef TESTS_GUEST_FAILSLAB_H
#define TESTS_GUEST_FAILSLAB_H

#include <stdbool.h>

/* Of one of the kernel's injectors, such as "failslab", "fail_page_alloc"; skips the test where it has none. */
void fail_begin(const char *injector);
void fail_set(const char *injector, const char *name, const char *value);

void failslab_begin(void);
void failslab_set(const char *name, const char *value);

/* A file through which the calling thread's nth allocation from then on fails; skips the test where there is none. */
int fail_nth_open(void);
void fail_nth(int file, unsigned int nth);
/* What is left of the number: 0 if the allocation has failed. */
unsigned int fail_nth_left(int file);

/*
 * Whether whole pages are among the allocations that may fail. A slab that is empty takes some, and where it gets none it asks for
 * fewer: with them it depends on what ran before which allocation is the nth, and none of those that fail may matter to the caller.
 */
void fail_pages_too(bool too);

/*
 * With task-filter, allocations of the fault threads fail and nobody else's: how many there are. They come and go, so this is
 * called now and then.
 */
unsigned int pick_fault_threads(void);

#endif
