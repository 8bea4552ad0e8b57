// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that the NIC must not touch (memfd_secret, mappings of page frames), on every path to it: as the target and
 * the source of a peer, and in a local list. The peer is told so, the process too, and the page stays as it was.
 */
#include "pair.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum path { REMOTE_WRITE, REMOTE_READ, REMOTE_ATOMIC, LOCAL_SOURCE, LOCAL_TARGET, RECV, PATHS };

static const struct {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool remote;
	enum ibv_wc_status status;
} paths[PATHS] = {
	[REMOTE_WRITE] = { "remote write", IBV_WR_RDMA_WRITE, true, IBV_WC_REM_ACCESS_ERR },
	[REMOTE_READ] = { "remote read", IBV_WR_RDMA_READ, true, IBV_WC_REM_ACCESS_ERR },
	[REMOTE_ATOMIC] = { "remote atomic", IBV_WR_ATOMIC_FETCH_AND_ADD, true,
			    IBV_WC_REM_ACCESS_ERR },
	[LOCAL_SOURCE] = { "local source", IBV_WR_RDMA_WRITE, false, IBV_WC_LOC_PROT_ERR },
	[LOCAL_TARGET] = { "local target", IBV_WR_RDMA_READ, false, IBV_WC_LOC_PROT_ERR },
	[RECV] = { "receive", IBV_WR_SEND, true, IBV_WC_REM_OP_ERR },
};

static void one_path(enum path path, uint8_t *bad)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_mr *mr;
	struct ibv_wc wc;
	struct buf good;

	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&good, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	/* Around it lies memory like any other. */
	mr = ibv_reg_mr(pair.rig.pd, bad - PAGE, 3 * PAGE, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(mr);
	sge = paths[path].remote ? buf_sge(&good, 0, 8) :
				   (struct ibv_sge){ (uintptr_t)bad, 8, mr->lkey };
	wr = wr_make(paths[path].opcode, &sge, 1);
	if (path == REMOTE_ATOMIC) {
		wr.wr.atomic.remote_addr = (uintptr_t)bad;
		wr.wr.atomic.rkey = mr->rkey;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = paths[path].remote ? (uintptr_t)bad : (uintptr_t)good.data;
		wr.wr.rdma.rkey = paths[path].remote ? mr->rkey : good.mr->rkey;
	}
	if (path == RECV) {
		struct ibv_sge to = { (uintptr_t)bad, 8, mr->lkey };

		end_post_recv(&pair.b, 1, &to, 1);
	}
	end_post(&pair.a, &wr);
	wc = cq_wait(pair.a.scq);
	if (wc.status != paths[path].status)
		fail_because("%s: \"%s\" and not \"%s\"", paths[path].name,
			     ibv_wc_status_str(wc.status), ibv_wc_status_str(paths[path].status));
	if (path == RECV)
		cq_expect(pair.b.rcq, IBV_WC_LOC_PROT_ERR);
	assert_zero(ibv_dereg_mr(mr));
	buf_free(&good);
	pair_close(&pair);
}

static void every_path(uint8_t *bad)
{
	enum path path;

	for (path = 0; path < PATHS; path++)
		one_path(path, bad);
}

static uint8_t *three_pages(void)
{
	uint8_t *map =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

static void secret_memory(void **state)
{
	int file = syscall(SYS_memfd_secret, 0);
	uint8_t *map = three_pages();

	(void)state;
	if (file < 0)
		skip_because("no memfd_secret: %s", strerror(errno));
	assert_zero(ftruncate(file, PAGE));
	assert_ptr_equal(mmap(map + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      file, 0),
			 map + PAGE);
	memset(map + PAGE, 7, 8);
	every_path(map + PAGE);
	assert_int_equal(map[PAGE], 7);
	munmap(map, 3 * PAGE);
	close(file);
}

static void page_frames(void **state)
{
	int file = open("/dev/mem", O_RDWR);
	uint8_t *map = three_pages();

	(void)state;
	if (file < 0)
		skip_because("no /dev/mem: %s", strerror(errno));
	if (mmap(map + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0xf0000) ==
	    MAP_FAILED)
		skip_because("/dev/mem cannot be mapped: %s", strerror(errno));
	every_path(map + PAGE);
	munmap(map, 3 * PAGE);
	close(file);
}

/* Nothing is mapped there any longer, or not for writing. */
static void taken_away(void **state)
{
	uint8_t *map = three_pages();

	(void)state;
	memset(map, 7, 3 * PAGE);
	munmap(map + PAGE, PAGE);
	every_path(map + PAGE);
	assert_ptr_equal(mmap(map + PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			      -1, 0),
			 map + PAGE);
	every_path(map + PAGE);
	munmap(map, 3 * PAGE);
}

TEST_MAIN(TEST(secret_memory), TEST(page_frames), TEST(taken_away))
