// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What it costs to make and to destroy the objects of verbs: connected pairs of queue pairs, and the rest one by one; and how
 * long a process takes to end that has ten thousand queue pairs, two by two connected.
 */
#include "bench.h"

#include <sys/wait.h>

#define PAIRS	500
#define OBJECTS 500
#define MANY	10000

static struct ibv_qp_init_attr qp_attr(struct ibv_cq *cq)
{
	return (struct ibv_qp_init_attr){
		.qp_type = IBV_QPT_RC,
		.send_cq = cq,
		.recv_cq = cq,
		.cap = { 16, 16, 1, 1, 0 },
	};
}

static void measure_qps(struct rig *rig, enum driver driver, unsigned int round)
{
	static struct end ends[2 * PAIRS];
	struct ibv_cq *cq = ibv_create_cq(rig->ctx, 64, NULL, NULL, 0);
	struct ibv_qp_init_attr attr = qp_attr(cq);
	const char *name = driver_names[driver];
	struct conn conn = bench_conn();
	double t[4];
	int i;

	t[0] = seconds();
	for (i = 0; i < 2 * PAIRS; i++) {
		ends[i] = (struct end){ .rig = rig,
					.gid_index = rig->gid4,
					.gid = rig->gids[0],
					.qp = ibv_create_qp(rig->pd, &attr) };
		assert_non_null(ends[i].qp);
	}
	t[1] = seconds();
	for (i = 0; i < 2 * PAIRS; i += 2)
		ends_connect(&ends[i], &ends[i + 1], &conn);
	t[2] = seconds();
	for (i = 0; i < 2 * PAIRS; i++)
		assert_zero(ibv_destroy_qp(ends[i].qp));
	t[3] = seconds();
	row("life", name, "make a QP pair", "-", 0, 1, round, (t[1] - t[0]) / PAIRS * 1e6, "us");
	row("life", name, "connect it", "-", 0, 1, round, (t[2] - t[1]) / PAIRS * 1e6, "us");
	row("life", name, "destroy it", "-", 0, 1, round, (t[3] - t[2]) / PAIRS * 1e6, "us");
	assert_zero(ibv_destroy_cq(cq));
}

static void *make_cq(struct rig *rig)
{
	return ibv_create_cq(rig->ctx, 64, NULL, NULL, 0);
}

static int destroy_cq(void *cq)
{
	return ibv_destroy_cq(cq);
}

static void *make_srq(struct rig *rig)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 16, .max_sge = 1 } };

	return ibv_create_srq(rig->pd, &attr);
}

static int destroy_srq(void *srq)
{
	return ibv_destroy_srq(srq);
}

static void *make_pd(struct rig *rig)
{
	return ibv_alloc_pd(rig->ctx);
}

static int destroy_pd(void *pd)
{
	return ibv_dealloc_pd(pd);
}

static void *make_ah(struct rig *rig)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = rig->gids[0], .sgid_index = rig->gid4, .hop_limit = 64 },
	};

	return ibv_create_ah(rig->pd, &attr);
}

static int destroy_ah(void *ah)
{
	return ibv_destroy_ah(ah);
}

static uint8_t page[4096] __attribute__((aligned(4096)));

static void *make_mr(struct rig *rig)
{
	return ibv_reg_mr(rig->pd, page, sizeof(page), ACCESS_ALL);
}

static int destroy_mr(void *mr)
{
	return ibv_dereg_mr(mr);
}

static const struct kind {
	const char *name;
	void *(*make)(struct rig *rig);
	int (*destroy)(void *object);
} kinds[] = {
	{ "CQ", make_cq, destroy_cq }, { "SRQ", make_srq, destroy_srq },
	{ "PD", make_pd, destroy_pd }, { "AH", make_ah, destroy_ah },
	{ "MR", make_mr, destroy_mr },
};

static void measure_kind(struct rig *rig, enum driver driver, const struct kind *kind,
			 unsigned int round)
{
	static void *objects[OBJECTS];
	double t[3];
	char what[32];
	int i;

	t[0] = seconds();
	for (i = 0; i < OBJECTS; i++) {
		objects[i] = kind->make(rig);
		assert_non_null(objects[i]);
	}
	t[1] = seconds();
	for (i = 0; i < OBJECTS; i++)
		assert_zero(kind->destroy(objects[i]));
	t[2] = seconds();
	snprintf(what, sizeof(what), "make a %s", kind->name);
	row("life", driver_names[driver], what, "-", 0, 1, round, (t[1] - t[0]) / OBJECTS * 1e6,
	    "us");
	snprintf(what, sizeof(what), "destroy a %s", kind->name);
	row("life", driver_names[driver], what, "-", 0, 1, round, (t[2] - t[1]) / OBJECTS * 1e6,
	    "us");
}

static int own_many(enum driver driver, int ready)
{
	static struct end ends[MANY];
	struct ibv_qp_init_attr attr;
	struct conn conn = bench_conn();
	struct rig rig;
	int i;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	driver_open(&rig, driver);
	attr = qp_attr(ibv_create_cq(rig.ctx, 64, NULL, NULL, 0));
	for (i = 0; i < MANY; i++) {
		ends[i] = (struct end){ .rig = &rig,
					.gid_index = rig.gid4,
					.gid = rig.gids[0],
					.qp = ibv_create_qp(rig.pd, &attr) };
		if (!ends[i].qp)
			return errno;
		if (i & 1)
			ends_connect(&ends[i - 1], &ends[i], &conn);
	}
	return write(ready, "r", 1) != 1;
}

/* From the last call of the process to when its parent knows. */
static void measure_exit(enum driver driver, unsigned int round)
{
	int ready[2], status;
	double start;
	pid_t pid;
	char c;

	assert_zero(pipe(ready));
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(own_many(driver, ready[1]));
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		c = 0;
	close(ready[0]);
	start = seconds();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (c && !status)
		row("life", driver_names[driver], "exit with 10000 QPs", "-", 0, 1, round,
		    (seconds() - start) * 1e6, "us");
	else
		row_failed("life", driver_names[driver], "exit with 10000 QPs", "-", 0, 1, round,
			   strerror(WEXITSTATUS(status)));
}

int main(void)
{
	struct rig rigs[DRIVERS];
	unsigned int round, d, k;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			driver_open(&rigs[d], d);
	for (round = 1; round <= ROUNDS; round++) {
		for (d = 0; d < DRIVERS; d++)
			if (driver_wanted(d))
				measure_qps(&rigs[d], d, round);
		for (k = 0; k < ARRAY_SIZE(kinds); k++)
			for (d = 0; d < DRIVERS; d++)
				if (driver_wanted(d))
					measure_kind(&rigs[d], d, &kinds[k], round);
		for (d = 0; d < DRIVERS; d++)
			if (driver_wanted(d))
				measure_exit(d, round);
	}
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			rig_close(&rigs[d]);
	return 0;
}
