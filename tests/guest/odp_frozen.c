// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A file system that is frozen, under a peer's write into a shared mapping of it: the owner maps other memory, deregisters and exits,
 * its device and its network namespace go, and none of it waits. When it thaws a write that still waits reaches the disk.
 *
 * rdma-odp: timeout 180
 */
#include "ext4.h"
#include "hang.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_NAME EXT4_DIR "/file"

static void frozen_begin(void)
{
	assert_zero(ext4_begin());
}

static void frozen_end(void)
{
	ext4_end();
}

static uint8_t *frozen_map(int *fd)
{
	uint8_t *map;

	*fd = open(FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(*fd >= 0);
	assert_zero(ftruncate(*fd, HANG_BYTES));
	map = mmap(NULL, HANG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

static void frozen_check(uint32_t seed)
{
	int fd = open(FILE_NAME, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint8_t *data = aligned_alloc(PAGE, HANG_BYTES);

	assert_true(fd >= 0);
	assert_zero(fsync(hang_fd()));
	assert_int_equal(pread(fd, data, HANG_BYTES, 0), HANG_BYTES);
	pattern_check(data, HANG_BYTES, seed, 0, "the disk");
	free(data);
	close(fd);
}

static const struct hang frozen = {
	.begin = frozen_begin,
	.end = frozen_end,
	.map = frozen_map,
	.stop = ext4_freeze,
	.await = hang_await_rnr,
	.release = ext4_thaw,
	.check = frozen_check,
};

TEST_MAIN(HANG_TEST(page_comes, frozen), HANG_TEST(other_memory_is_mapped, frozen),
	  HANG_TEST(deregisters, frozen), HANG_TEST(exits, frozen), HANG_TEST(is_killed, frozen),
	  HANG_TEST(link_goes, frozen), HANG_TEST(namespace_goes, frozen))
