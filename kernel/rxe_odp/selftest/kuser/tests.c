// SPDX-License-Identifier: GPL-2.0
/* What a kernel user of memory registration may rely on: each function is a test of that name. */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/sched/signal.h>

#include "bed.h"

#define OFFSET	100U			/* of what is registered, in its first page */
#define LENGTH	(3 * PAGE_SIZE + 77)	/* over four pages, the first and last in part */

/* a writes @bytes from its buffer's @from to @addr by @rkey. */
static void write_by(struct kuser_bed *bed, u32 from, u32 bytes, u64 addr, u32 rkey,
		     enum ib_wc_status status)
{
	struct ib_sge sge = kuser_plain_sge(bed, &bed->a, from, bytes);
	struct ib_rdma_wr wr = kuser_rdma_wr(IB_WR_RDMA_WRITE, &sge, addr, rkey);

	kuser_post(bed, &bed->a, &wr.wr);
	kuser_done(bed, &bed->a, status);
}

static void register_b(struct kuser_bed *bed, u8 byte, int access)
{
	kuser_map(bed, &bed->b, OFFSET, LENGTH);
	kuser_register(bed, &bed->b, byte, access, IB_WC_SUCCESS);
}

/* b sends from what it has registered, or says why not. */
static void send_from_region(struct kuser_bed *bed, enum ib_wc_status status)
{
	struct ib_sge to = kuser_plain_sge(bed, &bed->a, 0, PAGE_SIZE);
	struct ib_sge from = {
		.addr = bed->b.mr->iova + 5, .length = 1000, .lkey = bed->b.mr->lkey,
	};
	struct ib_rdma_wr wr = kuser_rdma_wr(IB_WR_SEND, &from, 0, 0);

	kuser_receive(bed, &bed->a, &to);
	kuser_post(bed, &bed->b, &wr.wr);
	kuser_done(bed, &bed->b, status);
	if (status)
		return;
	kuser_poll(bed, bed->a.rcq, IB_WC_SUCCESS, NULL);
	kuser_expect(bed, &bed->a, 0, 1000, 11, OFFSET + 5);
}

static void states(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;

	/* FREE: nobody has access, by the key that alloc_mr gave either. */
	write_by(bed, 0, 8, 0, b->mr->rkey, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	kuser_invalidate(bed, b, b->mr->rkey, IB_WC_MW_BIND_ERR);
	kuser_reconnect(bed);
	/* Nothing is mapped. */
	kuser_register(bed, b, 1, KUSER_ALL, IB_WC_MW_BIND_ERR);
	kuser_reconnect(bed);

	register_b(bed, 1, KUSER_ALL);
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_SUCCESS);
	/* VALID: no second time, and what comes behind is flushed; it stays as it is. */
	kuser_register(bed, b, 1, KUSER_ALL, IB_WC_MW_BIND_ERR);
	kuser_register(bed, b, 1, KUSER_ALL, IB_WC_WR_FLUSH_ERR);
	kuser_reconnect(bed);
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_SUCCESS);

	kuser_invalidate(bed, b, b->mr->rkey, IB_WC_SUCCESS);
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	kuser_invalidate(bed, b, b->mr->rkey, IB_WC_MW_BIND_ERR);
	kuser_reconnect(bed);
	/* The same pages once more, without listing them again. */
	kuser_register(bed, b, 1, KUSER_ALL, IB_WC_SUCCESS);
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_SUCCESS);
}

