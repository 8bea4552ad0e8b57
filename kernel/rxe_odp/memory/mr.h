/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory regions of the NIC: (pd, key, access, address, length) to bytes.
 *
 * This layer knows no packets. It answers with errno, never with a transport
 * state; the callers decide what an errno means to a peer or to a completion.
 */
#ifndef RXO_MR_H
#define RXO_MR_H

#include <linux/refcount.h>
#include <rdma/ib_verbs.h>
#include <rdma/uverbs_ioctl.h>
#include <umem_odp/umem_odp.h>

struct rxe_odp_access_error;
struct rxo_dev;
struct rxo_mem;
struct rxo_pd;
struct sk_buff;

enum rxo_mr_kind {
	RXO_MR_DMA,		/* all of kernel memory; kernel PDs only */
	RXO_MR_PINNED,		/* user memory under ib_umem_get_va() */
	RXO_MR_ODP,		/* a umem_odp region */
	RXO_MR_DMABUF,		/* a dma-buf of any exporter that has an address for the CPU */
	RXO_MR_FAST,		/* kernel memory, registered by work requests: mr_fast.c */
};

/*
 * What a key stands for: a protection domain, rights, and a window onto memory.
 * Immutable after publication in rxo_dev.mrs, but for those that work requests
 * register, bind and invalidate (mr_fast.c, mw.c); rereg_mr exchanges the whole object
 * behind a key. @refs: one for the key, one for each access or waiter
 * under way; deregistration unpublishes, closes the ODP region (which wakes its
 * waiters) and waits for the rest. So no reference may be kept across
 * packets: look the key up again.
 */
struct rxo_mr {
	struct rxo_mem *mem;
	struct rxo_pd *pd;
	u32 key;
	int access;		/* IB_ACCESS_* */
	u64 iova;
	u64 va;			/* of the byte at @iova, as @mem counts */
	u64 length;
	refcount_t refs;
	u32 index : 24;		/* in rxo_dev.mrs */
	u32 fast : 1;		/* above memory of RXO_MR_FAST */
	u32 window : 1;		/* a memory window's */
	atomic_t windows;	/* of a region: bound over it; negative: none may be any more */
	struct rcu_head rcu;
};

/*
 * The verbs' object. @mem is immutable, and lives as long; @mr is exchanged by
 * rereg_mr under the uobject's write lock: reading it takes that lock for reading.
 */
struct rxo_ibmr {
	struct ib_mr ibmr;
	struct rxo_mem *mem;
	struct rxo_mr *mr;
};

static inline struct rxo_ibmr *to_rxo_ibmr(struct ib_mr *ibmr)
{
	return container_of(ibmr, struct rxo_ibmr, ibmr);
}

#define RXO_REMOTE_RIGHTS (IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_WRITE | \
			   IB_ACCESS_REMOTE_ATOMIC | IB_ACCESS_FLUSH_GLOBAL | \
			   IB_ACCESS_FLUSH_PERSISTENT)

/* Blocks that one fast registration lists at most, each of at least 4 KiB. */
#define RXO_MAX_FAST_BLOCKS 512

/* What an atomic does with its eight bytes. */
enum rxo_atomic_op { RXO_ATOMIC_CMP_SWAP, RXO_ATOMIC_FETCH_ADD, RXO_ATOMIC_STORE };

/* Which key a request carries: a local or a remote one. */
enum rxo_key_type { RXO_LKEY, RXO_RKEY };

/**
 * rxo_mr_get - resolve a key for one access
 * @pd: the protection domain of the QP (or SRQ) that asks
 * @key: from a WQE or from the wire
 * @type: lkey or rkey
 * @access: IB_ACCESS_* rights that are needed (0 for a local read)
 * @iova: first byte
 * @length: bytes; 0 is refused by the caller, not here
 *
 * Any context up to softirq; with BH off where @pd is a kernel user's, until a
 * region that is not on demand is put. Returns a referenced region, or ERR_PTR: -ENOENT
 * (no such key), -EPERM (another PD, or a right is missing), -ERANGE.
 */
struct rxo_mr *rxo_mr_get(struct rxo_pd *pd, u32 key, enum rxo_key_type type, int access,
			  u64 iova, u64 length);
void rxo_mr_put(struct rxo_mr *mr);

/**
 * rxo_mr_get_remote - resolve a key that a peer's request carries
 * @pd: the protection domain of the QP that received it
 * @qp_id: and which QP that is: a memory window may be for one alone
 * @key: from the wire
 * @access: IB_ACCESS_* rights that are needed
 * @iova: first byte
 * @length: bytes
 *
 * As rxo_mr_get(), with BH off until the reference is put or turned into one to the region
 * (rxo_mw_to_region()). Returns a region or a window; one more error is -EXDEV, a window for
 * another QP.
 */
struct rxo_mr *rxo_mr_get_remote(struct rxo_pd *pd, u64 qp_id, u32 key, int access, u64 iova,
				 u64 length);
/* The same for all that the key stands for. */
struct rxo_mr *rxo_mr_get_remote_whole(struct rxo_pd *pd, u64 qp_id, u32 key, int access);

/* Whether a key that was refused is that of a memory window in this domain. Any context. */
bool rxo_mr_is_window(struct rxo_pd *pd, u32 key);

/**
 * rxo_mr_invalidate - take a key back
 * @pd: the protection domain of the QP that asks
 * @qp_id: and which QP that is
 * @key: what is to be invalidated
 * @remote: its peer asks, by a SEND with invalidate
 *
 * With BH off. When 0 is returned no access by the key touches memory any more, and none will.
 * -ENOENT (no such key), -EPERM (another PD, or a key that the asker may not invalidate), -EXDEV
 * (a window for another QP).
 */
