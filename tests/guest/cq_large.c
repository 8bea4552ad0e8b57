// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * CQs of millions, which libfabric asks for: filled, polled in order across the end of the ring, resized with all that is in
 * them while interrupts come, charged to who creates them, and refused with ENOMEM where they do not fit; no process is killed for one.
 *
 * rdma-odp: timeout 240
 */
#include "cgroup.h"
#include "rig.h"

#include <infiniband/verbs.h>
#include <sched.h>

#define MOST  4194304
#define BATCH 4096
/* A power of two above MOST, of 64 bytes. */
#define RING_BYTES (512 * MIB)

/* A QP in the error state: what is posted to it completes at once. */
struct source {
	struct rig rig;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_send_wr wr[BATCH];
	uint64_t posted, polled;
};

static void source_open(struct source *s, int cqe)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1 };
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
		.cap = { .max_send_wr = BATCH,
			 .max_recv_wr = 1,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};
	int i;

	memset(s, 0, sizeof(*s));
	rig_open(&s->rig);
	s->cq = ibv_create_cq(s->rig.ctx, cqe, NULL, NULL, 0);
	if (!s->cq)
		fail_because("no CQ of %d: %s", cqe, strerror(errno));
	assert_true(s->cq->cqe >= cqe);
	init.send_cq = s->cq;
	init.recv_cq = s->cq;
	s->qp = ibv_create_qp(s->rig.pd, &init);
	assert_non_null(s->qp);
	assert_zero(ibv_modify_qp(s->qp, &attr,
				  IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					  IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_ERR;
	assert_zero(ibv_modify_qp(s->qp, &attr, IBV_QP_STATE));
	for (i = 0; i < BATCH; i++) {
		s->wr[i].opcode = IBV_WR_SEND;
		s->wr[i].next = i + 1 < BATCH ? &s->wr[i + 1] : NULL;
	}
}

static void source_close(struct source *s)
{
	assert_zero(ibv_destroy_qp(s->qp));
	assert_zero(ibv_destroy_cq(s->cq));
	rig_close(&s->rig);
}

/* As many at a time as have room: they complete while more are posted. */
static void source_post(struct source *s, long num)
{
	struct ibv_send_wr *wr, *bad;
	int i, err;

	for (; num > 0; num -= BATCH) {
		for (i = 0; i < BATCH; i++)
			s->wr[i].wr_id = s->posted + i;
		for (wr = s->wr; (err = ibv_post_send(s->qp, wr, &bad)) == ENOMEM; wr = bad)
			sched_yield();
		assert_zero(err);
		s->posted += BATCH;
	}
}

/* All that was posted comes, once and in order. */
static void source_poll(struct source *s)
{
	static struct ibv_wc wc[BATCH];
	double end = seconds() + env_number("TEST_BOUND_S", 60);
	int i, got;

	while (s->polled < s->posted) {
		got = ibv_poll_cq(s->cq, BATCH, wc);
		assert_true(got >= 0);
		if (!got && seconds() > end)
			fail_because("%lu of %lu came", s->polled, s->posted);
		for (i = 0; i < got; i++) {
			if (wc[i].wr_id != s->polled || wc[i].status != IBV_WC_WR_FLUSH_ERR)
				fail_because("completion %lu is %lu: %s", s->polled, wc[i].wr_id,
					     ibv_wc_status_str(wc[i].status));
			s->polled++;
		}
	}
	assert_int_equal(ibv_poll_cq(s->cq, 1, wc), 0);
}

/* Under KASAN, or where the CPU is emulated, a smaller one, whose ring is still larger than what fits a few megabytes. */
static int many(void)
{
	return slow_cpu() ? MOST / 8 : MOST;
}

/* The ring has twice as many entries as are asked for. */
static void filled_across_the_end(void **state)
{
	static struct source s;
	int num = many(), i;

	(void)state;
	source_open(&s, num);
	for (i = 0; i < 3; i++) {
		source_post(&s, num);
		source_poll(&s);
	}
	source_close(&s);
}

static void resized_when_full(void **state)
{
	static struct source s;
	int num = many();

	(void)state;
	source_open(&s, num);
	source_post(&s, num / 2);
	assert_zero(ibv_resize_cq(s.cq, num / 2 + BATCH));
	source_post(&s, BATCH);
	assert_int_not_equal(ibv_resize_cq(s.cq, BATCH), 0);
	assert_zero(ibv_resize_cq(s.cq, num));
	source_post(&s, BATCH);
	source_poll(&s);
	source_post(&s, num / 4);
	source_poll(&s);
	source_close(&s);
}

#define TRACING "/sys/kernel/tracing/"
#define PROBE	"rdma_odp_moves"
/* How many completions may be copied with interrupts off. */
#define MOVE_BATCH 256

static void probe_end(void)
{
	write_text(TRACING "events/kprobes/" PROBE "/enable", "0");
	write_text(TRACING "kprobe_events", "-:" PROBE);
}

static bool probe_begin(void)
{
	return !write_text(TRACING "kprobe_events", "p:" PROBE " rxo_queue_move_completions") &&
	       !write_text(TRACING "events/kprobes/" PROBE "/enable", "1");
}

static long probe_hits(void)
{
	char line[200], name[100];
	long hits, found = -1;
	FILE *f = fopen(TRACING "kprobe_profile", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%99s %ld", name, &hits) == 2 && !strcmp(name, PROBE))
			found = hits;
	fclose(f);
	return found;
}

/*
 * What copies completions does so under the lock of the CQ, with interrupts off, which is given up each time it returns. For
 * how long it was held cannot be asserted; that it was taken anew for each batch can.
 */
static void moved_in_batches(void **state)
{
	static struct source s;
	int num = 16 * BATCH;
	/* What has been taken out of the send queue has completed. */
	int there = num - 2 * BATCH;
	long hits;

	(void)state;
	if (!probe_begin())
		skip_because("this kernel has no kprobes");
	source_open(&s, num);
	source_post(&s, num);
	assert_zero(ibv_resize_cq(s.cq, num + 1));
	hits = probe_hits();
	probe_end();
	printf("%d completions or more, copied in %ld batches\n", there, hits);
	assert_true(hits >= there / MOVE_BATCH);
	source_poll(&s);
	source_close(&s);
}

static void bounds(void **state)
{
	struct ibv_cq *cq;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_int_equal(rig.attr.orig_attr.max_cqe, MOST);
	assert_null(ibv_create_cq(rig.ctx, MOST + 1, NULL, NULL, 0));
	assert_int_equal(errno, EINVAL);
	cq = ibv_create_cq(rig.ctx, 1, NULL, NULL, 0);
	assert_non_null(cq);
	assert_int_not_equal(ibv_resize_cq(cq, MOST + 1), 0);
	assert_zero(ibv_destroy_cq(cq));
	rig_close(&rig);
}

static int charged(void)
{
	struct ibv_context *ctx = rig_context(rig_device_name());
	long before, with, after;
	struct ibv_cq *cq;

	if (!ctx)
		return 1;
	cq = ibv_create_cq(ctx, 1, NULL, NULL, 0);
	if (!cq || ibv_destroy_cq(cq))
		return 2;
	before = group_bytes();
	cq = ibv_create_cq(ctx, MOST, NULL, NULL, 0);
	if (!cq)
		return 3;
	with = group_bytes();
	if (ibv_destroy_cq(cq))
		return 4;
	after = group_bytes();
	printf("charged: %ld, %ld with the CQ, %ld after it\n", before, with, after);
	if (with - before < (long)RING_BYTES)
		return 5;
	return after - before < (long)(16 * MIB) ? 0 : 6;
}

static int too_large_for_the_group(void)
{
	struct ibv_context *ctx = rig_context(rig_device_name());
	struct ibv_cq *cq, *small;

	if (!ctx)
		return 1;
	small = ibv_create_cq(ctx, 1000, NULL, NULL, 0);
	if (!small)
		return 2;
	cq = ibv_create_cq(ctx, MOST, NULL, NULL, 0);
	if (cq || errno != ENOMEM)
		return 3;
	if (ibv_resize_cq(small, MOST) != ENOMEM || ibv_resize_cq(small, 2000))
		return 4;
	return ibv_destroy_cq(small) ? 5 : 0;
}

static void is_charged(void **state)
{
	(void)state;
	group_run(charged, "max");
}

static void enomem_in_a_small_group(void **state)
{
	(void)state;
	group_run(too_large_for_the_group, "48M");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bounds),
		TEST(filled_across_the_end),
		TEST(resized_when_full),
		TEST(moved_in_batches),
		TEST(is_charged),
		TEST(enomem_in_a_small_group),
	};
	int rc = test_run(tests, ARRAY_SIZE(tests));

	/* What a failed test has left. */
	probe_end();
	group_end();
	return rc;
}
