// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* SEND with immediate over RC. */
#include "lengths.h"

LENGTHS_MAIN(OP_SEND_IMM)
