// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ATOMIC WRITE: eight bytes that a CPU, a READ and an atomic see as a whole, behind what was written before; refused where the
 * specification says so; done once, however often its packet comes.
 */
#include "roce.h"

#include <pthread.h>
#include <rdma/ib_user_verbs.h>
#include <unistd.h>

#define WORDS (slow_kernel() ? 500 : 3000)

static struct conn conn_with_words(void)
{
	struct conn conn = CONN;

	conn.send_ops = IBV_QP_EX_WITH_ATOMIC_WRITE | IBV_QP_EX_WITH_RDMA_WRITE;
	return conn;
}

static uint64_t word_at(const struct buf *buf, size_t offset)
{
	return __atomic_load_n((uint64_t *)(buf->data + offset), __ATOMIC_ACQUIRE);
}

static void promised(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_true(rig.attr.device_cap_flags_ex & IB_UVERBS_DEVICE_ATOMIC_WRITE);
	rig_close(&rig);
}

/* On pages that are there, and on demand on ones that are not. */
static void written(void **state)
{
	static const size_t offsets[] = { 0, 8, PAGE - 8, PAGE, 3 * PAGE - 8 };
	struct conn conn = conn_with_words();
	struct buf remote;
	struct pair pair;
	unsigned int kind;
	size_t i;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	for (kind = 0; kind < MEM_KINDS; kind++) {
		buf_make(&remote, pair.b.rig->pd, kind, 3 * PAGE, 0, ACCESS_ALL | odp);
		for (i = 0; i < ARRAY_SIZE(offsets); i++) {
			struct ibv_wc wc;

			if (odp)
				buf_forget(&remote);
			end_post_atomic_write(&pair.a, &remote, offsets[i], 0x0123456789abcdef + i);
			wc = cq_success(pair.a.scq);
			assert_int_equal(wc.opcode, IBV_WC_ATOMIC_WRITE);
			assert_true(word_at(&remote, offsets[i]) == 0x0123456789abcdef + i);
		}
		buf_free(&remote);
	}
	pair_assert_works(&pair);
	pair_close(&pair);
}

struct attempt {
	int mr_access, qp_access;
	int64_t offset;
	uint32_t key_xor;
	uint8_t rd_atomic;
	enum ibv_wc_status owed;
};

#define WRITE (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)
#define OTHER (ACCESS_ALL & ~IBV_ACCESS_REMOTE_WRITE)

static const struct attempt attempts[] = {
	{ ACCESS_ALL, ACCESS_ALL, 4, 0, 1, IBV_WC_REM_INV_REQ_ERR },
	{ ACCESS_ALL, ACCESS_ALL, 1, 0, 1, IBV_WC_REM_INV_REQ_ERR },
	{ ACCESS_ALL, ACCESS_ALL, -8, 0, 1, IBV_WC_REM_ACCESS_ERR },
	{ ACCESS_ALL, ACCESS_ALL, 64, 0, 1, IBV_WC_REM_ACCESS_ERR },
	{ ACCESS_ALL, ACCESS_ALL, 0, 1, 1, IBV_WC_REM_ACCESS_ERR },
	{ OTHER, ACCESS_ALL, 0, 0, 1, IBV_WC_REM_ACCESS_ERR },
	{ ACCESS_ALL, OTHER, 0, 0, 1, IBV_WC_REM_INV_REQ_ERR },
	{ WRITE, ACCESS_ALL, 0, 0, 0, IBV_WC_LOC_QP_OP_ERR },
	/* The right to write is all that it takes. */
	{ WRITE, WRITE, 56, 0, 1, IBV_WC_SUCCESS },
};

static void refused(void **state)
{
	struct pair pair;
	struct buf remote;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *at = &attempts[i];
		struct conn conn = conn_with_words();

		conn.access = at->qp_access & ~IBV_ACCESS_LOCAL_WRITE;
		conn.rd_atomic = at->rd_atomic;
		pair_open(&pair, &conn);
		buf_make(&remote, pair.b.rig->pd, MEM_ANON, 64, 0,
			 at->mr_access | mode(&pair.rig, state));
		memset(remote.data, 0, remote.bytes);
		remote.mr->rkey ^= at->key_xor;
		end_post_atomic_write(&pair.a, &remote, at->offset, 1);
		cq_expect(pair.a.scq, at->owed);
		remote.mr->rkey ^= at->key_xor;
		if (at->owed != IBV_WC_SUCCESS)
			assert_int_equal(word_at(&remote, at->offset & 56), 0);
		buf_free(&remote);
		pair_close(&pair);
	}
}

/* Who sees the word sees all that was written before it. */
static void behind_a_write(void **state)
{
	struct conn conn = conn_with_words();
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	uint64_t round;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 20000, 0, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 20000 + 8, 0, ACCESS_ALL | odp);
	memset(to.data, 0, to.bytes);
	for (round = 1; round <= 20; round++) {
		double last = seconds() + BOUND_S;

		pattern_fill(from.data, from.bytes, round, 0);
		sge = buf_sge(&from, 0, from.bytes);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		end_post(&pair.a, &wr);
		end_post_atomic_write(&pair.a, &to, 20000, round);
		while (word_at(&to, 20000) != round)
			if (seconds() > last)
				fail_because("the word of round %lu does not come", round);
		pattern_check(to.data, from.bytes, round, 0, "what was written before the word");
		cq_success(pair.a.scq);
		cq_success(pair.a.scq);
	}
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

