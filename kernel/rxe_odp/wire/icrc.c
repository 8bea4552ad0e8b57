// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The ICRC is the CRC-32 of Ethernet over what no router changes: eight bytes
 * of ones in place of InfiniBand's local route header, then the IP, UDP and
 * transport headers with their variant fields replaced by ones, then the rest
 * as it is (RoCEv2 annex, A17.3.3). Variant are: of IPv4 the type of service,
 * the time to live and the checksum; of IPv6 the traffic class, the flow label
 * and the hop limit; the UDP checksum; and the first byte (FECN, BECN) of the
 * BTH's second word. The headers up to the BTH are masked in a copy.
 */
#include <linux/string.h>

#include "wire/crc.h"
#include "wire/icrc.h"
#include "wire/wire.h"

#define LRH_BYTES	8
#define IP4_BYTES	20
#define IP6_BYTES	40
#define UDP_BYTES	8
#define COPY_MAX_BYTES	(LRH_BYTES + IP6_BYTES + UDP_BYTES + sizeof(struct rxo_bth))

static void icrc_mask_ip4(u8 *ip)
{
	ip[1] = 0xff;			/* type of service */
	ip[8] = 0xff;			/* time to live */
	memset(ip + 10, 0xff, 2);	/* checksum */
}

static void icrc_mask_ip6(u8 *ip)
{
	ip[0] |= 0x0f;			/* traffic class and flow label, after the version */
	memset(ip + 1, 0xff, 3);
	ip[7] = 0xff;			/* hop limit */
}

u32 rxo_icrc(const void *ip, u32 ip_bytes, u32 bth_bytes)
{
	u32 copied = ip_bytes + UDP_BYTES + sizeof(struct rxo_bth);
	u8 copy[COPY_MAX_BYTES];
	u8 *masked = copy + LRH_BYTES;
	u32 crc;

	memset(copy, 0xff, LRH_BYTES);
	memcpy(masked, ip, copied);
	if (ip_bytes == IP4_BYTES)
		icrc_mask_ip4(masked);
	else
		icrc_mask_ip6(masked);
	memset(masked + ip_bytes + 6, 0xff, 2);	/* UDP checksum */
	masked[ip_bytes + UDP_BYTES + offsetof(struct rxo_bth, qpn)] = 0xff;

	crc = rxo_crc32(~0U, copy, LRH_BYTES + copied);
	return ~rxo_crc32(crc, (const u8 *)ip + copied, bth_bytes - sizeof(struct rxo_bth));
}
