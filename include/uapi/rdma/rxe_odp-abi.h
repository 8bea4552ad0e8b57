/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * What rxe_odp's user ABI has beyond that of rxe (<rdma/rdma_user_rxe.h>), all of which it has.
 * Text: docs/user-abi.md.
 *
 * A device of ours has the sysfs attribute "user_abi", which reads RXE_ODP_USER_ABI and a newline;
 * stock rxe has none. That name changes if old and new cannot work together at all. All else is
 * told by capability bits, which both sides give when a context is opened: a feature is in force if
 * both have its bit.
 *
 * Structures grow at their end. The kernel takes any length: what a shorter one does not have is 0,
 * and what a longer one has beyond what the kernel knows must be 0. What it fills is cut to what
 * the caller has room for; the caller zeroes what it gives.
 */
#ifndef RXE_ODP_ABI_USER_H
#define RXE_ODP_ABI_USER_H

#include <linux/types.h>
#include <rdma/ib_user_ioctl_cmds.h>

#define RXE_ODP_USER_ABI	"rxe_odp 1"

#define RXE_ODP_CAP_MR_STATS		(1ULL << 0)	/* RXE_ODP_METHOD_MR_STATS */
#define RXE_ODP_CAP_QP_ACCESS_ERROR	(1ULL << 1)	/* RXE_ODP_METHOD_QP_ACCESS_ERROR */
#define RXE_ODP_CAP_MR_RESIDENCY	(1ULL << 2)	/* RXE_ODP_METHOD_MR_RESIDENCY */
#define RXE_ODP_CAP_ADVISE_MR		(1ULL << 3)	/* UVERBS_METHOD_ADVISE_MR */
#define RXE_ODP_CAP_REGISTER		(1ULL << 4)	/* RXE_ODP_UCTX_REGISTER_* */
#define RXE_ODP_CAP_PREFETCH		(1ULL << 5)	/* RXE_ODP_OBJECT_PREFETCH */

/*
 * What the context's registrations of memory are that do not ask for IBV_ACCESS_ON_DEMAND: as the
 * device's sysfs attribute "register" says, or one of these. EINVAL for both.
 */
#define RXE_ODP_UCTX_REGISTER_ON_DEMAND	(1U << 0)
#define RXE_ODP_UCTX_REGISTER_PINNED	(1U << 1)

/*
 * The driver's part of opening a context. Without it (stock librxe gives none) a context is as
 * rxe's.
 *
 * @caps: RXE_ODP_CAP_*: request: that the provider knows (bits unknown to the kernel are
 *	ignored); response: that the kernel has
 * @flags: RXE_ODP_UCTX_*: what the context is to be like; EOPNOTSUPP for one that the kernel
 *	does not know
 */
struct rxe_odp_alloc_ucontext_req {
	__aligned_u64 caps;
	__u32 flags;
	__u32 poll_idle_us;		/* RXE_ODP_CAP_POLL: see RXE_ODP_POLL_MAX_US */
};

struct rxe_odp_alloc_ucontext_resp {
	__aligned_u64 caps;
};

/*
 * A FLUSH's target: wr.flush of struct rxe_send_wr, which headers of before Linux 6.2 do not have.
 * The length is taken from the WQE's dma; the one here is not looked at.
 */
struct rxe_odp_flush_wr {
	__aligned_u64 remote_addr;
	__u32 length;
	__u32 rkey;
	__u8 type;			/* IBV_FLUSH_GLOBAL, IBV_FLUSH_PERSISTENT */
	__u8 level;			/* IBV_FLUSH_RANGE, IBV_FLUSH_MR */
};

/*
 * XRC, which rxe does not have: the number of the SRQ that a request is for stands in the field
 * "reserved" of struct rxe_send_wr, behind wr_id; its upper eight bits are not looked at.
 */

