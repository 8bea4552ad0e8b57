// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The two ends of a work request: what the provider writes is read by the kernel as what the program asked for, and what the
 * provider refuses is never written past the entry.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "queue/wqe_parse.h"
#include "provider/wqe.h"

#define ROUNDS	20000
#define MAX_SGE 8

struct queue {
	struct rxo_wqe_bounds bounds;
	struct rxo_swqe_bounds kernel;
	struct rxe_send_wqe *wqe; /* exactly an entry */
	struct rxo_swqe *parsed;
};

static void queue_open(struct queue *q, uint64_t *seed)
{
	size_t room;

	memset(q, 0, sizeof(*q));
	q->bounds.max_sge = unit_random(seed) % MAX_SGE;
	q->bounds.max_inline_bytes = unit_random(seed) % 200;
	q->bounds.ud = unit_random(seed) % 2;
	q->bounds.uc = !q->bounds.ud && unit_random(seed) % 2;
	q->bounds.xrc = !q->bounds.ud && !q->bounds.uc && unit_random(seed) % 2;
	q->kernel.max_sge = q->bounds.max_sge;
	q->kernel.max_inline_bytes = q->bounds.max_inline_bytes;
	q->kernel.max_datagram_bytes = UINT32_MAX;
	q->kernel.ud = q->bounds.ud;
	q->kernel.uc = q->bounds.uc;
	q->kernel.xrc = q->bounds.xrc;
	room = rxo_swqe_bytes(&q->bounds);
	q->wqe = malloc(room);
	q->parsed = malloc(sizeof(*q->parsed) + room);
	/* What stood there before does not matter. */
	memset(q->wqe, unit_random(seed), room);
}

static void queue_close(struct queue *q)
{
	free(q->wqe);
	free(q->parsed);
}

