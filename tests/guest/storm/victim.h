/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Other owners of regions on the same device, which end in the middle of traffic and of faults. */
#ifndef STORM_VICTIM_H
#define STORM_VICTIM_H

#include "deed.h"

#include <stdbool.h>

/* A thread, until the storm stops: one after the other; @rnd is a struct rnd of its own. */
void *victims(void *rnd);

/*
 * What the program is when called as "victim END NEVER": traffic without end, and perhaps a fault without one, until it is killed
 * or ends itself (@end). The exit status.
 */
int victim(bool never, enum deed end);

#endif
