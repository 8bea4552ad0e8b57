// SPDX-License-Identifier: GPL-2.0
/*
 * Regions that kernel users register by work requests (fast registration, IBTA 10.6.3).
 *
 * alloc_mr makes all that such a region needs, since what comes later runs where nothing may sleep
 * or allocate: the object, an index for its keys, and two lists of blocks. map_mr_sg writes the
 * list that is not in use: what was registered before may be accessed meanwhile, until the queue
 * has come to its invalidation. REG_MR exchanges the lists, and gives the region rights, an iova,
 * and a key, which is the index with a byte of the user's choice.
 *
 * The state is the key. 0 is FREE: no index has it, so a lookup finds nothing.
 *
 *	FREE -- REG_MR --> VALID -- LOCAL_INV, or a peer's SEND with invalidate --> FREE
 *
 * So a struct rxo_mr of this kind is immutable only while it is VALID. Whoever changes it holds
 * fast->lock, and has waited for the accesses that the last key let in:
 *
 *	access (rxo_mr_get())			invalidation, fast->lock held
 *	---------------------			-----------------------------
 *	is mr->key the key?
 *	refs++					mr->key = 0
 *	full barrier				full barrier
 *	is mr->key still the key?		waits until refs is 1
 *	rights, range, bytes
 *	refs--					FREE
 *
 * One of the two sees the other. An access that sees 0 puts its reference without having looked at
 * anything but the key; one that does not is waited for. If the region was registered again under
 * the same key in between, the access is one by that registration.
 *
 * The wait spins with BH off. It is for copies of at most one burst of packets: who has a reference
 * to a region of this kind got it with BH off and puts it before BH are on again, in between takes
 * no lock under which anybody waits here, and never waits for a page, as the memory is there.
 * Nobody new gets one, because the key is gone. An invalidation has no reference of its own.
 *
 * REG_MR and invalidations find a region by its index, without a reference, and it may be one that
 * is being deregistered: RCU keeps the object, and @closed, under fast->lock, says that its memory
 * may be gone.
 */
#include <linux/log2.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>

#include "device/dev.h"
#include "memory/mem.h"
#include "memory/mr_fast.h"

/* What map_mr_sg has listed and REG_MR has not taken yet. The user serialises the two. */
struct rxo_fast_map {
	u64 length_bytes;		/* 0: nothing */
	u32 num_blocks;
	u32 offset_bytes;		/* of the first byte in the first block */
	u32 block_shift;
};

struct rxo_fast_mr {
	struct rxo_mr mr;
	spinlock_t lock;		/* protects mr where it changes, closed; innermost, _bh */
	bool closed;
	struct rxo_fast_map next;
};

/* mr.c frees it by this member. */
static_assert(offsetof(struct rxo_fast_mr, mr) == 0);

static struct rxo_fast_mr *to_fast(struct rxo_mr *mr)
{
	return container_of(mr, struct rxo_fast_mr, mr);
}

struct rxo_mr *rxo_fast_alloc(void)
{
	struct rxo_fast_mr *fast = kzalloc_obj(*fast, GFP_KERNEL_ACCOUNT);

	if (!fast)
		return NULL;
	spin_lock_init(&fast->lock);
	fast->mr.fast = true;
	return &fast->mr;
}

/* For ib_sg_to_pages(), which stops at an error. */
static int fast_add_block(struct ib_mr *ibmr, u64 address)
{
	struct rxo_fast_mr *fast = to_fast(to_rxo_ibmr(ibmr)->mr);
	struct rxo_mem *mem = fast->mr.mem;

	if (fast->next.num_blocks == mem->max_blocks)
		return -ENOMEM;
	mem->next_blocks[fast->next.num_blocks++] = address;
	return 0;
}

int rxo_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int num, unsigned int *offset)
{
	struct rxo_mr *mr = to_rxo_ibmr(ibmr)->mr;
	struct rxo_fast_map *next;
	int mapped;

	if (!mr->fast || !is_power_of_2(ibmr->page_size) || ibmr->page_size < SZ_4K)
		return -EINVAL;
	next = &to_fast(mr)->next;
	*next = (struct rxo_fast_map) { .block_shift = ilog2(ibmr->page_size) };
	mapped = ib_sg_to_pages(ibmr, sg, num, offset, fast_add_block);
	if (mapped > 0) {
		next->length_bytes = ibmr->length;
		next->offset_bytes = ibmr->iova & (ibmr->page_size - 1);
	}
	return mapped;
}

/* Takes what was listed since the last registration; if nothing was, keeps the same blocks. */
static void fast_take_map(struct rxo_fast_mr *fast)
{
	struct rxo_mem *mem = fast->mr.mem;

	if (!fast->next.length_bytes)
		return;
	swap(mem->blocks, mem->next_blocks);
	mem->block_shift = fast->next.block_shift;
	mem->va = fast->next.offset_bytes;
	mem->length_bytes = fast->next.length_bytes;
	fast->next.length_bytes = 0;
}

static int fast_register(struct rxo_fast_mr *fast, u32 key, int access, u64 iova)
{
	struct rxo_mr *mr = &fast->mr;

	lockdep_assert_held(&fast->lock);
	if (fast->closed)
		return -ENOENT;
	if (mr->key)
		return -EBUSY;
	fast_take_map(fast);
	if (!mr->mem->length_bytes || iova + mr->mem->length_bytes - 1 < iova)
		return -EINVAL;
	mr->access = access;
	mr->iova = iova;
	mr->va = mr->mem->va;
	mr->length = mr->mem->length_bytes;
	smp_store_release(&mr->key, key);	/* pairs with rxo_mr_get() */
	return 0;
}

int rxo_fast_register(struct rxo_pd *pd, u32 key, int access, u64 iova)
{
	struct rxo_dev *dev = to_rxo_dev(pd->ibpd.device);
	struct rxo_fast_mr *fast;
	struct rxo_mr *mr;

	if (ib_check_mr_access(&dev->ibdev, access) ||
	    access & (IB_ACCESS_ON_DEMAND | IB_ACCESS_FLUSH_PERSISTENT))
		return -EINVAL;
	guard(rcu)();
	mr = xa_load(&dev->mrs, key >> 8);
	if (!mr || !mr->fast)
		return -ENOENT;
	if (mr->pd != pd)
		return -EPERM;
	fast = to_fast(mr);
	guard(spinlock)(&fast->lock);
	return fast_register(fast, key, access, iova);
}

/* Takes the key back and waits for the accesses that it let in: drawn above. */
static void fast_take_key(struct rxo_fast_mr *fast)
{
	lockdep_assert_held(&fast->lock);
	WRITE_ONCE(fast->mr.key, 0);
	smp_mb();	/* pairs with rxo_mr_get() */
	while (refcount_read(&fast->mr.refs) > 1)
		cpu_relax();
	smp_acquire__after_ctrl_dep();	/* pairs with rxo_mr_put() */
}

int rxo_fast_invalidate(struct rxo_mr *mr, u32 key, bool remote)
{
	struct rxo_fast_mr *fast = to_fast(mr);

	guard(spinlock)(&fast->lock);
	if (mr->key != key)
		return -ENOENT;
	/* A peer can invalidate only keys with a remote right (IBTA 10.6.5). */
	if (remote && !(mr->access & RXO_REMOTE_RIGHTS))
		return -EPERM;
	fast_take_key(fast);
	return 0;
}

void rxo_fast_close(struct rxo_mr *mr)
{
	struct rxo_fast_mr *fast = to_fast(mr);

	guard(spinlock_bh)(&fast->lock);
	fast->closed = true;
	fast_take_key(fast);
}
