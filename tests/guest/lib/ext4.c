// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "ext4.h"
#include "test.h"

#define ROOT "/tmp/rdma_odp_ext4"

static bool mounted;

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

int ext4_end(void)
{
	if (!mounted)
		return 0;
	mounted = false;
	return system("umount -l " EXT4_DIR " && rm -r " ROOT);
}
