// SPDX-License-Identifier: GPL-2.0
/*
 * UDP port 4791 belongs to one owner per network namespace. So all devices on
 * netdevs of a namespace share one pair of sockets, for IPv4 and IPv6, opened
 * with the first device and closed with the last. The namespace is the
 * netdev's; the RDMA device may be shown in another.
 *
 * Which device a packet is for: its destination address decides, since that is
 * the GID that it was sent to. The netdev that has the address is the one by
 * which the packet came in, or, of packets that this host sends to itself over
 * the loopback device or that took another way in, any other. IPv6 remembers
 * where a link-local address looped back belongs (inet6_iif()). The device is
 * on that netdev, or on one below it: a VLAN, a bridge or a bond shows its
 * addresses in the GID table of the devices below. A multicast group is a member's:
 * of the netdev by which the packet came in.
 *
 *	detach				encap_rcv (softirq, RCU)
 *	------				------------------------
 *	hash_del_rcu(dev)		finds dev in the table
 *	synchronize_net()		transport->rcv(dev)
 *	  waits for it			leaves the read section
 *	dev may go			finds nothing
 *
 * A namespace could end before its devices do: a netdev that is moved out is
 * unregistered from it without waiting for who holds it. But queue pairs and
 * address handles keep IPv6 routes, which point into the namespace: its exit
 * callback unregisters the devices that are left. So the namespace of a device
 * that is registered, dev->net, is there, wherever the netdev is.
 */
#include <linux/hashtable.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/mutex.h>
#include <linux/udp.h>
#include <net/addrconf.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <net/udp_tunnel.h>
#include <rdma/ib_cache.h>

#include "device/dev.h"
#include "net/gid.h"
#include "net/net.h"
#include "net/ns.h"
#include "net/tx.h"
#include "wire/wire.h"

#define TABLE_BITS	4

struct rxo_ns {
	struct sock *sk4;			/* NULL without devices */
	struct sock *sk6;			/* NULL without devices or IPv6 */
	unsigned int devices;
	DECLARE_HASHTABLE(table, TABLE_BITS);	/* of rxo_dev.ns_node by netdev; RCU readers */
};

/* Protects all of every rxo_ns and rxo_dev.ns. Taken inside RTNL or without it. */
static DEFINE_MUTEX(ns_lock);
static unsigned int pernet_id;

static struct rxo_dev *ns_find_dev(struct rxo_ns *ns, const struct net_device *netdev)
{
	struct rxo_dev *dev;

	if (!netdev)
		return NULL;
	hash_for_each_possible_rcu(ns->table, dev, ns_node, (unsigned long)netdev,
				   lockdep_is_held(&ns_lock))
		if (dev->netdev == netdev)
			return dev;
	return NULL;
}

/* A device for a packet, among those on the netdevs below the one that has its address. */
struct below {
	struct rxo_ns *ns;
	struct rxo_dev *dev;
	union ib_gid gid;		/* the packet's destination */
	u32 qpn;
};

static u32 ns_packet_qpn(const struct sk_buff *skb)
{
	const struct rxo_bth *bth;
	struct rxo_bth copy;

	bth = skb_header_pointer(skb, sizeof(struct udphdr), sizeof(copy), &copy);
	return bth ? rxo_bth_qpn(bth) : 0;
}

void rxo_net_dgid(const struct sk_buff *skb, union ib_gid *gid)
{
	struct in6_addr *addr = (struct in6_addr *)gid->raw;

	if (skb->protocol == htons(ETH_P_IP))
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, addr);
	else
		*addr = ipv6_hdr(skb)->daddr;
}

bool rxo_net_is_multicast(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IP) ? ipv4_is_multicast(ip_hdr(skb)->daddr) :
						  ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr);
}

static bool ns_dev_has_gid(struct rxo_dev *dev, const union ib_gid *gid)
{
	const struct ib_gid_attr *attr;

	/* An unregistered device has no GID table. */
	if (!ib_device_try_get(&dev->ibdev))
		return false;
	attr = rdma_find_gid_by_port(&dev->ibdev, gid, IB_GID_TYPE_ROCE_UDP_ENCAP, 1, NULL);
	if (!IS_ERR(attr))
		rdma_put_gid_attr(attr);
	ib_device_put(&dev->ibdev);
	return !IS_ERR(attr);
}