static void data(struct kuser_bed *bed)
{
	struct kuser_side *a = &bed->a, *b = &bed->b;
	struct ib_sge sge = kuser_plain_sge(bed, a, 0, PAGE_SIZE);
	struct ib_rdma_wr wr;
	u32 at;

	kuser_fill(a, 10);
	kuser_fill(b, 11);
	register_b(bed, 7, KUSER_ALL);
	for (at = 0; at < LENGTH; at += sge.length) {
		sge.length = min_t(u32, LENGTH - at, PAGE_SIZE);
		wr = kuser_rdma_wr(IB_WR_RDMA_READ, &sge, b->mr->iova + at, b->mr->rkey);
		kuser_post(bed, a, &wr.wr);
		kuser_done(bed, a, IB_WC_SUCCESS);
		kuser_expect(bed, a, 0, sge.length, 11, OFFSET + at);
	}
	send_from_region(bed, IB_WC_SUCCESS);
	kuser_fill(a, 12);
	for (at = 0; at < LENGTH; at += sge.length) {
		sge = kuser_plain_sge(bed, a, at / PAGE_SIZE * PAGE_SIZE,
				      min_t(u32, LENGTH - at, PAGE_SIZE));
		wr = kuser_rdma_wr(IB_WR_RDMA_WRITE, &sge, b->mr->iova + at, b->mr->rkey);
		kuser_post(bed, a, &wr.wr);
		kuser_done(bed, a, IB_WC_SUCCESS);
	}
	kuser_expect(bed, b, OFFSET, LENGTH, 12, 0);
	kuser_expect(bed, b, 0, OFFSET, 11, 0);
	kuser_expect(bed, b, OFFSET + LENGTH, PAGE_SIZE, 11, OFFSET + LENGTH);
}

/* A SEND is received into a region, and an atomic changes one. */
static void received_and_added(struct kuser_bed *bed)
{
	struct kuser_side *a = &bed->a, *b = &bed->b;
	struct ib_sge from = kuser_plain_sge(bed, a, 0, PAGE_SIZE), to;
	struct ib_rdma_wr wr = kuser_rdma_wr(IB_WR_SEND, &from, 0, 0);
	struct ib_atomic_wr add;
	u64 word = 5;

	kuser_fill(a, 20);
	kuser_map(bed, b, 8, 2 * PAGE_SIZE);
	kuser_register(bed, b, 2, KUSER_ALL, IB_WC_SUCCESS);
	to = (struct ib_sge) {
		.addr = b->mr->iova + 2000, .length = PAGE_SIZE, .lkey = b->mr->lkey,
	};
	kuser_receive(bed, b, &to);
	kuser_post(bed, a, &wr.wr);
	kuser_done(bed, a, IB_WC_SUCCESS);
	kuser_poll(bed, b->rcq, IB_WC_SUCCESS, NULL);
	kuser_expect(bed, b, 2008, PAGE_SIZE, 20, 0);

	memcpy(kuser_byte(b, 16), &word, sizeof(word));
	from.length = sizeof(word);
	add = (struct ib_atomic_wr) {
		.wr = {
			.opcode = IB_WR_ATOMIC_FETCH_AND_ADD, .send_flags = IB_SEND_SIGNALED,
			.sg_list = &from, .num_sge = 1,
		},
		.remote_addr = b->mr->iova + 8, .rkey = b->mr->rkey, .compare_add = 37,
	};
	kuser_post(bed, a, &add.wr);
	kuser_done(bed, a, IB_WC_SUCCESS);
	memcpy(&word, kuser_byte(b, 16), sizeof(word));
	kuser_check(bed, word == 42);
}

#define TO_END	(4 * PAGE_SIZE - OFFSET)

