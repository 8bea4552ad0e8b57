// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An unreliable connection over a network that loses, repeats and reorders: a message that lacks a packet is dropped whole, its
 * receive is for the next one, and nothing is answered; what does not come from the peer, or is no request of UC's, is taken for
 * nothing.
 */
#include "netem.h"
#include "roce.h"

#include <unistd.h>

#define MTU	 256UL
#define PACKETS	 3
#define MESSAGE	 (PACKETS * MTU)
#define RECEIVES 60
#define SEED	 9
#define WRITE_AT ((RECEIVES - 2) * MESSAGE) /* where no receive is used */

/* RC's are these without 0x20. */
enum {
	SEND_FIRST = 0x20,
	SEND_MIDDLE,
	SEND_LAST,
	SEND_LAST_IMM,
	SEND_ONLY,
	SEND_ONLY_IMM,
	WRITE_FIRST,
	WRITE_MIDDLE,
	WRITE_LAST,
	WRITE_LAST_IMM,
	WRITE_ONLY,
	WRITE_ONLY_IMM,
	READ_REQUEST,
};

struct bed {
	struct pair pair;
	struct roce_path path; /* from b to a, which is what is tested */
	struct buf to;
	int fd;
	uint32_t psn;
	uint64_t next; /* receive that is to be used */
};

static void bed_open(struct bed *bed, bool srq)
{
	struct conn conn = CONN;
	struct ibv_sge sge;
	int saved = -1;

	memset(bed, 0, sizeof(*bed));
	conn.type = IBV_QPT_UC;
	conn.mtu = IBV_MTU_256;
	conn.srq_a = srq;
	pair_open(&bed->pair, &conn);
	bed->path = roce_path(&bed->pair.b, &bed->pair.a);
	if (bed->pair.peer.ctx)
		saved = netns_enter_peer();
	bed->fd = roce_user_socket(&bed->path);
	if (saved >= 0)
		netns_leave(saved);
	bed->psn = bed->pair.b.psn;
	buf_make(&bed->to, bed->pair.a.rig->pd, MEM_ANON, RECEIVES * MESSAGE, 0, ACCESS_ALL);
	for (unsigned int i = 0; i < RECEIVES; i++) {
		sge = buf_sge(&bed->to, i * MESSAGE, MESSAGE);
		end_post_recv(&bed->pair.a, i, &sge, 1);
	}
}

static void bed_close(struct bed *bed)
{
	cq_assert_empty(bed->pair.a.rcq);
	assert_int_equal(end_state(&bed->pair.a), IBV_QPS_RTS);
	close(bed->fd);
	pair_close(&bed->pair);
}

/* Payload is what pattern SEED has from byte @at on. */
static void packet(struct bed *bed, uint8_t opcode, uint32_t psn, const void *header,
		   size_t header_bytes, size_t at, size_t bytes)
{
	uint8_t data[32 + 2 * MTU];

	memcpy(data, header, header_bytes);
	pattern_fill(data + header_bytes, bytes, SEED, at);
	assert_zero(roce_user_send(bed->fd, &bed->path, opcode, bed->pair.a.qp->qp_num, psn, data,
				   header_bytes + bytes, 0));
}

static size_t put_reth(struct bed *bed, uint8_t *reth, size_t offset, uint32_t bytes)
{
	roce_put64(reth, (uintptr_t)bed->to.data + offset);
	roce_put32(reth + 8, bed->to.mr->rkey);
	roce_put32(reth + 12, bytes);
	return 16;
}

/* A message of one packet and four bytes, which always arrives; its immediate is @imm. */
static void only(struct bed *bed, uint32_t psn, uint32_t imm)
{
	uint8_t header[4];

	roce_put32(header, imm);
	packet(bed, SEND_ONLY_IMM, psn, header, sizeof(header), 0, 4);
}

static void expect_message(struct bed *bed, uint32_t imm)
{
	struct ibv_wc wc = cq_success(bed->pair.a.rcq);
	uint8_t told[4];

	roce_put32(told, imm);
	if (memcmp(told, &wc.imm_data, sizeof(told)))
		fail_because("message %#x arrives, not %c", wc.imm_data, imm);
	/* Receives are used in order, and by whole messages alone. */
	assert_int_equal(wc.wr_id, bed->next++);
	assert_int_equal(wc.qp_num, bed->pair.a.qp->qp_num);
}

/*
 * Packets of message A are 0, 1 and 2, those of B a, b and c: by PSNs in a row. What arrives of it before the message of one packet
 * behind all; and which packets of WRITEs have left their bytes.
 */
