// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile network: random and mutated RoCEv2 packets from a raw socket of the peer's namespace, over IPv4 and IPv6, with right and
 * with wrong ICRCs, to live QPs of every service, QP1 and numbers that nobody has, some of them of another service than the QP's; those
 * of XRC to SRQs of the target's domain, of another one, and to none; probes, after which a packet may have several PSNs. Nothing may
 * be written outside of a region, nothing may break but the QPs that were lied to: a bystander's QPs work all the time.
 *
 * In most rounds of connected QPs the peer is deaf: what ours asks for stays outstanding, and
 * whatever completes it was forged.
 *
 * rdma-odp: timeout 90
 */
#include "forge.h"
#include "roce.h"
#include "xrc.h"

#include <sys/mman.h>

#define LOCAL_BYTES   4096UL /* of one of our requests, at most */
#define LARGE_BYTES   (3 * GIB)
#define ROUND	      150
#define CONNECTED_OPS (IBV_QP_EX_WITH_FLUSH | IBV_QP_EX_WITH_ATOMIC_WRITE)
#define RECEIVES      16

/* What came through, in a way that nothing but forged packets explains. */
struct seen {
	unsigned long datagrams, sends, unreliable, writes, answers, naks, xrc_sends, xrc_answers;
	unsigned long longer; /* SENDs of several path MTUs, most of them in one packet */
};

static void post_receive(struct rnd *r, struct pair *pair, const struct buf *mine)
{
	struct ibv_sge sge = buf_sge(mine, rnd_below(r, mine->bytes - LOCAL_BYTES), LOCAL_BYTES);

	end_post_recv(&pair->a, 0, &sge, 1);
}

static void post_receives(struct rnd *r, struct pair *pair, const struct buf *mine)
{
	unsigned int i;

	for (i = 0; i < RECEIVES; i++)
		post_receive(r, pair, mine);
}

/* What answers may mean: every operation, of a few packets at most. Of XRC those that there are. */
static void post_requests(struct rnd *r, struct pair *pair, const struct buf *mine,
			  const struct buf *theirs)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE,	     IBV_WR_SEND,  IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_FLUSH, IBV_WR_ATOMIC_WRITE
	};
	size_t kinds = pair->conn.type == IBV_QPT_XRC_SEND ? 4 : ARRAY_SIZE(opcodes);
	unsigned int i;

	for (i = 0; i < 10; i++) {
		enum ibv_wr_opcode opcode = opcodes[rnd_below(r, kinds)];
		struct ibv_sge sge = buf_sge(mine, rnd_below(r, mine->bytes - LOCAL_BYTES),
					     1024 * (1 + rnd_below(r, 3)));
		struct ibv_send_wr wr = wr_rdma(opcode, &sge, 1, theirs, 0);

		if (opcode == IBV_WR_FLUSH) {
			end_post_flush(&pair->a, theirs->mr->rkey, 0, 0, IBV_FLUSH_GLOBAL,
				       IBV_FLUSH_MR);
			continue;
		}
		if (opcode == IBV_WR_ATOMIC_WRITE) {
			end_post_atomic_write(&pair->a, theirs, 0, i);
			continue;
		}
		if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
			sge.length = 8;
			wr = wr_atomic(opcode, &sge, theirs, 0, 1, 0);
		}
		end_post(&pair->a, &wr);
	}
}

struct round {
	struct pair pair;
	struct forge_target target;
	struct buf mine, theirs, open; /* for our requests, at the peer, for packets */
	bool deaf;
	/* XRC: whether end a is the target; its domain, another SRQ in it, and one of another domain. */
	bool is_target;
	struct ibv_xrcd *xrcd, *foreign_xrcd;
	struct ibv_srq *other, *foreign;
};

static bool is_xrc(const struct round *round)
{
	return round->pair.conn.type == IBV_QPT_XRC_SEND;
}

