// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that the NIC must not touch (memfd_secret, mappings of page frames), on every path to it: as the target and
 * the source of a peer, and in a local list. The peer is told so, the process too, and the page stays as it was.
 */
#include "pair.h"
#include "way.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void one_way(enum way way, uint8_t *bad)
{
	struct conn conn = CONN;
	struct pair pair;
	struct ibv_mr *mr;
	struct buf good;

	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&good, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	/* Around it lies memory like any other. */
	mr = ibv_reg_mr(pair.rig.pd, bad - PAGE, 3 * PAGE, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(mr);
	way_is_refused(&pair, way, &good, mr, (uintptr_t)bad);
	assert_zero(ibv_dereg_mr(mr));
	buf_free(&good);
	pair_close(&pair);
}

static void every_way(uint8_t *bad)
{
	enum way way;

	for (way = 0; way < WAYS; way++)
		one_way(way, bad);
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
	every_way(map + PAGE);
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
	every_way(map + PAGE);
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
	every_way(map + PAGE);
	assert_ptr_equal(mmap(map + PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			      -1, 0),
			 map + PAGE);
	every_way(map + PAGE);
	munmap(map, 3 * PAGE);
}

TEST_MAIN(TEST(secret_memory), TEST(page_frames), TEST(taken_away))
