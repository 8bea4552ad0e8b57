// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "link.h"

#include "burst.h"
#include "method.h"
#include "mw.h"
#include "tally.h"
#include "xrc.h"

#include <sys/mman.h>
#include <unistd.h>

#define RIGHTS(explicit) (ACCESS_ALL | ((explicit) ? IBV_ACCESS_MW_BIND : 0))

static bool is_reliable(const struct link *link)
{
	return link->sort == RC || link->sort == XRC;
}

static void region_make(struct zoo *z, struct link *link, int i)
{
	enum region region = PINNED + rnd_below(&z->rnd, 3);
	bool implicit = region == IMPLICIT;

	link->mr[i] = ibv_reg_mr(link->pd[i]->pd, implicit ? NULL : link->memory[i],
				 implicit ? SIZE_MAX : sizeof(struct memory),
				 RIGHTS(!implicit) | (region == PINNED ? 0 : IBV_ACCESS_ON_DEMAND));
	if (!link->mr[i])
		fail_because("ibv_reg_mr: errno %d", errno);
	link->region[i] = region;
	tally_count(implicit ? MR_IMPLICIT : region == PINNED ? MR_PINNED : MR_ON_DEMAND);
}

/* False: a window is bound. */
static bool region_drop(struct link *link, int i)
{
	bool busy = i == 1 && link->mw && link->bound;

	if (!link->mr[i] || !destroyed(ibv_dereg_mr(link->mr[i]), busy, "a region"))
		return false;
	link->mr[i] = NULL;
	link->region[i] = NONE;
	return true;
}

static struct ibv_qp *qp_make(struct link *link, int i)
{
	struct end *end = &link->end[i];
	struct ibv_qp_init_attr attr = {
		.qp_type = link->conn.type,
		.send_cq = end->scq,
		.recv_cq = end->rcq,
		.srq = end->srq,
		.cap = { .max_send_wr = link->conn.send_wr,
			 .max_recv_wr = end->srq ? 0 : RQ_RECEIVES,
			 .max_send_sge = 1,
			 .max_recv_sge = end->srq ? 0 : 1,
			 .max_inline_data = link->conn.inline_bytes },
	};

	if (link->sort != XRC)
		return ibv_create_qp(link->pd[i]->pd, &attr);
	return i ? xrc_target(link->rig[1].ctx, link->srq->xrcd->xrcd) :
		   xrc_initiator(end, &link->conn);
}

static struct cq *use_cq(struct zoo *z, struct link *link, int i)
{
	struct cq *cq = pool_cq(link->side[i], &z->rnd);

	cq->users++;
	return cq;
}

static void end_make(struct zoo *z, struct link *link, int i)
{
	static const enum kind kinds[SORTS] = { QP_RC, QP_UC, QP_UD, QP_XRC };
	struct rig *rig = &link->side[i]->rig;
	struct end *end = &link->end[i];

	if (!link->pd[i])
		link->pd[i] = pool_pd(link->side[i], &z->rnd);
	link->pd[i]->users++;
	if (link->sort != XRC || !i)
		link->scq[i] = use_cq(z, link, i);
	if (link->sort != XRC)
		link->rcq[i] = use_cq(z, link, i);
	link->rig[i] = *rig;
	link->rig[i].pd = link->pd[i]->pd;
	memset(end, 0, sizeof(*end));
	end->rig = &link->rig[i];
	end->gid_index = rig->gid4 < 0 ? rig->gid6 : rig->gid4;
	end->gid = rig->gids[rig->gid4 < 0];
	end->psn = rnd_below(&z->rnd, 1 << 24);
	end->scq = link->scq[i] ? link->scq[i]->cq : NULL;
	end->rcq = link->rcq[i] ? link->rcq[i]->cq : NULL;
	if (i == 1 && link->srq)
		end->srq = link->srq->srq;
	end->qp = qp_make(link, i);
	if (!end->qp)
		fail_because("a queue pair of sort %d: errno %d", link->sort, errno);
	tally_count(kinds[link->sort]);
	link->memory[i] = (struct memory *)map_bytes(sizeof(struct memory));
	region_make(z, link, i);
}

/* It takes datagrams of everybody then. */
static void make_known(struct zoo *z, struct link *link)
{
	struct address *address = &tally->addresses[z->child];

	address->gid = link->end[1].gid;
	address->qp_num = link->end[1].qp->qp_num;
}

static struct ibv_ah *ah_make(struct link *link, const union ibv_gid *gid)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = *gid, .sgid_index = link->end[0].gid_index, .hop_limit = 64 },
	};
	struct ibv_ah *ah = ibv_create_ah(link->pd[0]->pd, &attr);

	assert_non_null(ah);
	tally_count(AH_MADE);
	return ah;
}

