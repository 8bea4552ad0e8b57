// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <rdma/ib_cache.h>

#include "bed.h"

#define BOUND_S	20

/*
 * From one connection to the next: a packet of the last one that comes late, with a key that is no
 * longer valid, is then a repeated one and no access.
 */
#define PSN_STEP 0x110000

void kuser_fail(struct kuser_bed *bed, const char *fmt, ...)
{
	va_list args;

	if (kuser_failed(bed))
		return;
	va_start(args, fmt);
	vscnprintf(bed->why, sizeof(bed->why), fmt, args);
	va_end(args);
}

bool kuser_check_at(struct kuser_bed *bed, bool condition, const char *what, const char *where,
		    int line)
{
	if (!condition)
		kuser_fail(bed, "%s, line %d: %s", where, line, what);
	return condition;
}

static bool bed_gid_is_ipv4(const union ib_gid *gid)
{
	return ipv6_addr_v4mapped((const struct in6_addr *)gid->raw);
}

static void bed_find_gid(struct kuser_bed *bed)
{
	for (bed->gid_index = 0; bed->gid_index < 64; bed->gid_index++)
		if (!rdma_query_gid(bed->dev, 1, bed->gid_index, &bed->gid) &&
		    bed_gid_is_ipv4(&bed->gid))
			return;
	kuser_fail(bed, "%s has no IPv4 address", dev_name(&bed->dev->dev));
}

static int bed_to_rtr(struct kuser_bed *bed, struct ib_qp *qp, u32 peer)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTR,
		.path_mtu = IB_MTU_1024,
		.dest_qp_num = peer,
		.rq_psn = bed->psn,
		.max_dest_rd_atomic = 8,
		.min_rnr_timer = 1,
		.ah_attr.type = RDMA_AH_ATTR_TYPE_ROCE,
	};

	rdma_ah_set_port_num(&attr.ah_attr, 1);
	rdma_ah_set_grh(&attr.ah_attr, &bed->gid, 0, bed->gid_index, 64, 0);
	return ib_modify_qp(qp, &attr, IB_QP_STATE | IB_QP_AV | IB_QP_PATH_MTU | IB_QP_DEST_QPN |
			    IB_QP_RQ_PSN | IB_QP_MAX_DEST_RD_ATOMIC | IB_QP_MIN_RNR_TIMER);
}

void kuser_connect(struct kuser_bed *bed, struct ib_qp *qp, u32 peer)
{
	struct ib_qp_attr init = {
		.qp_state = IB_QPS_INIT, .port_num = 1, .qp_access_flags = KUSER_ALL,
	};
	struct ib_qp_attr rts = {
		.qp_state = IB_QPS_RTS, .timeout = bed->ack_timeout, .retry_cnt = 7, .rnr_retry = 7,
		.sq_psn = bed->psn, .max_rd_atomic = 8,
	};
	struct ib_qp_attr reset = { .qp_state = IB_QPS_RESET };

	if (kuser_failed(bed))
		return;
	kuser_check(bed, !ib_modify_qp(qp, &reset, IB_QP_STATE));
	kuser_check(bed, !ib_modify_qp(qp, &init, IB_QP_STATE | IB_QP_PKEY_INDEX | IB_QP_PORT |
				       IB_QP_ACCESS_FLAGS));
	kuser_check(bed, !bed_to_rtr(bed, qp, peer));
	kuser_check(bed, !ib_modify_qp(qp, &rts, IB_QP_STATE | IB_QP_TIMEOUT | IB_QP_RETRY_CNT |
				       IB_QP_RNR_RETRY | IB_QP_SQ_PSN | IB_QP_MAX_QP_RD_ATOMIC));
}

static void bed_empty(struct ib_cq *cq)
{
	struct ib_wc wc;

	while (ib_poll_cq(cq, 1, &wc) > 0)
		;
}

void kuser_reconnect(struct kuser_bed *bed)
{
	struct ib_qp_attr reset = { .qp_state = IB_QPS_RESET };

	if (kuser_failed(bed))
		return;
	kuser_check(bed, !ib_modify_qp(bed->a.qp, &reset, IB_QP_STATE));
	kuser_check(bed, !ib_modify_qp(bed->b.qp, &reset, IB_QP_STATE));
	bed_empty(bed->a.scq);
	bed_empty(bed->a.rcq);
	bed_empty(bed->b.scq);
	bed_empty(bed->b.rcq);
	bed->psn = (bed->psn + PSN_STEP) & 0xffffff;
	kuser_connect(bed, bed->a.qp, bed->b.qp->qp_num);
	kuser_connect(bed, bed->b.qp, bed->a.qp->qp_num);
}

