// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "cgroup.h"
#include "test.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *extra[4];

void group_begin(void)
{
	mkdir(CGROUP_ROOT, 0755);
	if (mount("none", CGROUP_ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		skip_because("no cgroup2: %s", strerror(errno));
	if (write_text(CGROUP_ROOT "/cgroup.subtree_control", "+memory"))
		skip_because("no memory controller");
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		skip_because("no cgroup: %s", strerror(errno));
}

bool group_control(const char *controller)
{
	char text[32];
	size_t i;

	snprintf(text, sizeof(text), "+%s", controller);
	if (write_text(CGROUP_ROOT "/cgroup.subtree_control", text))
		return false;
	for (i = 0; extra[i] && strcmp(extra[i], controller); i++)
		;
	extra[i] = controller;
	return true;
}

void group_end(void)
{
	char text[32];
	size_t i;

	rmdir(CGROUP);
	for (i = 0; i < ARRAY_SIZE(extra) && extra[i]; i++) {
		snprintf(text, sizeof(text), "-%s", extra[i]);
		write_text(CGROUP_ROOT "/cgroup.subtree_control", text);
		extra[i] = NULL;
	}
	umount(CGROUP_ROOT);
	rmdir(CGROUP_ROOT);
}

int group_enter(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return write_text(CGROUP "/cgroup.procs", pid);
}

static long group_number(const char *name, const char *field)
{
	char path[100], line[100];
	size_t len = strlen(field);
	long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && sscanf(line + len, " %ld", &n) == 1)
			break;
	fclose(f);
	return n;
}

long group_oom_kills(void)
{
	return group_number("memory.events", "oom_kill ");
}

long group_slab_bytes(void)
{
	return group_number("memory.stat", "slab ");
}

long group_bytes(void)
{
	return read_number(CGROUP "/memory.current", -1);
}

void group_run(int (*fn)(void), const char *memory_max)
{
	int status;
	pid_t pid;

	group_begin();
	assert_zero(write_text(CGROUP "/memory.max", memory_max));
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		status = group_enter() ? -1 : fn();
		fflush(stdout);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(group_oom_kills(), 0);
	group_end();
}