static void bounds(struct kuser_bed *bed)
{
	static const struct {
		s64 from;
		u32 bytes;
		enum ib_wc_status status;
	} ways[] = {
		{ 0, TO_END, IB_WC_SUCCESS },
		{ TO_END - 1, 1, IB_WC_SUCCESS },
		{ -1, 1, IB_WC_REM_ACCESS_ERR },
		{ -1, 8, IB_WC_REM_ACCESS_ERR },
		{ TO_END, 1, IB_WC_REM_ACCESS_ERR },
		{ TO_END - 1, 2, IB_WC_REM_ACCESS_ERR },
		{ 1, TO_END, IB_WC_REM_ACCESS_ERR },
		{ 1LL << 40, 8, IB_WC_REM_ACCESS_ERR },
	};
	struct kuser_side *b = &bed->b;
	struct ib_sge sge[4] = {};
	struct ib_rdma_wr wr;
	u32 i, n;

	kuser_map(bed, b, OFFSET, TO_END);
	/* Of its user's choice, but for the offset in the page: up to the end of all addresses. */
	b->mr->iova = 0ULL - TO_END;
	kuser_register(bed, b, 3, KUSER_ALL, IB_WC_SUCCESS);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (n = 0; n < 4; n++)
			sge[n] = kuser_plain_sge(bed, &bed->a, n * PAGE_SIZE,
						 clamp_t(s64, (s64)ways[i].bytes - n * PAGE_SIZE,
							 0, PAGE_SIZE));
		wr = kuser_rdma_wr(IB_WR_RDMA_WRITE, sge, b->mr->iova + ways[i].from, b->mr->rkey);
		wr.wr.num_sge = 4;
		wr.wr.wr_id = 100 + i;
		kuser_post(bed, &bed->a, &wr.wr);
		kuser_done(bed, &bed->a, ways[i].status);
		if (ways[i].status)
			kuser_reconnect(bed);
	}
	kuser_invalidate(bed, b, b->mr->rkey, IB_WC_SUCCESS);
	/* Past that end. */
	b->mr->iova += PAGE_SIZE;
	kuser_register(bed, b, 3, KUSER_ALL, IB_WC_MW_BIND_ERR);
}

static void key_byte(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	u32 old;

	register_b(bed, 0x41, KUSER_ALL);
	old = b->mr->rkey;
	kuser_check(bed, (old & 0xff) == 0x41);
	write_by(bed, 0, 8, b->mr->iova, old ^ 1, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	kuser_invalidate(bed, b, old ^ 1, IB_WC_MW_BIND_ERR);
	kuser_reconnect(bed);
	kuser_invalidate(bed, b, old, IB_WC_SUCCESS);
	kuser_register(bed, b, 0x42, KUSER_ALL, IB_WC_SUCCESS);
	write_by(bed, 0, 8, b->mr->iova, old, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_SUCCESS);
}

static void key_of_another(struct kuser_bed *bed)
{
	struct ib_reg_wr wr = kuser_reg_wr(&bed->a, 1, KUSER_ALL);
	const struct ib_send_wr *bad;

	wr.key += 256;
	kuser_check(bed, ib_post_send(bed->a.qp, &wr.wr, &bad) == -EINVAL && bad == &wr.wr);
}

static void after_invalidation(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	struct ib_sge to = { .length = 100 }, from = kuser_plain_sge(bed, &bed->a, 0, 100);
	struct ib_rdma_wr wr = kuser_rdma_wr(IB_WR_SEND, &from, 0, 0);

	register_b(bed, 1, KUSER_ALL);
	kuser_invalidate(bed, b, b->mr->lkey, IB_WC_SUCCESS);
	send_from_region(bed, IB_WC_LOC_PROT_ERR);
	kuser_reconnect(bed);
	to.addr = b->mr->iova;
	to.lkey = b->mr->lkey;
	kuser_receive(bed, b, &to);
	kuser_post(bed, &bed->a, &wr.wr);
	kuser_poll(bed, b->rcq, IB_WC_LOC_PROT_ERR, NULL);
	kuser_done(bed, &bed->a, IB_WC_REM_OP_ERR);
}

static void rights(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	struct ib_sge to = { .length = 100 }, from = kuser_plain_sge(bed, &bed->a, 0, 100);
	struct ib_rdma_wr wr = kuser_rdma_wr(IB_WR_SEND, &from, 0, 0);

	register_b(bed, 1, IB_ACCESS_REMOTE_READ);
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	to.addr = b->mr->iova;
	to.lkey = b->mr->lkey;
	kuser_receive(bed, b, &to);
	kuser_post(bed, &bed->a, &wr.wr);
	kuser_poll(bed, b->rcq, IB_WC_LOC_PROT_ERR, NULL);
	kuser_reconnect(bed);
	kuser_invalidate(bed, b, b->mr->rkey, IB_WC_SUCCESS);
	/* A peer may not write what the owner may not. */
	kuser_register(bed, b, 2, IB_ACCESS_REMOTE_WRITE, IB_WC_MW_BIND_ERR);
}

/* A region of another domain: b's becomes one. */
static void other_domain(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	struct ib_mr *own = b->mr, *other;

	register_b(bed, 1, KUSER_ALL);
	other = kuser_alloc_mr(bed, bed->other_pd, KUSER_PAGES);
	if (!other)
		return;
	b->mr = other;
	kuser_map(bed, b, 0, PAGE_SIZE);
	kuser_register(bed, b, 1, KUSER_ALL, IB_WC_MW_BIND_ERR);
	kuser_reconnect(bed);
	b->mr = own;
	ib_dereg_mr(other);
	/* What is registered is still. */
	write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_SUCCESS);
}

