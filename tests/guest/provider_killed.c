// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Processes are killed wherever they are in the provider and in the calls below it: opening, creating, resizing, registering,
 * posting, destroying. Nothing of theirs is left, and who comes next works.
 */
#include "pair.h"
#include "random.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define VICTIMS 120

/* Objects of all kinds come and go, and each is used. */
static void live_once(void)
{
	struct ibv_srq_attr more = { .max_wr = 500 };
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;

	conn.srq_b = true;
	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.rig.pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	pair_move_checked(&pair, OP_SEND, &from, &to, 1);
	assert_zero(ibv_modify_srq(pair.b.srq, &more, IBV_SRQ_MAX_WR));
	assert_zero(ibv_resize_cq(pair.a.scq, 1000));
	pair_move_checked(&pair, OP_SEND_IMM, &from, &to, 2);
	buf_free(&to);
	buf_free(&from);
	pair_close(&pair);
}

static void live(void **state)
{
	(void)state;
	for (;;)
		live_once();
}

/* Queue pairs of user space in the tool's list. */
static unsigned int queue_pairs(void)
{
	unsigned int n = 0;
	char line[512];
	FILE *f = popen("rdma resource show qp", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, "type RC");
	pclose(f);
	return n;
}

static void killed_anywhere(void **state)
{
	static const struct CMUnitTest test = TEST(live);
	struct rnd random = { rnd_seed() };
	unsigned int before = queue_pairs(), i, after_us;
	double end;
	int status;
	pid_t child;

	(void)state;
	fflush(stdout);
	for (i = 0; i < VICTIMS; i++) {
		child = fork();
		if (!child)
			exit(test_run(&test, 1));
		assert_true(child > 0);
		after_us = rnd_below(&random, 40000);
		usleep(after_us);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_because("victim %u ended by itself after %u us: %#x", i, after_us,
				     status);
	}
	/* The mappings of its rings keep the device's file open: until its mm goes, which a fault at work keeps. */
	end = seconds() + BOUND_S;
	while (queue_pairs() != before)
		if (seconds() > end)
			fail_because("queue pairs of processes that were killed are left");
	live_once();
}

int main(void)
{
	static const struct CMUnitTest tests[] = { TEST(killed_anywhere) };

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
