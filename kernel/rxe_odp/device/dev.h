/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device: one RDMA port on one netdev.
 *
 * ib_core is never told of the netdev (ib_device_set_netdev()), because rdma_rxe
 * takes whatever it finds by a netdev with its own driver_id for its own. The
 * netdev is found by ops.get_netdev, and the device by our own list.
 */
#ifndef RXO_DEV_H
#define RXO_DEV_H

#include <linux/netdevice.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/ib_verbs.h>
#include <umem_odp/umem_odp.h>

#include "device/stats.h"

struct rxo_ns;
struct rxo_qpn;

#define RXO_MAX_QP_WR		1048576	/* as rxe, and the next two */
#define RXO_MAX_SRQ_WR		1048576
#define RXO_NUM_GIDS		1024
#define RXO_MAX_CQE		4194304
#define RXO_MAX_INLINE_BYTES	512	/* as rxe; what RXO_MAX_SGE entries take */
#define RXO_MAX_RD_ATOMIC	128
#define RXO_GSI_QPN		1
#define RXO_FIRST_QPN		17	/* 0 is the SMI */
#define RXO_RECENT_QPNS		64U	/* a power of two: so many are found without a walk */
#define RXO_MULTICAST_QPN	0xffffff
#define RXO_MCAST_BUCKETS	64
#define RXO_MAX_MCAST_GROUPS	8192	/* as rxe, and the next */
#define RXO_MAX_MCAST_QPS	56	/* of a group */
#define RXO_MAX_CTX_MCAST_GROUPS 64	/* of a context: each is work for others under RTNL */
#define RXO_MAX_MCAST_MEMBERS	(RXO_MAX_MCAST_GROUPS * RXO_MAX_MCAST_QPS)

/* What a packet with payload has around it: IPv6, UDP, BTH, XRCETH, RETH and immediate, ICRC. */
#define RXO_MAX_OVERHEAD_BYTES	(40 + 8 + 12 + 4 + 16 + 4 + 4)
#define RXO_MIN_NETDEV_MTU	(RXO_MAX_OVERHEAD_BYTES + 256)

/*
 * rxo_devs_lock (dev.c) protects list. The xarrays are written under their own locks.
 * netdev, net and ns are immutable once the device is registered.
 */
struct rxo_dev {
	struct ib_device ibdev;
	struct net_device *netdev;	/* held from newlink to dealloc */
	netdevice_tracker netdev_tracker;
	struct rxo_ns *ns;		/* net/ns.c's, of the netdev's namespace */
	struct hlist_node ns_node;	/* in its table */
	struct xarray qps;		/* QPN to struct rxo_qpn, RCU lookups */
	struct rxo_qpn __rcu *recent_qpns[RXO_RECENT_QPNS]; /* the newest of these, by low bits */
	struct xarray ahs;		/* ah_num to struct rxo_ah */
	struct xarray mrs;		/* key >> 8 to struct rxo_mr, RCU lookups */
	struct xarray srqs;		/* number to struct rxo_srqn, XRC's, RCU lookups */
	struct mutex mcast_lock;	/* protects writers of mcast, mcast_groups; outside RTNL */
	struct hlist_head mcast[RXO_MCAST_BUCKETS]; /* transport/mcast.c's, RCU readers */
	u32 mcast_groups;		/* joined by the netdev */
	struct rxo_stats __percpu *stats;
	struct xarray counters;		/* of struct rxo_counter, by rdma_counter.id */
	struct rxo_counter bound;	/* the sum of all that queue pairs are bound to */
	struct mutex mems_lock;		/* protects mems, odp_retired */
	struct list_head mems;		/* of struct rxo_mem, the ODP ones */
	struct umem_odp_stats odp_retired; /* what deregistered regions have seen */
	bool ecn;			/* sysfs "ecn"; read anywhere */
	bool register_on_demand;	/* sysfs "register"; likewise */
	bool local;			/* sysfs "local"; likewise */
	spinlock_t tx_lock;		/* net/tx.c's; irqsave, innermost: the next three */
	struct list_head tx_refused;	/* of struct rxo_tx, in turn */
	unsigned long tx_turn_jiffies;	/* when the first of them was given its turn */
	struct timer_list tx_timer;
	unsigned long tx_crowded_until;	/* jiffies: a second after a refusal; read anywhere */
	spinlock_t tx_send_lock;	/* _bh; held to send until then */
	bool leaving;			/* it is being unregistered or moved; read anywhere */
	wait_queue_head_t calls_wait;	/* calls that may last: for their end, or for leaving */
	u32 next_qpn, next_ah, next_mr, next_srqn; /* of the xarrays' cyclic allocation */
	atomic_t next_srq;
	enum ib_mtu mtu_cap;		/* largest path MTU that fits the netdev's; read anywhere */
	/* the rest is dev.c's */
	struct list_head list;
	struct net *net;		/* the netdev's at birth; its end: net/ns.c */
	struct work_struct remove_work;
	struct work_struct gid_work;	/* net/gid.c's */
	atomic_t gid_lost;		/* net/gid.c's: an address was removed */
	int port_state;			/* enum ib_port_state, as last reported */
	bool gone;			/* the netdev is going away or has moved */
};