static void link_make(struct zoo *z, struct link *link)
{
	static const enum ibv_qp_type types[SORTS] = { IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD,
						       IBV_QPT_XRC_SEND };
	unsigned int nr = link - z->links;
	int i;

	memset(link, 0, sizeof(*link));
	link->nr = nr;
	link->sort = rnd_one_in(&z->rnd, 2) ?
			     RC :
			     rnd_below(&z->rnd, getenv("RDMA_ODP_PROVIDER") ? SORTS : XRC);
	link->generation = next_generation();
	link->seed = rnd_next(&z->rnd);
	link->conn = CONN;
	link->conn.type = types[link->sort];
	link->conn.send_wr = 2 * MAX_BURST;
	link->conn.sge = 1;
	link->conn.timeout = 19;
	for (i = 0; i < 2; i++)
		link->side[i] = &z->sides[rnd_below(&z->rnd, 2)];
	if (link->sort == XRC || (link->sort != UC && rnd_one_in(&z->rnd, 2))) {
		link->srq = pool_srq(link->side[1], &z->rnd, link->sort == XRC);
		link->srq->users++;
		/* A target reaches memory of the SRQ's domain. */
		link->pd[1] = link->srq->pd;
	}
	for (i = 0; i < 2; i++)
		end_make(z, link, i);
	if (link->sort == XRC)
		link->end[0].srq_num = xrc_srq_num(link->srq->srq);
	ends_connect(&link->end[0], &link->end[1], &link->conn);
	if (link->sort != UD)
		return;
	link->end[0].ah = ah_make(link, &link->end[1].gid);
	make_known(z, link);
}

static void window_drop(struct link *link)
{
	if (link->mw)
		mw_free(link->mw);
	link->mw = NULL;
	link->bound = false;
}

/* Those that the second end posted: a bind, an invalidation. */
static enum ibv_wc_status await_bind(struct zoo *z, struct link *link)
{
	double last = seconds() + BOUND_S;

	while (link->bind_waits) {
		reap(z);
		if (seconds() > last)
			fail_because("no completion of a bind within %d s", BOUND_S);
	}
	if (link->bind_status != IBV_WC_SUCCESS &&
	    !(link->gone[1] && link->bind_status == IBV_WC_WR_FLUSH_ERR))
		fail_because("a bind: %s", ibv_wc_status_str(link->bind_status));
	return link->bind_status;
}

static void post_bind(struct link *link, bool bind)
{
	struct ibv_send_wr wr = wr_make(bind ? IBV_WR_BIND_MW : IBV_WR_LOCAL_INV, NULL, 0);
	struct ibv_mw_bind_info info = { link->mr[1], (uintptr_t)link->memory[1],
					 bind ? sizeof(struct memory) : 0,
					 bind ? ACCESS_WINDOW : 0 };
	uint64_t id = wr_id_of(WR_BIND, link->nr, 0, link->generation);
	struct ibv_mw_bind type1 = { .wr_id = id,
				     .send_flags = IBV_SEND_SIGNALED,
				     .bind_info = info };

	link->bind_waits = true;
	if (link->mw->type == IBV_MW_TYPE_1) {
		assert_zero(ibv_bind_mw(link->end[1].qp, link->mw, &type1));
		return;
	}
	wr.wr_id = id;
	if (bind) {
		wr.bind_mw.mw = link->mw;
		wr.bind_mw.rkey = ibv_inc_rkey(link->mw->rkey);
		wr.bind_mw.bind_info = info;
	} else {
		wr.invalidate_rkey = link->mw->rkey;
	}
	end_post(&link->end[1], &wr);
	if (bind)
		link->mw->rkey = wr.bind_mw.rkey;
}

static void window_bind(struct zoo *z, struct link *link)
{
	enum ibv_mw_type type = rnd_one_in(&z->rnd, 2) ? IBV_MW_TYPE_1 : IBV_MW_TYPE_2;

	if (!link->mw) {
		link->mw = mw_make(link->pd[1]->pd, type);
		tally_count(type == IBV_MW_TYPE_1 ? MW_TYPE_1 : MW_TYPE_2);
	}
	post_bind(link, true);
	await_bind(z, link);
	link->bound = true;
	tally_count(MW_BOUND);
}

static void window_unbind(struct zoo *z, struct link *link)
{
	if (rnd_one_in(&z->rnd, 3)) {
		window_drop(link);
		return;
	}
	post_bind(link, false);
	if (await_bind(z, link) != IBV_WC_SUCCESS) {
		window_drop(link);
		return;
	}
	link->bound = false;
	tally_count(MW_INVALIDATED);
}