struct reader {
	const struct buf *buf;
	volatile bool stop;
	unsigned long torn;
};

static void *reader_run(void *arg)
{
	struct reader *reader = arg;

	while (!reader->stop) {
		uint64_t word = word_at(reader->buf, 0);

		reader->torn += (uint32_t)word != word >> 32;
	}
	return NULL;
}

/* A CPU reads no half of one; those of one queue pair come in order, atomics between them. */
static void whole_and_in_order(void **state)
{
	struct conn conn = conn_with_words();
	struct buf remote, result;
	struct reader reader;
	pthread_t thread;
	struct pair pair;
	uint64_t i;
	int odp;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 8, PAGE - 8, ACCESS_ALL | odp);
	buf_make(&result, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	memset(remote.data, 0, 8);
	reader = (struct reader){ .buf = &remote };
	assert_zero(pthread_create(&thread, NULL, reader_run, &reader));
	for (i = 1; i <= WORDS; i++) {
		struct ibv_sge sge = buf_sge(&result, 0, 8);
		struct ibv_send_wr wr =
			wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &remote, 0, 1ULL << 32 | 1, 0);

		end_post_atomic_write(&pair.a, &remote, 0, 2 * (i << 32 | i));
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		cq_success(pair.a.scq);
		if (*(uint64_t *)result.data != 2 * (i << 32 | i)) {
			reader.stop = true;
			break;
		}
	}
	reader.stop = true;
	assert_zero(pthread_join(thread, NULL));
	assert_int_equal(reader.torn, 0);
	assert_true(i > WORDS);
	assert_true(word_at(&remote, 0) == 2 * ((i - 1) << 32 | (i - 1)) + (1ULL << 32 | 1));
	buf_free(&remote);
	buf_free(&result);
	pair_close(&pair);
}

/* One that comes again later is answered, and does not undo what was written meanwhile. */
static void a_duplicate_is_not_done(void **state)
{
	long before = rig_counter("duplicate_request");
	struct conn conn = conn_with_words();
	double last = seconds() + BOUND_S;
	struct roce_path path;
	struct buf remote;
	uint8_t reth[16];
	struct pair pair;
	int fd;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL);
	path = roce_path(&pair.a, &pair.b);
	fd = roce_user_socket(&path);
	end_post_atomic_write(&pair.a, &remote, 0, 1);
	end_post_atomic_write(&pair.a, &remote, 0, 2);
	cq_success(pair.a.scq);
	cq_success(pair.a.scq);
	roce_put64(reth, (uintptr_t)remote.data);
	roce_put32(reth + 8, remote.mr->rkey);
	roce_put32(reth + 12, 8);
	assert_zero(roce_user_send(fd, &path, ROCE_ATOMIC_WRITE, pair.b.qp->qp_num,
				   pair.a.psn & 0xffffff, reth, sizeof(reth), 8));
	while (rig_counter("duplicate_request") == before)
		if (seconds() > last)
			fail_because("the duplicate did not come");
	end_post_atomic_write(&pair.a, &remote, 0, 3);
	cq_success(pair.a.scq);
	assert_int_equal(word_at(&remote, 0), 3);
	close(fd);
	buf_free(&remote);
	pair_close(&pair);
}

/* Of another length than eight it is an invalid request, and nothing is written. */
static void other_lengths(void **state)
{
	static const struct {
		uint32_t said;
		size_t payload;
	} lengths[] = { { 8, 4 }, { 4, 4 }, { 4, 8 }, { 16, 16 }, { 8, 12 }, { 0, 0 } };
	struct conn conn = conn_with_words();
	struct roce_path path;
	struct buf remote;
	uint8_t reth[16];
	struct pair pair;
	size_t i;
	int fd;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&remote, pair.b.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	memset(remote.data, 0xee, remote.bytes);
	path = roce_path(&pair.a, &pair.b);
	fd = roce_user_socket(&path);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		roce_put64(reth, (uintptr_t)remote.data);
		roce_put32(reth + 8, remote.mr->rkey);
		roce_put32(reth + 12, lengths[i].said);
		assert_zero(roce_user_send(fd, &path, ROCE_ATOMIC_WRITE, pair.b.qp->qp_num,
					   pair.a.psn & 0xffffff, reth, sizeof(reth),
					   lengths[i].payload));
		end_await_state(&pair.b, IBV_QPS_ERR);
		assert_true(word_at(&remote, 0) == 0xeeeeeeeeeeeeeeee);
		pair_reconnect(&pair);
	}
	close(fd);
	buf_free(&remote);
	pair_close(&pair);
}

TEST_MAIN(TEST(promised), TEST_BOTH(written), TEST_BOTH(refused), TEST_BOTH(behind_a_write),
	  TEST_BOTH(whole_and_in_order), TEST(a_duplicate_is_not_done), TEST(other_lengths))
