// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
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

const struct hang hang_fuse_ahead = {
	.begin = ahead_begin,
	.end = fuse_end,
	.map = fuse_map,
	.stop = fuse_hold,
	.await = fuse_await,
	.release = fuse_release,
	.check = fuse_check,
};

const struct hang hang_fuse_at_once = {
	.read = true,
	.read_seed = FUSE_SEED,
	.begin = at_once_begin,
	.end = fuse_end,
	.map = fuse_map,
	.stop = fuse_hold,
	.await = fuse_await,
	.release = fuse_release,
};
