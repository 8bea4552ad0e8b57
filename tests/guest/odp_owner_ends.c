// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The owner of a region goes in the middle of its peer's traffic: it exits, is killed, by the OOM killer too, or becomes another
 * program. The peer's requests end with an error, and nothing is left of the owner. Where its queue pair outlives its memory,
 * because another program or a child has the device open, each operation has the very error that it is owed; so has one that
 * waits for a page of a userfaultfd, which would read as zeros once nobody is there to fill it.
 */
#include "cgroup.h"
#include "pair.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES	  (256 * KIB)
#define OOM_BYTES (64 * MIB)
#define OOM_LIMIT "16M"
#define RECVS	  8
#define ENOUGH	  20
#define IN_FLIGHT 4

enum ending {
	EXIT,
	KILL,
	OOM,
	EXEC,
	EXEC_KEEPS, /* the device stays open in what it becomes */
	FORK_KEEPS, /* or in a child, when it exits */
	UNFILLED,   /* likewise, with pages that are missing */
};

/* What either side must know of the other. */
struct card {
	uint32_t qpn, psn, rkey;
	uint64_t addr;
	union ibv_gid gid;
};

static void tell(int fd, const struct end *end, const struct buf *buf)
{
	struct card card = { .qpn = end->qp->qp_num, .psn = end->psn, .gid = end->gid };

	if (buf) {
		card.rkey = buf->mr->rkey;
		card.addr = (uintptr_t)buf->data;
	}
	assert_int_equal(write(fd, &card, sizeof(card)), sizeof(card));
}

static struct card connect_to(int fd, struct end *end, const struct conn *conn)
{
	struct ibv_qp qp = { 0 };
	struct end other = { .qp = &qp };
	struct card card;

	assert_int_equal(read(fd, &card, sizeof(card)), sizeof(card));
	qp.qp_num = card.qpn;
	other.psn = card.psn;
	other.gid = card.gid;
	assert_zero(end_to_init(end, conn));
	assert_zero(end_to_rtr(end, &other, conn));
	assert_zero(end_to_rts(end, conn));
	return card;
}

static struct conn the_conn(void)
{
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	conn.timeout = 17;
	conn.retry_cnt = 3;
	return conn;
}

static size_t region_bytes(enum ending ending)
{
	return ending == OOM ? OOM_BYTES : BYTES;
}

static void until_closed(int fd)
{
	char c;

	while (read(fd, &c, 1) > 0)
		;
}

/* The child has device and userfaultfd, and gives the latter up when the owner has ended. */
static void leave_to_child(int from, int to, struct uffd *uffd)
{
	int owner[2];

	if (pipe(owner))
		_exit(1);
	switch (fork()) {
	case -1:
		_exit(1);
	case 0:
		break;
	default:
		return;
	}
	close(to);
	close(owner[1]);
	until_closed(owner[0]);
	if (uffd)
		close(uffd->fd);
	until_closed(from);
}

static void become_another(int from)
{
	/* cat ends when its peer closes the pipe. */
	dup2(from, STDIN_FILENO);
	execl("/bin/cat", "cat", NULL);
	_exit(1);
}

/* A request of the owner's own that waits for a page which never comes, and has the mm kept. */
static void hang_on(struct rig *rig, struct end *end, const struct card *peer)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct uffd uffd;
	struct buf never;

	buf_make(&never, rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, never.data, PAGE);
	sge = buf_sge(&never, 0, 8);
	wr = wr_make(IBV_WR_RDMA_WRITE, &sge, 1);
	wr.wr.rdma.remote_addr = peer->addr;
	wr.wr.rdma.rkey = peer->rkey;
	end_post(end, &wr);
	while (!uffd_next(&uffd, 100))
		;
}

