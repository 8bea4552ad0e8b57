// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The wire is rxe's: stock rdma_rxe on one end of the veth pair, ours on the other, each asks and answers. Every
 * operation, lengths around the path MTU, both families, our end pinned and with on-demand paging, and reliable ones
 * again over a network that loses, corrupts and reorders packets; a page of ours that comes late; and a path MTU above the
 * netdevs', which is as much as stock rxe can take part in: it takes what we send in fragments, and sends none itself.
 */
#include "mixed.h"
#include "netem.h"
#include "roce.h"

#define ATOMICS	   40
#define LATE_MS	   1500
#define SMALL_MTU  1500
#define USUAL_MTU  9000
#define FITS_BYTES 1400
#define MAX_SIZES  9

struct sizes {
	size_t bytes[MAX_SIZES];
	size_t count;
	size_t stock_sends; /* no more than that */
	int netdev_mtu;
};

static const struct sizes usual = {
	.bytes = { 1, 6, 1023, 1024, 1025, 4096, 20011 },
	.count = 7,
	.stock_sends = SIZE_MAX,
	.netdev_mtu = USUAL_MTU,
};

/* Which end asks; READs are asked for by the end that receives. */
enum asker { STOCK, OURS };

static int odp_of(const struct pair *pair, const struct end *end, int odp)
{
	return end->rig == &pair->peer ? odp : 0;
}

static void swap_ends(struct pair *pair)
{
	struct end a = pair->a;

	pair->a = pair->b;
	pair->b = a;
}

static void set_mtus(int mtu)
{
	char cmd[160];

	snprintf(cmd, sizeof(cmd),
		 "ip link set veth0 mtu %d && ip netns exec peer ip link set veth1 mtu %d", mtu,
		 mtu);
	assert_zero(system(cmd));
}

/* Opens with end a as the one that asks, whatever MTU a failed test has left; returns our registrations' access flag. */
static int open_mixed(struct pair *pair, const struct conn *conn, void **state, enum asker asker,
		      int netdev_mtu)
{
	struct conn wire = *conn;

	set_mtus(netdev_mtu);
	wire.wire = true;
	pair_open(pair, &wire);
	if (asker == OURS)
		swap_ends(pair);
	return mode(&pair->peer, state);
}

/*
 * Memory stays registered until the queue pairs are reset: stock rxe that answers a READ once more, because its request was
 * duplicated, goes to the error state when the region has gone meanwhile.
 */
