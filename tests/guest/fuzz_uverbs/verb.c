// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "verb.h"

#include "mem.h"
#include "method.h"

#include <sys/mman.h>

bool verb_reg_mr(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_mr **mr = &z->mrs[rnd_below(r, KEEP)];
	uint8_t *at = rnd_one_in(r, 4) ? (uint8_t *)rnd_next(r) : z->memory + rnd_below(r, MEMORY);
	uint64_t bytes = rnd_one_in(r, 4) ? rnd_next(r) : some_u32(r);
	/* Implicit ODP is one of them: the library asks for it by itself then. */
	int access = rnd_one_in(r, 3) ? (int)rnd_next(r) : (int)(rnd_next(r) & 0x7f);

	if (*mr && ibv_dereg_mr(*mr))
		fail_because("ibv_dereg_mr: errno %d", errno);
	*mr = rnd_one_in(r, 3) ? ibv_reg_mr_iova(z->rig.pd, at, bytes, rnd_next(r), access) :
				 ibv_reg_mr(z->rig.pd, at, bytes, access);
	return *mr;
}

/* Of regions that live, mostly. */
static struct ibv_sge some_span(struct zoo *z)
{
	const struct ibv_mr *mr = z->mrs[rnd_below(&z->rnd, KEEP)];

	if (!mr || rnd_one_in(&z->rnd, 8))
		return (struct ibv_sge){ rnd_next(&z->rnd), some_u32(&z->rnd), some_u32(&z->rnd) };
	return (struct ibv_sge){ (uintptr_t)mr->addr + rnd_below(&z->rnd, 8192),
				 rnd_below(&z->rnd, 65536), mr->lkey };
}

bool verb_advise(struct zoo *z)
{
	size_t num = rnd_one_in(&z->rnd, 4) ? rnd_below(&z->rnd, 5) : 1, i;
	struct ibv_sge spans[4];

	for (i = 0; i < num; i++)
		spans[i] = some_span(z);
	return !mr_advise(z->rig.pd, rnd_below(&z->rnd, 4), rnd_below(&z->rnd, 3), spans, num);
}

bool verb_create_cq(struct zoo *z)
{
	struct ibv_cq **cq = &z->cqs[1 + rnd_below(&z->rnd, KEEP - 1)];

	/* A QP may use it still. */
	if (*cq && ibv_destroy_cq(*cq))
		return false;
	*cq = ibv_create_cq(z->rig.ctx, some_size(&z->rnd), NULL, NULL,
			    rnd_one_in(&z->rnd, 4) ? (int)some_u32(&z->rnd) : 0);
	return *cq;
}

bool verb_resize_cq(struct zoo *z)
{
	struct ibv_cq *cq = z->cqs[rnd_below(&z->rnd, KEEP)];

	return cq && !ibv_resize_cq(cq, some_size(&z->rnd));
}

bool verb_create_srq(struct zoo *z)
{
	struct ibv_srq **srq = &z->srqs[rnd_below(&z->rnd, KEEP)];
	struct ibv_srq_init_attr init = { .attr = { .max_wr = some_count(&z->rnd),
						    .max_sge = some_count(&z->rnd),
						    .srq_limit = some_count(&z->rnd) } };

	if (*srq && ibv_destroy_srq(*srq))
		return false;
	*srq = ibv_create_srq(z->rig.pd, &init);
	return *srq;
}

bool verb_modify_srq(struct zoo *z)
{
	struct ibv_srq *srq = z->srqs[rnd_below(&z->rnd, KEEP)];
	struct ibv_srq_attr attr = { .max_wr = some_count(&z->rnd),
				     .max_sge = some_count(&z->rnd),
				     .srq_limit = some_count(&z->rnd) };

	return srq && !ibv_modify_srq(srq, &attr, rnd_next(&z->rnd) & 7);
}

bool verb_create_qp(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_qp **qp = &z->qps[rnd_below(r, KEEP)];
	struct ibv_cq *cq = z->cqs[rnd_below(r, KEEP)] ?: z->cqs[0];
	struct ibv_qp_init_attr init = {
		.qp_type = rnd_one_in(r, 8) ? (int)rnd_below(r, 20) :
			   rnd_one_in(r, 2) ? IBV_QPT_UD :
					      IBV_QPT_RC,
		.send_cq = cq,
		.recv_cq = z->cqs[0],
		.srq = rnd_one_in(r, 3) ? z->srqs[rnd_below(r, KEEP)] : NULL,
		.sq_sig_all = rnd_one_in(r, 2),
		.cap = { some_count(r), some_count(r), rnd_below(r, 40), rnd_below(r, 40),
			 rnd_one_in(r, 2) ? some_u32(r) : rnd_below(r, 500) },
	};

	if (*qp && ibv_destroy_qp(*qp))
		fail_because("ibv_destroy_qp: errno %d", errno);
	*qp = ibv_create_qp(z->rig.pd, &init);
	return *qp;
}

