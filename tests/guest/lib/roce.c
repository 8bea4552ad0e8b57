// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "roce.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

struct roce_path roce_path(const struct end *from, const struct end *to)
{
	static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

	return (struct roce_path){
		.ipv6 = memcmp(from->gid.raw, v4_prefix, sizeof(v4_prefix)),
		.from = from->gid,
		.to = to->gid,
	};
}

void roce_put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, 4);
}

void roce_put64(uint8_t *at, uint64_t value)
{
	roce_put32(at, value >> 32);
	roce_put32(at + 4, value);
}

size_t roce_ip_bytes(bool ipv6)
{
	return ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
}

void roce_put_ip(const struct roce_path *path, uint8_t *packet, size_t bytes)
{
	struct ip6_hdr *ip6 = (void *)packet;
	struct iphdr *ip = (void *)packet;

	memset(packet, 0, roce_ip_bytes(path->ipv6));
	if (path->ipv6) {
		ip6->ip6_flow = htonl(6 << 28);
		ip6->ip6_plen = htons(bytes);
		ip6->ip6_nxt = IPPROTO_UDP;
		ip6->ip6_hlim = 64;
		memcpy(&ip6->ip6_src, path->from.raw, 16);
		memcpy(&ip6->ip6_dst, path->to.raw, 16);
		return;
	}
	ip->version = 4;
	ip->ihl = 5;
	ip->frag_off = htons(0x4000);
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = htons(sizeof(*ip) + bytes);
	memcpy(&ip->saddr, path->from.raw + 12, 4); /* of the IPv4-mapped address */
	memcpy(&ip->daddr, path->to.raw + 12, 4);
}

/* CRC-32 as Ethernet has it, reflected, without the final complement. */
static uint32_t crc32_more(uint32_t crc, const uint8_t *data, size_t bytes)
{
	while (bytes--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

/* RoCEv2 annex A17.3.3: what routers may change counts as ones, and so do eight bytes before the packet. */
uint32_t roce_icrc(bool ipv6, const uint8_t *packet, size_t bytes)
{
	size_t ip = roce_ip_bytes(ipv6);
	uint8_t copy[ROCE_MAX_PACKET], ones[8];

	memcpy(copy, packet, bytes);
	memset(ones, 0xff, sizeof(ones));
	if (ipv6) {
		copy[0] |= 0x0f; /* traffic class, flow label */
		memset(copy + 1, 0xff, 3);
		copy[7] = 0xff; /* hop limit */
	} else {
		copy[1] = 0xff; /* type of service */
		copy[8] = 0xff; /* time to live */
		memset(copy + 10, 0xff, 2);
	}
	memset(copy + ip + 6, 0xff, 2);	      /* UDP checksum */
	copy[ip + ROCE_UDP_BYTES + 4] = 0xff; /* resv8a of the BTH */
	return ~crc32_more(crc32_more(0xffffffff, ones, sizeof(ones)), copy, bytes);
}

static socklen_t path_address(bool ipv6, const union ibv_gid *gid, uint16_t port,
			      struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *in6 = (void *)addr;
	struct sockaddr_in *in4 = (void *)addr;

	memset(addr, 0, sizeof(*addr));
	if (ipv6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, gid->raw, 16);
		return sizeof(*in6);
	}
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	memcpy(&in4->sin_addr, gid->raw + 12, 4);
	return sizeof(*in4);
}

/* In a thread of its own, whose credentials are its own: a device's file serves none but those that opened it. */
static void *nobody_run(void *arg)
{
	int *fd = arg, family = *fd;

	*fd = syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) ?
		      -1 :
		      socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return NULL;
}

int roce_user_socket(const struct roce_path *path)
{
	int discover = IP_PMTUDISC_DO; /* then the id of an IPv4 header is zero */
	int fd = path->ipv6 ? AF_INET6 : AF_INET;
	struct sockaddr_storage addr;
	pthread_t thread;
	socklen_t bytes;

	assert_zero(pthread_create(&thread, NULL, nobody_run, &fd));
	assert_zero(pthread_join(thread, NULL));
	assert_true(fd >= 0);
	bytes = path_address(path->ipv6, &path->from, 0, &addr);
	assert_zero(bind(fd, (void *)&addr, bytes));
	if (!path->ipv6)
		assert_zero(
			setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover)));
	return fd;
}