static void lists(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	u32 max = bed->dev->attrs.max_fast_reg_page_list_len;
	struct ib_mr *mr;

	kuser_check(bed, bed->dev->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS);
	kuser_check(bed, max >= 512);
	kuser_check(bed, IS_ERR(ib_alloc_mr(bed->pd, IB_MR_TYPE_MEM_REG, max + 1)));
	kuser_check(bed, IS_ERR(ib_alloc_mr(bed->pd, IB_MR_TYPE_MEM_REG, 0)));
	mr = kuser_alloc_mr(bed, bed->pd, max);
	if (mr)
		ib_dereg_mr(mr);

	kuser_map(bed, b, 0, KUSER_BYTES);
	mr = kuser_alloc_mr(bed, bed->pd, 3);
	if (!mr)
		return;
	/* As much as it can list, and it says how much that is. */
	kuser_check(bed, ib_map_mr_sg(mr, b->sg, KUSER_PAGES, NULL, PAGE_SIZE) == 3);
	/* A gap ends it too. */
	b->sg[1].length -= 4;
	ib_dma_map_sg(bed->dev, b->sg, KUSER_PAGES, DMA_BIDIRECTIONAL);
	kuser_check(bed, ib_map_mr_sg(mr, b->sg, KUSER_PAGES, NULL, PAGE_SIZE) == 2);
	ib_dereg_mr(mr);
}

/* Blocks of two pages. */
static void block_sizes(struct kuser_bed *bed)
{
	struct page *pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	struct kuser_side *b = &bed->b;
	struct scatterlist sg[2];

	if (!kuser_check(bed, pages))
		return;
	kuser_fill(&bed->a, 30);
	sg_init_table(sg, 2);
	sg_set_page(&sg[0], pages, 2 * PAGE_SIZE - 300, 300);
	sg_set_page(&sg[1], pages + 2, PAGE_SIZE + 5, 0);
	ib_dma_map_sg(bed->dev, sg, 2, DMA_BIDIRECTIONAL);
	kuser_check(bed, ib_map_mr_sg(b->mr, sg, 2, NULL, 2 * PAGE_SIZE) == 2);
	kuser_register(bed, b, 1, KUSER_ALL, IB_WC_SUCCESS);
	write_by(bed, 0, 600, b->mr->iova + 2 * PAGE_SIZE - 600, b->mr->rkey, IB_WC_SUCCESS);
	kuser_check(bed, !memcmp(page_address(pages) + 2 * PAGE_SIZE - 300,
				 kuser_byte(&bed->a, 0), 600));
	/* Before they are freed, also if something went wrong. */
	kuser_reconnect(bed);
	ib_dereg_mr(b->mr);
	b->mr = NULL;
	__free_pages(pages, 2);
}

