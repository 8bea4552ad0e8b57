// SPDX-License-Identifier: GPL-2.0
/*
 * Multicast groups on the netdev: it lets their packets in, and IP hands them up, as long as IP is
 * a member there. (IP counts its members, so others may join the same group.)
 *
 * A group is joined on the device's own netdev. Where its addresses are on a VLAN, a bridge or a
 * bond above, RDMA-CM joins groups of IPv4 there itself.
 */
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/rtnetlink.h>
#include <net/addrconf.h>
#include <net/ipv6.h>

#include "device/dev.h"
#include "net/net.h"

static bool join_is_ip4(const union ib_gid *group, __be32 *addr)
{
	const struct in6_addr *ip = (const struct in6_addr *)group->raw;

	*addr = ip->s6_addr32[3];
	return ipv6_addr_v4mapped(ip);
}

/* A netdev that moves to another network namespace leaves all groups; it may be in others there. */
static bool join_has_moved(const struct rxo_dev *dev)
{
	ASSERT_RTNL();
	return !net_eq(dev_net(dev->netdev), dev->net);
}

/* ip_mc_inc_group() does not tell whether there was memory. */
static bool join_is_member4(const struct in_device *in_dev, __be32 addr)
{
	const struct ip_mc_list *group;

	ASSERT_RTNL();
	for (group = rtnl_dereference(in_dev->mc_list); group;
	     group = rtnl_dereference(group->next_rcu))
		if (group->multiaddr == addr)
			return true;
	return false;
}

static int join_begin(struct rxo_dev *dev, const union ib_gid *group)
{
	struct in_device *in_dev;
	__be32 addr;

	if (join_has_moved(dev))
		return -ENODEV;
	if (!join_is_ip4(group, &addr))
		return ipv6_mod_enabled() ?
		       ipv6_dev_mc_inc(dev->netdev, (const struct in6_addr *)group->raw) :
		       -EAFNOSUPPORT;
	in_dev = __in_dev_get_rtnl(dev->netdev);
	if (!in_dev)
		return -ENODEV;
	ip_mc_inc_group(in_dev, addr);
	return join_is_member4(in_dev, addr) ? 0 : -ENOMEM;
}

int rxo_net_join(struct rxo_dev *dev, const union ib_gid *group)
{
	int err;

	rtnl_lock();
	err = join_begin(dev, group);
	rtnl_unlock();
	return err;
}

static void join_end(struct rxo_dev *dev, const union ib_gid *group)
{
	struct in_device *in_dev;
	__be32 addr;

	if (join_has_moved(dev))
		return;
	if (!join_is_ip4(group, &addr)) {
		ipv6_dev_mc_dec(dev->netdev, (const struct in6_addr *)group->raw);
		return;
	}
	in_dev = __in_dev_get_rtnl(dev->netdev);
	if (in_dev)
		ip_mc_dec_group(in_dev, addr);
}

void rxo_net_leave(struct rxo_dev *dev, const union ib_gid *group)
{
	rtnl_lock();
	join_end(dev, group);
	rtnl_unlock();
}
