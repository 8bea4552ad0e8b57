// SPDX-License-Identifier: GPL-2.0
/*
 * Shared receive queues, and what kernel users post to a receive queue.
 *
 * An XRC SRQ has a number, which requests name on the wire, and is used by no queue pair for longer
 * than it executes one request. Its destruction:
 *
 * 1. Unpublish: no later request finds it by its number.
 * 2. Give up the first reference and wait for the others: targets that execute a request, with BH
 *    off, none of which waits for a page meanwhile.
 * 3. Free. A message of which a part has come finds no SRQ with its id any more, and fails.
 *
 *	destroy_srq				a target, rq.lock held
 *	-----------				----------------------
 *						xa_load(): the struct rxo_srqn
 *	xa_erase()
 *	rxo_srq_put()
 *						refcount_inc_not_zero(): 0, there is no such SRQ,
 *						or: pops, copies, completes to the SRQ's CQ
 *	wait for the last
 *						rxo_srq_put()
 *	the SRQ is freed, then its CQ may go
 *	struct rxo_srqn is freed after RCU
 *
 * An SRQ is in error from the moment on at which a receive is to be taken, or the ring exchanged,
 * and the process's index is found to be none of the ring: whatever wrote it may have written
 * elsewhere, too, and which receives are meant is unknown. Nothing mends it but its destruction.
 * The process hears IB_EVENT_SRQ_ERR once; each queue pair that wants a receive of it, and each XRC
 * target of which a request names it, ends with IB_EVENT_QP_FATAL: no completion can tell it.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <rdma/uverbs_ioctl.h>

#include "device/dev.h"
#include "queue/ctx.h"
#include "queue/queue.h"
#include "queue/srq.h"
#include "wire/wire.h"

int rxo_rwqe_fill(struct rxe_recv_wqe *to, const struct ib_recv_wr *wr, u32 max_sge)
{
	int i;

	if (wr->num_sge < 0 || wr->num_sge > max_sge)
		return -EINVAL;
	to->wr_id = wr->wr_id;
	to->dma.num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++) {
		to->dma.sge[i].addr = wr->sg_list[i].addr;
		to->dma.sge[i].length = wr->sg_list[i].length;
		to->dma.sge[i].lkey = wr->sg_list[i].lkey;
	}
	return 0;
}

static void srq_event(struct rxo_srq *srq, enum ib_event_type type)
{
	struct ib_event event = {
		.device = srq->ibsrq.device,
		.element.srq = &srq->ibsrq,
		.event = type,
	};

	if (srq->ibsrq.event_handler)
		srq->ibsrq.event_handler(&event, srq->ibsrq.srq_context);
}

/* Takes the oldest receive. @crossed: fewer than the limit are left. */
static int srq_take(struct rxo_srq *srq, struct rxo_rwqe *to, bool *crossed)
{
	u32 num;
	int err;

	lockdep_assert_held(&srq->lock);
	err = rxo_queue_try_count(srq->queue, &num);
	if (err)
		return err;
	if (!num)
		return -ENOENT;
	err = rxo_rwqe_parse(to, rxo_queue_at(srq->queue, 0), srq->max_sge);
	rxo_queue_advance(srq->queue);
	*crossed = num - 1 < srq->limit;
	if (*crossed)
		WRITE_ONCE(srq->limit, 0);
	return err;
}

int rxo_srq_pop(struct rxo_srq *srq, struct rxo_rwqe *to)
{
	bool crossed = false, broke = false;
	int err = -ENOTRECOVERABLE;
	unsigned long flags;

	spin_lock_irqsave(&srq->lock, flags);
	if (!srq->failed) {
		err = srq_take(srq, to, &crossed);
		broke = err == -ENOTRECOVERABLE;
		if (broke)
			WRITE_ONCE(srq->failed, true);
	}
	spin_unlock_irqrestore(&srq->lock, flags);

	if (broke)
		srq_event(srq, IB_EVENT_SRQ_ERR);
	if (crossed)
		srq_event(srq, IB_EVENT_SRQ_LIMIT_REACHED);
	return err;
}

struct rxo_srq *rxo_srq_get(struct rxo_dev *dev, u32 srq_num, const struct ib_xrcd *xrcd)
{
	struct rxo_srqn *srqn;

	guard(rcu)();
	srqn = xa_load(&dev->srqs, srq_num);
	if (!srqn || !refcount_inc_not_zero(&srqn->refs))
		return NULL;
	if (srqn->srq->ibsrq.ext.xrc.xrcd == xrcd)
		return srqn->srq;
	rxo_srq_put(srqn->srq);
	return NULL;
}

