// SPDX-License-Identifier: GPL-2.0
/* Shared receive queues, and what kernel users post to a receive queue. */
#include <linux/uaccess.h>
#include <rdma/uverbs_ioctl.h>

#include "device/dev.h"
#include "queue/ctx.h"
#include "queue/queue.h"
#include "queue/srq.h"

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

static void srq_limit_event(struct rxo_srq *srq)
{
	struct ib_event event = {
		.device = srq->ibsrq.device,
		.element.srq = &srq->ibsrq,
		.event = IB_EVENT_SRQ_LIMIT_REACHED,
	};

	if (srq->ibsrq.event_handler)
		srq->ibsrq.event_handler(&event, srq->ibsrq.srq_context);
}

int rxo_srq_pop(struct rxo_srq *srq, struct rxo_rwqe *to)
{
	bool crossed = false;
	unsigned long flags;
	int err = -ENOENT;
	u32 num;

	spin_lock_irqsave(&srq->lock, flags);
	num = rxo_queue_count(srq->queue);
	if (num) {
		err = rxo_rwqe_parse(to, rxo_queue_at(srq->queue, 0), srq->max_sge);
		rxo_queue_advance(srq->queue);
		crossed = num - 1 < srq->limit;
		if (crossed)
			WRITE_ONCE(srq->limit, 0);
	}
	spin_unlock_irqrestore(&srq->lock, flags);

	if (crossed)
		srq_limit_event(srq);
	return err;
}

int rxo_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = rdma_udata_to_drv_context(udata, struct rxo_ucontext, ibuc);
	struct rxo_dev *dev = to_rxo_dev(ibsrq->device);
	struct rxo_srq *srq = to_rxo_srq(ibsrq);
	struct rxe_create_srq_resp resp = {};
	u32 num = init->attr.max_wr;
	int err;

	if (init->srq_type != IB_SRQT_BASIC)
		return -EOPNOTSUPP;
	if (!num || num > RXO_MAX_SRQ_WR || init->attr.max_sge > RXO_MAX_SGE ||
	    init->attr.srq_limit > num)
		return -EINVAL;
	if (udata && udata->outlen < sizeof(resp))
		return -EINVAL;

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

	if (udata) {
		resp.srq_num = atomic_inc_return(&dev->next_srq);
		err = rxo_queue_offer(srq->queue, uctx, &resp.mi) ?:
		      ib_copy_to_udata(udata, &resp, sizeof(resp));
		if (err)
			goto err_queue;
	}
	init->attr.max_wr = num;
	return 0;

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
	if (err)
		goto err_queue;
	spin_lock_irq(&srq->lock);
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
	/* No QP uses it: ib_core counts its users. */
	rxo_queue_destroy(to_rxo_srq(ibsrq)->queue);
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
