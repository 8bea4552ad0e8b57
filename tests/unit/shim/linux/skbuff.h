/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* As much of an skb as packet parsing looks at. */
#ifndef SHIM_LINUX_SKBUFF_H
#define SHIM_LINUX_SKBUFF_H

#include <linux/build_bug.h>
#include <linux/types.h>

struct sk_buff {
	char cb[48] __attribute__((aligned(8)));
	unsigned int len;
	u8 *data;
};

#endif
