// SPDX-License-Identifier: GPL-2.0
/* Counters of a device, and what restrack shows of a memory region. */
#include <linux/percpu.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_counter.h>
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "device/dev.h"
#include "device/stats.h"

u64 rxo_stat_read(const struct rxo_dev *dev, enum rxo_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(dev->stats, cpu)->count[stat]);
	return sum;
}

/* A figure of a region; of a device, the sum over its regions. */
#define ODP_PREFIX "odp_"
#define ODP_STAT_AS(as, field) { \
	.name = ODP_PREFIX as, \
	.priv = (void *)offsetof(struct umem_odp_stats, field), \
}

#define ODP_STAT(field) ODP_STAT_AS(#field, field)

/* All names of stock rxe, which count the same, and more; behind them the regions' sums. */
static const struct rdma_stat_desc descs[] = {
	[RXO_STAT_SENT_PKTS]		= { .name = "sent_pkts" },
	[RXO_STAT_RCVD_PKTS]		= { .name = "rcvd_pkts" },
	[RXO_STAT_DUPLICATE_REQUEST]	= { .name = "duplicate_request" },
	[RXO_STAT_OUT_OF_SEQUENCE]	= { .name = "out_of_seq_request" },
	[RXO_STAT_RCVD_RNR]		= { .name = "rcvd_rnr_err" },
	[RXO_STAT_SENT_RNR]		= { .name = "send_rnr_err" },
	[RXO_STAT_RCVD_SEQ_ERR]		= { .name = "rcvd_seq_err" },
	[RXO_STAT_ACK_DEFERRED]		= { .name = "ack_deferred" },
	[RXO_STAT_COMPLETER_RETRY]	= { .name = "completer_retry_err" },
	[RXO_STAT_ACK_TIMEOUT]		= { .name = "ack_timeout" },
	[RXO_STAT_RETRIED_PKTS]		= { .name = "retried_pkts" },
	[RXO_STAT_RETRY_EXCEEDED]	= { .name = "retry_exceeded_err" },
	[RXO_STAT_RNR_EXCEEDED]		= { .name = "retry_rnr_exceeded_err" },
	[RXO_STAT_ICRC_ERR]		= { .name = "rx_icrc_encapsulated" },
	[RXO_STAT_RCV_DROPPED]		= { .name = "rcv_dropped" },
	[RXO_STAT_SEND_ERR]		= { .name = "send_err" },
	[RXO_STAT_SEND_REFUSED]		= { .name = "send_refused" },
	/* The names of mlx5, since stock rxe has none. */
	[RXO_STAT_ECN_MARKED]		= { .name = "np_ecn_marked_roce_packets" },
	[RXO_STAT_CNP_SENT]		= { .name = "np_cnp_sent" },
	[RXO_STAT_CNP_HANDLED]		= { .name = "rp_cnp_handled" },
	[RXO_STAT_FAULT_HELD_PKTS]	= { .name = "fault_held_pkts" },
	[RXO_STAT_FAULT_RNR]		= { .name = "fault_rnr" },
	[RXO_STAT_ODP_FAULTS]		= { .name = "fault_waits" },
	[RXO_STAT_LINK_DOWNED]		= { .name = "link_downed" },
	[RXO_STAT_SENDS]		= { .name = "rdma_sends" },
	[RXO_STAT_RECVS]		= { .name = "rdma_recvs" },
	[RXO_STAT_SENT_BYTES]		= { .name = "sent_bytes" },
	[RXO_STAT_RCVD_BYTES]		= { .name = "rcvd_bytes" },
	[RXO_STAT_LOCAL_OPS]		= { .name = "local_ops" },
	[RXO_STAT_SENT_MCAST_PKTS]	= { .name = "sent_mcast_pkts" },
	[RXO_STAT_RCVD_MCAST_PKTS]	= { .name = "rcvd_mcast_pkts" },
	/* The first of a region's figures is at RXO_STAT_NUM. */
	ODP_STAT(faults),
	/* The names of mlx5 for what it counts as well, which are pages all three. */
	ODP_STAT_AS("page_faults", fault_pages),
	ODP_STAT_AS("page_invalidations", invalidated_pages),
	ODP_STAT_AS("page_prefetch", prefetched_pages),
	ODP_STAT(joined_faults),
	ODP_STAT(retries),
	ODP_STAT(failed_faults),
	ODP_STAT(invalidations),
	ODP_STAT(downgrades),
	ODP_STAT(resident_pages),
	ODP_STAT(huge_pages),
	ODP_STAT(table_bytes),
	ODP_STAT(worst_fault_ns),
	ODP_STAT_AS("faults_below_10us", faults_by_time[0]),
	ODP_STAT_AS("faults_below_100us", faults_by_time[1]),
	ODP_STAT_AS("faults_below_1ms", faults_by_time[2]),
	ODP_STAT_AS("faults_below_10ms", faults_by_time[3]),
	ODP_STAT_AS("faults_below_100ms", faults_by_time[4]),
	ODP_STAT_AS("faults_below_1s", faults_by_time[5]),
	ODP_STAT_AS("faults_above_1s", faults_by_time[6]),
};

