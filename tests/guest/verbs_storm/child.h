/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A process of the storm, which makes, uses and destroys objects of either device. */
#ifndef VERBS_STORM_CHILD_H
#define VERBS_STORM_CHILD_H

#include <stdint.h>

/* The exit status; it does not return where it is to be killed. */
int child(unsigned int nr, uint64_t seed, int tally_fd);

#endif