static void look(struct rnd *r, struct round *round, struct seen *seen)
{
	enum ibv_qp_type type = round->pair.conn.type;
	struct ibv_wc wc;

	while (ibv_poll_cq(round->pair.a.scq, 1, &wc) > 0) {
		if (!round->deaf)
			continue;
		seen->answers += wc.status == IBV_WC_SUCCESS;
		seen->xrc_answers += wc.status == IBV_WC_SUCCESS && is_xrc(round);
		seen->naks += wc.status == IBV_WC_REM_ACCESS_ERR ||
			      wc.status == IBV_WC_REM_INV_REQ_ERR || wc.status == IBV_WC_REM_OP_ERR;
	}
	while (ibv_poll_cq(round->pair.a.rcq, 1, &wc) > 0) {
		/* What an SRQ holds outlives the target's error. */
		if (wc.status == IBV_WC_SUCCESS || is_xrc(round))
			post_receive(r, &round->pair, &round->mine);
		if (wc.status != IBV_WC_SUCCESS)
			continue;
		seen->datagrams += type == IBV_QPT_UD;
		seen->sends += type == IBV_QPT_RC;
		seen->longer += type == IBV_QPT_RC && wc.opcode == IBV_WC_RECV &&
				wc.byte_len > forge_path_mtu_bytes(&round->target);
		seen->unreliable += type == IBV_QPT_UC;
		seen->xrc_sends += is_xrc(round);
	}
}

static void begin(struct rnd *r, struct round *round)
{
	if (round->deaf)
		assert_zero(end_set_state(&round->pair.b, IBV_QPS_ERR));
	if (!is_xrc(round))
		post_receives(r, &round->pair, &round->mine);
	if (round->pair.conn.type == IBV_QPT_RC || (is_xrc(round) && !round->is_target))
		post_requests(r, &round->pair, &round->mine, &round->theirs);
}

/* Aims, and gives the QP another life when it has lost one. */
static void aim(struct rnd *r, struct round *round, bool again)
{
	struct forge_target *t = &round->target;
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	const int mask = IBV_QP_STATE | IBV_QP_RQ_PSN | IBV_QP_SQ_PSN;

	/* One wrong request ends what answers would be for. */
	if (again)
		t->answering = round->pair.conn.type != IBV_QPT_UC && rnd_one_in(r, 2);
	if (is_xrc(round))
		t->answering = !round->is_target;
	assert_zero(ibv_query_qp(round->pair.a.qp, &attr, mask, &init));
	if (round->pair.conn.type != IBV_QPT_UD &&
	    (again || (attr.qp_state == IBV_QPS_ERR && rnd_one_in(r, 2)))) {
		/* What was still on its way may fail them at once: then there is a next time. */
		if (!ends_reconnect(&round->pair.a, &round->pair.b, &round->pair.conn))
			begin(r, round);
		assert_zero(ibv_query_qp(round->pair.a.qp, &attr, mask, &init));
	}
	t->request_psn = attr.rq_psn;
	t->answer_psn = round->pair.a.psn;
	t->answers = (attr.sq_psn - round->pair.a.psn) & 0xffffff;
}

/*
 * The region that packets know. On demand it is larger than any message, and empty: a READ finds
 * the zero page there, and a WRITE makes 2 MiB at most.
 */
static void open_make(struct round *round, int odp)
{
	struct buf *open = &round->open;

	if (!odp) {
		buf_make(open, round->pair.a.rig->pd, MEM_ANON, 64 * KIB, 40,
			 ACCESS_ALL | IBV_ACCESS_FLUSH_GLOBAL);
		return;
	}
	*open = (struct buf){ .bytes = LARGE_BYTES };
	open->data = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(open->data, MAP_FAILED);
	buf_reg(open, round->pair.a.rig->pd, ACCESS_ALL | IBV_ACCESS_FLUSH_GLOBAL | odp);
}

static void open_free(struct round *round)
{
	struct buf *open = &round->open;

	if (open->map) {
		buf_free(open);
		return;
	}
	buf_dereg(open);
	munmap(open->data, open->bytes);
}

static struct ibv_srq *srq_make(struct end *end, struct ibv_xrcd *xrcd, const struct conn *conn)
{
	struct ibv_srq *srq = xrc_srq(end->rig->pd, xrcd, end->rcq, conn);

	assert_non_null(srq);
	return srq;
}

