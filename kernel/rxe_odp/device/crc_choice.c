// SPDX-License-Identifier: GPL-2.0
/*
 * Which CRC-32 this machine is to use. Each byte of a packet goes through it twice, so that it
 * is most of a packet's time: crc32_le() is as fast as memory where it has instructions for it
 * (carry-less multiplication), and many times slower than tables of our own where it has none.
 */
#include <linux/crc32.h>

#include "device/dev.h"
#include "wire/crc.h"

/* Older kernels' takes a pointer to bytes. */
static u32 crc_of_kernel(u32 crc, const void *data, size_t bytes)
{
	return crc32_le(crc, data, bytes);
}

void __init rxo_crc_choose(void)
{
	rxo_crc_init();
	if (crc32_optimizations() & CRC32_LE_OPTIMIZATION)
		rxo_crc_use(crc_of_kernel);
}
