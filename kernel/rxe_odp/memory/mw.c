// SPDX-License-Identifier: GPL-2.0
/*
 * Memory windows, of type 1 and type 2B.
 *
 * A window has a key like a region, from the same space and with the same lookup: a struct rxo_mr,
 * which lies over the memory of the region that the window is bound to, with bounds and rights of
 * its own. So whatever reaches memory by a key needs to know nothing of windows. A window's struct
 * rxo_mr changes like that of a region which work requests register, by the same rules (mr_fast.c
 * draws the race): mr.key is 0 while it is free, and a lookup finds nothing; whoever changes it
 * holds mw->lock and has waited, with BH off, for the accesses that the last key let in.
 *
 * Those are copies alone: an access that has to wait for a page waits on the region instead
 * (rxo_mw_to_region()), and looks the key up again afterwards. It finds that the window has gone.
 *
 * A region counts the windows that are bound over it, and is not deregistered or reregistered
 * before they are unbound, as ibv_alloc_mw(3) has it. Type 2 is 2B, as with rxe and mlx5: a key can
 * be used by the queue pair that bound it, in its domain. Queue pairs are told apart by a number
 * that never comes again, so that a window outlives its queue pair, of no use to any other.
 */
#include <linux/atomic.h>
#include <linux/slab.h>

#include "device/dev.h"
#include "memory/mw.h"

/* What a window may grant. No FLUSH: whether memory is persistent is checked at registration. */
#define MW_RIGHTS (IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_ATOMIC)

/* What a bind may name. Rights besides MW_RIGHTS are accepted, as elsewhere, and not granted. */
#define MW_ACCESS (MW_RIGHTS | IB_ACCESS_LOCAL_WRITE | IB_ACCESS_MW_BIND | \
		   IB_ACCESS_ON_DEMAND | IB_ACCESS_OPTIONAL | IB_ZERO_BASED)

struct rxo_mw {
	struct rxo_mr mr;		/* written while it is free */
	spinlock_t lock;		/* _bh: protects all but @type, which is immutable */
	enum ib_mw_type type;
	u32 key;			/* that it has, or had when it was bound last */
	struct rxo_mr *region;		/* with a reference; NULL while free */
	u64 qp_id;			/* type 2: who bound it */
	bool gone;			/* was deallocated */
};

/* mr.c frees it by this member. */
static_assert(offsetof(struct rxo_mw, mr) == 0);

static struct rxo_mw *mw_of(const struct rxo_mr *mr)
{
	return container_of(mr, struct rxo_mw, mr);
}

int rxo_mw_check_asker(const struct rxo_mr *mr, enum rxo_key_type type, u64 qp_id)
{
	const struct rxo_mw *mw = mw_of(mr);

	if (type == RXO_LKEY)
		return -EPERM;
	return mw->type == IB_MW_TYPE_1 || mw->qp_id == qp_id ? 0 : -EXDEV;
}

void rxo_mw_to_region(struct rxo_mr **mr, u64 *iova)
{
	struct rxo_mr *window = *mr, *region;

	if (!window->window)
		return;
	region = mw_of(window)->region;	/* stays as long as the window's reference */
	*iova = region->iova + (window->va + (*iova - window->iova) - region->va);
	refcount_inc(&region->refs);
	*mr = region;
	rxo_mr_put(window);
}

int rxo_alloc_mw(struct ib_mw *ibmw, struct ib_udata *udata)
{
	struct rxo_mw *mw = kzalloc_obj(*mw, GFP_KERNEL_ACCOUNT);
	int err;

	if (!mw)
		return -ENOMEM;
	spin_lock_init(&mw->lock);
	mw->type = ibmw->type;
	mw->mr.pd = to_rxo_pd(ibmw->pd);
	mw->mr.window = true;
	refcount_set(&mw->mr.refs, 1);
	err = rxo_mr_publish(to_rxo_dev(ibmw->device), &mw->mr, &mw->key);
	if (err) {
		kfree(mw);
		return err;
	}
	to_rxo_ibmw(ibmw)->mw = mw;
	ibmw->rkey = mw->key;
	return 0;
}

/* Takes the key back and waits for the accesses that it let in. */
static void mw_close(struct rxo_mw *mw)
{
	lockdep_assert_held(&mw->lock);
	if (!mw->region)
		return;
	WRITE_ONCE(mw->mr.key, 0);
	smp_mb();	/* pairs with rxo_mr_get() */
	smp_cond_load_acquire(&mw->mr.refs.refs.counter, VAL == 1);
	atomic_dec(&mw->region->windows);
	rxo_mr_put(mw->region);
	mw->region = NULL;
}

