// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An unreliable connection over on-demand-paging memory. A sender waits for its pages. A receiver holds what comes while it waits
 * for one, up to a bound, and what exceeds that is lost as in the network: by whole messages, and the next one arrives.
 */
#include "cold.h"

#define ODP	(ACCESS_ALL | IBV_ACCESS_ON_DEMAND)
#define BYTES	(150 * KIB + 123)
#define LATE_MS 300

static void open_uc(struct pair *pair)
{
	struct conn conn = CONN;

	conn.type = IBV_QPT_UC;
	conn.mtu = IBV_MTU_4096;
	pair_open(pair, &conn);
	if ((pair->rig.attr.odp_caps.per_transport_caps.uc_odp_caps & IBV_ODP_SUPPORT_WRITE) == 0)
		skip_because("no on-demand paging over UC");
}

static void move_cold(enum op op)
{
	struct buf from, to;
	struct pair pair;
	int kind;

	open_uc(&pair);
	for (kind = 0; kind < MEM_KINDS; kind++) {
		cold_source(&from, pair.a.rig->pd, kind, BYTES, 33, kind);
		buf_make(&to, pair.b.rig->pd, kind, BYTES, 4001, ODP);
		pair_move(&pair, op, &from, 0, &to, 0, BYTES);
		pattern_check(to.data, BYTES, kind, 0, mem_name(kind));
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

static void cold_write(void **state)
{
	(void)state;
	move_cold(OP_WRITE);
}
static void cold_send(void **state)
{
	(void)state;
	move_cold(OP_SEND_IMM);
}

/* A page in the middle of the message, at either end. */
static void late_page(enum op op, bool source)
{
	struct buf from, to;
	struct uffd uffd;
	struct pair pair;

	open_uc(&pair);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 5 * PAGE, 0, ODP);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 5 * PAGE, 0, ODP);
	pattern_fill(from.data, 2 * PAGE, 3, 0);
	pattern_fill(from.data + 3 * PAGE, 2 * PAGE, 3, 3 * PAGE);
	if (!source)
		pattern_fill(from.data + 2 * PAGE, PAGE, 3, 2 * PAGE);
	uffd_register(&uffd, (source ? from.data : to.data) + 2 * PAGE, PAGE);
	uffd_serve(&uffd, 6, LATE_MS);
	pair_move(&pair, op, &from, 0, &to, 0, 5 * PAGE);
	assert_int_equal(uffd.asked, 1);
	if (source)
		pattern_check(to.data + 2 * PAGE, PAGE, 6, 0, "what came from a late page");
	else
		pattern_check(to.data, 5 * PAGE, 3, 0, "what came to a late page");
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void late_source(void **state)
{
	(void)state;
	late_page(OP_WRITE_IMM, true);
	late_page(OP_SEND, true);
}
static void late_target(void **state)
{
	(void)state;
	late_page(OP_WRITE, false);
	late_page(OP_SEND, false);
}

/*
 * Messages of 30 packets while a page is late: those arrive that fit into what is held, whole and in order; and when it is there,
 * one more.
 */
static void more_than_is_held(void **state)
{
	enum { N = 40, EACH = 30 * 256, HELD = 256 / 30 };
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct uffd uffd;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	uint32_t i;

	(void)state;
	conn.type = IBV_QPT_UC;
	conn.mtu = IBV_MTU_256;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, EACH, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, N * EACH, 0, ODP);
	uffd_register(&uffd, to.data, PAGE);
	for (i = 0; i < N; i++) {
		sge = buf_sge(&to, i * EACH, EACH);
		end_post_recv(&pair.b, i, &sge, 1);
	}
	pattern_fill(from.data, from.bytes, 5, 0);
	sge = buf_sge(&from, 0, from.bytes);
	wr = wr_make(IBV_WR_SEND_WITH_IMM, &sge, 1);
	for (i = 0; i < N - 1; i++) {
		wr.imm_data = i;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		if (!i)
			assert_ptr_equal(uffd_next(&uffd, BOUND_S * 1000), to.data);
	}
	cq_assert_empty(pair.b.rcq);
	uffd_give_zeros(&uffd, to.data, PAGE);
	for (i = 0; i < HELD; i++)
		assert_int_equal(cq_success(pair.b.rcq).imm_data, i);
	wr.imm_data = N;
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	do {
		wc = cq_success(pair.b.rcq);
		assert_int_equal(wc.wr_id, i++);
	} while (wc.imm_data != N);
	assert_true(i < N);
	while (i--)
		pattern_check(to.data + i * EACH, EACH, 5, 0, "what was held");
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* A page that will never come holds up neither end's destruction. */
static void destroyed_while_waiting(void **state)
{
	struct buf from, to;
	struct ibv_send_wr wr;
	struct uffd uffd;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_uc(&pair);
		buf_make(&from, pair.a.rig->pd, MEM_ANON, PAGE, 0, ODP);
		buf_make(&to, pair.b.rig->pd, MEM_ANON, PAGE, 0, ODP);
		uffd_register(&uffd, i ? from.data : to.data, PAGE);
		sge = buf_sge(&from, 0, PAGE);
		wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, 0);
		end_post(&pair.a, &wr);
		assert_non_null(uffd_next(&uffd, BOUND_S * 1000));
		end_post(&pair.a, &wr);
		end_close(&pair.a);
		end_close(&pair.b);
		uffd_close(&uffd);
		buf_free(&from);
		buf_free(&to);
		if (pair.peer.ctx)
			rig_close(&pair.peer);
		rig_close(&pair.rig);
	}
}

TEST_MAIN(TEST(cold_write), TEST(cold_send), TEST(late_source), TEST(late_target),
	  TEST(more_than_is_held), TEST(destroyed_while_waiting))
