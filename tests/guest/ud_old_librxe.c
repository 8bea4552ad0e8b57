// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UD as a librxe sends that is older than the numbers of address handles: it leaves no room for one when it creates a
 * handle, and writes the address into each work request. Of what stands there the GIDs count; what is no address of a
 * path from this device ends in a completion error, and whatever else stands there in no harm.
 */
#include "pair.h"
#include "random.h"
#include "ring.h"

#include <arpa/inet.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_rxe.h>
#include <unistd.h>

#define GRH	  40UL
#define BYTES	  1000
#define MAX_RINGS 64
#define FUZZED	  3000

struct old {
	struct conn conn;
	struct rig rig, peer;
	struct end a, b;
	struct ring sq; /* of a */
	struct buf from, to;
	uint32_t seed;
};

/* New since the first @was: the one with the largest elements is the send queue. */
static struct ring find_sq(const struct ring *was, unsigned int nr_was)
{
	struct ring now[MAX_RINGS], sq = { 0 };
	unsigned int nr = rings_find(now, MAX_RINGS), i, k;

	for (i = 0; i < nr; i++) {
		for (k = 0; k < nr_was && was[k].addr != now[i].addr; k++)
			;
		if (k == nr_was && now[i].elem_bytes > sq.elem_bytes)
			sq = now[i];
	}
	assert_in_range(sq.elem_bytes, sizeof(struct rxe_send_wqe), 4096);
	return sq;
}

static void old_open(struct old *old, bool wire, bool ipv6)
{
	struct ring was[MAX_RINGS];
	unsigned int nr;

	memset(old, 0, sizeof(*old));
	old->conn = CONN;
	old->conn.type = IBV_QPT_UD;
	old->conn.wire = wire;
	old->conn.ipv6 = ipv6;
	old->conn.sge = 1;
	rig_open(&old->rig);
	if (wire)
		rig_open_peer(&old->peer);
	end_create(&old->b, wire ? &old->peer : &old->rig, &old->conn);
	nr = rings_find(was, MAX_RINGS);
	end_create(&old->a, &old->rig, &old->conn);
	old->sq = find_sq(was, nr);
	ends_connect(&old->a, &old->b, &old->conn);
	buf_make(&old->from, old->a.rig->pd, MEM_ANON, BYTES, 3, ACCESS_ALL);
	buf_make(&old->to, old->b.rig->pd, MEM_ANON, GRH + BYTES, 40, ACCESS_ALL);
}

static void old_close(struct old *old)
{
	buf_free(&old->from);
	buf_free(&old->to);
	end_close(&old->a);
	end_close(&old->b);
	if (old->peer.ctx)
		rig_close(&old->peer);
	rig_close(&old->rig);
}

/* As librxe's ibv_create_ah() fills it in. */
static struct rxe_av av_to(const struct old *old)
{
	struct rxe_av av = {
		.port_num = 1,
		.network_type = old->conn.ipv6 ? 2 : 1,
		.dmac = { 2, 3, 4, 5, 6, 7 },
		.grh = { .sgid_index = old->a.gid_index, .hop_limit = 64 },
	};

	memcpy(av.grh.dgid.raw, old->b.gid.raw, 16);
	if (old->conn.ipv6) {
		av.sgid_addr._sockaddr_in6.sin6_family = AF_INET6;
		av.dgid_addr._sockaddr_in6.sin6_family = AF_INET6;
		memcpy(&av.sgid_addr._sockaddr_in6.sin6_addr, old->a.gid.raw, 16);
		memcpy(&av.dgid_addr._sockaddr_in6.sin6_addr, old->b.gid.raw, 16);
	} else {
		av.sgid_addr._sockaddr_in.sin_family = AF_INET;
		av.dgid_addr._sockaddr_in.sin_family = AF_INET;
		memcpy(&av.sgid_addr._sockaddr_in.sin_addr, old->a.gid.raw + 12, 4);
		memcpy(&av.dgid_addr._sockaddr_in.sin_addr, old->b.gid.raw + 12, 4);
	}
	return av;
}

