// SPDX-License-Identifier: GPL-2.0
/*
 * The state machine of a QP: what may be changed when (ib_core knows), what the
 * values may be, and how they come into force.
 *
 * Values are checked first; then everything that can fail is done; then they
 * are stored, and the state last. What both engines read while they run, and
 * may change under them (the path and access rights in SQD or RTS), is stored
 * with both locked out.
 */

#include <net/inet_ecn.h>

#include "transport/qp.h"

#define MAX_TIMEOUT	31
#define MAX_RETRY	7

static int qp_check_rc_values(const struct ib_qp_attr *attr, int mask)
{
	/* May be more than the netdev carries: see pkt_let_fragment() in net.c. */
	if ((mask & IB_QP_PATH_MTU) && (attr->path_mtu < IB_MTU_256 ||
					attr->path_mtu > IB_MTU_4096))
		return -EINVAL;
	if ((mask & IB_QP_TIMEOUT) && attr->timeout > MAX_TIMEOUT)
		return -EINVAL;
	if ((mask & IB_QP_RETRY_CNT) && attr->retry_cnt > MAX_RETRY)
		return -EINVAL;
	if ((mask & IB_QP_RNR_RETRY) && attr->rnr_retry > MAX_RETRY)
		return -EINVAL;
	if ((mask & IB_QP_MIN_RNR_TIMER) && attr->min_rnr_timer > MAX_TIMEOUT)
		return -EINVAL;
	if ((mask & IB_QP_MAX_QP_RD_ATOMIC) && attr->max_rd_atomic > RXO_MAX_RD_ATOMIC)
		return -EINVAL;
	if ((mask & IB_QP_MAX_DEST_RD_ATOMIC) && attr->max_dest_rd_atomic > RXO_MAX_RD_ATOMIC)
		return -EINVAL;
	return 0;
}

static int qp_check_values(const struct ib_qp_attr *attr, int mask)
{
	if (mask & ~IB_QP_ATTR_STANDARD_BITS)
		return -EOPNOTSUPP;
	if (mask & IB_QP_ALT_PATH)
		return -EOPNOTSUPP;
	/* MIGRATED is the only state without an alternate path. */
	if ((mask & IB_QP_PATH_MIG_STATE) && attr->path_mig_state != IB_MIG_MIGRATED)
		return -EOPNOTSUPP;
	if ((mask & IB_QP_PORT) && attr->port_num != 1)
		return -EINVAL;
	if ((mask & IB_QP_PKEY_INDEX) && attr->pkey_index)
		return -EINVAL;
	if ((mask & IB_QP_DEST_QPN) && attr->dest_qp_num > RXO_QPN_MASK)
		return -EINVAL;
	return qp_check_rc_values(attr, mask);
}

