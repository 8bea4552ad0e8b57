// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Wide packets with an ICRC, which fill a frame of the netdev, between two queue pairs that are ours, wherever they are: every
 * operation and length is right over both families and several path MTUs, also where pages are missing; a frame that gets shorter, or
 * is too long for the peer, and packets that are lost, come twice or overtake others. A peer on another host, which a program plays
 * here by hand: what it has to know before packets are wide, how wide they are then, and that none is believed who lies.
 *
 * rdma-odp: timeout 240
 */
#include "netdev.h"
#include "netem.h"
#include "roce.h"
#include "wide.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define USUAL_MTU   9000
#define SUM_FEATURE "tx-checksum-ip-generic"
/* UDP header, the longest headers of RoCE and ICRC: what a frame has beside IP header and payload. */
#define OVERHEAD (8 + 44 + 4)
/* In place of a PSN: there are more, of a probe that is long. */
#define MORE_PSNS 0x01000000

static void set_mtu(int side, int mtu)
{
	char command[100];

	snprintf(command, sizeof(command), "%sip link set veth%d mtu %d",
		 side ? "ip netns exec peer " : "", side, mtu);
	assert_zero(system(command));
}

static int tear_down(void **state)
{
	int err = system(
		    "ip link set veth0 mtu 9000 && ip netns exec peer ip link set veth1 mtu 9000"),
	    saved;

	netdev_set_feature("veth0", SUM_FEATURE, true);
	saved = netns_enter_peer();
	netdev_set_feature("veth1", SUM_FEATURE, true);
	netns_leave(saved);
	return wide_tear_down(state) || err;
}

/* Not one packet, of some messages each way. */
static void assert_never_wide(struct wide *bed)
{
	unsigned int i, request, response;

	for (i = 0; i < 20; i++) {
		wide_widest_of_64k(bed, &request, &response);
		assert_int_equal(request, 1);
		assert_int_equal(response, 1);
	}
}

static unsigned int frame_psns(int mtu, bool ipv6, size_t path_mtu)
{
	return (mtu - (ipv6 ? 40 : 20) - OVERHEAD) / path_mtu;
}

static const struct {
	enum ibv_mtu mtu;
	size_t bytes;
} mtus[] = { { IBV_MTU_256, 256 }, { IBV_MTU_1024, 1024 }, { IBV_MTU_4096, 4096 } };

static void every_length(void **state)
{
	long bad = rig_counter("rx_icrc_encapsulated"), gaps = rig_counter("out_of_seq_request");
	unsigned int i, k, ipv6, request, response, want;
	struct conn conn;
	struct wide bed;
	double end;
	int odp;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		for (i = 0; i < ARRAY_SIZE(mtus); i++) {
			size_t mtu = mtus[i].bytes;

			conn = wide_conn(true, mtus[i].mtu, ipv6);
			wide_open(&bed, &conn);
			odp = mode(&bed.pair.rig, state);
			want = frame_psns(USUAL_MTU, ipv6, mtu);
			const size_t lengths[] = { 1,
						   mtu + 1,
						   2 * mtu,
						   3 * mtu + 2,
						   want * mtu - 1,
						   want * mtu,
						   want * mtu + 1,
						   2 * want * mtu + mtu,
						   200001,
						   MIB };
			end = seconds() + BOUND_S;
			/* Where a page comes late they are plain for a while. */
			do {
				wide_await(&bed, true);
				for (k = 0; k < ARRAY_SIZE(lengths); k++)
					pair_move_every(&bed.pair, lengths[k], odp, k);
				wide_widest(&bed, &request, &response);
			} while ((request != want || response != want) && seconds() < end);
			assert_int_equal(request, want);
			assert_int_equal(response, want);
			wide_close(&bed);
		}
	}
	assert_int_equal(rig_counter("rx_icrc_encapsulated"), bad);
	if (!*state)
		assert_int_equal(rig_counter("out_of_seq_request"), gaps);
}