/* In a child. Its memory comes and goes while it lives, which it does until it is told by its peer, or killed. */
static void own(int from, int to, enum ending ending)
{
	struct pollfd told = { .fd = from, .events = POLLIN };
	struct conn conn = the_conn();
	struct card peer;
	struct ibv_sge sge;
	struct rig rig;
	struct buf buf;
	struct end end;
	struct uffd uffd;
	unsigned int i;
	char c;

	if (ending == OOM && group_enter())
		_exit(1);
	memset(&end, 0, sizeof(end));
	rig_open(&rig);
	end_create(&end, &rig, &conn);
	buf_make(&buf, rig.pd, MEM_ANON, region_bytes(ending), ending == UNFILLED ? 0 : 8,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	tell(to, &end, &buf);
	peer = connect_to(from, &end, &conn);
	sge = buf_sge(&buf, 0, BYTES);
	for (i = 0; i < RECVS; i++)
		end_post_recv(&end, i, &sge, 1);
	if (ending == UNFILLED) {
		hang_on(&rig, &end, &peer);
		buf_forget(&buf);
		uffd_register(&uffd, buf.data, BYTES);
	}
	tell(to, &end, &buf);
	if (ending == UNFILLED) {
		/* Asked for by the peer, which tells nothing. */
		while (!uffd_next(&uffd, 100))
			;
	} else {
		while (!poll(&told, 1, 1))
			if (ending != OOM)
				buf_forget(&buf);
		if (read(from, &c, 1) != 1)
			_exit(1);
	}
	switch (ending) {
	case EXEC_KEEPS:
		fcntl(rig.ctx->cmd_fd, F_SETFD, 0);
		fcntl(rig.ctx->async_fd, F_SETFD, 0);
		become_another(from);
		break;
	case EXEC:
		become_another(from);
		break;
	case FORK_KEEPS:
		leave_to_child(from, to, NULL);
		break;
	case UNFILLED:
		leave_to_child(from, to, &uffd);
		break;
	default:
		break;
	}
	_exit(0);
}

struct peer {
	struct pair pair; /* its own two, which work whatever becomes of the owner */
	struct end end;	  /* connected to the owner's */
	struct buf local;
	struct card card;
	size_t bytes; /* of the owner's region */
	unsigned long asked, done;
	unsigned int sends;
};

static void ask(struct peer *p, enum ibv_wr_opcode opcode, size_t at, size_t bytes)
{
	bool atomic = opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
	struct ibv_sge sge = buf_sge(&p->local, 0, atomic ? 8 : bytes);
	struct ibv_send_wr wr = wr_make(opcode, &sge, 1);

	if (atomic) {
		wr.wr.atomic.remote_addr = p->card.addr + at;
		wr.wr.atomic.rkey = p->card.rkey;
	} else {
		wr.wr.rdma.remote_addr = p->card.addr + at;
		wr.wr.rdma.rkey = p->card.rkey;
	}
	end_post(&p->end, &wr);
}

static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
					      IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_SEND };

/* Every operation in turn, all over the region. One receive is left over. */
static void ask_next(struct peer *p)
{
	enum ibv_wr_opcode opcode = opcodes[p->asked % ARRAY_SIZE(opcodes)];

	if (opcode == IBV_WR_SEND && p->sends++ >= RECVS - 1)
		opcode = IBV_WR_RDMA_WRITE;
	ask(p, opcode, p->asked * BYTES % p->bytes, p->asked * 4801 % BYTES);
	p->asked++;
}

/* Several in flight, until that many have been done or one fails: how. */
static enum ibv_wc_status traffic(struct peer *p, unsigned long enough)
{
	struct ibv_wc wc;

	while (p->done < enough) {
		while (p->asked < enough && p->asked - p->done < IN_FLIGHT)
			ask_next(p);
		wc = cq_wait(p->end.scq);
		if (wc.status != IBV_WC_SUCCESS)
			return wc.status;
		p->done++;
	}
	return IBV_WC_SUCCESS;
}

static void assert_owed(enum ibv_wc_status status)
{
	/* Its memory goes first, then its queue pair. */
	if (status != IBV_WC_RETRY_EXC_ERR && status != IBV_WC_REM_ACCESS_ERR &&
	    status != IBV_WC_REM_OP_ERR)
		fail_because("the peer is told \"%s\"", ibv_wc_status_str(status));
}

/* The owner's memory is gone, its queue pair is not. */
static void assert_told_exactly(struct peer *p, enum ibv_wr_opcode opcode)
{
	cq_expect(p->end.scq, opcode == IBV_WR_SEND ? IBV_WC_REM_OP_ERR : IBV_WC_REM_ACCESS_ERR);
}

static bool keeps(enum ending ending)
{
	return ending == EXEC_KEEPS || ending == FORK_KEEPS || ending == UNFILLED;
}