/* Into the mapped queue, and the doorbell. */
static void post_av(struct old *old, const struct rxe_av *av)
{
	uint32_t mask = *(uint32_t *)(old->sq.addr + RING_MASK_AT);
	volatile uint32_t *producer = (uint32_t *)(old->sq.addr + RING_PRODUCER_AT);
	struct rxe_send_wqe *wqe;

	wqe = (void *)(old->sq.addr + RING_DATA_AT + (*producer & mask) * old->sq.elem_bytes);
	memset(wqe, 0, old->sq.elem_bytes);
	wqe->wr.wr_id = old->seed;
	wqe->wr.opcode = IBV_WR_SEND;
	wqe->wr.send_flags = IBV_SEND_SIGNALED;
	wqe->wr.wr.ud.remote_qpn = old->b.qp->qp_num;
	wqe->wr.wr.ud.remote_qkey = UD_QKEY;
	wqe->wr.wr.ud.av = *av;
	wqe->dma.length = BYTES;
	wqe->dma.resid = BYTES;
	wqe->dma.num_sge = 1;
	wqe->dma.sge[0] = (struct rxe_sge){ .addr = (uintptr_t)old->from.data,
					    .length = BYTES,
					    .lkey = old->from.mr->lkey };
	__atomic_store_n(producer, (*producer + 1) & mask, __ATOMIC_RELEASE);
	ring_doorbell(old->a.qp);
}

/* Arrives, from the address of the GID that was named. */
static void send_av(struct old *old, const struct rxe_av *av)
{
	struct ibv_sge sge = buf_sge(&old->to, 0, old->to.bytes);
	struct ibv_wc wc;

	pattern_fill(old->from.data, BYTES, ++old->seed, 0);
	end_post_recv(&old->b, 1, &sge, 1);
	post_av(old, av);
	assert_int_equal(cq_success(old->a.scq).wr_id, old->seed);
	wc = cq_success(old->b.rcq);
	assert_int_equal(wc.byte_len, GRH + BYTES);
	assert_int_equal(wc.src_qp, old->a.qp->qp_num);
	pattern_check(old->to.data + GRH, BYTES, old->seed, 0, "a datagram");
	if (old->conn.ipv6)
		assert_memory_equal(old->to.data + 8, old->a.gid.raw, 16);
	else
		assert_memory_equal(old->to.data + 32, old->a.gid.raw + 12, 4);
}

/* Out of the send queue error, or any. */
static void again(struct old *old)
{
	struct ibv_wc wc;

	assert_zero(end_set_state(&old->a, IBV_QPS_RESET));
	while (ibv_poll_cq(old->a.scq, 1, &wc))
		;
	assert_zero(end_to_init(&old->a, &old->conn));
	assert_zero(end_to_rtr(&old->a, &old->b, &old->conn));
	assert_zero(end_to_rts(&old->a, &old->conn));
	/* A reset empties the queue: both indices begin anew, as librxe has them. */
	*(volatile uint32_t *)(old->sq.addr + RING_PRODUCER_AT) =
		*(volatile uint32_t *)(old->sq.addr + RING_CONSUMER_AT);
}

static void create_without_response(void **state)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_create_ah cmd;
	} create = { 0 };
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_destroy_ah cmd;
	} destroy = { 0 };
	struct ib_uverbs_create_ah_resp resp = { 0 };
	struct rig rig;

	(void)state;
	rig_open(&rig);
	create.hdr.command = IB_USER_VERBS_CMD_CREATE_AH;
	create.hdr.in_words = sizeof(create) / 4;
	create.hdr.out_words = sizeof(resp) / 4;
	create.cmd.response = (uintptr_t)&resp;
	create.cmd.pd_handle = rig.pd->handle;
	create.cmd.attr.is_global = 1;
	create.cmd.attr.port_num = 1;
	create.cmd.attr.grh.sgid_index = rig.gid4;
	create.cmd.attr.grh.hop_limit = 64;
	memcpy(create.cmd.attr.grh.dgid, rig.gids[0].raw, 16);
	if (write(rig.ctx->cmd_fd, &create, sizeof(create)) != sizeof(create))
		fail_because("create_ah without room for an answer: errno %d", errno);
	destroy.hdr.command = IB_USER_VERBS_CMD_DESTROY_AH;
	destroy.hdr.in_words = sizeof(destroy) / 4;
	destroy.cmd.ah_handle = resp.ah_handle;
	if (write(rig.ctx->cmd_fd, &destroy, sizeof(destroy)) != sizeof(destroy))
		fail_because("destroy_ah: errno %d", errno);
	rig_close(&rig);
}