static void reset(struct pair *pair)
{
	assert_zero(end_set_state(&pair->a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
}

static void make_both(struct pair *pair, struct buf *from, struct buf *to, size_t bytes, size_t i,
		      int odp)
{
	buf_make(from, pair->a.rig->pd, MEM_ANON, bytes, 7 * i,
		 ACCESS_ALL | odp_of(pair, &pair->a, odp));
	buf_make(to, pair->b.rig->pd, MEM_ANON, bytes, 4090 + i,
		 ACCESS_ALL | odp_of(pair, &pair->b, odp));
}

static void move_all(void **state, const struct conn *conn, enum asker asker,
		     const struct sizes *sizes)
{
	static struct buf from[OP_KINDS][MAX_SIZES], to[OP_KINDS][MAX_SIZES];
	struct pair pair;
	enum op op;
	size_t i;
	int odp;

	memset(from, 0, sizeof(from));
	odp = open_mixed(&pair, conn, state, asker, sizes->netdev_mtu);
	for (op = 0; op < OP_KINDS; op++) {
		if (op == OP_READ && conn->type == IBV_QPT_UC)
			continue;
		/* A READ is posted by the end that gets the data. */
		if (op == OP_READ)
			swap_ends(&pair);
		for (i = 0; i < sizes->count; i++) {
			if (pair.a.rig != &pair.peer && sizes->bytes[i] > sizes->stock_sends)
				continue;
			make_both(&pair, &from[op][i], &to[op][i], sizes->bytes[i], i, odp);
			pair_move_checked(&pair, op, &from[op][i], &to[op][i], 16 * op + i);
		}
		if (op == OP_READ)
			swap_ends(&pair);
	}
	reset(&pair);
	for (op = 0; op < OP_KINDS; op++) {
		for (i = 0; i < sizes->count; i++) {
			if (!from[op][i].map)
				continue;
			buf_free(&from[op][i]);
			buf_free(&to[op][i]);
		}
	}
	pair_close(&pair);
}

static void moves(void **state, enum asker asker)
{
	struct conn conn = CONN;

	move_all(state, &conn, asker, &usual);
	conn.ipv6 = true;
	conn.mtu = IBV_MTU_4096;
	move_all(state, &conn, asker, &usual);
}

static void stock_moves(void **state)
{
	moves(state, STOCK);
}
static void our_moves(void **state)
{
	moves(state, OURS);
}

/* Without acknowledgments. Nothing is lost here. */
static void moves_uc(void **state, enum asker asker)
{
	struct conn conn = CONN;

	conn.type = IBV_QPT_UC;
	move_all(state, &conn, asker, &usual);
	conn.ipv6 = true;
	conn.mtu = IBV_MTU_4096;
	move_all(state, &conn, asker, &usual);
}

static void stock_moves_uc(void **state)
{
	moves_uc(state, STOCK);
}
static void our_moves_uc(void **state)
{
	moves_uc(state, OURS);
}

/* What one packet of the netdev's takes, whoever sends it, and more where it is us. */
static void moves_above_mtu(void **state, enum asker asker)
{
	static const struct sizes sizes = {
		.bytes = { 1, 1023, 1024, 1025, 1400, 1500, 4096, 4097, 20011 },
		.count = 9,
		.stock_sends = FITS_BYTES,
		.netdev_mtu = SMALL_MTU,
	};
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	move_all(state, &conn, asker, &sizes);
	conn.ipv6 = true;
	move_all(state, &conn, asker, &sizes);
}

static void stock_moves_above_mtu(void **state)
{
	moves_above_mtu(state, STOCK);
}
static void our_moves_above_mtu(void **state)
{
	moves_above_mtu(state, OURS);
}

static void one_atomic(struct pair *pair, enum ibv_wr_opcode opcode, int odp)
{
	struct buf local, remote;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	uint64_t *target, old;

	buf_make(&local, pair->a.rig->pd, MEM_ANON, 8, 4, ACCESS_ALL | odp_of(pair, &pair->a, odp));
	buf_make(&remote, pair->b.rig->pd, MEM_ANON, 8, 8,
		 ACCESS_ALL | odp_of(pair, &pair->b, odp));
	target = (uint64_t *)remote.data;
	*target = 41;
	sge = buf_sge(&local, 0, 8);
	wr = wr_atomic(opcode, &sge, &remote, 0, opcode == IBV_WR_ATOMIC_CMP_AND_SWP ? 41 : 1, 42);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	assert_true(*target == 42);
	memcpy(&old, local.data, sizeof(old));
	assert_true(old == 41);
	buf_free(&local);
	buf_free(&remote);
}

static void atomics(void **state, enum asker asker)
{
	struct conn conn = CONN;
	struct pair pair;
	int odp;

	odp = open_mixed(&pair, &conn, state, asker, USUAL_MTU);
	if (odp)
		rig_need_odp(&pair.peer, IBV_ODP_SUPPORT_ATOMIC, 0);
	one_atomic(&pair, IBV_WR_ATOMIC_CMP_AND_SWP, odp);
	one_atomic(&pair, IBV_WR_ATOMIC_FETCH_AND_ADD, odp);
	pair_close(&pair);
}

static void stock_atomics(void **state)
{
	atomics(state, STOCK);
}
static void our_atomics(void **state)
{
	atomics(state, OURS);
}

static void datagrams(void **state, enum asker asker)
{
	static const size_t bytes[] = { 1, 7, 1024, 2048 };
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge src, dst;
	struct buf from, to;
	struct pair pair;
	struct ibv_wc wc;
	size_t i;
	int odp;

	conn.type = IBV_QPT_UD;
	odp = open_mixed(&pair, &conn, state, asker, USUAL_MTU);
	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		buf_make(&from, pair.a.rig->pd, MEM_ANON, bytes[i], i,
			 ACCESS_ALL | odp_of(&pair, &pair.a, odp));
		buf_make(&to, pair.b.rig->pd, MEM_ANON, bytes[i] + 40, i,
			 ACCESS_ALL | odp_of(&pair, &pair.b, odp));
		pattern_fill(from.data, bytes[i], i, 0);
		src = buf_sge(&from, 0, bytes[i]);
		dst = buf_sge(&to, 0, bytes[i] + 40);
		wr = wr_make(IBV_WR_SEND_WITH_IMM, &src, 1);
		wr.imm_data = i;
		wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
		end_post_recv(&pair.b, i, &dst, 1);
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		wc = cq_success(pair.b.rcq);
		assert_int_equal(wc.byte_len, bytes[i] + 40);
		assert_int_equal(wc.src_qp, pair.a.qp->qp_num);
		assert_int_equal(wc.imm_data, i);
		pattern_check(to.data + 40, bytes[i], i, 0, "a datagram");
		buf_free(&from);
		buf_free(&to);
	}
	pair_close(&pair);
}

static void stock_datagrams(void **state)
{
	datagrams(state, STOCK);
}
static void our_datagrams(void **state)
{
	datagrams(state, OURS);
}

static void send_invalidating(struct pair *pair, const struct buf *from, const struct buf *to,
			      uint32_t bytes, uint32_t rkey)
{
	struct ibv_sge src = buf_sge(from, 0, bytes), dst = buf_sge(to, 0, bytes);
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_INV, &src, 1);
	struct ibv_wc wc;

	pattern_fill(from->data, bytes, rkey, 0);
	wr.invalidate_rkey = rkey;
	end_post_recv(&pair->b, 1, &dst, 1);
	end_post(&pair->a, &wr);
	wc = cq_success(pair->a.scq);
	assert_int_equal(wc.opcode, IBV_WC_SEND);
	wc = cq_success(pair->b.rcq);
	assert_int_equal(wc.byte_len, bytes);
	/* Stock rxe tells a process the kernel's flag, which is the other one there. */
	assert_true(wc.wc_flags & (IBV_WC_WITH_INV | IBV_WC_IP_CSUM_OK));
	assert_int_equal(wc.invalidated_rkey, rkey);
	pattern_check(to->data, bytes, rkey, 0, "what came with the invalidation");
}

