/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The direct interface of librxe_odp: what devices of rxe_odp can tell and do beyond verbs. rxe_odp_dv(7).
 *
 * All functions may be called by several threads at once, as long as the objects live. Those that return an int return 0 or an
 * errno, unless they say otherwise, and take no other provider's objects: EOPNOTSUPP, and nothing is touched. EOPNOTSUPP also where
 * the kernel module is older than what is asked for; EIO when the device has gone.
 *
 * Structures grow at their end. A caller says how long its own is, by sizeof. What is filled is cut to that; what this library or
 * the kernel module does not know yet is 0. comp_mask is of what cannot be told by 0; there is nothing of that yet, and it is 0.
 */
#ifndef INFINIBAND_RXE_ODP_DV_H
#define INFINIBAND_RXE_ODP_DV_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * rxe_odp_dv_is_supported() - is this device driven by this library?
 * @device: of ibv_get_device_list()
 *
 * A program that is linked with the library may count on it for every device of rxe_odp.
 */
bool rxe_odp_dv_is_supported(struct ibv_device *device);

enum rxe_odp_dv_cap {
	RXE_ODP_DV_CAP_MR_STATS = 1 << 0,
	RXE_ODP_DV_CAP_QP_ERROR = 1 << 1,
	RXE_ODP_DV_CAP_RESIDENCY = 1 << 2,
	RXE_ODP_DV_CAP_PREFETCH = 1 << 5,
};

/* What a registration without IBV_ACCESS_ON_DEMAND becomes: rxe_odp.conf(5). */
enum rxe_odp_dv_register {
	RXE_ODP_DV_REGISTER_DEVICE, /* as the device has it at that time */
	RXE_ODP_DV_REGISTER_PINNED,
	RXE_ODP_DV_REGISTER_ON_DEMAND,
};

struct rxe_odp_dv_device_attr {
	uint64_t comp_mask;
	uint64_t caps;		  /* enum rxe_odp_dv_cap, of library and kernel */
	uint32_t register_policy; /* enum rxe_odp_dv_register, of this context */
	uint32_t page_bytes;	  /* what a page is in this interface */
};

/**
 * rxe_odp_dv_query_device() - what library, kernel module and policy are for a context
 * @context: an open device
 * @attr: filled
 * @size: sizeof(*attr)
 *
 * Return: 0; EINVAL: no context, or a structure too short; EOPNOTSUPP: not of this library.
 */
int rxe_odp_dv_query_device(struct ibv_context *context, struct rxe_odp_dv_device_attr *attr,
			    size_t size);

enum rxe_odp_dv_mr_kind {
	RXE_ODP_DV_MR_PINNED = 1,
	RXE_ODP_DV_MR_ON_DEMAND,
	RXE_ODP_DV_MR_DMABUF,
};

#define RXE_ODP_DV_FAULT_CLASSES 7

/* Counted from the registration on. Of a pinned region or a dma-buf kind, key and resident_pages alone. */
struct rxe_odp_dv_mr_stats {
	uint64_t comp_mask;
	uint32_t kind; /* enum rxe_odp_dv_mr_kind */
	uint32_t key;
	uint64_t faults;	/* that found something missing */
	uint64_t fault_pages;	/* that they brought in */
	uint64_t joined_faults; /* that waited for another at work on the same pages */
	uint64_t retries;	/* rounds that were lost to a change of the mapping */
	uint64_t failed_faults;
	uint64_t invalidations; /* that took pages, or the right to write to them */
	uint64_t invalidated_pages;
	uint64_t downgrades;	 /* pages that lost the right to be written */
	uint64_t resident_pages; /* now */
	uint64_t table_bytes;	 /* kernel memory now */
	uint64_t worst_fault_ns;
	uint64_t last_fault_ns;
	uint64_t avg_fault_ns;	   /* moving, over about the last eight */
	uint64_t prefetched_pages; /* that prefetches brought in */
	/* Faults by how long they took: below 10 us, 100 us, 1 ms, 10 ms, 100 ms, 1 s, and all others. */
	uint64_t faults_by_time[RXE_ODP_DV_FAULT_CLASSES];
};

/**
 * rxe_odp_dv_query_mr() - what a region has seen
 * @mr: the region
 * @stats: filled
 * @size: sizeof(*stats)
 *
 * Return: 0; EINVAL: no region, or a structure too short; EOPNOTSUPP.
 */
int rxe_odp_dv_query_mr(struct ibv_mr *mr, struct rxe_odp_dv_mr_stats *stats, size_t size);

