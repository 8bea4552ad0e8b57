/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A memory cgroup of the test's own. */
#ifndef TESTS_GUEST_CGROUP_H
#define TESTS_GUEST_CGROUP_H

#include <stdbool.h>

#define CGROUP_ROOT "/tmp/rdma_odp_cgroup"
#define CGROUP	    CGROUP_ROOT "/test"

/* Skips the test where there is no memory controller. */
void group_begin(void);
/* When nobody is in it any longer. */
void group_end(void);
/* The calling process goes there: 0 or -errno. */
int group_enter(void);
/*
 * Calls fn in a child inside of a group with this memory.max, and fails the test if it returns another than 0 (the step that
 * went wrong: it must not leave by an assertion), or if the OOM killer has taken anybody.
 */
void group_run(int (*fn)(void), const char *memory_max);
/* What is charged to the group, in bytes. For the child. */
long group_bytes(void);
/* Has the group this controller ("pids") from now on? group_end() takes it away again. */
bool group_control(const char *controller);
/* How many of it the OOM killer has taken. */
long group_oom_kills(void);
/* What the kernel has allocated for it in slabs. The sum is brought up to date now and then: wait for what is expected. */
long group_slab_bytes(void);

#endif