/* Of a window that the other end has bound to a queue pair: by its key the memory can be written until it is invalidated. */
static void window_is_invalidated(enum asker asker, uint32_t bytes)
{
	struct conn conn = CONN;
	struct ibv_mw_bind_info info;
	struct buf from, to, behind;
	struct ibv_send_wr wr;
	struct pair pair;
	struct ibv_sge sge;
	struct ibv_mw *mw;

	open_mixed(&pair, &conn, &(void *){ NULL }, asker, USUAL_MTU);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, bytes, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, bytes, 0, ACCESS_ALL);
	buf_make(&behind, pair.b.rig->pd, MEM_ANON, bytes, 0, ACCESS_ALL | IBV_ACCESS_MW_BIND);
	mw = ibv_alloc_mw(pair.b.rig->pd, IBV_MW_TYPE_2);
	assert_non_null(mw);
	info = (struct ibv_mw_bind_info){ behind.mr, (uintptr_t)behind.data, bytes,
					  IBV_ACCESS_REMOTE_WRITE };
	wr = wr_make(IBV_WR_BIND_MW, NULL, 0);
	wr.bind_mw.mw = mw;
	wr.bind_mw.rkey = ibv_inc_rkey(mw->rkey);
	wr.bind_mw.bind_info = info;
	end_post(&pair.b, &wr);
	cq_success(pair.b.scq);
	mw->rkey = wr.bind_mw.rkey;

	sge = buf_sge(&from, 0, bytes);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &behind, 0);
	wr.wr.rdma.rkey = mw->rkey;
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	send_invalidating(&pair, &from, &to, bytes, mw->rkey);
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_REM_ACCESS_ERR);

	reset(&pair);
	assert_zero(ibv_dealloc_mw(mw));
	buf_free(&from);
	buf_free(&to);
	buf_free(&behind);
	pair_close(&pair);
}

