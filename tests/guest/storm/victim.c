// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "victim.h"
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int victim(bool never, enum deed end)
{
	struct ibv_send_wr wr, *bad;
	struct conn conn = CONN;
	struct buf from, to, late;
	struct ibv_sge sge;
	struct uffd uffd;
	struct pair one;
	struct end c, d;
	struct ibv_wc wc;
	unsigned int i;

	conn.timeout = 19; /* as the workers have it */
	pair_open(&one, &conn);
	ends_open(&c, &one.rig, &d, &one.rig, &conn);
	buf_make(&from, one.rig.pd, MEM_ANON, 64 * KIB, 5, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&to, one.rig.pd, MEM_SHARED, 64 * KIB, 7, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&late, one.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	sge = buf_sge(&from, 0, 64);
	if (never) {
		uffd_register(&uffd, late.data, PAGE);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &late, 0);
		end_post(&c, &wr);
	}
	for (i = 0;; i++) {
		buf_forget(i & 1 ? &to : &from);
		sge = buf_sge(&from, 0, from.bytes);
		wr = wr_rdma(i % 3 ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, &sge, 1, &to, 0);
		if (ibv_post_send(one.a.qp, &wr, &bad))
			return 2;
		if (i == 1 && write(STDOUT_FILENO, "", 1) != 1)
			return 3;
		if (i >= 3 && end == EXITED)
			return 0;
		if (i >= 3 && end == EXECUTED)
			execl("/bin/true", "true", NULL);
		while (!ibv_poll_cq(one.a.scq, 1, &wc))
			usleep(20);
		if (wc.status != IBV_WC_SUCCESS)
			return 4;
	}
}

static void one_victim(struct rnd *r, enum deed end)
{
	char *never = rnd_one_in(r, 3) ? "never" : "", how[8], byte;
	int fds[2], status;
	pid_t pid;

	snprintf(how, sizeof(how), "%d", end);
	if (pipe2(fds, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], STDOUT_FILENO);
		execl("/proc/self/exe", "victim", how, never, NULL);
		_exit(5);
	}
	close(fds[1]);
	/* A victim that has no memory or no device left fails; that is seen by its status. */
	if (read(fds[0], &byte, 1) == 1 && end == KILLED) {
		usleep(rnd_below(r, 20000));
		kill(pid, SIGKILL);
	}
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid ||
	    (end == KILLED ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status))
		failed(&workers[0], "another owner ended with status %#x", status);
	deed_count(end, 0, 0);
}

void *victims(void *rnd)
{
	struct rnd *r = rnd;

	unsigned int n;

	for (n = 0; !storm_stop || n < DEEDS - KILLED; n++) {
		one_victim(r, KILLED + n % (DEEDS - KILLED));
		usleep(rnd_below(r, 100000));
	}
	return NULL;
}