/* Under the locks of both engines. */
static void qp_store_values(struct rxo_qp *qp, const struct ib_qp_attr *attr, int mask)
{
	struct ib_qp_attr *own = &qp->attr;

	lockdep_assert_held(&qp->sq.lock);
	lockdep_assert_held(&qp->rq.lock);

	if (mask & IB_QP_ACCESS_FLAGS) {
		qp->access = attr->qp_access_flags;
		own->qp_access_flags = attr->qp_access_flags;
	}
	if (mask & IB_QP_QKEY) {
		qp->qkey = attr->qkey;
		own->qkey = attr->qkey;
	}
	if (mask & IB_QP_PATH_MTU) {
		own->path_mtu = attr->path_mtu;
		qp->mtu_bytes = ib_mtu_enum_to_int(attr->path_mtu);
	}
	if (mask & IB_QP_DEST_QPN) {
		/* peer_is_ours() looks without the locks. */
		WRITE_ONCE(qp->dest_qpn, attr->dest_qp_num);
		own->dest_qp_num = attr->dest_qp_num;
	}
	if (mask & IB_QP_MAX_QP_RD_ATOMIC) {
		qp->max_rd_atomic = attr->max_rd_atomic;
		own->max_rd_atomic = attr->max_rd_atomic;
	}
	if (mask & IB_QP_MAX_DEST_RD_ATOMIC) {
		qp->max_dest_rd_atomic = attr->max_dest_rd_atomic;
		own->max_dest_rd_atomic = attr->max_dest_rd_atomic;
	}
	if (mask & IB_QP_TIMEOUT) {
		qp->timeout_shift = attr->timeout;
		own->timeout = attr->timeout;
	}
	if (mask & IB_QP_RETRY_CNT) {
		qp->sq.retry_left = attr->retry_cnt;
		qp->retry_cnt = attr->retry_cnt;
		own->retry_cnt = attr->retry_cnt;
	}
	if (mask & IB_QP_RNR_RETRY) {
		qp->sq.rnr_left = attr->rnr_retry;
		qp->rnr_retry = attr->rnr_retry;
		own->rnr_retry = attr->rnr_retry;
	}
	if (mask & IB_QP_MIN_RNR_TIMER) {
		qp->min_rnr_timer = attr->min_rnr_timer;
		own->min_rnr_timer = attr->min_rnr_timer;
	}
	if (mask & IB_QP_RQ_PSN)
		qp->rq.psn = attr->rq_psn & RXO_PSN_MASK;
	if (mask & IB_QP_SQ_PSN) {
		WRITE_ONCE(qp->sq.psn, attr->sq_psn & RXO_PSN_MASK);
		WRITE_ONCE(qp->sq.una_psn, qp->sq.psn);
		qp->sq.sent_psn = qp->sq.psn;
		qp->sq.alloc_psn = qp->sq.psn;
		qp->sq.asked_psn = rxo_psn_sub(qp->sq.psn, 1);
		rxo_window_init(&qp->sq.window);
		/* Nothing is waited for: a burst is always in the window. */
		if (!qp->kind->acked)
			qp->sq.window.pkts = RXO_WINDOW_MAX_PKTS;
	}
	if (mask & IB_QP_PKEY_INDEX)
		own->pkey_index = attr->pkey_index;
	if (mask & IB_QP_PORT)
		own->port_num = attr->port_num;
}

/* Under the locks of both engines. @path: the new one, then the one that it replaces. */
static void qp_store_path(struct rxo_qp *qp, const struct ib_qp_attr *attr, struct rxo_path *path)
{
	struct rxo_path old = qp->path;
	bool had = qp->have_path;

	qp->path = *path;
	qp->have_path = true;
	/* Forget what probes have shown of the old path. */
	qp->sq.local = (struct rxo_local) {};
	qp->rq.local_peer = 0;
	qp->rq.frame_answered = false;
	qp->rq.owed_probe.to = 0;
	rxo_tx_forget_path(&qp->sq.tx);
	rxo_tx_forget_path(&qp->rq.tx);
	if (had)
		*path = old;
	else
		memset(path, 0, sizeof(*path));
	qp->attr.ah_attr = attr->ah_attr;
	qp->attr.ah_attr.grh.sgid_attr = NULL;	/* its reference is the caller's */
}

static int qp_enter_state(struct rxo_qp *qp, enum ib_qp_state from, enum ib_qp_state to)
{
	int err = 0;

	spin_lock_bh(&qp->state_lock);
	/* An engine may have set the error state meanwhile. */
	if (qp->state != from && to != IB_QPS_RESET && to != IB_QPS_ERR)
		err = -EINVAL;
	else
		rxo_qp_set_state(qp, to);
	spin_unlock_bh(&qp->state_lock);
	return err;
}

static int qp_apply(struct rxo_qp *qp, struct ib_qp_attr *attr, int mask, enum ib_qp_state from,
		    enum ib_qp_state to)
{
	struct rxo_path path = {};
	bool replaced = false;
	int err;

