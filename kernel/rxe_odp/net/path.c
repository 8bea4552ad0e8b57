// SPDX-License-Identifier: GPL-2.0
/*
 * A path: the two addresses between which a QP or an address handle sends, and
 * the route in between.
 *
 * The GID of the source says which address we send from, and by it which
 * family. The route is asked for in the netdev's namespace as any program there
 * would: by addresses, so that it may lead over the loopback device, or over a
 * VLAN on the netdev. Only link-local addresses mean nothing without a netdev:
 * the source GID's own, which may be such a VLAN.
 */
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_cache.h>

#include "device/dev.h"
#include "net/net.h"

static int path_check_attr(const struct rxo_dev *dev, const struct rdma_ah_attr *attr)
{
	const struct ib_gid_attr *sgid = attr->grh.sgid_attr;

	if (!(rdma_ah_get_ah_flags(attr) & IB_AH_GRH) || !sgid)
		return -EINVAL;
	if (sgid->device != &dev->ibdev || sgid->gid_type != IB_GID_TYPE_ROCE_UDP_ENCAP)
		return -EINVAL;
	if (rdma_is_multicast_addr((struct in6_addr *)attr->grh.dgid.raw))
		return -EINVAL;
	return 0;
}

static bool path_is_link_local(const struct in6_addr *addr)
{
	return ipv6_addr_type(addr) & IPV6_ADDR_LINKLOCAL;
}

static int path_set_scope(struct rxo_path *path, const struct ib_gid_attr *sgid)
{
	struct net_device *netdev;

	if (path->src.sa.sa_family != AF_INET6 ||
	    !(path_is_link_local(&path->src.in6.sin6_addr) ||
	      path_is_link_local(&path->dst.in6.sin6_addr)))
		return 0;

	guard(rcu)();
	netdev = rdma_read_gid_attr_ndev_rcu(sgid);
	if (IS_ERR(netdev))
		return -ENODEV;
	path->src.in6.sin6_scope_id = netdev->ifindex;
	path->dst.in6.sin6_scope_id = netdev->ifindex;
	return 0;
}

int rxo_path_init(struct rxo_dev *dev, struct rxo_path *path, const struct rdma_ah_attr *attr,
		  u32 local_qpn, u32 remote_qpn)
{
	const struct ib_global_route *grh = &attr->grh;
	int err;

	err = path_check_attr(dev, attr);
	if (err)
		return err;

	*path = (struct rxo_path) {
		.flow_label = grh->flow_label & IB_GRH_FLOWLABEL_MASK,
		.tclass = grh->traffic_class,
		.hop_limit = grh->hop_limit ?: IPV6_DEFAULT_HOPLIMIT,
	};
	if (path->flow_label || local_qpn)
		path->src_port = rdma_get_udp_sport(path->flow_label, local_qpn, remote_qpn);

	rdma_gid2ip(&path->src.sa, &grh->sgid_attr->gid);
	rdma_gid2ip(&path->dst.sa, &grh->dgid);
	if (path->src.sa.sa_family != path->dst.sa.sa_family)
		return -EINVAL;

	err = path_set_scope(path, grh->sgid_attr);
	if (err)
		return err;
	return dst_cache_init(&path->route, GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT);
}

void rxo_path_release(struct rxo_path *path)
{
	dst_cache_destroy(&path->route);
}

static struct dst_entry *path_route4(struct net *net, struct rxo_path *path)
{
	struct flowi4 flow = {
		.flowi4_proto = IPPROTO_UDP,
		.saddr = path->src.in4.sin_addr.s_addr,
		.daddr = path->dst.in4.sin_addr.s_addr,
		.fl4_sport = htons(path->src_port),
		.fl4_dport = htons(ROCE_V2_UDP_DPORT),
	};
	struct rtable *rt;

	rt = ip_route_output_key(net, &flow);
	if (IS_ERR(rt))
		return NULL;
	if (rt->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST)) {
		ip_rt_put(rt);
		return NULL;
	}
	dst_cache_set_ip4(&path->route, &rt->dst, flow.saddr);
	return &rt->dst;
}

static struct dst_entry *path_route6(struct net *net, struct rxo_path *path)
{
	struct flowi6 flow = {
		.flowi6_proto = IPPROTO_UDP,
		.flowi6_oif = path->dst.in6.sin6_scope_id,
		.flowlabel = ip6_make_flowinfo(path->tclass, htonl(path->flow_label)),
		.saddr = path->src.in6.sin6_addr,
		.daddr = path->dst.in6.sin6_addr,
		.fl6_sport = htons(path->src_port),
		.fl6_dport = htons(ROCE_V2_UDP_DPORT),
	};
	struct dst_entry *dst;

	dst = ip6_dst_lookup_flow(net, NULL, &flow, NULL);
	if (IS_ERR(dst))
		return NULL;
	if (dst->error) {
		dst_release(dst);
		return NULL;
	}
	dst_cache_set_ip6(&path->route, dst, &path->src.in6.sin6_addr);
	return dst;
}

struct dst_entry *rxo_path_route(struct rxo_dev *dev, struct rxo_path *path)
{
	struct dst_entry *dst;

	dst = dst_cache_get(&path->route);
	if (dst)
		return dst;
	if (path->dst.sa.sa_family == AF_INET)
		return path_route4(dev->net, path);
	return path_route6(dev->net, path);
}

bool rxo_net_matches(const struct sk_buff *skb, const struct rxo_path *path)
{
	if (skb->protocol == htons(ETH_P_IP))
		return path->dst.sa.sa_family == AF_INET &&
		       ip_hdr(skb)->saddr == path->dst.in4.sin_addr.s_addr &&
		       ip_hdr(skb)->daddr == path->src.in4.sin_addr.s_addr;

	return path->dst.sa.sa_family == AF_INET6 &&
	       ipv6_addr_equal(&ipv6_hdr(skb)->saddr, &path->dst.in6.sin6_addr) &&
	       ipv6_addr_equal(&ipv6_hdr(skb)->daddr, &path->src.in6.sin6_addr);
}
