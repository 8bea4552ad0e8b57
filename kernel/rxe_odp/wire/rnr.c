// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "wire/rnr.h"

#define NSEC_PER_RNR_USEC	1000

static const u32 rnr_usecs[32] = {
	655360, 10, 20, 30, 40, 60, 80, 120,
	160, 240, 320, 480, 640, 960, 1280, 1920,
	2560, 3840, 5120, 7680, 10240, 15360, 20480, 30720,
	40960, 61440, 81920, 122880, 163840, 245760, 327680, 491520,
};

u32 rxo_rnr_usecs(u8 timer)
{
	return rnr_usecs[timer & 31];
}

u8 rxo_rnr_timer(u64 ns)
{
	u8 timer;

	for (timer = 1; timer < 32; timer++)
		if ((u64)rnr_usecs[timer] * NSEC_PER_RNR_USEC >= ns)
			return timer;
	return 0;
}