/* A page's byte in a map of residency. */
#define RXE_ODP_DV_PAGE_PRESENT	 (1 << 0) /* the NIC reads it without a fault */
#define RXE_ODP_DV_PAGE_WRITABLE (1 << 1) /* and writes it */
#define RXE_ODP_DV_PAGE_HUGE	 (1 << 2) /* it is part of one entry for 2 MiB */

/**
 * rxe_odp_dv_query_residency() - which pages the NIC finds without a fault, as mincore() has it for the CPU
 * @mr: the region; of a pinned one or a dma-buf all pages are present, of a dma-buf that its exporter took back none
 * @addr: the first byte, as requests name it; any byte of a page stands for the page
 * @length: bytes
 * @pages: a byte for each page that the span touches, RXE_ODP_DV_PAGE_*
 * @num_pages: how many bytes @pages has
 *
 * It is no snapshot: pages come and go while it is filled. It takes tens of milliseconds for a TiB that is not there.
 *
 * Return: 0; EINVAL: no region, or more than @num_pages pages; EFAULT: a span that is not in the region, or @pages cannot be
 * written; EOPNOTSUPP.
 */
int rxe_odp_dv_query_residency(struct ibv_mr *mr, uint64_t addr, size_t length, uint8_t *pages,
			       size_t num_pages);

struct rxe_odp_dv_span {
	uint64_t address; /* as requests name it */
	uint64_t length;
	uint32_t key;	   /* lkey of a region on demand */
	uint32_t reserved; /* 0 */
};

struct rxe_odp_dv_prefetch_attr {
	uint64_t comp_mask; /* 0 */
	uint64_t user_data; /* comes back in the result */
	uint32_t advice;    /* enum ibv_advise_mr_advice */
	int32_t eventfd;    /* -1: none */
	const struct rxe_odp_dv_span *spans;
	uint32_t num_spans; /* at most 2730 */
	uint32_t reserved;  /* 0 */
};

struct rxe_odp_dv_prefetch;

/**
 * rxe_odp_dv_prefetch() - begin to bring pages in
 * @pd: the domain of the regions
 * @attr: what and how; copied
 * @size: sizeof(*attr)
 *
 * It does not wait for pages: the spans are taken one after the other, and when the last one has ended, well or not, 1 is added to
 * the eventfd, which may be closed or used for other prefetches meanwhile. IBV_ADVISE_MR_ADVICE_PREFETCH brings pages in to be
 * read, _PREFETCH_WRITE to be written, _PREFETCH_NO_FAULT takes what the process has already. A page that comes may go again.
 *
 * Return: a prefetch, which lives until rxe_odp_dv_destroy_prefetch(); or NULL with errno: EINVAL: no spans, a structure too short,
 * or another file than an eventfd; E2BIG: too many spans; EAGAIN: 64 prefetches are under way in this context; EBADF: no file;
 * EOPNOTSUPP: not of this library, an advice that is not known, or something in a part of *@attr that is not; ENOMEM. Whether a span
 * can be had is its own result.
 */
struct rxe_odp_dv_prefetch *
rxe_odp_dv_prefetch(struct ibv_pd *pd, const struct rxe_odp_dv_prefetch_attr *attr, size_t size);

struct rxe_odp_dv_prefetch_result {
	uint64_t comp_mask;
	uint64_t user_data;
	uint32_t num_spans;
	uint32_t ended_spans;  /* num_spans: it has ended */
	uint32_t failed_spans; /* of these */
	uint32_t reserved;
};

/**
 * rxe_odp_dv_query_prefetch() - how far it is, and what became of its spans
 * @prefetch: the prefetch
 * @result: filled
 * @size: sizeof(*result)
 * @errors: may be NULL: of each of the first @num_errors spans 0, EINPROGRESS, or, as ibv_advise_mr() has them, ENOENT, EPERM,
 *	EINVAL, EFAULT; EHWPOISON, EOWNERDEAD, ENOMEM, EBUSY
 * @num_errors: how many @errors has room for
 *
 * Return: 0; EINVAL: no prefetch, or a structure too short.
 */
int rxe_odp_dv_query_prefetch(struct rxe_odp_dv_prefetch *prefetch,
			      struct rxe_odp_dv_prefetch_result *result, size_t size,
			      uint32_t *errors, uint32_t num_errors);

/**
 * rxe_odp_dv_destroy_prefetch() - forget about it
 * @prefetch: what is still under way is cancelled, also where a page never comes
 *
 * Return: 0, after which nobody may name @prefetch; EINVAL: no prefetch.
 */
int rxe_odp_dv_destroy_prefetch(struct rxe_odp_dv_prefetch *prefetch);

