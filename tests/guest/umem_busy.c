// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A fault that nothing can end, of a process that is gone, and of a device that is gone with its driver: umem_odp is in use, and
 * its removal says so at once. When the page has failed, or has come, it can be removed.
 */
#include "fuse.h"
#include "hang.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The modules and the links as they were, whatever has failed. */
static int restore(void **state)
{
	int rc = hang_teardown(state);

	return rc | system("/odp/host/links reset");
}

static void all_but_the_fault_is_gone(const struct hang *hang)
{
	hang_begin(hang);
	hang_owner_exits();
	hang_link_del();
	hang_run("/odp/host/links down");
	hang_run("rmmod rxe_odp");
}

static void removal_is_refused(void)
{
	errno = 0;
	assert_int_equal(syscall(SYS_delete_module, "umem_odp", O_NONBLOCK), -1);
	if (errno != EWOULDBLOCK && errno != EBUSY)
		fail_because("delete_module: %s", strerror(errno));
	hang_run("! rmmod umem_odp 2>/tmp/rdma_odp_rmmod && grep -q 'umem_odp is in use' "
		 "/tmp/rdma_odp_rmmod; rc=$?; rm /tmp/rdma_odp_rmmod; exit $rc");
}

static void until_the_page_fails(void **state)
{
	all_but_the_fault_is_gone(*state);
	removal_is_refused();
	fuse_end();
	hang_until("rmmod umem_odp 2>/dev/null");
}

static void until_the_page_comes(void **state)
{
	all_but_the_fault_is_gone(*state);
	removal_is_refused();
	fuse_release();
	hang_until("rmmod umem_odp 2>/dev/null");
}

#define BUSY_TEST(fn)                                                                              \
	{                                                                                          \
#fn, fn, hang_setup, restore, (void *)&hang_fuse_at_once                           \
	}

TEST_MAIN(BUSY_TEST(until_the_page_fails), BUSY_TEST(until_the_page_comes))
