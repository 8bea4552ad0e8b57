// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The fault threads of a process that waits for pages of a userfaultfd: they are in its cgroup and on its CPUs, they are few, however
 * many pages it asks for, and they go when nothing is waited for any more. Then the cgroup can be removed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "mem.h"
#include "umem.h"

#define PAGES	   2000U
#define BYTES	   (PAGES * PAGE_BYTES)
#define THREAD	   "umem_odp_fault\n"
#define MOST	   16 /* threads for a process */
#define THREADS	   256
#define BOUND_MS   60000
#define TEXT_BYTES 4096

/* ---- the owner: a child in the cgroup ---- */

enum { HANGS = 'h', RELEASE = 'r', CLOSE = 'c' };

static struct {
	pid_t pid;
	int orders, answers;
} owner;

static void owner_run(int orders, int answers)
{
	uint8_t *map = umem_map(BYTES);
	struct uffd uffd;
	char c = HANGS;
	int fd;

	/* An assertion that fails must not go on with the tests here. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	if (group_enter())
		_exit(1);
	uffd_register(&uffd, map, BYTES);
	fd = umem_region(map, BYTES);
	assert_zero(umem_crowd(fd, map, PAGE_BYTES, PAGES, true));
	assert_true(uffd_await(&uffd, MOST + 1) > 0);
	while (write(answers, &c, 1) == 1 && read(orders, &c, 1) == 1) {
		if (c == RELEASE)
			uffd_give_zeros(&uffd, map, BYTES);
		else
			umem_close(fd);
	}
	_exit(0);
}

static void answer_is(char c)
{
	struct pollfd p = { .fd = owner.answers, .events = POLLIN };
	char got = 0;

	assert_int_equal(poll(&p, 1, BOUND_MS), 1);
	assert_int_equal(read(owner.answers, &got, 1), 1);
	assert_int_equal(got, c);
}

static void order(char c)
{
	assert_int_equal(write(owner.orders, &c, 1), 1);
	answer_is(c);
}

static void owner_start(void)
{
	int orders[2], answers[2];

	assert_zero(pipe2(orders, O_CLOEXEC));
	assert_zero(pipe2(answers, O_CLOEXEC));
	owner.pid = fork();
	assert_true(owner.pid >= 0);
	if (!owner.pid) {
		close(orders[1]);
		close(answers[0]);
		owner_run(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	owner.orders = orders[1];
	owner.answers = answers[0];
	answer_is(HANGS);
}

static void owner_end(void)
{
	int status;

	if (!owner.pid)
		return;
	kill(owner.pid, SIGKILL);
	waitpid(owner.pid, &status, 0);
	close(owner.orders);
	close(owner.answers);
	memset(&owner, 0, sizeof(owner));
}

/* ---- the threads ---- */

/* A file of a thread of any process; false if it has gone. */
static bool read_thread(pid_t tid, const char *name, char *text)
{
	char path[64];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	len = fread(text, 1, TEXT_BYTES - 1, f);
	text[len] = 0;
	fclose(f);
	return len > 0;
}

/* The fault threads that wait in a userfaultfd: all there are, or those among the threads of a process. */
static unsigned int hung_of(const char *dir, pid_t *tids, unsigned int num)
{
	char text[TEXT_BYTES];
	struct dirent *entry;
	DIR *d = opendir(dir);
	pid_t tid;

	while (d && (entry = readdir(d))) {
		tid = strtol(entry->d_name, NULL, 10);
		if (tid <= 0 || num == THREADS || !read_thread(tid, "comm", text) ||
		    strcmp(text, THREAD) || !read_thread(tid, "stack", text) ||
		    !strstr(text, " handle_userfault+"))
			continue;
		tids[num++] = tid;
	}
	if (d)
		closedir(d);
	return num;
}

/* Threads of the kernel, and threads of the owner, if it is those. */
static unsigned int hung(pid_t *tids)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d/task", owner.pid);
	return hung_of(dir, tids, hung_of("/proc", tids, 0));
}

/* How many fault threads are in the group, whatever they do. */
static unsigned int in_group(void)
{
	FILE *f = fopen(CGROUP "/cgroup.threads", "re");
	char text[TEXT_BYTES];
	unsigned int num = 0;
	int tid;

	assert_non_null(f);
	while (fscanf(f, "%d", &tid) == 1)
		num += read_thread(tid, "comm", text) && !strcmp(text, THREAD);
	fclose(f);
	return num;
}

