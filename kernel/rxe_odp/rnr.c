// SPDX-License-Identifier: GPL-2.0
/* RNR NAK timers: the five-bit code of the AETH (IBTA table 45). */

#include <linux/kernel.h>
#include <linux/time64.h>

#include "qp.h"

static const u32 rnr_usecs[32] = {
	655360, 10, 20, 30, 40, 60, 80, 120,
	160, 240, 320, 480, 640, 960, 1280, 1920,
	2560, 3840, 5120, 7680, 10240, 15360, 20480, 30720,
	40960, 61440, 81920, 122880, 163840, 245760, 327680, 491520,
};

/* How long a code asks to wait. */
u32 rxo_rnr_usecs(u8 timer)
{
	return rnr_usecs[timer & 31];
}

/* The shortest code that waits at least @ns; the longest (0) if none does. */
u8 rxo_rnr_timer(u64 ns)
{
	u8 timer;

	for (timer = 1; timer < 32; timer++)
		if ((u64)rnr_usecs[timer] * NSEC_PER_USEC >= ns)
			return timer;
	return 0;
}
