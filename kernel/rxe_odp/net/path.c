// SPDX-License-Identifier: GPL-2.0
/*
 * A path: the two addresses between which a QP or an address handle sends, and
 * the route in between.
 *
 * The GID of the source says which address we send from, by it which family,
 * and which netdev the address is on: the device's own, or a VLAN, a bridge or a
 * bond above it. Packets leave by that netdev, as they would leave a NIC:
 *
 * 1. To an address of this host: by the loopback device, as every packet. (A
 *    lookup that names the netdev would miss it and ask for a neighbour.)
 * 2. Else by a route of the source's netdev, also where another netdev has one
 *    that IP prefers: the same subnet, or a longer prefix.
 * 3. Where the source's netdev has no route there, by whatever route the
 *    namespace has: an address may be on lo or on a dummy and be reached through
 *    every netdev. (IPv4, asked for a netdev without a route, would take the
 *    destination for a neighbour there.)
 *
 * A cached route ends with any change of IPv4's routes, addresses or IPsec
 * policies; IPv6 drops the ones that its own rules would replace. Those do not
 * know that case 3 gives way to case 2: so IPv6's routes of case 3 are not cached.
 *
 * Datagrams without a flow label are routed as from port 0, since their ports differ and their
 * path is one: rules and IPsec policies by source port do not tell them apart. VRFs are not
 * known: an address of this host is one of the default VRF.
 */
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ip_fib.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/xfrm.h>
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
	return 0;
}

bool rxo_path_is_multicast(const struct rxo_path *path)
{
	return path->dst.sa.sa_family == AF_INET ?
	       ipv4_is_multicast(path->dst.in4.sin_addr.s_addr) :
	       ipv6_addr_is_multicast(&path->dst.in6.sin6_addr);
}

static bool path_is_link_local(const struct in6_addr *addr)
{
	return ipv6_addr_type(addr) & IPV6_ADDR_LINKLOCAL;
}

static int path_set_netdev(struct rxo_path *path, const struct ib_gid_attr *sgid)
{
	struct net_device *netdev;

	guard(rcu)();
	netdev = rdma_read_gid_attr_ndev_rcu(sgid);
	if (!IS_ERR(netdev))
		path->ifindex = netdev->ifindex;
	if (path->src.sa.sa_family != AF_INET6 ||
	    !(path_is_link_local(&path->src.in6.sin6_addr) ||
	      path_is_link_local(&path->dst.in6.sin6_addr)))
		return 0;

	if (!path->ifindex)
		return -ENODEV;
	path->src.in6.sin6_scope_id = path->ifindex;
	path->dst.in6.sin6_scope_id = path->ifindex;
	return 0;
}

static int path_fill(struct rxo_dev *dev, struct rxo_path *path, const struct rdma_ah_attr *attr,
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
	if (local_qpn && rxo_path_is_multicast(path))
		return -EINVAL;

	return path_set_netdev(path, grh->sgid_attr);
}

int rxo_path_init_once(struct rxo_dev *dev, struct rxo_path *path,
		       const struct rdma_ah_attr *attr)
{
	/* Without memory of its own, a dst_cache keeps nothing. */
	return path_fill(dev, path, attr, 0, 0);
}

int rxo_path_init(struct rxo_dev *dev, struct rxo_path *path, const struct rdma_ah_attr *attr,
		  u32 local_qpn, u32 remote_qpn, gfp_t gfp)
{
	int err = path_fill(dev, path, attr, local_qpn, remote_qpn);

	if (err)
		return err;
	return dst_cache_init(&path->route, gfp);
}

void rxo_path_release(struct rxo_path *path)
{
	dst_cache_destroy(&path->route);
}

static void path_flow4(struct flowi4 *flow, const struct rxo_path *path, int ifindex)
{
	*flow = (struct flowi4) {
		.flowi4_proto = IPPROTO_UDP,
		.flowi4_oif = ifindex,
		.flowi4_iif = LOOPBACK_IFINDEX,	/* made here: "ip rule" may ask */
		.saddr = path->src.in4.sin_addr.s_addr,
		.daddr = path->dst.in4.sin_addr.s_addr,
		.fl4_sport = htons(path->src_port),
		.fl4_dport = htons(ROCE_V2_UDP_DPORT),
	};
}

/* By the source's netdev, but only if the tables have such a route: else IP invents one. */
static struct rtable *path_own_route4(struct net *net, const struct rxo_path *path)
{
	struct fib_result res;
	struct flowi4 flow;

	path_flow4(&flow, path, path->ifindex);
	if (!path->ifindex || fib_lookup(net, &flow, &res, 0))
		return ERR_PTR(-ENETUNREACH);
	path_flow4(&flow, path, path->ifindex);
	return __ip_route_output_key(net, &flow);
}