/* Whose access was refused, to what. */
enum rxe_odp_dv_error_side {
	RXE_ODP_DV_SIDE_SEND = 1, /* ours, to memory that a send request names */
	RXE_ODP_DV_SIDE_RECEIVE,  /* ours, to memory that a receive request names */
	RXE_ODP_DV_SIDE_REQUEST,  /* the peer's, to memory here */
	RXE_ODP_DV_SIDE_PEER,	  /* ours, to memory at the peer, who does not say why */
};

enum rxe_odp_dv_error_reason {
	RXE_ODP_DV_REASON_UNKNOWN,
	RXE_ODP_DV_REASON_NO_KEY,	 /* no region of the process has the key */
	RXE_ODP_DV_REASON_OTHER_PD,	 /* one in another protection domain has */
	RXE_ODP_DV_REASON_REGION_ACCESS, /* the region was registered without the right */
	RXE_ODP_DV_REASON_RANGE,	 /* not all of it lies in the region */
	RXE_ODP_DV_REASON_QP_ACCESS,	 /* the queue pair does not let its peer do this */
	RXE_ODP_DV_REASON_ALIGNMENT,	 /* of an atomic */
	RXE_ODP_DV_REASON_NOT_MAPPED,	 /* nothing is mapped at fault_address */
	RXE_ODP_DV_REASON_MAP_ACCESS,	 /* the mapping there has not the permission */
	RXE_ODP_DV_REASON_MAP_SPECIAL,	 /* a mapping of a device, secret memory, a shadow stack */
	RXE_ODP_DV_REASON_NO_PAGE,	/* behind the end of a file, or no page is provided there */
	RXE_ODP_DV_REASON_POISONED,	/* the memory is broken */
	RXE_ODP_DV_REASON_OWNER_GONE,	/* the process whose memory it was has ended */
	RXE_ODP_DV_REASON_DEREGISTERED, /* while the access waited for a page */
	RXE_ODP_DV_REASON_TAKEN_BACK,	/* the dma-buf was, by its exporter */
	RXE_ODP_DV_REASON_OTHER_QP,	/* the memory window is for another queue pair */
	RXE_ODP_DV_REASON_WINDOW, /* it is bound already, or what is asked is not for its type */
};

/* Addresses are those that requests name. What is said of a region is 0 where it does not belong to the domain that asked. */
struct rxe_odp_dv_qp_error {
	uint64_t comp_mask;
	uint64_t count;	  /* of errors so far; 0: none, and the rest is 0 */
	uint64_t wr_id;	  /* of SIDE_SEND, SIDE_RECEIVE, SIDE_PEER */
	uint64_t address; /* the first byte that was asked for */
	uint64_t length;
	uint64_t fault_address; /* the first byte that could not be had */
	uint64_t region_address;
	uint64_t region_length;
	uint32_t region_access; /* enum ibv_access_flags */
	uint32_t region_key;
	uint32_t key;	 /* that was used */
	uint32_t access; /* enum ibv_access_flags that was wanted; 0: to read for a send */
	uint32_t side;	 /* enum rxe_odp_dv_error_side */
	uint32_t reason; /* enum rxe_odp_dv_error_reason */
	uint32_t error;	 /* errno */
	uint32_t psn;
	uint32_t opcode; /* of SIDE_SEND, SIDE_PEER: enum ibv_wr_opcode; else the packet's */
	uint32_t reserved;
};

/**
 * rxe_odp_dv_query_qp_error() - the last access to memory that a queue pair reported as an error
 * @qp: the queue pair
 * @error: filled; count is 0 if there was none
 * @size: sizeof(*error)
 *
 * The first error of a queue pair stays, whatever fails after it, until the queue pair has been through RESET and fails again.
 *
 * Return: 0; EINVAL: no queue pair, or a structure too short; EOPNOTSUPP.
 */
int rxe_odp_dv_query_qp_error(struct ibv_qp *qp, struct rxe_odp_dv_qp_error *error, size_t size);

/**
 * rxe_odp_dv_error_str() - the same in words
 * @error: of rxe_odp_dv_query_qp_error()
 * @size: sizeof(*error)
 * @str: one sentence in English without a newline, ended by 0; may be NULL if @len is 0
 * @len: how many bytes @str has
 *
 * Return: as snprintf(): the length of the whole sentence, which was cut if it is not below @len; -1 and EINVAL in errno where
 * the structure is too short.
 */
int rxe_odp_dv_error_str(const struct rxe_odp_dv_qp_error *error, size_t size, char *str,
			 size_t len);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_RXE_ODP_DV_H */