	if (mask & IB_QP_AV) {
		err = rxo_path_init(qp->dev, &path, &attr->ah_attr, qp->ibqp.qp_num,
				    mask & IB_QP_DEST_QPN ? attr->dest_qp_num : qp->dest_qpn,
				    GFP_KERNEL_ACCOUNT);
		if (err)
			return err;
		/* Packets that the user marked otherwise stay as they are. */
		if (READ_ONCE(qp->dev->ecn) && !rxo_qp_is_ud(qp) &&
		    INET_ECN_is_not_ect(path.tclass))
			path.tclass |= INET_ECN_ECT_0;
	}
	spin_lock_bh(&qp->sq.lock);
	spin_lock(&qp->rq.lock);
	qp_store_values(qp, attr, mask);
	if (mask & IB_QP_AV) {
		replaced = qp->have_path;
		qp_store_path(qp, attr, &path);
	}
	if (to == IB_QPS_SQD && from != IB_QPS_SQD)
		qp->sqd_notify = (mask & IB_QP_EN_SQD_ASYNC_NOTIFY) && attr->en_sqd_async_notify;
	err = qp_enter_state(qp, from, to);
	spin_unlock(&qp->rq.lock);
	spin_unlock_bh(&qp->sq.lock);
	if (replaced)
		rxo_path_release(&path);
	return err;
}

/*
 * Work requests posted to an unreliable QP before it leaves SQE are flushed, not sent. Bounded,
 * since the process may go on posting. The PSNs of a message that failed are skipped.
 */
static void qp_flush_sends(struct rxo_qp *qp)
{
	u32 left = qp->sq.max_wr;
	bool more;

	lockdep_assert_held(&qp->mutex);
	do {
		spin_lock_bh(&qp->sq.lock);
		more = rxo_sq_flush(qp);
		if (qp->kind->connected)
			rxo_req_skip_to(qp, qp->sq.alloc_psn);
		spin_unlock_bh(&qp->sq.lock);
		cond_resched();
		left -= min(left, RXO_FLUSH_WQES);
	} while (more && left);
}

int rxo_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask, struct ib_udata *udata)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	enum ib_qp_state from, to;
	int err;

	mutex_lock(&qp->mutex);
	from = rxo_qp_state(qp);
	if ((mask & IB_QP_CUR_STATE) && attr->cur_qp_state != from) {
		err = -EINVAL;
		goto out;
	}
	to = mask & IB_QP_STATE ? attr->qp_state : from;
	err = qp_check_values(attr, mask);
	if (!err && !ib_modify_qp_is_ok(from, to, ibqp->qp_type, mask))
		err = -EINVAL;
	if (err)
		goto out;
	if (from == IB_QPS_SQE && to == IB_QPS_RTS)
		qp_flush_sends(qp);
	err = qp_apply(qp, attr, mask, from, to);
	if (err)
		goto out;
	if (to == IB_QPS_RESET) {
		rxo_qp_quiesce(qp);
	} else {
		queue_work(rxo_wq, &qp->sq.work);
		queue_work(rxo_wq, &qp->rq.work);
	}
out:
	mutex_unlock(&qp->mutex);
	return err;
}

int rxo_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);

	mutex_lock(&qp->mutex);
	*attr = qp->attr;
	attr->qp_state = rxo_qp_state(qp);
	attr->cur_qp_state = attr->qp_state;
	spin_lock_bh(&qp->sq.lock);
	attr->sq_psn = qp->sq.alloc_psn;
	attr->sq_draining = attr->qp_state == IB_QPS_SQD && qp->sq.una_psn != qp->sq.alloc_psn;
	spin_unlock_bh(&qp->sq.lock);
	spin_lock_bh(&qp->rq.lock);
	attr->rq_psn = qp->rq.psn;
	spin_unlock_bh(&qp->rq.lock);
	attr->cap.max_send_wr = qp->sq.max_wr;
	attr->cap.max_send_sge = qp->sq.max_sge;
	attr->cap.max_inline_data = qp->sq.max_inline_bytes;
	attr->cap.max_recv_wr = qp->rq.max_wr;
	attr->cap.max_recv_sge = qp->rq.max_sge;
	mutex_unlock(&qp->mutex);

	init->event_handler = ibqp->event_handler;
	init->qp_context = ibqp->qp_context;
	init->send_cq = ibqp->send_cq;
	init->recv_cq = ibqp->recv_cq;
	init->srq = ibqp->srq;
	init->cap = attr->cap;
	init->sq_sig_type = qp->sq_sig_all ? IB_SIGNAL_ALL_WR : IB_SIGNAL_REQ_WR;
	init->qp_type = ibqp->qp_type;
	return 0;
}
