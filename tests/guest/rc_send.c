// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* SEND over RC: every length arrives in the posted receive, and its completion tells the length. */
#include "lengths.h"

LENGTHS_MAIN(OP_SEND)
