// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a device.
 *
 * "rdma link add" makes it, on a netdev; "rdma link delete", the end or the move
 * of the netdev, and either module's end take it away. It belongs to the
 * namespace in which its netdev is at birth: a netdev that moves loses its
 * device, as it loses its addresses.
 *
 * All devices are on one list, by which they are found for their netdev, because ib_core's own
 * index is rdma_rxe's as well (dev.h). Any of five may unregister a device: the user, our netdev
 * notifier, the end of its network namespace (net/ns.c), our module's exit, and rdma_rxe's exit,
 * which unregisters every device with its driver_id. ib_core lets one of them do it, makes the
 * others wait, calls rxo_dev_dealloc(), and frees the device. Hence:
 *
 * - rxo_dev_enable() puts a device on the list, at a moment when ib_core holds a
 *   reference of its own, and rxo_dev_dealloc() takes it off;
 * - whoever finds a device on the list holds rxo_devs_lock, and takes a reference
 *   to its struct device before letting go of that;
 * - after unregistration, by whomever, a device is off the list, so the exit
 *   takes the first one until there is none.
 *
 * The notifier runs under RTNL, and unregistration takes RTNL: so that is left
 * to a work item. It cannot be ib_unregister_device_queued(), which wants a
 * device that is registered, and one that is just being moved to another
 * namespace is not, for a moment.
 *
 *	newlink				netdev unregistered, or moved
 *	-------				-----------------------------
 *	lock, on the list, unlock	reg_state or dev_net() changes
 *	reads reg_state, dev_net()	lock, looks in the list, unlock
 *
 * One of the two sees the other.
 */
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <net/addrconf.h>
#include <rdma/ib_verbs.h>

#include "device/dev.h"
#include "device/plain.h"

static bool rdev_local_default = true;
module_param_named(local, rdev_local_default, bool, 0644);
MODULE_PARM_DESC(local,
		 "Whether requests between queue pairs of this host are executed without packets, on links that are added from then on: Y (default) or N");

/* Protects rxo_devs, rxo_dev.list, rxo_dev.gone. Inside RTNL and ib_core's devices_rwsem. */
static DEFINE_MUTEX(rxo_devs_lock);
static LIST_HEAD(rxo_devs);
const struct rxo_dev_upper *rxo_dev_upper;
struct workqueue_struct *rxo_wq;
struct workqueue_struct *rxo_dev_wq;

/* The largest path MTU whose packets fit, or 0 if none does. */
static enum ib_mtu rdev_mtu_cap(unsigned int netdev_mtu)
{
	if (netdev_mtu < RXO_MIN_NETDEV_MTU)
		return 0;
	return ib_mtu_int_to_enum(netdev_mtu - RXO_MAX_OVERHEAD_BYTES);
}

enum ib_port_state rxo_dev_port_state(const struct rxo_dev *dev)
{
	return netif_running(dev->netdev) && netif_carrier_ok(dev->netdev) ? IB_PORT_ACTIVE :
									     IB_PORT_DOWN;
}

struct net_device *rxo_dev_get_netdev(struct ib_device *ibdev, u32 port)
{
	struct rxo_dev *dev = to_rxo_dev(ibdev);

	/* NULL once the netdev is leaving, so that no new reference to it is taken. */
	if (READ_ONCE(dev->gone))
		return NULL;
	dev_hold(dev->netdev);
	return dev->netdev;
}

static struct rxo_dev *rdev_find(const struct net_device *netdev)
{
	struct rxo_dev *dev;

	lockdep_assert_held(&rxo_devs_lock);
	list_for_each_entry(dev, &rxo_devs, list)
		if (dev->netdev == netdev)
			return dev;
	return NULL;
}

static void rdev_remove_work(struct work_struct *work)
{
	struct rxo_dev *dev = container_of(work, struct rxo_dev, remove_work);

	ib_unregister_device(&dev->ibdev);
	put_device(&dev->ibdev.dev);
}

/* Readers have no lock: what is written is an aligned word of 64 bits. */
static void rdev_set_guid(struct rxo_dev *dev, const u8 *mac)
{
	__be64 guid;

	addrconf_addr_eui48((u8 *)&guid, (const char *)mac);
	WRITE_ONCE(dev->ibdev.node_guid, guid);
	/* What ib_core was told when the device was registered. */
	WRITE_ONCE(dev->ibdev.attrs.sys_image_guid, guid);
}

/*
 * The GUIDs follow the netdev's MAC address, where it has one. Called when the device is listed,
 * and after every change of the address from then on: the last call reads the last address.
 */
