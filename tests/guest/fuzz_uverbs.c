// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile caller: verbs with random sizes, flags, attributes, handles and addresses, mappings at random offsets, and commands
 * that are no commands. Each is refused or works; what works can be destroyed; and what is opened afterwards works.
 *
 * rdma-odp: timeout 60
 */
#include "pair.h"
#include "random.h"

#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEEP 16

/* What lives, of each kind; one is destroyed to make room. */
struct zoo {
	struct rig rig;
	struct rnd rnd;
	struct ibv_mr *mrs[KEEP];
	struct ibv_cq *cqs[KEEP];
	struct ibv_srq *srqs[KEEP];
	struct ibv_qp *qps[KEEP];
	struct ibv_ah *ahs[KEEP];
	uint8_t *memory;
	unsigned long tried, worked;
};

#define MEMORY (4 * MIB)

typedef void (*call_fn)(struct zoo *z);

static uint32_t some_u32(struct rnd *r)
{
	static const uint32_t values[] = { 0,	       1,	  2,	    3,	      7,
					   16,	       64,	  255,	    4096,     65535,
					   65536,      1U << 20,  1U << 24, 1U << 30, 0x7fffffff,
					   0x80000000, 0xffffffff };

	switch (rnd_below(r, 4)) {
	case 0:
		return rnd_next(r);
	case 1:
		return rnd_below(r, 64);
	default:
		return values[rnd_below(r, ARRAY_SIZE(values))];
	}
}

/* Of a queue: what may be had is kept small, or a few of them take all memory. */
static uint32_t some_size(struct rnd *r)
{
	uint32_t value = some_u32(r);

	return value > 4096 && value <= 1U << 20 ? 4096 : value;
}

static void reg_mr(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_mr **mr = &z->mrs[rnd_below(r, KEEP)];
	uint8_t *at = rnd_one_in(r, 4) ? (uint8_t *)rnd_next(r) : z->memory + rnd_below(r, MEMORY);
	uint64_t bytes = rnd_one_in(r, 4) ? rnd_next(r) : some_u32(r);
	/* Implicit ODP is one of them: the library asks for it by itself then. */
	int access = rnd_one_in(r, 3) ? (int)rnd_next(r) : (int)(rnd_next(r) & 0x7f);

	if (*mr && ibv_dereg_mr(*mr))
		fail_because("ibv_dereg_mr: errno %d", errno);
	*mr = rnd_one_in(r, 3) ? ibv_reg_mr_iova(z->rig.pd, at, bytes, rnd_next(r), access) :
				 ibv_reg_mr(z->rig.pd, at, bytes, access);
	z->worked += !!*mr;
}

static void create_cq(struct zoo *z)
{
	struct ibv_cq **cq = &z->cqs[1 + rnd_below(&z->rnd, KEEP - 1)];

	/* A QP may use it still. */
	if (*cq && ibv_destroy_cq(*cq))
		return;
	*cq = ibv_create_cq(z->rig.ctx, some_size(&z->rnd), NULL, NULL,
			    rnd_one_in(&z->rnd, 4) ? (int)some_u32(&z->rnd) : 0);
	z->worked += !!*cq;
}

static void resize_cq(struct zoo *z)
{
	struct ibv_cq *cq = z->cqs[rnd_below(&z->rnd, KEEP)];

	z->worked += cq && !ibv_resize_cq(cq, some_size(&z->rnd));
}

static void create_srq(struct zoo *z)
{
	struct ibv_srq **srq = &z->srqs[rnd_below(&z->rnd, KEEP)];
	struct ibv_srq_init_attr init = { .attr = { .max_wr = some_size(&z->rnd),
						    .max_sge = some_u32(&z->rnd),
						    .srq_limit = some_u32(&z->rnd) } };

	if (*srq && ibv_destroy_srq(*srq))
		return;
	*srq = ibv_create_srq(z->rig.pd, &init);
	z->worked += !!*srq;
}

static void modify_srq(struct zoo *z)
{
	struct ibv_srq *srq = z->srqs[rnd_below(&z->rnd, KEEP)];
	struct ibv_srq_attr attr = { .max_wr = some_size(&z->rnd),
				     .max_sge = some_u32(&z->rnd),
				     .srq_limit = some_u32(&z->rnd) };

	z->worked += srq && !ibv_modify_srq(srq, &attr, rnd_next(&z->rnd) & 7);
}

