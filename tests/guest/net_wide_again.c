// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Wide packets that the responder has executed in part, or cannot execute yet: one whose first PSNs were executed is not executed
 * again, and the rest of it is sent for at once; one without a receive comes again when it is told to. Where the two ends are
 * connected with different path MTUs, a wide packet is refused as a narrow one is.
 */
#include "roce.h"
#include "wide.h"

#include <unistd.h>

#define MTU	    1024UL
#define SEND_FIRST  0x00
#define SEND_MIDDLE 0x01
#define WRITE_FIRST 0x06
#define WRITE_MID   0x07
#define SYNDROME    12 /* of an ACK, from its BTH */
#define NAK_PSN	    0x60
#define RNR	    0x20
/* PSNs that were executed before. */
#define BEFORE 2

/* An answer to a: its syndrome. */
static bool is_answer(const struct wide *bed, const struct sniffed *packet, uint8_t *syndrome)
{
	if (!packet->roce || packet->opcode != ROCE_ACK ||
	    packet->dest_qpn != bed->pair.a.qp->qp_num || packet->bth_bytes <= SYNDROME)
		return false;
	*syndrome = packet->bth[SYNDROME];
	return true;
}

static void await_nak(struct wide *bed, uint32_t psn)
{
	double end = seconds() + BOUND_S;
	struct sniffed packet;
	uint8_t syndrome;

	for (;;) {
		while (sniff_next(&bed->sniff, &packet))
			if (is_answer(bed, &packet, &syndrome) && syndrome == NAK_PSN &&
			    packet.psn == psn)
				return;
		if (seconds() > end)
			fail_because("no NAK");
	}
}

/*
 * In the name of a: the first two packets of a message, with zeros, and where @gap one that is too early, for which b sends a NAK. a
 * knows nothing of either, and takes an answer to what it has not sent for nothing.
 */
static void forge_beginning(struct wide *bed, int fd, enum op op, const struct buf *to,
			    size_t bytes, bool gap)
{
	struct roce_path path = roce_path(&bed->pair.a, &bed->pair.b);
	bool send = op == OP_SEND || op == OP_SEND_IMM;
	uint32_t qpn = bed->pair.b.qp->qp_num, psn = bed->next_psn;
	volatile uint8_t *last = to->data + BEFORE * MTU - 1;
	double end = seconds() + BOUND_S;
	uint8_t reth[16] = { 0 };

	roce_put64(reth, (uintptr_t)to->data);
	roce_put32(reth + 8, to->mr->rkey);
	roce_put32(reth + 12, bytes);
	assert_zero(roce_user_send(fd, &path, send ? SEND_FIRST : WRITE_FIRST, qpn, psn, reth,
				   send ? 0 : sizeof(reth), MTU));
	assert_zero(roce_user_send(fd, &path, send ? SEND_MIDDLE : WRITE_MID, qpn,
				   (psn + 1) & 0xffffff, NULL, 0, MTU));
	while (*last)
		if (seconds() > end)
			fail_because("what was forged is not executed");
	if (!gap)
		return;
	assert_zero(roce_user_send(fd, &path, send ? SEND_MIDDLE : WRITE_MID, qpn,
				   (psn + BEFORE + 5) & 0xffffff, NULL, 0, MTU));
	await_nak(bed, (psn + BEFORE) & 0xffffff);
}

/* Whether a has sent its message from @psn on in a wide packet that reaches over what was executed. */
static bool was_wide(struct wide *bed, uint32_t psn)
{
	struct sniffed packet;
	bool wide = false;

	while (sniff_next(&bed->sniff, &packet))
		if (packet.roce && packet.opcode < 0x0d && packet.psn == psn &&
		    packet.dest_qpn == bed->pair.b.qp->qp_num && packet.psns > BEFORE)
			wide = true;
	return wide;
}

