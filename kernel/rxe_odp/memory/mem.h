/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is behind a memory region: bytes at addresses of a process, or of the
 * kernel. Knows neither keys nor rights nor iovas; those are mr.h's.
 */
#ifndef RXO_MEM_H
#define RXO_MEM_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "memory/mr.h"

struct ib_umem;
struct rxo_dmabuf;
struct mm_struct;

/*
 * Immutable while anyone holds a reference, but for @list (rxo_dev.mems_lock), and for memory that
 * work requests register, while no key leads to it (mr_fast.c).
 * @refs counts the struct rxo_mr above it: one, but more while rereg_mr exchanges that, and for as
 * long as accesses with the old rights last.
 */
struct rxo_mem {
	enum rxo_mr_kind kind;
	bool writable;
	u64 va;					/* of a dma-buf or of blocks: the offset in it */
	u64 length_bytes;
	struct mm_struct *mm;			/* whose memory it is; the struct, not the memory */
	union {
		struct {
			struct ib_umem *umem;
			struct page **pages;	/* pages[0] holds va */
		};
		struct umem_odp_region *region;
		struct rxo_dmabuf *dmabuf;
		struct {
			u64 *blocks;		/* kernel addresses; blocks[0] holds va */
			u64 *next_blocks;	/* what is registered next: mr_fast.c */
			u32 max_blocks;
			u32 block_shift;
		};
	};
	refcount_t refs;
	struct completion unused;
	struct list_head list;
};

/* All of kernel memory. May sleep. -ENOMEM. */
struct rxo_mem *rxo_mem_create_dma(void);
/* For up to @max_blocks. May sleep. -ENOMEM. */
struct rxo_mem *rxo_mem_create_fast(u32 max_blocks);
/* Of current's memory. May sleep. ERR_PTR: what ib_umem_get_va() says. */
struct rxo_mem *rxo_mem_create_pinned(struct rxo_dev *dev, u64 va, u64 length_bytes, int access);
/* Of current's memory. May sleep. ERR_PTR: what umem_odp_region_create() says. */
struct rxo_mem *rxo_mem_create_odp(struct rxo_dev *dev, u64 va, u64 length_bytes, bool writable);
/*
 * Of a dma-buf, which may be written to if the descriptor may. May sleep. ERR_PTR: what
 * rxo_dmabuf_open() says.
 */
struct rxo_mem *rxo_mem_create_dmabuf(struct rxo_dev *dev, int fd, u64 offset, u64 length_bytes);

/*
 * Whether what is written back (below) outlives a loss of power, as far as that can be said of what
 * is mapped now. May sleep.
 */
bool rxo_mem_is_persistent(const struct rxo_mem *mem);

/* Closes it, waits until the last reference is put (the caller's was), and frees. May sleep. */
void rxo_mem_destroy(struct rxo_dev *dev, struct rxo_mem *mem);

/* Of all regions of a device, those that are gone included. May sleep. */
void rxo_mem_sum_stats(struct rxo_dev *dev, struct umem_odp_stats *sum);

static inline void rxo_mem_get(struct rxo_mem *mem)
{
	refcount_inc(&mem->refs);
}

static inline void rxo_mem_put(struct rxo_mem *mem)
{
	if (refcount_dec_and_test(&mem->refs))
		complete(&mem->unused);
}

/* Whether an exporter has taken the memory back, for good: accesses are -EFAULT. Any context. */
bool rxo_mem_is_taken_back(const struct rxo_mem *mem);

/* [va, va + length) lies inside: the caller has checked. The rest is as in mr.h. */
int rxo_mem_copy_from(struct rxo_mem *mem, u64 va, void *dst, u32 length, u32 *done);
int rxo_mem_copy_to(struct rxo_mem *mem, u64 va, const void *src, u32 length, u32 *done);
int rxo_mem_atomic(struct rxo_mem *mem, u64 va, enum rxo_atomic_op op, u64 compare, u64 value,
		   u64 *old);
int rxo_mem_write_back(struct rxo_mem *mem, u64 va, u32 length, u32 *done);

/*
 * An access to the bytes themselves, which are at @kaddr and @bytes long, at least one and at most
 * what was asked for. On the stack of who holds it.
 */
struct rxo_mem_access {
	void *kaddr;
	u32 bytes;
	const struct rxo_mem *mem;
	struct umem_odp_access odp;
};

/*
 * Begins an access; @second: beside another one, which is ended after it. The caller keeps BH off
 * until rxo_mem_end(). 0, -EAGAIN (a miss, or with @second a leaf whose lock is taken), -EOPNOTSUPP
 * (a kind that has no such access), or the errors of the copies.
 */
int rxo_mem_begin(struct rxo_mem *mem, struct rxo_mem_access *acc, u64 va, u32 length, bool write,
		  bool second);

/*
 * Moves an access on by @bytes, acc->bytes at most. If those were all, it goes on to the memory
 * behind them, of which @length bytes are wanted. False: end it, and begin another.
 */
bool rxo_mem_advance(struct rxo_mem_access *acc, u32 bytes, u32 length);
void rxo_mem_end(struct rxo_mem_access *acc);

#endif /* RXO_MEM_H */