/* End a is either half. */
static void xrc_round_open(struct round *round, const struct conn *conn)
{
	struct pair *pair = &round->pair;
	struct end *target = round->is_target ? &pair->a : &pair->b;
	struct end *initiator = round->is_target ? &pair->b : &pair->a;

	pair->conn = *conn;
	rig_open(&pair->rig);
	rig_open_peer(&pair->peer);
	end_prepare(&pair->a, &pair->rig, conn);
	end_prepare(&pair->b, &pair->peer, conn);
	round->xrcd = xrc_domain(target->rig->ctx, -1);
	round->foreign_xrcd = xrc_domain(target->rig->ctx, -1);
	assert_non_null(round->xrcd);
	assert_non_null(round->foreign_xrcd);
	target->srq = srq_make(target, round->xrcd, conn);
	round->other = srq_make(target, round->xrcd, conn);
	round->foreign = srq_make(target, round->foreign_xrcd, conn);
	target->qp = xrc_target(target->rig->ctx, round->xrcd);
	initiator->qp = xrc_initiator(initiator, conn);
	assert_non_null(target->qp);
	assert_non_null(initiator->qp);
	initiator->srq_num = xrc_srq_num(target->srq);
	ends_connect(&pair->a, &pair->b, conn);
}

static void xrc_round_close(struct round *round)
{
	assert_zero(ibv_destroy_srq(round->other));
	assert_zero(ibv_destroy_srq(round->foreign));
	assert_zero(ibv_close_xrcd(round->foreign_xrcd));
	end_close(&round->pair.a);
	end_close(&round->pair.b);
	assert_zero(ibv_close_xrcd(round->xrcd));
	rig_close(&round->pair.peer);
	rig_close(&round->pair.rig);
}

static void aim_at_srqs(struct round *round)
{
	const uint32_t srqs[FORGE_SRQS] = {
		xrc_srq_num(round->is_target ? round->pair.a.srq : round->pair.b.srq),
		xrc_srq_num(round->other), xrc_srq_num(round->foreign), 0, 0xffffff
	};

	memcpy(round->target.srqs, srqs, sizeof(srqs));
}

static void round_open(struct round *round, const struct conn *conn, int odp, uint32_t spared_qpn)
{
	if (conn->type == IBV_QPT_XRC_SEND)
		xrc_round_open(round, conn);
	else
		pair_open(&round->pair, conn);
	buf_make(&round->mine, round->pair.a.rig->pd, MEM_ANON, 64 * KIB, 40, ACCESS_ALL | odp);
	buf_make(&round->theirs, round->pair.b.rig->pd, MEM_ANON, 64 * KIB, 40, ACCESS_ALL);
	open_make(round, odp);
	round->target = (struct forge_target){ .pair = &round->pair,
					       .buf = &round->open,
					       .spared_qpn = spared_qpn };
	if (is_xrc(round))
		aim_at_srqs(round);
}

static void round_close(struct round *round)
{
	open_free(round);
	buf_free(&round->mine);
	buf_free(&round->theirs);
	if (is_xrc(round))
		xrc_round_close(round);
	else
		pair_close(&round->pair);
}

static void round_of(struct rnd *r, const struct forge_wire *wire, const struct conn *conn, int odp,
		     uint32_t spared_qpn, struct seen *seen)
{
	struct round round = { .is_target = conn->type == IBV_QPT_XRC_SEND && rnd_one_in(r, 2) };
	uint8_t packet[ROCE_MAX_PACKET];
	unsigned int i;

	if (conn->type == IBV_QPT_RC || (conn->type == IBV_QPT_XRC_SEND && !round.is_target))
		round.deaf = !rnd_one_in(r, 4);
	round_open(&round, conn, odp, spared_qpn);
	if (round.is_target)
		post_receives(r, &round.pair, &round.mine);
	begin(r, &round);
	aim(r, &round, true);
	for (i = 0; i < ROUND; i++) {
		forge_send(wire, &round.target, packet,
			   rnd_one_in(r, 12) ? forge_probe(r, &round.target, packet) :
					       forge_packet(r, &round.target, packet));
		look(r, &round, seen);
		/* A QP that answers a long READ does nothing else. */
		aim(r, &round, i % 50 == 49);
	}
	for (i = 0; i < 64 * KIB; i++)
		seen->writes += !!round.open.data[i];
	round_close(&round);
}

