/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A worker: a queue pair that writes, sends, reads and counts in its slice of memory, and looks at what is there then. */
#ifndef STORM_WORKER_H
#define STORM_WORKER_H

#include "memory.h"
#include "random.h"

#include <pthread.h>

#define WORKERS SLICES
#define WILD	(2 * MEMORIES) /* and those behind it: one in each kind of memory */

struct worker {
	pthread_t thread;
	unsigned int nr;
	struct rnd rnd;
	struct memory *memory;
	uint8_t *slice;
	pthread_mutex_t lock; /* of the slice's mapping and content; the wild one does not take it */
	volatile int wanted;  /* others wait for it */
	struct end a, b;
	struct buf local, back, old, count;
	unsigned long done, owed, reconnects;
	char failure[200];
};

extern struct worker workers[WORKERS];
extern volatile bool storm_stop;

/*
 * User Mode Linux does not interrupt a process that runs on another CPU when its page tables change: until its next system call
 * it reads and writes the old pages (docs/testing.md). There, where this is set, a worker makes one before it looks, looks at slices through the
 * kernel, and nothing moves the memory that it fills itself.
 */
extern bool storm_lazy_mmu;

static inline bool is_wild(const struct worker *w)
{
	return w->nr >= WILD;
}

/* Other threads cannot assert: they say why, and everything stops. Always false. */
bool failed(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void workers_make(struct pair *pair, uint64_t seed);
void workers_start(void);
void workers_join(void);

/* Tells what they did, and fails the test if one of them failed. */
void workers_check(void);
void workers_free(void);

#endif