static void sends_invalidate(void **state)
{
	(void)state;
	window_is_invalidated(OURS, 100);
	window_is_invalidated(OURS, 5000);
	window_is_invalidated(STOCK, 100);
	window_is_invalidated(STOCK, 5000);
}

static void many_atomics(void **state, const struct conn *conn, enum asker asker)
{
	struct buf result, target;
	struct pair pair;
	uint64_t sum = 0;
	unsigned int i;
	int odp;

	odp = open_mixed(&pair, conn, state, asker, USUAL_MTU);
	if (odp)
		rig_need_odp(&pair.peer, IBV_ODP_SUPPORT_ATOMIC, 0);
	buf_make(&result, pair.a.rig->pd, MEM_ANON, 8, 4, ACCESS_ALL | odp_of(&pair, &pair.a, odp));
	buf_make(&target, pair.b.rig->pd, MEM_ANON, 8, 8, ACCESS_ALL | odp_of(&pair, &pair.b, odp));
	memcpy(target.data, &sum, sizeof(sum));
	for (i = 0; i < ATOMICS; i++)
		pair_add_checked(&pair, &result, &target, &sum);
	reset(&pair);
	buf_free(&result);
	buf_free(&target);
	pair_close(&pair);
}

/* 67 ms: what is lost at the end of a message is found by the timer alone. */
static struct conn on_bad_wire(const char *options)
{
	struct conn conn = CONN;

	conn.timeout = 14;
	if (!netem_begin(options))
		skip_because("this kernel has no netem");
	return conn;
}

static void moves_bad_wire(void **state, enum asker asker)
{
	struct conn conn = on_bad_wire("delay 1ms reorder 98% loss 1% corrupt 1% duplicate 1%");

	move_all(state, &conn, asker, &usual);
	netem_end();
}

/* What comes twice is done once. */
static void atomics_bad_wire(void **state, enum asker asker)
{
	long before = rig_counter("duplicate_request");
	struct conn conn = on_bad_wire("loss 5% duplicate 30%");

	many_atomics(state, &conn, asker);
	netem_end();
	assert_true(rig_counter("duplicate_request") > before);
}

/*
 * ATOMIC WRITEs, each with an atomic behind it that reads it. When stock rxe sends one again it sends it to address 0 (req_retry()
 * knows no address of it), so it asks over a good wire and for pages that are there. Nor can a FLUSH go between the two: stock
 * rxe's ICRC of a FLUSH goes over its headers twice, since its table has no place of a payload for it.
 */
static void words(void **state, const struct conn *conn, enum asker asker)
{
	struct buf result, target;
	struct conn ex = *conn;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	uint64_t i;
	int odp;

	ex.send_ops = IBV_QP_EX_WITH_ATOMIC_WRITE | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
	odp = open_mixed(&pair, &ex, state, asker, USUAL_MTU);
	buf_make(&result, pair.a.rig->pd, MEM_ANON, 8, 8, ACCESS_ALL | odp_of(&pair, &pair.a, odp));
	buf_make(&target, pair.b.rig->pd, MEM_ANON, 8, 8, ACCESS_ALL | odp_of(&pair, &pair.b, odp));
	for (i = 0; i < ATOMICS; i++) {
		sge = buf_sge(&result, 0, 8);
		wr = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &target, 0, 1, 0);
		end_post_atomic_write(&pair.a, &target, 0, 2 * i);
		end_post(&pair.a, &wr);
		assert_int_equal(cq_success(pair.a.scq).opcode, IBV_WC_ATOMIC_WRITE);
		cq_success(pair.a.scq);
		assert_true(*(uint64_t *)result.data == 2 * i);
		assert_true(*(uint64_t *)target.data == 2 * i + 1);
	}
	reset(&pair);
	buf_free(&result);
	buf_free(&target);
	pair_close(&pair);
}