static bool seen_all(const struct seen *seen, bool xrc)
{
	return seen->datagrams && seen->sends && seen->unreliable && seen->writes &&
	       seen->answers && seen->naks && (seen->longer || rig_is_stock()) &&
	       (!xrc || (seen->xrc_sends && seen->xrc_answers));
}

/* Whether the library, and the device, have XRC. */
static bool there_is_xrc(void)
{
	struct ibv_xrcd *xrcd;
	struct rig rig;

	rig_open(&rig);
	xrcd = xrc_domain(rig.ctx, -1);
	if (xrcd)
		assert_zero(ibv_close_xrcd(xrcd));
	rig_close(&rig);
	return xrcd;
}

static enum ibv_qp_type some_type(struct rnd *r, bool xrc)
{
	if (xrc && rnd_one_in(r, 3))
		return IBV_QPT_XRC_SEND;
	if (rnd_one_in(r, 4))
		return IBV_QPT_UD;
	return rnd_one_in(r, 3) ? IBV_QPT_UC : IBV_QPT_RC;
}

/* It has nothing to do with any of this. */
struct bystander {
	struct pair pair;
	struct buf from, to;
};

static void bystander_open(struct bystander *by)
{
	struct conn conn = CONN;

	conn.wire = true;
	pair_open(&by->pair, &conn);
	buf_make(&by->from, by->pair.a.rig->pd, MEM_ANON, 16 * KIB, 40, ACCESS_ALL);
	buf_make(&by->to, by->pair.b.rig->pd, MEM_ANON, 16 * KIB, 72, ACCESS_ALL);
}

static void bystander_close(struct bystander *by)
{
	buf_free(&by->from);
	buf_free(&by->to);
	pair_close(&by->pair);
}

static void random_packets(void **state)
{
	static const char *const counters[] = { "duplicate_request", "out_of_seq_request",
						"rcv_dropped", "rx_icrc_encapsulated" };
	double end = seconds() + env_number("FUZZ_S", 5);
	const struct forge_wire wire = forge_open();
	struct rnd r = { rnd_seed() };
	struct conn conn = CONN;
	long before[ARRAY_SIZE(counters)];
	unsigned int rounds = 0, i;
	struct seen seen = { 0 };
	bool xrc = there_is_xrc();
	struct bystander by;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		before[i] = rig_counter(counters[i]);
	bystander_open(&by);
	conn.wire = true;
	conn.access |= IBV_ACCESS_FLUSH_GLOBAL;
	/* A slow kernel is given what it takes until each kind of packet has come through. */
	do {
		conn.type = some_type(&r, xrc);
		conn.send_ops = conn.type == IBV_QPT_RC ? CONNECTED_OPS : 0;
		conn.ipv6 = rnd_one_in(&r, 2);
		conn.mtu = conn.type == IBV_QPT_RC && rnd_one_in(&r, 3) ? IBV_MTU_256 :
									  IBV_MTU_1024;
		round_of(&r, &wire, &conn, rnd_one_in(&r, 2) ? IBV_ACCESS_ON_DEMAND : 0,
			 by.pair.a.qp->qp_num, &seen);
		pair_move_checked(&by.pair, rounds % OP_KINDS, &by.from, &by.to, rounds);
		rounds++;
	} while (seconds() < end || !seen_all(&seen, xrc));
	bystander_close(&by);
	forge_close(&wire);
	printf("%u rounds of %u packets: %lu datagrams, %lu sends, %lu of UC, %lu bytes written, ",
	       rounds, ROUND, seen.datagrams, seen.sends, seen.unreliable, seen.writes);
	printf("%lu answers, %lu NAKs, %lu longer sends; of XRC %lu sends, %lu answers\n",
	       seen.answers, seen.naks, seen.longer, seen.xrc_sends, seen.xrc_answers);
	assert_true(seen_all(&seen, xrc));
	if (rig_is_stock())
		return;
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (rig_counter(counters[i]) <= before[i])
			fail_because("%s has not grown", counters[i]);
}

