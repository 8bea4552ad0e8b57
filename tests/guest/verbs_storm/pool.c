// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "pool.h"

#include "tally.h"
#include "xrc.h"

#include <sys/mman.h>

uint32_t next_generation(void)
{
	static uint32_t last;

	return ++last;
}

uint64_t wr_id_of(enum wr_kind kind, unsigned int index, unsigned int slot, uint32_t generation)
{
	struct wr_id id = { generation, slot, index, kind };
	uint64_t number;

	memcpy(&number, &id, sizeof(number));
	return number;
}

uint8_t *map_bytes(size_t bytes)
{
	uint8_t *map =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

bool destroyed_at(int line, int rc, bool busy, const char *what)
{
	if (rc != (busy ? EBUSY : 0))
		fail_at(__FILE__, line, "destroying %s that is %s: %d", what,
			busy ? "in use" : "not in use", rc);
	if (busy)
		tally_count(BUSY);
	return !busy;
}

struct pd *pool_pd(struct side *side, struct rnd *r)
{
	struct pd *pd = &side->pds[rnd_below(r, PDS)];

	if (!pd->pd) {
		pd->pd = ibv_alloc_pd(side->rig.ctx);
		assert_non_null(pd->pd);
		tally_count(PD_MADE);
	}
	return pd;
}

struct cq *pool_cq(struct side *side, struct rnd *r)
{
	struct cq *cq = &side->cqs[rnd_below(r, CQS)];

	if (!cq->cq) {
		cq->cq = ibv_create_cq(side->rig.ctx, MIN_CQE + rnd_below(r, 1000), NULL, NULL, 0);
		assert_non_null(cq->cq);
		tally_count(CQ_MADE);
	}
	return cq;
}

static struct xrcd *pool_xrcd(struct side *side, struct rnd *r)
{
	struct xrcd *xrcd = &side->xrcds[rnd_below(r, XRCDS)];

	if (!xrcd->xrcd) {
		xrcd->xrcd = xrc_domain(side->rig.ctx, -1);
		assert_non_null(xrcd->xrcd);
		tally_count(XRCD_MADE);
	}
	return xrcd;
}

static void srq_post(struct srq *srq, unsigned int index)
{
	struct ibv_recv_wr *bad;
	unsigned int i;

	for (i = 0; i < RECEIVES; i++) {
		struct ibv_sge sge = { (uintptr_t)srq->mem + i * SLOT_BYTES, SLOT_BYTES,
				       srq->mr->lkey };
		struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 };

		if (srq->posted & 1U << i)
			continue;
		wr.wr_id = wr_id_of(WR_SRQ_RECEIVE, index, i, srq->generation);
		assert_zero(ibv_post_srq_recv(srq->srq, &wr, &bad));
		srq->posted |= 1U << i;
	}
}

static void make_xrc_srq(struct side *side, struct rnd *r, struct srq *srq)
{
	struct conn conn = xrc_conn();

	srq->cq = pool_cq(side, r);
	srq->xrcd = pool_xrcd(side, r);
	srq->srq = xrc_srq(srq->pd->pd, srq->xrcd->xrcd, srq->cq->cq, &conn);
	assert_non_null(srq->srq);
	srq->cq->users++;
	srq->xrcd->users++;
	tally_count(XRC_SRQ_MADE);
}

struct srq *pool_srq(struct side *side, struct rnd *r, bool xrc)
{
	struct srq *srq = &side->srqs[rnd_below(r, SRQS) + (xrc ? SRQS : 0)];
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = MIN_SRQ, .max_sge = 1 } };
	bool on_demand = rnd_one_in(r, 2);

	if (srq->srq)
		return srq;
	srq->generation = next_generation();
	srq->pd = pool_pd(side, r);
	srq->pd->users++;
	if (xrc) {
		make_xrc_srq(side, r, srq);
	} else {
		srq->srq = ibv_create_srq(srq->pd->pd, &attr);
		assert_non_null(srq->srq);
		tally_count(SRQ_MADE);
	}
	srq->mem = map_bytes(RECEIVES * SLOT_BYTES);
	srq->mr = ibv_reg_mr(srq->pd->pd, srq->mem, RECEIVES * SLOT_BYTES,
			     IBV_ACCESS_LOCAL_WRITE | (on_demand ? IBV_ACCESS_ON_DEMAND : 0));
	assert_non_null(srq->mr);
	tally_count(on_demand ? MR_ON_DEMAND : MR_PINNED);
	srq->posted = 0;
	srq_post(srq, srq - side->srqs);
	return srq;
}