static void window_step(struct zoo *z, struct link *link)
{
	/* Windows lie over what has bounds. */
	if (link->sort != RC || link->region[1] == IMPLICIT)
		return;
	if (link->mw && link->bound)
		window_unbind(z, link);
	else
		window_bind(z, link);
}

/* Other kinds of memory behind the region, or no rights of others. */
static void region_change(struct link *link, int i, bool rights)
{
	enum region region = link->region[i] == PINNED ? ON_DEMAND : PINNED;
	int access = rights ? RIGHTS(true) : IBV_ACCESS_LOCAL_WRITE, rc;

	if (!rights)
		region = link->region[i];
	if (region == ON_DEMAND)
		access |= IBV_ACCESS_ON_DEMAND;
	rc = mr_rereg(link->mr[i], IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, access);
	if (!destroyed(rc, i == 1 && link->mw && link->bound, "(changing) a region"))
		return;
	link->region[i] = region;
	tally_count(MR_REREGISTERED);
}

static void reconnect(struct link *link)
{
	link->generation = next_generation();
	assert_zero(ends_reconnect(&link->end[0], &link->end[1], &link->conn));
	link->received = 0;
}

/* What was taken away under the last burst is there again. */
static void repair(struct zoo *z, struct link *link)
{
	int i;

	window_drop(link);
	for (i = 0; i < 2; i++) {
		region_drop(link, i);
		region_make(z, link, i);
	}
	reconnect(link);
}

static void burst_done(struct zoo *z, struct link *link)
{
	bool repaired = link->gone[0] || link->gone[1];

	burst_check(link);
	if (link->invalidates) {
		link->bound = false;
		tally_count(MW_INVALIDATED);
	}
	if (link->foreign)
		assert_zero(ibv_destroy_ah(link->foreign));
	link->foreign = NULL;
	burst_forget(link);
	if (repaired)
		repair(z, link);
}

static void settle(struct zoo *z, struct link *link)
{
	if (link->posted && !link->left && !link->settles_later)
		burst_done(z, link);
}

static void link_await(struct zoo *z, struct link *link)
{
	double last = seconds() + BOUND_S;

	while (link->left) {
		reap(z);
		if (seconds() > last)
			fail_because("%u of %u requests of sort %d are not complete within %d s",
				     link->left, link->posted, link->sort, BOUND_S);
		usleep(50);
	}
}

/* By the key of a region that was, nothing is written. */
static void stale_key(struct zoo *z, struct link *link)
{
	struct ibv_mr *mr =
		ibv_reg_mr(link->pd[1]->pd, link->memory[1], sizeof(struct memory),
			   ACCESS_ALL | (rnd_one_in(&z->rnd, 2) ? IBV_ACCESS_ON_DEMAND : 0));
	uint32_t key;

	assert_non_null(mr);
	key = mr->rkey;
	assert_zero(ibv_dereg_mr(mr));
	burst_begin(z, link);
	burst_lost(link, 1);
	link->must_fail = true;
	burst_write(z, link, key);
	link_await(z, link);
	tally_count(STALE_KEYS);
}

static void under_way_step(struct zoo *z, struct link *link)
{
	switch (rnd_below(&z->rnd, 5)) {
	case 0:
		if (link->invalidates || link->gone[1] || !region_drop(link, 1))
			break;
		burst_lost(link, 1);
		tally_count(KEY_GONE_UNDER_WAY);
		break;
	case 1:
		if (link->gone[0] || !region_drop(link, 0))
			break;
		burst_lost(link, 0);
		tally_count(MEMORY_GONE_UNDER_WAY);
		break;
	case 2:
		if (link->invalidates || !link->by_window || link->gone[1])
			break;
		/* While it goes, too. */
		link->gone[1] = true;
		link->settles_later = true;
		window_unbind(z, link);
		burst_lost(link, 1);
		link->settles_later = false;
		tally_count(KEY_GONE_UNDER_WAY);
		settle(z, link);
		break;
	case 3:
		if (link->invalidates || link->gone[1] || link->region[1] == IMPLICIT ||
		    (link->mw && link->bound))
			break;
		region_change(link, 1, false);
		burst_lost(link, 1);
		tally_count(KEY_GONE_UNDER_WAY);
		break;
	default:
		link_break(z, link);
		tally_count(QP_GONE_UNDER_WAY);
	}
}