static uint16_t socket_port(int fd)
{
	struct sockaddr_in6 addr; /* the port is in the same place for both families */
	socklen_t bytes = sizeof(addr);

	assert_zero(getsockname(fd, (void *)&addr, &bytes));
	return ntohs(addr.sin6_port);
}

static int user_send(int fd, const struct roce_path *path, uint8_t opcode, uint8_t flags,
		     uint32_t qpn, uint32_t psn, const void *header, size_t header_bytes,
		     size_t payload)
{
	size_t ip = roce_ip_bytes(path->ipv6);
	size_t bth_bytes = ROCE_BTH_BYTES + header_bytes + payload;
	uint8_t packet[ROCE_MAX_PACKET] = { 0 };
	uint8_t *bth = packet + ip + ROCE_UDP_BYTES;
	struct udphdr *udp = (void *)(packet + ip);
	struct sockaddr_storage to;
	socklen_t bytes = path_address(path->ipv6, &path->to, ROCE_PORT, &to);
	uint32_t crc;

	roce_put_ip(path, packet, ROCE_UDP_BYTES + bth_bytes + ROCE_ICRC_BYTES);
	udp->source = htons(socket_port(fd));
	udp->dest = htons(ROCE_PORT);
	udp->len = htons(ROCE_UDP_BYTES + bth_bytes + ROCE_ICRC_BYTES);
	bth[0] = opcode;
	bth[1] = flags;
	memset(bth + 2, 0xff, 2);
	roce_put32(bth + 4, qpn);
	roce_put32(bth + 8, psn);
	memcpy(bth + ROCE_BTH_BYTES, header, header_bytes);
	crc = roce_icrc(path->ipv6, packet, ip + ROCE_UDP_BYTES + bth_bytes);
	memcpy(bth + bth_bytes, &crc, ROCE_ICRC_BYTES);
	if (sendto(fd, bth, bth_bytes + ROCE_ICRC_BYTES, 0, (void *)&to, bytes) < 0)
		return -errno;
	return 0;
}

int roce_user_send(int fd, const struct roce_path *path, uint8_t opcode, uint32_t qpn, uint32_t psn,
		   const void *header, size_t header_bytes, size_t payload)
{
	return user_send(fd, path, opcode, 0, qpn, psn, header, header_bytes, payload);
}

int roce_user_probe(int fd, const struct roce_path *path, uint32_t qpn, uint32_t psn, uint64_t from,
		    uint64_t to, size_t payload)
{
	uint8_t cookies[16];

	roce_put64(cookies, from);
	roce_put64(cookies + 8, to);
	/* A transport version that there is not. */
	return user_send(fd, path, ROCE_PROBE, 0x0f, qpn, psn, cookies, sizeof(cookies), payload);
}

void roce_user_replay(int fd, const struct roce_path *path, const uint8_t *bth, size_t bytes,
		      bool summed)
{
	struct sockaddr_storage to;
	socklen_t to_bytes = path_address(path->ipv6, &path->to, ROCE_PORT, &to);
	int unsummed = !summed;

	assert_zero(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &unsummed, sizeof(unsummed)));
	assert_int_equal(sendto(fd, bth, bytes, 0, (void *)&to, to_bytes), bytes);
}

void roce_rule_begin(void)
{
	char exe[200], command[300];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int rc;

	assert_true(n > 0);
	exe[n] = 0;
	*strrchr(exe, '/') = 0;
	if (system("nft list tables >/dev/null 2>&1"))
		skip_because("no nft, or this kernel has no nf_tables");
	snprintf(command, sizeof(command), "nft -f %s/../data/roce.nft", exe);
	rc = system(command);
	if (rc)
		fail_because("status %#x: %s", rc, command);
}

void roce_rule_end(void)
{
	if (system("nft delete table inet rdma_odp 2>/dev/null"))
		return;
}
