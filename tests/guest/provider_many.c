// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * 32 processes at once, each with a context, queues and regions of its own, through the provider; every third is killed in the
 * middle, and the others' bytes are right.
 */
#include "pair.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 32
#define ROUNDS	  60
#define BYTES	  5000

static void traffic(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	int i;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	for (i = 0; i < ROUNDS; i++)
		pair_move_checked(&pair, i % OP_KINDS, &from, &to, getpid() + i);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void at_once(void **state)
{
	static const struct CMUnitTest test = TEST(traffic);
	pid_t children[PROCESSES];
	int i, status, bad = 0;

	(void)state;
	fflush(stdout);
	for (i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (!children[i])
			exit(test_run(&test, 1));
		assert_true(children[i] > 0);
	}
	for (i = 0; i < PROCESSES; i += 3) {
		usleep(20000);
		kill(children[i], SIGKILL);
	}
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		bad += status && !(i % 3 == 0 && WIFSIGNALED(status));
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { TEST(at_once) };

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
