// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A FUSE file system that does not answer, under a peer's write into a shared mapping of its file, and its read: the owner
 * deregisters and exits, its device and its network namespace go, and none of it waits. Where pages are read ahead the owner may map
 * other memory too. When the answer comes, a request that still waits is done.
 *
 * rdma-odp: timeout 240
 */
#include "fuse.h"
#include "hang.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t *fuse_map(int *fd)
{
	uint8_t *map;

	*fd = open(FUSE_FILE, O_RDWR | O_CLOEXEC);
	assert_true(*fd >= 0);
	map = mmap(NULL, HANG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

static void ahead_begin(void)
{
	fuse_begin(false);
}

static void at_once_begin(void)
{
	fuse_begin(true);
}

static void fuse_await(void)
{
	assert_true(fuse_asked(BOUND_S * 1000));
}

static void fuse_check(uint32_t seed)
{
	assert_zero(fsync(hang_fd()));
	pattern_check(fuse_store(), HANG_BYTES, seed, 0, "the file system");
}

static const struct hang write_ahead = {
	.begin = ahead_begin,
	.end = fuse_end,
	.map = fuse_map,
	.stop = fuse_hold,
	.await = fuse_await,
	.release = fuse_release,
	.check = fuse_check,
};

/* A thread that reads the page itself cannot be killed once the server has seen the request. */
static const struct hang read_at_once = {
	.read = true,
	.read_seed = FUSE_SEED,
	.begin = at_once_begin,
	.end = fuse_end,
	.map = fuse_map,
	.stop = fuse_hold,
	.await = fuse_await,
	.release = fuse_release,
};

TEST_MAIN(HANG_TEST(page_comes, write_ahead), HANG_TEST(other_memory_is_mapped, write_ahead),
	  HANG_TEST(deregisters, write_ahead), HANG_TEST(exits, write_ahead),
	  HANG_TEST(is_killed, write_ahead), HANG_TEST(link_goes, write_ahead),
	  HANG_TEST(namespace_goes, write_ahead), HANG_TEST(page_comes, read_at_once),
	  HANG_TEST(deregisters, read_at_once), HANG_TEST(exits, read_at_once),
	  HANG_TEST(is_killed, read_at_once), HANG_TEST(link_goes, read_at_once),
	  HANG_TEST(namespace_goes, read_at_once))