static void stock_words(void **state)
{
	words(state, &CONN, STOCK);
}
static void our_words(void **state)
{
	words(state, &CONN, OURS);
}

static void our_words_bad_wire(void **state)
{
	struct conn conn = on_bad_wire("loss 5% duplicate 30%");

	words(state, &conn, OURS);
	netem_end();
}

static void stock_moves_bad_wire(void **state)
{
	moves_bad_wire(state, STOCK);
}
static void our_moves_bad_wire(void **state)
{
	moves_bad_wire(state, OURS);
}

static void stock_atomics_bad_wire(void **state)
{
	atomics_bad_wire(state, STOCK);
}
static void our_atomics_bad_wire(void **state)
{
	atomics_bad_wire(state, OURS);
}

/* A page of ours that comes long after stock rxe's last retry would have: it is told to come back instead. */
static void stock_waits(enum op op)
{
	long rnr = rig_counter("send_rnr_err");
	struct conn conn = CONN;
	struct buf from, to;
	struct uffd uffd;
	struct pair pair;

	netem_end();
	set_mtus(USUAL_MTU);
	conn.wire = true;
	conn.timeout = 14;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.peer, 0, 0);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 3 * PAGE, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	uffd_register(&uffd, to.data + PAGE, PAGE);
	uffd_serve(&uffd, 6, LATE_MS);
	pair_move_checked(&pair, op, &from, &to, 9);
	assert_int_equal(uffd.asked, 1);
	assert_true(rig_counter("send_rnr_err") > rnr);
	reset(&pair);
	uffd_close(&uffd);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void stock_writes_to_a_late_page(void **state)
{
	(void)state;
	stock_waits(OP_WRITE);
}
static void stock_sends_to_a_late_page(void **state)
{
	(void)state;
	stock_waits(OP_SEND);
}

/* The rule against unprivileged sockets is not against stock rxe. */
static void stock_passes_the_rule(void **state)
{
	struct conn conn = CONN;
	static const struct sizes sizes = {
		.bytes = { 1, 20011 },
		.count = 2,
		.stock_sends = SIZE_MAX,
		.netdev_mtu = USUAL_MTU,
	};

	roce_rule_begin();
	move_all(state, &conn, STOCK, &sizes);
	conn.ipv6 = true;
	move_all(state, &conn, STOCK, &sizes);
}

static int rule_end(void **state)
{
	(void)state;
	roce_rule_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BOTH(stock_moves),
		TEST_BOTH(our_moves),
		TEST_BOTH(stock_moves_uc),
		TEST_BOTH(our_moves_uc),
		TEST_BOTH(stock_moves_above_mtu),
		TEST_BOTH(our_moves_above_mtu),
		TEST_BOTH(stock_atomics),
		TEST_BOTH(our_atomics),
		TEST_BOTH(stock_datagrams),
		TEST_BOTH(our_datagrams),
		TEST_BOTH(stock_moves_bad_wire),
		TEST_BOTH(our_moves_bad_wire),
		TEST_BOTH(stock_atomics_bad_wire),
		TEST_BOTH(our_atomics_bad_wire),
		TEST_PINNED(stock_words),
		TEST_BOTH(our_words),
		TEST_BOTH(our_words_bad_wire),
		TEST(sends_invalidate),
		{ "stock_passes_the_rule", stock_passes_the_rule, NULL, rule_end, NULL },
		TEST(stock_writes_to_a_late_page),
		TEST(stock_sends_to_a_late_page),
	};

	return mixed_run(tests, ARRAY_SIZE(tests));
}