static inline struct rxo_dev *to_rxo_dev(struct ib_device *ibdev)
{
	return container_of(ibdev, struct rxo_dev, ibdev);
}

/* Any context. */
static inline void rxo_stat_add(struct rxo_dev *dev, enum rxo_stat stat, u64 n)
{
	this_cpu_add(dev->stats->count[stat], n);
}

static inline void rxo_stat_inc(struct rxo_dev *dev, enum rxo_stat stat)
{
	rxo_stat_add(dev, stat, 1);
}

/* Beside rxo_stat_add(). @counter: that of the queue pair, which may be NULL; it keeps it alive. */
static inline void rxo_counter_add(struct rxo_dev *dev, struct rxo_counter *counter,
				   enum rxo_stat stat, u64 n)
{
	if (!counter)
		return;
	atomic64_add(n, &counter->count[stat]);
	atomic64_add(n, &dev->bound.count[stat]);
}

struct rxo_pd {
	struct ib_pd ibpd;
	atomic_t prefetches;		/* memory/prefetch.c's: under way */
};

static inline struct rxo_pd *to_rxo_pd(struct ib_pd *ibpd)
{
	return container_of(ibpd, struct rxo_pd, ibpd);
}

/* An XRC domain is compared by address: it lives as long as its queue pairs and SRQs. */
struct rxo_xrcd {
	struct ib_xrcd ibxrcd;
};

/*
 * What the floors above do for a device. Handed in at module load; each may sleep.
 *
 * attach		begin to receive for a device that is about to be registered: 0 or -errno
 * detach		end it, attached or not; nothing is being received for it afterwards
 * enabled		it is registered, or moved to another RDMA namespace
 * sum_odp_stats	of its on-demand regions, those that are gone included
 */
struct rxo_dev_upper {
	const struct ib_device_ops *verbs;
	const struct uapi_definition *uapi;	/* methods beside the verbs */
	int (*attach)(struct rxo_dev *dev);
	void (*detach)(struct rxo_dev *dev);
	void (*enabled)(struct rxo_dev *dev);
	void (*sum_odp_stats)(struct rxo_dev *dev, struct umem_odp_stats *sum);
};

extern const struct rxo_dev_upper *rxo_dev_upper;

/* Unbound, shared by all devices; the QPs' works run here. Lives as long as the module. */
extern struct workqueue_struct *rxo_wq;

/* The same for works on devices, which may wait for RTNL; its works end before the module does. */
extern struct workqueue_struct *rxo_dev_wq;

/* dev.c: the life of devices */
int rxo_dev_init(const struct rxo_dev_upper *upper);
void rxo_dev_exit(void);	/* no new link can come; removes all there are */
int rxo_dev_newlink(const char *name, struct net_device *netdev);
int rxo_dev_enable(struct ib_device *ibdev);
void rxo_dev_dealloc(struct ib_device *ibdev);
enum ib_port_state rxo_dev_port_state(const struct rxo_dev *dev);
struct net_device *rxo_dev_get_netdev(struct ib_device *ibdev, u32 port);

/* crc_choice.c: at module load, before any packet; and when the last is through */
void rxo_crc_choose(void);
void rxo_crc_release(void);

#endif /* RXO_DEV_H */
