// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a QP.
 *
 * ib_core owns the memory, so destroying waits until all references are gone
 * (struct rxo_qpn). See rxo_destroy_qp() for the stages.
 */

#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>

#include "queue/ctx.h"
#include "queue/queue.h"
#include "transport/qp.h"

#define GSI_QKEY	0x80010000

#define UD_KIND {				\
	.opcodes	= RXO_OP_UD,		\
	.tx		= &rxo_tx_ud,		\
	.send		= rxo_req_send_ud,	\
	.take		= rxo_ud_exec,		\
}

static const struct rxo_qp_kind qp_kinds[] = {
	[IB_QPT_RC] = {
		.opcodes	= RXO_OP_RC,
		.opcode_base	= IB_OPCODE_RC,
		.connected	= true,
		.acked		= true,
		.tx		= &rxo_tx_rc,
		.send		= rxo_req_send_rc,
		.take		= rxo_resp_take_rc,
	},
	[IB_QPT_UC] = {
		.opcodes	= RXO_OP_UC,
		.opcode_base	= IB_OPCODE_UC,
		.connected	= true,
		.tx		= &rxo_tx_uc,
		.send		= rxo_req_send_uc,
		.take		= rxo_resp_take_uc,
	},
	[IB_QPT_XRC_INI] = {
		.opcodes	= RXO_OP_XRC,
		.opcode_base	= RXO_OPCODE_XRC,
		.connected	= true,
		.acked		= true,
		.tx		= &rxo_tx_rc,
		.send		= rxo_req_send_rc,
	},
	[IB_QPT_XRC_TGT] = {
		.opcodes	= RXO_OP_XRC,
		.opcode_base	= RXO_OPCODE_XRC,
		.connected	= true,
		.acked		= true,
		.tx		= &rxo_tx_rc,
		.take		= rxo_resp_take_xrc,
	},
	[IB_QPT_UD] = UD_KIND,
	[IB_QPT_GSI] = UD_KIND,
};

static atomic64_t qp_last_id;

/* Where the struct rxo_qpn of a number may stand besides dev->qps, to be found without a walk. */
static struct rxo_qpn __rcu **qp_recent(struct rxo_dev *dev, u32 qp_num)
{
	return &dev->recent_qpns[qp_num % RXO_RECENT_QPNS];
}

struct rxo_qp *rxo_qp_get(struct rxo_dev *dev, u32 qp_num)
{
	struct rxo_qpn *qpn;

	guard(rcu)();
	qpn = rcu_dereference(*qp_recent(dev, qp_num));
	if (!qpn || qpn->num != qp_num)
		qpn = xa_load(&dev->qps, qp_num);
	if (!qpn || !refcount_inc_not_zero(&qpn->refs))
		return NULL;
	return qpn->qp;
}

void rxo_qp_set_state(struct rxo_qp *qp, enum ib_qp_state state)
{
	lockdep_assert_held(&qp->state_lock);
	/* A reader that sees the new state also sees the values set up for it. */
	smp_store_release(&qp->state, state);
}

/* Returns whether it was not there yet. */
static bool qp_enter_error(struct rxo_qp *qp)
{
	bool entered;

	spin_lock_bh(&qp->state_lock);
	entered = qp->state != IB_QPS_RESET && qp->state != IB_QPS_ERR;
	if (entered)
		rxo_qp_set_state(qp, IB_QPS_ERR);
	spin_unlock_bh(&qp->state_lock);
	queue_work(rxo_wq, &qp->sq.work);
	queue_work(rxo_wq, &qp->rq.work);
	return entered;
}

void rxo_qp_set_error(struct rxo_qp *qp)
{
	qp_enter_error(qp);
}

void rxo_qp_set_fatal(struct rxo_qp *qp)
{
	if (qp_enter_error(qp))
		rxo_qp_event(qp, IB_EVENT_QP_FATAL);
}

void rxo_qp_set_send_error(struct rxo_qp *qp)
{
	spin_lock_bh(&qp->state_lock);
	if (qp->state == IB_QPS_RTS || qp->state == IB_QPS_SQD)
		rxo_qp_set_state(qp, IB_QPS_SQE);
	spin_unlock_bh(&qp->state_lock);
	queue_work(rxo_wq, &qp->sq.work);
}

void rxo_qp_event(struct rxo_qp *qp, enum ib_event_type type)
{
	struct ib_event event = {
		.device = qp->ibqp.device,
		.event = type,
		.element.qp = &qp->ibqp,
	};

	if (qp->ibqp.event_handler)
		qp->ibqp.event_handler(&event, qp->ibqp.qp_context);
}

