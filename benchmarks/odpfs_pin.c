// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odpfs_pin MIB FILE: what a pinned registration costs where odpfs has one on demand: of MIB of anonymous memory, and whether one of FILE,
 * mapped to be written, is possible at all. Run in a cgroup of its own by lib/odpfs.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"
#include "rig.h"
#include "test.h"

static long pinned_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "VmPin: %ld", &kb) != 1)
		;
	if (f)
		fclose(f);
	return kb;
}

int main(int argc, char **argv)
{
	size_t bytes = argc == 3 ? strtoul(argv[1], NULL, 0) * MIB : 0;
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = list && list[0] ? ibv_open_device(list[0]) : NULL;
	struct ibv_pd *pd = ctx ? ibv_alloc_pd(ctx) : NULL;
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr = pd && map != MAP_FAILED ? ibv_reg_mr(pd, map, bytes, access) : NULL;
	int fd;

	if (!mr) {
		fprintf(stderr, "odpfs_pin: no registration of %zu bytes: %s\n", bytes,
			strerror(errno));
		return 1;
	}
	printf("VmPin %ld\n", pinned_kb());
	ibv_dereg_mr(mr);
	fd = open(argv[2], O_RDWR);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mr = map != MAP_FAILED ? ibv_reg_mr(pd, map, PAGE, access) : NULL;
	printf("FILE %s\n", mr ? "registered" : strerror(errno));
	if (mr)
		ibv_dereg_mr(mr);
	ibv_dealloc_pd(pd);
	ibv_close_device(ctx);
	ibv_free_device_list(list);
	return 0;
}
