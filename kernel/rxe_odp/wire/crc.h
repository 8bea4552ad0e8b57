/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* CRC-32 as Ethernet has it: by tables of our own, or by what the kernel has. Pure. */
#ifndef RXO_CRC_H
#define RXO_CRC_H

#include <linux/types.h>

/* As crc32_le(): reflected, no complement at either end. Any context. */
typedef u32 rxo_crc_fn(u32 crc, const void *data, size_t bytes);

/* Makes the tables. At module load, before any other of these. */
void rxo_crc_init(void);

/* What rxo_crc32() calls from here on; at first the tables. At module load. */
void rxo_crc_use(rxo_crc_fn *fn);

u32 rxo_crc32(u32 crc, const void *data, size_t bytes);

/* The same by tables, whatever the kernel has. Any context. */
u32 rxo_crc32_sliced(u32 crc, const void *data, size_t bytes);

#endif /* RXO_CRC_H */