static const struct script {
	const char *packets, *arrives, *written;
} scripts[] = {
	{ "012abc", "AB", "012abc" },
	{ "02abc", "B", "0abc" }, /* the middle is lost, the end, the beginning */
	{ "01abc", "B", "01abc" },
	{ "12abc", "B", "abc" },
	{ "021abc", "B", "0abc" },
	{ "0112abc", "B", "01abc" },
	{ "01abc2", "B", "01abc" },
	{ "01ab2c", "", "01ab" },
	{ "2", "", "" },
	{ "012012", "AA", "012" }, /* a whole message may come twice, or late */
	{ "abc012", "BA", "012abc" },
};

static void send_packet(struct bed *bed, char c, bool write)
{
	bool second = c >= 'a';
	unsigned int nth = second ? c - 'a' : c - '0';
	uint32_t psn = bed->psn + nth + (second ? PACKETS : 0);
	size_t at = (second ? MESSAGE : 0) + nth * MTU, header_bytes = 0;
	uint8_t opcode = (write ? WRITE_FIRST : SEND_FIRST) + nth, header[16];

	if (nth == PACKETS - 1) {
		opcode = write ? WRITE_LAST_IMM : SEND_LAST_IMM;
		roce_put32(header, second ? 'B' : 'A');
		header_bytes = 4;
	} else if (write && !nth) {
		header_bytes = put_reth(bed, header, WRITE_AT + at, MESSAGE);
	}
	packet(bed, opcode, psn, header, header_bytes, at, MTU);
}

static void check_written(struct bed *bed, const struct script *s)
{
	static const uint8_t zeros[MTU];
	unsigned int i;

	for (i = 0; i < 2 * PACKETS; i++) {
		uint8_t *at = bed->to.data + WRITE_AT + i * MTU;

		if (strchr(s->written, "012abc"[i]))
			pattern_check(at, MTU, SEED, i * MTU, s->packets);
		else if (memcmp(at, zeros, MTU))
			fail_because("\"%s\": packet %c is written", s->packets, "012abc"[i]);
	}
}

static void run_script(struct bed *bed, const struct script *s, bool write)
{
	uint64_t first = bed->next;
	const char *c;

	memset(bed->to.data, 0, bed->to.bytes);
	for (c = s->packets; *c; c++)
		send_packet(bed, *c, write);
	only(bed, bed->psn + 2 * PACKETS, 'O');
	for (c = s->arrives; *c; c++)
		expect_message(bed, *c);
	expect_message(bed, 'O');
	if (write)
		check_written(bed, s);
	for (c = s->arrives; !write && *c; c++, first++)
		pattern_check(bed->to.data + first * MESSAGE, MESSAGE, SEED,
			      *c == 'B' ? MESSAGE : 0, s->packets);
	/* Others were lost in between. */
	bed->psn += 1000;
}

static void run_scripts(bool write, bool srq)
{
	struct bed bed;
	size_t i;

	bed_open(&bed, srq);
	for (i = 0; i < ARRAY_SIZE(scripts); i++)
		run_script(&bed, &scripts[i], write);
	buf_free(&bed.to);
	bed_close(&bed);
}

static void sends(void **state)
{
	(void)state;
	run_scripts(false, false);
}
static void sends_to_srq(void **state)
{
	(void)state;
	run_scripts(false, true);
}
static void writes(void **state)
{
	(void)state;
	run_scripts(true, false);
}

/* One packet that is taken for nothing, in its turn. */
static void expect_dropped(struct bed *bed)
{
	static const uint8_t zeros[RECEIVES * MESSAGE];

	only(bed, ++bed->psn, 'O');
	expect_message(bed, 'O');
	memset(bed->to.data + (bed->next - 1) * MESSAGE, 0, 4);
	assert_memory_equal(bed->to.data, zeros, bed->to.bytes);
	bed->psn++;
}

static void bad_writes(void **state)
{
	uint8_t header[20];
	struct bed bed;

	(void)state;
	bed_open(&bed, false);
	memset(bed.to.data, 0, bed.to.bytes);
	put_reth(&bed, header, 0, MTU);
	header[11] ^= 1;
	packet(&bed, WRITE_ONLY, bed.psn, header, 16, 0, MTU);
	expect_dropped(&bed);
	put_reth(&bed, header, RECEIVES * MESSAGE - MTU + 1, MTU);
	packet(&bed, WRITE_ONLY, bed.psn, header, 16, 0, MTU);
	expect_dropped(&bed);
	/* More, and less, than the header says; then more in one packet than the path MTU. */
	put_reth(&bed, header, 0, MTU - 4);
	packet(&bed, WRITE_ONLY, bed.psn, header, 16, 0, MTU);
	expect_dropped(&bed);
	put_reth(&bed, header, 0, MTU + 4);
	packet(&bed, WRITE_ONLY, bed.psn, header, 16, 0, MTU);
	expect_dropped(&bed);
	packet(&bed, WRITE_ONLY, bed.psn, header, 16, 0, MTU + 4);
	expect_dropped(&bed);
	packet(&bed, WRITE_FIRST, bed.psn, header, 16, 0, MTU - 4);
	expect_dropped(&bed);
	buf_free(&bed.to);
	bed_close(&bed);
}

