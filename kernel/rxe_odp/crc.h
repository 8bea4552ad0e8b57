/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* CRC-32 as Ethernet has it: the kernel's where that is fast, else our own. */
#ifndef RXO_CRC_H
#define RXO_CRC_H

#include <linux/types.h>

/* Makes the tables. Before the first rxo_crc32_sliced(). */
void rxo_crc_init(void);

/* As crc32_le(): reflected, no complement at either end. Any context. */
u32 rxo_crc32(u32 crc, const void *data, size_t bytes);

/* The same by tables, whatever the kernel has. Any context. */
u32 rxo_crc32_sliced(u32 crc, const void *data, size_t bytes);

#endif /* RXO_CRC_H */
