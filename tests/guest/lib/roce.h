/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RoCEv2 packets made by hand: what a network, or another program of the host, may bring. */
#ifndef TESTS_GUEST_ROCE_H
#define TESTS_GUEST_ROCE_H

#include "pair.h"

#include <netinet/udp.h>

#define ROCE_PORT	   4791
#define ROCE_MAX_PACKET	   1500UL
#define ROCE_BTH_BYTES	   12UL
#define ROCE_ICRC_BYTES	   4UL
#define ROCE_UDP_BYTES	   sizeof(struct udphdr)
#define ROCE_SEND_ONLY	   0x04
#define ROCE_SEND_LAST_INV 0x16
#define ROCE_SEND_ONLY_INV 0x17
#define ROCE_READ_RESPONSE 0x0e /* the one in the middle: without a header of its own */
#define ROCE_READ	   0x0c
#define ROCE_ACK	   0x11
#define ROCE_FLUSH	   0x1c
#define ROCE_ATOMIC_WRITE  0x1d
#define ROCE_UC		   0x20 /* its opcodes are RC's and this */
#define ROCE_UD_SEND	   0x64
#define ROCE_XRC	   0xa0 /* as UC */
#define ROCE_PROBE	   0xc0 /* kernel/rxe_odp/wire/wire.h */

/* From one end to another, by their GIDs. */
struct roce_path {
	bool ipv6;
	union ibv_gid from, to;
};

struct roce_path roce_path(const struct end *from, const struct end *to);

/* Big-endian, wherever it is. */
void roce_put32(uint8_t *at, uint32_t value);
void roce_put64(uint8_t *at, uint64_t value);

size_t roce_ip_bytes(bool ipv6);
/* The IP header of a packet that has so many bytes behind it. */
void roce_put_ip(const struct roce_path *path, uint8_t *packet, size_t bytes);
/* Over a packet from its IP header to its pad. Little-endian on the wire. */
uint32_t roce_icrc(bool ipv6, const uint8_t *packet, size_t bytes);

/*
 * An ordinary UDP socket of the user nobody, at the address where the path begins; closed by the caller. What it
 * sends is whole RoCEv2 packets all the same, since all that IP adds can be foreseen.
 */
int roce_user_socket(const struct roce_path *path);
/*
 * A request or an answer for a QP: BTH, extended header, payload of zeros. The upper bits of @psn are those that stand there in the
 * BTH. Returns 0 or -errno.
 */
int roce_user_send(int fd, const struct roce_path *path, uint8_t opcode, uint32_t qpn, uint32_t psn,
		   const void *header, size_t header_bytes, size_t payload);

/* The reserved bits of @psn say more than one: of a kind that is long, by as much payload. */
int roce_user_probe(int fd, const struct roce_path *path, uint32_t qpn, uint32_t psn, uint64_t from,
		    uint64_t to, size_t payload);

/* The bytes from a BTH to an ICRC, as they are; @summed: with a UDP checksum. */
void roce_user_replay(int fd, const struct roce_path *path, const uint8_t *bth, size_t bytes,
		      bool summed);

/*
 * The rule of data/roce.nft, in the namespace of the calling thread. The first skips the test where it cannot be had; the
 * second does nothing where there is none, also behind a test that failed.
 */
void roce_rule_begin(void);
void roce_rule_end(void);

#endif
