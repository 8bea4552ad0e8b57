// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "hang.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE	 "hang0"
#define IN_HANG	 "ip netns exec hang "
#define SEED	 7
#define BOUND_MS (BOUND_S * 1000)
#define COUNTER	 "/sys/class/infiniband/" DEVICE "/ports/1/hw_counters/fault_rnr"
#define GID	 "0000:0000:0000:0000:0000:ffff:0a58:0001"
#define GID_THERE                                                                                  \
	IN_HANG "grep -rqsx --include='?' " GID " /sys/class/infiniband/" DEVICE "/ports/1/gids/"

/* What the owner is told to do, a byte at a time; it answers with the same byte, or FAILED. */
enum order {
	READY = 'r',
	FAILED = '!',
	POST = 'p',
	MAP = 'm',
	DEREG = 'd',
	COMPLETE = 'c',
	EXIT = 'x'
};

/* By the owner, in memory that it shares with the test. */
struct told {
	uint8_t *addr;
	int fd;
};

static struct {
	const struct hang *hang;
	bool stopped;
	pid_t owner, command;
	int orders, answers, fd;
	struct told *told;
} bed;

int hang_fd(void)
{
	return bed.fd;
}

uint8_t *hang_addr(void)
{
	return bed.told->addr;
}

/* 0 if it has ended by itself within the bound. */
static int await_end(pid_t pid, int *status)
{
	double last = seconds() + BOUND_S;
	int rc;

	while (!(rc = waitpid(pid, status, WNOHANG))) {
		if (seconds() > last)
			return -1;
		usleep(5000);
	}
	return rc == pid ? 0 : -1;
}

