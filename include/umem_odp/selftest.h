/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * /dev/umem_odp_selftest: what a NIC does with a region, by ioctl, for tests of umem_odp alone.
 * One open file is one region of the process that creates it.
 */
#ifndef UMEM_ODP_SELFTEST_H
#define UMEM_ODP_SELFTEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UMEM_SELFTEST_WRITE	1	/* may be written; is to be written */
#define UMEM_SELFTEST_NOFAULT	2	/* copy: end at the first miss with EAGAIN */

#define UMEM_SELFTEST_COPY_MAX	(4U << 20)
#define UMEM_SELFTEST_SLOTS	64
#define UMEM_SELFTEST_CROWD_MAX	100000

struct umem_selftest_span {
	__u64 va;
	__u64 len_bytes;
	__u32 flags;
	__u32 slot;		/* async */
};

struct umem_selftest_copy {
	__u64 va;
	__u64 buf;
	__u64 len_bytes;
	__u64 done_bytes;	/* out, on failure too */
	__u32 flags;
	__u32 reserved;
};

/* What became of an asynchronous fault. */
struct umem_selftest_slot {
	__u32 slot;
	__u32 timeout_ms;	/* wait: for so long at most */
	__s32 err;		/* out: of the fault, -EINPROGRESS; cancel: 1 if it was in time */
	__u32 wakes;		/* out: how often wake() was called */
	__u64 fault_ns;		/* out */
};

struct umem_selftest_stats {
	__u64 faults, fault_pages, joined_faults, retries, failed_faults;
	__u64 invalidations, invalidated_pages, downgrades;
	__u64 resident_pages, table_bytes;
	__u64 worst_fault_ns, last_fault_ns, avg_fault_ns;
};

struct umem_selftest_hammer {
	__u64 va;
	__u64 len_bytes;
	__u32 flags;
	__u32 threads;		/* 0: end them */
	__u64 accesses;		/* out, at the end: those that succeeded */
	__u64 misses;		/* out, at the end */
};

/* Asynchronous faults of one byte: the first at va, the next stride_bytes on. One at a time. */
struct umem_selftest_crowd {
	__u64 va;
	__u64 stride_bytes;
	__u32 count;
	__u32 flags;
};

/* Its end: who waits is cancelled. All but timeout_ms is out. */
struct umem_selftest_crowd_end {
	__u32 timeout_ms;	/* first, for so long at most, until all are woken */
	__u32 present;		/* had their page at once */
	__u32 woken;		/* without an error */
	__u32 failed;		/* with an error, or were refused */
	__u32 cancelled;
	__u32 reserved;
	__u64 ns_add;		/* how long it took to ask for all */
	__u64 ns_cancel;	/* and to cancel the rest */
};

#define UMEM_SELFTEST_CREATE	_IOW('U', 1, struct umem_selftest_span)
#define UMEM_SELFTEST_COPY_FROM	_IOWR('U', 2, struct umem_selftest_copy)
#define UMEM_SELFTEST_COPY_TO	_IOWR('U', 3, struct umem_selftest_copy)
#define UMEM_SELFTEST_FAULT	_IOW('U', 4, struct umem_selftest_span)
#define UMEM_SELFTEST_ASYNC	_IOW('U', 5, struct umem_selftest_span)
#define UMEM_SELFTEST_WAIT	_IOWR('U', 6, struct umem_selftest_slot)
#define UMEM_SELFTEST_CANCEL	_IOWR('U', 7, struct umem_selftest_slot)
#define UMEM_SELFTEST_STATS	_IOR('U', 8, struct umem_selftest_stats)
#define UMEM_SELFTEST_CLOSE	_IO('U', 9)
#define UMEM_SELFTEST_DESTROY	_IO('U', 10)
#define UMEM_SELFTEST_HAMMER	_IOWR('U', 11, struct umem_selftest_hammer)
#define UMEM_SELFTEST_CROWD	_IOW('U', 12, struct umem_selftest_crowd)
#define UMEM_SELFTEST_CROWD_END	_IOWR('U', 13, struct umem_selftest_crowd_end)

#endif