void pool_post_receives(struct side *side)
{
	unsigned int i;

	for (i = 0; i < 2 * SRQS; i++)
		if (side->srqs[i].srq)
			srq_post(&side->srqs[i], i);
}

static void drop_srq(struct srq *srq)
{
	/* No queue pair holds an XRC one: requests would be refused. */
	if (srq->xrcd && srq->users)
		return;
	if (!srq->srq || !destroyed(ibv_destroy_srq(srq->srq), srq->users, "an SRQ"))
		return;
	assert_zero(ibv_dereg_mr(srq->mr));
	munmap(srq->mem, RECEIVES * SLOT_BYTES);
	srq->pd->users--;
	if (srq->cq)
		srq->cq->users--;
	if (srq->xrcd)
		srq->xrcd->users--;
	memset(srq, 0, sizeof(*srq));
}

static void drop_pd(struct pd *pd)
{
	if (pd->pd && destroyed(ibv_dealloc_pd(pd->pd), pd->users, "a protection domain"))
		pd->pd = NULL;
}

static void drop_cq(struct cq *cq)
{
	if (cq->cq && destroyed(ibv_destroy_cq(cq->cq), cq->users, "a CQ"))
		cq->cq = NULL;
}

static void drop_xrcd(struct xrcd *xrcd)
{
	if (xrcd->xrcd && destroyed(ibv_close_xrcd(xrcd->xrcd), xrcd->users, "an XRC domain"))
		xrcd->xrcd = NULL;
}

static void drop_ah(struct ah *ah)
{
	if (!ah->ah)
		return;
	assert_zero(ibv_destroy_ah(ah->ah));
	ah->ah = NULL;
	ah->pd->users--;
}

static void make_ah(struct side *side, struct rnd *r, struct ah *ah)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = side->rig.gids[side->rig.gid4 < 0],
			 .sgid_index = side->rig.gid4 < 0 ? side->rig.gid6 : side->rig.gid4,
			 .hop_limit = 1 + rnd_below(r, 255) },
	};

	drop_ah(ah);
	ah->pd = pool_pd(side, r);
	ah->ah = ibv_create_ah(ah->pd->pd, &attr);
	assert_non_null(ah->ah);
	ah->pd->users++;
	tally_count(AH_MADE);
}

static void resize_srq(struct srq *srq, struct rnd *r)
{
	struct ibv_srq_attr attr = { .max_wr = MIN_SRQ + rnd_below(r, 300) };

	if (!srq->srq)
		return;
	assert_zero(ibv_modify_srq(srq->srq, &attr, IBV_SRQ_MAX_WR));
	tally_count(SRQ_RESIZED);
}

void pool_disturb(struct side *side, struct rnd *r)
{
	struct cq *cq = &side->cqs[rnd_below(r, CQS)];

	switch (rnd_below(r, 8)) {
	case 0:
		drop_pd(&side->pds[rnd_below(r, PDS)]);
		break;
	case 1:
		drop_cq(cq);
		break;
	case 2:
		if (!cq->cq)
			break;
		assert_zero(ibv_resize_cq(cq->cq, MIN_CQE + rnd_below(r, 1000)));
		tally_count(CQ_RESIZED);
		break;
	case 3:
		drop_srq(&side->srqs[rnd_below(r, 2 * SRQS)]);
		break;
	case 4:
		resize_srq(&side->srqs[rnd_below(r, 2 * SRQS)], r);
		break;
	case 5:
		drop_xrcd(&side->xrcds[rnd_below(r, XRCDS)]);
		break;
	default:
		make_ah(side, r, &side->ahs[rnd_below(r, AHS)]);
	}
}

void pool_clear(struct side *side)
{
	unsigned int i;

	for (i = 0; i < AHS; i++)
		drop_ah(&side->ahs[i]);
	for (i = 0; i < 2 * SRQS; i++)
		drop_srq(&side->srqs[i]);
	for (i = 0; i < XRCDS; i++)
		drop_xrcd(&side->xrcds[i]);
	for (i = 0; i < CQS; i++)
		drop_cq(&side->cqs[i]);
	for (i = 0; i < PDS; i++)
		drop_pd(&side->pds[i]);
}