static void rdev_update_guid(struct rxo_dev *dev)
{
	const struct net_device *netdev = dev->netdev;

	lockdep_assert_held(&rxo_devs_lock);
	if (netdev->addr_len == ETH_ALEN && is_valid_ether_addr(netdev->dev_addr))
		rdev_set_guid(dev, netdev->dev_addr);
}

/* A random GUID for lo and non-Ethernet netdevs, which have no MAC address. */
static void rdev_init_guid(struct rxo_dev *dev)
{
	u8 mac[ETH_ALEN];

	eth_random_addr(mac);
	rdev_set_guid(dev, mac);
	scoped_guard(mutex, &rxo_devs_lock)
		rdev_update_guid(dev);
}

/* Comes first: rxo_dev_dealloc() undoes it whatever fails later. */
static void rdev_init(struct rxo_dev *dev, struct net_device *netdev)
{
	struct ib_device *ibdev = &dev->ibdev;

	dev->netdev = netdev;
	dev->net = dev_net(netdev);
	netdev_hold(netdev, &dev->netdev_tracker, GFP_KERNEL);
	xa_init_flags(&dev->qps, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH | XA_FLAGS_ACCOUNT);
	xa_init_flags(&dev->ahs, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ | XA_FLAGS_ACCOUNT);
	xa_init_flags(&dev->mrs, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&dev->srqs, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&dev->counters, XA_FLAGS_ALLOC1);
	mutex_init(&dev->mems_lock);
	mutex_init(&dev->mcast_lock);
	INIT_LIST_HEAD(&dev->mems);
	INIT_LIST_HEAD(&dev->list);
	init_waitqueue_head(&dev->calls_wait);
	INIT_WORK(&dev->remove_work, rdev_remove_work);
	/* QPNs and keys that a peer has seen should not recur soon after a restart. */
	dev->next_qpn = get_random_u32_inclusive(RXO_FIRST_QPN, 0xffffff);
	dev->next_mr = get_random_u32_inclusive(1, 0xffffff);
	dev->mtu_cap = rdev_mtu_cap(netdev->mtu);
	dev->port_state = rxo_dev_port_state(dev);
	dev->register_on_demand = rxo_plain_default();
	dev->local = READ_ONCE(rdev_local_default);

	strscpy(ibdev->node_desc, "rxe_odp", sizeof(ibdev->node_desc));
	ibdev->node_type = RDMA_NODE_IB_CA;
	ibdev->phys_port_cnt = 1;
	ibdev->num_comp_vectors = num_possible_cpus();
	rdev_init_guid(dev);
	/* librxe's doorbell is a POST_SEND without a work request. */
	ibdev->uverbs_cmd_mask |= BIT_ULL(IB_USER_VERBS_CMD_POST_SEND) |
				  BIT_ULL(IB_USER_VERBS_CMD_REQ_NOTIFY_CQ);
	ib_set_device_ops(ibdev, rxo_dev_upper->verbs);
	ibdev->driver_def = rxo_dev_upper->uapi;
}

/*
 * Whether IP packets go over it, with an Ethernet header or with none. IPoIB is left out: RDMA-CM
 * takes its addresses for InfiniBand's alone.
 */
static bool rdev_carries_ip(const struct net_device *netdev)
{
	switch (netdev->type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
	case ARPHRD_NONE:	/* tun, wireguard */
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
		return true;
	default:
		return false;
	}
}

/*
 * An errno that is not used for anything else here, and one sentence to the kernel log for each:
 * rdma_link_ops.newlink() is not given the netlink message's extended error.
 */
static int rdev_check_netdev(const char *name, struct net_device *netdev)
{
	bool taken;

	if (!rdev_carries_ip(netdev)) {
		netdev_err(netdev,
			   "rxe_odp: carries no IP packets for %s: take an Ethernet-like device, lo, tun or an IP tunnel\n",
			   name);
		return -EMEDIUMTYPE;
	}
	/* ib_core gives a VLAN's addresses to its real netdev's device, and none to its own. */
	if (is_vlan_dev(netdev)) {
		netdev_err(netdev,
			   "rxe_odp: a VLAN cannot have a link: add %s on %s, which serves the VLAN's addresses too\n",
			   name, vlan_dev_real_dev(netdev)->name);
		return -EMEDIUMTYPE;
	}
	if (netdev->mtu < RXO_MIN_NETDEV_MTU) {
		netdev_err(netdev, "rxe_odp: MTU %u is too small for %s, set it to %u or more\n",
			   netdev->mtu, name, RXO_MIN_NETDEV_MTU);
		return -EMSGSIZE;
	}
	mutex_lock(&rxo_devs_lock);
	taken = rdev_find(netdev);
	mutex_unlock(&rxo_devs_lock);
	if (taken) {
		netdev_err(netdev, "rxe_odp: has a link already, delete that before adding %s\n",
			   name);
		return -EEXIST;
	}
	return 0;
}

