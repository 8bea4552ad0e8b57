// SPDX-License-Identifier: GPL-2.0
/*
 * Completion queues.
 *
 * A process polls its CQs itself, in mapped memory, and comes here only to arm
 * them. Kernel users poll here.
 *
 * Completions are posted under the locks of a QP. The handler of a user CQ only
 * queues an event, and that of ib_alloc_cq() only schedules its poller, so these
 * are called at once; any other kernel user's handler may post to the same QP or
 * poll the CQ, so it runs from a work item, without any lock of ours: in a
 * softirq, which is what handlers are written for.
 */
#include <rdma/uverbs_ioctl.h>

#include "device/dev.h"
#include "queue/cq.h"
#include "queue/ctx.h"
#include "queue/queue.h"

static u32 cq_entry_bytes(bool user)
{
	return user ? sizeof(struct ib_uverbs_wc) : sizeof(struct ib_wc);
}

static void cq_comp_work(struct work_struct *work)
{
	struct rxo_cq *cq = container_of(work, struct rxo_cq, comp_work);

	cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
}

/* Tells the process where its ring is: the layout of a response to creation and to resizing. */
static int cq_offer_ring(struct rxo_queue *queue, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx = rdma_udata_to_drv_context(udata, struct rxo_ucontext, ibuc);
	struct rxe_create_cq_resp resp = {};
	int err;

	static_assert(sizeof(resp) == sizeof(struct rxe_resize_cq_resp));
	if (udata->outlen < sizeof(resp))
		return -EINVAL;
	err = rxo_queue_offer(queue, uctx, &resp.mi);
	return err ?: ib_copy_to_udata(udata, &resp, sizeof(resp));
}

int rxo_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
		  struct uverbs_attr_bundle *attrs)
{
	struct ib_udata *udata = attrs ? &attrs->driver_udata : NULL;
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	u32 num = attr->cqe;
	int err;

	if (attr->flags)
		return -EOPNOTSUPP;
	if (!num || num > RXO_MAX_CQE)
		return -EINVAL;

	spin_lock_init(&cq->lock);
	mutex_init(&cq->resize_lock);
	INIT_WORK(&cq->comp_work, cq_comp_work);
	cq->user = udata;
	cq->queue = rxo_queue_create(&num, cq_entry_bytes(cq->user));
	if (IS_ERR(cq->queue))
		return PTR_ERR(cq->queue);
	if (cq->user) {
		err = cq_offer_ring(cq->queue, udata);
		if (err) {
			rxo_queue_destroy(cq->queue);
			return err;
		}
	}
	ibcq->cqe = num;
	return 0;
}

/*
 * Completions go on into the old ring while what is in it is copied, in batches,
 * since there may be millions. From the last batch on they go to the new one.
 */
static int cq_switch_ring(struct rxo_cq *cq, struct rxo_queue *queue)
{
	struct rxo_queue_move move = {};
	int err;

	lockdep_assert_held(&cq->resize_lock);
	do {
		cond_resched();
		scoped_guard(spinlock_irq, &cq->lock) {
			err = rxo_queue_move_completions(queue, cq->queue, &move);
			if (!err)
				cq->queue = queue;
		}
	} while (err == -EAGAIN);
	return err;
}

int rxo_resize_user_cq(struct ib_cq *ibcq, unsigned int cqe, struct ib_udata *udata)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	struct rxo_queue *queue, *old;
	u32 num = cqe;
	int err;

	if (!cq->user)
		return -EOPNOTSUPP;
	if (!num || num > RXO_MAX_CQE)
		return -EINVAL;
	queue = rxo_queue_create(&num, cq_entry_bytes(true));
	if (IS_ERR(queue))
		return PTR_ERR(queue);
	err = cq_offer_ring(queue, udata);
	if (err)
		goto err_queue;

	scoped_guard(mutex, &cq->resize_lock) {
		old = cq->queue;
		err = cq_switch_ring(cq, queue);
		if (!err)
			ibcq->cqe = num;
	}
	if (err)
		goto err_queue;

	rxo_queue_destroy(old);
	return 0;

err_queue:
	rxo_queue_destroy(queue);
	return err;
}

/* No QP posts to it any more: ib_core counts its users. */
int rxo_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);

	cancel_work_sync(&cq->comp_work);
	rxo_queue_destroy(cq->queue);
	return 0;
}

/*
 * The service level of a received datagram says what its 40 bytes of GRH are, as
 * with hardware (mlx5): bit 3 is RoCEv2, below it 1 is IPv6, and 2 is IPv4. UCX
 * goes by it. Kernel users have network_hdr_type, and take the level for one.
 */
static u8 cq_datagram_sl(const struct ib_wc *wc)
{
	if (!(wc->wc_flags & IB_WC_WITH_NETWORK_HDR_TYPE))
		return wc->sl;
	return BIT(3) | (wc->network_hdr_type == RDMA_NETWORK_IPV4 ? 2 : 1);
}