/* A packet as it should be. */
static void send_one(const struct forge_wire *wire, const struct forge_target *t, struct rnd *r,
		     uint8_t opcode, uint32_t qpn, const void *header, size_t header_bytes,
		     size_t payload)
{
	uint8_t packet[ROCE_MAX_PACKET] = { 0 };
	uint8_t *bth = packet + roce_ip_bytes(t->pair->conn.ipv6) + ROCE_UDP_BYTES;

	bth[0] = opcode;
	memset(bth + 2, 0xff, 2);
	roce_put32(bth + 4, qpn);
	roce_put32(bth + 8, t->request_psn);
	memcpy(bth + ROCE_BTH_BYTES, header, header_bytes);
	bth[ROCE_BTH_BYTES + header_bytes] = 1;
	forge_send(wire, t, packet,
		   forge_seal(t, r, packet, ROCE_BTH_BYTES + header_bytes + payload, true));
}

static void await_counter(const char *name, long value)
{
	double last = seconds() + BOUND_S;

	while (rig_counter(name) < value)
		if (seconds() > last)
			fail_because("%s is %ld, not %ld", name, rig_counter(name), value);
}

/*
 * A datagram of the fuzzer's is one for the device as well: over both families, by its Q_Key, to QP1
 * and to QPs of users.
 */
static void datagrams_are_taken(void **state)
{
	static const struct {
		uint32_t qkey;
		bool qp1, taken;
	} ways[] = {
		{ FORGE_QP1_QKEY, true, true },
		{ UD_QKEY, true, false },
		{ UD_QKEY, false, true },
		{ FORGE_QP1_QKEY, false, false },
	};
	const struct forge_wire wire = forge_open();
	struct rnd r = { 1 };
	struct conn conn = CONN;
	struct round round;
	unsigned int way, i;

	(void)state;
	if (rig_is_stock())
		skip_because("the counters are ours");
	conn.type = IBV_QPT_UD;
	conn.wire = true;
	for (way = 0; way < 2 * ARRAY_SIZE(ways); way++) {
		long dropped = rig_counter("rcv_dropped"), received = rig_counter("rcvd_pkts");
		bool taken = ways[way / 2].taken, qp1 = ways[way / 2].qp1;
		struct seen seen = { 0 };
		uint8_t deth[8] = { 0 };

		conn.ipv6 = way % 2;
		memset(&round, 0, sizeof(round));
		round_open(&round, &conn, 0, 0);
		begin(&r, &round);
		roce_put32(deth, ways[way / 2].qkey);
		for (i = 0; i < RECEIVES; i++)
			send_one(&wire, &round.target, &r, ROCE_UD_SEND,
				 qp1 ? 1 : round.pair.a.qp->qp_num, deth, sizeof(deth),
				 FORGE_QP1_MAX);
		await_counter("rcvd_pkts", received + RECEIVES);
		if (!taken)
			await_counter("rcv_dropped", dropped + RECEIVES);
		/* They are counted before they are placed. */
		do
			look(&r, &round, &seen);
		while (taken && !qp1 && seen.datagrams < RECEIVES);
		assert_int_equal(rig_counter("rcv_dropped") - dropped, taken ? 0 : RECEIVES);
		assert_int_equal(seen.datagrams, taken && !qp1 ? RECEIVES : 0);
		round_close(&round);
	}
	forge_close(&wire);
}

/* A SEND of one packet, as each service has it, for the QP's expected PSN. */
static void send_of_service(const struct forge_wire *wire, struct round *round, struct rnd *r,
			    uint8_t service)
{
	uint8_t header[8] = { 0 };

	if (service == ROCE_XRC)
		roce_put32(header, round->target.srqs[0]);
	if (service == (ROCE_UD_SEND & 0xe0))
		roce_put32(header, UD_QKEY);
	send_one(wire, &round->target, r, service | ROCE_SEND_ONLY, round->pair.a.qp->qp_num,
		 header,
		 service == ROCE_XRC ? 4 :
		 service	     ? 8 * (service != ROCE_UC) :
				       0,
		 64);
}