/**
 * rxo_dev_newlink - "rdma link add"
 * @name: of the new device
 * @netdev: below it
 *
 * May sleep; without RTNL, under ib_core's lock of link types. 0 or -errno.
 */
int rxo_dev_newlink(const char *name, struct net_device *netdev)
{
	struct rxo_dev *dev;
	int err;

	err = rdev_check_netdev(name, netdev);
	if (err)
		return err;
	dev = ib_alloc_device_with_net(rxo_dev, ibdev, dev_net(netdev));
	if (!dev)
		return -ENOMEM;
	rdev_init(dev, netdev);
	ib_mark_name_assigned_by_user(&dev->ibdev);

	dev->stats = alloc_percpu(struct rxo_stats);
	if (!dev->stats) {
		err = -ENOMEM;
		goto err_dealloc;
	}
	err = rxo_dev_upper->attach(dev);
	if (err)
		goto err_dealloc;
	/* Once registered, the device may be removed at any time. */
	err = ib_register_device(&dev->ibdev, name, NULL);
	/* What ib_core returns for a name in use; the user may think of files. */
	if (err == -ENFILE) {
		netdev_err(netdev,
			   "rxe_odp: there is an RDMA device %s already (rdma dev): take another name\n",
			   name);
		err = -EEXIST;
	}
	if (err)
		goto err_dealloc;
	return 0;

err_dealloc:
	ib_dealloc_device(&dev->ibdev);
	return err;
}

/**
 * rxo_dev_enable - ib_device_ops.enable_driver
 * @ibdev: registered just now, or moved to another RDMA namespace
 *
 * ib_core holds a reference to the device, so it cannot go meanwhile.
 */
int rxo_dev_enable(struct ib_device *ibdev)
{
	struct rxo_dev *dev = to_rxo_dev(ibdev);

	mutex_lock(&rxo_devs_lock);
	if (list_empty(&dev->list))
		list_add_tail(&dev->list, &rxo_devs);
	rdev_update_guid(dev);
	mutex_unlock(&rxo_devs_lock);

	if (READ_ONCE(dev->gone) || dev->netdev->reg_state != NETREG_REGISTERED ||
	    !net_eq(dev_net(dev->netdev), dev->net))
		return -ENODEV;
	rxo_dev_upper->enabled(dev);
	return 0;
}

/**
 * rxo_dev_dealloc - ib_device_ops.dealloc_driver
 * @ibdev: unregistered, or never registered; every object of it is destroyed
 *
 * The last that is called of us for the device, before ib_core frees it.
 */
void rxo_dev_dealloc(struct ib_device *ibdev)
{
	struct rxo_dev *dev = to_rxo_dev(ibdev);

	mutex_lock(&rxo_devs_lock);
	list_del_init(&dev->list);
	mutex_unlock(&rxo_devs_lock);

	rxo_dev_upper->detach(dev);
	WARN_ON_ONCE(!xa_empty(&dev->qps) || !xa_empty(&dev->ahs) || !xa_empty(&dev->mrs) ||
		     !xa_empty(&dev->srqs) || !list_empty(&dev->mems));
	xa_destroy(&dev->qps);
	xa_destroy(&dev->ahs);
	xa_destroy(&dev->mrs);
	xa_destroy(&dev->srqs);
	free_percpu(dev->stats);
	netdev_put(dev->netdev, &dev->netdev_tracker);
}

/* One by one: ib_unregister_driver() would take rdma_rxe's as well. */
static void rdev_remove_all(void)
{
	struct rxo_dev *dev;

	for (;;) {
		mutex_lock(&rxo_devs_lock);
		dev = list_first_entry_or_null(&rxo_devs, struct rxo_dev, list);
		if (dev)
			get_device(&dev->ibdev.dev);
		mutex_unlock(&rxo_devs_lock);
		if (!dev)
			break;
		/* If another thread unregisters it, this waits. */
		ib_unregister_device(&dev->ibdev);
		put_device(&dev->ibdev.dev);
	}
}

static void rdev_leave(struct rxo_dev *dev)
{
	lockdep_assert_held(&rxo_devs_lock);
	WRITE_ONCE(dev->gone, true);
	get_device(&dev->ibdev.dev);
	if (!queue_work(rxo_dev_wq, &dev->remove_work))
		put_device(&dev->ibdev.dev);
}