void hang_run(const char *command)
{
	int status;

	bed.command = fork();
	assert_true(bed.command >= 0);
	if (!bed.command) {
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	if (await_end(bed.command, &status))
		fail_because("it does not return: %s", command);
	bed.command = 0;
	if (status)
		fail_because("status %#x: %s", status, command);
}

void hang_until(const char *condition)
{
	double last = seconds() + BOUND_S;

	while (system(condition)) {
		if (seconds() > last)
			fail_because("it does not come true: %s", condition);
		usleep(20000);
	}
}

void hang_await_rnr(void)
{
	hang_until("[ $(" IN_HANG "cat " COUNTER ") -gt 0 ]");
}

/* ---- the owner ---- */

struct owner {
	struct pair pair;
	struct buf mine, theirs;
};

static int owner_post(struct owner *o, const struct hang *hang)
{
	struct ibv_sge sge = buf_sge(&o->theirs, 0, HANG_BYTES);
	struct ibv_send_wr wr =
		wr_rdma(hang->read ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, &sge, 1, &o->mine, 0);

	pattern_fill(o->theirs.data, HANG_BYTES, SEED, 0);
	end_post(&o->pair.a, &wr);
	return 0;
}

static int owner_map(void)
{
	void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED || mprotect(map, PAGE, PROT_READ) || munmap(map, PAGE);
}

/* The peer is told that the memory is gone. */
static int owner_dereg(struct owner *o)
{
	struct ibv_wc wc;

	return ibv_dereg_mr(o->mine.mr) || !cq_poll_bounded(o->pair.a.scq, &wc, BOUND_S / 2) ||
	       wc.status != IBV_WC_REM_ACCESS_ERR;
}

static int owner_complete(struct owner *o, const struct hang *hang)
{
	struct ibv_wc wc;

	if (!cq_poll_bounded(o->pair.a.scq, &wc, BOUND_S / 2) || wc.status != IBV_WC_SUCCESS)
		return 1;
	return hang->read ? pattern_differs(o->theirs.data, HANG_BYTES, hang->read_seed, 0,
					    "what was read") :
			    pattern_differs(o->mine.data, HANG_BYTES, SEED, 0, "the memory");
}

static int owner_obey(struct owner *o, const struct hang *hang, char order)
{
	switch (order) {
	case POST:
		return owner_post(o, hang);
	case MAP:
		return owner_map();
	case DEREG:
		return owner_dereg(o);
	case COMPLETE:
		return owner_complete(o, hang);
	default:
		_exit(0);
	}
}

static void owner_open(struct owner *o, const struct hang *hang)
{
	int saved = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open("/run/netns/hang", O_RDONLY | O_CLOEXEC);
	struct conn conn = CONN;

	assert_zero(setns(there, CLONE_NEWNET));
	close(there);
	setenv("RDMA_ODP_DEVICE", DEVICE, 1);
	pair_open(&o->pair, &conn);
	netns_leave(saved);
	buf_make(&o->theirs, o->pair.rig.pd, MEM_ANON, HANG_BYTES, 0, ACCESS_ALL);
	bed.told->fd = -1;
	o->mine = (struct buf){ .fd = -1, .bytes = HANG_BYTES, .map_bytes = HANG_BYTES };
	o->mine.map = hang->map(&bed.told->fd);
	o->mine.data = o->mine.map;
	bed.told->addr = o->mine.data;
	buf_reg(&o->mine, o->pair.rig.pd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
}

static void owner_run(const struct hang *hang, int orders, int answers)
{
	struct owner o;
	char c;

	/* An assertion that fails must not go on with the tests here. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	owner_open(&o, hang);
	c = READY;
	while (write(answers, &c, 1) == 1 && read(orders, &c, 1) == 1)
		if (owner_obey(&o, hang, c))
			c = FAILED;
	_exit(0);
}

/* ---- the test ---- */

static void answer_is(char c)
{
	struct pollfd p = { .fd = bed.answers, .events = POLLIN };
	char got;

	if (poll(&p, 1, BOUND_MS) != 1)
		fail_because("the owner does not come back from '%c'", c);
	if (read(bed.answers, &got, 1) != 1)
		fail_because("the owner ended in '%c'", c);
	if (got != c)
		fail_because("the owner failed in '%c'", c);
}

static void order(char c)
{
	assert_int_equal(write(bed.orders, &c, 1), 1);
}

static void order_done(char c)
{
	order(c);
	answer_is(c);
}

static void owner_start(const struct hang *hang)
{
	int orders[2], answers[2];

	assert_zero(pipe2(orders, O_CLOEXEC));
	assert_zero(pipe2(answers, O_CLOEXEC));
	bed.owner = fork();
	assert_true(bed.owner >= 0);
	if (!bed.owner) {
		close(orders[1]);
		close(answers[0]);
		owner_run(hang, orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	bed.orders = orders[1];
	bed.answers = answers[0];
	answer_is(READY);
	if (bed.told->fd >= 0) {
		int pidfd = syscall(SYS_pidfd_open, bed.owner, 0);

		bed.fd = syscall(SYS_pidfd_getfd, pidfd, bed.told->fd, 0);
		assert_true(bed.fd >= 0);
		close(pidfd);
	}
}

static void request_hangs(const struct hang *hang)
{
	owner_start(hang);
	bed.stopped = true;
	hang->stop();
	order_done(POST);
	hang->await();
}

int hang_setup(void **state)
{
	const struct hang *hang = *state;

	memset(&bed, 0, sizeof(bed));
	bed.hang = hang;
	bed.orders = -1;
	bed.answers = -1;
	bed.fd = -1;
	bed.told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(bed.told, MAP_FAILED);
	return 0;
}

void hang_begin(const struct hang *hang)
{
	if (hang->begin)
		hang->begin();
	hang_run(
		"printf '%s\\n' 'netns add hang' 'link add hangp type veth peer name hangv netns hang' "
		"'link set hangp up' | ip -batch - && "
		"printf '%s\\n' 'link set lo up' 'addr add 10.88.0.1/24 dev hangv' "
		"'link set hangv up' | ip -n hang -batch - && " IN_HANG "rdma link add " DEVICE
		" type rxe_odp netdev hangv && "
		"{ ! rdma dev show " DEVICE " 2>/dev/null >&2 || rdma dev set " DEVICE
		" netns hang; }");
	hang_until(GID_THERE);
	request_hangs(hang);
}

/* Nothing is left that waits, whatever the test has seen. */
static int reap(pid_t pid)
{
	int status;

	if (!pid)
		return 0;
	kill(pid, SIGKILL);
	return await_end(pid, &status);
}

int hang_teardown(void **state)
{
	const struct hang *hang = bed.hang;
	int rc;

	(void)state;
	if (bed.stopped)
		hang->release();
	rc = reap(bed.owner) | reap(bed.command);
	close(bed.orders);
	close(bed.answers);
	if (bed.fd >= 0)
		close(bed.fd);
	rc |= system("{ " IN_HANG "rdma link del " DEVICE "; ip link del hangp; ip netns del hang; "
		     "} 2>/dev/null; [ ! -e /sys/class/net/hangp ]");
	if (hang->end)
		hang->end();
	munmap(bed.told, PAGE);
	return rc;
}

void other_memory_is_mapped(void **state)
{
	hang_begin(*state);
	order_done(MAP);
}

void deregisters(void **state)
{
	hang_begin(*state);
	order_done(DEREG);
	order_done(MAP);
}

void hang_owner_exits(void)
{
	int status;

	order(EXIT);
	if (await_end(bed.owner, &status))
		fail_because("the owner does not end");
	bed.owner = 0;
	assert_int_equal(status, 0);
}

void hang_link_del(void)
{
	hang_run(IN_HANG "rdma link del " DEVICE);
}

/* Its mappings, and with them the device's file, may stay for as long as the fault does. */
void exits(void **state)
{
	hang_begin(*state);
	hang_owner_exits();
	hang_link_del();
}

void is_killed(void **state)
{
	int status;

	hang_begin(*state);
	assert_zero(kill(bed.owner, SIGKILL));
	if (await_end(bed.owner, &status))
		fail_because("the owner does not end");
	bed.owner = 0;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	hang_link_del();
}

void link_goes(void **state)
{
	hang_begin(*state);
	hang_link_del();
}

/* The kernel ends one namespace after the other: when a second has gone as well, nothing stands in the way. */
void namespace_goes(void **state)
{
	hang_begin(*state);
	hang_run("ip netns del hang");
	hang_until("[ ! -e /sys/class/net/hangp ]");
	hang_run("ip netns add hang2 && ip link add hangq type veth peer name hangv netns hang2 && "
		 "ip netns del hang2");
	hang_until("[ ! -e /sys/class/net/hangq ]");
}

void page_comes(void **state)
{
	const struct hang *hang = *state;

	hang_begin(hang);
	bed.stopped = false;
	hang->release();
	order_done(COMPLETE);
	if (hang->check)
		hang->check(SEED);
}
