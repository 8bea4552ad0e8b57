// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile process: it owns the mapped queues, and writes what it likes into them, indices,
 * lengths, keys and counts among it, while the kernel reads them, and while it takes them down.
 * Nothing may be touched outside of its regions, nothing may hang, and what it opens afterwards
 * works.
 *
 * A child writes: it has the queues for as long as it lives, whatever its parent destroys.
 *
 * rdma-odp: timeout 60
 */
#include "mw.h"
#include "random.h"
#include "ring.h"

#include <rdma/rdma_user_rxe.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RINGS 16

struct scribbler {
	struct rnd rnd;
	struct ring rings[MAX_RINGS];
	unsigned int nr_rings;
	const struct buf *buf;
	struct ibv_mw *mws[2]; /* one of each type */
	bool spares_index;     /* one that is none of the ring's ends an SRQ for good */
};

static uint32_t some_count(struct rnd *r)
{
	static const uint32_t counts[] = {
		0, 1, 2, 4, 5, 64, 4096, 65536, 1U << 30, 0x7fffffff, 0x80000000, 0xffffffff
	};

	return rnd_one_in(r, 5) ? rnd_next(r) : counts[rnd_below(r, ARRAY_SIZE(counts))];
}

static struct rxe_sge some_sge(struct scribbler *s)
{
	struct rnd *r = &s->rnd;

	return (struct rxe_sge){
		.addr = rnd_one_in(r, 8) ? rnd_next(r) :
					   (uintptr_t)s->buf->data + rnd_below(r, s->buf->bytes),
		.length = rnd_one_in(r, 4) ? some_count(r) : rnd_below(r, 5000),
		.lkey = rnd_one_in(r, 8) ? rnd_next(r) : s->buf->mr->lkey,
	};
}

/*
 * A bind of a window, or an invalidation: by the window's first key, or by one of two that binds give, so that one in a few is
 * right.
 */
static void some_local_op(struct scribbler *s, struct rxe_send_wr *wr)
{
	struct rnd *r = &s->rnd;
	uint32_t first = s->mws[rnd_below(r, 2)]->rkey, base = first & ~0xff;
	uint32_t key = rnd_one_in(r, 3) ? first : base | rnd_below(r, 2);

	wr->opcode = rnd_one_in(r, 3) ? IBV_WR_LOCAL_INV : IBV_WR_BIND_MW;
	wr->ex.invalidate_rkey = key;
	if (wr->opcode == IBV_WR_LOCAL_INV)
		return;
	wr->wr.mw.addr = some_sge(s).addr;
	wr->wr.mw.length = rnd_one_in(r, 4) ? some_count(r) : rnd_below(r, 5000);
	wr->wr.mw.mr_lkey = some_sge(s).lkey;
	wr->wr.mw.mw_rkey = key;
	wr->wr.mw.rkey = base | rnd_below(r, 2);
	wr->wr.mw.access = rnd_one_in(r, 4) ? rnd_next(r) : ACCESS_WINDOW;
}

/* A key of the peer's, which is here as well. */
static uint32_t some_rkey(struct scribbler *s)
{
	if (rnd_one_in(&s->rnd, 2))
		return some_sge(s).lkey;
	return (s->mws[rnd_below(&s->rnd, 2)]->rkey & ~0xff) | rnd_below(&s->rnd, 2);
}

/* The kernel's own among them, which registers memory. */
#define LAST_OPCODE 0x20

/* A work request that is nearly one, somewhere. */
static void some_wqe(struct scribbler *s, uint8_t *at, size_t room)
{
	struct rnd *r = &s->rnd;
	struct rxe_send_wqe wqe;
	struct rxe_sge sge = some_sge(s);

	rnd_fill(r, &wqe, sizeof(wqe));
	wqe.wr.opcode = rnd_one_in(r, 8) ? IBV_WR_SEND_WITH_INV :
					   rnd_below(r, rnd_one_in(r, 4) ? LAST_OPCODE + 1 : 7);
	wqe.wr.send_flags = rnd_next(r) & (rnd_one_in(r, 4) ? 0x1f : IBV_SEND_SIGNALED);
	wqe.wr.wr.rdma.remote_addr = some_sge(s).addr;
	wqe.wr.wr.rdma.rkey = some_rkey(s);
	if (wqe.wr.opcode == IBV_WR_SEND_WITH_INV)
		wqe.wr.ex.invalidate_rkey = some_rkey(s);
	if (rnd_one_in(r, 4))
		some_local_op(s, &wqe.wr);
	if (wqe.wr.opcode == IBV_WR_FLUSH) {
		/* The key of a FLUSH has another place. */
		wqe.wr.wr.flush.rkey = some_rkey(s);
		wqe.wr.wr.flush.type = rnd_below(r, 5);
		wqe.wr.wr.flush.level = rnd_below(r, 3);
	} else if (rnd_one_in(r, 3)) {
		/* UD as an old librxe has it: the address is here. */
		wqe.wr.wr.ud.ah_num = 0;
		wqe.wr.wr.ud.av.port_num = 1;
		wqe.wr.wr.ud.av.grh.sgid_index = rnd_below(r, 4);
	}
	wqe.dma.length = some_count(r);
	wqe.dma.resid = some_count(r);
	wqe.dma.cur_sge = some_count(r);
	wqe.dma.num_sge = rnd_one_in(r, 6) ? some_count(r) : rnd_one_in(r, 3) ? rnd_below(r, 6) : 1;
	wqe.dma.sge_offset = some_count(r);
	memcpy(at, &wqe, sizeof(wqe) < room ? sizeof(wqe) : room);
	if (room >= sizeof(wqe) + sizeof(sge))
		memcpy(at + sizeof(wqe), &sge, sizeof(sge));
}

