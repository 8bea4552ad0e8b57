// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* RDMA WRITE with immediate: data in place, and a receive completion with the immediate and the length. */
#include "lengths.h"

LENGTHS_MAIN(OP_WRITE_IMM)