/* Frames with room for one packet of the path MTU, and for two; a peer whose frames are shorter than ours. */
static void frames_of_several_lengths(void **state)
{
	static const struct {
		int mtu0, mtu1;
		enum ibv_mtu path_mtu;
		bool wide;
	} cases[] = {
		{ 1500, 1500, IBV_MTU_1024, false }, { 1500, 1500, IBV_MTU_512, true },
		{ 8000, 8000, IBV_MTU_4096, false }, { 9000, 1500, IBV_MTU_1024, false },
		{ 1500, 9000, IBV_MTU_1024, false }, { 65535, 65535, IBV_MTU_4096, true },
	};
	unsigned int i, ipv6;
	struct conn conn;
	struct wide bed;

	(void)state;
	for (ipv6 = 0; ipv6 < 2; ipv6++)
		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			set_mtu(0, cases[i].mtu0);
			set_mtu(1, cases[i].mtu1);
			conn = wide_conn(true, cases[i].path_mtu, ipv6);
			conn.timeout = 14;
			wide_open(&bed, &conn);
			if (cases[i].wide) {
				wide_await(&bed, true);
				pair_move_every(&bed.pair, 300001, 0, i);
				wide_await(&bed, true);
			} else {
				/* The first probe alone would not show that none pass. */
				pair_move_every(&bed.pair, 20001, 0, i);
				assert_never_wide(&bed);
			}
			wide_close(&bed);
		}
}

/* While they are full: those of this end, those of the other, and back. */
static void frames_get_shorter(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	struct wide bed;
	int side;

	(void)state;
	conn.timeout = 14;
	for (side = 0; side < 2; side++) {
		wide_open(&bed, &conn);
		wide_await(&bed, true);
		set_mtu(side, 1500);
		pair_move_every(&bed.pair, 300001, 0, 3);
		wide_await(&bed, false);
		assert_never_wide(&bed);
		set_mtu(side, USUAL_MTU);
		wide_await(&bed, true);
		wide_close(&bed);
	}
}

static void switched_off(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	struct wide bed;

	(void)state;
	wide_open(&bed, &conn);
	wide_await(&bed, true);
	wide_allow_frames(false);
	assert_never_wide(&bed);
	pair_move_every(&bed.pair, 300001, 0, 1);
	assert_never_wide(&bed);
	wide_allow_frames(true);
	wide_await(&bed, true);
	wide_close(&bed);
}

/*
 * That takes several times as long as an answer is good for, in each direction, and fills the queues of this host all the time: what comes
 * right behind it is wide.
 */
static void one_long_message(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_4096, false);
	unsigned int request, response;
	struct buf from, to;
	struct wide bed;
	double end;
	enum op op;

	(void)state;
	wide_open(&bed, &conn);
	if (!wire_shape("tbf rate 300mbit burst 100k limit 4mb"))
		skip_because("no tbf");
	buf_make(&from, bed.pair.a.rig->pd, MEM_ANON, 16 * MIB, 0, ACCESS_ALL);
	buf_make(&to, bed.pair.b.rig->pd, MEM_ANON, 16 * MIB, 0, ACCESS_ALL);
	for (op = OP_WRITE; op <= OP_READ; op += OP_READ - OP_WRITE) {
		end = seconds() + BOUND_S;
		/* Where the machine stands still an answer is late. */
		do {
			if (seconds() > end)
				fail_because("a %s is plain behind a long one", op_name(op));
			wide_await(&bed, true);
			sniff_close(&bed.sniff);
			pair_move_checked(&bed.pair, op, &from, &to, op);
			sniff_open(&bed.sniff, "veth0");
			pair_move(&bed.pair, op, &from, 0, &to, 0, 16 * KIB);
			wide_widest(&bed, &request, &response);
		} while ((op == OP_READ ? response : request) == 1);
	}
	netem_end();
	buf_free(&from);
	buf_free(&to);
	wide_close(&bed);
}

/* Whose burst is less than a frame, but more than a path MTU: it refuses what is longer for ever. */
static void a_queue_that_takes_no_frame(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	struct wide bed;

	(void)state;
	wide_open(&bed, &conn);
	if (!wire_shape("tbf rate 1gbit burst 6k limit 300k"))
		skip_because("no tbf");
	pair_move_every(&bed.pair, 300001, 0, 1);
	assert_never_wide(&bed);
	netem_end();
	wide_await(&bed, true);
	if (!wire_shape("tbf rate 1gbit burst 6k limit 300k"))
		skip_because("no tbf");
	pair_move_every(&bed.pair, 300001, 0, 2);
	netem_end();
	wide_close(&bed);
}