struct ib_mr *kuser_alloc_mr(struct kuser_bed *bed, struct ib_pd *pd, u32 blocks)
{
	struct ib_mr *mr = ib_alloc_mr(pd, IB_MR_TYPE_MEM_REG, blocks);

	return kuser_check(bed, !IS_ERR(mr)) ? mr : NULL;
}

static struct ib_cq *bed_alloc_cq(struct kuser_bed *bed)
{
	struct ib_cq *cq = ib_alloc_cq(bed->dev, bed, 2 * KUSER_WRS, 0, IB_POLL_DIRECT);

	return kuser_check(bed, !IS_ERR(cq)) ? cq : NULL;
}

static void side_open(struct kuser_bed *bed, struct kuser_side *side)
{
	struct ib_qp_init_attr attr = {
		.qp_type = IB_QPT_RC,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.cap = { KUSER_WRS, KUSER_WRS, 4, 4 },
	};
	int i;

	for (i = 0; i < KUSER_PAGES; i++) {
		side->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		kuser_check(bed, side->pages[i]);
	}
	side->scq = bed_alloc_cq(bed);
	side->rcq = bed_alloc_cq(bed);
	side->mr = kuser_alloc_mr(bed, bed->pd, KUSER_PAGES);
	if (kuser_failed(bed))
		return;
	attr.send_cq = side->scq;
	attr.recv_cq = side->rcq;
	side->qp = ib_create_qp(bed->pd, &attr);
	if (!kuser_check(bed, !IS_ERR(side->qp)))
		side->qp = NULL;
}

static void side_close(struct kuser_side *side)
{
	int i;

	if (side->qp)
		ib_destroy_qp(side->qp);
	if (side->mr)
		ib_dereg_mr(side->mr);
	if (side->scq)
		ib_free_cq(side->scq);
	if (side->rcq)
		ib_free_cq(side->rcq);
	for (i = 0; i < KUSER_PAGES; i++)
		if (side->pages[i])
			__free_page(side->pages[i]);
}

void kuser_open(struct kuser_bed *bed, struct ib_device *dev)
{
	bed->dev = dev;
	bed->psn = (0xfffff0 - PSN_STEP) & 0xffffff;	/* the first connection's PSNs wrap */
	bed->ack_timeout = 18;
	bed_find_gid(bed);
	bed->pd = ib_alloc_pd(dev, 0);
	bed->other_pd = ib_alloc_pd(dev, 0);
	kuser_check(bed, !IS_ERR(bed->pd) && !IS_ERR(bed->other_pd));
	if (kuser_failed(bed))
		return;
	side_open(bed, &bed->a);
	side_open(bed, &bed->b);
	kuser_reconnect(bed);
}

void kuser_close(struct kuser_bed *bed)
{
	side_close(&bed->a);
	side_close(&bed->b);
	if (!IS_ERR_OR_NULL(bed->pd))
		ib_dealloc_pd(bed->pd);
	if (!IS_ERR_OR_NULL(bed->other_pd))
		ib_dealloc_pd(bed->other_pd);
}

u8 *kuser_byte(struct kuser_side *side, u32 at)
{
	return (u8 *)page_address(side->pages[at / PAGE_SIZE]) + at % PAGE_SIZE;
}

static u8 bed_pattern(u32 at, u8 seed)
{
	return seed + at * 7 + at / 251;
}

void kuser_fill(struct kuser_side *side, u8 seed)
{
	u32 at;

	for (at = 0; at < KUSER_BYTES; at++)
		*kuser_byte(side, at) = bed_pattern(at, seed);
}

void kuser_expect(struct kuser_bed *bed, struct kuser_side *side, u32 at, u32 bytes, u8 seed,
		  u32 seed_at)
{
	u32 i;

	for (i = 0; i < bytes; i++)
		if (*kuser_byte(side, at + i) != bed_pattern(seed_at + i, seed))
			kuser_fail(bed, "byte %u of buffer %s: not that of pattern %u", at + i,
				   side == &bed->a ? "a" : "b", seed);
}

void kuser_poll(struct kuser_bed *bed, struct ib_cq *cq, enum ib_wc_status status,
		struct ib_wc *wc)
{
	unsigned long end = jiffies + BOUND_S * HZ;
	struct ib_wc own;

