// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The firmware string of an RDMA device, by netlink: what sysfs has as fw_ver, where sysfs is of another network namespace. */
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "fw.h"

struct fw_request {
	struct nlmsghdr hdr;
	struct nlattr attr;
	uint32_t index;
};

struct fw_answer {
	struct nlmsghdr hdr;
	uint8_t attrs[8192 - sizeof(struct nlmsghdr)];
};

static int fw_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	struct timeval patience = { .tv_sec = 1 };

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static bool fw_ask(int fd, uint32_t index)
{
	struct fw_request request = {
		.hdr = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_GET),
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.attr = {
			.nla_len = sizeof(request.attr) + sizeof(request.index),
			.nla_type = RDMA_NLDEV_ATTR_DEV_INDEX,
		},
		.index = index,
	};
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	return sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel,
		      sizeof(kernel)) == sizeof(request);
}

static bool fw_found(const uint8_t *attrs, size_t bytes)
{
	struct nlattr attr;
	size_t step;

	for (; bytes >= sizeof(attr); attrs += step, bytes -= step) {
		memcpy(&attr, attrs, sizeof(attr));
		step = NLA_ALIGN(attr.nla_len);
		if (attr.nla_len < sizeof(attr) || attr.nla_len > bytes)
			return false;
		if ((attr.nla_type & NLA_TYPE_MASK) == RDMA_NLDEV_ATTR_FW_VERSION)
			return attr.nla_len == sizeof(attr) + sizeof(RXO_FW_STRING) &&
			       !memcmp(attrs + sizeof(attr), RXO_FW_STRING, sizeof(RXO_FW_STRING));
		if (step > bytes)
			return false;
	}
	return false;
}

static bool fw_hear(int fd)
{
	struct fw_answer answer;
	ssize_t got = recv(fd, &answer, sizeof(answer), 0);

	if (got < (ssize_t)sizeof(answer.hdr) || answer.hdr.nlmsg_type == NLMSG_ERROR ||
	    answer.hdr.nlmsg_len < sizeof(answer.hdr) || answer.hdr.nlmsg_len > (size_t)got)
		return false;
	return fw_found(answer.attrs, answer.hdr.nlmsg_len - sizeof(answer.hdr));
}

bool rxo_fw_is_ours(int ibdev_idx)
{
	int fd = fw_socket();
	bool ours;

	if (fd < 0)
		return false;
	ours = fw_ask(fd, ibdev_idx) && fw_hear(fd);
	close(fd);
	return ours;
}
