// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Pages that the region brings in, and the table's own memory, are charged to the cgroup of the owner, not of the threads that
 * bring them in; a cgroup that is too small takes the owner and nobody else.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "pattern.h"
#include "slab.h"
#include "umem.h"

/* In the group: how much of what the region brings in is charged to it. */
static int charged(int fd)
{
	size_t bytes = 32 * MIB;
	long before, after;
	uint8_t *map;

	if (group_enter())
		return 1;
	map = umem_map(bytes);
	before = read_number(CGROUP "/memory.current", -1);
	if (umem_create(fd, map, bytes, UMEM_SELFTEST_WRITE) || umem_fault(fd, map, bytes, true))
		return 2;
	after = read_number(CGROUP "/memory.current", -1);
	printf("charged %ld KiB for %zu KiB\n", (after - before) / 1024, bytes / 1024);
	return after - before < (long)bytes ? 3 : 0;
}

/* A child enters the group and is charged; 0 if that is right. */
static void charged_child(int (*charge)(int fd))
{
	int fd, status;
	pid_t pid;

	group_begin();
	fd = umem_open();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(charge(fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	umem_close(fd);
}

static void the_owner_is_charged(void **state)
{
	(void)state;
	charged_child(charged);
}

/* In the group: pages so far apart that the table's search tree has a node for each of them. It is charged like all of the table. */
static int charged_for_the_tree(int fd)
{
	size_t bytes = 64 * TIB, at;
	long nodes, want;
	double last;
	uint8_t *map = umem_map_aligned(bytes, GIB);

	if (group_enter() || umem_create(fd, map, bytes, UMEM_SELFTEST_WRITE))
		return 1;
	madvise(map, bytes, MADV_NOHUGEPAGE);
	nodes = slab_bytes("radix_tree_node", false);
	want = group_slab_bytes();
	for (at = 0; at < bytes; at += 64 * GIB)
		if (umem_fault(fd, map + at, 1, true))
			return 2;
	nodes = slab_bytes("radix_tree_node", false) - nodes;
	want += (umem_stats(fd).table_bytes + nodes) * 98 / 100;
	for (last = seconds() + 60; group_slab_bytes() < want && seconds() < last;)
		usleep(100000);
	printf("charged %ld bytes for a table of %llu and nodes of %ld\n", group_slab_bytes(),
	       (unsigned long long)umem_stats(fd).table_bytes, nodes);
	return group_slab_bytes() < want ? 3 : 0;
}

static void the_tree_of_the_table_is_charged(void **state)
{
	(void)state;
	charged_child(charged_for_the_tree);
}

static void the_oom_killer_takes_the_owner(void **state)
{
	uint8_t *mine = umem_map(HUGE_BYTES), byte;
	int fd, other, status;
	pid_t pid;

	(void)state;
	group_begin();
	fd = umem_open();
	other = umem_region(mine, HUGE_BYTES);
	assert_zero(write_text(CGROUP "/memory.max", "16M"));
	write_text(CGROUP "/memory.swap.max", "0");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		uint8_t *map = umem_map(64 * MIB);

		if (group_enter() || umem_create(fd, map, 64 * MIB, UMEM_SELFTEST_WRITE))
			_exit(1);
		_exit(umem_fault(fd, map, 64 * MIB, true) ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* It was killed, or told that there is no memory; that there was enough is impossible. */
	assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
		    (WIFEXITED(status) && WEXITSTATUS(status) == 2));
	print_message("the owner was %s\n", WIFSIGNALED(status) ? "killed" : "told");
	/* Others go on. */
	umem_fill(other, mine, HUGE_BYTES, 1);
	pattern_check(mine, HUGE_BYTES, 1, 0, "the other region");
	assert_true(umem_from(fd, mine, &byte, 1, 0, NULL) < 0);
	umem_close(fd);
	umem_close(other);
	group_end();
	munmap(mine, HUGE_BYTES);
}

TEST_MAIN(TEST(the_owner_is_charged), TEST(the_tree_of_the_table_is_charged),
	  TEST(the_oom_killer_takes_the_owner))