/* What has been posted, by a little or by any number. */
static void some_index(struct scribbler *s, const struct ring *ring, bool little)
{
	volatile uint32_t *index = (volatile uint32_t *)(ring->addr + RING_PRODUCER_AT);
	uint32_t value = little ? *index + 1 : some_count(&s->rnd);

	*index = s->spares_index ? value & ring->mask : value;
}

static bool has_index(size_t at, size_t bytes)
{
	return at < RING_PRODUCER_AT + 4 && at + bytes > RING_PRODUCER_AT;
}

static void scribble(struct scribbler *s)
{
	struct rnd *r = &s->rnd;
	struct ring *ring = &s->rings[rnd_below(r, s->nr_rings)];
	uint32_t value = some_count(r);
	size_t at;

	switch (rnd_below(r, 6)) {
	case 0:
		if (rnd_one_in(r, 3))
			memcpy(ring->addr + RING_CONSUMER_AT, &value, 4);
		else
			some_index(s, ring, false);
		break;
	case 1:
		some_index(s, ring, true);
		break;
	case 2: /* the header */
		at = rnd_below(r, RING_DATA_AT / 4) * 4;
		if (!s->spares_index || !has_index(at, 4))
			memcpy(ring->addr + at, &value, 4);
		break;
	case 3:
		at = rnd_below(r, ring->bytes);
		if (!s->spares_index || !has_index(at, 64))
			rnd_fill(r, ring->addr + at, ring->bytes - at < 64 ? ring->bytes - at : 64);
		break;
	default: {
		struct rxe_sge sge = some_sge(s);

		at = rnd_one_in(r, 8) ? 16 : ring->elem_bytes;
		at = RING_DATA_AT + at * rnd_below(r, (ring->bytes - RING_DATA_AT) / at);
		if (rnd_one_in(r, 4))
			memcpy(ring->addr + at, &sge, 16);
		else
			some_wqe(s, ring->addr + at, ring->bytes - at);
	}
	}
}

static pid_t scribbler_start(struct scribbler *s)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		scribble(s);
}

static void scribbler_stop(pid_t pid)
{
	assert_zero(kill(pid, SIGKILL));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Bytes of the region that are not what they were: only a WQE that was executed changes one. */
static unsigned long moved_bytes(const struct buf *buf, uint32_t seed)
{
	unsigned long moved = 0;
	size_t i;

	for (i = 0; i < buf->bytes; i++)
		moved += buf->data[i] != pattern_byte(seed, i);
	return moved;
}

static unsigned long round_of(struct rnd *r, enum ibv_qp_type type, bool srq, bool under)
{
	double end = seconds() + 0.25;
	struct scribbler s = { .rnd = { rnd_next(r) }, .spares_index = srq && rnd_one_in(r, 2) };
	uint32_t seed = rnd_next(r);
	struct conn conn = CONN;
	unsigned long moved;
	struct pair pair;
	struct buf buf;
	pid_t pid;

	conn.type = type;
	conn.access |= IBV_ACCESS_FLUSH_GLOBAL;
	conn.srq_b = srq;
	conn.timeout = 8;
	conn.retry_cnt = 1;
	pair_open(&pair, &conn);
	buf_make(&buf, pair.rig.pd, MEM_ANON, 64 * KIB, 100,
		 ACCESS_ALL | IBV_ACCESS_MW_BIND | IBV_ACCESS_FLUSH_GLOBAL |
			 (srq ? IBV_ACCESS_ON_DEMAND : 0));
	s.mws[0] = mw_make(pair.rig.pd, IBV_MW_TYPE_1);
	s.mws[1] = mw_make(pair.rig.pd, IBV_MW_TYPE_2);
	pattern_fill(buf.data, buf.bytes, seed, 0);
	s.buf = &buf;
	s.nr_rings = rings_find(s.rings, MAX_RINGS);
	assert_in_range(s.nr_rings, 4, MAX_RINGS);
	pid = scribbler_start(&s);
	while (seconds() < end) {
		ring_doorbell(pair.a.qp);
		ring_doorbell(pair.b.qp);
		/* What was found in the queues may have failed them at once: then there is a next time. */
		if (rnd_one_in(r, end_state(&pair.a) == IBV_QPS_ERR ? 2 : 50))
			(void)!ends_reconnect(&pair.a, &pair.b, &conn);
	}
	if (!under)
		scribbler_stop(pid);
	moved = moved_bytes(&buf, seed);
	/* Whatever they were bound to. */
	mw_free(s.mws[0]);
	mw_free(s.mws[1]);
	buf_free(&buf);
	pair_close(&pair);
	if (under)
		scribbler_stop(pid);
	return moved;
}

static void random_queues(void **state)
{
	double end = seconds() + env_number("FUZZ_S", 5);
	long sent = rig_counter("sent_pkts");
	struct rnd r = { rnd_seed() };
	struct conn conn = CONN;
	unsigned long moved = 0;
	unsigned int rounds = 0;
	struct pair pair;

	(void)state;
	/* A slow kernel is given what it takes until what was written into a queue was executed. */
	do {
		moved += round_of(&r, rounds % 3 == 2 ? IBV_QPT_UD : IBV_QPT_RC, rounds & 1,
				  rounds & 2);
		rounds++;
	} while (seconds() < end || !moved);
	sent = rig_counter("sent_pkts") - sent;
	printf("%u rounds, %lu bytes moved, %ld packets\n", rounds, moved, sent);
	assert_true(moved > 0);
	assert_true(sent > 0);
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

TEST_MAIN(TEST(random_queues))
