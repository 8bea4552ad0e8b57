/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A thread that discards page after page of some memory, all the time. */
#ifndef TESTS_GUEST_DISCARD_H
#define TESTS_GUEST_DISCARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct discarder {
	uint8_t *at;
	size_t bytes;
	pthread_t thread;
	bool touches;
	volatile bool stop;
	volatile unsigned long pages; /* discarded so far */
};

/* @touches: now and then a page gets 1 in its first byte before. */
void discard_begin(struct discarder *d, uint8_t *at, size_t bytes, bool touches);
void discard_end(struct discarder *d);

#endif
