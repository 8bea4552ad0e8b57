// SPDX-License-Identifier: GPL-2.0
/* Since 6.14: whether crc32_le() is more than a table. */
#include <linux/crc32.h>
#include <linux/module.h>

u32 probe(void);

u32 probe(void)
{
	return crc32_optimizations() & CRC32_LE_OPTIMIZATION;
}