static bool qp_type_is_xrc(enum ib_qp_type type)
{
	return type == IB_QPT_XRC_INI || type == IB_QPT_XRC_TGT;
}

static int qp_check_sq(const struct ib_qp_init_attr *init)
{
	const struct ib_qp_cap *cap = &init->cap;

	if (!init->send_cq || cap->max_send_wr > RXO_MAX_QP_WR ||
	    cap->max_send_sge > RXO_MAX_SGE || cap->max_inline_data > RXO_MAX_INLINE_BYTES)
		return -EINVAL;
	return 0;
}

/* Not of XRC, which has no receives of its own. */
static int qp_check_rq(const struct ib_qp_init_attr *init)
{
	const struct ib_qp_cap *cap = &init->cap;

	if (!init->recv_cq)
		return -EINVAL;
	if (!init->srq && (cap->max_recv_wr > RXO_MAX_QP_WR || cap->max_recv_sge > RXO_MAX_SGE))
		return -EINVAL;
	return 0;
}

/*
 * ib_core makes a process's XRC target as if it were its own, without @udata; a kernel user cannot
 * have one, since it has no domain (rxo_alloc_xrcd()).
 */
static int qp_check_attr(const struct ib_qp_init_attr *init, const struct ib_udata *udata)
{
	if (init->qp_type >= ARRAY_SIZE(qp_kinds) || !qp_kinds[init->qp_type].opcodes)
		return -EOPNOTSUPP;
	if (init->create_flags || (init->qp_type == IB_QPT_XRC_INI && !udata))
		return -EOPNOTSUPP;
	if (init->qp_type == IB_QPT_XRC_TGT)
		return init->xrcd ? 0 : -EINVAL;
	return qp_check_sq(init) ?: (qp_type_is_xrc(init->qp_type) ? 0 : qp_check_rq(init));
}

static int qp_create_sq(struct rxo_qp *qp, struct ib_qp_init_attr *init)
{
	struct rxo_sq *sq = &qp->sq;
	/* One entry at least: librxe writes the eight bytes of an ATOMIC WRITE there. */
	u32 extra = max_t(u32, max(1u, init->cap.max_send_sge) * sizeof(struct rxe_sge),
			  ALIGN(init->cap.max_inline_data, sizeof(struct rxe_sge)));

	sq->max_wr = max(1u, init->cap.max_send_wr);
	sq->max_sge = extra / sizeof(struct rxe_sge);
	sq->max_inline_bytes = extra;
	sq->queue = rxo_queue_create(&sq->max_wr, sizeof(struct rxe_send_wqe) + extra);
	if (IS_ERR(sq->queue))
		return PTR_ERR(sq->queue);

	sq->swqe_bytes = ALIGN(sizeof(struct rxo_swqe) + extra, sizeof(u64));
	sq->shadow_mask = min(sq->queue->mask, RXO_SHADOW_WQES - 1);
	sq->shadow = kvcalloc(sq->shadow_mask + 1, sq->swqe_bytes, GFP_KERNEL_ACCOUNT);
	if (!sq->shadow) {
		rxo_queue_destroy(sq->queue);
		return -ENOMEM;
	}
	init->cap.max_send_wr = sq->max_wr;
	init->cap.max_send_sge = sq->max_sge;
	init->cap.max_inline_data = sq->max_inline_bytes;
	return 0;
}

static int qp_create_rq(struct rxo_qp *qp, struct ib_qp_init_attr *init)
{
	struct rxo_rq *rq = &qp->rq;

	rq->atomics = kcalloc(RXO_MAX_RD_ATOMIC, sizeof(*rq->atomics), GFP_KERNEL_ACCOUNT);
	if (!rq->atomics)
		return -ENOMEM;
	if (qp->srq || qp->xrcd) {
		init->cap.max_recv_wr = 0;
		init->cap.max_recv_sge = 0;
		return 0;
	}
	rq->max_wr = max(1u, init->cap.max_recv_wr);
	rq->max_sge = max(1u, init->cap.max_recv_sge);
	rq->queue = rxo_queue_create(&rq->max_wr, sizeof(struct rxe_recv_wqe) +
				     rq->max_sge * sizeof(struct rxe_sge));
	if (IS_ERR(rq->queue)) {
		kfree(rq->atomics);
		return PTR_ERR(rq->queue);
	}
	init->cap.max_recv_wr = rq->max_wr;
	init->cap.max_recv_sge = rq->max_sge;
	return 0;
}