/*
 * The promise: a word in the header of every send queue, pad_3[RXE_ODP_PROMISE_PAD] of struct
 * rxe_queue_buf, beside the consumer index. The kernel writes it and never reads it. As long as it
 * is not 0 the requester or a polling thread is going to look at the queue, and a process that has
 * posted need not ring the doorbell:
 *
 *	write the WQEs; producer_index = new (release); full memory barrier; if (!promise) ring
 *
 * It may ring all the same. In a context that did not say RXE_ODP_CAP_PROMISE the word is 0.
 */
#define RXE_ODP_CAP_PROMISE	(1ULL << 8)
#define RXE_ODP_PROMISE_PAD	0
#define RXE_ODP_PROMISE_ENGINE	1U	/* the requester runs, or is held up and will run */
#define RXE_ODP_PROMISE_POLLER	2U	/* the context's polling thread is awake */

/*
 * A thread of the kernel that polls the send queues of a context, if its poll_idle_us is not 0: it
 * promises to look at all of them, and sleeps when nobody has posted for so long; the next doorbell
 * wakes it. EINVAL for more than RXE_ODP_POLL_MAX_US, EAGAIN if the user has as many on the device
 * as there are CPUs.
 */
#define RXE_ODP_CAP_POLL	(1ULL << 9)
#define RXE_ODP_POLL_MAX_US	1000000

/* Methods of UVERBS_OBJECT_MR. */
enum rxe_odp_mr_methods {
	RXE_ODP_METHOD_MR_STATS = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_METHOD_MR_RESIDENCY,
};

enum rxe_odp_mr_stats_attrs {
	RXE_ODP_ATTR_MR_STATS_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_ATTR_MR_STATS_RESP,	/* struct rxe_odp_mr_stats */
};

enum rxe_odp_mr_kind {
	RXE_ODP_MR_PINNED = 1,
	RXE_ODP_MR_ON_DEMAND,
	RXE_ODP_MR_DMABUF,
};

#define RXE_ODP_FAULT_CLASSES	7

/*
 * What a region has seen, as "rdma statistic show mr" has it. Of a pinned one or a dma-buf only the
 * first two and resident_pages are filled: all of its pages, or 0 where a dma-buf was taken back by
 * its exporter.
 */
struct rxe_odp_mr_stats {
	__u32 kind;			/* enum rxe_odp_mr_kind */
	__u32 key;			/* lkey and rkey */
	__aligned_u64 faults;		/* that found something missing */
	__aligned_u64 fault_pages;	/* that they brought in */
	__aligned_u64 joined_faults;	/* that waited for another at work on the same pages */
	__aligned_u64 retries;		/* rounds that were lost to a change of the mapping */
	__aligned_u64 failed_faults;
	__aligned_u64 invalidations;	/* that took pages, or the right to write to them */
	__aligned_u64 invalidated_pages;
	__aligned_u64 downgrades;	/* pages that lost the right to be written */
	__aligned_u64 resident_pages;	/* now */
	__aligned_u64 table_bytes;	/* kernel memory now */
	__aligned_u64 worst_fault_ns;
	__aligned_u64 last_fault_ns;
	__aligned_u64 avg_fault_ns;	/* moving, over about the last eight */
	__aligned_u64 prefetched_pages;	/* that prefetches brought in */
	/* Faults by how long they took: below 10 us, 100 us, 1, 10, 100 ms, 1 s, and all others. */
	__aligned_u64 faults_by_time[RXE_ODP_FAULT_CLASSES];
};

enum rxe_odp_mr_residency_attrs {
	RXE_ODP_ATTR_MR_RESIDENCY_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_ATTR_MR_RESIDENCY_REQ,		/* struct rxe_odp_mr_residency */
	RXE_ODP_ATTR_MR_RESIDENCY_RESP_PAGES,	/* __u64: how many were filled */
};

/*
 * Which pages the NIC finds without a fault, as mincore() has it for the CPU: a byte for each page
 * that the span touches, RXE_ODP_PAGE_*. Fewer are filled where a signal is pending: begin again
 * behind them. EFAULT for a span that is not in the region, E2BIG for one of more than
 * RXE_ODP_RESIDENCY_MAX_PAGES. Of a pinned region or a dma-buf all are there; of a dma-buf that its
 * exporter took back, none.
 */
