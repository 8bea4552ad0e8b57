// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The owner of a region goes in the middle of its peer's traffic: it exits, is killed, or becomes another program. The
 * peer's requests end with an error, and nothing is left of the owner.
 */
#include "pair.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (256 * KIB)
#define RECVS 8

enum ending { EXIT, KILL, EXEC };

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

/* In a child. Its memory comes and goes while it lives. */
static void own(int from, int to, enum ending ending)
{
	struct conn conn = the_conn();
	struct rig rig;
	struct ibv_sge sge;
	struct buf buf;
	struct end end;
	unsigned int i;

	memset(&end, 0, sizeof(end));
	rig_open(&rig);
	end_create(&end, &rig, &conn);
	buf_make(&buf, rig.pd, MEM_ANON, BYTES, 8, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	tell(to, &end, &buf);
	connect_to(from, &end, &conn);
	sge = buf_sge(&buf, 0, BYTES);
	for (i = 0; i < RECVS; i++)
		end_post_recv(&end, i, &sge, 1);
	tell(to, &end, &buf);
	for (i = 0; i < 20 || ending == KILL; i++) {
		buf_forget(&buf);
		usleep(1000);
	}
	if (ending == EXEC)
		execl("/bin/sleep", "sleep", "0.3", NULL);
	_exit(0);
}

/* Every operation, several in flight, until one fails: how. */
static enum ibv_wc_status traffic(struct end *end, struct buf *local, const struct card *card,
				  unsigned long *done, pid_t kill_it)
{
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						      IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_SEND };
	struct ibv_sge sge;
	struct ibv_wc wc;
	unsigned long i;
	unsigned int sends = 0, in_flight = 0;

	for (i = 0;; i++) {
		enum ibv_wr_opcode opcode = opcodes[i % 4];
		struct ibv_send_wr wr;

		if (opcode == IBV_WR_SEND && sends++ >= RECVS)
			opcode = IBV_WR_RDMA_WRITE;
		sge = buf_sge(local, 0,
			      opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ? 8 : i * 4801 % BYTES);
		wr = wr_make(opcode, &sge, 1);
		if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
			wr.wr.atomic.remote_addr = card->addr;
			wr.wr.atomic.rkey = card->rkey;
		} else {
			wr.wr.rdma.remote_addr = card->addr;
			wr.wr.rdma.rkey = card->rkey;
		}
		end_post(end, &wr);
		if (++in_flight < 4)
			continue;
		wc = cq_wait(end->scq);
		in_flight--;
		if (wc.status != IBV_WC_SUCCESS)
			return wc.status;
		if (++*done == 20 && kill_it)
			assert_zero(kill(kill_it, SIGKILL));
	}
}

static void owner_ends(enum ending ending)
{
	struct conn conn = the_conn();
	enum ibv_wc_status status;
	unsigned long done = 0;
	int up[2], down[2], how;
	struct card card;
	struct buf local;
	struct pair pair;
	struct end end;
	pid_t pid;

	assert_zero(pipe2(up, O_CLOEXEC));
	assert_zero(pipe2(down, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(2 * BOUND_S);
		own(down[0], up[1], ending);
	}
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	memset(&end, 0, sizeof(end));
	end_create(&end, &pair.rig, &conn);
	buf_make(&local, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	connect_to(up[0], &end, &conn);
	tell(down[1], &end, NULL);
	assert_int_equal(read(up[0], &card, sizeof(card)), sizeof(card));
	status = traffic(&end, &local, &card, &done, ending == KILL ? pid : 0);
	/* Its memory goes first, then its queue pair. */
	if (status != IBV_WC_RETRY_EXC_ERR && status != IBV_WC_REM_ACCESS_ERR &&
	    status != IBV_WC_REM_OP_ERR)
		fail_because("the peer is told \"%s\"", ibv_wc_status_str(status));
	printf("after %lu requests: %s\n", done, ibv_wc_status_str(status));
	assert_int_equal(waitpid(pid, &how, 0), pid);
	if (ending == KILL)
		assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
	else
		assert_int_equal(how, 0);
	close(up[0]);
	close(up[1]);
	close(down[0]);
	close(down[1]);
	pair_assert_works(&pair);
	end_close(&end);
	buf_free(&local);
	pair_close(&pair);
}

static void exits(void **state)
{
	(void)state;
	owner_ends(EXIT);
}
static void killed(void **state)
{
	(void)state;
	owner_ends(KILL);
}
static void becomes_another(void **state)
{
	(void)state;
	owner_ends(EXEC);
}

TEST_MAIN(TEST(exits), TEST(killed), TEST(becomes_another))
