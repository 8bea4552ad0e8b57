// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that is not there, for the NIC: every allocation of every verb that creates something fails once, and the verb fails
 * with ENOMEM or works all the same; then those of faults fail at random, and every byte arrives, late.
 *
 * rdma-odp: timeout 120
 */
#include "failslab.h"
#include "pair.h"

#include <unistd.h>

#define TRIES 400

struct bed {
	struct rig *rig;
	struct ibv_cq *cq;
	void *memory;
	size_t bytes;
};

/* Each creates one thing and destroys it: 0 or an errno. */
static int pinned(struct bed *bed)
{
	struct ibv_mr *mr = ibv_reg_mr(bed->rig->pd, bed->memory, bed->bytes, ACCESS_ALL);

	return mr ? ibv_dereg_mr(mr) : errno;
}

static int odp(struct bed *bed)
{
	struct ibv_mr *mr = ibv_reg_mr(bed->rig->pd, bed->memory, bed->bytes,
				       ACCESS_ALL | IBV_ACCESS_ON_DEMAND);

	return mr ? ibv_dereg_mr(mr) : errno;
}

static int cq(struct bed *bed)
{
	struct ibv_cq *cq = ibv_create_cq(bed->rig->ctx, 100, NULL, NULL, 0);

	return cq ? ibv_destroy_cq(cq) : errno;
}

static int resized_cq(struct bed *bed)
{
	static int cqe = 100;

	return ibv_resize_cq(bed->cq, cqe ^= 300);
}

static int srq(struct bed *bed)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 100, .max_sge = 4 } };
	struct ibv_srq *srq = ibv_create_srq(bed->rig->pd, &attr);

	return srq ? ibv_destroy_srq(srq) : errno;
}

static int create_qp(struct bed *bed, enum ibv_qp_type type)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = type,
		.send_cq = bed->cq,
		.recv_cq = bed->cq,
		.cap = { .max_send_wr = 64,
			 .max_recv_wr = 64,
			 .max_send_sge = 4,
			 .max_recv_sge = 4 },
	};
	struct ibv_qp *qp = ibv_create_qp(bed->rig->pd, &attr);

	return qp ? ibv_destroy_qp(qp) : errno;
}

static int rc_qp(struct bed *bed)
{
	return create_qp(bed, IBV_QPT_RC);
}
static int ud_qp(struct bed *bed)
{
	return create_qp(bed, IBV_QPT_UD);
}

static int ah(struct bed *bed)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = bed->rig->gids[0], .sgid_index = bed->rig->gid4, .hop_limit = 64 },
	};
	struct ibv_ah *ah = ibv_create_ah(bed->rig->pd, &attr);

	return ah ? ibv_destroy_ah(ah) : errno;
}

static void each_allocation(struct bed *bed, int file, const char *name, int (*verb)(struct bed *))
{
	unsigned int nth, failed = 0, left = 0;
	int err;

	for (nth = 1; nth < TRIES && !left; nth++) {
		fail_nth(file, nth);
		err = verb(bed);
		left = fail_nth_left(file);
		fail_nth(file, 0);
		/* ENOBUFS is what routes and neighbours call it. */
		if (err && (left || (err != ENOMEM && err != ENOBUFS)))
			fail_because("%s, allocation %u: errno %d", name, nth, err);
		failed += !!err;
	}
	printf("%s: %u allocations, %u failed it\n", name, nth - 2, failed);
	assert_true(nth < TRIES);
}

static void every_allocation_of_a_verb(void **state)
{
	static const struct {
		const char *name;
		int (*verb)(struct bed *bed);
	} verbs[] = {
		{ "pinned region", pinned },
		{ "on-demand region", odp },
		{ "CQ", cq },
		{ "resized CQ", resized_cq },
		{ "SRQ", srq },
		{ "RC QP", rc_qp },
		{ "UD QP", ud_qp },
		{ "AH", ah },
	};
	struct conn conn = CONN;
	struct rig rig;
	struct bed bed = { .rig = &rig, .bytes = 256 * KIB };
	struct pair pair;
	size_t i;
	int file;

	(void)state;
	failslab_begin();
	file = fail_nth_open();
	rig_open(&rig);
	bed.memory = aligned_alloc(PAGE, bed.bytes);
	memset(bed.memory, 1, bed.bytes);
	bed.cq = ibv_create_cq(rig.ctx, 100, NULL, NULL, 0);
	assert_non_null(bed.cq);
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		each_allocation(&bed, file, verbs[i].name, verbs[i].verb);
	assert_zero(ibv_destroy_cq(bed.cq));
	free(bed.memory);
	rig_close(&rig);
	close(file);
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

static void allocations_of_faults(void **state)
{
	unsigned int threads = 0, i;
	struct conn conn = CONN;
	struct buf from, to;
	long failures;
	struct pair pair;

	(void)state;
	failslab_begin();
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, 256 * KIB, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, pair.rig.pd, MEM_ANON, 256 * KIB, 64, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	failslab_set("times", "100000");
	failslab_set("task-filter", "Y");
	failslab_set("probability", "30");
	for (i = 0; i < 60; i++) {
		threads += pick_fault_threads();
		buf_forget(i & 1 ? &to : &from);
		pair_move_checked(&pair, i % OP_KINDS, &from, &to, i);
	}
	failslab_set("probability", "0");
	failslab_set("task-filter", "N");
	failures = 100000 - read_number("/sys/kernel/debug/failslab/times", 100000);
	failslab_set("times", "1");
	printf("%ld allocations of fault threads failed\n", failures);
	assert_true(threads > 0 && failures > 0);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static int no_failures(void **state)
{
	(void)state;
	/* Of a test that failed, too; where there is no failslab there is nothing to do. */
	write_text("/sys/kernel/debug/failslab/probability", "0");
	return 0;
}

TEST_MAIN({ "every_allocation_of_a_verb", every_allocation_of_a_verb, NULL, no_failures, NULL },
	  { "allocations_of_faults", allocations_of_faults, NULL, no_failures, NULL })