static struct ibv_ah_attr some_ah(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_ah_attr attr;

	rnd_fill(r, &attr, sizeof(attr));
	if (rnd_one_in(r, 4))
		return attr;
	attr.is_global = !rnd_one_in(r, 8);
	attr.port_num = rnd_one_in(r, 8) ? rnd_next(r) : 1;
	attr.grh.sgid_index = rnd_one_in(r, 4) ? some_u32(r) : (uint32_t)z->rig.gid4;
	attr.grh.dgid = z->rig.gids[rnd_below(r, 2)];
	return attr;
}

bool verb_create_ah(struct zoo *z)
{
	struct ibv_ah **ah = &z->ahs[rnd_below(&z->rnd, KEEP)];
	struct ibv_ah_attr attr = some_ah(z);

	if (*ah && ibv_destroy_ah(*ah))
		fail_because("ibv_destroy_ah: errno %d", errno);
	*ah = ibv_create_ah(z->rig.pd, &attr);
	return *ah;
}

bool verb_alloc_mw(struct zoo *z)
{
	struct ibv_mw **mw = &z->mws[rnd_below(&z->rnd, KEEP)];

	if (*mw && ibv_dealloc_mw(*mw))
		fail_because("ibv_dealloc_mw: errno %d", errno);
	*mw = ibv_alloc_mw(z->rig.pd,
			   rnd_one_in(&z->rnd, 4) ? some_u32(&z->rnd) : 1 + rnd_below(&z->rnd, 2));
	return *mw;
}

static const struct qp_step {
	enum ibv_qp_state to;
	int mask;
} qp_steps[] = {
	{ IBV_QPS_INIT, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS },
	{ IBV_QPS_INIT, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY },
	{ IBV_QPS_RTR, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER },
	{ IBV_QPS_RTS, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			       IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC },
	{ IBV_QPS_RTS, IBV_QP_STATE | IBV_QP_SQ_PSN },
	{ IBV_QPS_RTR, IBV_QP_STATE },
	{ IBV_QPS_ERR, IBV_QP_STATE },
};

/* What an RC QP takes next, or anything. */
static const struct qp_step *some_step(struct rnd *r, const struct ibv_qp *qp)
{
	if (rnd_one_in(r, 4) || qp->qp_type != IBV_QPT_RC)
		return &qp_steps[rnd_below(r, ARRAY_SIZE(qp_steps))];
	return &qp_steps[qp->state == IBV_QPS_RESET ? 0 : qp->state == IBV_QPS_INIT ? 2 : 3];
}

bool verb_modify_qp(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_qp *qp = z->qps[rnd_below(r, KEEP)];
	const struct qp_step *step;
	struct ibv_qp_attr attr;

	if (!qp)
		return false;
	step = some_step(r, qp);
	rnd_fill(r, &attr, sizeof(attr));
	if (!rnd_one_in(r, 4)) {
		attr.qp_state = rnd_one_in(r, 4) ? rnd_below(r, 8) : step->to;
		attr.port_num = 1;
		attr.pkey_index = 0;
		attr.path_mtu = rnd_below(r, 7);
		attr.ah_attr = some_ah(z);
		attr.dest_qp_num &= 0xffffff;
		attr.timeout &= 31;
		attr.retry_cnt &= 7;
		attr.rnr_retry &= 7;
		attr.min_rnr_timer &= 31;
		attr.max_rd_atomic &= 15;
		attr.max_dest_rd_atomic &= 15;
	}
	return !ibv_modify_qp(qp, &attr, rnd_one_in(r, 5) ? (int)rnd_next(r) : step->mask);
}

bool verb_post(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_qp *qp = z->qps[rnd_below(r, KEEP)];
	struct ibv_sge sge = { (uintptr_t)z->memory + rnd_below(r, MEMORY), some_u32(r),
			       some_u32(r) };
	struct ibv_send_wr wr = { .sg_list = &sge,
				  .num_sge = rnd_below(r, 2),
				  .opcode = rnd_below(r, 7),
				  .send_flags = rnd_next(r) & 7 },
			   *bad;

	if (!qp || qp->qp_type != IBV_QPT_RC)
		return false;
	wr.wr.rdma.remote_addr = rnd_next(r);
	wr.wr.rdma.rkey = rnd_next(r);
	return !ibv_post_send(qp, &wr, &bad);
}

/* A queue, or what is not ours, or no longer there, or larger than it is. */
bool verb_map(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	bool real = !rnd_one_in(r, 3);
	size_t bytes = real ? zoo_driver_answer.queue.size : PAGE * (1 + rnd_below(r, 64));
	uint64_t at = real	       ? zoo_driver_answer.queue.offset :
		      rnd_one_in(r, 2) ? rnd_below(r, 4096) * PAGE :
					 rnd_next(r) & ~(PAGE - 1);
	void *p = mmap(NULL, bytes, rnd_next(r) & 7, rnd_one_in(r, 4) ? MAP_PRIVATE : MAP_SHARED,
		       (real ? z->wild : z->rig.ctx)->cmd_fd, at);

	return p != MAP_FAILED && !munmap(p, bytes);
}