static bool straddle(struct wide *bed, enum op op, size_t bytes, bool gap)
{
	static const enum ibv_wr_opcode opcodes[OP_KINDS] = {
		[OP_WRITE] = IBV_WR_RDMA_WRITE,
		[OP_WRITE_IMM] = IBV_WR_RDMA_WRITE_WITH_IMM,
		[OP_SEND] = IBV_WR_SEND,
		[OP_SEND_IMM] = IBV_WR_SEND_WITH_IMM,
	};
	bool send = op == OP_SEND || op == OP_SEND_IMM;
	struct roce_path path = roce_path(&bed->pair.a, &bed->pair.b);
	int fd = roce_user_socket(&path), i;
	struct buf from, to, other;
	struct ibv_sge sge;
	struct ibv_send_wr wr;
	struct ibv_wc wc;
	uint32_t psn;
	bool wide;

	buf_make(&from, bed->pair.a.rig->pd, MEM_ANON, bytes, 3, ACCESS_ALL);
	buf_make(&to, bed->pair.b.rig->pd, MEM_ANON, bytes, 40, ACCESS_ALL);
	/* A second receive, which nothing may take. */
	buf_make(&other, bed->pair.b.rig->pd, MEM_ANON, bytes, 40, ACCESS_ALL);
	memset(to.data, 0x5a, bytes);
	memset(other.data, 0x5a, bytes);
	pattern_fill(from.data, bytes, 17, 0);
	/* It may connect again, which takes away what is posted. */
	wide_await(bed, true);
	for (i = 0; i < 2; i++) {
		sge = buf_sge(i ? &other : &to, 0, bytes);
		if (op != OP_WRITE)
			end_post_recv(&bed->pair.b, i, &sge, send ? 1 : 0);
	}
	psn = bed->next_psn;
	forge_beginning(bed, fd, op, &to, bytes, gap);
	sge = buf_sge(&from, 0, bytes);
	wr = wr_rdma(opcodes[op], &sge, 1, &to, 0);
	end_post(&bed->pair.a, &wr);
	cq_success(bed->pair.a.scq);
	if (op != OP_WRITE) {
		wc = cq_success(bed->pair.b.rcq);
		assert_int_equal(wc.wr_id, 0);
		assert_int_equal(wc.byte_len, bytes);
		cq_assert_empty(bed->pair.b.rcq);
	}
	for (i = 0; i < (int)(BEFORE * MTU); i++)
		if (to.data[i])
			fail_because("%s: byte %d was written twice", op_name(op), i);
	pattern_check(to.data + BEFORE * MTU, bytes - BEFORE * MTU, 17, BEFORE * MTU, op_name(op));
	for (i = 0; i < (int)bytes; i++)
		assert_int_equal(other.data[i], 0x5a);
	wide = was_wide(bed, psn);
	close(fd);
	pair_assert_works(&bed->pair);
	buf_free(&from);
	buf_free(&to);
	buf_free(&other);
	return wide;
}

/* The rest comes because b asks for it, and not because an ACK is late. */
static void executed_in_part(bool gap)
{
	static const size_t lengths[] = { 20 * MTU, 90 * MTU + 1 };
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	double end = seconds() + BOUND_S;
	long late = rig_counter("ack_timeout");
	struct wide bed;
	enum op op;
	size_t i;
	bool wide;

	for (op = 0; op < OP_KINDS; op++) {
		for (i = 0; op != OP_READ && i < ARRAY_SIZE(lengths); i++) {
			do {
				if (seconds() > end)
					fail_because("%s: never wide", op_name(op));
				wide_open(&bed, &conn);
				wide = straddle(&bed, op, lengths[i], gap);
				wide_close(&bed);
			} while (!wide);
		}
	}
	assert_int_equal(rig_counter("ack_timeout"), late);
}

static void first_psns_executed(void **state)
{
	(void)state;
	executed_in_part(false);
}

/* b has asked for the rest already: that NAK may be lost. */
static void first_psns_executed_and_told(void **state)
{
	(void)state;
	executed_in_part(true);
}

