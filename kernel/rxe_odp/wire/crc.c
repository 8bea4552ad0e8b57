// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Sixteen tables take sixteen bytes in one step whose lookups do not wait for one
 * another (slicing; Kounavis and Berry, 2005): faster than byte by byte, slower than
 * processors that have instructions for it (device/crc_choice.c).
 *
 * table[n][b] is the CRC of byte b with n zeros behind it.
 */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/unaligned.h>

#include "wire/crc.h"

#define SLICES	16
#define POLY	0xedb88320	/* reflected */

static u32 table[SLICES][256] __ro_after_init;
static rxo_crc_fn *crc_fn __ro_after_init = rxo_crc32_sliced;

void __init rxo_crc_init(void)
{
	u32 byte, bit, n, before;

	for (byte = 0; byte < 256; byte++) {
		u32 crc = byte;

		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLY : 0);
		table[0][byte] = crc;
	}
	for (n = 1; n < SLICES; n++)
		for (byte = 0; byte < 256; byte++) {
			before = table[n - 1][byte];
			table[n][byte] = before >> 8 ^ table[0][before & 0xff];
		}
}

/* The CRC of four bytes with @last bytes of the same step behind them. */
static inline u32 crc_slice(u32 word, u32 last)
{
	return table[last + 3][word & 0xff] ^ table[last + 2][word >> 8 & 0xff] ^
	       table[last + 1][word >> 16 & 0xff] ^ table[last][word >> 24];
}

u32 rxo_crc32_sliced(u32 crc, const void *data, size_t bytes)
{
	const u8 *at = data;

	for (; bytes >= SLICES; bytes -= SLICES, at += SLICES)
		crc = crc_slice(get_unaligned_le32(at) ^ crc, 12) ^
		      crc_slice(get_unaligned_le32(at + 4), 8) ^
		      crc_slice(get_unaligned_le32(at + 8), 4) ^
		      crc_slice(get_unaligned_le32(at + 12), 0);
	while (bytes--)
		crc = crc >> 8 ^ table[0][(crc ^ *at++) & 0xff];
	return crc;
}

void __init rxo_crc_use(rxo_crc_fn *fn)
{
	crc_fn = fn;
}

u32 rxo_crc32(u32 crc, const void *data, size_t bytes)
{
	return crc_fn(crc, data, bytes);
}
