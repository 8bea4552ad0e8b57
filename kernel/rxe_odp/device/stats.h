/* SPDX-License-Identifier: GPL-2.0 */
/* Counters of a device, shown by "rdma statistic" and sysfs hw_counters. */
#ifndef RXO_STATS_H
#define RXO_STATS_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include <umem_odp/umem_odp.h>

enum rxo_stat {
	RXO_STAT_SENT_PKTS,
	RXO_STAT_RCVD_PKTS,
	RXO_STAT_DUPLICATE_REQUEST,
	RXO_STAT_OUT_OF_SEQUENCE,
	RXO_STAT_RCVD_RNR,
	RXO_STAT_SENT_RNR,
	RXO_STAT_RCVD_SEQ_ERR,
	RXO_STAT_ACK_DEFERRED,		/* answers that waited, for a page or behind others */
	RXO_STAT_COMPLETER_RETRY,	/* times that sending began again, but for RNR NAKs */
	RXO_STAT_ACK_TIMEOUT,
	RXO_STAT_RETRIED_PKTS,
	RXO_STAT_RETRY_EXCEEDED,
	RXO_STAT_RNR_EXCEEDED,
	RXO_STAT_ICRC_ERR,
	RXO_STAT_RCV_DROPPED,		/* malformed, no such QP, wrong state, hold bound */
	RXO_STAT_SEND_ERR,		/* no route, no memory, a filter */
	RXO_STAT_SEND_REFUSED,		/* a full queue of this host; sent later */
	RXO_STAT_ECN_MARKED,		/* received packets of connections, with "ecn" on */
	RXO_STAT_CNP_SENT,
	RXO_STAT_CNP_HANDLED,		/* CNPs received that lowered a rate */
	RXO_STAT_FAULT_HELD_PKTS,	/* packets that waited for a page fault */
	RXO_STAT_FAULT_RNR,		/* RNR NAKs sent because a fault lasted */
	RXO_STAT_ODP_FAULTS,		/* asynchronous faults that were asked for */
	RXO_STAT_LINK_DOWNED,
	RXO_STAT_SENDS,			/* SENDs and datagrams that completed, flushed ones not */
	RXO_STAT_RECVS,			/* receives that completed with success */
	RXO_STAT_SENT_BYTES,		/* of those packets, from the IP header to the ICRC */
	RXO_STAT_RCVD_BYTES,
	RXO_STAT_LOCAL_OPS,		/* requests that were executed at a peer without a packet */
	RXO_STAT_SENT_MCAST_PKTS,	/* these are among RXO_STAT_SENT_PKTS, too */
	RXO_STAT_RCVD_MCAST_PKTS,	/* these among RXO_STAT_RCVD_PKTS */
	RXO_STAT_NUM,
};

struct rxo_stats {
	u64 count[RXO_STAT_NUM];
};

/*
 * Counts of the queue pairs that an administrator has bound to a counter ("rdma statistic qp"). For
 * a port, the core shows the sum of the device's own figures and of all counters: so what is
 * counted here is subtracted from the device's own figures (rxo_dev.bound).
 */
struct rxo_counter {
	atomic64_t count[RXO_STAT_NUM];
	u32 qps;			/* bound to it; under rdma_counter.lock */
};

struct ib_device;
struct ib_grh;
struct ib_mad;
struct ib_wc;
struct rdma_counter;
struct rdma_hw_stats;
struct rxo_dev;
struct sk_buff;

/* Any context; counted with rxo_stat_add(). */
u64 rxo_stat_read(const struct rxo_dev *dev, enum rxo_stat stat);

/* The verbs. */
struct rdma_hw_stats *rxo_alloc_hw_port_stats(struct ib_device *ibdev, u32 port);
int rxo_get_hw_stats(struct ib_device *ibdev, struct rdma_hw_stats *stats, u32 port, int index);

/*
 * The counter behind one of the core's, made at the first call; NULL without memory. May sleep, and
 * is called under rdma_counter.lock.
 */
struct rxo_counter *rxo_counter_of(struct rdma_counter *counter);

/* Under rdma_counter.lock: a queue pair counts for it no more. */
void rxo_counter_leave(struct rdma_counter *counter);

struct rdma_hw_stats *rxo_counter_alloc_stats(struct rdma_counter *counter);
int rxo_counter_update_stats(struct rdma_counter *counter);
int rxo_counter_dealloc(struct rdma_counter *counter);

/* Writes a region's figures, under their names, into a netlink message. 0 or -EMSGSIZE. */
int rxo_stats_put_odp(struct sk_buff *msg, const struct umem_odp_stats *stats);

/* pma.c */
int rxo_process_mad(struct ib_device *ibdev, int flags, u32 port, const struct ib_wc *in_wc,
		    const struct ib_grh *in_grh, const struct ib_mad *in, struct ib_mad *out,
		    size_t *out_bytes, u16 *out_pkey_index);

#endif /* RXO_STATS_H */