/* Waits until a was told twice to come back; whether the packet for which it was is a wide one. */
static bool await_rnr(struct wide *bed)
{
	double end = seconds() + BOUND_S;
	uint32_t psns[2048], rnr_psn = 0;
	struct sniffed packet;
	unsigned int rnrs = 0;
	bool wide = false;
	uint8_t syndrome;

	memset(psns, 0, sizeof(psns));
	while (rnrs < 2) {
		if (seconds() > end)
			fail_because("a is not told to come back");
		while (sniff_next(&bed->sniff, &packet)) {
			if (!packet.roce || packet.opcode >= 0xc0)
				continue;
			if (packet.opcode < 0x0d)
				psns[packet.psn % ARRAY_SIZE(psns)] = packet.psns;
			if (!is_answer(bed, &packet, &syndrome) || (syndrome & 0x60) != RNR)
				continue;
			if (rnrs)
				assert_int_equal(packet.psn, rnr_psn);
			rnr_psn = packet.psn;
			wide |= psns[rnr_psn % ARRAY_SIZE(psns)] > 1;
			rnrs++;
		}
	}
	return wide;
}

#define MESSAGES 3

/* Messages behind one another, none of which has a receive when it comes. */
static bool without_receive(struct wide *bed, enum ibv_wr_opcode opcode, size_t bytes)
{
	bool write = opcode == IBV_WR_RDMA_WRITE_WITH_IMM, wide;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_wc wc;
	int i;

	buf_make(&from, bed->pair.a.rig->pd, MEM_ANON, MESSAGES * bytes, 3, ACCESS_ALL);
	buf_make(&to, bed->pair.b.rig->pd, MEM_ANON, MESSAGES * bytes, 40, ACCESS_ALL);
	pattern_fill(from.data, MESSAGES * bytes, 23, 0);
	memset(to.data, 0, MESSAGES * bytes);
	wide_await(bed, true);
	for (i = 0; i < MESSAGES; i++) {
		sge = buf_sge(&from, i * bytes, bytes);
		wr = wr_rdma(opcode, &sge, 1, &to, i * bytes);
		wr.wr_id = i;
		wr.imm_data = i;
		end_post(&bed->pair.a, &wr);
	}
	wide = await_rnr(bed);
	cq_assert_empty(bed->pair.b.rcq);
	for (i = 0; i < MESSAGES; i++) {
		sge = buf_sge(&to, i * bytes, bytes);
		end_post_recv(&bed->pair.b, i, &sge, write ? 0 : 1);
	}
	for (i = 0; i < MESSAGES; i++) {
		wc = cq_success(bed->pair.a.scq);
		assert_int_equal(wc.wr_id, i);
		wc = cq_success(bed->pair.b.rcq);
		assert_int_equal(wc.wr_id, i);
		assert_int_equal(wc.byte_len, bytes);
		if (write)
			assert_int_equal(wc.imm_data, i);
	}
	cq_assert_empty(bed->pair.b.rcq);
	pattern_check(to.data, MESSAGES * bytes, 23, 0, "what waited for receives");
	buf_free(&from);
	buf_free(&to);
	return wide;
}

/* A SEND is told so at its first packet, a WRITE with immediate at its last. */
static void no_receive(bool srq)
{
	static const size_t lengths[] = { 20 * MTU, 100 * MTU + 1 };
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	static const enum ibv_wr_opcode opcodes[] = { IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
						      IBV_WR_RDMA_WRITE_WITH_IMM };
	double end = seconds() + BOUND_S;
	long gaps = rig_counter("ack_timeout");
	struct wide bed;
	size_t i, k;
	bool wide;

	conn.srq_b = srq;
	/* 10 ms */
	conn.min_rnr_timer = 20;
	for (k = 0; k < ARRAY_SIZE(opcodes); k++) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			do {
				if (seconds() > end)
					fail_because("opcode %d: never wide", opcodes[k]);
				wide_open(&bed, &conn);
				wide = without_receive(&bed, opcodes[k], lengths[i]);
				wide_close(&bed);
			} while (!wide);
		}
	}
	assert_int_equal(rig_counter("ack_timeout"), gaps);
}

static void no_receive_posted(void **state)
{
	(void)state;
	no_receive(false);
}

