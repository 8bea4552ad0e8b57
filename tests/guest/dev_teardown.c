// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The end in the middle of it: links, netdevs, namespaces, modules and processes go while peers write to on-demand
 * regions whose pages go too, and while a fault waits for a page that never comes. Each ends promptly, nothing is left,
 * and the links come again. Kernel memory is counted from the first of these ends to the last; on uml the kernel tells by
 * itself what a module has not freed when it goes.
 *
 * rdma-odp: timeout 120
 */
#include "method.h"
#include "mw.h"

#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 2

/* Waits for a page that never comes, in a call of the device. */
static void *prefetch_and_wait(void *arg)
{
	const struct buf *never = arg;
	struct ibv_sge sge = { (uintptr_t)never->data, PAGE, never->mr->lkey };

	mr_advise(never->mr->pd, IBV_ADVISE_MR_ADVICE_PREFETCH, IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	return NULL;
}

/*
 * Writes over the wire for ever, to memory that it drops again and again, by its own key and through windows, of which one was
 * made before it; tells when the first has arrived.
 */
static void traffic(int tell)
{
	struct buf from, to, never;
	struct conn conn = CONN;
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;
	struct uffd uffd;
	struct pair pair;
	struct end c, d;
	struct ibv_mw *mws[2];
	struct ibv_wc wc;
	pthread_t thread;
	unsigned long i;

	conn.wire = true;
	pair_open(&pair, &conn);
	ends_open(&c, &pair.rig, &d, &pair.peer, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 32 * KIB, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	mws[0] = mw_make(pair.b.rig->pd, IBV_MW_TYPE_1);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 32 * KIB, 0,
		 ACCESS_ALL | IBV_ACCESS_MW_BIND | IBV_ACCESS_ON_DEMAND);
	mws[1] = mw_make(pair.b.rig->pd, IBV_MW_TYPE_2);
	for (i = 0; i < 2; i++)
		mw_bind(&pair.b, mws[i], &to, 0, to.bytes, ACCESS_WINDOW);
	buf_make(&never, pair.b.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, never.data, PAGE);
	sge = buf_sge(&from, 0, 64);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &never, 0);
	end_post(&c, &wr);
	/* And one that is prefetched, and waited for as well, where our methods are known. */
	sge = (struct ibv_sge){ (uintptr_t)never.data, PAGE, never.mr->lkey };
	mr_advise(pair.b.rig->pd, IBV_ADVISE_MR_ADVICE_PREFETCH, 0, &sge, 1);
	if (pthread_create(&thread, NULL, prefetch_and_wait, &never))
		_exit(1);
	for (i = 0;; i++) {
		buf_forget(i & 1 ? &to : &from);
		sge = buf_sge(&from, 0, from.bytes);
		wr = wr_rdma(i % 3 ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, &sge, 1, &to, 0);
		if (i % 4 < 2)
			wr.wr.rdma.rkey = mws[i % 2]->rkey;
		/* When the device has gone, nothing may ever come: the parent kills us. */
		if (ibv_post_send(pair.a.qp, &wr, &bad))
			pause();
		while (!ibv_poll_cq(pair.a.scq, 1, &wc))
			usleep(20);
		if (!i && write(tell, "", 1) != 1)
			_exit(1);
	}
}

static pid_t start_child(void)
{
	char byte;
	int fds[2];
	pid_t pid;

	assert_zero(pipe2(fds, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		traffic(fds[1]);
		_exit(1);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		fail_because("the traffic does not start");
	close(fds[0]);
	return pid;
}

static void run(const char *cmd)
{
	int rc = system(cmd);

	if (rc)
		fail_because("%s: status %d", cmd, rc);
}

/* Where KASAN is, this gives back what it keeps of the memory that was freed. */
static void slabs_shrink(void)
{
	glob_t found;
	size_t i;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_WRONLY);

		if (fd < 0)
			continue;
		if (write(fd, "1", 1) < 0)
			printf("%s: %m\n", found.gl_pathv[i]);
		close(fd);
	}
	globfree(&found);
}

static long kernel_kb(void)
{
	char line[100];
	long kb = 0, n;
	FILE *f;

	/* What waits for a grace period is given back first. */
	usleep(300000);
	slabs_shrink();
	f = fopen("/proc/meminfo", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "SUnreclaim: %ld", &n) == 1 ||
		    sscanf(line, "VmallocUsed: %ld", &n) == 1)
			kb += n;
	fclose(f);
	return kb;
}

/* Behind the first end of all: what the kernel makes once and keeps is there. */
static long first_kb;

static void end_by(const char *cmd)
{
	pid_t pids[CHILDREN];
	int i, status;
	long kb;

	for (i = 0; i < CHILDREN; i++)
		pids[i] = start_child();
	if (cmd)
		run(cmd);
	for (i = 0; i < CHILDREN; i++) {
		assert_zero(kill(pids[i], SIGKILL));
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status));
	}
	run("/odp/host/links reset");
	kb = kernel_kb();
	first_kb = first_kb ?: kb;
	printf("%s: kernel memory %ld KiB, %ld after the first\n", cmd ?: "kill", kb, first_kb);
	assert_true(kb - first_kb < (slow_kernel() ? 4096 : 1024));
}

static void process(void **state)
{
	(void)state;
	end_by(NULL);
	end_by(NULL);
}
static void link_deleted(void **state)
{
	(void)state;
	end_by("timeout 30 rdma link delete rxe_odp0");
}
static void netdev(void **state)
{
	(void)state;
	end_by("timeout 30 ip link del veth0");
}
static void namespace(void **state)
{
	(void)state;
	end_by("timeout 30 ip netns del peer");
}
static void module(void **state)
{
	(void)state;
	end_by("timeout 30 rmmod rxe_odp && timeout 30 rmmod umem_odp");
}

TEST_MAIN(TEST(process), TEST(link_deleted), TEST(netdev), TEST(namespace), TEST(module))
