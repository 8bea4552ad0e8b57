// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The most inline data that rxe takes, 512 bytes: accepted, right with any number of entries, and one more is refused. */
#include "pair.h"

#define MOST_BYTES 512
#define STEP_BYTES 7

static struct ibv_qp *create(struct pair *pair, enum ibv_qp_type type, uint32_t sge, uint32_t bytes)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = type,
		.send_cq = pair->a.scq,
		.recv_cq = pair->a.rcq,
		.cap = { .max_send_wr = 4,
			 .max_recv_wr = 4,
			 .max_send_sge = sge,
			 .max_recv_sge = 1,
			 .max_inline_data = bytes },
	};
	struct ibv_qp *qp = ibv_create_qp(pair->rig.pd, &attr);

	if (qp)
		assert_true(attr.cap.max_inline_data >= bytes);
	return qp;
}

static void bounds(void **state)
{
	static const enum ibv_qp_type types[] = { IBV_QPT_RC, IBV_QPT_UD };
	static const uint32_t taken[] = { 0, 400, 401, 511, MOST_BYTES };
	struct conn conn = CONN;
	struct ibv_qp *qp;
	struct pair pair;
	size_t i, j;

	(void)state;
	pair_open(&pair, &conn);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (j = 0; j < ARRAY_SIZE(taken); j++) {
			qp = create(&pair, types[i], 1 + j, taken[j]);
			if (!qp)
				fail_because("%u bytes are refused: errno %d", taken[j], errno);
			assert_zero(ibv_destroy_qp(qp));
		}
		errno = 0;
		assert_null(create(&pair, types[i], 1, MOST_BYTES + 1));
		assert_int_equal(errno, EINVAL);
	}
	pair_close(&pair);
}

/* @bytes of the pattern out of @num entries, at most; forgotten as soon as they are posted. */
static void post(struct pair *pair, struct ibv_send_wr *wr, uint32_t bytes, int num)
{
	char text[MOST_BYTES];
	struct ibv_sge sge[32];
	uint32_t at = 0;
	int i;

	pattern_fill(text, bytes, bytes, 0);
	for (i = 0; i < num; i++) {
		sge[i] = (struct ibv_sge){ (uintptr_t)text + at, bytes / num, 0xdead };
		at += bytes / num;
	}
	sge[num - 1].length += bytes - at;
	wr->sg_list = sge;
	wr->num_sge = num;
	wr->send_flags |= IBV_SEND_INLINE;
	end_post(&pair->a, wr);
	memset(text, 0xee, sizeof(text));
	cq_success(pair->a.scq);
}

static void moves(void **state)
{
	static const int nums[] = { 1, 2, 5, 32 };
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge dst;
	struct pair pair;
	struct buf to;
	uint32_t bytes;
	size_t i;
	int odp;

	conn.inline_bytes = MOST_BYTES;
	conn.sge = 32;
	conn.mtu = IBV_MTU_256;
	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, MOST_BYTES, 4000, ACCESS_ALL | odp);
	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		for (bytes = 399; bytes <= MOST_BYTES;
		     bytes += bytes < MOST_BYTES - STEP_BYTES ? STEP_BYTES : 1) {
			wr = wr_rdma(IBV_WR_RDMA_WRITE, NULL, 0, &to, 0);
			post(&pair, &wr, bytes, nums[i]);
			pattern_check(to.data, bytes, bytes, 0, "an inline write");
			memset(to.data, 0, MOST_BYTES);

			dst = buf_sge(&to, 0, MOST_BYTES);
			end_post_recv(&pair.b, 1, &dst, 1);
			wr = wr_make(IBV_WR_SEND, NULL, 0);
			post(&pair, &wr, bytes, nums[i]);
			assert_int_equal(cq_success(pair.b.rcq).byte_len, bytes);
			pattern_check(to.data, bytes, bytes, 0, "an inline send");
			memset(to.data, 0, MOST_BYTES);
		}
	}
	buf_free(&to);
	pair_close(&pair);
}

static void datagrams(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge dst;
	struct pair pair;
	uint32_t bytes;
	struct buf to;

	(void)state;
	conn.type = IBV_QPT_UD;
	conn.inline_bytes = MOST_BYTES;
	pair_open(&pair, &conn);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, MOST_BYTES + 40, 0, ACCESS_ALL);
	for (bytes = 400; bytes <= MOST_BYTES; bytes += 28) {
		dst = buf_sge(&to, 0, MOST_BYTES + 40);
		end_post_recv(&pair.b, 1, &dst, 1);
		wr = wr_make(IBV_WR_SEND, NULL, 0);
		wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
		post(&pair, &wr, bytes, 3);
		assert_int_equal(cq_success(pair.b.rcq).byte_len, bytes + 40);
		pattern_check(to.data + 40, bytes, bytes, 0, "an inline datagram");
	}
	buf_free(&to);
	pair_close(&pair);
}

TEST_MAIN(TEST(bounds), TEST_BOTH(moves), TEST(datagrams))
