// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An XRC domain that two processes share by a file: each receives into an SRQ of its own through one target, whichever of them
 * made it, and whether it lives on; neither learns of the other's memory; what a message has taken from an SRQ comes back to its
 * owner when the other process ends the target.
 */
#include "event.h"
#include "method.h"
#include "xrc.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (2 * PAGE)
#define WR_ID 4711

/* What the other process is asked for. */
enum what {
	OPEN,	     /* the domain, and an SRQ in it: its number */
	MAKE_TARGET, /* its number */
	OPEN_TARGET, /* by @num */
	POST,	     /* a receive of all its memory, with key ^ @num */
	ARRIVED,     /* waits until there is something in the first page */
	WAIT,	     /* for a completion */
	ERROR,	     /* the target's last access error */
	EXCLUSIVE,   /* opens the domain with O_EXCL: errno */
};

struct ask {
	enum what what;
	uint32_t num;
};

struct answer {
	int rc;
	uint32_t num;
	uint32_t lkey;
	struct ibv_wc wc;
	struct rxe_odp_access_error error;
};

struct other {
	pid_t pid;
	int sock;
	int fd; /* of the file */
};

/* In the other process. It reports by what it answers. */
static struct {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_xrcd *xrcd;
	struct ibv_srq *srq;
	struct ibv_qp *target;
	struct ibv_mr *mr;
	volatile uint8_t *mem;
} its;

static int its_open(int fd, struct answer *answer)
{
	struct conn conn = xrc_conn();

	its.mem = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	its.ctx = rig_context(rig_device_name());
	its.pd = its.ctx ? ibv_alloc_pd(its.ctx) : NULL;
	its.cq = its.pd ? ibv_create_cq(its.ctx, 16, NULL, NULL, 0) : NULL;
	its.xrcd = its.cq ? xrc_domain(its.ctx, fd) : NULL;
	its.srq = its.xrcd ? xrc_srq(its.pd, its.xrcd, its.cq, &conn) : NULL;
	its.mr = its.srq ? ibv_reg_mr(its.pd, (void *)its.mem, BYTES, IBV_ACCESS_LOCAL_WRITE) :
			   NULL;
	if (!its.mr)
		return errno ? errno : -1;
	answer->num = xrc_srq_num(its.srq);
	answer->lkey = its.mr->lkey;
	return 0;
}

static int its_target(uint32_t num, struct answer *answer)
{
	its.target = num ? xrc_open_target(its.ctx, its.xrcd, num) : xrc_target(its.ctx, its.xrcd);
	if (!its.target)
		return errno;
	answer->num = its.target->qp_num;
	return 0;
}

static int its_post(uint32_t spoil)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)its.mem,
		.length = BYTES,
		.lkey = its.mr->lkey ^ spoil,
	};
	struct ibv_recv_wr wr = { .wr_id = WR_ID, .sg_list = &sge, .num_sge = 1 }, *bad;

	its.mem[0] = 0;
	return ibv_post_srq_recv(its.srq, &wr, &bad);
}

static int its_wait_for_bytes(void)
{
	double last = seconds() + BOUND_S;

	while (!its.mem[0])
		if (seconds() > last)
			return -ETIMEDOUT;
	return 0;
}

static int its_exclusive(int fd)
{
	struct ibv_xrcd_init_attr attr = {
		.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
		.fd = fd,
		.oflags = O_CREAT | O_EXCL,
	};

	return ibv_open_xrcd(its.ctx, &attr) ? 0 : errno;
}

static int it_does(const struct ask *ask, int fd, struct answer *answer)
{
	switch (ask->what) {
	case OPEN:
		return its_open(fd, answer);
	case MAKE_TARGET:
		return its_target(0, answer);
	case OPEN_TARGET:
		return its_target(ask->num, answer);
	case POST:
		return its_post(ask->num);
	case ARRIVED:
		return its_wait_for_bytes();
	case WAIT:
		return cq_poll_bounded(its.cq, &answer->wc, BOUND_S) ? 0 : -ETIMEDOUT;
	case ERROR:
		return qp_access_error(its.target, &answer->error, sizeof(answer->error));
	case EXCLUSIVE:
		return its_exclusive(fd);
	}
	return -EINVAL;
}