static void qp_destroy_queues(struct rxo_qp *qp)
{
	rxo_queue_destroy(qp->rq.queue);
	kfree(qp->rq.atomics);
	rxo_queue_destroy(qp->sq.queue);
	kvfree(qp->sq.shadow);
}

/* Of XRC only the half that there is. */
static int qp_create_queues(struct rxo_qp *qp, struct ib_qp_init_attr *init)
{
	int err = 0;

	if (!qp->kind->send)
		init->cap = (struct ib_qp_cap) {};
	else
		err = qp_create_sq(qp, init);
	if (err)
		return err;
	if (!qp->kind->take) {
		init->cap.max_recv_wr = 0;
		init->cap.max_recv_sge = 0;
		return 0;
	}
	err = qp_create_rq(qp, init);
	if (err) {
		rxo_queue_destroy(qp->sq.queue);
		kvfree(qp->sq.shadow);
	}
	return err;
}

/* Tell the process where to map its queues. Destroying a queue withdraws its offer. */
static int qp_offer_queues(struct rxo_qp *qp, struct ib_udata *udata)
{
	struct rxo_ucontext *uctx;
	struct rxe_create_qp_resp resp = {};
	int err;

	if (!udata)
		return 0;
	if (udata->outlen < sizeof(resp))
		return -EINVAL;
	uctx = rdma_udata_to_drv_context(udata, struct rxo_ucontext, ibuc);
	qp->promises = uctx->caps & RXE_ODP_CAP_PROMISE;
	err = rxo_queue_offer(qp->sq.queue, uctx, &resp.sq_mi);
	if (!err && qp->rq.queue)
		err = rxo_queue_offer(qp->rq.queue, uctx, &resp.rq_mi);
	return err ?: ib_copy_to_udata(udata, &resp, sizeof(resp));
}

/* Both sides' packets are charged to one socket. */
static int qp_create_tx(struct rxo_qp *qp)
{
	const struct rxo_tx_kind *kind = qp->kind->tx;
	struct socket *sock = rxo_tx_sock(kind);

	if (IS_ERR(sock))
		return PTR_ERR(sock);
	qp->tx_sock = sock;
	rxo_tx_init(&qp->sq.tx, qp->dev, sock, &qp->sq.bh_work, &qp->sq.cpu, &qp->sq.lock,
		    kind);
	rxo_tx_init(&qp->rq.tx, qp->dev, sock, &qp->rq.bh_work, &qp->rq.cpu, &qp->rq.lock,
		    kind);
	return 0;
}

static void qp_init(struct rxo_qp *qp, struct ib_qp_init_attr *init, bool user)
{
	qp->dev = to_rxo_dev(qp->ibqp.device);
	qp->kind = &qp_kinds[init->qp_type];
	qp->id = atomic64_inc_return(&qp_last_id);
	if (init->qp_type == IB_QPT_XRC_TGT) {
		qp->xrcd = init->xrcd;
		user = true;
	} else {
		qp->pd = to_rxo_pd(qp->ibqp.pd);
		qp->send_cq = to_rxo_cq(init->send_cq);
	}
	if (!qp_type_is_xrc(init->qp_type)) {
		qp->recv_cq = to_rxo_cq(init->recv_cq);
		qp->srq = init->srq ? to_rxo_srq(init->srq) : NULL;
	}
	qp->sq_sig_all = init->sq_sig_type == IB_SIGNAL_ALL_WR;
	qp->user = user;
	qp->state = IB_QPS_RESET;
	mutex_init(&qp->mutex);
	spin_lock_init(&qp->state_lock);
	spin_lock_init(&qp->rate_lock);
	rxo_rate_init(&qp->rate);
	rxo_access_error_init(qp);
	qp->mtu_bytes = ib_mtu_enum_to_int(IB_MTU_4096);
	if (init->qp_type == IB_QPT_GSI)
		qp->qkey = GSI_QKEY;
	rxo_req_init(qp);
	rxo_comp_init(qp);
	rxo_resp_init(qp);
}