static void quiet_step(struct zoo *z, struct link *link)
{
	int i = rnd_below(&z->rnd, 2);

	switch (rnd_below(&z->rnd, 12)) {
	case 0:
	case 1:
		window_step(z, link);
		break;
	case 2:
		if (link->region[i] != IMPLICIT && (is_reliable(link) || !i))
			region_change(link, i, true);
		break;
	case 3:
		if (is_reliable(link))
			stale_key(z, link);
		break;
	case 4:
		/* Receives that no message has taken name the old one. */
		if ((is_reliable(link) || !i) && region_drop(link, i))
			region_make(z, link, i);
		break;
	case 5:
		link_break(z, link);
		break;
	case 6:
	case 7:
		/* All of it must succeed. */
		burst_begin(z, link);
		burst_post(z, link);
		link_await(z, link);
		break;
	default:
		burst_begin(z, link);
		burst_post(z, link);
	}
}

void link_step(struct zoo *z, struct link *link)
{
	if (!link->end[0].qp)
		link_make(z, link);
	else if (link->left)
		under_way_step(z, link);
	else
		quiet_step(z, link);
}

static void break_piece(struct link *link, unsigned int piece)
{
	struct end *end = &link->end[piece & 1];

	switch (piece) {
	case 0:
	case 1:
		assert_zero(ibv_destroy_qp(end->qp));
		end->qp = NULL;
		break;
	case 2:
	case 3:
		region_drop(link, piece & 1);
		break;
	case 4:
		window_drop(link);
		break;
	default:
		if (link->end[0].ah)
			assert_zero(ibv_destroy_ah(link->end[0].ah));
		link->end[0].ah = NULL;
	}
}

/* In any order. What is in use is tried, and goes later. */
void link_break(struct zoo *z, struct link *link)
{
	unsigned int pieces[] = { 0, 1, 2, 3, 4, 5 }, i;

	if (!link->end[0].qp)
		return;
	/* Whether it is bound now is not known. */
	if (link->invalidates)
		window_drop(link);
	for (i = ARRAY_SIZE(pieces); i; i--) {
		unsigned int other = rnd_below(&z->rnd, i), piece = pieces[other];

		pieces[other] = pieces[i - 1];
		break_piece(link, piece);
	}
	for (i = 0; i < 2; i++) {
		region_drop(link, i);
		link->pd[i]->users--;
		if (link->scq[i])
			link->scq[i]->users--;
		if (link->rcq[i])
			link->rcq[i]->users--;
	}
	if (link->posted)
		burst_check_bytes(link);
	if (link->foreign)
		assert_zero(ibv_destroy_ah(link->foreign));
	burst_forget(link);
	for (i = 0; i < 2; i++)
		munmap(link->memory[i], sizeof(struct memory));
	if (link->srq)
		link->srq->users--;
	memset(link, 0, sizeof(*link));
}

void link_send_foreign(struct zoo *z, struct link *link)
{
	const struct address *address = &tally->addresses[rnd_below(&z->rnd, CHILDREN)];

	if (link->sort != UD || !link->end[0].qp || link->left || !address->qp_num)
		return;
	burst_begin(z, link);
	link->foreign = ah_make(link, &address->gid);
	burst_send_to(z, link, link->foreign, address->qp_num);
}

static void link_complete(struct zoo *z, struct wr_id id, const struct ibv_wc *wc)
{
	struct link *link = &z->links[id.index];

	/* Of what is no more. */
	if (link->generation != id.generation)
		return;
	switch (id.kind) {
	case WR_REQUEST:
		burst_complete(link, id.slot, wc);
		settle(z, link);
		break;
	case WR_BIND:
		link->bind_waits = false;
		link->bind_status = wc->status;
		break;
	default:
		link->received &= ~(1U << id.slot);
		burst_received(z, wc, link->memory[1]->receives[id.slot], link->gone[1]);
	}
}

static void complete(struct zoo *z, struct side *side, const struct ibv_wc *wc)
{
	struct srq *srq;
	struct wr_id id;

	memcpy(&id, &wc->wr_id, sizeof(id));
	if (id.kind != WR_SRQ_RECEIVE) {
		link_complete(z, id, wc);
		return;
	}
	srq = &side->srqs[id.index];
	if (srq->generation != id.generation)
		return;
	if (!(srq->posted & 1U << id.slot))
		fail_because("an SRQ's receive %u is complete twice", id.slot);
	srq->posted &= ~(1U << id.slot);
	/* A part of a message has come, and then its queue pair went. */
	burst_received(z, wc, srq->mem + id.slot * SLOT_BYTES, false);
}

void reap(struct zoo *z)
{
	struct ibv_wc wc;
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < CQS; j++)
			while (z->sides[i].cqs[j].cq &&
			       ibv_poll_cq(z->sides[i].cqs[j].cq, 1, &wc) > 0)
				complete(z, &z->sides[i], &wc);
		pool_post_receives(&z->sides[i]);
	}
}
