// SPDX-License-Identifier: GPL-2.0
/*
 * Address handles. User space and kernel users alike name them by number in
 * work requests. The numbers are handed out cyclically, so that a stale one is
 * not soon another's, and are no secret: a number serves only QPs of its own PD.
 *
 * Kernel users create and destroy handles in atomic context, the GSI in
 * particular: nothing here sleeps but for memory, where the user says that it
 * may, and dev->ahs is locked with interrupts off.
 */
#include <linux/slab.h>
#include <rdma/rdma_user_rxe.h>

#include "device/dev.h"
#include "net/ah.h"

#define AH_ATOMIC (GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT)

static void ah_free(struct rxo_ah *ah)
{
	rxo_path_release(&ah->path);
	kfree_rcu(ah, rcu);
}

void rxo_ah_put(struct rxo_ah *ah)
{
	if (refcount_dec_and_test(&ah->refs))
		ah_free(ah);
}

struct rxo_ah *rxo_ah_get(struct rxo_dev *dev, u32 ah_num, const struct ib_pd *pd)
{
	struct rxo_ah *ah;

	guard(rcu)();
	ah = xa_load(&dev->ahs, ah_num);
	if (!ah || ah->pd != pd || !refcount_inc_not_zero(&ah->refs))
		return NULL;
	return ah;
}

static struct rxo_ah *ah_alloc(struct ib_ah *ibah, const struct rdma_ah_attr *attr, gfp_t gfp)
{
	struct rxo_ah *ah;
	int err;

	ah = kzalloc(sizeof(*ah), gfp);
	if (!ah)
		return ERR_PTR(-ENOMEM);

	err = rxo_path_init(to_rxo_dev(ibah->device), &ah->path, attr, 0, 0, gfp);
	if (err) {
		kfree(ah);
		return ERR_PTR(err);
	}
	refcount_set(&ah->refs, 1);
	ah->pd = ibah->pd;
	return ah;
}

static int ah_publish(struct rxo_dev *dev, struct rxo_ah *ah)
{
	unsigned long flags;
	int err;

	xa_lock_irqsave(&dev->ahs, flags);
	err = __xa_alloc_cyclic(&dev->ahs, &ah->ah_num, ah, XA_LIMIT(1, U32_MAX), &dev->next_ah,
				GFP_ATOMIC | __GFP_NOWARN);
	xa_unlock_irqrestore(&dev->ahs, flags);
	return err < 0 ? err : 0;
}

/* Exchanges what is behind a number; returns what was there. Never fails: the slot exists. */
static struct rxo_ah *ah_replace(struct rxo_dev *dev, u32 ah_num, struct rxo_ah *ah)
{
	unsigned long flags;

	xa_lock_irqsave(&dev->ahs, flags);
	if (ah)
		ah = __xa_store(&dev->ahs, ah_num, ah, GFP_ATOMIC);
	else
		ah = __xa_erase(&dev->ahs, ah_num);
	xa_unlock_irqrestore(&dev->ahs, flags);
	return ah;
}

static void ah_remember_attr(struct rxo_ibah *to, const struct rdma_ah_attr *attr)
{
	to->attr = *attr;
	to->attr.grh.sgid_attr = NULL;
}

int rxo_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init, struct ib_udata *udata)
{
	struct rxo_dev *dev = to_rxo_dev(ibah->device);
	struct rxe_create_ah_resp resp = {};
	gfp_t gfp = init->flags & RDMA_CREATE_AH_SLEEPABLE ? GFP_KERNEL_ACCOUNT : AH_ATOMIC;
	struct rxo_ah *ah;
	int err;

	/* A librxe without room for the number puts the address in each WQE: transport/ud.c. */
	if (udata && !udata->outlen)
		udata = NULL;
	if (udata && udata->outlen < sizeof(resp))
		return -EINVAL;

	ah = ah_alloc(ibah, init->ah_attr, gfp);
	if (IS_ERR(ah))
		return PTR_ERR(ah);
	err = ah_publish(dev, ah);
	if (err)
		goto err_free;

	resp.ah_num = ah->ah_num;
	if (udata) {
		err = ib_copy_to_udata(udata, &resp, sizeof(resp));
		if (err)
			goto err_unpublish;
	}
	to_rxo_ibah(ibah)->ah_num = ah->ah_num;
	ah_remember_attr(to_rxo_ibah(ibah), init->ah_attr);
	return 0;

err_unpublish:
	ah_replace(dev, ah->ah_num, NULL);
err_free:
	rxo_ah_put(ah);
	return err;
}

int rxo_modify_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr)
{
	struct rxo_ibah *handle = to_rxo_ibah(ibah);
	struct rxo_ah *ah;

	ah = ah_alloc(ibah, attr, AH_ATOMIC);
	if (IS_ERR(ah))
		return PTR_ERR(ah);
	ah->ah_num = handle->ah_num;
	rxo_ah_put(ah_replace(to_rxo_dev(ibah->device), handle->ah_num, ah));
	ah_remember_attr(handle, attr);
	return 0;
}

int rxo_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr)
{
	*attr = to_rxo_ibah(ibah)->attr;
	return 0;
}

int rxo_destroy_ah(struct ib_ah *ibah, u32 flags)
{
	struct rxo_dev *dev = to_rxo_dev(ibah->device);

	rxo_ah_put(ah_replace(dev, to_rxo_ibah(ibah)->ah_num, NULL));
	return 0;
}
