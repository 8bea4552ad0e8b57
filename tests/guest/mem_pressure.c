// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A memory cgroup that is smaller than the region: with swap, all of it is written and read by the NIC with the right bytes.
 * What happens without is in odp_owner_ends.
 */
#include "cgroup.h"
#include "pair.h"
#include "swap.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT	     "12M"
#define REGION_BYTES (32 * MIB)
#define PIECE	     (256 * KIB)

/* Pieces of the region, written and read back; 0, or what went wrong. In the child: no assertions. */
static int write_and_read(struct pair *pair, struct buf *region, struct buf *local)
{
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;
	struct ibv_wc wc;
	size_t at;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		for (at = 0; at < REGION_BYTES; at += PIECE) {
			if (!pass)
				pattern_fill(local->data, PIECE, 7, at);
			else
				memset(local->data, 0, PIECE);
			sge = buf_sge(local, 0, PIECE);
			wr = wr_rdma(pass ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, &sge, 1, region,
				     at);
			if (ibv_post_send(pair->a.qp, &wr, &bad) ||
			    !cq_poll_bounded(pair->a.scq, &wc, BOUND_S))
				return 2;
			if (wc.status != IBV_WC_SUCCESS) {
				printf("pass %d at %zu: %s\n", pass, at,
				       ibv_wc_status_str(wc.status));
				return 3;
			}
			if (pass && pattern_differs(local->data, PIECE, 7, at, "read back"))
				return 4;
		}
	}
	return 0;
}

static int owner(void)
{
	struct conn conn = CONN;
	struct buf region, local;
	struct pair pair;
	int rc;

	if (group_enter())
		return 1;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	buf_make(&local, pair.rig.pd, MEM_ANON, PIECE, 0, ACCESS_ALL);
	/* On User Mode Linux a process would go on using pages of its own that are reclaimed on the other CPU (docs/testing.md). */
	if (slow_kernel() && mlockall(MCL_CURRENT))
		return 3;
	buf_make(&region, pair.rig.pd, MEM_ANON, REGION_BYTES, 0,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	rc = write_and_read(&pair, &region, &local);
	fflush(stdout);
	return rc;
}

static int run_owner(void)
{
	int status;
	pid_t pid;

	assert_zero(write_text(CGROUP "/memory.max", LIMIT));
	write_text(CGROUP "/memory.swap.max", "max");
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(owner());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void need_odp(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	rig_close(&rig);
}

static void smaller_than_the_region(void **state)
{
	(void)state;
	need_odp();
	swap_begin();
	group_begin();
	assert_int_equal(run_owner(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(smaller_than_the_region) };
	int rc = test_run(tests, ARRAY_SIZE(tests));

	group_end();
	swap_end();
	return rc;
}