/*
 * Several ports of a bridge or a bond may have a device. All of a bridge's have its
 * addresses as GIDs; of a bond's, only the active one's. The QPN decides, since QPNs
 * begin at random; for QP 1, which every device has, the GID does.
 */
static int ns_below_visit(struct net_device *lower, struct netdev_nested_priv *priv)
{
	struct below *below = priv->data;
	struct rxo_dev *dev = ns_find_dev(below->ns, lower);
	bool it_is;

	if (!dev)
		return 0;
	it_is = below->qpn == RXO_GSI_QPN ? ns_dev_has_gid(dev, &below->gid) :
					    !!xa_load(&dev->qps, below->qpn);
	/* If none matches, the first device counts the drop. */
	if (it_is || !below->dev)
		below->dev = dev;
	return it_is;
}

static struct rxo_dev *ns_find_below(struct rxo_ns *ns, struct net_device *netdev,
				     const struct sk_buff *skb)
{
	struct below below = { .ns = ns, .dev = ns_find_dev(ns, netdev) };
	struct netdev_nested_priv priv = { .data = &below };

	if (below.dev || !netdev)
		return below.dev;
	below.qpn = ns_packet_qpn(skb);
	rxo_net_dgid(skb, &below.gid);
	netdev_walk_all_lower_dev_rcu(netdev, ns_below_visit, &priv);
	return below.dev;
}

static bool ns_has_address4(const struct net_device *netdev, __be32 addr)
{
	const struct in_device *in_dev = __in_dev_get_rcu(netdev);
	const struct in_ifaddr *ifa;

	if (!in_dev)
		return false;
	in_dev_for_each_ifa_rcu(ifa, in_dev)
		if (ifa->ifa_local == addr)
			return true;
	return false;
}

/* The netdev by which a packet came in, if it has the address; an address may be on several. */
static struct net_device *ns_address_owner4(struct net *net, const struct sk_buff *skb)
{
	__be32 addr = ip_hdr(skb)->daddr;

	return ns_has_address4(skb->dev, addr) ? skb->dev : __ip_dev_find(net, addr, false);
}

static struct net_device *ns_address_owner6(struct net *net, const struct sk_buff *skb)
{
	const struct in6_addr *addr = &ipv6_hdr(skb)->daddr;

	if (ipv6_chk_addr(net, addr, skb->dev, 1))
		return skb->dev;
	if (ipv6_addr_type(addr) & IPV6_ADDR_LINKLOCAL)
		return dev_get_by_index_rcu(net, inet6_iif(skb));
	return ipv6_dev_find(net, addr, NULL);
}

struct rxo_dev *rxo_ns_dev(struct sock *sk, struct sk_buff *skb, struct net_device **netdev)
{
	struct rxo_ns *ns = rcu_dereference_sk_user_data(sk);

	if (!ns)
		return NULL;
	*netdev = skb->protocol == htons(ETH_P_IP) ? ns_address_owner4(sock_net(sk), skb) :
						     ns_address_owner6(sock_net(sk), skb);
	/* A multicast packet is for the netdev that received it. */
	if (!*netdev && rxo_net_is_multicast(skb))
		*netdev = skb->dev;
	return ns_find_below(ns, *netdev, skb);
}

struct rxo_dev *rxo_ns_get_dev(struct net_device *netdev)
{
	struct rxo_dev *dev;

	guard(rcu)();
	dev = ns_find_dev(net_generic(dev_net(netdev), pernet_id), netdev);
	/* It is in the table: rxo_net_detach(), which waits for us, is still to come. */
	if (dev)
		get_device(&dev->ibdev.dev);
	return dev;
}

static int ns_open_socket(struct net *net, struct rxo_ns *ns, u8 family, struct sock **sk)
{
	struct udp_port_cfg port = {
		.family = family,
		.local_udp_port = htons(ROCE_V2_UDP_DPORT),
		.ipv6_v6only = family == AF_INET6,
		/* RoCEv2 needs no UDP checksum: the ICRC is the better one. */
		.use_udp6_rx_checksums = false,
	};
	struct udp_tunnel_sock_cfg tunnel = {
		.sk_user_data = ns,
		.encap_type = 1,
		.encap_rcv = rxo_net_encap_rcv,
	};
	struct socket *sock = NULL;
	int err;

	err = udp_sock_create(net, &port, &sock);
	if (err)
		return err;
	setup_udp_tunnel_sock(net, sock->sk, &tunnel);
	*sk = sock->sk;
	return 0;
}

