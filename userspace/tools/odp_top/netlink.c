// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "netlink.h"

#include <errno.h>
#include <rdma/rdma_netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel's dumps are of 32 KiB at most. */
#define ANSWER_BYTES 65536

int nl_open(struct nl *nl)
{
	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	return nl->fd < 0 ? -errno : 0;
}

void nl_close(struct nl *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

void nl_begin(struct nl *nl, uint16_t command, bool dump)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)nl->request;

	memset(nl->request, 0, sizeof(nl->request));
	hdr->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command);
	hdr->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	hdr->nlmsg_seq = ++nl->seq;
	nl->len = NLMSG_HDRLEN;
}

void nl_put_u32(struct nl *nl, uint16_t type, uint32_t value)
{
	struct nlattr *attr = (struct nlattr *)(nl->request + nl->len);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + sizeof(value);
	memcpy(attr + 1, &value, sizeof(value));
	nl->len += NLA_ALIGN(attr->nla_len);
}

/* 1: the answer is complete. */
static int nl_one(const struct nl *nl, const struct nlmsghdr *hdr,
		  int (*each)(const struct nlattr *attrs, uint32_t len, void *arg), void *arg)
{
	const struct nlmsgerr *error = NLMSG_DATA(hdr);

	if (hdr->nlmsg_seq != nl->seq)
		return 0;
	if (hdr->nlmsg_type == NLMSG_DONE) {
		/* A list that broke off says why. */
		if (hdr->nlmsg_len >= NLMSG_LENGTH(sizeof(error->error)) && error->error < 0)
			return error->error;
		return 1;
	}
	if (hdr->nlmsg_type == NLMSG_ERROR) {
		if (hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
			return -EPROTO;
		return error->error ? error->error : 1;
	}
	return each(NLMSG_DATA(hdr), hdr->nlmsg_len - NLMSG_HDRLEN, arg);
}

static int nl_receive(struct nl *nl, void *answer,
		      int (*each)(const struct nlattr *attrs, uint32_t len, void *arg), void *arg)
{
	const struct nlmsghdr *hdr;
	ssize_t got;
	int err = 0;

	do {
		got = recv(nl->fd, answer, ANSWER_BYTES, MSG_TRUNC);
		if (got < 0)
			return -errno;
		if (got > ANSWER_BYTES)
			return -EMSGSIZE;
		for (hdr = answer; !err && NLMSG_OK(hdr, got); hdr = NLMSG_NEXT(hdr, got))
			err = nl_one(nl, hdr, each, arg);
	} while (!err);
	return err > 0 ? 0 : err;
}

int nl_call(struct nl *nl, int (*each)(const struct nlattr *attrs, uint32_t len, void *arg),
	    void *arg)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlmsghdr *hdr = (struct nlmsghdr *)nl->request;
	void *answer;
	int err;

	hdr->nlmsg_len = nl->len;
	if (sendto(nl->fd, hdr, nl->len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	answer = malloc(ANSWER_BYTES);
	if (!answer)
		return -ENOMEM;
	err = nl_receive(nl, answer, each, arg);
	free(answer);
	return err;
}

static const struct nlattr *nla_checked(const struct nlattr *attr, uint32_t left)
{
	if (left < NLA_HDRLEN || attr->nla_len < NLA_HDRLEN || attr->nla_len > left)
		return NULL;
	return attr;
}

const struct nlattr *nla_first(const void *attrs, uint32_t len, uint32_t *left)
{
	*left = len;
	return nla_checked(attrs, len);
}

const struct nlattr *nla_after(const struct nlattr *attr, uint32_t *left)
{
	uint32_t step = NLA_ALIGN(attr->nla_len);

	if (step >= *left)
		return NULL;
	*left -= step;
	return nla_checked((const struct nlattr *)((const char *)attr + step), *left);
}

uint32_t nla_u32(const struct nlattr *attr)
{
	uint32_t value = 0;

	if (nla_len(attr) >= sizeof(value))
		memcpy(&value, nla_data(attr), sizeof(value));
	return value;
}

uint64_t nla_u64(const struct nlattr *attr)
{
	uint64_t value = 0;

	if (nla_len(attr) >= sizeof(value))
		memcpy(&value, nla_data(attr), sizeof(value));
	return value;
}

void nla_string(const struct nlattr *attr, char *to, uint32_t bytes)
{
	uint32_t len = strnlen(nla_data(attr), nla_len(attr));

	if (len > bytes - 1)
		len = bytes - 1;
	memcpy(to, nla_data(attr), len);
	to[len] = 0;
}
