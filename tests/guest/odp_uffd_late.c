// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A page that comes late (3 s, in the long set also 30 s, through userfaultfd): every operation succeeds with the right bytes, and another QP of
 * the same device and process goes on meanwhile.
 */
#include "pair.h"

#include <sys/mman.h>
#include <unistd.h>

static unsigned int late_ms = 3000;

/* Posts by hand: the completion must not be waited for before the neighbour has worked. */
static void late(enum op op, bool source)
{
	struct end *requester, c, d;
	struct conn conn = CONN;
	struct buf here, there, small;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	unsigned int others = 0;
	struct pair pair;
	struct uffd uffd;
	struct ibv_wc wc;
	struct buf *from, *to;
	void *page;

	conn.timeout = 14;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	ends_open(&c, pair.a.rig, &d, pair.b.rig, &conn);
	requester = op == OP_READ ? &pair.b : &pair.a;
	from = source ? &there : &here;
	to = source ? &here : &there;
	/* "there" is the late one: its middle page is nowhere yet. */
	buf_make(&there, pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&here, pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	buf_make(&small, pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
	pattern_fill(from->data, 3 * PAGE, 5, 0);
	page = there.data + PAGE;
	assert_zero(madvise(page, PAGE, MADV_DONTNEED));
	uffd_register(&uffd, page, PAGE);
	uffd_serve(&uffd, 6, late_ms);

	sge = buf_sge(op == OP_READ ? to : from, 0, 3 * PAGE);
	wr = wr_rdma(op == OP_READ ? IBV_WR_RDMA_READ :
		     op == OP_SEND ? IBV_WR_SEND :
				     IBV_WR_RDMA_WRITE,
		     &sge, 1, op == OP_READ ? from : to, 0);
	if (op == OP_SEND) {
		struct ibv_sge dst = buf_sge(to, 0, 3 * PAGE);

		end_post_recv(&pair.b, 1, &dst, 1);
	}
	end_post(requester, &wr);
	while (!ibv_poll_cq(requester->scq, 1, &wc)) {
		sge = buf_sge(&small, 0, 32);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &small, 32);
		end_post(&c, &wr);
		cq_success(c.scq);
		others++;
		usleep(1000);
	}
	if (wc.status != IBV_WC_SUCCESS)
		fail_because("%s, late %s: \"%s\"", op_name(op), source ? "source" : "target",
			     ibv_wc_status_str(wc.status));
	if (op == OP_SEND)
		cq_success(pair.b.rcq);
	assert_int_equal(uffd.asked, 1);
	printf("%s, late %s: %u writes of another QP meanwhile\n", op_name(op),
	       source ? "source" : "target", others);
	assert_true(others >= 10);
	pattern_check(to->data, PAGE, 5, 0, "before the late page");
	if (source)
		pattern_check(to->data + PAGE, PAGE, 6, 0, "what the handler brought");
	else
		pattern_check(to->data + PAGE, PAGE, 5, PAGE, "what was written over it");
	pattern_check(to->data + 2 * PAGE, PAGE, 5, 2 * PAGE, "behind the late page");
	uffd_close(&uffd);
	buf_free(&small);
	buf_free(&here);
	buf_free(&there);
	end_close(&c);
	end_close(&d);
	pair_close(&pair);
}

static void write_target(void **state)
{
	(void)state;
	late(OP_WRITE, false);
}
static void write_source(void **state)
{
	(void)state;
	late(OP_WRITE, true);
}
static void read_target(void **state)
{
	(void)state;
	late(OP_READ, false);
}
static void read_source(void **state)
{
	(void)state;
	late(OP_READ, true);
}
static void send_target(void **state)
{
	(void)state;
	late(OP_SEND, false);
}
static void send_source(void **state)
{
	(void)state;
	late(OP_SEND, true);
}

static void half_a_minute(void **state)
{
	(void)state;
	late_ms = 30000;
	late(OP_WRITE, false);
	late(OP_READ, true);
	late(OP_SEND, false);
}

int main(void)
{
	/* The last is of the long set. */
	const struct CMUnitTest tests[] = { TEST(write_target), TEST(write_source),
					    TEST(read_target),	TEST(read_source),
					    TEST(send_target),	TEST(send_source),
					    TEST(half_a_minute) };

	return test_run(tests, ARRAY_SIZE(tests) - !env_number("TEST_LONG", 0));
}
