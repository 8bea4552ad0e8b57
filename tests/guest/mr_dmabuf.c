// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions of dma-bufs: every operation to and from them, of exporters whose memory stays and of ones that pin it; where they end,
 * what is refused, and buffers that outlive their owner's descriptor or are taken back from under a peer.
 */
#include "dmabuf.h"
#include "method.h"
#include "pair.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 50001UL

static void every_operation(enum exporter exporter, uint32_t flags)
{
	struct conn conn = CONN;
	struct buf plain, remote, local;
	struct pair pair;
	uint64_t sum = 77;
	enum op op;

	pair_open(&pair, &conn);
	buf_make(&plain, pair.rig.pd, MEM_ANON, BYTES, 1, ACCESS_ALL);
	dmabuf_make(&remote, pair.rig.pd, exporter, flags, BYTES, 808, ACCESS_ALL);
	dmabuf_make(&local, pair.rig.pd, exporter, flags, BYTES, 3, ACCESS_ALL);
	for (op = 0; op < OP_KINDS; op++) {
		pair_move_checked(&pair, op, &plain, &remote, 10 + op);
		pair_move_checked(&pair, op, &remote, &plain, 20 + op);
		pair_move_checked(&pair, op, &local, &remote, 30 + op);
	}
	memcpy(remote.data, &sum, sizeof(sum));
	pair_add_checked(&pair, &plain, &remote, &sum);
	pair_add_checked(&pair, &local, &remote, &sum);
	/* As around any other device's work. */
	dmabuf_sync(remote.fd, true);
	dmabuf_sync(remote.fd, false);
	pair_add_checked(&pair, &plain, &remote, &sum);
	dmabuf_free(&local);
	dmabuf_free(&remote);
	buf_free(&plain);
	pair_close(&pair);
}

static void memory_that_stays(void **state)
{
	every_operation(EXPORTER_OURS, 0);
}

static void memory_that_moves(void **state)
{
	every_operation(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES);
}

static void udmabuf(void **state)
{
	every_operation(EXPORTER_UDMABUF, 0);
}

static void system_heap(void **state)
{
	every_operation(EXPORTER_HEAP, 0);
}

static enum ibv_wc_status write_at(struct pair *pair, struct buf *from, struct buf *to,
				   int64_t offset, uint32_t bytes)
{
	struct ibv_sge sge = buf_sge(from, 0, bytes);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, to, offset);

	end_post(&pair->a, &wr);
	return cq_wait(pair->a.scq).status;
}

/* The region is a part of the buffer, and its bounds are bounds: guards lie around it. */
static void bounds(void **state)
{
	static const struct {
		int64_t offset;
		uint32_t bytes;
	} outside[] = { { -1, 64 }, { BYTES - 63, 64 }, { 1, BYTES }, { 1LL << 40, 64 } };
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	unsigned int i;

	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	dmabuf_make(&to, pair.rig.pd, EXPORTER_OURS, 0, BYTES, 100, ACCESS_ALL);
	assert_int_equal(write_at(&pair, &from, &to, BYTES - 64, 64), IBV_WC_SUCCESS);
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		assert_int_equal(write_at(&pair, &from, &to, outside[i].offset, outside[i].bytes),
				 IBV_WC_REM_ACCESS_ERR);
		buf_check_guards(&to);
		pair_reconnect(&pair);
	}
	dmabuf_free(&to);
	buf_free(&from);
	pair_close(&pair);
}

static int errno_of(struct ibv_pd *pd, uint64_t offset, uint64_t length, uint64_t iova, int fd,
		    int access)
{
	struct ibv_mr *mr = dmabuf_reg(pd, offset, length, iova, fd, access);

	if (!mr)
		return errno;
	assert_zero(dmabuf_dereg(mr));
	return 0;
}

#define READ_ONLY IBV_ACCESS_REMOTE_READ