static bool is_atomic(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

static bool is_send(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
}

/* What the device does by itself: there is no data. */
static bool is_local(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_LOCAL_INV || opcode == IBV_WR_BIND_MW;
}

static bool is_word(enum ibv_wr_opcode opcode)
{
	return is_atomic(opcode) || opcode == IBV_WR_ATOMIC_WRITE;
}

static bool is_executed(enum ibv_wr_opcode opcode, const struct rxo_wqe_bounds *bounds)
{
	if (is_send(opcode))
		return true;
	if (opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM || is_local(opcode))
		return !bounds->ud;
	if (bounds->xrc && opcode == IBV_WR_ATOMIC_WRITE)
		return false;
	return !bounds->ud && !bounds->uc &&
	       (opcode == IBV_WR_RDMA_READ || opcode == IBV_WR_SEND_WITH_INV || is_word(opcode));
}

/* Whether the request is one that a queue with these bounds takes, in words of the manual page. */
static bool is_right(const struct queue *q, const struct ibv_send_wr *wr, uint64_t bytes)
{
	if (!is_executed(wr->opcode, &q->bounds))
		return false;
	if (is_local(wr->opcode))
		return true;
	if (!(wr->send_flags & IBV_SEND_INLINE))
		return wr->num_sge <= (int)q->bounds.max_sge && bytes <= RXO_MAX_MSG_BYTES;
	return bytes <= q->bounds.max_inline_bytes && wr->opcode != IBV_WR_RDMA_READ &&
	       !is_atomic(wr->opcode);
}

static void check_parsed_local(const struct rxo_swqe *got, const struct ibv_send_wr *wr)
{
	const struct ibv_mw_bind_info *info = &wr->bind_mw.bind_info;

	assert_int_equal(got->wr_id, wr->wr_id);
	assert_int_equal(got->opcode, wr->opcode);
	assert_int_equal(got->send_flags, wr->send_flags & ~IBV_SEND_INLINE);
	assert_int_equal(got->length_bytes, 0);
	assert_int_equal(got->num_sge, 0);
	if (wr->opcode == IBV_WR_LOCAL_INV) {
		assert_int_equal(got->rkey, wr->invalidate_rkey);
		return;
	}
	assert_int_equal(got->bind.addr, info->addr);
	assert_int_equal(got->bind.length, info->length);
	assert_int_equal(got->bind.lkey, info->mr ? info->mr->lkey : 0);
	assert_int_equal(got->bind.mw_key, wr->bind_mw.mw->rkey);
	assert_int_equal(got->bind.new_key, wr->bind_mw.rkey);
	assert_int_equal(got->bind.access, info->mw_access_flags);
}

static void check_parsed(const struct rxo_swqe *got, const struct ibv_send_wr *wr,
			 const struct rxo_wqe_bounds *bounds, const uint8_t *data, uint64_t bytes)
{
	int i;

	if (bounds->xrc)
		assert_int_equal(got->srq_num, wr->qp_type.xrc.remote_srqn);
	assert_int_equal(got->wr_id, wr->wr_id);
	assert_int_equal(got->opcode, wr->opcode);
	assert_int_equal(got->send_flags, wr->send_flags);
	assert_int_equal(got->length_bytes, bytes);
	if (bounds->ud) {
		assert_int_equal(got->ah_num, ((struct rxo_ah *)wr->wr.ud.ah)->ah_num);
		assert_int_equal(got->remote_qpn, wr->wr.ud.remote_qpn);
		assert_int_equal(got->remote_qkey, wr->wr.ud.remote_qkey);
	} else if (is_atomic(wr->opcode)) {
		assert_int_equal(got->remote_addr, wr->wr.atomic.remote_addr);
		assert_int_equal(got->rkey, wr->wr.atomic.rkey);
		assert_int_equal(got->compare_add, wr->wr.atomic.compare_add);
		assert_int_equal(got->swap, wr->wr.atomic.swap);
	} else if (wr->opcode == IBV_WR_SEND_WITH_INV) {
		assert_int_equal(got->rkey, wr->invalidate_rkey);
	} else if (!is_send(wr->opcode)) {
		assert_int_equal(got->remote_addr, wr->wr.rdma.remote_addr);
		assert_int_equal(got->rkey, wr->wr.rdma.rkey);
	}
	if (wr->opcode == IBV_WR_SEND_WITH_IMM || wr->opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		assert_int_equal(got->imm, wr->imm_data);
	if (wr->send_flags & IBV_SEND_INLINE) {
		assert_memory_equal(got->inline_data, data, bytes);
		return;
	}
	assert_int_equal(got->num_sge, wr->num_sge);
	for (i = 0; i < wr->num_sge; i++) {
		assert_int_equal(got->sge[i].addr, wr->sg_list[i].addr);
		assert_int_equal(got->sge[i].length, wr->sg_list[i].length);
		assert_int_equal(got->sge[i].lkey, wr->sg_list[i].lkey);
	}
}

/* The pieces of one buffer, whose sum is returned. */
static uint64_t make_list(struct ibv_sge *sges, int num, const uint8_t *data, bool huge,
			  uint64_t *seed)
{
	uint64_t at = 0;
	int i;

	for (i = 0; i < num; i++) {
		sges[i] = (struct ibv_sge){
			.addr = (uintptr_t)data + at,
			.length = huge ? 0x40000000 : unit_random(seed) % 40,
			.lkey = unit_random(seed),
		};
		at += sges[i].length;
	}
	return at;
}

/* What unbinds need not name a region. */
static void make_bind(struct ibv_send_wr *wr, uint64_t *seed)
{
	static struct ibv_mr mr;
	static struct ibv_mw mw;

	mr.lkey = unit_random(seed);
	mw.rkey = unit_random(seed);
	wr->bind_mw.mw = &mw;
	wr->bind_mw.rkey = unit_random(seed);
	wr->bind_mw.bind_info = (struct ibv_mw_bind_info){
		.mr = unit_random(seed) % 4 ? &mr : NULL,
		.addr = unit_random(seed),
		.length = unit_random(seed),
		.mw_access_flags = unit_random(seed),
	};
}

static void make_op(struct ibv_send_wr *wr, struct rxo_ah *ah, bool ud, uint64_t *seed)
{
	wr->wr_id = unit_random(seed);
	wr->opcode = unit_random(seed) % 17;
	wr->send_flags = unit_random(seed) % 16;
	wr->imm_data = unit_random(seed);
	wr->qp_type.xrc.remote_srqn = unit_random(seed);
	make_bind(wr, seed);
	if (ud) {
		ah->ah_num = 1 + unit_random(seed) % UINT32_MAX;
		wr->wr.ud.ah = &ah->ibah;
		wr->wr.ud.remote_qpn = unit_random(seed);
		wr->wr.ud.remote_qkey = unit_random(seed);
	} else if (is_atomic(wr->opcode)) {
		wr->wr.atomic.remote_addr = unit_random(seed);
		wr->wr.atomic.rkey = unit_random(seed);
		wr->wr.atomic.compare_add = unit_random(seed);
		wr->wr.atomic.swap = unit_random(seed);
	} else {
		wr->wr.rdma.remote_addr = unit_random(seed);
		wr->wr.rdma.rkey = unit_random(seed);
	}
}

static void sends_arrive(void **state)
{
	static uint8_t data[MAX_SGE * 64];
	uint64_t seed = 3, bytes;
	unsigned int i, taken = 0;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 31;
	for (i = 0; i < ROUNDS; i++) {
		struct ibv_sge sges[MAX_SGE + 2];
		struct ibv_send_wr wr = { .sg_list = sges };
		struct rxo_ah ah = {};
		struct queue q;
		bool huge;

		queue_open(&q, &seed);
		make_op(&wr, &ah, q.bounds.ud, &seed);
		wr.num_sge = unit_random(&seed) % (MAX_SGE + 2);
		huge = !(wr.send_flags & IBV_SEND_INLINE) && unit_random(&seed) % 8 == 0;
		bytes = make_list(sges, wr.num_sge, data, huge, &seed);
		if (is_right(&q, &wr, bytes)) {
			taken++;
			assert_int_equal(rxo_swqe_fill(q.wqe, &wr, &q.bounds), 0);
			/* An atomic of another length than 8 is the kernel's to complete with an error. */
			if (rxo_swqe_parse(q.parsed, q.wqe, &q.kernel) != IB_WC_SUCCESS)
				assert_true(is_word(wr.opcode) && bytes != 8);
			/* Without a list the kernel takes the bytes to stand in the entry, as librxe has it. */
			if (wr.opcode == IBV_WR_ATOMIC_WRITE && !wr.num_sge)
				q.parsed->send_flags = wr.send_flags;
			if (is_local(wr.opcode))
				check_parsed_local(q.parsed, &wr);
			else
				check_parsed(q.parsed, &wr, &q.bounds, data, bytes);
		} else {
			assert_int_equal(rxo_swqe_fill(q.wqe, &wr, &q.bounds), EINVAL);
		}
		queue_close(&q);
	}
	assert_in_range(taken, ROUNDS / 10, ROUNDS);
}

/* What the extended way of posting writes; librxe writes the same fields. */
static void atomic_writes_and_flushes_arrive(void **state)
{
	static const uint8_t word[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint64_t seed = 7;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		uint64_t addr = unit_random(&seed), key = unit_random(&seed);
		uint8_t type = unit_random(&seed) % 5, level = unit_random(&seed) % 3;
		uint32_t length = unit_random(&seed);
		bool right = type && type < 4 && level < 2;
		struct queue q;

		queue_open(&q, &seed);
		q.bounds.ud = false;
		q.bounds.uc = false;
		q.bounds.xrc = false;
		q.kernel.ud = false;
		q.kernel.uc = false;
		q.kernel.xrc = false;
		if (!q.bounds.max_inline_bytes && !q.bounds.max_sge)
			q.kernel.max_inline_bytes =
				sizeof(struct rxe_sge); /* as a queue pair is made */
		else if (q.bounds.max_sge)
			q.kernel.max_inline_bytes = 16 * q.bounds.max_sge;
		assert_int_equal(rxo_swqe_begin(q.wqe, i, IBV_WR_FLUSH, 0, &q.bounds), 0);
		rxo_swqe_set_flush(q.wqe, addr, key, length, type, level);
		assert_int_equal(rxo_swqe_parse(q.parsed, q.wqe, &q.kernel),
				 right ? IB_WC_SUCCESS : IB_WC_LOC_QP_OP_ERR);
		if (right) {
			assert_int_equal(q.parsed->remote_addr, addr);
			assert_int_equal(q.parsed->rkey, (uint32_t)key);
			assert_int_equal(q.parsed->length_bytes, length);
			assert_int_equal(q.parsed->flush_placement, type);
			assert_int_equal(q.parsed->flush_whole, level);
		}
		if (q.kernel.max_inline_bytes >= 8) {
			assert_int_equal(
				rxo_swqe_begin(q.wqe, i, IBV_WR_ATOMIC_WRITE, 0, &q.bounds), 0);
			rxo_swqe_set_rdma(q.wqe, addr, key);
			rxo_swqe_set_atomic_write(q.wqe, word);
			assert_int_equal(rxo_swqe_parse(q.parsed, q.wqe, &q.kernel), IB_WC_SUCCESS);
			assert_int_equal(q.parsed->remote_addr, addr);
			assert_int_equal(q.parsed->rkey, (uint32_t)key);
			assert_int_equal(q.parsed->length_bytes, 8);
			assert_memory_equal(q.parsed->inline_data, word, 8);
		}
		queue_close(&q);
	}
}

static void receives_arrive(void **state)
{
	uint64_t seed = 5;
	int i, k;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		uint32_t max_sge = unit_random(&seed) % MAX_SGE;
		struct rxe_recv_wqe *wqe = malloc(rxo_rwqe_bytes(max_sge));
		struct ibv_sge sges[MAX_SGE + 2];
		struct ibv_recv_wr wr = { .sg_list = sges };
		struct rxo_rwqe got;

		wr.wr_id = unit_random(&seed);
		wr.num_sge = (int)(unit_random(&seed) % (MAX_SGE + 3)) - 1;
		make_list(sges, wr.num_sge, NULL, false, &seed);
		if (wr.num_sge < 0 || (uint32_t)wr.num_sge > max_sge) {
			assert_int_equal(rxo_rwqe_fill(wqe, &wr, max_sge), EINVAL);
		} else {
			assert_int_equal(rxo_rwqe_fill(wqe, &wr, max_sge), 0);
			assert_int_equal(rxo_rwqe_parse(&got, wqe, max_sge), 0);
			assert_int_equal(got.wr_id, wr.wr_id);
			assert_int_equal(got.sgl.num, wr.num_sge);
			for (k = 0; k < wr.num_sge; k++)
				assert_memory_equal(&got.sgl.sge[k], &sges[k], sizeof(sges[k]));
		}
		free(wqe);
	}
}

static void a_datagram_needs_an_address(void **state)
{
	struct rxo_wqe_bounds bounds = { .max_sge = 1, .ud = true };
	struct rxe_send_wqe *wqe = malloc(rxo_swqe_bytes(&bounds));
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND };
	struct rxo_swqe_bounds kernel = { .max_sge = 1, .ud = true };
	struct rxo_swqe parsed;

	(void)state;
	assert_int_equal(rxo_swqe_fill(wqe, &wr, &bounds), EINVAL);
	/* Begun by ibv_wr_send(), and no address set: whatever stood there before, it completes with an error. */
	memset(wqe, 1, rxo_swqe_bytes(&bounds));
	assert_int_equal(rxo_swqe_begin(wqe, 1, IBV_WR_SEND, 0, &bounds), 0);
	assert_int_equal(rxo_swqe_parse(&parsed, wqe, &kernel), IB_WC_LOC_QP_OP_ERR);
	free(wqe);
}

