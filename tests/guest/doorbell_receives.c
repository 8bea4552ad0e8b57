// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What needs no system call at all: receives, to a queue pair and to an SRQ, before and after its resize, and polling of CQs,
 * resized ones too. Whatever a library asks of the kernel it asks by write() or ioctl(); both are counted.
 */
#include "pair.h"

#include <sys/syscall.h>
#include <unistd.h>

#define MESSAGES 20U

static unsigned long calls;

ssize_t write(int fd, const void *buf, size_t bytes)
{
	calls++;
	return syscall(SYS_write, fd, buf, bytes);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	calls++;
	return syscall(SYS_ioctl, fd, request, arg);
}

static void post_recvs(struct end *end, const struct buf *buf)
{
	struct ibv_sge sge = buf_sge(buf, 0, buf->bytes);
	struct ibv_recv_wr *bad, wr = { .sg_list = &sge, .num_sge = 1 };
	unsigned long before = calls;
	unsigned int i;

	for (i = 0; i < MESSAGES; i++)
		assert_zero(end->srq ? ibv_post_srq_recv(end->srq, &wr, &bad) :
				       ibv_post_recv(end->qp, &wr, &bad));
	assert_int_equal(calls, before);
}

static void receive(struct pair *pair, const struct buf *buf)
{
	struct ibv_sge sge = buf_sge(buf, 0, 8);
	unsigned long before;
	unsigned int i;

	post_recvs(&pair->b, buf);
	for (i = 0; i < MESSAGES; i++) {
		struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);

		end_post(&pair->a, &wr);
	}
	before = calls;
	for (i = 0; i < MESSAGES; i++) {
		cq_success(pair->b.rcq);
		cq_success(pair->a.scq);
	}
	cq_assert_empty(pair->b.rcq);
	assert_int_equal(calls, before);
}

static void without_a_call(bool srq)
{
	struct ibv_srq_attr attr = { .max_wr = 200 };
	struct conn conn = CONN;
	struct pair pair;
	struct buf buf;

	conn.srq_b = srq;
	pair_open(&pair, &conn);
	/* Else nothing here would be counted. */
	assert_true(calls > 0);
	buf_make(&buf, pair.rig.pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	receive(&pair, &buf);
	assert_zero(ibv_resize_cq(pair.b.rcq, 2 * conn.cqe));
	assert_zero(ibv_resize_cq(pair.a.scq, 2 * conn.cqe));
	if (srq)
		assert_zero(ibv_modify_srq(pair.b.srq, &attr, IBV_SRQ_MAX_WR));
	receive(&pair, &buf);
	buf_free(&buf);
	pair_close(&pair);
}

static void to_a_queue_pair(void **state)
{
	(void)state;
	without_a_call(false);
}

static void to_an_srq(void **state)
{
	(void)state;
	without_a_call(true);
}

TEST_MAIN(TEST(to_a_queue_pair), TEST(to_an_srq))