/* libibverbs has another bit for IB_WC_WITH_INVALIDATE than the kernel. */
#define CQ_USER_WITH_INV	BIT(3)

static u32 cq_user_flags(const struct ib_wc *wc)
{
	return (wc->wc_flags & (IB_WC_GRH | IB_WC_WITH_IMM)) |
	       (wc->wc_flags & IB_WC_WITH_INVALIDATE ? CQ_USER_WITH_INV : 0);
}

static void cq_fill_uverbs_wc(struct ib_uverbs_wc *to, const struct ib_wc *wc)
{
	*to = (struct ib_uverbs_wc) {
		.wr_id		= wc->wr_id,
		.status		= wc->status,
		.opcode		= wc->opcode,
		.vendor_err	= wc->vendor_err,
		.byte_len	= wc->byte_len,
		.ex.imm_data	= wc->ex.imm_data,
		.qp_num		= wc->qp->qp_num,
		.src_qp		= wc->src_qp,
		.wc_flags	= cq_user_flags(wc),
		.pkey_index	= wc->pkey_index,
		.slid		= wc->slid,
		.sl		= cq_datagram_sl(wc),
		.dlid_path_bits	= wc->dlid_path_bits,
		.port_num	= wc->port_num,
	};
}

/* Under cq->lock. False if the CQ is full. */
static bool cq_append(struct rxo_cq *cq, const struct ib_wc *wc)
{
	lockdep_assert_held(&cq->lock);
	if (cq->overflowed || rxo_queue_full(cq->queue))
		return false;
	if (cq->user)
		cq_fill_uverbs_wc(rxo_queue_slot(cq->queue), wc);
	else
		*(struct ib_wc *)rxo_queue_slot(cq->queue) = *wc;
	rxo_queue_push(cq->queue);
	return true;
}

static void cq_overflow_event(struct rxo_cq *cq)
{
	struct ib_event event = {
		.device = cq->ibcq.device,
		.element.cq = &cq->ibcq,
		.event = IB_EVENT_CQ_ERR,
	};

	if (cq->ibcq.event_handler)
		cq->ibcq.event_handler(&event, cq->ibcq.cq_context);
}

/* A CQ of ib_alloc_cq(): only those have an array for a batch of completions. */
static bool cq_is_polled_by_core(const struct ib_cq *ibcq)
{
	return ibcq->wc;
}

static void cq_notify(struct rxo_cq *cq)
{
	if (cq->user || cq_is_polled_by_core(&cq->ibcq))
		cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
	else if (cq->ibcq.comp_handler)
		queue_work(system_bh_wq, &cq->comp_work);
}

int rxo_cq_post(struct rxo_cq *cq, const struct ib_wc *wc, bool solicited)
{
	bool appended, first = false, wake = false;
	unsigned long flags;

	spin_lock_irqsave(&cq->lock, flags);
	appended = cq_append(cq, wc);
	if (appended) {
		wake = cq->armed == IB_CQ_NEXT_COMP || (cq->armed && solicited);
		if (wake)
			cq->armed = 0;
	} else {
		first = !cq->overflowed;
		cq->overflowed = true;
	}
	spin_unlock_irqrestore(&cq->lock, flags);

	if (wake)
		cq_notify(cq);
	if (first)
		cq_overflow_event(cq);
	return appended ? 0 : -ENOSPC;
}

int rxo_poll_cq(struct ib_cq *ibcq, int num, struct ib_wc *wc)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	unsigned long flags;
	struct ib_wc *head;
	int i;

	/* A process polls its mapped ring, whose indices are not to be trusted. */
	if (cq->user)
		return -EOPNOTSUPP;
	spin_lock_irqsave(&cq->lock, flags);
	for (i = 0; i < num; i++) {
		head = rxo_queue_kernel_head(cq->queue);
		if (!head)
			break;
		wc[i] = *head;
		rxo_queue_kernel_pop(cq->queue);
	}
	spin_unlock_irqrestore(&cq->lock, flags);
	return i;
}

int rxo_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags flags)
{
	struct rxo_cq *cq = to_rxo_cq(ibcq);
	unsigned long irqflags;
	int missed = 0;

	spin_lock_irqsave(&cq->lock, irqflags);
	/* A request for any completion includes one for solicited ones. */
	if (cq->armed != IB_CQ_NEXT_COMP)
		cq->armed = flags & IB_CQ_SOLICITED_MASK;
	if (flags & IB_CQ_REPORT_MISSED_EVENTS)
		missed = rxo_queue_produced(cq->queue) ? 1 : 0;
	spin_unlock_irqrestore(&cq->lock, irqflags);
	return missed;
}