static int qp_publish(struct rxo_qp *qp)
{
	struct rxo_qpn *qpn = kzalloc_obj(*qpn, GFP_KERNEL_ACCOUNT);
	struct rxo_dev *dev = qp->dev;
	u32 num = RXO_GSI_QPN;
	int err;

	if (!qpn)
		return -ENOMEM;
	refcount_set(&qpn->refs, 1);
	init_completion(&qpn->unused);
	qpn->qp = qp;
	qp->qpn = qpn;
	INIT_HLIST_NODE(&qpn->cookie_node);
	if (qp->ibqp.qp_type == IB_QPT_GSI)
		err = xa_insert_bh(&dev->qps, num, qpn, GFP_KERNEL);
	else
		err = xa_alloc_cyclic_bh(&dev->qps, &num, qpn,
					 XA_LIMIT(RXO_FIRST_QPN, RXO_QPN_MASK - 1),
					 &dev->next_qpn, GFP_KERNEL);
	if (err < 0) {
		kfree(qpn);
		return err;
	}
	qp->ibqp.qp_num = num;
	qpn->num = num;
	rcu_assign_pointer(*qp_recent(dev, num), qpn);
	rxo_peer_publish(qpn);
	return 0;
}

int rxo_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init, struct ib_udata *udata)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	int err;

	err = qp_check_attr(init, udata);
	if (err)
		return err;
	qp_init(qp, init, udata);
	err = qp_create_tx(qp);
	if (err)
		return err;
	err = qp_create_queues(qp, init);
	if (err)
		goto err_tx;
	err = qp_offer_queues(qp, udata);
	if (err)
		goto err_queues;
	err = qp_publish(qp);
	if (err)
		goto err_queues;
	rxo_poll_add(qp);
	return 0;

err_queues:
	qp_destroy_queues(qp);
err_tx:
	sock_release(qp->tx_sock);
	return err;
}

static void qp_reset_sq(struct rxo_qp *qp)
{
	struct rxo_sq *sq = &qp->sq;

	spin_lock_bh(&sq->lock);
	__skb_queue_purge(&sq->held);
	if (sq->queue) {
		rxo_promise_withdraw(qp);
		rxo_queue_drop(sq->queue);
	}
	WRITE_ONCE(sq->copied, 0);
	sq->cur = 0;
	sq->rd_atomic = 0;
	sq->rnr_wait = false;
	sq->excused = 0;
	sq->gap_retried = false;
	sq->awaits_ack = false;
	sq->local = (struct rxo_local) {};
	rxo_tx_forget_path(&sq->tx);
	qp->sqd_notify = false;
	spin_unlock_bh(&sq->lock);
}

static void qp_reset_rq(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;

	spin_lock_bh(&rq->lock);
	__skb_queue_purge(&rq->held);
	if (rq->queue)
		rxo_queue_drop(rq->queue);
	if (qp->xrcd)
		rxo_resp_flush_message(qp);
	memset(&rq->msg, 0, sizeof(rq->msg));
	memset(&rq->read, 0, sizeof(rq->read));
	if (rq->atomics)
		memset(rq->atomics, 0, RXO_MAX_RD_ATOMIC * sizeof(*rq->atomics));
	rq->have_wqe = false;
	rq->quiet = false;
	rq->owed.kind = RXO_OWED_NOTHING;
	rq->cnp_ns = 0;
	rxo_late_reset(qp);
	rq->look_jiffies = 0;
	rq->local_peer = 0;
	WRITE_ONCE(rq->peer_sends_wide, false);
	rq->frame_answered = false;
	rq->owed_probe.to = 0;
	rxo_tx_forget_path(&rq->tx);
	rq->established = false;
	rq->last_wqe = false;
	rq->fault_err = 0;
	rq->msn = 0;
	spin_unlock_bh(&rq->lock);
}

/*
 * Empties a QP whose state is RESET.
 *
 * 1. A context that ran an engine when the state changed still holds its lock.
 *    After taking each lock once, every run and kick sees RESET and does
 *    nothing, so none of what follows is armed again. Likewise kernel posters:
 *    none of them writes to a ring any more.
 * 2. Faults are cancelled or waited for (including done(), which kicks), then
 *    waiting senders, then work items and timers are stopped.
 * 3. Then the data is reset. The receive that an XRC target took for a message of which a part has
 *    come completes as flushed, to the SRQ's owner, who may be another process.
 */