struct rxe_odp_mr_residency {
	__aligned_u64 address;		/* as requests name it */
	__aligned_u64 length;
	__aligned_u64 pages;		/* pointer to the bytes */
};

#define RXE_ODP_RESIDENCY_MAX_PAGES	(1ULL << 28)

#define RXE_ODP_PAGE_PRESENT	(1 << 0)	/* to be read */
#define RXE_ODP_PAGE_WRITABLE	(1 << 1)	/* to be written */
#define RXE_ODP_PAGE_HUGE	(1 << 2)	/* by one entry for its 2 MiB */

/*
 * What "rdma -r resource show mr" has of a region on demand (RDMA_NLDEV_ATTR_RES_RAW), for
 * CAP_NET_ADMIN: where it is and how much of each piece of it the NIC finds. Cell 0 is the piece of
 * 1 << cell_shift bytes, so aligned, in which @start lies. Shares are of what of the cell lies in
 * the region, in 255ths, and 0 only where there is nothing. Structures grow at the end of the head:
 * the cells are the last @nr_cells * 2 bytes.
 */
#define RXE_ODP_MR_MAP_CELLS	512

struct rxe_odp_mr_cell {
	__u8 present;
	__u8 huge;			/* by entries of 2 MiB; part of @present */
};

struct rxe_odp_mr_map {
	__aligned_u64 start;		/* address in the owner's memory */
	__aligned_u64 length;
	__aligned_u64 worst_fault_address;
	__u32 cell_shift;
	__u32 nr_cells;
	struct rxe_odp_mr_cell cells[RXE_ODP_MR_MAP_CELLS];
};

/* Methods of UVERBS_OBJECT_QP. */
enum rxe_odp_qp_methods {
	RXE_ODP_METHOD_QP_ACCESS_ERROR = (1U << UVERBS_ID_NS_SHIFT),
};

enum rxe_odp_qp_access_error_attrs {
	RXE_ODP_ATTR_QP_ACCESS_ERROR_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_ATTR_QP_ACCESS_ERROR_RESP,	/* struct rxe_odp_access_error */
};

/* Whose access was refused, to what. */
enum rxe_odp_error_side {
	RXE_ODP_SIDE_SEND = 1,		/* ours, to memory that a send request names */
	RXE_ODP_SIDE_RECEIVE,		/* ours, to memory that a receive request names */
	RXE_ODP_SIDE_REQUEST,		/* the peer's, to memory here */
	RXE_ODP_SIDE_PEER,		/* ours, to memory at the peer, who does not say why */
};

enum rxe_odp_error_reason {
	RXE_ODP_REASON_UNKNOWN,
	RXE_ODP_REASON_NO_KEY,		/* no region of the process has the key */
	RXE_ODP_REASON_OTHER_PD,	/* one in another protection domain has */
	RXE_ODP_REASON_REGION_ACCESS,	/* the region was registered without the right */
	RXE_ODP_REASON_RANGE,		/* not all of it lies in the region */
	RXE_ODP_REASON_QP_ACCESS,	/* the queue pair does not let its peer do this */
	RXE_ODP_REASON_ALIGNMENT,	/* of an atomic */
	RXE_ODP_REASON_NOT_MAPPED,	/* nothing is mapped at fault_address */
	RXE_ODP_REASON_MAP_ACCESS,	/* the mapping there has not the permission */
	RXE_ODP_REASON_MAP_SPECIAL,	/* a mapping of a device, secret memory, a shadow stack */
	RXE_ODP_REASON_NO_PAGE,		/* behind the end of a file, or no page is provided there */
	RXE_ODP_REASON_POISONED,	/* the memory is broken */
	RXE_ODP_REASON_OWNER_GONE,	/* the process whose memory it was has ended */
	RXE_ODP_REASON_DEREGISTERED,	/* while the access waited for a page */
	RXE_ODP_REASON_TAKEN_BACK,	/* the dma-buf was, by its exporter */
	RXE_ODP_REASON_OTHER_QP,	/* the memory window is for another queue pair */
	RXE_ODP_REASON_WINDOW,		/* bound already, or what is asked is not for its type */
};