/* Packets may be without ICRC, but their checksums are computed on the way: then they have one, and fill frames. */
static void where_sums_are_computed(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	long bad = rig_counter("rx_icrc_encapsulated");
	struct wide bed;
	int saved;

	(void)state;
	wide_allow_no_icrc(true);
	netdev_set_feature("veth0", SUM_FEATURE, false);
	saved = netns_enter_peer();
	netdev_set_feature("veth1", SUM_FEATURE, false);
	netns_leave(saved);
	conn.timeout = 14;
	wide_open(&bed, &conn);
	wide_await(&bed, true);
	pair_move_every(&bed.pair, 300001, 0, 1);
	assert_int_equal(rig_counter("rx_icrc_encapsulated"), bad);
	wide_close(&bed);
}

/* Of one end, in SQD, while the other one goes on: by another flow label, which the other does not learn of. */
static void one_path_changes(void **state)
{
	struct conn conn = wide_conn(true, IBV_MTU_1024, true);
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_SQD,
		.ah_attr = { .is_global = 1, .port_num = 1, .grh = { .hop_limit = 64 } },
	};
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct wide bed;
	long again;
	int i;

	(void)state;
	wide_open(&bed, &conn);
	wide_await(&bed, true);
	sniff_close(&bed.sniff);
	again = rig_counter("retried_pkts");
	attr.ah_attr.grh.dgid = bed.pair.a.gid;
	attr.ah_attr.grh.sgid_index = bed.pair.b.gid_index;
	sge = buf_sge(&bed.a, 0, bed.a.bytes);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &bed.b, 0);
	for (i = 0; i < 100; i++) {
		end_post(&bed.pair.a, &wr);
		attr.qp_state = IBV_QPS_SQD;
		assert_zero(ibv_modify_qp(bed.pair.b.qp, &attr, IBV_QP_STATE));
		attr.ah_attr.grh.flow_label = i + 1;
		assert_zero(ibv_modify_qp(bed.pair.b.qp, &attr, IBV_QP_STATE | IBV_QP_AV));
		end_post(&bed.pair.a, &wr);
		attr.qp_state = IBV_QPS_RTS;
		assert_zero(ibv_modify_qp(bed.pair.b.qp, &attr, IBV_QP_STATE));
		cq_success(bed.pair.a.scq);
		cq_success(bed.pair.a.scq);
	}
	/* None was lost on the way, or taken for another's. */
	assert_int_equal(rig_counter("retried_pkts"), again);
	sniff_open(&bed.sniff, "veth0");
	pair_move_every(&bed.pair, 300001, 0, 1);
	wide_close(&bed);
}

/* End a, and in place of b, of which the number alone is left, this program. */
struct elsewhere {
	struct pair pair;
	struct buf buf;
	struct sniff sniff;
	struct roce_path path; /* from b's address to a */
	int fd;
	uint32_t b_qpn;
};

#define PLAYED_COOKIE 0x1122334455667788

static void elsewhere_open(struct elsewhere *far, enum ibv_mtu mtu)
{
	struct conn conn = wide_conn(true, mtu, false);
	int unsummed = 1, saved;
	struct wide bed;

	/* For a while after a queue has refused packets none are long. */
	wide_open(&bed, &conn);
	wide_await(&bed, true);
	wide_close(&bed);
	/* What goes by is to be seen packet by packet. */
	wide_allow(false);
	pair_open(&far->pair, &conn);
	buf_make(&far->buf, far->pair.a.rig->pd, MEM_ANON, 64 * KIB, 0, ACCESS_ALL);
	far->path = roce_path(&far->pair.b, &far->pair.a);
	far->b_qpn = far->pair.b.qp->qp_num;
	assert_zero(ibv_destroy_qp(far->pair.b.qp));
	far->pair.b.qp = NULL;
	sniff_open(&far->sniff, "veth0");
	saved = netns_enter_peer();
	far->fd = roce_user_socket(&far->path);
	netns_leave(saved);
	/* Without a checksum, as from a medium. */
	assert_zero(setsockopt(far->fd, SOL_SOCKET, SO_NO_CHECK, &unsummed, sizeof(unsummed)));
}