static void send_invalidating(struct kuser_bed *bed, u32 rkey, u32 bytes, enum ib_wc_status status)
{
	struct ib_sge from = kuser_plain_sge(bed, &bed->a, 0, bytes);
	struct ib_sge to = kuser_plain_sge(bed, &bed->b, 6 * PAGE_SIZE, PAGE_SIZE);
	struct ib_rdma_wr wr = kuser_rdma_wr(IB_WR_SEND_WITH_INV, &from, 0, 0);
	struct ib_wc wc;

	wr.wr.ex.invalidate_rkey = rkey;
	kuser_receive(bed, &bed->b, &to);
	kuser_post(bed, &bed->a, &wr.wr);
	kuser_done(bed, &bed->a, status);
	kuser_poll(bed, bed->b.rcq, status ? IB_WC_WR_FLUSH_ERR : IB_WC_SUCCESS, &wc);
	if (status)
		return;
	kuser_check(bed, wc.wc_flags & IB_WC_WITH_INVALIDATE);
	kuser_check(bed, wc.ex.invalidate_rkey == rkey);
	kuser_check(bed, wc.byte_len == bytes);
}

static void by_peer(struct kuser_bed *bed)
{
	static const u32 bytes[] = { 0, 16, 4000 };
	struct kuser_side *b = &bed->b;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		register_b(bed, i, KUSER_ALL);
		send_invalidating(bed, b->mr->rkey, bytes[i], IB_WC_SUCCESS);
		write_by(bed, 0, 8, b->mr->iova, b->mr->rkey, IB_WC_REM_ACCESS_ERR);
		kuser_reconnect(bed);
		/* It is FREE now, to its owner too. */
		send_invalidating(bed, b->mr->rkey, 8, IB_WC_REM_ACCESS_ERR);
		kuser_reconnect(bed);
	}
	/* Not one that no peer has access to, nor one of all memory. */
	register_b(bed, 9, IB_ACCESS_LOCAL_WRITE);
	send_invalidating(bed, b->mr->rkey, 8, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	send_invalidating(bed, bed->pd->local_dma_lkey, 8, IB_WC_REM_ACCESS_ERR);
	kuser_reconnect(bed);
	kuser_invalidate(bed, b, b->mr->lkey, IB_WC_SUCCESS);
}

/* A READ into a region that is invalidated behind it, with a fence and without. */
static void behind_read(struct kuser_bed *bed)
{
	struct kuser_side *a = &bed->a, *b = &bed->b;
	struct ib_send_wr inv;
	struct ib_rdma_wr wr;
	struct ib_reg_wr reg;
	struct ib_sge sge;
	int i;

	for (i = 0; i < 20; i++) {
		kuser_fill(a, 0);
		kuser_fill(b, i + 1);
		kuser_map(bed, a, 0, KUSER_BYTES);
		reg = kuser_reg_wr(a, i, IB_ACCESS_LOCAL_WRITE);
		reg.wr.send_flags = 0;
		sge = (struct ib_sge) { a->mr->iova, KUSER_BYTES, a->mr->lkey };
		wr = kuser_rdma_wr(IB_WR_RDMA_READ, &sge, (uintptr_t)kuser_byte(b, 0), 0);
		if (!i) {
			kuser_map(bed, b, 0, KUSER_BYTES);
			kuser_register(bed, b, 1, KUSER_ALL, IB_WC_SUCCESS);
		}
		wr.remote_addr = b->mr->iova;
		wr.rkey = b->mr->rkey;
		wr.wr.send_flags = 0;
		inv = kuser_inv_wr(a->mr->lkey);
		inv.send_flags |= i % 2 ? IB_SEND_FENCE : 0;
		reg.wr.next = &wr.wr;
		wr.wr.next = &inv;
		kuser_post(bed, a, &reg.wr);
		kuser_done(bed, a, IB_WC_SUCCESS);
		kuser_expect(bed, a, 0, KUSER_BYTES, i + 1, 0);
	}
}

/*
 * A registration with a fence waits for the READ before it, and that for a SEND whose receive is
 * not posted. When its turn comes its region has gone.
 */