/* Whether to use this route at once. Errors other than ENETUNREACH are final too. */
static bool path_keeps4(const struct rxo_path *path, const struct rtable *rt)
{
	if (IS_ERR(rt))
		return PTR_ERR(rt) != -ENETUNREACH;
	return (rt->rt_flags & RTCF_LOCAL) || rt->dst.dev->ifindex == path->ifindex;
}

static struct rtable *path_find4(struct net *net, const struct rxo_path *path)
{
	struct rtable *rt, *own;
	struct flowi4 flow;

	path_flow4(&flow, path, 0);
	rt = __ip_route_output_key(net, &flow);
	if (path_keeps4(path, rt))
		return rt;
	own = path_own_route4(net, path);
	if (IS_ERR(own))
		return rt;
	if (!IS_ERR(rt))
		ip_rt_put(rt);
	return own;
}

static struct dst_entry *path_route4(struct net *net, struct rxo_path *path)
{
	struct rtable *rt = path_find4(net, path);
	struct dst_entry *dst;
	struct flowi4 flow;

	if (IS_ERR(rt))
		return NULL;
	if (rt->rt_flags & RTCF_BROADCAST) {
		ip_rt_put(rt);
		return NULL;
	}
	path_flow4(&flow, path, rt->dst.dev->ifindex);
	dst = xfrm_lookup_route(net, &rt->dst, flowi4_to_flowi(&flow), NULL, 0);
	if (IS_ERR(dst))
		return NULL;
	/* A multicast route depends on this host's membership, whose change would not end it. */
	if (!rxo_path_is_multicast(path))
		dst_cache_set_ip4(&path->route, dst, flow.saddr);
	return dst;
}

static void path_flow6(struct flowi6 *flow, const struct rxo_path *path, int ifindex)
{
	*flow = (struct flowi6) {
		.flowi6_proto = IPPROTO_UDP,
		.flowi6_oif = ifindex,
		.flowlabel = ip6_make_flowinfo(path->tclass, htonl(path->flow_label)),
		.saddr = path->src.in6.sin6_addr,
		.daddr = path->dst.in6.sin6_addr,
		.fl6_sport = htons(path->src_port),
		.fl6_dport = htons(ROCE_V2_UDP_DPORT),
	};
}

static struct dst_entry *path_own_route6(struct net *net, const struct rxo_path *path)
{
	struct dst_entry *dst;
	struct flowi6 flow;

	if (!path->ifindex)
		return ERR_PTR(-ENETUNREACH);
	path_flow6(&flow, path, path->ifindex);
	dst = ip6_route_output_flags(net, NULL, &flow, RT6_LOOKUP_F_IFACE);
	if (dst->error) {
		dst_release(dst);
		return ERR_PTR(-ENETUNREACH);
	}
	return dst;
}

static struct dst_entry *path_any_route6(struct net *net, const struct rxo_path *path)
{
	struct dst_entry *dst;
	struct flowi6 flow;
	int err;

	/* A device has a link-local GID even without IPv6. */
	if (!ipv6_mod_enabled())
		return ERR_PTR(-EAFNOSUPPORT);
	path_flow6(&flow, path, path->dst.in6.sin6_scope_id);
	err = ip6_dst_lookup(net, NULL, &dst, &flow);
	return err ? ERR_PTR(err) : dst;
}

static bool path_keeps6(const struct rxo_path *path, struct dst_entry *dst)
{
	if (IS_ERR(dst))
		return PTR_ERR(dst) != -ENETUNREACH;
	return (dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL) || dst->dev->ifindex == path->ifindex;
}

/* Sets @borrowed for a route of another netdev: case 3. */
static struct dst_entry *path_find6(struct net *net, const struct rxo_path *path, bool *borrowed)
{
	struct dst_entry *dst = path_any_route6(net, path), *own;

	*borrowed = false;
	if (path_keeps6(path, dst))
		return dst;
	own = path_own_route6(net, path);
	if (IS_ERR(own)) {
		*borrowed = true;
		return dst;
	}
	if (!IS_ERR(dst))
		dst_release(dst);
	return own;
}

static struct dst_entry *path_route6(struct net *net, struct rxo_path *path)
{
	struct dst_entry *dst;
	struct flowi6 flow;
	bool borrowed;

	dst = path_find6(net, path, &borrowed);
	if (IS_ERR(dst))
		return NULL;
	path_flow6(&flow, path, dst->dev->ifindex);
	dst = xfrm_lookup_route(net, dst, flowi6_to_flowi(&flow), NULL, 0);
	if (IS_ERR(dst))
		return NULL;
	if (!borrowed)
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
