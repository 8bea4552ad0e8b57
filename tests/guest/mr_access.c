// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Registration: access flags that contradict one another, ranges that are none, and memory that may not be written. */
#include "mem.h"

#include <sys/mman.h>

static void refused(struct rig *rig, void *addr, size_t bytes, int access)
{
	struct ibv_mr *mr = ibv_reg_mr(rig->pd, addr, bytes, access);

	if (mr)
		fail_because("a registration of %p, %zu bytes, access %#x was accepted", addr,
			     bytes, access);
}

/* C10-57 and ibv_reg_mr(3): remote write and remote atomic want local write. */
static void remote_write_wants_local_write(void **state)
{
	struct rig rig;
	struct buf buf;
	int odp;

	rig_open(&rig);
	odp = mode(&rig, state);
	buf_map(&buf, MEM_ANON, PAGE, 0);
	refused(&rig, buf.data, PAGE, IBV_ACCESS_REMOTE_WRITE | odp);
	refused(&rig, buf.data, PAGE, IBV_ACCESS_REMOTE_ATOMIC | odp);
	buf_reg(&buf, rig.pd, odp);
	buf_dereg(&buf);
	buf_reg(&buf, rig.pd, IBV_ACCESS_REMOTE_READ | odp);
	buf_free(&buf);
	rig_close(&rig);
}

static void ranges(void **state)
{
	struct rig rig;
	struct buf buf;
	int odp;

	rig_open(&rig);
	odp = mode(&rig, state);
	buf_map(&buf, MEM_ANON, PAGE, 0);
	refused(&rig, (void *)(UINTPTR_MAX - PAGE + 1), 2 * PAGE, ACCESS_ALL | odp);
	refused(&rig, buf.data, SIZE_MAX - PAGE, ACCESS_ALL | odp);
	/* Kernel addresses. */
	refused(&rig, (void *)0xffff888000000000UL, PAGE, ACCESS_ALL | odp);
	/* Flags from the future. */
	refused(&rig, buf.data, PAGE, ACCESS_ALL | odp | 1 << 16);
	buf_free(&buf);
	rig_close(&rig);
}

/* A pinned region wants its pages now. */
static void pinned_wants_memory(void **state)
{
	struct rig rig;
	void *none, *readonly;

	(void)state;
	rig_open(&rig);
	none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	refused(&rig, none, PAGE, ACCESS_ALL);
	refused(&rig, readonly, PAGE, ACCESS_ALL);
	munmap(none, PAGE);
	refused(&rig, none, PAGE, ACCESS_ALL);
	munmap(readonly, PAGE);
	rig_close(&rig);
}

static void keys_differ(void **state)
{
	struct ibv_mr *mrs[64];
	struct rig rig;
	struct buf buf;
	int i, j, odp;

	rig_open(&rig);
	odp = mode(&rig, state);
	buf_map(&buf, MEM_ANON, PAGE, 0);
	for (i = 0; i < 64; i++) {
		mrs[i] = ibv_reg_mr(rig.pd, buf.data, PAGE, ACCESS_ALL | odp);
		assert_non_null(mrs[i]);
		for (j = 0; j < i; j++) {
			assert_int_not_equal(mrs[i]->lkey, mrs[j]->lkey);
			assert_int_not_equal(mrs[i]->rkey, mrs[j]->rkey);
		}
	}
	for (i = 0; i < 64; i++)
		assert_zero(ibv_dereg_mr(mrs[i]));
	buf_free(&buf);
	rig_close(&rig);
}

TEST_MAIN(TEST_BOTH(remote_write_wants_local_write), TEST_BOTH(ranges), TEST(pinned_wants_memory),
	  TEST_BOTH(keys_differ))
