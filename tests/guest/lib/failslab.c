// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "failslab.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#define DEBUGFS "/sys/kernel/debug"

void fail_set(const char *injector, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", injector, name);
	assert_zero(write_text(path, value));
}

void fail_begin(const char *injector)
{
	char path[128];

	mount("none", DEBUGFS, "debugfs", 0, NULL);
	snprintf(path, sizeof(path), DEBUGFS "/%s/probability", injector);
	if (access(path, W_OK))
		skip_because("no %s in this kernel", injector);
	/* Each failure tells its call trace otherwise. */
	fail_set(injector, "verbose", "0");
	fail_set(injector, "ignore-gfp-wait", "N");
}

void failslab_set(const char *name, const char *value)
{
	fail_set("failslab", name, value);
}

void failslab_begin(void)
{
	fail_begin("failslab");
}

int fail_nth_open(void)
{
	/* Before it is needed: a path lookup allocates too. */
	int file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	if (file < 0)
		skip_because("no fail-nth in this kernel");
	return file;
}

void fail_nth(int file, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	assert_int_equal(pwrite(file, text, len, 0), len);
}

unsigned int fail_nth_left(int file)
{
	char text[16] = "";

	assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
	return atoi(text);
}

void fail_pages_too(bool too)
{
	const char *injector = "fail_page_alloc";

	fail_begin(injector);
	/* No allocation is of order 20. */
	fail_set(injector, "min-order", too ? "0" : "20");
	fail_set(injector, "ignore-gfp-highmem", too ? "N" : "Y");
}

unsigned int pick_fault_threads(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	unsigned int n = 0;
	char path[300], comm[32];

	assert_non_null(proc);
	while ((e = readdir(proc))) {
		int fd, len;

		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		len = read(fd, comm, sizeof(comm));
		close(fd);
		if (len != 15 || memcmp(comm, "umem_odp_fault\n", 15))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", e->d_name);
		n += !write_text(path, "1");
	}
	closedir(proc);
	return n;
}