int rxo_mr_invalidate(struct rxo_pd *pd, u64 qp_id, u32 key, bool remote);

/**
 * rxo_fast_register - what REG_MR does
 * @pd: the protection domain of the QP that asks
 * @key: the new key; its upper 24 bits say of which region
 * @access: the new rights
 * @iova: of the first byte
 *
 * With BH off. -ENOENT (no such region), -EPERM (another PD), -EBUSY (it has a key), -EINVAL
 * (rights that there are not, nothing mapped).
 */
int rxo_fast_register(struct rxo_pd *pd, u32 key, int access, u64 iova);

/*
 * Copies. Any context up to softirq. @done counts bytes placed, also on error:
 * progress is kept page by page. 0, -EAGAIN (a miss: fault and come back),
 * -EFAULT, -EHWPOISON, -ESHUTDOWN (the region is being deregistered).
 */
int rxo_mr_copy_from(struct rxo_mr *mr, u64 iova, void *dst, u32 length, u32 *done);
int rxo_mr_copy_to(struct rxo_mr *mr, u64 iova, const void *src, u32 length, u32 *done);

/*
 * From one region to the other, without a buffer. As the copies, and: -EAGAIN may be of either
 * side, of something that is just being taken back, or of memory that overlaps; -EOPNOTSUPP: not
 * with a dma-buf.
 */
int rxo_mr_move(struct rxo_mr *to, u64 to_iova, struct rxo_mr *from, u64 from_iova, u32 length);

/**
 * rxo_mr_atomic - one 8-byte atomic on region memory, atomic to CPUs also
 * @mr: with the right to it, checked by rxo_mr_get()
 * @iova: of memory that is 8-byte aligned, else -EINVAL
 * @op: what is done
 * @compare: for compare-and-swap
 * @value: to swap in, to add, to store
 * @old: what was there; not of a store
 *
 * As for the copies: 0 or -EAGAIN, -EFAULT, ...
 */
int rxo_mr_atomic(struct rxo_mr *mr, u64 iova, enum rxo_atomic_op op, u64 compare, u64 value,
		  u64 *old);

/**
 * rxo_mr_write_back - let what was written to persistent memory reach it
 * @mr: with IB_ACCESS_FLUSH_PERSISTENT, checked by rxo_mr_get()
 * @iova: first byte
 * @length: bytes
 * @done: bytes that are through, also on error
 *
 * As for the copies: 0 or -EAGAIN (memory that is not there may have been written before), -EFAULT,
 * -EOPNOTSUPP (not persistent: something else was mapped since the registration).
 */
int rxo_mr_write_back(struct rxo_mr *mr, u64 iova, u32 length, u32 *done);

/*
 * After -EAGAIN: ask for [iova, iova + length) to be made present. Softirq-safe.
 * The answers are umem_odp_fault_async()'s.
 * The caller holds its reference to @mr until the waiter was woken or cancelled.
 */
int rxo_mr_fault_async(struct rxo_mr *mr, u64 iova, u64 length, bool write,
		       struct umem_odp_waiter *waiter);

/* How many of @length bytes from @iova on an access would find now. Any context up to softirq. */
u64 rxo_mr_present(struct rxo_mr *mr, u64 iova, u64 length, bool write);

/* Typical time of this region's recent faults, in ns; sizes RNR timers. */
u64 rxo_mr_fault_ns(struct rxo_mr *mr);

/*
 * Publish @mr under a new @key of @dev (a window, or a region that work requests register, gets
 * only its index from that), or under the key of @old, which loses its key's reference; unpublish
 * it. May sleep; 0 or -errno.
 */
int rxo_mr_publish(struct rxo_dev *dev, struct rxo_mr *mr, u32 *key);
void rxo_mr_replace(struct rxo_dev *dev, struct rxo_mr *mr, struct rxo_mr *old);
void rxo_mr_unpublish(struct rxo_dev *dev, struct rxo_mr *mr);

/* The verbs (mr_verbs.c) */
struct ib_mr *rxo_get_dma_mr(struct ib_pd *pd, int access);
struct ib_mr *rxo_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 iova, int access,
			      struct ib_dmah *dmah, struct ib_udata *udata);
struct ib_mr *rxo_reg_user_mr_dmabuf(struct ib_pd *pd, u64 offset, u64 length, u64 iova, int fd,
				     int access, struct ib_dmah *dmah,
				     struct uverbs_attr_bundle *attrs);
struct ib_mr *rxo_rereg_user_mr(struct ib_mr *ibmr, int flags, u64 start, u64 length, u64 iova,
				int access, struct ib_pd *pd, struct ib_udata *udata);
struct ib_mr *rxo_alloc_mr(struct ib_pd *pd, enum ib_mr_type type, u32 max_num_sg);
int rxo_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int num, unsigned int *offset);
int rxo_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata);

/* Methods of our own (mr_methods.c) */
extern const struct uapi_definition rxo_mr_uapi[];

/**
 * rxo_mr_explain - say in words why an access was refused
 * @pd: the protection domain that asked
 * @err: what rxo_mr_get(), an access or a fault has answered
 * @refusal: of the fault
 * @error: the key is set; the reason and the region are filled
 *
 * Any context up to softirq. Looks the key up again: what is said is true of now.
 */
void rxo_mr_explain(struct rxo_pd *pd, int err, enum umem_odp_refusal refusal,
		    struct rxe_odp_access_error *error);

/* restrack.c */
int rxo_fill_res_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);
int rxo_fill_res_mr_entry_raw(struct sk_buff *msg, struct ib_mr *ibmr);
int rxo_fill_stat_mr_entry(struct sk_buff *msg, struct ib_mr *ibmr);

#endif /* RXO_MR_H */
