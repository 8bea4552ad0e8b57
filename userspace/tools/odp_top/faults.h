/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The last faults that ended, by the tracepoint umem_odp_wake, in an instance of tracefs of our own: other tracing is left alone.
 * For who may use tracefs; for others there are none.
 */
#ifndef ODP_TOP_FAULTS_H
#define ODP_TOP_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_FAULTS_KEPT 64

struct top_fault {
	uint32_t pid; /* as the initial PID namespace has it */
	uint64_t va;
	uint64_t ns;
	uint64_t region; /* where its region begins */
	uint64_t last;	 /* and its last byte */
	int err;
	bool write;
};

struct top_faults {
	int pipe; /* -1: none */
	char instance[128];
	char part[512]; /* of a line */
	size_t len;
	struct top_fault kept[TOP_FAULTS_KEPT]; /* a ring */
	size_t nr;				/* of all that came */
};

/* False if it cannot be had; then nothing else does anything. */
bool faults_open(struct top_faults *f);
void faults_close(struct top_faults *f);
/* Takes in what has come since. */
void faults_read(struct top_faults *f);
/* A line of trace_pipe; false if it is not about a fault. */
bool faults_parse(const char *line, struct top_fault *fault);
/*
 * Of a region's the one before the last @back, or NULL. A region is known by its process and its addresses here: the tracepoint has no
 * number of it, so that those of one process for the very same memory have their faults in common.
 */
const struct top_fault *faults_of(const struct top_faults *f, uint32_t pid, uint64_t start,
				  uint64_t last, size_t back);

#endif