static void elsewhere_close(struct elsewhere *far)
{
	close(far->fd);
	sniff_close(&far->sniff);
	buf_free(&far->buf);
	pair_close(&far->pair);
}

#define ROCE_READ_LAST 0x0f
#define ANY_ANSWER     0xff

/* The next of a's packets that goes out, with this opcode or, 0, with data of a request, or any that answers. */
static struct sniffed next_out(struct elsewhere *far, uint8_t opcode)
{
	double end = seconds() + BOUND_S;
	struct sniffed packet;

	for (;;) {
		if (seconds() > end)
			fail_because("no packet of opcode %#x", opcode);
		if (!sniff_next(&far->sniff, &packet) || !packet.roce || !packet.out ||
		    packet.dest_qpn != far->b_qpn)
			continue;
		if (opcode == ANY_ANSWER ? packet.opcode > ROCE_READ :
		    opcode		 ? packet.opcode == opcode :
					   packet.opcode < ROCE_READ)
			return packet;
	}
}

/* The one that begins with a's nth PSN. */
static struct sniffed next_data(struct elsewhere *far, uint32_t nth)
{
	struct sniffed packet;

	do
		packet = next_out(far, 0);
	while (packet.psn != ((far->pair.a.psn + nth) & 0xffffff));
	return packet;
}

static uint64_t read64(const uint8_t *at)
{
	uint64_t value = 0;
	int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

/* To the number that a's next packet is expected to have less one: all of it arrived. */
static void acknowledge(struct elsewhere *far, uint32_t psn)
{
	const uint8_t aeth[4] = { 0x1f };

	assert_zero(roce_user_send(far->fd, &far->path, ROCE_ACK, far->pair.a.qp->qp_num, psn, aeth,
				   sizeof(aeth), 0));
}

static void post_write(struct elsewhere *far, size_t bytes)
{
	struct ibv_sge sge = buf_sge(&far->buf, 0, bytes);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &far->buf, 0);

	end_post(&far->pair.a, &wr);
}

/* A message of two packets, and a's questions before it and because of it; its cookie. */
static uint64_t ask_all(struct elsewhere *far, uint32_t arrived)
{
	uint32_t a_qpn = far->pair.a.qp->qp_num;
	struct sniffed packet;
	uint64_t to;

	post_write(far, 2048);
	packet = next_out(far, ROCE_PROBE);
	assert_int_equal(packet.psns, 1);
	to = read64(packet.bth + 12);
	assert_zero(roce_user_probe(far->fd, &far->path, a_qpn, 0, PLAYED_COOKIE, to, 0));
	/* It may have asked again before the answer came. */
	do
		packet = next_out(far, ROCE_PROBE);
	while (packet.psns == 1);
	/* As long as the longest packet of its path MTU that a frame holds, and no longer than that. */
	assert_in_range(packet.bytes, 8 * 1024 + 100, USUAL_MTU);
	assert_zero(roce_user_probe(far->fd, &far->path, a_qpn, MORE_PSNS | arrived, PLAYED_COOKIE,
				    to, 100));
	/* Says that this arrived, and is short. */
	packet = next_out(far, ROCE_PROBE);
	assert_true(packet.psns > 1 && packet.bytes < 100);
	assert_int_equal(packet.psn, 100 - 16);
	acknowledge(far, far->pair.a.psn + 1);
	cq_success(far->pair.a.scq);
	return to;
}

/* Which is as wide as the program says that its packets arrived, and as a frame has room for. */
static void elsewhere_as_responder(void **state)
{
	static const struct {
		uint32_t arrived;
		unsigned int psns;
	} cases[] = { { 8192, 8 }, { 0xffffff, 8 }, { 3000, 2 }, { 2047, 1 }, { 0, 1 } };
	struct elsewhere far;
	unsigned int i, n;
	double began;
	bool same;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		do {
			began = seconds();
			same = true;
			elsewhere_open(&far, IBV_MTU_1024);
			ask_all(&far, cases[i].arrived);
			post_write(&far, 16 * KIB);
			for (n = 0; n < 16; n += cases[i].psns)
				same &= next_data(&far, 2 + n).psns == cases[i].psns;
			acknowledge(&far, far.pair.a.psn + 17);
			cq_success(far.pair.a.scq);
			elsewhere_close(&far);
			/* What was answered is good for 3 s, in which the machine may have stood still. */
		} while (!same && seconds() > began + 2);
		assert_true(same);
	}
}

