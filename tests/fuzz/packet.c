// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The packet parser under libFuzzer: what it accepts has all its headers, its payload and its pad inside the packet, and an ICRC
 * can be computed over it. The packet lies in memory of exactly its size, behind IP and UDP headers.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/icrc.h"
#include "wire/pkt.h"

static unsigned int sum;

/* Reads them: ASan says where they end. */
static void read_bytes(const void *from, size_t bytes)
{
	const volatile u8 *p = from;

	while (bytes--)
		sum += *p++;
}

static void read_headers(void *bth, u32 flags)
{
	if (flags & RXO_OP_XRCETH)
		read_bytes(rxo_bth_xrceth(bth), sizeof(struct rxo_xrceth));
	if (flags & RXO_OP_DETH)
		read_bytes(rxo_bth_deth(bth), sizeof(struct rxo_deth));
	if (flags & RXO_OP_RETH)
		read_bytes(rxo_bth_reth(bth), sizeof(struct rxo_reth));
	if (flags & RXO_OP_AETH)
		read_bytes(rxo_bth_aeth(bth), sizeof(struct rxo_aeth));
	if (flags & RXO_OP_ATOMIC_ETH)
		read_bytes(rxo_bth_atomic_eth(bth), sizeof(struct rxo_atomic_eth));
	if (flags & RXO_OP_ATOMIC_ACK_ETH)
		read_bytes(rxo_bth_atomic_ack_eth(bth), sizeof(struct rxo_atomic_ack_eth));
	if (flags & RXO_OP_IMM)
		read_bytes(rxo_bth_imm(bth), sizeof(struct rxo_immdt));
	if (flags & RXO_OP_PROBE)
		read_bytes(rxo_bth_probeth(bth), sizeof(struct rxo_probeth));
	if (flags & RXO_OP_IETH)
		read_bytes(rxo_bth_ieth(bth), sizeof(struct rxo_ieth));
}

static void check_packet(u8 *bth, u32 bytes)
{
	struct rxo_pkt pkt;
	u32 service;

	if (rxo_pkt_parse(&pkt, bth, bytes))
		return;
	CHECK(pkt.flags & RXO_OP_VALID);
	service = pkt.flags & (RXO_OP_RC | RXO_OP_UC | RXO_OP_XRC | RXO_OP_UD);
	/* One, or of a CNP all that are connected. */
	CHECK(service && (!(service & (service - 1)) || pkt.flags & RXO_OP_CNP));
	CHECK(!(pkt.flags & RXO_OP_XRCETH) == !(service == RXO_OP_XRC && pkt.flags & RXO_OP_REQ));
	CHECK(pkt.qpn < 1 << 24 && pkt.psn < 1 << 24 && pkt.opcode == bth[0]);
	CHECK(pkt.payload_off + pkt.payload_bytes + rxo_bth_pad((void *)bth) == bytes);
	CHECK(!pkt.payload_bytes || pkt.flags & RXO_OP_PAYLOAD);
	read_headers(bth, pkt.flags);
	read_bytes((u8 *)bth + pkt.payload_off, pkt.payload_bytes);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u32 ip_bytes[2] = { 20, 40 };
	u32 before;
	u8 *packet;

	if (!size || size > 65536)
		return 0;
	before = ip_bytes[data[0] & 1] + 8;
	size--;
	packet = malloc(before + size);
	CHECK(packet);
	memset(packet, 0x45, before);
	memcpy(packet + before, data + 1, size);
	check_packet(packet + before, size);
	if (size >= sizeof(struct rxo_bth))
		sum += rxo_icrc(packet, before - 8, size);
	free(packet);
	return 0;
}
