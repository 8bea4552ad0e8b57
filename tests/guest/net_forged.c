// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Answers that a program of the same host forges, by an ordinary UDP socket: what is beyond all that was sent is taken for
 * nothing, whatever it says, and the message arrives as it should. What was sent may be answered late, after a retry went
 * back before it. The rule of data/roce.nft shuts out the rest.
 */
#include "roce.h"

#include <unistd.h>

#define MESSAGE_BYTES (1024 * 1024U) /* more packets than any window */
#define MTU_BYTES     1024U
#define LAST	      (MESSAGE_BYTES / MTU_BYTES - 1)
#define MIDDLE	      (MESSAGE_BYTES / MTU_BYTES / 2)

#define ACK	    0x1f
#define RNR	    0x20 /* come back after 655 ms */
#define NAK_PSN	    0x60
#define NAK_INVALID 0x61
#define NAK_ACCESS  0x62
#define NAK_REMOTE  0x63

struct bed {
	struct pair pair;
	struct roce_path path;
	struct buf from, to;
	int fd;
};

/* In b's namespace, from b's address to a's. */
static void bed_open(struct bed *bed, bool ipv6)
{
	struct conn conn = CONN;
	int saved = -1;

	conn.ipv6 = ipv6;
	pair_open(&bed->pair, &conn);
	bed->path = roce_path(&bed->pair.b, &bed->pair.a);
	if (bed->pair.peer.ctx)
		saved = netns_enter_peer();
	bed->fd = roce_user_socket(&bed->path);
	if (saved >= 0)
		netns_leave(saved);
	buf_make(&bed->from, bed->pair.a.rig->pd, MEM_ANON, MESSAGE_BYTES, 0, ACCESS_ALL);
	buf_make(&bed->to, bed->pair.b.rig->pd, MEM_ANON, MESSAGE_BYTES, 0, ACCESS_ALL);
}

static void bed_close(struct bed *bed)
{
	close(bed->fd);
	buf_free(&bed->from);
	buf_free(&bed->to);
	pair_close(&bed->pair);
}

