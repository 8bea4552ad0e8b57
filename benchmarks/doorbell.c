// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What posting costs: writes of 8 bytes a second, posted one by one and in lists, and how long one takes until its target sees it; with
 * librxe, which rings a doorbell for each call; with our provider, which rings none where the kernel promises to look; and with
 * our provider and a thread of the kernel that polls. By turns in one boot, each slice in a process of its own, since a process has
 * one provider. The process is kept on one CPU, the thread on the other.
 */
#include "bench.h"

#include <ctype.h>
#include <dirent.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DEPTH	     128U
#define LIST	     16U
#define SLICE_S	     0.1
#define ROUNDS_ALONE 2000U
#define CALLS	     20000U

enum library { LIBRXE, PROVIDER, POLLED, LIBRARIES };
enum figure { ONE_BY_ONE, LISTS, RINGS_ONE_BY_ONE, RINGS_LISTS, ALONE, NULL_CALL, FIGURES };

static const char *const library_names[] = { "librxe", "librxe_odp", "librxe_odp polled" };
static const struct {
	const char *name, *unit;
} figures_said[] = {
	[ONE_BY_ONE] = { "posts one by one", "thousand a second" },
	[LISTS] = { "posts in lists of 16", "thousand a second" },
	[RINGS_ONE_BY_ONE] = { "doorbells of posts one by one", "for a hundred" },
	[RINGS_LISTS] = { "doorbells of posts in lists of 16", "for a hundred" },
	[ALONE] = { "one write until its target sees it", "us" },
	[NULL_CALL] = { "a null system call", "us" },
};

static unsigned long rung;

/* The libraries' doorbell is a write(). */
ssize_t write(int fd, const void *buf, size_t bytes)
{
	rung++;
	return syscall(SYS_write, fd, buf, bytes);
}

static void keep_on(pid_t pid, unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_zero(sched_setaffinity(pid, sizeof(set), &set));
}

/* The thread that polls, if there is one. */
static pid_t poll_thread(void)
{
	const struct dirent *entry;
	char path[300], name[32];
	DIR *dir = opendir("/proc");
	pid_t found = 0;
	FILE *f;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strcmp(name, "rxe_odp_poll\n"))
			found = atoi(entry->d_name);
		fclose(f);
	}
	closedir(dir);
	return found;
}

static void post_list(struct flow *flow, unsigned int num)
{
	struct ibv_send_wr wrs[LIST], *bad;
	struct ibv_sge sge = {
		.addr = (uintptr_t)flow->from->addr,
		.length = 8,
		.lkey = flow->from->lkey,
	};
	unsigned int i;

	for (i = 0; i < num; i++)
		wrs[i] = (struct ibv_send_wr){
			.next = i + 1 < num ? &wrs[i + 1] : NULL,
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma = { .remote_addr = (uintptr_t)flow->to->addr,
				     .rkey = flow->to->rkey },
		};
	assert_zero(ibv_post_send(flow->a.qp, wrs, &bad));
	flow->posted += num;
}

static void drain(struct flow *flow)
{
	while (flow->posted != flow->done)
		flow_poll_cq(flow, flow->a.scq, &flow->done);
	assert_int_equal(flow->failed, IBV_WC_SUCCESS);
}

/* Keeps the queue full. Thousand posts a second, and doorbells for a hundred. */
static void post_rate(struct flow *flow, unsigned int num, double *rate, double *rings)
{
	double start = seconds(), took;
	unsigned long posted = flow->posted;

	rung = 0;
	do {
		while (flow->posted - flow->done + num <= DEPTH)
			post_list(flow, num);
		flow_poll_cq(flow, flow->a.scq, &flow->done);
	} while (seconds() - start < SLICE_S);
	posted = flow->posted - posted;
	*rings = 100.0 * rung / posted;
	drain(flow);
	took = seconds() - start;
	*rate = posted / took / 1e3;
}

static double alone(struct flow *flow)
{
	static double took[ROUNDS_ALONE];
	volatile uint64_t *from = flow->from->addr, *to = flow->to->addr;
	unsigned int i;

	for (i = 0; i < ROUNDS_ALONE; i++) {
		double start;

		*from = i + 1;
		*to = 0;
		start = seconds();
		post_list(flow, 1);
		while (*to != i + 1)
			;
		took[i] = seconds() - start;
		drain(flow);
	}
	return median(took, ROUNDS_ALONE) * 1e6;
}

static double null_call(void)
{
	double start = seconds();
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (seconds() - start) / CALLS * 1e6;
}

/* In the process of one slice: its figures go to the pipe. */
static int slice(int fd)
{
	double figures[FIGURES];
	struct flow flow;
	struct rig rig;
	pid_t tid;

	driver_open(&rig, OURS);
	tid = poll_thread();
	if (!tid == !!getenv("RXE_ODP_POLL_US"))
		fail_because("there should be a polling thread, or there should be none");
	if (tid)
		keep_on(tid, 1);
	keep_on(0, 0);
	flow_open(&flow, &rig, &rig, 4096, 0);
	alone(&flow);
	post_rate(&flow, 1, &figures[ONE_BY_ONE], &figures[RINGS_ONE_BY_ONE]);
	post_rate(&flow, LIST, &figures[LISTS], &figures[RINGS_LISTS]);
	figures[ALONE] = alone(&flow);
	figures[NULL_CALL] = null_call();
	flow_close(&flow);
	rig_close(&rig);
	return write(fd, figures, sizeof(figures)) == sizeof(figures) ? 0 : 1;
}

/* The environment that a library is chosen by. */
static void choose(enum library library)
{
	if (library == LIBRXE)
		return;
	rig_use_provider(NULL);
	if (library == POLLED)
		setenv("RXE_ODP_POLL_US", "100000", 1);
}

static void run_slice(enum library library, double *figures)
{
	int fds[2], status;
	pid_t pid;

	fflush(stdout);
	assert_zero(pipe(fds));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		choose(library);
		_exit(slice(fds[1]));
	}
	close(fds[1]);
	if (read(fds[0], figures, FIGURES * sizeof(*figures)) !=
	    (ssize_t)(FIGURES * sizeof(*figures)))
		fail_because("no figures of %s", library_names[library]);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	unsigned int round;
	enum library library;
	enum figure figure;
	double one[FIGURES];

	for (round = 1; round <= 4 * ROUNDS; round++) {
		for (library = 0; library < LIBRARIES; library++) {
			run_slice(library, one);
			for (figure = 0; figure < FIGURES; figure++)
				row("doorbell", library_names[library], figures_said[figure].name,
				    "-", 8, 1, round, one[figure], figures_said[figure].unit);
		}
	}
	return 0;
}
