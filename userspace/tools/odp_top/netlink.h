/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The kernel's RDMA netlink: one request, and its answers attribute by attribute. */
#ifndef ODP_TOP_NETLINK_H
#define ODP_TOP_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

struct nl {
	int fd;
	uint32_t seq;
	uint32_t len;
	char request[512];
};

/* 0 or -errno. */
int nl_open(struct nl *nl);
void nl_close(struct nl *nl);

/* Begins a request; @dump asks for all objects. */
void nl_begin(struct nl *nl, uint16_t command, bool dump);
void nl_put_u32(struct nl *nl, uint16_t type, uint32_t value);
/*
 * Sends it, and calls @each with the attributes of each answer. 0, -errno of the kernel or of the socket, or what @each
 * returns if that is not 0.
 */
int nl_call(struct nl *nl, int (*each)(const struct nlattr *attrs, uint32_t len, void *arg),
	    void *arg);

/* Attributes are the kernel's, and checked all the same: the first, and the next one, or NULL. @left: bytes from it on. */
const struct nlattr *nla_first(const void *attrs, uint32_t len, uint32_t *left);
const struct nlattr *nla_after(const struct nlattr *attr, uint32_t *left);
static inline uint16_t nla_type(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}
static inline const void *nla_data(const struct nlattr *attr)
{
	return attr + 1;
}
static inline uint32_t nla_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}
/* 0 where it is shorter. */
uint32_t nla_u32(const struct nlattr *attr);
uint64_t nla_u64(const struct nlattr *attr);
/* As much as there is room for. */
void nla_string(const struct nlattr *attr, char *to, uint32_t bytes);

#define nla_for_each(attr, attrs, len, left)                                                       \
	for ((attr) = nla_first(attrs, len, &(left)); (attr); (attr) = nla_after(attr, &(left)))

#endif
