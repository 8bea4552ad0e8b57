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
	int room = ROOM_BYTES, aux = 1;

	at.sll_ifindex = if_nametoindex(netdev);
	if (!at.sll_ifindex)
		fail_because("no netdev %s", netdev);
	sniff->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(sniff->fd >= 0);
	assert_zero(setsockopt(sniff->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)));
	assert_zero(setsockopt(sniff->fd, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof(aux)));
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
	packet->psn = number(udp + 17, 3);
	packet->psns = 1 + (udp[16] & 0x7f);
	if ((packet->opcode & 0xe0) == UD_OPCODES)
		packet->src_qpn = number(udp + 25, 3);
	if (bytes - 8 <= sizeof(packet->bth)) {
		packet->bth_bytes = bytes - 8;
		memcpy(packet->bth, udp + 8, packet->bth_bytes);
	}
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

static bool sum_is_open(struct msghdr *msg)
{
	struct tpacket_auxdata aux = { 0 };
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg))
		if (cmsg->cmsg_level == SOL_PACKET && cmsg->cmsg_type == PACKET_AUXDATA)
			memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
	return aux.tp_status & TP_STATUS_CSUMNOTREADY;
}

bool sniff_next(struct sniff *sniff, struct sniffed *packet)
{
	struct tpacket_stats stats;
	socklen_t stats_bytes = sizeof(stats);
	uint8_t bytes[160] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };
	char aux[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct sockaddr_ll from;
	struct msghdr msg;
	ssize_t n;

	do {
		msg = (struct msghdr){ &from, sizeof(from), &iov, 1, aux, sizeof(aux), 0 };
		n = recvmsg(sniff->fd, &msg, MSG_TRUNC);
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_zero(getsockopt(sniff->fd, SOL_PACKET, PACKET_STATISTICS, &stats,
					       &stats_bytes));
			assert_int_equal(stats.tp_drops, 0);
			return false;
		}
		*packet =
			(struct sniffed){ .out = from.sll_pkttype == PACKET_OUTGOING, .bytes = n };
		packet->sum_open = sum_is_open(&msg);
	} while (!parse(packet, ntohs(from.sll_protocol), bytes,
			(size_t)n < sizeof(bytes) ? (size_t)n : sizeof(bytes)));
	return true;
}

void sniff_close(struct sniff *sniff)
{
	close(sniff->fd);
	sniff->fd = -1;
}
