// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A process forks in the middle of its traffic: its children end, or write all over their copies of memory that is on demand, and
 * the parent's traffic goes on as if they were not there. With ibv_fork_init() for pinned and on-demand regions, without it for
 * those on demand. Each way in a process of its own, since ibv_fork_init() is once and for all.
 */
#include "pair.h"

#include <sys/wait.h>
#include <unistd.h>

#define BYTES  (3 * PAGE)
#define ROUNDS 20

static bool reap(pid_t child)
{
	int status;

	return child > 0 && waitpid(child, &status, 0) == child && !status;
}

static void traffic(int access, bool child_writes)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	pid_t child;
	int i;

	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL | access);
	buf_make(&to, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL | access);
	for (i = 0; i < ROUNDS; i++) {
		child = fork();
		if (!child) {
			if (child_writes) {
				memset(from.data, 0xee, BYTES);
				memset(to.data, 0xee, BYTES);
			}
			_exit(0);
		}
		pair_move_checked(&pair, i & 1 ? OP_SEND : OP_WRITE, &from, &to, i);
		assert_true(reap(child));
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void safe_pinned(void **state)
{
	(void)state;
	assert_zero(ibv_fork_init());
	traffic(0, false);
}

static void safe_odp(void **state)
{
	(void)state;
	assert_zero(ibv_fork_init());
	traffic(IBV_ACCESS_ON_DEMAND, false);
}

static void odp_without_fork_init(void **state)
{
	(void)state;
	traffic(IBV_ACCESS_ON_DEMAND, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { TEST(safe_pinned), TEST(safe_odp),
						   TEST(odp_without_fork_init) };
	bool bad = false;
	size_t i;
	pid_t child;

	rig_use_provider(NULL);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		fflush(stdout);
		child = fork();
		if (!child)
			exit(test_run(&tests[i], 1));
		bad |= !reap(child);
	}
	return bad;
}
