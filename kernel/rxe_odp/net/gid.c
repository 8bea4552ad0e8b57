// SPDX-License-Identifier: GPL-2.0
/*
 * The GID table of a device on a netdev that is not an Ethernet one.
 *
 * ib_core fills the table when a device is registered, with the addresses of
 * its netdev whatever that is. Later changes it follows for Ethernet netdevs
 * alone. For the others (lo, tun) this file does: after each added or removed address
 * it rescans the netdev; if one was removed, it first drops the netdev's GIDs.
 *
 * ib_core lets no driver drop a single one, so a GID that something holds comes back
 * at another index. A scan goes over all netdevs, so events are taken together.
 *
 * Address events may come in atomic context, so the scan is left to a work item.
 * One that came before the device was registered is lost on it, so
 * registration ends with a scan.
 */
#include <linux/if_arp.h>
#include <linux/inetdevice.h>
#include <net/addrconf.h>
#include <rdma/ib_verbs.h>

#include "device/dev.h"
#include "net/gid.h"
#include "net/ns.h"

static void gid_work(struct work_struct *work)
{
	struct rxo_dev *dev = container_of(work, struct rxo_dev, gid_work);
	struct ib_device *ibdev = &dev->ibdev;

	/* Not while it is being registered or unregistered: it has no table to change. */
	if (ib_device_try_get(ibdev)) {
		if (atomic_xchg(&dev->gid_lost, 0))
			roce_del_all_netdev_gids(ibdev, 1, dev->netdev);
		rdma_roce_rescan_device(ibdev);
		ib_device_put(ibdev);
	}
	put_device(&ibdev->dev);
}

void rxo_gid_init(struct rxo_dev *dev)
{
	INIT_WORK(&dev->gid_work, gid_work);
}

void rxo_gid_rescan(struct rxo_dev *dev)
{
	if (dev->netdev->type == ARPHRD_ETHER)
		return;
	get_device(&dev->ibdev.dev);
	if (!queue_work(rxo_dev_wq, &dev->gid_work))
		put_device(&dev->ibdev.dev);
}

static void gid_address_event(struct net_device *netdev, unsigned long event)
{
	struct rxo_dev *dev;

	if (netdev->type == ARPHRD_ETHER || (event != NETDEV_UP && event != NETDEV_DOWN))
		return;
	dev = rxo_ns_get_dev(netdev);
	if (!dev)
		return;
	if (event == NETDEV_DOWN)
		atomic_set(&dev->gid_lost, 1);
	rxo_gid_rescan(dev);
	put_device(&dev->ibdev.dev);
}

static int gid_address4_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct in_ifaddr *ifa = ptr;

	gid_address_event(ifa->ifa_dev->dev, event);
	return NOTIFY_DONE;
}

static int gid_address6_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	const struct inet6_ifaddr *ifa = ptr;

	gid_address_event(ifa->idev->dev, event);
	return NOTIFY_DONE;
}

static struct notifier_block address4_notifier = {
	.notifier_call = gid_address4_event,
};

static struct notifier_block address6_notifier = {
	.notifier_call = gid_address6_event,
};

int rxo_gid_notify_begin(void)
{
	int err;

	err = register_inetaddr_notifier(&address4_notifier);
	if (err)
		return err;
	err = register_inet6addr_notifier(&address6_notifier);
	if (err)
		unregister_inetaddr_notifier(&address4_notifier);
	return err;
}

void rxo_gid_notify_end(void)
{
	unregister_inet6addr_notifier(&address6_notifier);
	unregister_inetaddr_notifier(&address4_notifier);
}