static void refused(void **state)
{
	int no_vmap, iomem, read_only, write_only, fd, pipes[2];
	struct rig rig;

	rig_open(&rig);
	fd = dmabuf_export(EXPORTER_OURS, 0, 4 * PAGE);
	no_vmap = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_NO_VMAP, PAGE);
	iomem = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_IOMEM | RXE_ODP_EXPORT_MOVES, PAGE);
	read_only = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_READ, PAGE);
	write_only = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_WRITE, PAGE);
	assert_zero(pipe2(pipes, O_CLOEXEC));

	assert_int_equal(errno_of(rig.pd, 0, 4 * PAGE, 0, fd, ACCESS_ALL), 0);
	assert_int_equal(errno_of(rig.pd, PAGE + 5, 1, 5, fd, ACCESS_ALL), 0);
	assert_int_equal(errno_of(rig.pd, 0, 0, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, 0, 4 * PAGE + 1, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, 4 * PAGE, 1, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, -PAGE, PAGE, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, -PAGE, 2 * PAGE, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, PAGE, -1, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, 0, 2 * PAGE, -PAGE, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, 8, PAGE, 0, fd, ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, fd, ACCESS_ALL | IBV_ACCESS_ON_DEMAND),
			 EINVAL);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, fd, IBV_ACCESS_REMOTE_WRITE), EINVAL);

	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, -1, ACCESS_ALL), EBADF);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, 1 << 20, ACCESS_ALL), EBADF);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, pipes[0], ACCESS_ALL), EINVAL);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, no_vmap, ACCESS_ALL), EOPNOTSUPP);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, iomem, ACCESS_ALL), EOPNOTSUPP);
	/* What may not be mapped writable is not written to by a peer. */
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, read_only, ACCESS_ALL), EACCES);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, read_only, READ_ONLY), 0);
	/* Nor is what may not be read sent from: no region is for writing alone. */
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, write_only, ACCESS_ALL), EACCES);
	assert_int_equal(errno_of(rig.pd, 0, PAGE, 0, write_only, 0), EACCES);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	close(no_vmap);
	close(iomem);
	close(read_only);
	close(write_only);
	rig_close(&rig);
}

static void assert_uses(int fd, uint32_t pins, uint32_t others)
{
	struct rxe_odp_export_uses uses = dmabuf_uses(fd);

	assert_int_equal(uses.attachments, others);
	assert_int_equal(uses.pins, pins);
	assert_int_equal(uses.vmaps, !!others);
	assert_int_equal(uses.cpu_accesses, others);
}

/* What a registration holds, and that what failed or is gone holds nothing. */
static void held_and_let_go(void **state)
{
	int fd[2] = { dmabuf_export(EXPORTER_OURS, 0, PAGE),
		      dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, PAGE) };
	struct rxe_odp_mr_stats stats;
	struct ibv_mr *mr[2];
	struct rig rig;
	unsigned int i;

	rig_open(&rig);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		mr[0] = dmabuf_reg(rig.pd, 0, PAGE, 0, fd[i], ACCESS_ALL);
		mr[1] = dmabuf_reg(rig.pd, 0, PAGE, 0, fd[i], READ_ONLY);
		assert_non_null(mr[0]);
		assert_non_null(mr[1]);
		assert_uses(fd[i], 2 * i, 2);
		assert_zero(mr_stats(mr[0], &stats, sizeof(stats)));
		assert_int_equal(stats.kind, RXE_ODP_MR_DMABUF);
		assert_int_equal(stats.resident_pages, 1);
		assert_zero(system("rdma -dd resource show mr | grep -q 'kind dma-buf'"));
		assert_zero(dmabuf_dereg(mr[0]));
		assert_uses(fd[i], i, 1);
		assert_zero(dmabuf_dereg(mr[1]));
		assert_uses(fd[i], 0, 0);
		assert_true(dmabuf_uses(fd[i]).begun == 2);
		assert_int_equal(errno_of(rig.pd, 0, 2 * PAGE, 0, fd[i], ACCESS_ALL), EINVAL);
		assert_uses(fd[i], 0, 0);
		close(fd[i]);
	}
	rig_close(&rig);
}