static void no_requests_of_uc(void **state)
{
	static const uint8_t others[] = { 0x04, 0x0a, 0x0c, 0x11, READ_REQUEST, 0x64, 0xa4 };
	uint8_t header[16];
	struct bed bed;
	size_t i;

	(void)state;
	bed_open(&bed, false);
	memset(bed.to.data, 0, bed.to.bytes);
	put_reth(&bed, header, 0, 0);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		packet(&bed, others[i], bed.psn, header, sizeof(header), 0, 0);
		expect_dropped(&bed);
	}
	packet(&bed, SEND_FIRST, bed.psn, header, 0, 0, MTU - 4);
	expect_dropped(&bed);
	packet(&bed, SEND_ONLY, bed.psn, header, 0, 0, MTU + 4);
	expect_dropped(&bed);
	buf_free(&bed.to);
	bed_close(&bed);
}

/* With everything right but where it comes from. */
static void from_a_stranger(void **state)
{
	struct roce_path peer;
	struct bed bed;
	int fd;

	(void)state;
	bed_open(&bed, false);
	if (bed.pair.peer.ctx)
		skip_because("over the wire there is no second address of the peer's");
	memset(bed.to.data, 0, bed.to.bytes);
	fd = bed.fd;
	peer = bed.path;
	memcpy(bed.path.from.raw + 12, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	bed.fd = roce_user_socket(&bed.path);
	only(&bed, bed.psn, 'X');
	close(bed.fd);
	bed.fd = fd;
	bed.path = peer;
	expect_dropped(&bed);
	buf_free(&bed.to);
	bed_close(&bed);
}

/* Messages of up to four packets; what arrives is whole and in its place, and the first one behind the bad wire arrives. */
static void bad_wire(void **state)
{
	enum { N = 300, AT_ONCE = 50, BYTES = 1000 };
	struct conn conn = CONN;
	struct buf from, to;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct ibv_wc wc;
	unsigned int i, got = 0;

	(void)state;
	conn.type = IBV_QPT_UC;
	conn.mtu = IBV_MTU_256;
	conn.wire = true;
	conn.recv_wr = 2 * N;
	conn.cqe = 4 * N;
	pair_open(&pair, &conn);
	if (!netem_begin("delay 1ms reorder 95% loss 5% corrupt 1% duplicate 2%"))
		skip_because("this kernel has no netem");
	buf_make(&from, pair.a.rig->pd, MEM_ANON, N * BYTES, 0, ACCESS_ALL);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, 2 * N * BYTES, 0, ACCESS_ALL);
	pattern_fill(from.data, from.bytes, SEED, 0);
	for (i = 0; i < 2 * N; i++) {
		sge = buf_sge(&to, i * BYTES, BYTES);
		end_post_recv(&pair.b, i, &sge, 1);
	}
	for (i = 0; i < N; i++) {
		sge = buf_sge(&from, i * BYTES, BYTES - i % 250);
		wr = wr_make(IBV_WR_SEND_WITH_IMM, &sge, 1);
		wr.imm_data = i;
		end_post(&pair.a, &wr);
		cq_success(pair.a.scq);
		if (i % AT_ONCE == AT_ONCE - 1)
			usleep(10000);
	}
	netem_end();
	wr = wr_make(IBV_WR_SEND_WITH_IMM, NULL, 0);
	wr.imm_data = N;
	end_post(&pair.a, &wr);
	for (;; got++) {
		wc = cq_success(pair.b.rcq);
		assert_int_equal(wc.wr_id, got);
		if (wc.imm_data == N)
			break;
		assert_in_range(wc.imm_data, 0, N - 1);
		assert_int_equal(wc.byte_len, BYTES - wc.imm_data % 250);
		pattern_check(to.data + got * BYTES, wc.byte_len, SEED, (size_t)wc.imm_data * BYTES,
			      "what arrived");
	}
	printf("%u of %u messages arrived\n", got, N);
	assert_true(got > 0);
	assert_true(got < N);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static int wire_end(void **state)
{
	(void)state;
	netem_end();
	return 0;
}

TEST_MAIN(TEST(sends), TEST(sends_to_srq), TEST(writes), TEST(bad_writes), TEST(no_requests_of_uc),
	  TEST(from_a_stranger), { "bad_wire", bad_wire, NULL, wire_end, NULL })