static void until_none_is_in_group(void)
{
	double last = seconds() + BOUND_MS / 1000.0;

	while (in_group()) {
		if (seconds() > last)
			fail_because("%u fault threads stay in the group", in_group());
		usleep(20000);
	}
}

/* ---- the tests ---- */

/* The module is loaded here for the owners, and goes with this process. */
static int begin(void **state)
{
	(void)state;
	umem_close(umem_open());
	group_begin();
	return 0;
}

static int end(void **state)
{
	(void)state;
	owner_end();
	group_end();
	return 0;
}

static void owners_cgroup(void **state)
{
	char mine[TEXT_BYTES], theirs[TEXT_BYTES];
	pid_t tids[THREADS];
	unsigned int i, num;

	(void)state;
	owner_start();
	num = hung(tids);
	print_message("%u threads wait for %u pages\n", num, PAGES);
	assert_true(num > 0);
	assert_true(read_thread(owner.pid, "cgroup", mine));
	for (i = 0; i < num; i++) {
		assert_true(read_thread(tids[i], "cgroup", theirs));
		assert_string_equal(theirs, mine);
	}
}

static void few(void **state)
{
	pid_t tids[THREADS];

	(void)state;
	owner_start();
	assert_in_range(hung(tids), 1, MOST);
	assert_in_range(in_group(), 1, MOST);
}

static bool on_cpu(pid_t tid, const char *cpu)
{
	char text[64];
	FILE *f;
	int rc;

	snprintf(text, sizeof(text), "grep -qx 'Cpus_allowed_list:.%s' /proc/%d/status", cpu, tid);
	f = popen(text, "re");
	assert_non_null(f);
	rc = pclose(f);
	return !rc;
}

static void owners_cpus(void **state)
{
	static const char *const cpus[] = { "1", "0" };
	pid_t tids[THREADS];
	unsigned int i, c, num;

	(void)state;
	if (!group_control("cpuset"))
		skip_because("no cpuset controller");
	assert_zero(write_text(CGROUP "/cpuset.cpus", "1"));
	owner_start();
	num = hung(tids);
	assert_true(num > 0);
	for (c = 0; c < ARRAY_SIZE(cpus); c++) {
		assert_zero(write_text(CGROUP "/cpuset.cpus", cpus[c]));
		for (i = 0; i < num; i++)
			if (!on_cpu(tids[i], cpus[c]))
				fail_because("thread %d may run elsewhere than on CPU %s", tids[i],
					     cpus[c]);
	}
}

/* They count as the process's own. The kernel refuses none that joins a cgroup: pids.max binds what the process still forks. */
static void counted_by_the_pids_controller(void **state)
{
	pid_t tids[THREADS];
	unsigned int num;

	(void)state;
	if (!group_control("pids"))
		skip_because("no pids controller");
	owner_start();
	num = hung(tids);
	assert_true(num > 0);
	assert_true(read_number(CGROUP "/pids.current", 0) > num);
}

/* The process lives on, and so does its cgroup; with the process the cgroup can go. */
static void until_none_is_needed(void)
{
	until_none_is_in_group();
	owner_end();
	until_none_is_in_group();
	assert_zero(rmdir(CGROUP));
}

static void gone_when_pages_come(void **state)
{
	(void)state;
	owner_start();
	assert_true(in_group() > 0);
	order(RELEASE);
	order(CLOSE);
	until_none_is_needed();
}

static void gone_when_the_region_goes(void **state)
{
	pid_t tids[THREADS];

	(void)state;
	owner_start();
	assert_true(in_group() > 0);
	order(CLOSE);
	until_none_is_needed();
	assert_int_equal(hung(tids), 0);
}

static void gone_with_the_process(void **state)
{
	(void)state;
	owner_start();
	assert_true(in_group() > 0);
	owner_end();
	until_none_is_in_group();
	assert_zero(rmdir(CGROUP));
}

#define GROUP_TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

TEST_MAIN(GROUP_TEST(owners_cgroup), GROUP_TEST(few), GROUP_TEST(owners_cpus),
	  GROUP_TEST(counted_by_the_pids_controller), GROUP_TEST(gone_when_pages_come),
	  GROUP_TEST(gone_when_the_region_goes), GROUP_TEST(gone_with_the_process))
