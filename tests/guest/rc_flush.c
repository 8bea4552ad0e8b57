// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * FLUSH: completes behind what was written before it, for a range or a whole region of any size, and brings no page in that is
 * not there; refused where the specification says so. Persistent placement is promised only of memory that is persistent:
 * odp_dax has that.
 */
#include "netem.h"
#include "roce.h"

#include <rdma/ib_user_verbs.h>
#include <sys/mman.h>
#include <unistd.h>

#define GLOBAL	   IBV_ACCESS_FLUSH_GLOBAL
#define PERSISTENT IBV_ACCESS_FLUSH_PERSISTENT

static struct conn conn_with_flush(void)
{
	struct conn conn = CONN;

	conn.send_ops = IBV_QP_EX_WITH_FLUSH | IBV_QP_EX_WITH_RDMA_WRITE;
	conn.access |= GLOBAL | PERSISTENT;
	return conn;
}

static void flush_range(struct end *end, const struct buf *buf, size_t at, size_t bytes)
{
	end_post_flush(end, buf->mr->rkey, (uintptr_t)buf->data + at, bytes, IBV_FLUSH_GLOBAL,
		       IBV_FLUSH_RANGE);
}

static void promised(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_true(rig.attr.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_GLOBAL);
	assert_true(rig.attr.device_cap_flags_ex & IB_UVERBS_DEVICE_FLUSH_PERSISTENT);
	rig_close(&rig);
}

static void flush_behind_writes(void **state, const char *wire)
{
	struct conn conn = conn_with_flush();
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	unsigned int i;
	int odp;

	conn.wire = wire;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	if (wire && !netem_begin(wire))
		fail_because("no netem");
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 20000, 0, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 20000, 0, ACCESS_ALL | GLOBAL | odp);
	for (i = 0; i < 10; i++) {
		pattern_fill(from.data, from.bytes, i, 0);
		sge = buf_sge(&from, 0, from.bytes);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		wr.send_flags = 0;
		end_post(&pair.a, &wr);
		if (i % 2)
			flush_range(&pair.a, &to, 5, 19000);
		else /* of a whole region neither address nor length counts */
			end_post_flush(&pair.a, to.mr->rkey, 77, 12345678, IBV_FLUSH_GLOBAL,
				       IBV_FLUSH_MR);
		wc = cq_success(pair.a.scq);
		assert_int_equal(wc.opcode, IBV_WC_FLUSH);
		pattern_check(to.data, to.bytes, i, 0, "what was written before the FLUSH");
	}
	/* A range of no bytes, at either end. */
	flush_range(&pair.a, &to, 0, 0);
	cq_success(pair.a.scq);
	flush_range(&pair.a, &to, to.bytes, 0);
	cq_success(pair.a.scq);
	netem_end();
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void behind_a_write(void **state)
{
	flush_behind_writes(state, NULL);
}

/* A FLUSH that is asked for again, or comes twice, is done again. */
static void over_a_bad_wire(void **state)
{
	long before = rig_counter("duplicate_request");
	double end = seconds() + BOUND_S;

	/* Of the few packets of one turn it may be that none that arrives comes twice. */
	do {
		if (seconds() > end)
			fail_because("nothing comes twice");
		flush_behind_writes(state, "loss 5% duplicate 20%");
	} while (rig_counter("duplicate_request") == before);
}

static int clean_wire(void **state)
{
	(void)state;
	netem_end();
	return 0;
}

/* More than the peer may have to answer at once. */
static void many(void **state)
{
	struct conn conn = conn_with_flush();
	struct pair pair;
	struct buf to;
	unsigned int i;

	conn.rd_atomic = 2;
	pair_open(&pair, &conn);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGE, 0,
		 ACCESS_ALL | GLOBAL | mode(&pair.rig, state));
	for (i = 0; i < conn.send_wr; i++)
		flush_range(&pair.a, &to, i, 1);
	for (i = 0; i < conn.send_wr; i++)
		cq_success(pair.a.scq);
	buf_free(&to);
	pair_close(&pair);
}