/* A process that is killed lets go of it as well. */
static void owner_is_killed(void **state)
{
	int fd = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, PAGE), ready[2];
	pid_t pid;
	char c;

	assert_zero(pipe2(ready, O_CLOEXEC));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct rig rig;

		rig_open(&rig);
		if (dmabuf_reg(rig.pd, 0, PAGE, 0, fd, ACCESS_ALL) && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_uses(fd, 1, 1);
	assert_zero(kill(pid, SIGKILL));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_uses(fd, 0, 0);
	close(ready[0]);
	close(fd);
}

/* The region keeps the buffer, when descriptor and mapping are gone. */
static void owner_closes_it(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;

	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	dmabuf_make(&to, pair.rig.pd, EXPORTER_OURS, 0, BYTES, 0, ACCESS_ALL);
	assert_zero(close(to.fd));
	assert_zero(munmap(to.map, to.map_bytes));
	pattern_fill(from.data, BYTES, 5, 0);
	assert_int_equal(write_at(&pair, &from, &to, 0, BYTES), IBV_WC_SUCCESS);
	memset(from.data, 0, BYTES);
	pair_move(&pair, OP_READ, &to, 0, &from, 0, BYTES);
	pattern_check(from.data, BYTES, 5, 0, "read back");
	assert_zero(dmabuf_dereg(to.mr));
	buf_free(&from);
	pair_close(&pair);
}

#define POSTS 32

/* 0 or an errno. */
static int run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? errno : 0;
}

struct exporter_side {
	pthread_t thread;
	sem_t go;
	int fd, err;
};

/* On another CPU than the packets, so that it is in the middle of an access. */
static void *take_back(void *arg)
{
	struct exporter_side *side = arg;

	side->err = run_on(1);
	sem_wait(&side->go);
	if (!side->err)
		side->err = dmabuf_revoke(side->fd);
	return NULL;
}

/* While that write is posted it is taken back and freed: each ends in an error, or in memory before that. */
static void take_back_at(struct pair *pair, struct buf *from, unsigned int at)
{
	struct ibv_sge sge = buf_sge(from, 0, BYTES);
	struct exporter_side side;
	unsigned int i, failed = 0;
	struct ibv_send_wr wr;
	struct buf to;

	dmabuf_make(&to, pair->b.rig->pd, EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, BYTES, 0,
		    ACCESS_ALL);
	side.fd = to.fd;
	assert_zero(sem_init(&side.go, 0, 0));
	assert_zero(pthread_create(&side.thread, NULL, take_back, &side));
	for (i = 0; i < POSTS; i++) {
		if (i == at)
			sem_post(&side.go);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		end_post(&pair->a, &wr);
	}
	for (i = 0; i < POSTS; i++)
		failed += cq_wait(pair->a.scq).status != IBV_WC_SUCCESS;
	assert_zero(pthread_join(side.thread, NULL));
	assert_int_equal(side.err, 0);
	assert_int_equal(dmabuf_uses(to.fd).pins, 0);
	if (!failed)
		assert_int_equal(write_at(pair, from, &to, 0, 64), IBV_WC_REM_ACCESS_ERR);
	pair_reconnect(pair);
	assert_int_equal(errno_of(pair->b.rig->pd, 0, PAGE, 0, to.fd, ACCESS_ALL), ENODEV);
	/* The exporter has written over the guards. */
	memset(to.map, GUARD_FILL, to.map_bytes);
	dmabuf_free(&to);
	sem_destroy(&side.go);
}

/* From under a peer: no access to what is freed, and other regions go on. */
static void taken_back(void **state)
{
	struct conn conn = CONN;
	struct buf from;
	cpu_set_t cpus;
	struct pair pair;
	unsigned int at;

	assert_zero(sched_getaffinity(0, sizeof(cpus), &cpus));
	assert_zero(run_on(0));
	conn.wire = true;
	pair_open(&pair, &conn);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	for (at = 0; at < 8; at++)
		take_back_at(&pair, &from, at);
	assert_zero(sched_setaffinity(0, sizeof(cpus), &cpus));
	pair_assert_works(&pair);
	buf_free(&from);
	pair_close(&pair);
}

