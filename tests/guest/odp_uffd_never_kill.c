// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A userfaultfd that never answers, under each access of the NIC: a request's source and result, a responder's source and target, a
 * receive buffer, an atomic's word. The owner may be killed in the middle of the fault, may deregister, may destroy
 * its QP, may simply exit: each ends promptly, and other programs' faults are served meanwhile and after. So it is
 * when the owner has more such faults than there are threads for its faults.
 */
#include "pair.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum ending { KILL, EXIT, DEREG, DESTROY };

#define MANY 48

/* Whose page never comes: the requester's own memory, or its peer's. */
static const struct hang {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool local;
} hangs[] = {
	{ "target of a write", IBV_WR_RDMA_WRITE, false },
	{ "source of a write", IBV_WR_RDMA_WRITE, true },
	{ "source of a read", IBV_WR_RDMA_READ, false },
	{ "target of a read", IBV_WR_RDMA_READ, true },
	{ "receive buffer", IBV_WR_SEND, false },
	{ "source of a send", IBV_WR_SEND, true },
	{ "word of an atomic", IBV_WR_ATOMIC_FETCH_AND_ADD, false },
	{ "result of an atomic", IBV_WR_ATOMIC_FETCH_AND_ADD, true },
};

/* What the requester is owed when the memory goes under its request. */
static enum ibv_wc_status owed(const struct hang *hang)
{
	if (hang->local)
		return IBV_WC_LOC_PROT_ERR;
	return hang->opcode == IBV_WR_SEND ? IBV_WC_REM_OP_ERR : IBV_WC_REM_ACCESS_ERR;
}

/* In a child: starts what needs a page that never comes. */
static void hang_there(const struct hang *hang, enum ending ending, int ready)
{
	struct conn conn = CONN;
	struct buf local, remote, *never = hang->local ? &local : &remote;
	struct ibv_sge sge, recv;
	struct ibv_send_wr wr;
	struct pair pair;
	struct uffd uffd;
	struct ibv_wc wc;
	char msg[32];

	pair_open(&pair, &conn);
	buf_make(&local, pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, never->data, PAGE);
	if (hang->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		sge = buf_sge(&local, 0, sizeof(uint64_t));
		wr = wr_atomic(hang->opcode, &sge, &remote, 0, 1, 0);
	} else {
		sge = buf_sge(&local, 0, PAGE);
		wr = wr_rdma(hang->opcode, &sge, 1, &remote, 0);
	}
	recv = buf_sge(&remote, 0, PAGE);
	if (hang->opcode == IBV_WR_SEND)
		end_post_recv(&pair.b, 0, &recv, 1);
	end_post(&pair.a, &wr);
	/* The handler was asked: the fault is under way, and stays so. */
	while (read(uffd.fd, msg, sizeof(msg)) != sizeof(msg))
		usleep(1000);
	if (ibv_poll_cq(pair.a.scq, 1, &wc) || ibv_poll_cq(pair.b.rcq, 1, &wc))
		_exit(2);
	switch (ending) {
	case KILL:
		if (write(ready, "r", 1) != 1)
			_exit(3);
		pause();
		break;
	case EXIT:
		break;
	case DEREG:
		if (ibv_dereg_mr(never->mr))
			_exit(4);
		if (!cq_poll_bounded(pair.a.scq, &wc, BOUND_S / 2) || wc.status != owed(hang))
			_exit(6);
		break;
	case DESTROY:
		if (ibv_destroy_qp(pair.a.qp) || ibv_destroy_qp(pair.b.qp) ||
		    ibv_dereg_mr(never->mr))
			_exit(5);
		break;
	}
	if (ending != KILL && write(ready, "r", 1) != 1)
		_exit(3);
	_exit(0);
}

/* In a child: a write for each of many pages that never come, until it is killed. */
static void hang_on_many(int ready)
{
	static struct end a[MANY], b[MANY];
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct buf from, to;
	struct uffd uffd;
	struct rig rig;
	struct ibv_wc wc;
	char msg[32];
	int i;

	conn.send_wr = 4;
	conn.recv_wr = 4;
	conn.cqe = 4;
	rig_open(&rig);
	buf_make(&from, rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_make(&to, rig.pd, MEM_ANON, MANY * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, to.data, MANY * PAGE);
	sge = buf_sge(&from, 0, 64);
	for (i = 0; i < MANY; i++) {
		ends_open(&a[i], &rig, &b[i], &rig, &conn);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, i * PAGE);
		end_post(&a[i], &wr);
	}
	while (read(uffd.fd, msg, sizeof(msg)) != sizeof(msg))
		usleep(1000);
	/* The others wait behind the first ones: nothing of theirs completes either. */
	usleep(50000);
	for (i = 0; i < MANY; i++)
		if (ibv_poll_cq(a[i].scq, 1, &wc))
			_exit(2);
	if (write(ready, "r", 1) != 1)
		_exit(3);
	pause();
	_exit(0);
}

/* Without a hang: on many. */
static void ends_promptly(const struct hang *hang, enum ending ending)
{
	struct conn conn = CONN;
	struct pair pair;
	int ready[2], status;
	char c;
	pid_t child;

	assert_zero(pipe(ready));
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		alarm(BOUND_S);
		if (!hang)
			hang_on_many(ready[1]);
		hang_there(hang, ending, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		waitpid(child, &status, 0);
		fail_because("%s, ending %d: the child's status is %#x", hang ? hang->name : "many",
			     ending, status);
	}
	close(ready[0]);
	/* Another program's faults are served while that one stands. */
	pair_open(&pair, &conn);
	{
		struct buf from, to;

		buf_make(&from, pair.a.rig->pd, MEM_ANON, 10000, 1,
			 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, 10000, 2,
			 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
		pair_move_checked(&pair, OP_WRITE, &from, &to, 1);
		buf_free(&from);
		buf_free(&to);
	}
	if (ending == KILL)
		kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (ending == KILL)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	pair_assert_works(&pair);
	pair_close(&pair);
}

static void need(void)
{
	struct rig rig;
	struct uffd uffd;
	void *page;

	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	rig_close(&rig);
	page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd_register(&uffd, page, PAGE);
	uffd_close(&uffd);
	munmap(page, PAGE);
}

static void run(enum ending ending)
{
	size_t i;

	need();
	for (i = 0; i < ARRAY_SIZE(hangs); i++)
		ends_promptly(&hangs[i], ending);
}

static void killed(void **state)
{
	(void)state;
	run(KILL);
}
static void killed_with_many(void **state)
{
	(void)state;
	need();
	ends_promptly(NULL, KILL);
}
static void exits(void **state)
{
	(void)state;
	run(EXIT);
}
static void deregisters(void **state)
{
	(void)state;
	run(DEREG);
}
static void destroys(void **state)
{
	(void)state;
	run(DESTROY);
}

TEST_MAIN(TEST(killed), TEST(killed_with_many), TEST(exits), TEST(deregisters), TEST(destroys))
