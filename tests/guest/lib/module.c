// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "module.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *loaded;
static pid_t loader;

/* A module that stays would hold ours in the kernel behind the test: a test that failed left its files open. */
static void unload(void)
{
	if (getpid() != loader)
		return;
	close_range(STDERR_FILENO + 1, ~0U, 0);
	if (syscall(SYS_delete_module, loaded, O_NONBLOCK))
		perror(loaded);
}

static void load(const char *module)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/odp/host/modules/%s.ko", module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_because("%s: %s", path, strerror(errno));
	assert_zero(syscall(SYS_finit_module, fd, "", 0));
	close(fd);
	assert_null(loaded);
	loaded = module;
	loader = getpid();
	atexit(unload);
}

int module_open(const char *module, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	if (access(path, F_OK))
		load(module);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail_because("%s: %s", path, strerror(errno));
	return fd;
}
