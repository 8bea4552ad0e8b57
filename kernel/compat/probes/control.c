// SPDX-License-Identifier: GPL-2.0
/* Compiles everywhere: see probe.sh. */
#include <linux/module.h>