static_assert(UMEM_ODP_FAULT_CLASSES == 7);

static u64 stats_of_odp(const struct umem_odp_stats *stats, unsigned int i)
{
	return *(const u64 *)((const u8 *)stats + (uintptr_t)descs[i].priv);
}

struct rdma_hw_stats *rxo_alloc_hw_port_stats(struct ib_device *ibdev, u32 port)
{
	return rdma_alloc_hw_stats_struct(descs, ARRAY_SIZE(descs),
					  RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

int rxo_get_hw_stats(struct ib_device *ibdev, struct rdma_hw_stats *stats, u32 port, int index)
{
	struct rxo_dev *dev = to_rxo_dev(ibdev);
	struct umem_odp_stats odp;
	unsigned int i;

	/* Port 0 would be the device's own counters: there are none. */
	if (port != 1)
		return -EINVAL;
	for (i = 0; i < RXO_STAT_NUM; i++) {
		u64 bound = atomic64_read(&dev->bound.count[i]);

		stats->value[i] = rxo_stat_read(dev, i) - bound;
	}
	rxo_dev_upper->sum_odp_stats(dev, &odp);
	for (; i < ARRAY_SIZE(descs); i++)
		stats->value[i] = stats_of_odp(&odp, i);
	return ARRAY_SIZE(descs);
}

int rxo_stats_put_odp(struct sk_buff *msg, const struct umem_odp_stats *stats)
{
	unsigned int i;

	for (i = RXO_STAT_NUM; i < ARRAY_SIZE(descs); i++)
		if (rdma_nl_stat_hwcounter_entry(msg, descs[i].name + strlen(ODP_PREFIX),
						 stats_of_odp(stats, i)))
			return -EMSGSIZE;
	return 0;
}

struct rxo_counter *rxo_counter_of(struct rdma_counter *counter)
{
	struct rxo_dev *dev = to_rxo_dev(counter->device);
	struct rxo_counter *own;

	if (counter->id)
		return xa_load(&dev->counters, counter->id);
	own = kzalloc_obj(*own, GFP_KERNEL);
	if (own && xa_alloc(&dev->counters, &counter->id, own, xa_limit_32b, GFP_KERNEL)) {
		kfree(own);
		own = NULL;
	}
	return own;
}

/*
 * When the last queue pair leaves a counter, its counts go back to the device's own figures. The
 * core would add the counts of a counter that ends to the port's history, but does so without a
 * lock, and loses some where two end at once, as when both ends of a connection exit.
 */
void rxo_counter_leave(struct rdma_counter *counter)
{
	struct rxo_dev *dev = to_rxo_dev(counter->device);
	struct rxo_counter *own = rxo_counter_of(counter);
	unsigned int i;

	lockdep_assert_held(&counter->lock);
	if (--own->qps)
		return;
	for (i = 0; i < RXO_STAT_NUM; i++)
		atomic64_sub(atomic64_xchg(&own->count[i], 0), &dev->bound.count[i]);
}

/*
 * As many values as the port has, since the core adds the two up. Those that are not counted for
 * queue pairs are not shown.
 */
struct rdma_hw_stats *rxo_counter_alloc_stats(struct rdma_counter *counter)
{
	struct rdma_hw_stats *stats = rxo_alloc_hw_port_stats(counter->device, counter->port);
	unsigned int i;

	if (!stats)
		return NULL;
	for (i = RXO_STAT_NUM; i < ARRAY_SIZE(descs); i++)
		set_bit(i, stats->is_disabled);
	set_bit(RXO_STAT_ICRC_ERR, stats->is_disabled);
	set_bit(RXO_STAT_LINK_DOWNED, stats->is_disabled);
	return stats;
}

int rxo_counter_update_stats(struct rdma_counter *counter)
{
	const struct rxo_counter *own = rxo_counter_of(counter);
	unsigned int i;

	if (!own)
		return -ENOMEM;
	for (i = 0; i < RXO_STAT_NUM; i++)
		counter->stats->value[i] = atomic64_read(&own->count[i]);
	return 0;
}

/* No queue pair is bound to it any more. */
int rxo_counter_dealloc(struct rdma_counter *counter)
{
	kfree(xa_erase(&to_rxo_dev(counter->device)->counters, counter->id));
	return 0;
}