static void rdev_update_port(struct rxo_dev *dev)
{
	enum ib_port_state state = rxo_dev_port_state(dev);
	struct ib_event event = {
		.device = &dev->ibdev,
		.element.port_num = 1,
		.event = state == IB_PORT_ACTIVE ? IB_EVENT_PORT_ACTIVE : IB_EVENT_PORT_ERR,
	};

	lockdep_assert_held(&rxo_devs_lock);
	if (dev->port_state == state)
		return;
	dev->port_state = state;
	if (state == IB_PORT_DOWN)
		rxo_stat_inc(dev, RXO_STAT_LINK_DOWNED);
	/* The event is delivered by a work item that needs the device to be registered. */
	if (ib_device_try_get(&dev->ibdev)) {
		ib_dispatch_event(&event);
		ib_device_put(&dev->ibdev);
	}
}

static void rdev_update_mtu(struct rxo_dev *dev)
{
	enum ib_mtu cap = rdev_mtu_cap(dev->netdev->mtu);

	if (!cap)
		netdev_warn(dev->netdev, "rxe_odp: MTU %u is too small, set it to %u or more\n",
			    dev->netdev->mtu, RXO_MIN_NETDEV_MTU);
	WRITE_ONCE(dev->mtu_cap, cap ?: IB_MTU_256);
}

/* Under RTNL. */
static int rdev_netdev_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct rxo_dev *dev;

	mutex_lock(&rxo_devs_lock);
	dev = rdev_find(netdev_notifier_info_to_dev(ptr));
	if (!dev)
		goto out;
	switch (event) {
	case NETDEV_UNREGISTER:
	case NETDEV_REGISTER:	/* it has arrived in another namespace */
		rdev_leave(dev);
		break;
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		rdev_update_port(dev);
		break;
	case NETDEV_CHANGEMTU:
		rdev_update_mtu(dev);
		break;
	case NETDEV_CHANGEADDR:
		rdev_update_guid(dev);
		break;
	}
out:
	mutex_unlock(&rxo_devs_lock);
	return NOTIFY_DONE;
}

static struct notifier_block netdev_notifier = {
	.notifier_call = rdev_netdev_event,
};

/*
 * A client of our own devices, to learn early that one is about to go. uverbs waits then for the
 * calls that are under way, of which some wait for pages. Clients go in the reverse order of their
 * registration, and uverbs, whose functions we use, was registered before us:
 *
 *	unregistration				a call that waits
 *	--------------				-----------------
 *	rdev_client_remove(): leaving
 *						is woken, ends with -ENODEV
 *	uverbs: no new calls, waits
 */
static int rdev_client_add(struct ib_device *ibdev)
{
	if (ibdev->ops.enable_driver != rxo_dev_enable)
		return -EOPNOTSUPP;
	/* Again after it has moved to another namespace. */
	WRITE_ONCE(to_rxo_dev(ibdev)->leaving, false);
	return 0;
}

static void rdev_client_remove(struct ib_device *ibdev, void *data)
{
	struct rxo_dev *dev = to_rxo_dev(ibdev);

	WRITE_ONCE(dev->leaving, true);
	wake_up_all(&dev->calls_wait);
}

static struct ib_client rdev_client = {
	.name = "rxe_odp",
	.add = rdev_client_add,
	.remove = rdev_client_remove,
	.no_kverbs_req = true,
};

int rxo_dev_init(const struct rxo_dev_upper *upper)
{
	int err = -ENOMEM;

	rxo_dev_upper = upper;
	/* Sends storage's dirty pages among others, so it must go on without free memory. */
	rxo_wq = alloc_workqueue("rxe_odp", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!rxo_wq)
		return err;
	/* Not for memory reclaim, as ib_core's work is not, which unregistration flushes. */
	rxo_dev_wq = alloc_workqueue("rxe_odp_dev", WQ_UNBOUND, 0);
	if (!rxo_dev_wq)
		goto err_wq;
	err = ib_register_client(&rdev_client);
	if (err)
		goto err_dev_wq;
	err = register_netdevice_notifier(&netdev_notifier);
	if (err)
		goto err_client;
	return 0;

err_client:
	ib_unregister_client(&rdev_client);
err_dev_wq:
	destroy_workqueue(rxo_dev_wq);
err_wq:
	destroy_workqueue(rxo_wq);
	return err;
}

void rxo_dev_exit(void)
{
	unregister_netdevice_notifier(&netdev_notifier);
	rdev_remove_all();
	ib_unregister_client(&rdev_client);
	destroy_workqueue(rxo_dev_wq);
	destroy_workqueue(rxo_wq);
}