/* Who answers with a wrong cookie, to the first question or only to the second. */
static void stranger_as_responder(void **state)
{
	struct elsewhere far;
	struct sniffed packet;
	uint64_t to;
	int i, wrong;

	(void)state;
	for (wrong = 0; wrong < 2; wrong++) {
		elsewhere_open(&far, IBV_MTU_1024);
		post_write(&far, 2048);
		packet = next_out(&far, ROCE_PROBE);
		to = read64(packet.bth + 12);
		assert_zero(roce_user_probe(far.fd, &far.path, far.pair.a.qp->qp_num, 0,
					    PLAYED_COOKIE, wrong ? to : to ^ 1, 0));
		while (wrong && packet.psns == 1)
			packet = next_out(&far, ROCE_PROBE);
		assert_zero(roce_user_probe(far.fd, &far.path, far.pair.a.qp->qp_num,
					    MORE_PSNS | 8192, PLAYED_COOKIE, to ^ 1, 0));
		acknowledge(&far, far.pair.a.psn + 1);
		cq_success(far.pair.a.scq);
		post_write(&far, 16 * KIB);
		for (i = 0; i < 16; i++)
			assert_int_equal(next_data(&far, 2 + i).psns, 1);
		acknowledge(&far, far.pair.a.psn + 17);
		cq_success(far.pair.a.scq);
		elsewhere_close(&far);
	}
}

/* Asks in place of b; how long the answer is. What comes once more is answered once more. */
static size_t ask_as_peer(struct elsewhere *far, size_t payload)
{
	struct sniffed packet;

	assert_zero(roce_user_probe(far->fd, &far->path, far->pair.a.qp->qp_num, MORE_PSNS,
				    PLAYED_COOKIE, 0, payload));
	packet = next_out(far, ROCE_PROBE);
	assert_true(packet.psns > 1);
	/* The payload of a wide packet of this length. */
	assert_int_equal(packet.psn, payload > 16 ? payload - 16 : 0);
	return packet.bytes;
}

static void send_of(struct elsewhere *far, uint32_t nth, unsigned int psns, size_t bytes)
{
	assert_zero(roce_user_send(far->fd, &far->path, ROCE_SEND_ONLY, far->pair.a.qp->qp_num,
				   (psns - 1) << 24 | ((far->pair.b.psn + nth) & 0xffffff), NULL, 0,
				   bytes));
}

/* Takes the PSNs of who has shown to be one of ours, if they fit the payload. */
static void elsewhere_as_requester(void **state)
{
	static const struct {
		unsigned int psns;
		size_t bytes;
	} wrong[] = { { 128, 8 }, { 5, 1024 }, { 4, 1028 }, { 2, 256 }, { 1, 260 } };
	struct elsewhere far;
	struct ibv_sge sge;
	struct ibv_wc wc;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		elsewhere_open(&far, IBV_MTU_256);
		sge = buf_sge(&far.buf, 0, 4096);
		end_post_recv(&far.pair.a, 1, &sge, 1);
		end_post_recv(&far.pair.a, 2, &sge, 1);
		/* Lost, as long as it has not shown what it is; bits that are not meant are no matter. */
		send_of(&far, 0, 5, 1280);
		/* The answer is no longer than the question. */
		assert_true(ask_as_peer(&far, 0) < 100);
		cq_assert_empty(far.pair.a.rcq);
		assert_in_range(ask_as_peer(&far, 1400), 100, 1472);
		send_of(&far, 0, 5, 1280);
		wc = cq_success(far.pair.a.rcq);
		assert_int_equal(wc.byte_len, 1280);
		/* Once more: not executed again. The next one is the sixth. */
		send_of(&far, 0, 5, 1280);
		send_of(&far, 5, 3, 516);
		wc = cq_success(far.pair.a.rcq);
		assert_int_equal(wc.wr_id, 2);
		assert_int_equal(wc.byte_len, 516);
		end_post_recv(&far.pair.a, 3, &sge, 1);
		send_of(&far, 8, wrong[i].psns, wrong[i].bytes);
		end_await_state(&far.pair.a, IBV_QPS_ERR);
		cq_expect(far.pair.a.rcq, IBV_WC_WR_FLUSH_ERR);
		elsewhere_close(&far);
	}
}

