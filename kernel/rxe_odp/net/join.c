// SPDX-License-Identifier: GPL-2.0
/*
 * Multicast groups on the netdev: it lets their packets in, and IP hands them up, as long as IP is
 * a member there. (IP counts its members, so others may join the same group.)
 *
 * A group is joined on the device's own netdev. Where its addresses are on a VLAN, a bridge or a
 * bond above, RDMA-CM joins groups of IPv4 there itself.
 *
 * IP may leave the netdev, with all of its groups, and come back: at an MTU that is too small for
 * it, for instance. What was joined before is not joined again: its members hear nothing until all
 * of them have left and come back. So that leaving does not take the membership of others who
 * joined meanwhile, struct rxo_joined holds IP's side of the netdev, and a group is left only if
 * that is still the same.
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

static int join_ip4(struct rxo_dev *dev, __be32 addr, struct rxo_joined *joined)
{
	struct in_device *in_dev = __in_dev_get_rtnl(dev->netdev);

	if (!in_dev)
		return -ENODEV;
	ip_mc_inc_group(in_dev, addr);
	if (!join_is_member4(in_dev, addr))
		return -ENOMEM;
	in_dev_hold(in_dev);
	joined->ip4 = in_dev;
	return 0;
}

static int join_ip6(struct rxo_dev *dev, const struct in6_addr *addr, struct rxo_joined *joined)
{
	struct inet6_dev *in6_dev = __in6_dev_get(dev->netdev);
	int err;

	ASSERT_RTNL();
	if (!in6_dev)
		return -ENODEV;
	err = ipv6_dev_mc_inc(dev->netdev, addr);
	if (err)
		return err;
	in6_dev_hold(in6_dev);
	joined->ip6 = in6_dev;
	return 0;
}

static int join_begin(struct rxo_dev *dev, const union ib_gid *group, struct rxo_joined *joined)
{
	__be32 addr;

	if (join_has_moved(dev))
		return -ENODEV;
	return join_is_ip4(group, &addr) ?
	       join_ip4(dev, addr, joined) :
	       join_ip6(dev, (const struct in6_addr *)group->raw, joined);
}

int rxo_net_join(struct rxo_dev *dev, const union ib_gid *group, struct rxo_joined *joined)
{
	int err;

	*joined = (struct rxo_joined) {};
	rtnl_lock();
	err = join_begin(dev, group, joined);
	rtnl_unlock();
	return err;
}

static void join_end4(struct rxo_dev *dev, const union ib_gid *group, struct in_device *in_dev)
{
	__be32 addr;

	if (join_is_ip4(group, &addr) && __in_dev_get_rtnl(dev->netdev) == in_dev)
		ip_mc_dec_group(in_dev, addr);
	in_dev_put(in_dev);
}

static void join_end6(struct rxo_dev *dev, const union ib_gid *group, struct inet6_dev *in6_dev)
{
	ASSERT_RTNL();
	if (__in6_dev_get(dev->netdev) == in6_dev)
		ipv6_dev_mc_dec(dev->netdev, (const struct in6_addr *)group->raw);
	in6_dev_put(in6_dev);
}

void rxo_net_leave(struct rxo_dev *dev, const union ib_gid *group, const struct rxo_joined *joined)
{
	rtnl_lock();
	if (joined->ip4)
		join_end4(dev, group, joined->ip4);
	else
		join_end6(dev, group, joined->ip6);
	rtnl_unlock();
}
