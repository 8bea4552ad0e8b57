/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* All that a process may do to its memory, at random, to the workers' slices. */
#ifndef STORM_CHAOS_H
#define STORM_CHAOS_H

/* A thread, until the storm stops; @rnd is a struct rnd of its own. */
void *chaos(void *rnd);

#endif