void rxo_srq_put(struct rxo_srq *srq)
{
	struct rxo_srqn *srqn = srq->srqn;

	if (refcount_dec_and_test(&srqn->refs))
		complete(&srqn->unused);
}

/* It may be found as soon as this returns. */
static int srq_publish(struct rxo_srq *srq, u64 uctx_id)
{
	static atomic64_t last_id;
	struct rxo_dev *dev = to_rxo_dev(srq->ibsrq.device);
	struct rxo_srqn *srqn = kzalloc_obj(*srqn, GFP_KERNEL_ACCOUNT);
	u32 num;
	int err;

	if (!srqn)
		return -ENOMEM;
	refcount_set(&srqn->refs, 1);
	init_completion(&srqn->unused);
	srqn->srq = srq;
	srq->srqn = srqn;
	srq->id = atomic64_inc_return(&last_id);
	srq->uctx_id = uctx_id;
	/* The number is reserved, and leads to nothing before the SRQ has it. */
	err = xa_alloc_cyclic(&dev->srqs, &num, NULL, XA_LIMIT(1, RXO_SRQN_MASK), &dev->next_srqn,
			      GFP_KERNEL);
	if (err < 0) {
		kfree(srqn);
		return err;
	}
	srq->ibsrq.ext.xrc.srq_num = num;
	xa_store(&dev->srqs, num, srqn, 0);
	return 0;
}

static void srq_unpublish(struct rxo_srq *srq)
{
	struct rxo_dev *dev = to_rxo_dev(srq->ibsrq.device);

	xa_erase(&dev->srqs, srq->ibsrq.ext.xrc.srq_num);
	rxo_srq_put(srq);
	wait_for_completion(&srq->srqn->unused);
	kfree_rcu(srq->srqn, rcu);
}

static int srq_check_attr(const struct ib_srq_init_attr *init, const struct ib_udata *udata)
{
	const struct ib_srq_attr *attr = &init->attr;

	if (init->srq_type != IB_SRQT_BASIC && init->srq_type != IB_SRQT_XRC)
		return -EOPNOTSUPP;
	/* No kernel user has a domain: rxo_alloc_xrcd(). */
	if (init->srq_type == IB_SRQT_XRC && !udata)
		return -EOPNOTSUPP;
	if (init->srq_type == IB_SRQT_XRC && (!init->ext.xrc.xrcd || !init->ext.cq))
		return -EINVAL;
	if (!attr->max_wr || attr->max_wr > RXO_MAX_SRQ_WR || attr->max_sge > RXO_MAX_SGE ||
	    attr->srq_limit > attr->max_wr)
		return -EINVAL;
	return udata && udata->outlen < sizeof(struct rxe_create_srq_resp) ? -EINVAL : 0;
}

/* Tells the process where to map its ring, and the number of a plain SRQ, for it to look at. */
static int srq_respond(struct rxo_srq *srq, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = rdma_udata_to_drv_context(udata, struct rxo_ucontext, ibuc);
	struct rxo_dev *dev = to_rxo_dev(srq->ibsrq.device);
	struct rxe_create_srq_resp resp = {
		.srq_num = srq->srqn ? srq->ibsrq.ext.xrc.srq_num :
				       atomic_inc_return(&dev->next_srq),
	};

	return rxo_queue_offer(srq->queue, uctx, &resp.mi) ?:
	       ib_copy_to_udata(udata, &resp, sizeof(resp));
}

int rxo_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = rdma_udata_to_drv_context(udata, struct rxo_ucontext, ibuc);
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	u32 num = init->attr.max_wr;
	int err;

	err = srq_check_attr(init, udata);
	if (err)
		return err;

	spin_lock_init(&srq->lock);
	spin_lock_init(&srq->post_lock);
	mutex_init(&srq->mutex);
	srq->user = udata;
	srq->max_sge = init->attr.max_sge;
	srq->limit = init->attr.srq_limit;
	srq->queue = rxo_queue_create(&num, rxo_rwqe_bytes(srq->max_sge));
	if (IS_ERR(srq->queue))
		return PTR_ERR(srq->queue);
	srq->max_wr = num;

	if (init->srq_type == IB_SRQT_XRC) {
		err = srq_publish(srq, uctx->id);
		if (err)
			goto err_queue;
	}
	if (udata) {
		err = srq_respond(srq, udata);
		if (err)
			goto err_publish;
	}
	init->attr.max_wr = num;
	return 0;

err_publish:
	if (srq->srqn)
		srq_unpublish(srq);
err_queue:
	rxo_queue_destroy(srq->queue);
	return err;
}