/* What the device does by itself: one for everybody, one for kernel users, none for datagrams. No data counts. */
static void local_operations(void **state)
{
	struct rxo_swqe_bounds bounds = { .max_sge = 1 };
	struct rxe_send_wqe wqe = {
		.wr = { .wr_id = 8, .wr.mw = { .addr = 1ULL << 40, .rkey = 0x1234, .access = 7 } },
		.dma = { .length = 1 << 20, .num_sge = 100 },
	};
	struct rxo_swqe parsed;
	int ud;

	(void)state;
	for (ud = 0; ud < 2; ud++) {
		bounds.ud = ud;
		bounds.kernel = false;
		wqe.wr.opcode = IB_WR_LOCAL_INV;
		wqe.wr.ex.invalidate_rkey = 0x5678;
		assert_int_equal(rxo_swqe_parse(&parsed, &wqe, &bounds),
				 ud ? IB_WC_LOC_QP_OP_ERR : IB_WC_SUCCESS);
		assert_int_equal(parsed.length_bytes, 0);
		if (!ud) {
			assert_true(rxo_swqe_is_local(&parsed));
			assert_int_equal(parsed.rkey, 0x5678);
		}
		wqe.wr.opcode = IB_WR_REG_MR;
		assert_int_equal(rxo_swqe_parse(&parsed, &wqe, &bounds), IB_WC_LOC_QP_OP_ERR);
		bounds.kernel = true;
		assert_int_equal(rxo_swqe_parse(&parsed, &wqe, &bounds),
				 ud ? IB_WC_LOC_QP_OP_ERR : IB_WC_SUCCESS);
		if (!ud) {
			assert_true(rxo_swqe_is_local(&parsed));
			assert_int_equal(parsed.remote_addr, 1ULL << 40);
			assert_int_equal(parsed.rkey, 0x1234);
			assert_int_equal(parsed.access, 7);
			assert_int_equal(parsed.num_sge, 0);
		}
	}
}

