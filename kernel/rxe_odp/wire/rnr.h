/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RNR NAK timers: the five-bit code of the AETH (IBTA table 45). Pure. */
#ifndef RXO_RNR_H
#define RXO_RNR_H

#include <linux/types.h>

/* How long a code asks to wait. */
u32 rxo_rnr_usecs(u8 timer);

/* The shortest code that waits at least @ns; the longest (0) if none does. */
u8 rxo_rnr_timer(u64 ns);

#endif /* RXO_RNR_H */