/* Both ends anew, but b takes no packets yet. */
static void deafen(struct bed *bed)
{
	struct pair *pair = &bed->pair;

	assert_zero(end_set_state(&pair->a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
	assert_zero(end_to_init(&pair->a, &pair->conn));
	assert_zero(end_to_init(&pair->b, &pair->conn));
	assert_zero(end_to_rtr(&pair->a, &pair->b, &pair->conn));
	assert_zero(end_to_rts(&pair->a, &pair->conn));
}

static void listen_now(struct bed *bed)
{
	assert_zero(end_to_rtr(&bed->pair.b, &bed->pair.a, &bed->pair.conn));
}

static void post(struct bed *bed, enum ibv_wr_opcode opcode, size_t bytes)
{
	bool read = opcode == IBV_WR_RDMA_READ;
	struct ibv_sge sge = buf_sge(&bed->from, 0, bytes);
	struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, &bed->to, 0);

	pattern_fill(read ? bed->to.data : bed->from.data, bytes, 5, 0);
	memset(read ? bed->from.data : bed->to.data, 0, bytes);
	end_post(&bed->pair.a, &wr);
}

/* An answer for the nth packet; returns when it was taken, for whatever it is worth. */
static void forge(struct bed *bed, uint8_t syndrome, uint32_t nth)
{
	struct end *a = &bed->pair.a;
	long before = rig_counter("rcvd_pkts");
	double last = seconds() + BOUND_S;
	uint8_t aeth[4] = { syndrome };

	assert_zero(roce_user_send(bed->fd, &bed->path, ROCE_ACK, a->qp->qp_num, a->psn + nth, aeth,
				   sizeof(aeth), 0));
	while (!rig_is_stock() && rig_counter("rcvd_pkts") == before)
		if (seconds() > last)
			fail_because("the forged packet did not come");
}

static void forge_response(struct bed *bed, uint32_t nth)
{
	struct end *a = &bed->pair.a;

	assert_zero(roce_user_send(bed->fd, &bed->path, ROCE_READ_RESPONSE, a->qp->qp_num,
				   a->psn + nth, NULL, 0, MTU_BYTES));
}

static void write_is_done(struct bed *bed)
{
	cq_success(bed->pair.a.scq);
	pattern_check(bed->to.data, MESSAGE_BYTES, 5, 0, "what was written");
	assert_int_equal(end_state(&bed->pair.a), IBV_QPS_RTS);
}

static void beyond_what_was_sent(bool ipv6)
{
	static const uint8_t syndromes[] = {
		ACK, RNR, NAK_PSN, NAK_INVALID, NAK_ACCESS, NAK_REMOTE
	};
	struct bed bed;
	size_t i;

	bed_open(&bed, ipv6);
	for (i = 0; i < ARRAY_SIZE(syndromes); i++) {
		deafen(&bed);
		post(&bed, IBV_WR_RDMA_WRITE, MESSAGE_BYTES);
		forge(&bed, syndromes[i], LAST);
		forge(&bed, syndromes[i], MIDDLE);
		listen_now(&bed);
		write_is_done(&bed);
	}
	bed_close(&bed);
}

static void answers_ipv4(void **state)
{
	(void)state;
	beyond_what_was_sent(false);
}
static void answers_ipv6(void **state)
{
	(void)state;
	beyond_what_was_sent(true);
}

/* Data for a READ that has not been asked for: it is no sign that what was asked for got lost. */
static void responses(void **state)
{
	long errors = rig_counter("rcvd_seq_err");
	struct bed bed;

	(void)state;
	bed_open(&bed, false);
	deafen(&bed);
	post(&bed, IBV_WR_RDMA_READ, MESSAGE_BYTES);
	forge_response(&bed, LAST);
	forge_response(&bed, MIDDLE);
	forge(&bed, ACK, LAST);
	assert_int_equal(rig_counter("rcvd_seq_err"), errors);
	listen_now(&bed);
	cq_success(bed.pair.a.scq);
	pattern_check(bed.from.data, MESSAGE_BYTES, 5, 0, "what was read");
	bed_close(&bed);
}

/* The answer for all of it comes while the requester is back at the beginning, and waits there. */
static void late_after_going_back(void **state)
{
	const size_t bytes = 8 * MTU_BYTES;
	struct bed bed;

	(void)state;
	bed_open(&bed, false);
	deafen(&bed);
	post(&bed, IBV_WR_RDMA_WRITE, bytes);
	forge(&bed, RNR, 0);
	forge(&bed, ACK, bytes / MTU_BYTES - 1);
	cq_success(bed.pair.a.scq);
	assert_int_equal(end_state(&bed.pair.a), IBV_QPS_RTS);
	bed_close(&bed);
}

static int rule_end(void **state)
{
	(void)state;
	roce_rule_end();
	return 0;
}

/* An answer for the first packet of one that was sent; returns what the socket was told. */
static int forge_for_first(struct bed *bed, int fd)
{
	uint8_t aeth[4] = { ACK };

	return roce_user_send(fd, &bed->path, ROCE_ACK, bed->pair.a.qp->qp_num, bed->pair.a.psn,
			      aeth, sizeof(aeth), 0);
}

/* It shuts the socket out and nobody else; without it nothing could tell what is forged here. */
static void documented_rule(bool ipv6)
{
	struct bed bed;

	bed_open(&bed, ipv6);
	roce_rule_begin();
	deafen(&bed);
	post(&bed, IBV_WR_RDMA_WRITE, MTU_BYTES);
	assert_int_equal(forge_for_first(&bed, bed.fd), -EPERM);
	cq_assert_empty(bed.pair.a.scq);
	listen_now(&bed);
	cq_success(bed.pair.a.scq);
	pattern_check(bed.to.data, MTU_BYTES, 5, 0, "what passed the rule");

	roce_rule_end();
	deafen(&bed);
	post(&bed, IBV_WR_RDMA_WRITE, MTU_BYTES);
	assert_zero(forge_for_first(&bed, bed.fd));
	cq_success(bed.pair.a.scq);
	bed_close(&bed);
}

static void documented_rule_ipv4(void **state)
{
	(void)state;
	documented_rule(false);
}
static void documented_rule_ipv6(void **state)
{
	(void)state;
	documented_rule(true);
}

/* clang-format off */
#define RULE(fn) { #fn, fn, NULL, rule_end, NULL }
/* clang-format on */

TEST_MAIN(TEST(answers_ipv4), TEST(answers_ipv6), TEST(responses), TEST(late_after_going_back),
	  RULE(documented_rule_ipv4), RULE(documented_rule_ipv6))