static void post_fenced(struct kuser_bed *bed, struct ib_mr *mr)
{
	struct ib_sge sge = kuser_plain_sge(bed, &bed->a, 0, PAGE_SIZE);
	struct ib_rdma_wr send = kuser_rdma_wr(IB_WR_SEND, &sge, 0, 0);
	struct ib_rdma_wr read = kuser_rdma_wr(IB_WR_RDMA_READ, &sge, bed->b.mr->iova,
					       bed->b.mr->rkey);
	struct ib_reg_wr reg = {
		.wr = { .opcode = IB_WR_REG_MR, .send_flags = IB_SEND_FENCE | IB_SEND_SIGNALED },
		.mr = mr, .key = mr->rkey, .access = KUSER_ALL,
	};

	send.wr.next = &read.wr;
	read.wr.next = &reg.wr;
	kuser_post(bed, &bed->a, &send.wr);
}

static void deregistered_before(struct kuser_bed *bed)
{
	struct ib_sge to = kuser_plain_sge(bed, &bed->b, 6 * PAGE_SIZE, PAGE_SIZE);
	struct ib_mr *mr;

	register_b(bed, 1, KUSER_ALL);
	mr = kuser_alloc_mr(bed, bed->pd, 1);
	if (!mr)
		return;
	post_fenced(bed, mr);
	ib_dereg_mr(mr);
	kuser_receive(bed, &bed->b, &to);
	kuser_done(bed, &bed->a, IB_WC_SUCCESS);
	kuser_done(bed, &bed->a, IB_WC_SUCCESS);
	kuser_done(bed, &bed->a, IB_WC_MW_BIND_ERR);
}

/* One chain takes back what is registered and registers other pages, as iSER does. */
static void chained(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	struct ib_send_wr inv;
	struct ib_reg_wr reg;
	int i;

	kuser_fill(&bed->a, 40);
	register_b(bed, 0, KUSER_ALL);
	for (i = 1; i < 20; i++) {
		u32 offset = i % 2 ? 4 * PAGE_SIZE - 32 : OFFSET, old = b->mr->rkey;
		u64 iova = b->mr->iova;

		/* Listing other pages changes nothing for whoever has the key. */
		kuser_fill(b, i);
		kuser_map(bed, b, offset, 64);
		write_by(bed, 0, 16, iova, old, IB_WC_SUCCESS);
		kuser_expect(bed, b, i % 2 ? OFFSET : 4 * PAGE_SIZE - 32, 16, 40, 0);
		inv = kuser_inv_wr(old);
		inv.send_flags = 0;
		reg = kuser_reg_wr(b, i, KUSER_ALL);
		inv.next = &reg.wr;
		kuser_post(bed, b, &inv);
		kuser_done(bed, b, IB_WC_SUCCESS);
		write_by(bed, 0, 64, b->mr->iova, b->mr->rkey, IB_WC_SUCCESS);
		kuser_expect(bed, b, offset, 64, 40, 0);
	}
}

/* WRITEs to all of b's region, for whose completions nobody waits. */
static void write_all_over(struct kuser_bed *bed, u32 num)
{
	struct kuser_side *a = &bed->a, *b = &bed->b;
	struct ib_rdma_wr wr;
	struct ib_sge sge;
	u32 at;

	while (num--) {
		at = num % KUSER_PAGES * PAGE_SIZE;
		sge = kuser_plain_sge(bed, a, at, PAGE_SIZE);
		wr = kuser_rdma_wr(IB_WR_RDMA_WRITE, &sge, b->mr->iova + at, b->mr->rkey);
		wr.wr.send_flags = 0;
		kuser_post(bed, a, &wr.wr);
	}
}

