/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What goes by on a netdev, in either direction: from sniff_open() on, packets are kept until they are asked for. A
 * packet is kept when it is handed to the netdev or taken from it, so all of a message are there once it has completed.
 */
#ifndef TESTS_GUEST_SNIFF_H
#define TESTS_GUEST_SNIFF_H

#include "test.h"

struct sniff {
	int fd;
};

struct sniffed {
	bool out;	  /* of this netdev, else into it */
	uint8_t protocol; /* above IP */
	uint8_t src[16];  /* an IPv4 address as the GID that maps it */
	size_t bytes;	  /* of the IP packet */
	bool roce;	  /* to UDP port 4791; the rest is valid then */
	uint16_t src_port;
	uint8_t opcode;
	uint32_t dest_qpn;
	uint32_t src_qpn;  /* of datagrams */
	uint32_t psn;	   /* the first */
	unsigned int psns; /* more than one: a wide packet (kernel/rxe_odp/wire/wire.h) */
	bool sum_open;	   /* its UDP checksum is still to be computed */
	uint8_t bth[96];   /* from there to the ICRC, of a packet that is no longer than this */
	size_t bth_bytes;  /* 0: it is longer */
};

/* The netdev of the thread's namespace. */
void sniff_open(struct sniff *sniff, const char *netdev);
/* The next IP packet, of either family; false when there is no more. Fails the test when some were lost. */
bool sniff_next(struct sniff *sniff, struct sniffed *packet);
void sniff_close(struct sniff *sniff);

#endif