static void ns_close_sockets(struct rxo_ns *ns)
{
	lockdep_assert_held(&ns_lock);

	if (ns->sk4)
		udp_tunnel_sock_release(ns->sk4);
	if (ns->sk6)
		udp_tunnel_sock_release(ns->sk6);
	ns->sk4 = NULL;
	ns->sk6 = NULL;
	/* A receiver that found a socket before may still be about to call us. */
	synchronize_net();
}

static int ns_open_sockets(struct net *net, struct rxo_ns *ns)
{
	int err;

	lockdep_assert_held(&ns_lock);

	err = ns_open_socket(net, ns, AF_INET, &ns->sk4);
	if (err)
		return err;

	err = ns_open_socket(net, ns, AF_INET6, &ns->sk6);
	if (err && err != -EAFNOSUPPORT) {
		ns_close_sockets(ns);
		return err;
	}
	return 0;
}

int rxo_net_attach(struct rxo_dev *dev)
{
	struct rxo_ns *ns;
	int err;

	rxo_gid_init(dev);
	rxo_tx_dev_init(dev);
	guard(mutex)(&ns_lock);

	/* It may have moved since, and the namespace be gone. */
	if (!net_eq(dev_net(dev->netdev), dev->net))
		return -ENODEV;
	ns = net_generic(dev->net, pernet_id);
	if (ns_find_dev(ns, dev->netdev))
		return -EEXIST;

	if (!ns->devices) {
		err = ns_open_sockets(dev->net, ns);
		if (err == -EADDRINUSE)
			netdev_err(dev->netdev,
				   "UDP port %u is taken in this network namespace: remove what uses it, such as the rxe links (rdma link) or the module rdma_rxe, then try again\n",
				   ROCE_V2_UDP_DPORT);
		if (err)
			return err;
	}

	ns->devices++;
	dev->ns = ns;
	hash_add_rcu(ns->table, &dev->ns_node, (unsigned long)dev->netdev);
	return 0;
}

/* The caller waits for readers before the device goes. */
static void ns_take_off(struct rxo_ns *ns, struct rxo_dev *dev)
{
	lockdep_assert_held(&ns_lock);

	hash_del_rcu(&dev->ns_node);
	dev->ns = NULL;
	ns->devices--;
}

void rxo_net_detach(struct rxo_dev *dev)
{
	struct rxo_ns *ns;

	guard(mutex)(&ns_lock);

	ns = dev->ns;
	if (!ns)
		return;

	rxo_tx_dev_exit(dev);
	ns_take_off(ns, dev);
	if (ns->devices)
		synchronize_net();
	else
		ns_close_sockets(ns);
}

static int __net_init ns_init(struct net *net)
{
	struct rxo_ns *ns = net_generic(net, pernet_id);

	hash_init(ns->table);
	return 0;
}

static struct rxo_dev *ns_get_some_dev(struct rxo_ns *ns)
{
	struct rxo_dev *dev;
	int bucket;

	guard(mutex)(&ns_lock);
	hash_for_each(ns->table, bucket, dev, ns_node) {
		get_device(&dev->ibdev.dev);
		return dev;
	}
	return NULL;
}

static void __net_exit ns_exit(struct net *net)
{
	struct rxo_ns *ns = net_generic(net, pernet_id);
	struct rxo_dev *dev;

	while ((dev = ns_get_some_dev(ns))) {
		/* If another thread unregisters it, this waits. */
		ib_unregister_device(&dev->ibdev);
		rxo_net_detach(dev);
		put_device(&dev->ibdev.dev);
	}
}

static struct pernet_operations ns_ops = {
	.init = ns_init,
	.exit = ns_exit,
	.id = &pernet_id,
	.size = sizeof(struct rxo_ns),
};

int rxo_ns_init(const struct rxo_transport *transport)
{
	rxo_net_transport = transport;
	return register_pernet_subsys(&ns_ops);
}

void rxo_ns_exit(void)
{
	unregister_pernet_subsys(&ns_ops);
}