/* A QP takes what is of its own service and direction; the rest is dropped, and the QP none the worse. */
static void services_are_told_apart(void **state)
{
	static const uint8_t services[] = { 0, ROCE_UC, ROCE_UD_SEND & 0xe0, ROCE_XRC };
	static const struct {
		enum ibv_qp_type type;
		bool is_target;
		int service; /* that it takes requests of */
	} kinds[] = {
		{ IBV_QPT_RC, false, 0 },
		{ IBV_QPT_UC, false, ROCE_UC },
		{ IBV_QPT_UD, false, ROCE_UD_SEND & 0xe0 },
		{ IBV_QPT_XRC_SEND, true, ROCE_XRC },
		{ IBV_QPT_XRC_SEND, false, -1 },
	};
	const struct forge_wire wire = forge_open();
	struct rnd r = { 1 };
	struct conn conn = CONN;
	bool xrc = there_is_xrc();
	size_t kind, i;

	(void)state;
	if (rig_is_stock())
		skip_because("the counters are ours");
	conn.wire = true;
	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		struct round round = { .is_target = kinds[kind].is_target };

		conn.type = kinds[kind].type;
		if (conn.type == IBV_QPT_XRC_SEND && !xrc)
			continue;
		round_open(&round, &conn, 0, 0);
		if (kinds[kind].service >= 0)
			post_receives(&r, &round.pair, &round.mine);
		for (i = 0; i < ARRAY_SIZE(services); i++) {
			long dropped = rig_counter("rcv_dropped");
			bool takes = kinds[kind].service == services[i];

			aim(&r, &round, false);
			send_of_service(&wire, &round, &r, services[i]);
			if (takes)
				cq_success(round.pair.a.rcq);
			else
				await_counter("rcv_dropped", dropped + 1);
			assert_int_equal(rig_counter("rcv_dropped") - dropped, !takes);
			assert_int_equal(end_state(&round.pair.a), IBV_QPS_RTS);
			cq_assert_empty(round.pair.a.rcq);
		}
		round_close(&round);
	}
	forge_close(&wire);
}

/* A forged READ of the longest message there may be ends with the QP, wherever it stands. */
static void long_read_ends(void **state)
{
	const struct forge_wire wire = forge_open();
	struct rnd r = { 1 };
	struct conn conn = CONN;
	struct round round = { 0 };
	double last = seconds() + BOUND_S;
	uint8_t reth[16];
	long enough, sent, before = -1;

	(void)state;
	conn.wire = true;
	round_open(&round, &conn, IBV_ACCESS_ON_DEMAND, 0);
	assert_zero(end_set_state(&round.pair.b, IBV_QPS_ERR));
	aim(&r, &round, false);
	roce_put64(reth, (uintptr_t)round.open.data);
	roce_put32(reth + 8, round.open.mr->rkey);
	roce_put32(reth + 12, 1U << 31);
	/*
	 * More than it looks ahead at a time. A page that is late ends the answer: then it is asked
	 * again.
	 */
	for (enough = rig_counter("sent_pkts") + 8 * MIB / 1024;
	     (sent = rig_counter("sent_pkts")) < enough; before = sent) {
		if (seconds() > last)
			fail_because("sent_pkts is %ld, not %ld", sent, enough);
		if (sent == before || before < 0)
			send_one(&wire, &round.target, &r, ROCE_READ, round.pair.a.qp->qp_num, reth,
				 sizeof(reth), 0);
	}
	forge_close(&wire);
	assert_zero(ends_reconnect(&round.pair.a, &round.pair.b, &conn));
	pair_assert_works(&round.pair);
	round_close(&round);
}

#define FRAMES "/sys/module/rxe_odp/parameters/frames"

static char frames_was[8];

/* So that wide packets with an ICRC may be believed. */
static int allow_frames(void **state)
{
	(void)state;
	if (rig_is_stock())
		return 0;
	read_text(FRAMES, frames_was, sizeof(frames_was));
	return write_text(FRAMES, "Y");
}

static int restore_frames(void **state)
{
	(void)state;
	return rig_is_stock() ? 0 : write_text(FRAMES, frames_was);
}

/* clang-format off */
TEST_MAIN(TEST(datagrams_are_taken), TEST(services_are_told_apart), TEST(long_read_ends),
	  { "random_packets", random_packets, allow_frames, restore_frames, NULL })
/* clang-format on */