static void it_runs(int sock, int fd)
{
	struct answer answer;
	struct ask ask;

	while (read(sock, &ask, sizeof(ask)) == sizeof(ask)) {
		memset(&answer, 0, sizeof(answer));
		answer.rc = it_does(&ask, fd, &answer);
		if (write(sock, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* Before this process opens the device. */
static struct other other_begin(void)
{
	struct other other;
	int socks[2];

	other.fd = memfd_create("xrc_share", MFD_CLOEXEC);
	assert_true(other.fd >= 0);
	assert_zero(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks));
	other.pid = fork();
	assert_true(other.pid >= 0);
	if (!other.pid) {
		close(socks[0]);
		it_runs(socks[1], other.fd);
	}
	close(socks[1]);
	other.sock = socks[0];
	return other;
}

static struct answer other_asked(struct other *other, enum what what, uint32_t num)
{
	struct ask ask = { what, num };
	struct answer answer;

	assert_int_equal(write(other->sock, &ask, sizeof(ask)), sizeof(ask));
	assert_int_equal(read(other->sock, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

/* And it must not fail. */
static struct answer other_does(struct other *other, enum what what, uint32_t num)
{
	struct answer answer = other_asked(other, what, num);

	if (answer.rc)
		fail_because("the other process: request %d: errno %d", what, answer.rc);
	return answer;
}

static void other_is_killed(struct other *other)
{
	int status;

	assert_zero(kill(other->pid, SIGKILL));
	assert_int_equal(waitpid(other->pid, &status, 0), other->pid);
	other->pid = 0;
}

static void other_end(struct other *other)
{
	int status = 0;

	close(other->sock);
	if (other->pid)
		assert_int_equal(waitpid(other->pid, &status, 0), other->pid);
	assert_int_equal(status, 0);
	close(other->fd);
}

/* A SEND to an SRQ, and what becomes of it at the initiator. */
static void send_to(struct xrc *x, uint32_t srq_num, const struct buf *from,
		    enum ibv_wc_status status)
{
	struct ibv_sge sge = buf_sge(from, 0, from->bytes);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND, &sge, 1);
	uint32_t own = x->pair.a.srq_num;

	x->pair.a.srq_num = srq_num;
	end_post(&x->pair.a, &wr);
	x->pair.a.srq_num = own;
	cq_expect(x->pair.a.scq, status);
}

/* Into the SRQ of this process. */
static void send_to_own(struct xrc *x, const struct buf *from, struct buf *to)
{
	struct ibv_sge sge = buf_sge(to, 0, to->bytes);

	end_post_recv(&x->pair.b, 1, &sge, 1);
	send_to(x, x->pair.a.srq_num, from, IBV_WC_SUCCESS);
	assert_int_equal(cq_success(x->pair.b.rcq).qp_num, x->pair.b.qp->qp_num);
}

static void bufs_make(struct xrc *x, struct buf *from, struct buf *to)
{
	buf_make(from, x->pair.a.rig->pd, MEM_ANON, BYTES, 0,
		 ACCESS_ALL | (x->pair.rig.attr.odp_caps.general_caps ? IBV_ACCESS_ON_DEMAND : 0));
	buf_make(to, x->pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	pattern_fill(from->data, BYTES, 7, 0);
	from->data[0] = 1;
}

static void two_srqs_one_target(void **state)
{
	struct conn conn = xrc_conn();
	struct other other = other_begin();
	struct buf from, to;
	struct answer answer;
	struct xrc x;
	uint32_t srq_num, target_num;

	(void)state;
	xrc_open_in(&x, &conn, other.fd, 0);
	bufs_make(&x, &from, &to);
	target_num = x.pair.b.qp->qp_num;
	srq_num = other_does(&other, OPEN, 0).num;
	assert_int_not_equal(srq_num, x.pair.a.srq_num);
	assert_int_equal(other_asked(&other, EXCLUSIVE, 0).rc, EINVAL);
	assert_int_not_equal(other_asked(&other, OPEN_TARGET, x.pair.a.qp->qp_num).rc, 0);
	assert_int_equal(other_does(&other, OPEN_TARGET, target_num).num, target_num);

	other_does(&other, POST, 0);
	send_to(&x, srq_num, &from, IBV_WC_SUCCESS);
	answer = other_does(&other, WAIT, 0);
	assert_int_equal(answer.wc.status, IBV_WC_SUCCESS);
	assert_int_equal(answer.wc.wr_id, WR_ID);
	assert_int_equal(answer.wc.byte_len, BYTES);
	assert_int_equal(answer.wc.qp_num, target_num);
	send_to_own(&x, &from, &to);

	/* This process gives the target up, which the other has open. */
	assert_zero(ibv_destroy_qp(x.pair.b.qp));
	x.pair.b.qp = NULL;
	other_does(&other, POST, 0);
	send_to(&x, srq_num, &from, IBV_WC_SUCCESS);
	assert_int_equal(other_does(&other, WAIT, 0).wc.status, IBV_WC_SUCCESS);

	other_end(&other);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

static void maker_is_killed(void **state)
{
	struct conn conn = xrc_conn();
	struct other other = other_begin();
	struct buf from, to;
	struct xrc x;
	uint32_t srq_num, target_num;

	(void)state;
	srq_num = other_does(&other, OPEN, 0).num;
	target_num = other_does(&other, MAKE_TARGET, 0).num;
	xrc_open_in(&x, &conn, other.fd, target_num);
	bufs_make(&x, &from, &to);
	send_to_own(&x, &from, &to);
	other_is_killed(&other);
	send_to_own(&x, &from, &to);
	/* Its SRQ is gone, and its number is none of the domain's. */
	send_to(&x, srq_num, &from, IBV_WC_REM_INV_RD_REQ_ERR);
	end_await_state(&x.pair.b, IBV_QPS_ERR);
	pair_reconnect(&x.pair);
	send_to_own(&x, &from, &to);
	other_end(&other);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

static void errors_are_their_owners(void **state)
{
	struct conn conn = xrc_conn();
	struct other other = other_begin();
	struct rxe_odp_access_error error;
	struct buf from, to;
	struct answer opened, answer;
	struct ibv_sge sge;
	struct xrc x;

	(void)state;
	xrc_open_in(&x, &conn, other.fd, 0);
	bufs_make(&x, &from, &to);
	opened = other_does(&other, OPEN, 0);
	other_does(&other, OPEN_TARGET, x.pair.b.qp->qp_num);

	other_does(&other, POST, 0x5500);
	send_to(&x, opened.num, &from, IBV_WC_REM_OP_ERR);
	assert_int_equal(other_does(&other, WAIT, 0).wc.status, IBV_WC_LOC_PROT_ERR);
	memset(&error, 1, sizeof(error));
	assert_zero(qp_access_error(x.pair.b.qp, &error, sizeof(error)));
	answer = other_does(&other, ERROR, 0);
	assert_int_equal(answer.error.count, 1);
	assert_int_equal(answer.error.side, RXE_ODP_SIDE_RECEIVE);
	assert_int_equal(answer.error.key, opened.lkey ^ 0x5500);
	assert_int_equal(answer.error.wr_id, WR_ID);
	memset(&answer, 0, sizeof(answer));
	assert_memory_equal(&error, &answer.error, sizeof(error));

	pair_reconnect(&x.pair);
	sge = buf_sge(&to, 0, BYTES);
	sge.lkey ^= 0x5500;
	end_post_recv(&x.pair.b, 1, &sge, 1);
	send_to(&x, x.pair.a.srq_num, &from, IBV_WC_REM_OP_ERR);
	assert_zero(qp_access_error(x.pair.b.qp, &error, sizeof(error)));
	assert_int_equal(error.key, sge.lkey);
	memset(&error, 0, sizeof(error));
	answer = other_does(&other, ERROR, 0);
	assert_memory_equal(&error, &answer.error, sizeof(error));

	other_end(&other);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

/* A message of which the first page has come to the other process's SRQ, and no more. */
static void half_of_a_message(struct xrc *x, struct other *other, struct uffd *uffd,
			      struct buf *from, struct buf *to)
{
	struct conn conn = xrc_conn();
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	uint32_t own;

	xrc_open_in(x, &conn, other->fd, 0);
	rig_need_odp(&x->pair.rig, 0, 0);
	buf_make(from, x->pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(to, x->pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	memset(from->data, 1, PAGE);
	uffd_register(uffd, from->data + PAGE, PAGE);
	own = x->pair.a.srq_num;
	x->pair.a.srq_num = other_does(other, OPEN, 0).num;
	other_does(other, POST, 0);
	sge = buf_sge(from, 0, BYTES);
	wr = wr_make(IBV_WR_SEND, &sge, 1);
	end_post(&x->pair.a, &wr);
	x->pair.a.srq_num = own;
	assert_ptr_equal(uffd_next(uffd, 60000), from->data + PAGE);
	other_does(other, ARRIVED, 0);
}

static void receive_comes_back(void **state)
{
	struct other other = other_begin();
	struct answer answer;
	struct buf from, to;
	struct uffd uffd;
	struct xrc x;

	(void)state;
	half_of_a_message(&x, &other, &uffd, &from, &to);
	assert_zero(end_set_state(&x.pair.b, IBV_QPS_RESET));
	answer = other_does(&other, WAIT, 0);
	assert_int_equal(answer.wc.status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(answer.wc.wr_id, WR_ID);
	uffd_close(&uffd);
	other_end(&other);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

static void receiver_is_killed(void **state)
{
	struct other other = other_begin();
	struct buf from, to;
	struct uffd uffd;
	struct xrc x;

	(void)state;
	half_of_a_message(&x, &other, &uffd, &from, &to);
	other_is_killed(&other);
	uffd_give_zeros(&uffd, from.data + PAGE, PAGE);
	cq_expect(x.pair.a.scq, IBV_WC_REM_INV_RD_REQ_ERR);
	async_expect(x.pair.b.rig->ctx, IBV_EVENT_QP_ACCESS_ERR);
	uffd_close(&uffd);
	pair_reconnect(&x.pair);
	send_to_own(&x, &from, &to);
	other_end(&other);
	buf_free(&from);
	buf_free(&to);
	xrc_close(&x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(two_srqs_one_target), TEST(maker_is_killed),    TEST(errors_are_their_owners),
		TEST(receive_comes_back),  TEST(receiver_is_killed),
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