static void create_qp(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_qp **qp = &z->qps[rnd_below(r, KEEP)];
	struct ibv_cq *cq = z->cqs[rnd_below(r, KEEP)] ?: z->cqs[0];
	struct ibv_qp_init_attr init = {
		.qp_type = rnd_one_in(r, 8) ? (int)rnd_below(r, 20) :
			   rnd_one_in(r, 2) ? IBV_QPT_UD :
					      IBV_QPT_RC,
		.send_cq = cq,
		.recv_cq = z->cqs[0],
		.srq = rnd_one_in(r, 3) ? z->srqs[rnd_below(r, KEEP)] : NULL,
		.sq_sig_all = rnd_one_in(r, 2),
		.cap = { some_size(r), some_size(r), rnd_below(r, 40), rnd_below(r, 40),
			 rnd_one_in(r, 2) ? some_u32(r) : rnd_below(r, 500) },
	};

	if (*qp && ibv_destroy_qp(*qp))
		fail_because("ibv_destroy_qp: errno %d", errno);
	*qp = ibv_create_qp(z->rig.pd, &init);
	z->worked += !!*qp;
}

static struct ibv_ah_attr some_ah(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_ah_attr attr;

	rnd_fill(r, &attr, sizeof(attr));
	if (rnd_one_in(r, 4))
		return attr;
	attr.is_global = !rnd_one_in(r, 8);
	attr.port_num = rnd_one_in(r, 8) ? rnd_next(r) : 1;
	attr.grh.sgid_index = rnd_one_in(r, 4) ? some_u32(r) : (uint32_t)z->rig.gid4;
	attr.grh.dgid = z->rig.gids[rnd_below(r, 2)];
	return attr;
}

static void create_ah(struct zoo *z)
{
	struct ibv_ah **ah = &z->ahs[rnd_below(&z->rnd, KEEP)];
	struct ibv_ah_attr attr = some_ah(z);

	if (*ah && ibv_destroy_ah(*ah))
		fail_because("ibv_destroy_ah: errno %d", errno);
	*ah = ibv_create_ah(z->rig.pd, &attr);
	z->worked += !!*ah;
}

static void modify_qp(struct zoo *z)
{
	static const int masks[] = {
		IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
		IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY,
		IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
		IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC,
		IBV_QP_STATE | IBV_QP_SQ_PSN,
		IBV_QP_STATE,
	};
	struct rnd *r = &z->rnd;
	struct ibv_qp *qp = z->qps[rnd_below(r, KEEP)];
	struct ibv_qp_attr attr;
	int mask = rnd_one_in(r, 5) ? (int)rnd_next(r) : masks[rnd_below(r, ARRAY_SIZE(masks))];

	rnd_fill(r, &attr, sizeof(attr));
	if (!rnd_one_in(r, 4)) {
		attr.qp_state = rnd_below(r, 8);
		attr.port_num = 1;
		attr.pkey_index = 0;
		attr.path_mtu = rnd_below(r, 7);
		attr.ah_attr = some_ah(z);
		attr.timeout &= 31;
		attr.retry_cnt &= 7;
		attr.rnr_retry &= 7;
		attr.min_rnr_timer &= 31;
		attr.max_rd_atomic &= 15;
		attr.max_dest_rd_atomic &= 15;
	}
	z->worked += qp && !ibv_modify_qp(qp, &attr, mask);
}

static void post(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_qp *qp = z->qps[rnd_below(r, KEEP)];
	struct ibv_sge sge = { (uintptr_t)z->memory + rnd_below(r, MEMORY), some_u32(r),
			       some_u32(r) };
	struct ibv_send_wr wr = { .sg_list = &sge,
				  .num_sge = rnd_below(r, 2),
				  .opcode = rnd_below(r, 7),
				  .send_flags = rnd_next(r) & 7 },
			   *bad;

	if (!qp || qp->qp_type != IBV_QPT_RC)
		return;
	wr.wr.rdma.remote_addr = rnd_next(r);
	wr.wr.rdma.rkey = rnd_next(r);
	z->worked += !ibv_post_send(qp, &wr, &bad);
}

/* Queues that are not ours, or no longer there, or larger than they are. */
static void map(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	size_t bytes = PAGE * (1 + rnd_below(r, 64));
	uint64_t at = rnd_one_in(r, 2) ? rnd_below(r, 4096) * PAGE : rnd_next(r) & ~(PAGE - 1);
	void *p = mmap(NULL, bytes, rnd_next(r) & 7, rnd_one_in(r, 4) ? MAP_PRIVATE : MAP_SHARED,
		       z->rig.ctx->cmd_fd, at);

	if (p != MAP_FAILED) {
		z->worked++;
		munmap(p, bytes);
	}
}

