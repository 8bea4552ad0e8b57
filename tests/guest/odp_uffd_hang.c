// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A userfaultfd that does not answer, under a peer's write: the owner maps other memory, deregisters and exits, its device and its
 * network namespace go, and none of it waits. When the page comes a write that still waits is done.
 */
#include "hang.h"

#include <sys/mman.h>

static uint8_t *silent_map(int *fd)
{
	uint8_t *map =
		mmap(NULL, HANG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffd uffd;

	assert_ptr_not_equal(map, MAP_FAILED);
	uffd_register(&uffd, map, HANG_BYTES);
	*fd = uffd.fd;
	return map;
}

static void silent_stop(void)
{
}

static void silent_await(void)
{
	struct uffd uffd = { .fd = hang_fd() };

	assert_ptr_equal(uffd_next(&uffd, BOUND_S * 1000), hang_addr());
}

static void silent_release(void)
{
	struct uffd uffd = { .fd = hang_fd() };

	uffd_give_zeros(&uffd, hang_addr(), HANG_BYTES);
}

static const struct hang silent = {
	.map = silent_map,
	.stop = silent_stop,
	.await = silent_await,
	.release = silent_release,
};

TEST_MAIN(HANG_TEST(page_comes, silent), HANG_TEST(other_memory_is_mapped, silent),
	  HANG_TEST(deregisters, silent), HANG_TEST(exits, silent), HANG_TEST(is_killed, silent),
	  HANG_TEST(link_goes, silent), HANG_TEST(namespace_goes, silent))
