// SPDX-License-Identifier: GPL-2.0
/*
 * Unreliable datagrams, QP1 among them: one packet a message, no answer.
 *
 * A datagram that waits for a page of its receive buffer is held like any other
 * packet, up to the bound of held packets; its sender is told nothing.
 */

#include <rdma/ib_cache.h>

#include "net/ah.h"
#include "transport/qp.h"

/* A Q_Key with the top bit set stands for the QP's own (IBTA 10.2.5). */
#define QKEY_OF_QP	BIT(31)

/* Where a datagram goes: by an address handle, or by what its WQE says itself. */
struct ud_dest {
	struct rxo_path *path;
	struct rxo_ah *ah;		/* referenced; NULL with a path of its own */
	struct rxo_path own;
};

/*
 * A librxe that does not know address handle numbers puts the address into the WQE. It was not
 * checked at the creation of a handle, so it is checked here as there: the source GID has to be
 * one of this device.
 */
static int ud_own_path(struct rxo_dev *dev, const struct rxo_swqe_av *av, struct rxo_path *path)
{
	struct rdma_ah_attr attr = {
		.type = RDMA_AH_ATTR_TYPE_ROCE,
		.ah_flags = IB_AH_GRH,
		.port_num = 1,
		.grh = {
			.sgid_index = av->sgid_index,
			.flow_label = av->flow_label,
			.hop_limit = av->hop_limit,
			.traffic_class = av->traffic_class,
		},
	};
	const struct ib_gid_attr *sgid;
	int err;

	sgid = rdma_get_gid_attr(&dev->ibdev, 1, av->sgid_index);
	if (IS_ERR(sgid))
		return PTR_ERR(sgid);
	attr.grh.sgid_attr = sgid;
	BUILD_BUG_ON(sizeof(attr.grh.dgid) != sizeof(av->dgid));
	memcpy(attr.grh.dgid.raw, av->dgid, sizeof(av->dgid));
	err = rxo_path_init_once(dev, path, &attr);
	rdma_put_gid_attr(sgid);
	return err;
}

static int ud_dest_get(struct rxo_qp *qp, const struct rxo_swqe *wqe, struct ud_dest *dest)
{
	if (!wqe->ah_num) {
		dest->ah = NULL;
		dest->path = &dest->own;
		return ud_own_path(qp->dev, &wqe->av, dest->path);
	}
	dest->ah = rxo_ah_get(qp->dev, wqe->ah_num, qp->ibqp.pd);
	if (!dest->ah)
		return -EINVAL;
	dest->path = &dest->ah->path;
	return 0;
}

static void ud_dest_put(struct ud_dest *dest)
{
	if (dest->ah)
		rxo_ah_put(dest->ah);
}

static struct sk_buff *ud_build(struct rxo_qp *qp, struct rxo_swqe *wqe,
				const struct rxo_path *path)
{
	bool imm = wqe->opcode == IB_WR_SEND_WITH_IMM;
	u8 opcode = imm ? IB_OPCODE_UD_SEND_ONLY_WITH_IMMEDIATE : IB_OPCODE_UD_SEND_ONLY;
	u32 bytes = wqe->length_bytes;
	u32 hdr = rxo_opcodes[opcode].hdr_bytes;
	struct sk_buff *skb;
	u32 done;
	int err;

	skb = rxo_net_alloc(qp->dev, path, hdr + bytes + rxo_pad(bytes));
	if (!skb)
		return ERR_PTR(-ENOMEM);
	err = rxo_req_payload(qp, wqe, 0, skb->data + hdr, bytes, &done);
	if (err) {
		kfree_skb(skb);
		if (err != -EAGAIN)
			rxo_access_error_send(qp, wqe, &qp->sq.wait, done, err);
		return ERR_PTR(err);
	}
	memset(skb->data + hdr + bytes, 0, rxo_pad(bytes));
	rxo_bth_init(rxo_pkt_bth(skb), opcode, wqe->send_flags & IB_SEND_SOLICITED,
		     rxo_pad(bytes), IB_DEFAULT_PKEY_FULL, wqe->remote_qpn, false, qp->sq.psn);
	rxo_pkt_deth(skb)->qkey = cpu_to_be32(wqe->remote_qkey & QKEY_OF_QP ? qp->qkey :
					      wqe->remote_qkey);
	rxo_pkt_deth(skb)->sqp = cpu_to_be32(qp->ibqp.qp_num);
	if (imm)
		rxo_pkt_imm(skb)->imm = wqe->imm;
	return skb;
}