static void arrives(bool wire, bool ipv6)
{
	struct old old;
	struct rxe_av av;
	int i;

	old_open(&old, wire, ipv6);
	av = av_to(&old);
	for (i = 0; i < 200; i++)
		send_av(&old, &av);
	/* What is not looked at may be anything: it comes from the GID's address all the same. */
	av.network_type = 7;
	memset(&av.sgid_addr, 0x5a, sizeof(av.sgid_addr));
	memset(&av.dgid_addr, 0xa5, sizeof(av.dgid_addr));
	memset(av.dmac, 0xff, sizeof(av.dmac));
	send_av(&old, &av);
	av.grh.flow_label = 0xffffffff;
	av.grh.traffic_class = 0xe0;
	av.grh.hop_limit = 0;
	send_av(&old, &av);
	old_close(&old);
}

static void ipv4(void **state)
{
	(void)state;
	arrives(false, false);
	arrives(true, false);
}

static void ipv6(void **state)
{
	(void)state;
	arrives(false, true);
	arrives(true, true);
}

static void refused(struct old *old, const struct rxe_av *av)
{
	struct rxe_av good = av_to(old);

	post_av(old, av);
	cq_expect(old->a.scq, IBV_WC_LOC_QP_OP_ERR);
	again(old);
	send_av(old, &good);
}

static void set_dgid(struct rxe_av *av, const char *text)
{
	assert_int_equal(inet_pton(AF_INET6, text, av->grh.dgid.raw), 1);
}

static void bad_addresses(void **state)
{
	struct rxe_av av;
	struct old old;

	(void)state;
	old_open(&old, false, false);
	av = av_to(&old);
	av.port_num = 0;
	refused(&old, &av);
	av.port_num = 2;
	refused(&old, &av);
	av = av_to(&old);
	av.grh.sgid_index = 255;
	refused(&old, &av);
	av.grh.sgid_index = 200;
	refused(&old, &av);
	av = av_to(&old);
	set_dgid(&av, "fd77::2");
	refused(&old, &av);
	set_dgid(&av, "ff02::1");
	refused(&old, &av);
	old_close(&old);
}

/* Addresses of the process's choice, many of them possible. */
static void any_address(void **state)
{
	static const char *const dgids[] = { "::",
					     "::1",
					     "::ffff:0.0.0.0",
					     "fe80::1",
					     "::ffff:127.0.0.1",
					     "::ffff:255.255.255.255",
					     "2001:db8::",
					     "::ffff:10.77.0.255",
					     "::ffff:239.7.7.7",
					     "::ffff:10.77.0.2" };
	struct rnd r = { rnd_seed() };
	unsigned int i, sent = 0;
	struct rxe_av av, good;
	struct ibv_wc wc;
	struct old old;

	(void)state;
	old_open(&old, true, false);
	good = av_to(&old);
	for (i = 0; i < FUZZED; i++) {
		av = good;
		rnd_fill(&r, (uint8_t *)&av + rnd_below(&r, sizeof(av) - 8), 8);
		if (rnd_one_in(&r, 2))
			set_dgid(&av, dgids[rnd_below(&r, ARRAY_SIZE(dgids))]);
		if (rnd_one_in(&r, 2))
			av.grh.sgid_index = rnd_below(&r, 6);
		av.port_num = rnd_below(&r, 8) != 0;
		post_av(&old, &av);
		wc = cq_wait(old.a.scq);
		sent += wc.status == IBV_WC_SUCCESS;
		if (wc.status == IBV_WC_SUCCESS)
			continue;
		assert_int_equal(wc.status, IBV_WC_LOC_QP_OP_ERR);
		again(&old);
	}
	printf("%u of %u sent\n", sent, i);
	assert_in_range(sent, 1, FUZZED - 1);
	send_av(&old, &good);
	old_close(&old);
}

TEST_MAIN(TEST(create_without_response), TEST(ipv4), TEST(ipv6), TEST(bad_addresses),
	  TEST(any_address))
