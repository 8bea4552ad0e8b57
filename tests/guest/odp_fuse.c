// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A FUSE file system that does not answer, under a peer's write into a shared mapping of its file, and its read: the owner
 * deregisters and exits, its device and its network namespace go, and none of it waits. Where pages are read ahead the owner may map
 * other memory too. When the answer comes, a request that still waits is done.
 *
 * rdma-odp: timeout 240
 */
#include "hang.h"

TEST_MAIN(HANG_TEST(page_comes, hang_fuse_ahead),
	  HANG_TEST(other_memory_is_mapped, hang_fuse_ahead),
	  HANG_TEST(deregisters, hang_fuse_ahead), HANG_TEST(exits, hang_fuse_ahead),
	  HANG_TEST(is_killed, hang_fuse_ahead), HANG_TEST(link_goes, hang_fuse_ahead),
	  HANG_TEST(namespace_goes, hang_fuse_ahead), HANG_TEST(page_comes, hang_fuse_at_once),
	  HANG_TEST(deregisters, hang_fuse_at_once), HANG_TEST(exits, hang_fuse_at_once),
	  HANG_TEST(is_killed, hang_fuse_at_once), HANG_TEST(link_goes, hang_fuse_at_once),
	  HANG_TEST(namespace_goes, hang_fuse_at_once))
