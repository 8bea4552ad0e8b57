/* SPDX-License-Identifier: GPL-2.0 */
/* The sockets of each network namespace, and the devices that use them. */
#ifndef RXO_NS_H
#define RXO_NS_H

struct net_device;
struct rxo_dev;
struct rxo_transport;
struct sk_buff;
struct sock;

/* At module load and unload; no device is attached then. May sleep. */
int rxo_ns_init(const struct rxo_transport *transport);
void rxo_ns_exit(void);

/**
 * rxo_net_attach - begin to receive for a device
 * @dev: dev->netdev is set
 *
 * Opens the sockets of the netdev's namespace with its first device. May sleep;
 * with or without RTNL. Returns 0, -EADDRINUSE (said in the kernel log too) when
 * the port is taken, -EEXIST when the netdev has a device already, or what socket creation answers.
 */
int rxo_net_attach(struct rxo_dev *dev);

/**
 * rxo_net_detach - end it
 * @dev: attached or not
 *
 * When it returns, no packet is being delivered to @dev and none will be. The last device
 * closes the sockets. May sleep; with or without RTNL.
 */
void rxo_net_detach(struct rxo_dev *dev);

/**
 * rxo_ns_dev - which device a received packet is for
 * @sk: a socket of ours
 * @skb: as encap_rcv gets it: its control block is still IP's
 * @netdev: set to the netdev that has the destination address, when there is a device
 *
 * Softirq, in an RCU read section. Returns the device or NULL.
 */
struct rxo_dev *rxo_ns_dev(struct sock *sk, struct sk_buff *skb, struct net_device **netdev);

/* The device that is attached to a netdev, its struct device referenced, or NULL. Any context. */
struct rxo_dev *rxo_ns_get_dev(struct net_device *netdev);

#endif /* RXO_NS_H */