/* Sends and completes the oldest WQE. Nonzero when it has to wait, or failed the QP. */
int rxo_ud_send(struct rxo_qp *qp, struct rxo_swqe *wqe)
{
	struct ud_dest dest;
	struct sk_buff *skb;
	bool taken;

	lockdep_assert_held(&qp->sq.lock);
	if (ud_dest_get(qp, wqe, &dest)) {
		rxo_req_fail(qp, IB_WC_LOC_QP_OP_ERR);
		return -EINVAL;
	}
	skb = ud_build(qp, wqe, dest.path);
	if (IS_ERR(skb)) {
		int err = PTR_ERR(skb);

		if (err == -ENOMEM)
			mod_timer(&qp->sq.rnr_timer, jiffies + 1);
		else if (err != -EAGAIN)
			rxo_req_fail(qp, IB_WC_LOC_PROT_ERR);
		ud_dest_put(&dest);
		return err;
	}
	taken = rxo_net_xmit_one(qp->dev, dest.path, &qp->sq.tx, skb);
	if (qp->sq.tx.taken_bytes && rxo_path_is_multicast(dest.path))
		rxo_tx_count(&qp->sq.tx, RXO_STAT_SENT_MCAST_PKTS, 1);
	ud_dest_put(&dest);
	if (!taken)
		return -EBUSY;
	qp->sq.psn = rxo_psn_add(qp->sq.psn, 1);
	rxo_swqe_complete(qp, IB_WC_SUCCESS);
	return 0;
}

static void ud_complete_recv(struct rxo_qp *qp, struct sk_buff *skb)
{
	const struct rxo_pkt *pkt = rxo_pkt(skb);
	struct ib_wc wc = {
		.status = IB_WC_SUCCESS,
		.opcode = IB_WC_RECV,
		.byte_len = RXO_GRH_BYTES + pkt->payload_bytes,
		.src_qp = rxo_deth_sqp(rxo_pkt_deth(skb)),
		.wc_flags = IB_WC_GRH | IB_WC_WITH_NETWORK_HDR_TYPE,
		.network_hdr_type = rxo_net_type(skb),
	};

	if (pkt->flags & RXO_OP_IMM) {
		wc.wc_flags |= IB_WC_WITH_IMM;
		wc.ex.imm_data = rxo_pkt_imm(skb)->imm;
	}
	if (pkt->vlan_id != RXO_NO_VLAN) {
		wc.wc_flags |= IB_WC_WITH_VLAN;
		wc.vlan_id = pkt->vlan_id;
	}
	rxo_resp_recv_done(qp, &wc, pkt->solicited);
}

/* GRH, then payload, as far as it has not been placed yet. */
static int ud_place(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_pkt *pkt = rxo_pkt(skb);
	struct rxo_sg sg = {
		.pd = rxo_rq_pd(qp), .sge = rq->wqe.sgl.sge, .num = rq->wqe.sgl.num,
		.length_bytes = RXO_GRH_BYTES + pkt->payload_bytes,
	};
	struct ib_grh grh;
	u32 done;
	int err;

	BUILD_BUG_ON(sizeof(grh) != RXO_GRH_BYTES);
	if (pkt->done_bytes < RXO_GRH_BYTES) {
		rxo_net_grh(skb, &grh);
		err = rxo_wait_copy(&rq->wait, &sg, &grh, RXO_GRH_BYTES, true, &pkt->done_bytes);
		if (err)
			return err;
	}
	sg.offset_bytes = RXO_GRH_BYTES;
	done = pkt->done_bytes - RXO_GRH_BYTES;
	err = rxo_wait_copy(&rq->wait, &sg, rxo_pkt_payload(skb), pkt->payload_bytes, true, &done);
	pkt->done_bytes = RXO_GRH_BYTES + done;
	return err;
}

/* One datagram: 0 when done with it, -EAGAIN to hold it. */
int rxo_ud_exec(struct rxo_qp *qp, struct sk_buff *skb)
{
	struct rxo_rq *rq = &qp->rq;
	struct ib_wc wc = { .opcode = IB_WC_RECV };
	int err;

	lockdep_assert_held(&rq->lock);
	err = rq->fault_err;
	rq->fault_err = 0;
	if (be32_to_cpu(rxo_pkt_deth(skb)->qkey) != qp->qkey)
		goto drop;
	if (!err)
		err = rxo_resp_take_wqe(qp);
	if (err == -ENOENT)
		goto drop;
	/* Too long for the buffer: dropped, the buffer stays for the next (IBTA class D). */
	if (!err && RXO_GRH_BYTES + rxo_pkt(skb)->payload_bytes > rq->wqe.sgl.length_bytes)
		goto drop;
	if (err == -ENOTRECOVERABLE) {
		rxo_qp_set_fatal(qp);
		goto drop;
	}
	if (!err)
		err = ud_place(qp, skb);
	if (err == -EAGAIN)
		return err;
	if (!err) {
		ud_complete_recv(qp, skb);
		return 0;
	}
	if (err != -EINVAL)
		rxo_access_error_receive(qp, err);
	if (rq->have_wqe) {
		wc.status = err == -EINVAL ? IB_WC_LOC_QP_OP_ERR : IB_WC_LOC_PROT_ERR;
		rxo_resp_recv_done(qp, &wc, true);
	}
	rxo_qp_set_error(qp);
	return 0;
drop:
	rxo_tx_count(&qp->rq.tx, RXO_STAT_RCV_DROPPED, 1);
	return 0;
}