	wc = wc ?: &own;
	*wc = (struct ib_wc) { .status = IB_WC_GENERAL_ERR };
	while (!kuser_failed(bed) && ib_poll_cq(cq, 1, wc) != 1) {
		if (time_after(jiffies, end) || fatal_signal_pending(current))
			kuser_fail(bed, "no completion within %d s", BOUND_S);
		usleep_range(20, 100);
	}
	if (wc->status != status)
		kuser_fail(bed, "request %llu completed as '%s', not '%s'", wc->wr_id,
			   ib_wc_status_msg(wc->status), ib_wc_status_msg(status));
}

void kuser_done(struct kuser_bed *bed, struct kuser_side *side, enum ib_wc_status status)
{
	kuser_poll(bed, side->scq, status, NULL);
}

void kuser_map(struct kuser_bed *bed, struct kuser_side *side, u32 offset, u32 bytes)
{
	u32 first = offset / PAGE_SIZE, num = DIV_ROUND_UP(offset + bytes, PAGE_SIZE) - first, i;

	sg_init_table(side->sg, num);
	for (i = 0; i < num; i++) {
		u32 at = (first + i) * PAGE_SIZE;
		u32 from = max_t(u32, at, offset), to = min_t(u32, at + PAGE_SIZE, offset + bytes);

		sg_set_page(&side->sg[i], side->pages[first + i], to - from, from - at);
	}
	kuser_check(bed, ib_dma_map_sg(bed->dev, side->sg, num, DMA_BIDIRECTIONAL) == num);
	kuser_check(bed, ib_map_mr_sg(side->mr, side->sg, num, NULL, PAGE_SIZE) == num);
	kuser_check(bed, side->mr->length == bytes);
}

struct ib_reg_wr kuser_reg_wr(struct kuser_side *side, u8 byte, int access)
{
	ib_update_fast_reg_key(side->mr, byte);
	return (struct ib_reg_wr) {
		.wr = { .opcode = IB_WR_REG_MR, .send_flags = IB_SEND_SIGNALED, .wr_id = 1 },
		.mr = side->mr,
		.key = side->mr->rkey,
		.access = access,
	};
}

struct ib_send_wr kuser_inv_wr(u32 key)
{
	return (struct ib_send_wr) {
		.opcode = IB_WR_LOCAL_INV, .send_flags = IB_SEND_SIGNALED, .wr_id = 2,
		.ex.invalidate_rkey = key,
	};
}

struct ib_rdma_wr kuser_rdma_wr(enum ib_wr_opcode opcode, struct ib_sge *sge, u64 addr, u32 rkey)
{
	return (struct ib_rdma_wr) {
		.wr = {
			.opcode = opcode, .send_flags = IB_SEND_SIGNALED, .wr_id = 3,
			.sg_list = sge, .num_sge = 1,
		},
		.remote_addr = addr,
		.rkey = rkey,
	};
}

void kuser_post(struct kuser_bed *bed, struct kuser_side *side, struct ib_send_wr *wr)
{
	const struct ib_send_wr *bad;

	if (!kuser_failed(bed))
		kuser_check(bed, !ib_post_send(side->qp, wr, &bad));
}

void kuser_receive(struct kuser_bed *bed, struct kuser_side *side, struct ib_sge *sge)
{
	struct ib_recv_wr wr = { .wr_id = 9, .sg_list = sge, .num_sge = 1 };
	const struct ib_recv_wr *bad;

	if (!kuser_failed(bed))
		kuser_check(bed, !ib_post_recv(side->qp, &wr, &bad));
}

void kuser_register(struct kuser_bed *bed, struct kuser_side *side, u8 byte, int access,
		    enum ib_wc_status status)
{
	struct ib_reg_wr wr = kuser_reg_wr(side, byte, access);
	struct ib_wc wc;

	kuser_post(bed, side, &wr.wr);
	kuser_poll(bed, side->scq, status, &wc);
	kuser_check(bed, wc.opcode == IB_WC_REG_MR || status);
}

void kuser_invalidate(struct kuser_bed *bed, struct kuser_side *side, u32 key,
		      enum ib_wc_status status)
{
	struct ib_send_wr wr = kuser_inv_wr(key);
	struct ib_wc wc;

	kuser_post(bed, side, &wr);
	kuser_poll(bed, side->scq, status, &wc);
	kuser_check(bed, wc.opcode == IB_WC_LOCAL_INV || status);
}
