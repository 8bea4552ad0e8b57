// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Posting: work requests are written into the mapped rings. The kernel is told of sends by a doorbell, one for a list, and by
 * none where it promises to look at the queue anyhow; of receives it takes notice when it needs one.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "provider.h"

/* A post_send of no work requests. */
static int doorbell_write(struct ibv_qp *ibqp)
{
	struct ibv_post_send cmd = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_POST_SEND,
			.in_words = sizeof(cmd) / 4,
			.out_words = sizeof(struct ib_uverbs_post_send_resp) / 4,
		},
		.qp_handle = ibqp->handle,
		.wqe_size = sizeof(struct ib_uverbs_send_wr),
	};
	struct ib_uverbs_post_send_resp resp;

	cmd.response = (uintptr_t)&resp;
	return write(ibqp->context->cmd_fd, &cmd, sizeof(cmd)) == sizeof(cmd) ? 0 : errno;
}

int rxo_post_doorbell(struct rxo_qp *qp)
{
	struct ibv_send_wr *bad;
	int err = doorbell_write(&qp->vqp.qp);

	/* The kernel takes no write() from a process that changed its credentials since it opened the device; an ioctl it does. */
	return err == EACCES ? ibv_cmd_post_send(&qp->vqp.qp, NULL, &bad) : err;
}

int rxo_post_sent(struct rxo_qp *qp)
{
	if (to_rxo_context(qp->vqp.qp.context)->caps & RXE_ODP_CAP_PROMISE) {
		/* Pairs with the kernel's in transport/promise.c: the post, then the look. */
		atomic_thread_fence(memory_order_seq_cst);
		if (rxo_ring_promise(&qp->sq))
			return 0;
	}
	return rxo_post_doorbell(qp);
}

int rxo_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct ibv_send_wr *first = wr;
	uint32_t room, num = 0;
	int err = 0, refused;

	if (!rxo_ring_is_there(&qp->sq)) {
		*bad = wr;
		return EINVAL;
	}
	rxo_lock(&qp->sq_lock);
	room = rxo_ring_room(&qp->sq);
	for (; wr; wr = wr->next) {
		err = num == room ? ENOMEM :
				    rxo_swqe_fill(rxo_ring_at(&qp->sq, num), wr, &qp->bounds);
		if (err) {
			*bad = wr;
			break;
		}
		num++;
	}
	if (num) {
		rxo_ring_post(&qp->sq, num);
		refused = rxo_post_sent(qp);
		if (refused) {
			*bad = first;
			err = refused;
		}
	}
	rxo_unlock(&qp->sq_lock);
	return err;
}

/* A queue pair in error gives receives back; it has to be told of those that come after its error. */
static void recv_flush(struct rxo_qp *qp)
{
	if (qp->vqp.qp.state == IBV_QPS_ERR || atomic_load(&qp->failed))
		rxo_post_doorbell(qp);
}

uint32_t rxo_post_fill_recvs(struct rxo_ring *ring, uint32_t max_sge, struct ibv_recv_wr *wr,
			     struct ibv_recv_wr **bad, int *err)
{
	uint32_t room = rxo_ring_room(ring), num = 0;

	*err = 0;
	for (; wr; wr = wr->next) {
		*err = num == room ? ENOMEM : rxo_rwqe_fill(rxo_ring_at(ring, num), wr, max_sge);
		if (*err) {
			*bad = wr;
			break;
		}
		num++;
	}
	if (num)
		rxo_ring_post(ring, num);
	return num;
}

int rxo_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	int err;

	if (!rxo_ring_is_there(&qp->rq) || ibqp->state == IBV_QPS_RESET) {
		*bad = wr;
		return EINVAL;
	}
	rxo_lock(&qp->rq_lock);
	if (rxo_post_fill_recvs(&qp->rq, qp->max_recv_sge, wr, bad, &err))
		recv_flush(qp);
	rxo_unlock(&qp->rq_lock);
	return err;
}
