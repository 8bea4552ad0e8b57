/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two queue pairs of a kernel user on one device, connected to each other, each with a buffer of
 * scattered pages and a region for them that work requests register.
 *
 * A test that fails says why, once: from then on nothing is posted nor waited for.
 */
#ifndef KUSER_BED_H
#define KUSER_BED_H

#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <rdma/ib_verbs.h>

#define KUSER_PAGES	8
#define KUSER_BYTES	(KUSER_PAGES * PAGE_SIZE)
#define KUSER_WRS	128

struct kuser_side {
	struct ib_cq *scq, *rcq;
	struct ib_qp *qp;
	struct ib_mr *mr;
	struct page *pages[KUSER_PAGES];
	struct scatterlist sg[KUSER_PAGES];
};

struct kuser_bed {
	struct ib_device *dev;
	struct ib_pd *pd, *other_pd;
	union ib_gid gid;
	int gid_index;
	u32 psn;	/* the first one of both directions */
	u8 ack_timeout;	/* of what is connected: 4.096 us << n; 0: never */
	struct kuser_side a, b;
	char why[256];
};

static inline bool kuser_failed(const struct kuser_bed *bed)
{
	return bed->why[0];
}

void kuser_fail(struct kuser_bed *bed, const char *fmt, ...) __printf(2, 3);

#define kuser_check(bed, condition) \
	kuser_check_at(bed, condition, #condition, __func__, __LINE__)
bool kuser_check_at(struct kuser_bed *bed, bool condition, const char *what, const char *where,
		    int line);

void kuser_open(struct kuser_bed *bed, struct ib_device *dev);
void kuser_close(struct kuser_bed *bed);
/* One, to the queue pair of number @peer; both of the bed, to each other, with nothing left. */
void kuser_connect(struct kuser_bed *bed, struct ib_qp *qp, u32 peer);
void kuser_reconnect(struct kuser_bed *bed);

/* Byte @at of the buffer of @side. */
u8 *kuser_byte(struct kuser_side *side, u32 at);
void kuser_fill(struct kuser_side *side, u8 seed);
void kuser_expect(struct kuser_bed *bed, struct kuser_side *side, u32 at, u32 bytes, u8 seed,
		  u32 seed_at);

/* Waits for the next completion, which is to have this status. */
void kuser_poll(struct kuser_bed *bed, struct ib_cq *cq, enum ib_wc_status status,
		struct ib_wc *wc);
void kuser_done(struct kuser_bed *bed, struct kuser_side *side, enum ib_wc_status status);

/* NULL: it failed. */
struct ib_mr *kuser_alloc_mr(struct kuser_bed *bed, struct ib_pd *pd, u32 blocks);

/* Lists @bytes of the buffer from @offset on. */
void kuser_map(struct kuser_bed *bed, struct kuser_side *side, u32 offset, u32 bytes);

/* Work requests, signaled, of which the caller may change what it likes before it posts them. */
struct ib_reg_wr kuser_reg_wr(struct kuser_side *side, u8 byte, int access);
struct ib_send_wr kuser_inv_wr(u32 key);
struct ib_rdma_wr kuser_rdma_wr(enum ib_wr_opcode opcode, struct ib_sge *sge, u64 addr, u32 rkey);
void kuser_post(struct kuser_bed *bed, struct kuser_side *side, struct ib_send_wr *wr);
void kuser_receive(struct kuser_bed *bed, struct kuser_side *side, struct ib_sge *sge);

/* Each posted, completed with @status. */
void kuser_register(struct kuser_bed *bed, struct kuser_side *side, u8 byte, int access,
		    enum ib_wc_status status);
void kuser_invalidate(struct kuser_bed *bed, struct kuser_side *side, u32 key,
		      enum ib_wc_status status);

#define KUSER_ALL (IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_WRITE | \
		   IB_ACCESS_REMOTE_ATOMIC)

/* @bytes of a page of the buffer, by the key of all memory. */
static inline struct ib_sge kuser_plain_sge(struct kuser_bed *bed, struct kuser_side *side, u32 at,
					    u32 bytes)
{
	return (struct ib_sge) {
		.addr = (uintptr_t)kuser_byte(side, at),
		.length = bytes,
		.lkey = bed->pd->local_dma_lkey,
	};
}

struct kuser_test {
	const char *name;
	void (*run)(struct kuser_bed *bed);
};

/* Each ends with an empty one. */
extern const struct kuser_test kuser_tests[], kuser_drain_tests[];

#endif
