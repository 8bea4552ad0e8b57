/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The invariant CRC at the end of every packet. Pure. */
#ifndef RXO_ICRC_H
#define RXO_ICRC_H

#include <linux/types.h>

/**
 * rxo_icrc - the invariant CRC of a RoCEv2 packet
 * @ip: its IP header, with UDP header, BTH and the rest behind it, linear
 * @ip_bytes: 20 for IPv4, which has no options then; 40 for IPv6, without extension headers
 * @bth_bytes: from the BTH to the end of the pad, at least the BTH
 *
 * Any context. Returns it in CPU order; on the wire it is little-endian.
 */
u32 rxo_icrc(const void *ip, u32 ip_bytes, u32 bth_bytes);

#endif /* RXO_ICRC_H */