/*
 * The last access to memory that a queue pair reported as an error. Addresses are those that
 * requests name. What is said of a region is said only if it belongs to the protection domain that
 * asked; else it is 0.
 */
struct rxe_odp_access_error {
	__aligned_u64 count;		/* of errors so far; 0: none, and the rest is 0 */
	__aligned_u64 wr_id;		/* of SEND, RECEIVE, PEER */
	__aligned_u64 address;		/* first byte that was asked for */
	__aligned_u64 length;
	__aligned_u64 fault_address;	/* first byte that could not be had */
	__aligned_u64 region_address;
	__aligned_u64 region_length;
	__u32 region_access;		/* IBV_ACCESS_* */
	__u32 region_key;
	__u32 key;			/* that was used */
	__u32 access;			/* IBV_ACCESS_* that was wanted; 0 to read for a send */
	__u32 side;			/* enum rxe_odp_error_side */
	__u32 reason;			/* enum rxe_odp_error_reason */
	__u32 error;			/* errno */
	__u32 psn;
	__u32 opcode;			/* of SEND, PEER: IBV_WR_*; else the packet's */
	__u32 reserved;
};

/*
 * A prefetch as an object: begun with its creation, asked how far it is, signalled by an eventfd
 * when it has ended, and cancelled by its destruction.
 */
enum rxe_odp_objects {
	RXE_ODP_OBJECT_PREFETCH = (1U << UVERBS_ID_NS_SHIFT),
};

enum rxe_odp_prefetch_methods {
	RXE_ODP_METHOD_PREFETCH_START = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_METHOD_PREFETCH_QUERY,
	RXE_ODP_METHOD_PREFETCH_DESTROY,
};

enum rxe_odp_prefetch_start_attrs {
	RXE_ODP_ATTR_PREFETCH_START_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_ATTR_PREFETCH_START_PD_HANDLE,
	RXE_ODP_ATTR_PREFETCH_START_REQ,	/* struct rxe_odp_prefetch */
	RXE_ODP_ATTR_PREFETCH_START_SPANS,	/* array of struct rxe_odp_span, not empty */
};

enum rxe_odp_prefetch_query_attrs {
	RXE_ODP_ATTR_PREFETCH_QUERY_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_ODP_ATTR_PREFETCH_QUERY_RESP,	/* struct rxe_odp_prefetch_result */
	RXE_ODP_ATTR_PREFETCH_QUERY_RESP_SPANS,	/* array of __u32: an errno each, or 0; optional */
};

enum rxe_odp_prefetch_destroy_attrs {
	RXE_ODP_ATTR_PREFETCH_DESTROY_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
};

struct rxe_odp_prefetch {
	__aligned_u64 user_data;	/* comes back in the result */
	__u32 advice;			/* IBV_ADVISE_MR_ADVICE_PREFETCH* */
	__s32 eventfd;			/* 1 is added when all spans have ended; -1: none */
};

struct rxe_odp_span {
	__aligned_u64 address;		/* as requests name it */
	__aligned_u64 length;
	__u32 key;
	__u32 reserved;			/* 0 */
};

/*
 * The errno of a span that has not ended is EINPROGRESS. Else it is 0, or ENOENT, EPERM, EINVAL or
 * EFAULT as ibv_advise_mr() has them, but EINVAL also for a region that is not on demand; or
 * EHWPOISON, EOWNERDEAD, ENOMEM, EBUSY.
 */
struct rxe_odp_prefetch_result {
	__aligned_u64 user_data;
	__u32 num_spans;
	__u32 ended_spans;		/* all: the prefetch has ended */
	__u32 failed_spans;		/* of these */
	__u32 reserved;
};

#endif /* RXE_ODP_ABI_USER_H */