static void no_receive_in_the_srq(void **state)
{
	(void)state;
	no_receive(true);
}

static const struct {
	enum ibv_wr_opcode opcode;
	enum ibv_wc_status status;
} unequal[] = {
	{ IBV_WR_SEND, IBV_WC_REM_INV_REQ_ERR },
	{ IBV_WR_RDMA_WRITE, IBV_WC_REM_INV_REQ_ERR },
	{ IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WC_REM_INV_REQ_ERR },
	{ IBV_WR_RDMA_READ, IBV_WC_BAD_RESP_ERR },
};

/* b begins anew with another path MTU, at the PSN where a stands; a goes on as before. */
static void reconnect_b(struct wide *bed, enum ibv_mtu mtu)
{
	struct pair *pair = &bed->pair;
	struct conn conn = pair->conn;

	conn.mtu = mtu;
	pair->a.psn = bed->next_psn;
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
	assert_zero(end_to_init(&pair->b, &conn));
	assert_zero(end_to_rtr(&pair->b, &pair->a, &conn));
	assert_zero(end_to_rts(&pair->b, &conn));
}

/* What fits into one packet of both ends arrives, the rest is refused and changes nothing. Whether it was wide. */
static bool refused_when_unequal(enum ibv_mtu a_mtu, enum ibv_mtu b_mtu, size_t nth, bool allow)
{
	struct conn conn = wide_conn(true, a_mtu, false);
	enum ibv_wr_opcode opcode = unequal[nth].opcode;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct wide bed;
	uint32_t psn;
	bool wide;
	size_t i;

	/* An answer may have PSNs that were not asked for: then it is no answer, and comes again one by one. */
	conn.timeout = 14;
	wide_allow(allow);
	wide_open(&bed, &conn);
	buf_make(&from, bed.pair.a.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	buf_make(&to, bed.pair.b.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	memset(from.data, 0x33, from.bytes);
	memset(to.data, 0x44, to.bytes);
	wide_await(&bed, allow);
	reconnect_b(&bed, b_mtu);
	pair_move(&bed.pair, OP_WRITE, &bed.a, 0, &bed.b, 0, 256);
	psn = (bed.next_psn + 1) & 0xffffff;
	sge = buf_sge(&to, 0, to.bytes);
	end_post_recv(&bed.pair.b, 1, &sge, 1);
	sge = buf_sge(&from, 0, from.bytes);
	wr = wr_rdma(opcode, &sge, 1, &to, 0);
	end_post(&bed.pair.a, &wr);
	cq_expect(bed.pair.a.scq, unequal[nth].status);
	for (i = 0; i < from.bytes; i++) {
		assert_int_equal(from.data[i], 0x33);
		assert_int_equal(to.data[i], 0x44);
	}
	wide = was_wide(&bed, psn);
	buf_free(&from);
	buf_free(&to);
	wide_close(&bed);
	return wide;
}

static void unequal_path_mtus(void **state)
{
	static const enum ibv_mtu mtus[] = { IBV_MTU_256, IBV_MTU_1024, IBV_MTU_4096 };
	double end = seconds() + BOUND_S;
	size_t i, k, n;
	bool wide;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(mtus); i++) {
		for (k = 0; k < ARRAY_SIZE(mtus); k++) {
			for (n = 0; i != k && n < ARRAY_SIZE(unequal); n++) {
				refused_when_unequal(mtus[i], mtus[k], n, false);
				do {
					if (seconds() > end)
						fail_because("never wide");
					wide = refused_when_unequal(mtus[i], mtus[k], n, true);
				} while (!wide && unequal[n].opcode != IBV_WR_RDMA_READ);
			}
		}
	}
}

/* clang-format off */
#define WIDE(fn) { #fn, fn, wide_set_up, wide_tear_down, NULL }
/* clang-format on */

TEST_MAIN(WIDE(first_psns_executed), WIDE(first_psns_executed_and_told), WIDE(no_receive_posted),
	  WIDE(no_receive_in_the_srq), WIDE(unequal_path_mtus))
