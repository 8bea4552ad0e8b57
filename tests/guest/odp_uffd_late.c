// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A page that comes late (1.5 s, nearly three times what all retries take, in the long set also 30 s, through userfaultfd): every
 * operation succeeds with the right bytes, and another QP of the same device and process goes on meanwhile.
 */
#include "pair.h"

#include <sys/mman.h>
#include <unistd.h>

static unsigned int late_ms = 1500;

/* "there" is what comes late: its middle page is nowhere yet. c and d are the neighbours, who work meanwhile. */
struct bed {
	struct pair pair;
	struct end c, d;
	struct buf here, there, small;
	struct uffd uffd;
	long rnr; /* how often fault_rnr must have been counted before the page comes */
};

static void bed_open(struct bed *bed)
{
	struct conn conn = CONN;

	bed->rnr = 0;
	conn.timeout = 14;
	pair_open(&bed->pair, &conn);
	rig_need_odp(&bed->pair.rig, 0, 0);
	ends_open(&bed->c, bed->pair.a.rig, &bed->d, bed->pair.b.rig, &conn);
	buf_make(&bed->there, bed->pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0,
		 ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	buf_make(&bed->here, bed->pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	buf_make(&bed->small, bed->pair.a.rig->pd, MEM_ANON, 64, 0, ACCESS_ALL);
}

/* Only now: what "there" holds elsewhere was written before. */
static void make_late(struct bed *bed)
{
	void *page = bed->there.data + PAGE;

	assert_zero(madvise(page, PAGE, MADV_DONTNEED));
	uffd_register(&bed->uffd, page, PAGE);
	bed->uffd.held = true;
	uffd_serve(&bed->uffd, 6, late_ms);
}

/* The neighbours work until the late request is done, which it must be with success. */
static void work_meanwhile(struct bed *bed, struct end *requester, const char *name,
			   const char *late)
{
	unsigned int others = 0;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_wc wc;

	while (!ibv_poll_cq(requester->scq, 1, &wc)) {
		sge = buf_sge(&bed->small, 0, 32);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &bed->small, 32);
		end_post(&bed->c, &wr);
		cq_success(bed->c.scq);
		/* The page is late by time, and not before they have worked, whatever stands still. */
		if (++others >= 10 && bed->uffd.held && rig_counter("fault_rnr") >= bed->rnr)
			bed->uffd.held = false;
		usleep(1000);
	}
	if (wc.status != IBV_WC_SUCCESS)
		fail_because("%s, late %s: \"%s\"", name, late, ibv_wc_status_str(wc.status));
	assert_int_equal(bed->uffd.asked, 1);
	printf("%s, late %s: %u writes of another QP meanwhile\n", name, late, others);
	assert_true(others >= 10);
}

static void bed_close(struct bed *bed)
{
	uffd_close(&bed->uffd);
	buf_free(&bed->small);
	buf_free(&bed->here);
	buf_free(&bed->there);
	end_close(&bed->c);
	end_close(&bed->d);
	pair_close(&bed->pair);
}

/* Posts by hand: the completion must not be waited for before the neighbour has worked. */
static void late(enum op op, bool source)
{
	struct buf *from, *to;
	struct end *requester;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct bed bed;

	bed_open(&bed);
	requester = op == OP_READ ? &bed.pair.b : &bed.pair.a;
	from = source ? &bed.there : &bed.here;
	to = source ? &bed.here : &bed.there;
	pattern_fill(from->data, 3 * PAGE, 5, 0);
	make_late(&bed);
	sge = buf_sge(op == OP_READ ? to : from, 0, 3 * PAGE);
	wr = wr_rdma(op == OP_READ ? IBV_WR_RDMA_READ :
		     op == OP_SEND ? IBV_WR_SEND :
				     IBV_WR_RDMA_WRITE,
		     &sge, 1, op == OP_READ ? from : to, 0);
	if (op == OP_SEND) {
		struct ibv_sge dst = buf_sge(to, 0, 3 * PAGE);

		end_post_recv(&bed.pair.b, 1, &dst, 1);
	}
	end_post(requester, &wr);
	work_meanwhile(&bed, requester, op_name(op), source ? "source" : "target");
	if (op == OP_SEND)
		cq_success(bed.pair.b.rcq);
	pattern_check(to->data, PAGE, 5, 0, "before the late page");
	if (source)
		pattern_check(to->data + PAGE, PAGE, 6, 0, "what the handler brought");
	else
		pattern_check(to->data + PAGE, PAGE, 5, PAGE, "what was written over it");
	pattern_check(to->data + 2 * PAGE, PAGE, 5, 2 * PAGE, "behind the late page");
	bed_close(&bed);
}

static uint64_t word(const struct buf *buf, size_t at)
{
	uint64_t value;

	memcpy(&value, buf->data + at, sizeof(value));
	return value;
}

/* Adds one; the old value was the one named. */
static void assert_added(const struct buf *result, const struct buf *target, size_t at,
			 uint64_t old)
{
	assert_true(word(result, at) == old);
	assert_true(word(target, at) == old + 1);
}

/*
 * The word that is added to (target), or the place for its old value, in the middle of the late page. The peer is told to ask again
 * meanwhile, and does: it is done once.
 */
static void late_atomic(bool is_target)
{
	const size_t in_page = 1024, at = PAGE + in_page;
	long rnr = rig_counter("fault_rnr");
	struct buf *result, *target;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct bed bed;
	uint64_t old;

	bed_open(&bed);
	rig_need_odp(&bed.pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	target = is_target ? &bed.there : &bed.here;
	result = is_target ? &bed.here : &bed.there;
	pattern_fill(bed.here.data, 3 * PAGE, 5, 0);
	if (is_target)
		bed.rnr = rnr + 2;
	make_late(&bed);
	pattern_fill(&old, sizeof(old), is_target ? 6 : 5, is_target ? in_page : at);
	sge = buf_sge(result, at, sizeof(old));
	wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, target, at, 1, 0);
	end_post(&bed.pair.a, &wr);
	work_meanwhile(&bed, &bed.pair.a, "fetch and add", is_target ? "target" : "result");
	assert_added(result, target, at, old);
	/* Whatever was asked for once more is behind us when a second one is done. */
	end_post(&bed.pair.a, &wr);
	cq_success(bed.pair.a.scq);
	assert_added(result, target, at, old + 1);
	pattern_check(bed.there.data + PAGE, in_page, 6, 0, "before the word");
	pattern_check(bed.there.data + at + sizeof(old), PAGE - in_page - sizeof(old), 6,
		      in_page + sizeof(old), "behind the word");
	if (is_target)
		assert_true(rig_counter("fault_rnr") > rnr + 1);
	bed_close(&bed);
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

static void atomic_target(void **state)
{
	(void)state;
	late_atomic(true);
}
static void atomic_result(void **state)
{
	(void)state;
	late_atomic(false);
}

static void half_a_minute(void **state)
{
	(void)state;
	late_ms = 15000;
	late(OP_WRITE, false);
	late(OP_READ, true);
	late(OP_SEND, false);
	late_atomic(true);
}

int main(void)
{
	/* The last is of the long set. */
	const struct CMUnitTest tests[] = { TEST(write_target),	 TEST(write_source),
					    TEST(read_target),	 TEST(read_source),
					    TEST(send_target),	 TEST(send_source),
					    TEST(atomic_target), TEST(atomic_result),
					    TEST(half_a_minute) };

	return test_run(tests, ARRAY_SIZE(tests) - !env_number("TEST_LONG", 0));
}
