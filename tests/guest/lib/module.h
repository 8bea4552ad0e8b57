/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Modules of ours that only tests load. */
#ifndef TESTS_GUEST_MODULE_H
#define TESTS_GUEST_MODULE_H

#include "test.h"

/* Opens /dev/NAME; its module is loaded first, if need be, and goes when the program ends. */
int module_open(const char *module, const char *name);

#endif
