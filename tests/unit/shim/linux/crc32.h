/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef SHIM_LINUX_CRC32_H
#define SHIM_LINUX_CRC32_H

#include <linux/types.h>

/* Bit by bit, as the polynomial is written down. */
static inline u32 crc32_le(u32 crc, const void *p, size_t len)
{
	const u8 *byte = p;
	int bit;

	for (; len; len--) {
		crc ^= *byte++;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return crc;
}

#endif