/* While responses to a READ fill the queues of a's host: the answer goes between them. */
static void elsewhere_asks_amid_a_read(void **state)
{
	uint8_t reth[16], opcode = 0;
	struct elsewhere far;
	struct buf buf;

	(void)state;
	elsewhere_open(&far, IBV_MTU_4096);
	if (!wire_shape("tbf rate 50mbit burst 100k limit 4mb"))
		skip_because("no tbf");
	buf_make(&buf, far.pair.a.rig->pd, MEM_ANON, 2 * MIB, 0, ACCESS_ALL);
	roce_put64(reth, (uintptr_t)buf.data);
	roce_put32(reth + 8, buf.mr->rkey);
	roce_put32(reth + 12, buf.bytes);
	assert_zero(roce_user_send(far.fd, &far.path, ROCE_READ, far.pair.a.qp->qp_num,
				   far.pair.b.psn, reth, sizeof(reth), 0));
	assert_zero(roce_user_probe(far.fd, &far.path, far.pair.a.qp->qp_num, MORE_PSNS,
				    PLAYED_COOKIE, 0, 0));
	while (opcode != ROCE_PROBE) {
		opcode = next_out(&far, ANY_ANSWER).opcode;
		if (opcode == ROCE_READ_LAST)
			fail_because("the answer does not come before the READ ends");
	}
	netem_end();
	buf_free(&buf);
	elsewhere_close(&far);
}

/*
 * To a peer whose answer is good for longer than a queue pair waits for a queue that refuses: what that refuses goes in packets of one
 * PSN, none before which is lost.
 */
static void elsewhere_behind_a_queue_that_takes_no_frame(void **state)
{
	double end = seconds() + BOUND_S;
	struct elsewhere far;
	struct sniffed packet;
	unsigned int n;
	long before;
	bool refused;

	(void)state;
	do {
		if (seconds() > end)
			fail_because("no wide packet was refused");
		elsewhere_open(&far, IBV_MTU_1024);
		before = rig_counter("send_refused");
		ask_all(&far, 8192);
		if (!wire_shape("tbf rate 1gbit burst 6k limit 300k"))
			skip_because("no tbf");
		post_write(&far, 16 * KIB);
		for (n = 0; n < 16; n++) {
			packet = next_out(&far, 0);
			assert_int_equal(packet.psn, (far.pair.a.psn + 2 + n) & 0xffffff);
			assert_int_equal(packet.psns, 1);
		}
		acknowledge(&far, far.pair.a.psn + 17);
		cq_success(far.pair.a.scq);
		/* Not where the machine has stood still for as long as the answer was good for. */
		refused = rig_counter("send_refused") != before;
		netem_end();
		elsewhere_close(&far);
	} while (!refused);
}

/* clang-format off */
#define FRAMES(fn)     { #fn " (pinned)", fn, wide_set_up_frames, tear_down, NULL }
#define FRAMES_ODP(fn) { #fn " (odp)", fn, wide_set_up_frames, tear_down, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(FRAMES(every_length), FRAMES_ODP(every_length), FRAMES(frames_of_several_lengths),
	  FRAMES(frames_get_shorter), FRAMES(switched_off), FRAMES(one_long_message),
	  FRAMES(one_path_changes), FRAMES(a_queue_that_takes_no_frame),
	  FRAMES(where_sums_are_computed), FRAMES(wide_some_are_lost),
	  FRAMES_ODP(wide_some_are_lost), FRAMES(wide_some_come_twice),
	  FRAMES(wide_some_overtake_others), FRAMES(elsewhere_as_responder),
	  FRAMES(stranger_as_responder), FRAMES(elsewhere_as_requester),
	  FRAMES(elsewhere_asks_amid_a_read), FRAMES(elsewhere_behind_a_queue_that_takes_no_frame))