/* The process learns where its new ring is from a struct mminfo that it points us to. */
static int srq_offer_resized(struct rxo_queue *queue, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = rdma_udata_to_drv_context(udata, struct rxo_ucontext, ibuc);
	struct rxe_modify_srq_cmd cmd;
	struct mminfo mi;
	int err;

	if (udata->inlen < sizeof(cmd))
		return -EINVAL;
	err = ib_copy_from_udata(&cmd, udata, sizeof(cmd));
	if (err)
		return err;
	err = rxo_queue_offer(queue, uctx, &mi);
	if (err)
		return err;
	return copy_to_user(u64_to_user_ptr(cmd.mmap_info_addr), &mi, sizeof(mi)) ? -EFAULT : 0;
}

static void srq_set_failed(struct rxo_srq *srq)
{
	bool had_failed;

	spin_lock_irq(&srq->lock);
	had_failed = srq->failed;
	WRITE_ONCE(srq->failed, true);
	spin_unlock_irq(&srq->lock);
	if (!had_failed)
		srq_event(srq, IB_EVENT_SRQ_ERR);
}

/* Under srq->mutex. */
static int srq_resize(struct rxo_srq *srq, u32 max_wr, struct ib_udata *udata)
{
	struct rxo_queue *queue, *old;
	u32 num = max_wr, first, moved;
	int err;

	queue = rxo_queue_create(&num, rxo_rwqe_bytes(srq->max_sge));
	if (IS_ERR(queue))
		return PTR_ERR(queue);
	err = srq_offer_resized(queue, udata);
	if (err)
		goto err_queue;

	old = srq->queue;
	err = rxo_queue_move_work(queue, old, &first, &moved);
	if (err == -ENOTRECOVERABLE) {
		srq_set_failed(srq);
		err = -EINVAL;
	}
	if (err)
		goto err_queue;
	spin_lock_irq(&srq->lock);
	if (srq->failed) {
		spin_unlock_irq(&srq->lock);
		err = -EINVAL;
		goto err_queue;
	}
	rxo_queue_follow_work(queue, old, first, moved);
	srq->queue = queue;
	srq->max_wr = num;
	spin_unlock_irq(&srq->lock);

	rxo_queue_destroy(old);
	return 0;

err_queue:
	rxo_queue_destroy(queue);
	return err;
}

int rxo_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr, enum ib_srq_attr_mask mask,
		   struct ib_udata *udata)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	u32 max_wr, limit;
	int err = 0;

	if (mask & ~(IB_SRQ_MAX_WR | IB_SRQ_LIMIT))
		return -EINVAL;
	/* Kernel posters rely on the ring staying what it is. */
	if ((mask & IB_SRQ_MAX_WR) && !srq->user)
		return -EOPNOTSUPP;

	mutex_lock(&srq->mutex);
	max_wr = mask & IB_SRQ_MAX_WR ? attr->max_wr : srq->max_wr;
	limit = mask & IB_SRQ_LIMIT ? attr->srq_limit : READ_ONCE(srq->limit);
	/* A ring has more room than was asked for: what it has now may be past the bound. */
	if (!max_wr || ((mask & IB_SRQ_MAX_WR) && max_wr > RXO_MAX_SRQ_WR) || limit > max_wr)
		err = -EINVAL;
	else if (rxo_srq_has_failed(srq))
		err = -EINVAL;
	else if (mask & IB_SRQ_MAX_WR)
		err = srq_resize(srq, max_wr, udata);
	if (!err && (mask & IB_SRQ_LIMIT)) {
		spin_lock_irq(&srq->lock);
		srq->limit = limit;
		spin_unlock_irq(&srq->lock);
	}
	mutex_unlock(&srq->mutex);
	return err;
}

int rxo_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);

	spin_lock_irq(&srq->lock);
	attr->max_wr = srq->max_wr;
	attr->max_sge = srq->max_sge;
	attr->srq_limit = srq->limit;
	spin_unlock_irq(&srq->lock);
	return 0;
}

int rxo_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);

	/* No QP uses a plain one: ib_core counts its users. */
	if (srq->srqn)
		srq_unpublish(srq);
	rxo_queue_destroy(srq->queue);
	return 0;
}

int rxo_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad)
{
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	unsigned long flags;
	int err = 0;

	/* A process posts in its mapping. */
	if (srq->user) {
		*bad = wr;
		return -EINVAL;
	}
	spin_lock_irqsave(&srq->post_lock, flags);
	for (; wr; wr = wr->next) {
		err = rxo_queue_kernel_full(srq->queue) ? -ENOMEM :
		      rxo_rwqe_fill(rxo_queue_kernel_slot(srq->queue), wr, srq->max_sge);
		if (err)
			break;
		rxo_queue_kernel_push(srq->queue);
	}
	spin_unlock_irqrestore(&srq->post_lock, flags);
	if (err)
		*bad = wr;
	return err;
}