void rxo_qp_quiesce(struct rxo_qp *qp)
{
	spin_lock_bh(&qp->sq.lock);
	spin_unlock_bh(&qp->sq.lock);
	spin_lock_bh(&qp->rq.lock);
	spin_unlock_bh(&qp->rq.lock);
	spin_lock_irq(&qp->sq.post_lock);
	spin_unlock_irq(&qp->sq.post_lock);
	spin_lock_irq(&qp->rq.post_lock);
	spin_unlock_irq(&qp->rq.post_lock);

	rxo_wait_stop(&qp->sq.wait);
	rxo_wait_stop(&qp->sq.place_wait);
	rxo_wait_stop(&qp->rq.wait);
	rxo_tx_stop(&qp->sq.tx);
	rxo_tx_stop(&qp->rq.tx);
	cancel_work_sync(&qp->sq.work);
	cancel_work_sync(&qp->sq.bh_work);
	cancel_work_sync(&qp->sq.hop_work);
	cancel_work_sync(&qp->rq.work);
	cancel_work_sync(&qp->rq.bh_work);
	timer_delete_sync(&qp->sq.ack_timer);
	timer_delete_sync(&qp->sq.rnr_timer);
	timer_delete_sync(&qp->rq.late.timer);
	timer_delete_sync(&qp->rq.look_timer);

	qp_reset_sq(qp);
	qp_reset_rq(qp);
	scoped_guard(spinlock_bh, &qp->rate_lock)
		rxo_rate_init(&qp->rate);
}

/*
 * 1. Unpublish: no later packet finds the QP, nor does the polling thread. A packet that already
 *    looked up its struct rxo_qpn has a reference, or cannot get one after stage 3.
 * 2. RESET, and quiesce: no engine runs any more, nothing is armed.
 * 3. Give up the first reference and wait for the others: packets that are
 *    being received, and wakes of faults that are just ending.
 * 4. Free. The CQs and the SRQ still exist: ib_core counts their users. Packets that
 *    are still in a queue hold the socket, and nothing else.
 *
 *	destroy_qp				softirq
 *	----------				-------
 *						xa_load(): the struct rxo_qpn
 *	xa_erase(), out of recent_qpns
 *	state = RESET; both locks once
 *						refcount_inc_not_zero()
 *						sees RESET, drops the packet
 *						rxo_qp_put()
 *	rxo_qp_put(), wait for the last
 *	QP is freed
 *						(another) xa_load() before the erasure,
 *						refcount_inc_not_zero(): 0, drops the packet
 *	struct rxo_qpn is freed after RCU
 *
 * Nothing here waits for an RCU grace period: a process that destroys many QPs
 * would wait for one per QP.
 */
int rxo_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct rxo_qpn *qpn = qp->qpn;

	xa_erase_bh(&qp->dev->qps, ibqp->qp_num);
	/* Another one may stand there by now. */
	unrcu_pointer(cmpxchg(qp_recent(qp->dev, ibqp->qp_num), RCU_INITIALIZER(qpn), NULL));
	rxo_peer_unpublish(qpn);
	rxo_poll_remove(qp);

	spin_lock_bh(&qp->state_lock);
	rxo_qp_set_state(qp, IB_QPS_RESET);
	spin_unlock_bh(&qp->state_lock);
	rxo_qp_quiesce(qp);

	rxo_qp_put(qp);
	wait_for_completion(&qpn->unused);

	if (qp->have_path)
		rxo_path_release(&qp->path);
	qp_destroy_queues(qp);
	sock_release(qp->tx_sock);
	kfree_rcu(qpn, rcu);
	return 0;
}

/* Both directions count under their locks: behind this nobody uses the counter of before. */
static void qp_set_counter(struct rxo_qp *qp, struct rxo_counter *counter)
{
	spin_lock_bh(&qp->sq.lock);
	spin_lock(&qp->rq.lock);
	qp->sq.tx.counter = counter;
	qp->rq.tx.counter = counter;
	spin_unlock(&qp->rq.lock);
	spin_unlock_bh(&qp->sq.lock);
}

int rxo_counter_bind_qp(struct rdma_counter *counter, struct ib_qp *ibqp, u32 port)
{
	struct rxo_counter *own = rxo_counter_of(counter);

	lockdep_assert_held(&counter->lock);
	if (!own)
		return -ENOMEM;
	qp_set_counter(to_rxo_qp(ibqp), own);
	own->qps++;
	ibqp->counter = counter;
	return 0;
}

int rxo_counter_unbind_qp(struct ib_qp *ibqp, u32 port)
{
	qp_set_counter(to_rxo_qp(ibqp), NULL);
	rxo_counter_leave(ibqp->counter);
	ibqp->counter = NULL;
	return 0;
}