struct attempt {
	int mr_access, qp_access;
	int64_t at;
	uint32_t bytes;
	uint32_t key_xor;
	uint8_t type, level;
	enum ibv_wc_status owed;
};

#define BOTH (ACCESS_ALL | GLOBAL | PERSISTENT)
#define MR   (ACCESS_ALL | GLOBAL)

static const struct attempt attempts[] = {
	{ MR, BOTH, 0, 64, 1, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_REM_ACCESS_ERR },
	{ MR, BOTH, 0, 64, 1, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR, IBV_WC_REM_ACCESS_ERR },
	{ MR, BOTH, -1, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_REM_ACCESS_ERR },
	{ MR, BOTH, 1, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_REM_ACCESS_ERR },
	{ MR, BOTH, 0, UINT32_MAX, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_REM_ACCESS_ERR },
	{ ACCESS_ALL, BOTH, 0, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_REM_ACCESS_ERR },
	{ ACCESS_ALL, BOTH, 0, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR, IBV_WC_REM_ACCESS_ERR },
	{ MR, BOTH, 0, 64, 0, IBV_FLUSH_PERSISTENT, IBV_FLUSH_RANGE, IBV_WC_REM_ACCESS_ERR },
	{ MR, BOTH, 0, 64, 0, IBV_FLUSH_PERSISTENT | IBV_FLUSH_GLOBAL, IBV_FLUSH_MR,
	  IBV_WC_REM_ACCESS_ERR },
	{ MR, ACCESS_ALL, 0, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_REM_INV_REQ_ERR },
	{ MR, ACCESS_ALL | PERSISTENT, 0, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR,
	  IBV_WC_REM_INV_REQ_ERR },
	{ MR, BOTH, 0, 64, 0, 0, IBV_FLUSH_RANGE, IBV_WC_LOC_QP_OP_ERR },
	{ MR, BOTH, 0, 64, 0, 4, IBV_FLUSH_RANGE, IBV_WC_LOC_QP_OP_ERR },
	{ MR, BOTH, 0, 64, 0, IBV_FLUSH_GLOBAL, 2, IBV_WC_LOC_QP_OP_ERR },
	/* It takes no other right. */
	{ GLOBAL, GLOBAL, 0, 64, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE, IBV_WC_SUCCESS },
};

static void refused(void **state)
{
	struct pair pair;
	struct buf to;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *at = &attempts[i];
		struct conn conn = conn_with_flush();
		struct ibv_wc wc;

		conn.access = at->qp_access & ~IBV_ACCESS_LOCAL_WRITE;
		pair_open(&pair, &conn);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0,
			 at->mr_access | mode(&pair.rig, state));
		end_post_flush(&pair.a, to.mr->rkey ^ at->key_xor, (uintptr_t)to.data + at->at,
			       at->bytes, at->type, at->level);
		wc = cq_wait(pair.a.scq);
		if (wc.status != at->owed)
			fail_because("attempt %zu: %s", i, ibv_wc_status_str(wc.status));
		buf_free(&to);
		pair_close(&pair);
	}
}

/* What the wire alone can ask for. */
static void invalid_on_the_wire(void **state)
{
	static const uint32_t feths[] = { 0, 4, 5, 0x21, 0x31 };
	struct conn conn = conn_with_flush();
	struct roce_path path;
	uint8_t headers[20];
	struct pair pair;
	struct buf to;
	size_t i;
	int fd;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 64, 0, MR);
	path = roce_path(&pair.a, &pair.b);
	fd = roce_user_socket(&path);
	for (i = 0; i < ARRAY_SIZE(feths); i++) {
		roce_put32(headers, feths[i]);
		roce_put64(headers + 4, (uintptr_t)to.data);
		roce_put32(headers + 12, to.mr->rkey);
		roce_put32(headers + 16, 64);
		assert_zero(roce_user_send(fd, &path, ROCE_FLUSH, pair.b.qp->qp_num,
					   pair.a.psn & 0xffffff, headers, sizeof(headers), 0));
		end_await_state(&pair.b, IBV_QPS_ERR);
		pair_reconnect(&pair);
	}
	close(fd);
	buf_free(&to);
	pair_close(&pair);
}