/* The flags by which a program asks for what a queue pair executes, and no others. */
static void operations(void **state)
{
	struct rxo_wqe_bounds rc = {}, uc = { .uc = true }, ud = { .ud = true },
			      xrc = { .xrc = true };

	(void)state;
	assert_int_equal(rxo_send_ops(&ud), IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM);
	assert_int_equal(rxo_send_ops(&uc),
			 IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
				 IBV_QP_EX_WITH_LOCAL_INV | IBV_QP_EX_WITH_BIND_MW |
				 IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM);
	assert_int_equal(rxo_send_ops(&rc),
			 IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM |
				 IBV_QP_EX_WITH_SEND_WITH_INV | IBV_QP_EX_WITH_LOCAL_INV |
				 IBV_QP_EX_WITH_BIND_MW | IBV_QP_EX_WITH_RDMA_WRITE |
				 IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM | IBV_QP_EX_WITH_RDMA_READ |
				 IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
				 IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD | IBV_QP_EX_WITH_FLUSH |
				 IBV_QP_EX_WITH_ATOMIC_WRITE);
	assert_int_equal(rxo_send_ops(&xrc),
			 rxo_send_ops(&rc) & ~(IBV_QP_EX_WITH_FLUSH | IBV_QP_EX_WITH_ATOMIC_WRITE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_arrive),
		cmocka_unit_test(atomic_writes_and_flushes_arrive),
		cmocka_unit_test(receives_arrive),
		cmocka_unit_test(a_datagram_needs_an_address),
		cmocka_unit_test(local_operations),
		cmocka_unit_test(operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