int rxo_dealloc_mw(struct ib_mw *ibmw)
{
	struct rxo_mw *mw = to_rxo_ibmw(ibmw)->mw;

	spin_lock_bh(&mw->lock);
	mw_close(mw);
	mw->gone = true;
	spin_unlock_bh(&mw->lock);
	rxo_mr_unpublish(to_rxo_dev(ibmw->device), &mw->mr);
	return 0;
}

/* The window with that key in @pd, locked, or NULL. Under RCU. */
static struct rxo_mw *mw_find_locked(struct rxo_pd *pd, u32 key)
{
	struct rxo_mr *mr = xa_load(&to_rxo_dev(pd->ibpd.device)->mrs, key >> 8);
	struct rxo_mw *mw;

	if (!mr || !mr->window)
		return NULL;
	mw = mw_of(mr);
	spin_lock(&mw->lock);
	if (!mw->gone && mw->key == key && mr->pd == pd)	/* C10-72 */
		return mw;
	spin_unlock(&mw->lock);
	return NULL;
}

/* The region of a bind, with a reference, and counted as that of a window. */
static struct rxo_mr *mw_get_region(struct rxo_pd *pd, const struct rxo_mw_bind *bind)
{
	int access = IB_ACCESS_MW_BIND;				/* C10-73 */
	struct rxo_mr *region;
	int err = 0;

	if (bind->access & (IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_ATOMIC))
		access |= IB_ACCESS_LOCAL_WRITE;		/* C10-74 */
	region = rxo_mr_get(pd, bind->lkey, RXO_LKEY, access, bind->addr, bind->length);
	if (IS_ERR(region))
		return region;
	/* Its addresses are offsets, which a window would show as addresses of the process. */
	if (region->access & IB_ZERO_BASED)
		err = -EPERM;
	else if (!atomic_inc_unless_negative(&region->windows))
		err = -ENOENT;
	if (!err)
		return region;
	rxo_mr_put(region);
	return ERR_PTR(err);
}

static int mw_check_bind(const struct rxo_mw *mw, const struct rxo_mw_bind *bind)
{
	lockdep_assert_held(&mw->lock);
	if (mw->type == IB_MW_TYPE_2) {
		if (!bind->length)			/* o10-37.2.40 */
			return -EINVAL;
		return mw->region ? -EBUSY : 0;		/* o10-37.2.30 */
	}
	/* The new key must differ: requests with the old one must not be let in again. */
	if (!((bind->new_key ^ mw->key) & 0xff))
		return -EINVAL;
	return bind->access & IB_ZERO_BASED ? -EINVAL : 0;	/* o10-36.2.2 */
}

/* Takes over the reference to @region, and its count. */
static void mw_open(struct rxo_mw *mw, struct rxo_mr *region, u64 qp_id,
		    const struct rxo_mw_bind *bind)
{
	struct rxo_mr *mr = &mw->mr;

	lockdep_assert_held(&mw->lock);
	mw->key = (mw->key & ~0xff) | (bind->new_key & 0xff);
	if (!region)
		return;
	mw->region = region;
	mw->qp_id = qp_id;
	mr->mem = region->mem;
	mr->access = bind->access & MW_RIGHTS;
	mr->iova = bind->access & IB_ZERO_BASED ? 0 : bind->addr;
	mr->va = region->va + (bind->addr - region->iova);
	mr->length = bind->length;
	smp_store_release(&mr->key, mw->key);	/* pairs with rxo_mr_get() */
}

int rxo_mw_bind(struct rxo_pd *pd, u64 qp_id, const struct rxo_mw_bind *bind)
{
	struct rxo_mr *region = NULL;
	struct rxo_mw *mw;
	int err = -ENXIO;

	if (bind->access & ~MW_ACCESS)
		return -EINVAL;
	if (bind->length) {
		region = mw_get_region(pd, bind);		/* C10-75 */
		if (IS_ERR(region))
			return PTR_ERR(region);
	}
	rcu_read_lock();
	mw = mw_find_locked(pd, bind->mw_key);
	if (mw) {
		err = mw_check_bind(mw, bind);
		if (!err) {
			mw_close(mw);
			mw_open(mw, region, qp_id, bind);
		}
		spin_unlock(&mw->lock);
	}
	rcu_read_unlock();
	if (err && region) {
		atomic_dec(&region->windows);
		rxo_mr_put(region);
	}
	return err;
}

int rxo_mw_invalidate(struct rxo_pd *pd, u64 qp_id, struct rxo_mr *mr, u32 key)
{
	struct rxo_mw *mw = mw_of(mr);

	guard(spinlock)(&mw->lock);
	if (!mw->region || mw->key != key)
		return -ENOENT;
	if (mr->pd != pd || mw->type == IB_MW_TYPE_1)	/* o10-37.2.26 */
		return -EPERM;
	if (mw->qp_id != qp_id)
		return -EXDEV;
	mw_close(mw);
	return 0;
}