/* What is posted from here on is done there. */
static void go_to_cpu(unsigned int nth)
{
	unsigned int cpu = cpumask_nth(nth % num_online_cpus(), cpu_online_mask);

	if (cpu < nr_cpu_ids)
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

/*
 * The rule: when an invalidation has completed, nothing that came before touches the pages. WRITEs
 * of many packets are under way from the peer, who knows nothing of it, and done on another CPU.
 */
static void under_way(struct kuser_bed *bed)
{
	struct kuser_side *b = &bed->b;
	struct ib_send_wr inv;
	struct ib_wc wc = {};
	int i;

	kuser_fill(&bed->a, 50);
	for (i = 0; i < 100; i++) {
		kuser_map(bed, b, 0, KUSER_BYTES);
		kuser_register(bed, b, i, KUSER_ALL, IB_WC_SUCCESS);
		go_to_cpu(0);
		write_all_over(bed, 64);
		go_to_cpu(1);
		udelay(i * 5);
		inv = kuser_inv_wr(b->mr->rkey);
		kuser_post(bed, b, &inv);
		while (!kuser_failed(bed) && !fatal_signal_pending(current) &&
		       ib_poll_cq(b->scq, 1, &wc) != 1)
			cond_resched();
		kuser_fill(b, 51);
		kuser_check(bed, wc.status == IB_WC_SUCCESS);
		usleep_range(200, 300);
		kuser_expect(bed, b, 0, KUSER_BYTES, 51, 0);
		kuser_reconnect(bed);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

#define FLIGHT	16
#define ROUNDS	50

/* b registers all its regions, a page each; only the last completion is asked for. */
static void flight_register(struct kuser_bed *bed, struct ib_mr **mrs, u8 byte)
{
	struct kuser_side side = bed->b;
	struct ib_reg_wr wr;
	int i;

	for (i = 0; i < FLIGHT; i++) {
		sg_init_table(side.sg, 1);
		sg_set_page(side.sg, side.pages[i % KUSER_PAGES], PAGE_SIZE / 2,
			    i / KUSER_PAGES * PAGE_SIZE / 2);
		ib_dma_map_sg(bed->dev, side.sg, 1, DMA_BIDIRECTIONAL);
		kuser_check(bed, ib_map_mr_sg(mrs[i], side.sg, 1, NULL, PAGE_SIZE) == 1);
		side.mr = mrs[i];
		wr = kuser_reg_wr(&side, byte, KUSER_ALL);
		wr.wr.send_flags = i == FLIGHT - 1 ? IB_SEND_SIGNALED : 0;
		kuser_post(bed, &bed->b, &wr.wr);
	}
	kuser_done(bed, &bed->b, IB_WC_SUCCESS);
}

/* a writes to each, and takes its key back. */
static void flight_use(struct kuser_bed *bed, struct ib_mr **mrs)
{
	struct ib_sge sge, none = {};
	struct ib_rdma_wr write, send;
	int i;

	for (i = 0; i < FLIGHT; i++) {
		kuser_receive(bed, &bed->b, &none);
		sge = kuser_plain_sge(bed, &bed->a, i % KUSER_PAGES * PAGE_SIZE +
				      i / KUSER_PAGES * PAGE_SIZE / 2, PAGE_SIZE / 2);
		write = kuser_rdma_wr(IB_WR_RDMA_WRITE, &sge, mrs[i]->iova, mrs[i]->rkey);
		write.wr.send_flags = 0;
		send = kuser_rdma_wr(IB_WR_SEND_WITH_INV, NULL, 0, 0);
		send.wr.num_sge = 0;
		send.wr.ex.invalidate_rkey = mrs[i]->rkey;
		write.wr.next = &send.wr;
		kuser_post(bed, &bed->a, &write.wr);
	}
	for (i = 0; i < FLIGHT; i++) {
		kuser_done(bed, &bed->a, IB_WC_SUCCESS);
		kuser_poll(bed, bed->b.rcq, IB_WC_SUCCESS, NULL);
	}
}

static void flight_go(struct kuser_bed *bed, struct ib_mr **mrs)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		kuser_fill(&bed->a, round);
		flight_register(bed, mrs, round);
		flight_use(bed, mrs);
		kuser_expect(bed, &bed->b, 0, KUSER_BYTES, round, 0);
	}
}

static void many_in_flight(struct kuser_bed *bed)
{
	struct ib_mr *mrs[FLIGHT] = {};
	int i;

	for (i = 0; i < FLIGHT; i++)
		mrs[i] = kuser_alloc_mr(bed, bed->pd, 1);
	if (!kuser_failed(bed))
		flight_go(bed, mrs);
	for (i = 0; i < FLIGHT; i++)
		if (mrs[i])
			ib_dereg_mr(mrs[i]);
}

/* Each completion's handler posts the next request: registrations and invalidations by turns. */
struct relay {
	struct ib_cqe cqe;
	struct kuser_bed *bed;
	struct ib_qp *qp;
	struct ib_mr *mr;
	struct completion end;
	int left;
	enum ib_wc_status status;
};

static int relay_post(struct relay *relay)
{
	struct ib_reg_wr reg = {
		.wr = {
			.opcode = IB_WR_REG_MR, .send_flags = IB_SEND_SIGNALED,
			.wr_cqe = &relay->cqe,
		},
		.mr = relay->mr, .key = relay->mr->rkey, .access = KUSER_ALL,
	};
	struct ib_send_wr inv = kuser_inv_wr(relay->mr->rkey);
	const struct ib_send_wr *bad;

	inv.wr_cqe = &relay->cqe;
	return ib_post_send(relay->qp, relay->left % 2 ? &inv : &reg.wr, &bad);
}

static void relay_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct relay *relay = container_of(wc->wr_cqe, struct relay, cqe);

	relay->status = wc->status;
	if (wc->status || !--relay->left || relay_post(relay))
		complete(&relay->end);
}

