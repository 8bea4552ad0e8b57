// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "sniff.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_BYTES (16 << 20)
#define ROCE_PORT  4791
#define UD_OPCODES 0x60

void sniff_open(struct sniff *sniff, const char *netdev)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int room = ROOM_BYTES;

	at.sll_ifindex = if_nametoindex(netdev);
	if (!at.sll_ifindex)
		fail_because("no netdev %s", netdev);
	sniff->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(sniff->fd >= 0);
	assert_zero(setsockopt(sniff->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)));
	assert_zero(bind(sniff->fd, (struct sockaddr *)&at, sizeof(at)));
}

static uint32_t number(const uint8_t *at, int bytes)
{
	uint32_t n = 0;

	while (bytes--)
		n = n << 8 | *at++;
	return n;
}

static void parse_roce(struct sniffed *packet, const uint8_t *udp, size_t bytes)
{
	if (packet->protocol != IPPROTO_UDP || bytes < 28 || number(udp + 2, 2) != ROCE_PORT)
		return;
	packet->roce = true;
	packet->src_port = number(udp, 2);
	packet->opcode = udp[8];
	packet->dest_qpn = number(udp + 13, 3);
	if ((packet->opcode & 0xe0) == UD_OPCODES)
		packet->src_qpn = number(udp + 25, 3);
}

/* False for what is no IP packet. */
static bool parse(struct sniffed *packet, uint16_t type, const uint8_t *ip, size_t bytes)
{
	size_t header = type == ETHERTYPE_IP ? (ip[0] & 15) * 4 : 40;

	if ((type != ETHERTYPE_IP && type != ETHERTYPE_IPV6) || bytes < header)
		return false;
	if (type == ETHERTYPE_IP) {
		packet->protocol = ip[9];
		packet->src[10] = 0xff;
		packet->src[11] = 0xff;
		memcpy(packet->src + 12, ip + 12, 4);
	} else {
		packet->protocol = ip[6];
		memcpy(packet->src, ip + 8, 16);
	}
	parse_roce(packet, ip + header, bytes - header);
	return true;
}

bool sniff_next(struct sniff *sniff, struct sniffed *packet)
{
	struct tpacket_stats stats;
	socklen_t stats_bytes = sizeof(stats);
	uint8_t bytes[128] = { 0 };
	struct sockaddr_ll from;
	socklen_t from_bytes;
	ssize_t n;

	do {
		from_bytes = sizeof(from);
		n = recvfrom(sniff->fd, bytes, sizeof(bytes), MSG_TRUNC, (struct sockaddr *)&from,
			     &from_bytes);
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_zero(getsockopt(sniff->fd, SOL_PACKET, PACKET_STATISTICS, &stats,
					       &stats_bytes));
			assert_int_equal(stats.tp_drops, 0);
			return false;
		}
		*packet =
			(struct sniffed){ .out = from.sll_pkttype == PACKET_OUTGOING, .bytes = n };
	} while (!parse(packet, ntohs(from.sll_protocol), bytes,
			(size_t)n < sizeof(bytes) ? (size_t)n : sizeof(bytes)));
	return true;
}

void sniff_close(struct sniff *sniff)
{
	close(sniff->fd);
	sniff->fd = -1;
}
