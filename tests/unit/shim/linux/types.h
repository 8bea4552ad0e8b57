/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The kernel's names, so that its pure sources compile in user space. */
#ifndef SHIM_LINUX_TYPES_H
#define SHIM_LINUX_TYPES_H

#include_next <linux/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX

#ifndef __packed
#define __packed __attribute__((packed))
#endif

#endif
