// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* RDMA WRITE over RC: every length arrives whole, and nothing around it changes. */
#include "lengths.h"

LENGTHS_MAIN(OP_WRITE)