static void owner_ends(enum ending ending, enum ibv_wr_opcode last)
{
	bool killed = ending == KILL || ending == OOM;
	struct conn conn = the_conn();
	enum ibv_wc_status status;
	int up[2], down[2], how;
	struct peer p;
	pid_t pid;

	assert_zero(pipe2(up, O_CLOEXEC));
	assert_zero(pipe2(down, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(up[0]);
		close(down[1]);
		alarm(2 * BOUND_S);
		own(down[0], up[1], ending);
	}
	close(up[1]);
	close(down[0]);
	memset(&p, 0, sizeof(p));
	p.bytes = region_bytes(ending);
	pair_open(&p.pair, &conn);
	rig_need_odp(&p.pair.rig, 0, 0);
	end_create(&p.end, &p.pair.rig, &conn);
	buf_make(&p.local, p.pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	connect_to(up[0], &p.end, &conn);
	tell(down[1], &p.end, &p.local);
	assert_int_equal(read(up[0], &p.card, sizeof(p.card)), sizeof(p.card));

	status = ending == UNFILLED ? IBV_WC_SUCCESS : traffic(&p, ENOUGH);
	if (status != IBV_WC_SUCCESS)
		fail_because("while the owner lives: \"%s\"", ibv_wc_status_str(status));
	if (ending == UNFILLED)
		ask(&p, last, 0, BYTES);
	else if (ending == KILL)
		assert_zero(kill(pid, SIGKILL));
	else if (ending != OOM)
		assert_int_equal(write(down[1], "", 1), 1);
	if (keeps(ending)) {
		/* Both exit and exec give up the memory before they close files. */
		until_closed(up[0]);
		if (ending != UNFILLED)
			ask(&p, last, 0, BYTES);
		assert_told_exactly(&p, last);
	} else {
		status = traffic(&p, ULONG_MAX);
		assert_owed(status);
		printf("after %lu requests: %s\n", p.done, ibv_wc_status_str(status));
	}
	if (!killed)
		close(down[1]);
	assert_int_equal(waitpid(pid, &how, 0), pid);
	if (killed)
		assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
	else
		assert_int_equal(how, 0);
	if (killed)
		close(down[1]);
	if (ending == FORK_KEEPS || ending == UNFILLED) {
		assert_true(waitpid(-1, &how, 0) > 0);
		assert_int_equal(how, 0);
	}
	close(up[0]);
	pair_assert_works(&p.pair);
	end_close(&p.end);
	buf_free(&p.local);
	pair_close(&p.pair);
}

static void exits(void **state)
{
	(void)state;
	owner_ends(EXIT, 0);
}
static void killed(void **state)
{
	(void)state;
	owner_ends(KILL, 0);
}
static void becomes_another(void **state)
{
	(void)state;
	owner_ends(EXEC, 0);
}

static void killed_for_memory(void **state)
{
	long kills;

	(void)state;
	group_begin();
	assert_zero(write_text(CGROUP "/memory.max", OOM_LIMIT));
	write_text(CGROUP "/memory.swap.max", "0");
	kills = group_oom_kills();
	owner_ends(OOM, 0);
	assert_true(group_oom_kills() > kills);
}

static void each_operation(enum ending ending)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++)
		owner_ends(ending, opcodes[i]);
}

static void becomes_another_with_the_device(void **state)
{
	(void)state;
	each_operation(EXEC_KEEPS);
}

static void leaves_the_device_to_a_child(void **state)
{
	(void)state;
	/* The owner's child is to be waited for, too. */
	assert_zero(prctl(PR_SET_CHILD_SUBREAPER, 1));
	each_operation(FORK_KEEPS);
}

static void leaves_pages_unfilled(void **state)
{
	(void)state;
	assert_zero(prctl(PR_SET_CHILD_SUBREAPER, 1));
	each_operation(UNFILLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(exits),
					    TEST(killed),
					    TEST(killed_for_memory),
					    TEST(becomes_another),
					    TEST(becomes_another_with_the_device),
					    TEST(leaves_the_device_to_a_child),
					    TEST(leaves_pages_unfilled) };
	int rc = test_run(tests, ARRAY_SIZE(tests));

	group_end();
	return rc;
}