/* A command of any kind with any content; those that end things may end what z holds, so they are left out. */
static void command(struct zoo *z)
{
	static const uint8_t harmless[] = {
		IB_USER_VERBS_CMD_QUERY_DEVICE,	 IB_USER_VERBS_CMD_QUERY_PORT,
		IB_USER_VERBS_CMD_ALLOC_PD,	 IB_USER_VERBS_CMD_REG_MR,
		IB_USER_VERBS_CMD_REREG_MR,	 IB_USER_VERBS_CMD_CREATE_CQ,
		IB_USER_VERBS_CMD_RESIZE_CQ,	 IB_USER_VERBS_CMD_POLL_CQ,
		IB_USER_VERBS_CMD_REQ_NOTIFY_CQ, IB_USER_VERBS_CMD_CREATE_QP,
		IB_USER_VERBS_CMD_QUERY_QP,	 IB_USER_VERBS_CMD_MODIFY_QP,
		IB_USER_VERBS_CMD_POST_SEND,	 IB_USER_VERBS_CMD_POST_RECV,
		IB_USER_VERBS_CMD_ATTACH_MCAST,	 IB_USER_VERBS_CMD_CREATE_SRQ,
		IB_USER_VERBS_CMD_MODIFY_SRQ,	 IB_USER_VERBS_CMD_QUERY_SRQ,
		IB_USER_VERBS_CMD_POST_SRQ_RECV, IB_USER_VERBS_CMD_CREATE_AH,
		IB_USER_VERBS_CMD_OPEN_XRCD,	 IB_USER_VERBS_CMD_ALLOC_MW,
	};
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		uint32_t words[60];
	} call;
	static uint32_t answer[256];
	size_t words = rnd_below(&z->rnd, ARRAY_SIZE(call.words) + 1), i;
	uint64_t to = (uintptr_t)answer;

	for (i = 0; i < ARRAY_SIZE(call.words); i++)
		call.words[i] = some_u32(&z->rnd);
	if (!rnd_one_in(&z->rnd, 4))
		memcpy(call.words, &to, sizeof(to));
	call.hdr.command = harmless[rnd_below(&z->rnd, sizeof(harmless))];
	call.hdr.in_words = sizeof(call.hdr) / 4 + words;
	call.hdr.out_words = rnd_one_in(&z->rnd, 3) ? rnd_below(&z->rnd, 256) : 64;
	z->worked += write(z->rig.ctx->cmd_fd, &call, 4 * call.hdr.in_words) > 0;
}

static void ioctl_command(struct zoo *z)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attrs[8];
	} call;
	size_t i, n = rnd_below(&z->rnd, 9);
	uint16_t object = rnd_below(&z->rnd, 24), method = rnd_below(&z->rnd, 12);

	/* By custom the second method of an object is the one that destroys it: what z holds must stay. */
	if (method == 1)
		return;
	rnd_fill(&z->rnd, &call, sizeof(call));
	call.hdr.length = sizeof(call.hdr) + n * sizeof(call.attrs[0]);
	call.hdr.object_id = object;
	call.hdr.method_id = method;
	call.hdr.num_attrs = n;
	call.hdr.reserved1 = 0;
	call.hdr.reserved2 = 0;
	for (i = 0; i < n; i++) {
		call.attrs[i].attr_id = rnd_below(&z->rnd, 16);
		call.attrs[i].len = rnd_below(&z->rnd, 64);
		call.attrs[i].flags = rnd_below(&z->rnd, 2);
		call.attrs[i].attr_data.reserved = 0;
		if (rnd_one_in(&z->rnd, 2))
			call.attrs[i].data = some_u32(&z->rnd);
	}
	z->worked += !ioctl(z->rig.ctx->cmd_fd, RDMA_VERBS_IOCTL, &call.hdr);
}

static void clear(struct zoo *z)
{
	int i;

	for (i = 0; i < KEEP; i++) {
		if (z->ahs[i])
			ibv_destroy_ah(z->ahs[i]);
		if (z->qps[i])
			ibv_destroy_qp(z->qps[i]);
		if (z->mrs[i])
			ibv_dereg_mr(z->mrs[i]);
	}
	for (i = 0; i < KEEP; i++) {
		if (z->srqs[i])
			ibv_destroy_srq(z->srqs[i]);
		if (z->cqs[i])
			ibv_destroy_cq(z->cqs[i]);
	}
}

static void random_calls(void **state)
{
	static const call_fn calls[] = {
		reg_mr,	    reg_mr,    create_cq,     resize_cq, create_srq,
		modify_srq, create_qp, create_ah,     post,	 modify_qp,
		modify_qp,  modify_qp, ioctl_command, map,	 command,
	};
	double end = seconds() + env_number("FUZZ_S", 5);
	struct zoo z = { .rnd = { rnd_seed() } };
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	rig_open(&z.rig);
	z.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(z.memory, MAP_FAILED);
	z.cqs[0] = ibv_create_cq(z.rig.ctx, 64, NULL, NULL, 0);
	assert_non_null(z.cqs[0]);
	do {
		calls[rnd_below(&z.rnd, ARRAY_SIZE(calls))](&z);
		z.tried++;
	} while (seconds() < end);
	printf("%lu calls, %lu of them worked\n", z.tried, z.worked);
	assert_true(z.worked > 0);
	clear(&z);
	munmap(z.memory, MEMORY);
	/* What the commands made by hand goes with the file. */
	ibv_dealloc_pd(z.rig.pd);
	assert_zero(ibv_close_device(z.rig.ctx));
	memset(&z.rig, 0, sizeof(z.rig));
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

TEST_MAIN(TEST(random_calls))
