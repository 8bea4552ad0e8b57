// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_trace over a page that comes late, by a userfaultfd: its line has the process, the region, the address, how long it took at
 * least and what it waited for; folded, the stack. Other faults are left out where that is asked.
 */
#include "pair.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES	3
#define OUT	"/tmp/tools_trace.out"
#define BEGUN	"/tmp/tools_trace.begun"
#define DONE	"/tmp/tools_trace.done"
#define LATE_US 150000

static char said[64 * KIB];

static void read_out(void)
{
	FILE *f = fopen(OUT, "r");

	assert_non_null(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = 0;
	fclose(f);
}

static pid_t trace_begin(const char *args)
{
	char command[512];
	pid_t child;

	unlink(DONE);
	unlink(BEGUN);
	snprintf(command, sizeof(command),
		 "exec /mnt/tools/odp_trace %s -- sh -c 'touch " BEGUN "; until [ -e " DONE
		 " ]; do sleep 0.1; done' >" OUT " 2>&1",
		 args);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	/* Its command begins when all is traced. */
	while (access(BEGUN, F_OK)) {
		if (waitpid(child, NULL, WNOHANG)) {
			read_out();
			fail_because("odp_trace has ended: '%s'", said);
		}
		usleep(20000);
	}
	return child;
}

static void trace_end(pid_t child)
{
	int status;
	FILE *f = fopen(DONE, "w");

	assert_non_null(f);
	fclose(f);
	assert_int_equal(waitpid(child, &status, 0), child);
	unlink(DONE);
	unlink(BEGUN);
	read_out();
	assert_int_equal(status, 0);
}

/* A write whose middle page comes late by so much at least; where that page is. */
static uint8_t *late_write(struct pair *pair, struct buf *from, struct buf *to)
{
	uint8_t *page = to->data + PAGE;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct uffd uffd;

	assert_zero(madvise(page, PAGE, MADV_DONTNEED));
	uffd_register(&uffd, page, PAGE);
	sge = buf_sge(from, 0, PAGES * PAGE);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, to, 0);
	end_post(&pair->a, &wr);
	assert_ptr_equal(uffd_next(&uffd, 60000), page);
	/* This is how late it is. */
	usleep(LATE_US);
	uffd_give_zeros(&uffd, page, PAGE);
	cq_success(pair->a.scq);
	close(uffd.fd);
	return page;
}

static void a_late_page(void **state)
{
	bool folded = *state;
	struct conn conn = CONN;
	char args[64], text[128];
	struct buf from, to;
	struct pair pair;
	const char *at;
	uint8_t *page;
	pid_t child;
	double took;

	if (access("/sys/kernel/tracing/events/sched/sched_switch/trigger", F_OK))
		skip_because("the kernel cannot trace the stack of a thread that sleeps");
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGES * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	snprintf(args, sizeof(args), "--pid %d --min-us %d%s", getpid(), LATE_US,
		 folded ? " --folded" : "");
	child = trace_begin(args);
	page = late_write(&pair, &from, &to);
	trace_end(child);
	printf("%s", said);
	if (folded) {
		at = strstr(said, "tools_trace;");
		at = at ? strstr(at, "handle_userfault ") : NULL;
		if (!at)
			fail_because("no stack in '%s'", said);
		/* A thread that is woken may have to wait for a CPU, one that sleeps need not begin at once. */
		assert_true(strtod(strchr(at, ' '), NULL) >= LATE_US / 2);
	} else {
		snprintf(text, sizeof(text), "tools_trace/%d region %#lx", getpid(),
			 (unsigned long)to.data);
		if (!strstr(said, text))
			fail_because("no '%s' in '%s'", text, said);
		snprintf(text, sizeof(text), " address %#lx ", (unsigned long)page);
		if (!strstr(said, text))
			fail_because("no '%s' in '%s'", text, said);
		at = strstr(said, "took ");
		assert_non_null(at);
		took = strtod(at + 5, (char **)&at);
		assert_true(took * (*at == 's' ? 1000000 : 1000) >= LATE_US);
		if (!strstr(at, " for userfaultfd"))
			fail_because("not what it waited for: '%s'", said);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
	unlink(OUT);
	if (!system("ls /sys/kernel/tracing/instances | grep -q odp_trace"))
		fail_because("its instance of tracefs is still there");
}

static void what_is_refused(void **state)
{
	(void)state;
	assert_int_not_equal(system("/mnt/tools/odp_trace --for nonsense 2>" OUT), 0);
	read_out();
	assert_non_null(strstr(said, "needs a number"));
	assert_int_not_equal(system("setpriv --reuid=65534 --regid=65534 --clear-groups "
				    "/mnt/tools/odp_trace --for 1 2>" OUT),
			     0);
	read_out();
	assert_non_null(strstr(said, "root alone"));
	unlink(OUT);
}

/* clang-format off */
TEST_MAIN({ "a_late_page", a_late_page, NULL, NULL, NULL },
	  { "a_late_page (folded)", a_late_page, NULL, NULL, (void *)1 }, TEST(what_is_refused))
/* clang-format on */