/* Memory that outlives no loss of power is not registered for it, nor becomes so by another registration. */
static void persistent_is_refused(void **state)
{
	struct rig rig;
	struct buf buf;

	rig_open(&rig);
	buf_map(&buf, MEM_ANON, PAGE, 0);
	errno = 0;
	assert_null(
		ibv_reg_mr(rig.pd, buf.data, PAGE, ACCESS_ALL | PERSISTENT | mode(&rig, state)));
	assert_int_equal(errno, EINVAL);
	if (mode(&rig, state))
		assert_null(ibv_reg_mr(rig.pd, NULL, SIZE_MAX,
				       ACCESS_ALL | PERSISTENT | IBV_ACCESS_ON_DEMAND));
	buf_free(&buf);
	rig_close(&rig);
}

/* More than 32 bits of length can say: nothing of it is there, and nothing comes. */
static void large_and_empty(void **state)
{
	struct conn conn = conn_with_flush();
	size_t bytes = 6 * GIB;
	struct ibv_mr *all, *mr;
	struct pair pair;
	long faults;
	uint8_t *map;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	assert_true(map != MAP_FAILED);
	mr = ibv_reg_mr(pair.b.rig->pd, map, bytes, MR | IBV_ACCESS_ON_DEMAND);
	all = ibv_reg_mr(pair.b.rig->pd, NULL, SIZE_MAX, MR | IBV_ACCESS_ON_DEMAND);
	assert_non_null(mr);
	assert_non_null(all);
	faults = rig_counter("fault_waits");
	end_post_flush(&pair.a, mr->rkey, 0, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR);
	end_post_flush(&pair.a, mr->rkey, (uintptr_t)map + GIB, UINT32_MAX, IBV_FLUSH_GLOBAL,
		       IBV_FLUSH_RANGE);
	end_post_flush(&pair.a, all->rkey, 0, 0, IBV_FLUSH_GLOBAL, IBV_FLUSH_MR);
	end_post_flush(&pair.a, all->rkey, (uintptr_t)map, 3 * GIB, IBV_FLUSH_GLOBAL,
		       IBV_FLUSH_RANGE);
	cq_success(pair.a.scq);
	cq_success(pair.a.scq);
	cq_success(pair.a.scq);
	cq_success(pair.a.scq);
	assert_int_equal(rig_counter("fault_waits"), faults);
	assert_int_equal(mem_resident(map, 64 * MIB), 0);
	assert_zero(ibv_dereg_mr(all));
	assert_zero(ibv_dereg_mr(mr));
	assert_zero(munmap(map, bytes));
	pair_close(&pair);
}

/* A page that comes after all retries would have been used up does not hold the FLUSH behind the WRITE back from its place. */
static void behind_a_late_page(void **state)
{
	struct conn conn = conn_with_flush();
	struct ibv_send_wr wr;
	struct buf from, to;
	struct uffd uffd;
	struct ibv_sge sge;
	struct pair pair;

	(void)state;
	conn.timeout = 14;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGE, 0, MR | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, to.data, PAGE);
	uffd_serve(&uffd, 6, 1000);
	pattern_fill(from.data, PAGE, 9, 0);
	sge = buf_sge(&from, 0, PAGE);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
	wr.send_flags = 0;
	end_post(&pair.a, &wr);
	flush_range(&pair.a, &to, 0, PAGE);
	assert_int_equal(cq_success(pair.a.scq).opcode, IBV_WC_FLUSH);
	pattern_check(to.data, PAGE, 9, 0, "what was written before the FLUSH");
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* clang-format off */
#define WIRE(fn)	{ #fn " (pinned)", fn, NULL, clean_wire, NULL }
#define WIRE_ODP(fn)	{ #fn " (odp)", fn, NULL, clean_wire, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(TEST(promised), TEST_BOTH(behind_a_write), WIRE(over_a_bad_wire),
	  WIRE_ODP(over_a_bad_wire), TEST_BOTH(many), TEST_BOTH(refused), TEST(invalid_on_the_wire),
	  TEST_BOTH(persistent_is_refused), TEST(large_and_empty), TEST(behind_a_late_page))