/* Who asks is told that it is gone, and a refused access why. */
static void told_of_it(void **state)
{
	const size_t nr = (BYTES - 1) / PAGE + 1;
	struct rxe_odp_access_error error;
	struct rxe_odp_mr_stats stats;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	uint8_t pages[32];
	uint64_t filled;
	size_t i;

	pair_open(&pair, &conn);
	buf_make(&from, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	dmabuf_make(&to, pair.rig.pd, EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, BYTES, 0, ACCESS_ALL);
	assert_zero(mr_stats(to.mr, &stats, sizeof(stats)));
	assert_int_equal(stats.resident_pages, nr);
	assert_zero(mr_residency(to.mr, to.data, BYTES, pages, &filled));
	assert_int_equal(filled, nr);
	for (i = 0; i < nr; i++)
		assert_int_equal(pages[i], RXE_ODP_PAGE_PRESENT | RXE_ODP_PAGE_WRITABLE);

	assert_zero(dmabuf_revoke(to.fd));
	assert_zero(mr_stats(to.mr, &stats, sizeof(stats)));
	assert_int_equal(stats.kind, RXE_ODP_MR_DMABUF);
	assert_int_equal(stats.resident_pages, 0);
	assert_zero(mr_residency(to.mr, to.data, BYTES, pages, &filled));
	assert_int_equal(filled, nr);
	for (i = 0; i < nr; i++)
		assert_int_equal(pages[i], 0);
	assert_int_equal(write_at(&pair, &from, &to, 8, 64), IBV_WC_REM_ACCESS_ERR);
	assert_zero(qp_access_error(pair.b.qp, &error, sizeof(error)));
	assert_int_equal(error.reason, RXE_ODP_REASON_TAKEN_BACK);
	assert_int_equal(error.error, EFAULT);
	assert_int_equal(error.fault_address, (uintptr_t)to.data + 8);
	/* The exporter has written over the guards. */
	memset(to.map, GUARD_FILL, to.map_bytes);
	dmabuf_free(&to);
	buf_free(&from);
	pair_close(&pair);
}

#define LINK "rxe_odp_dmabuf"

/* The device goes while a process holds a region of it: the buffer is let go of then, not when the process ends. */
static void device_goes(void **state)
{
	int fd = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, PAGE);
	struct ibv_context *ctx;
	struct ibv_pd *pd;

	assert_zero(system("ip link add dmabuf0 type dummy && ip link set dmabuf0 up && "
			   "rdma link add " LINK " type rxe_odp netdev dmabuf0"));
	ctx = rig_context(LINK);
	assert_non_null(ctx);
	pd = ibv_alloc_pd(ctx);
	assert_non_null(pd);
	assert_non_null(dmabuf_reg(pd, 0, PAGE, 0, fd, ACCESS_ALL));
	assert_uses(fd, 1, 1);
	assert_zero(system("rdma link delete " LINK));
	assert_uses(fd, 0, 0);
	ibv_close_device(ctx);
	close(fd);
}

/* Its netdev, and a link that is still there with it. */
static int device_is_gone(void **state)
{
	return system("ip link delete dmabuf0");
}

/* clang-format off */
#define TEST_DEVICE(fn) { #fn, fn, NULL, device_is_gone, NULL }
/* clang-format on */

TEST_MAIN(TEST(memory_that_stays), TEST(memory_that_moves), TEST(udmabuf), TEST(system_heap),
	  TEST(bounds), TEST(refused), TEST(held_and_let_go), TEST(owner_is_killed),
	  TEST(owner_closes_it), TEST(taken_back), TEST(told_of_it), TEST_DEVICE(device_goes))
