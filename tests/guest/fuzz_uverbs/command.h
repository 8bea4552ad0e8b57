/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What librxe would not ask for: commands that are written, and ioctls, made by hand. Each call returns whether it worked. */
#ifndef FUZZ_UVERBS_COMMAND_H
#define FUZZ_UVERBS_COMMAND_H

#include "zoo.h"

/* A command of any kind with any content; those that end things may end what z holds, so they are left out. */
bool command_write(struct zoo *z);
/*
 * In a context of their own, so that what they destroy is nothing that z holds, and what they make
 * goes when it is closed.
 */
bool command_ioctl(struct zoo *z);

#endif
