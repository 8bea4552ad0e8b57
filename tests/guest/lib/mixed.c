// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "mixed.h"

#include <sys/wait.h>
#include <unistd.h>

/*
 * Stock rxe's device stays in the initial namespace, so that is its end; ours can live in the other. Up to Linux 6.12 it
 * takes the port when its module is loaded.
 */
static const char set_up[] =
	"modinfo rdma_rxe >/dev/null 2>&1 || exit 77\n"
	"export LINK_NAME=mixed\n"
	"/odp/host/links down\n"
	"/odp/host/links up && rdma link delete mixed0 && modprobe rdma_rxe || exit 1\n"
	"rdma link add mixed0 type rxe netdev veth0 || exit 1\n"
	"gids=/sys/class/infiniband/mixed0/ports/1/gids\n"
	"for i in $(seq 100); do\n"
	"	grep -qsx 0000:0000:0000:0000:0000:ffff:0a4d:0001 $gids/? &&\n"
	"		grep -qsx fd77:0000:0000:0000:0000:0000:0000:0001 $gids/? && exit 0\n"
	"	sleep 0.1\n"
	"done\n"
	"exit 1\n";

static const char tear_down[] = "LINK_NAME=mixed /odp/host/links down\n"
				"rdma link delete mixed0 2>/dev/null\n"
				"for i in $(seq 100); do\n"
				"	[ \"$(cat /sys/module/rdma_rxe/refcnt)\" != 0 ] || break\n"
				"	sleep 0.1\n"
				"done\n"
				"rmmod rdma_rxe && /odp/host/links reset\n";

int mixed_run(const struct CMUnitTest *tests, size_t count)
{
	int rc = system(set_up), status;
	pid_t child;

	if (WIFEXITED(rc) && WEXITSTATUS(rc) == 77) {
		printf("SKIP: this kernel has no rdma_rxe\n");
		return 77;
	}
	if (rc) {
		printf("no link of rdma_rxe facing one of ours\n");
		return 1;
	}
	setenv("RDMA_ODP_DEVICE", "mixed0", 1);
	/* In a child: the stock driver cannot delete a link that a failed test has left open. */
	fflush(stdout);
	child = fork();
	if (!child)
		exit(test_run(tests, count));
	rc = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ?
		     WEXITSTATUS(status) :
		     1;
	if (system(tear_down)) {
		printf("the links are not as they were\n");
		return 1;
	}
	return rc;
}