static void relay_run(struct kuser_bed *bed, struct relay *relay)
{
	relay->left = 200;
	kuser_check(bed, !relay_post(relay));
	kuser_check(bed, wait_for_completion_timeout(&relay->end, 20 * HZ));
	kuser_check(bed, !relay->left && !relay->status);
}

static void relay_on(struct kuser_bed *bed, enum ib_poll_context context)
{
	struct ib_qp_init_attr attr = {
		.qp_type = IB_QPT_RC, .sq_sig_type = IB_SIGNAL_REQ_WR, .cap = { 8, 8, 1, 1 },
	};
	struct relay relay = { .cqe.done = relay_done, .bed = bed, .mr = bed->a.mr };
	struct ib_cq *cq = ib_alloc_cq(bed->dev, bed, 32, 0, context);

	if (!kuser_check(bed, !IS_ERR(cq)))
		return;
	init_completion(&relay.end);
	attr.send_cq = cq;
	attr.recv_cq = cq;
	relay.qp = ib_create_qp(bed->pd, &attr);
	if (kuser_check(bed, !IS_ERR(relay.qp))) {
		kuser_connect(bed, relay.qp, relay.qp->qp_num);
		relay_run(bed, &relay);
		/* Waits for a request of each of its queues. */
		ib_drain_qp(relay.qp);
		ib_destroy_qp(relay.qp);
	}
	ib_free_cq(cq);
}

static void poll_contexts(struct kuser_bed *bed)
{
	kuser_map(bed, &bed->a, 0, PAGE_SIZE);
	relay_on(bed, IB_POLL_SOFTIRQ);
	relay_on(bed, IB_POLL_WORKQUEUE);
	relay_on(bed, IB_POLL_UNBOUND_WORKQUEUE);
}

const struct kuser_test kuser_tests[] = {
	{ "states", states },
	{ "data", data },
	{ "received_and_added", received_and_added },
	{ "bounds", bounds },
	{ "key_byte", key_byte },
	{ "key_of_another", key_of_another },
	{ "after_invalidation", after_invalidation },
	{ "rights", rights },
	{ "other_domain", other_domain },
	{ "lists", lists },
	{ "block_sizes", block_sizes },
	{ "by_peer", by_peer },
	{ "behind_read", behind_read },
	{ "deregistered_before", deregistered_before },
	{ "chained", chained },
	{ "under_way", under_way },
	{ "many_in_flight", many_in_flight },
	{ "poll_contexts", poll_contexts },
	{}
};
