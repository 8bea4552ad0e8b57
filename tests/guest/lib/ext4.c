// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "ext4.h"
#include "test.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROOT "/tmp/rdma_odp_ext4"

/* Thaws what a test that has died left frozen: then the pipe ends. */
#define GUARD "read -r _; ! fsfreeze -u " EXT4_DIR " 2>/dev/null"

static bool mounted;
static FILE *guard;
static int frozen = -1;

int ext4_begin(void)
{
	int rc;

	if (mounted)
		return 0;
	rc = system("mkdir -p " EXT4_DIR " && truncate -s 64M " ROOT "/image && mkfs.ext4 -q " ROOT
		    "/image && { modprobe loop 2>/dev/null; mount -o loop " ROOT "/image " EXT4_DIR
		    "; }");
	mounted = !rc;
	return rc;
}

void ext4_freeze(void)
{
	guard = popen("exec bash -c '" GUARD "'", "we");
	assert_non_null(guard);
	frozen = open(EXT4_DIR, O_RDONLY | O_CLOEXEC);
	assert_true(frozen >= 0);
	assert_zero(ioctl(frozen, FIFREEZE, 0));
}

static bool thaw(void)
{
	int rc = ioctl(frozen, FITHAW, 0);

	close(frozen);
	frozen = -1;
	pclose(guard);
	return !rc;
}

void ext4_thaw(void)
{
	if (!thaw())
		fail_because("the file system was thawed before: something waited for it too long");
}

int ext4_end(void)
{
	if (frozen >= 0)
		thaw();
	if (!mounted)
		return 0;
	mounted = false;
	return system("umount -l " EXT4_DIR " && rm -r " ROOT);
}
