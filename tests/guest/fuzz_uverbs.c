// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile caller: verbs with random sizes, flags, attributes, handles and addresses, mappings at random offsets, and commands
 * that are no commands; of XRC domains by files, SRQs, both kinds of queue pairs, and targets by their numbers. Each is refused or
 * works; what works can be destroyed; and what is opened afterwards works.
 *
 * rdma-odp: timeout 60
 */
#include "dmabuf.h"
#include "method.h"
#include "pair.h"
#include "random.h"

#include <fcntl.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rdma_user_rxe.h>
#include <rdma/rxe_odp-abi.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEEP	16
#define HANDLES 4
#define SHAPES	29

/* Kinds of objects by their ids in uverbs, and behind them our own. */
#define ZOO_PREFETCH (UVERBS_OBJECT_XRCD + 1)
#define ZOO_KINDS    (ZOO_PREFETCH + 1)

/* What lives, of each kind; one is destroyed to make room. */
struct zoo {
	struct rig rig;
	struct rnd rnd;
	struct ibv_mr *mrs[KEEP];
	struct ibv_cq *cqs[KEEP];
	struct ibv_srq *srqs[KEEP];
	struct ibv_qp *qps[KEEP];
	struct ibv_ah *ahs[KEEP];
	struct ibv_mw *mws[KEEP];
	uint8_t *memory;
	int dma_buf;
	/*
	 * Where ioctls made by hand go, what they have made there of each kind, and how many of each
	 * shape worked.
	 */
	struct ibv_context *wild;
	uint32_t handles[ZOO_KINDS][HANDLES];
	unsigned long ioctls[SHAPES];
	uint64_t mr_at; /* where the last region that they made is */
	/* XRC: a file for domains, and the last target that they made: its domain and its number. */
	int file;
	uint32_t target_xrcd, target_num;
};

#define MEMORY (4 * MIB)

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

/* The same, mostly plausible: for what takes several of them. */
static uint32_t some_count(struct rnd *r)
{
	return rnd_one_in(r, 4) ? some_size(r) : 1 + rnd_below(r, 16);
}

static bool reg_mr(struct zoo *z)
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
	return *mr;
}

/* Of regions that live, mostly. */
static struct ibv_sge some_span(struct zoo *z)
{
	const struct ibv_mr *mr = z->mrs[rnd_below(&z->rnd, KEEP)];

	if (!mr || rnd_one_in(&z->rnd, 8))
		return (struct ibv_sge){ rnd_next(&z->rnd), some_u32(&z->rnd), some_u32(&z->rnd) };
	return (struct ibv_sge){ (uintptr_t)mr->addr + rnd_below(&z->rnd, 8192),
				 rnd_below(&z->rnd, 65536), mr->lkey };
}

static bool advise(struct zoo *z)
{
	size_t num = rnd_one_in(&z->rnd, 4) ? rnd_below(&z->rnd, 5) : 1, i;
	struct ibv_sge spans[4];

	for (i = 0; i < num; i++)
		spans[i] = some_span(z);
	return !mr_advise(z->rig.pd, rnd_below(&z->rnd, 4), rnd_below(&z->rnd, 3), spans, num);
}

static bool create_cq(struct zoo *z)
{
	struct ibv_cq **cq = &z->cqs[1 + rnd_below(&z->rnd, KEEP - 1)];

	/* A QP may use it still. */
	if (*cq && ibv_destroy_cq(*cq))
		return false;
	*cq = ibv_create_cq(z->rig.ctx, some_size(&z->rnd), NULL, NULL,
			    rnd_one_in(&z->rnd, 4) ? (int)some_u32(&z->rnd) : 0);
	return *cq;
}

static bool resize_cq(struct zoo *z)
{
	struct ibv_cq *cq = z->cqs[rnd_below(&z->rnd, KEEP)];

	return cq && !ibv_resize_cq(cq, some_size(&z->rnd));
}

static bool create_srq(struct zoo *z)
{
	struct ibv_srq **srq = &z->srqs[rnd_below(&z->rnd, KEEP)];
	struct ibv_srq_init_attr init = { .attr = { .max_wr = some_count(&z->rnd),
						    .max_sge = some_count(&z->rnd),
						    .srq_limit = some_count(&z->rnd) } };

	if (*srq && ibv_destroy_srq(*srq))
		return false;
	*srq = ibv_create_srq(z->rig.pd, &init);
	return *srq;
}

static bool modify_srq(struct zoo *z)
{
	struct ibv_srq *srq = z->srqs[rnd_below(&z->rnd, KEEP)];
	struct ibv_srq_attr attr = { .max_wr = some_count(&z->rnd),
				     .max_sge = some_count(&z->rnd),
				     .srq_limit = some_count(&z->rnd) };

	return srq && !ibv_modify_srq(srq, &attr, rnd_next(&z->rnd) & 7);
}

static bool create_qp(struct zoo *z)
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
		.cap = { some_count(r), some_count(r), rnd_below(r, 40), rnd_below(r, 40),
			 rnd_one_in(r, 2) ? some_u32(r) : rnd_below(r, 500) },
	};

	if (*qp && ibv_destroy_qp(*qp))
		fail_because("ibv_destroy_qp: errno %d", errno);
	*qp = ibv_create_qp(z->rig.pd, &init);
	return *qp;
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

static bool create_ah(struct zoo *z)
{
	struct ibv_ah **ah = &z->ahs[rnd_below(&z->rnd, KEEP)];
	struct ibv_ah_attr attr = some_ah(z);

	if (*ah && ibv_destroy_ah(*ah))
		fail_because("ibv_destroy_ah: errno %d", errno);
	*ah = ibv_create_ah(z->rig.pd, &attr);
	return *ah;
}

static bool alloc_mw(struct zoo *z)
{
	struct ibv_mw **mw = &z->mws[rnd_below(&z->rnd, KEEP)];

	if (*mw && ibv_dealloc_mw(*mw))
		fail_because("ibv_dealloc_mw: errno %d", errno);
	*mw = ibv_alloc_mw(z->rig.pd,
			   rnd_one_in(&z->rnd, 4) ? some_u32(&z->rnd) : 1 + rnd_below(&z->rnd, 2));
	return *mw;
}

static const struct qp_step {
	enum ibv_qp_state to;
	int mask;
} qp_steps[] = {
	{ IBV_QPS_INIT, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS },
	{ IBV_QPS_INIT, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY },
	{ IBV_QPS_RTR, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER },
	{ IBV_QPS_RTS, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			       IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC },
	{ IBV_QPS_RTS, IBV_QP_STATE | IBV_QP_SQ_PSN },
	{ IBV_QPS_RTR, IBV_QP_STATE },
	{ IBV_QPS_ERR, IBV_QP_STATE },
};

/* What an RC QP takes next, or anything. */
static const struct qp_step *some_step(struct rnd *r, const struct ibv_qp *qp)
{
	if (rnd_one_in(r, 4) || qp->qp_type != IBV_QPT_RC)
		return &qp_steps[rnd_below(r, ARRAY_SIZE(qp_steps))];
	return &qp_steps[qp->state == IBV_QPS_RESET ? 0 : qp->state == IBV_QPS_INIT ? 2 : 3];
}

static bool modify_qp(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	struct ibv_qp *qp = z->qps[rnd_below(r, KEEP)];
	const struct qp_step *step;
	struct ibv_qp_attr attr;

	if (!qp)
		return false;
	step = some_step(r, qp);
	rnd_fill(r, &attr, sizeof(attr));
	if (!rnd_one_in(r, 4)) {
		attr.qp_state = rnd_one_in(r, 4) ? rnd_below(r, 8) : step->to;
		attr.port_num = 1;
		attr.pkey_index = 0;
		attr.path_mtu = rnd_below(r, 7);
		attr.ah_attr = some_ah(z);
		attr.dest_qp_num &= 0xffffff;
		attr.timeout &= 31;
		attr.retry_cnt &= 7;
		attr.rnr_retry &= 7;
		attr.min_rnr_timer &= 31;
		attr.max_rd_atomic &= 15;
		attr.max_dest_rd_atomic &= 15;
	}
	return !ibv_modify_qp(qp, &attr, rnd_one_in(r, 5) ? (int)rnd_next(r) : step->mask);
}

static bool post(struct zoo *z)
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
		return false;
	wr.wr.rdma.remote_addr = rnd_next(r);
	wr.wr.rdma.rkey = rnd_next(r);
	return !ibv_post_send(qp, &wr, &bad);
}

/* What the driver says of an object that an ioctl has made: where to map its first queue, and more. */
static union {
	struct mminfo queue;
	uint8_t bytes[64];
} driver_answer;

/* A queue, or what is not ours, or no longer there, or larger than it is. */
static bool map(struct zoo *z)
{
	struct rnd *r = &z->rnd;
	bool real = !rnd_one_in(r, 3);
	size_t bytes = real ? driver_answer.queue.size : PAGE * (1 + rnd_below(r, 64));
	uint64_t at = real	       ? driver_answer.queue.offset :
		      rnd_one_in(r, 2) ? rnd_below(r, 4096) * PAGE :
					 rnd_next(r) & ~(PAGE - 1);
	void *p = mmap(NULL, bytes, rnd_next(r) & 7, rnd_one_in(r, 4) ? MAP_PRIVATE : MAP_SHARED,
		       (real ? z->wild : z->rig.ctx)->cmd_fd, at);

	return p != MAP_FAILED && !munmap(p, bytes);
}

/* As large as an attribute of an ioctl can say that it is. */
static uint8_t answer[65536];

/* A command of any kind with any content; those that end things may end what z holds, so they are left out. */
static bool command(struct zoo *z)
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
	size_t words = rnd_below(&z->rnd, ARRAY_SIZE(call.words) + 1), i;
	uint64_t to = (uintptr_t)answer;
	struct ibv_context *ctx;

	for (i = 0; i < ARRAY_SIZE(call.words); i++)
		call.words[i] = some_u32(&z->rnd);
	if (!rnd_one_in(&z->rnd, 4))
		memcpy(call.words, &to, sizeof(to));
	call.hdr.command = harmless[rnd_below(&z->rnd, sizeof(harmless))];
	call.hdr.in_words = sizeof(call.hdr) / 4 + words;
	call.hdr.out_words = rnd_one_in(&z->rnd, 3) ? rnd_below(&z->rnd, 256) : 64;
	/* A queue pair in a group may not be destroyed, so none of those that z holds is put in one. */
	ctx = call.hdr.command == IB_USER_VERBS_CMD_ATTACH_MCAST ? z->wild : z->rig.ctx;
	return write(ctx->cmd_fd, &call, 4 * call.hdr.in_words) > 0;
}

/* What an attribute of an ioctl holds. */
enum attr_kind {
	ATTR_NEW,    /* the handle of an object that is made */
	ATTR_HANDLE, /* value is the kind of object */
	ATTR_NUMBER,
	ATTR_CONST, /* value */
	ATTR_IN,    /* of the ioctl's own bytes */
	ATTR_OUT,
	ATTR_DRIVER_OUT,
	ATTR_DMA_BUF, /* its descriptor */
};

struct attr_shape {
	uint16_t id;
	uint8_t kind, len;
	uint32_t value;
};

#define MAX_ATTRS  14
#define XRC_TARGET "XRC_TARGET"

/* clang-format knows no macro that is an initialiser. */
/* clang-format off */
#define NEW(id)		  { UVERBS_ATTR_##id, ATTR_NEW, 0, 0 }
#define HANDLE(id, of)	  { UVERBS_ATTR_##id, ATTR_HANDLE, 0, UVERBS_OBJECT_##of }
#define NUMBER(id, len)	  { UVERBS_ATTR_##id, ATTR_NUMBER, len, 0 }
#define CONST(id, value)  { UVERBS_ATTR_##id, ATTR_CONST, 8, value }
#define IN(id, len)	  { UVERBS_ATTR_##id, ATTR_IN, len, 0 }
#define OUT(id, len)	  { UVERBS_ATTR_##id, ATTR_OUT, len, 0 }
#define DRIVER_OUT	  { UVERBS_ATTR_UHW_OUT, ATTR_DRIVER_OUT, sizeof(driver_answer), 0 }
#define CALL(of, which) #which, UVERBS_OBJECT_##of, UVERBS_METHOD_##which
/* Of our own. */
#define OUR_HANDLE(id, of)  { RXE_ODP_ATTR_##id, ATTR_HANDLE, 0, UVERBS_OBJECT_##of }
#define OUR_OUT(id, len)    { RXE_ODP_ATTR_##id, ATTR_OUT, len, 0 }
#define OUR_IN(id, len)	    { RXE_ODP_ATTR_##id, ATTR_IN, len, 0 }
#define OUR_CALL(of, which) #which, UVERBS_OBJECT_##of, RXE_ODP_METHOD_##which
#define OUR_PREFETCH(which) \
	"PREFETCH_" #which, RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_##which
/* clang-format on */

/* Ioctls as they should be. */
static const struct ioctl_shape {
	const char *name;
	uint16_t object, method;
	uint16_t makes; /* by a command in an ioctl: the answer begins with the handle */
	struct attr_shape attrs[MAX_ATTRS];
	uint8_t nr;
} shapes[SHAPES] = {
	{ CALL(DEVICE, QUERY_PORT),
	  0,
	  { CONST(QUERY_PORT_PORT_NUM, 1), OUT(QUERY_PORT_RESP, 64) },
	  2 },
	{ CALL(DEVICE, INFO_HANDLES),
	  0,
	  { CONST(INFO_OBJECT_ID, UVERBS_OBJECT_CQ), OUT(INFO_TOTAL_HANDLES, 4),
	    OUT(INFO_HANDLES_LIST, 64) },
	  3 },
	{ CALL(DEVICE, QUERY_GID_TABLE),
	  0,
	  { CONST(QUERY_GID_TABLE_ENTRY_SIZE, 32), OUT(QUERY_GID_TABLE_RESP_ENTRIES, 128),
	    OUT(QUERY_GID_TABLE_RESP_NUM_ENTRIES, 8) },
	  3 },
	{ "ALLOC_PD",
	  UVERBS_OBJECT_DEVICE,
	  UVERBS_METHOD_INVOKE_WRITE,
	  UVERBS_OBJECT_PD,
	  { CONST(WRITE_CMD, IB_USER_VERBS_CMD_ALLOC_PD), IN(CORE_IN, 8), OUT(CORE_OUT, 64),
	    DRIVER_OUT },
	  4 },
	{ "REG_MR",
	  UVERBS_OBJECT_DEVICE,
	  UVERBS_METHOD_INVOKE_WRITE,
	  UVERBS_OBJECT_MR,
	  { CONST(WRITE_CMD, IB_USER_VERBS_CMD_REG_MR),
	    IN(CORE_IN, sizeof(struct ib_uverbs_reg_mr)), OUT(CORE_OUT, 64) },
	  3 },
	{ "ALLOC_MW",
	  UVERBS_OBJECT_DEVICE,
	  UVERBS_METHOD_INVOKE_WRITE,
	  UVERBS_OBJECT_MW,
	  { CONST(WRITE_CMD, IB_USER_VERBS_CMD_ALLOC_MW),
	    IN(CORE_IN, sizeof(struct ib_uverbs_alloc_mw)), OUT(CORE_OUT, 64) },
	  3 },
	{ CALL(MR, QUERY_MR),
	  0,
	  { HANDLE(QUERY_MR_HANDLE, MR), OUT(QUERY_MR_RESP_LKEY, 4), OUT(QUERY_MR_RESP_RKEY, 4),
	    OUT(QUERY_MR_RESP_LENGTH, 8), OUT(QUERY_MR_RESP_IOVA, 8) },
	  5 },
	{ CALL(CQ, CQ_CREATE),
	  0,
	  { NEW(CREATE_CQ_HANDLE),
	    NUMBER(CREATE_CQ_CQE, 4),
	    NUMBER(CREATE_CQ_USER_HANDLE, 8),
	    CONST(CREATE_CQ_FLAGS, 0),
	    { UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, ATTR_CONST, 4, 0 },
	    OUT(CREATE_CQ_RESP_CQE, 4),
	    DRIVER_OUT },
	  7 },
	{ CALL(SRQ, SRQ_CREATE),
	  0,
	  { NEW(CREATE_SRQ_HANDLE), HANDLE(CREATE_SRQ_PD_HANDLE, PD), CONST(CREATE_SRQ_TYPE, 0),
	    NUMBER(CREATE_SRQ_USER_HANDLE, 8), NUMBER(CREATE_SRQ_MAX_WR, 4),
	    NUMBER(CREATE_SRQ_MAX_SGE, 4), NUMBER(CREATE_SRQ_LIMIT, 4),
	    OUT(CREATE_SRQ_RESP_MAX_WR, 4), OUT(CREATE_SRQ_RESP_MAX_SGE, 4), DRIVER_OUT },
	  10 },
	{ CALL(QP, QP_CREATE),
	  0,
	  { NEW(CREATE_QP_HANDLE), HANDLE(CREATE_QP_PD_HANDLE, PD),
	    HANDLE(CREATE_QP_SEND_CQ_HANDLE, CQ), HANDLE(CREATE_QP_RECV_CQ_HANDLE, CQ),
	    NUMBER(CREATE_QP_USER_HANDLE, 8), CONST(CREATE_QP_TYPE, IBV_QPT_RC),
	    IN(CREATE_QP_CAP, sizeof(struct ib_uverbs_qp_cap)),
	    OUT(CREATE_QP_RESP_CAP, sizeof(struct ib_uverbs_qp_cap)), OUT(CREATE_QP_RESP_QP_NUM, 4),
	    DRIVER_OUT },
	  10 },
	{ "OPEN_XRCD",
	  UVERBS_OBJECT_DEVICE,
	  UVERBS_METHOD_INVOKE_WRITE,
	  UVERBS_OBJECT_XRCD,
	  { CONST(WRITE_CMD, IB_USER_VERBS_CMD_OPEN_XRCD),
	    IN(CORE_IN, sizeof(struct ib_uverbs_open_xrcd)), OUT(CORE_OUT, 64) },
	  3 },
	{ "XRC_SRQ",
	  UVERBS_OBJECT_SRQ,
	  UVERBS_METHOD_SRQ_CREATE,
	  0,
	  { NEW(CREATE_SRQ_HANDLE), HANDLE(CREATE_SRQ_PD_HANDLE, PD),
	    CONST(CREATE_SRQ_TYPE, IBV_SRQT_XRC), HANDLE(CREATE_SRQ_XRCD_HANDLE, XRCD),
	    HANDLE(CREATE_SRQ_CQ_HANDLE, CQ), NUMBER(CREATE_SRQ_USER_HANDLE, 8),
	    NUMBER(CREATE_SRQ_MAX_WR, 4), NUMBER(CREATE_SRQ_MAX_SGE, 4),
	    NUMBER(CREATE_SRQ_LIMIT, 4), OUT(CREATE_SRQ_RESP_MAX_WR, 4),
	    OUT(CREATE_SRQ_RESP_MAX_SGE, 4), OUT(CREATE_SRQ_RESP_SRQ_NUM, 4), DRIVER_OUT },
	  13 },
	{ "XRC_INITIATOR",
	  UVERBS_OBJECT_QP,
	  UVERBS_METHOD_QP_CREATE,
	  0,
	  { NEW(CREATE_QP_HANDLE), HANDLE(CREATE_QP_PD_HANDLE, PD),
	    HANDLE(CREATE_QP_SEND_CQ_HANDLE, CQ), NUMBER(CREATE_QP_USER_HANDLE, 8),
	    CONST(CREATE_QP_TYPE, IBV_QPT_XRC_SEND),
	    IN(CREATE_QP_CAP, sizeof(struct ib_uverbs_qp_cap)),
	    OUT(CREATE_QP_RESP_CAP, sizeof(struct ib_uverbs_qp_cap)), OUT(CREATE_QP_RESP_QP_NUM, 4),
	    DRIVER_OUT },
	  9 },
	{ XRC_TARGET,
	  UVERBS_OBJECT_QP,
	  UVERBS_METHOD_QP_CREATE,
	  0,
	  { NEW(CREATE_QP_HANDLE), HANDLE(CREATE_QP_XRCD_HANDLE, XRCD),
	    NUMBER(CREATE_QP_USER_HANDLE, 8), CONST(CREATE_QP_TYPE, IBV_QPT_XRC_RECV),
	    IN(CREATE_QP_CAP, sizeof(struct ib_uverbs_qp_cap)),
	    OUT(CREATE_QP_RESP_CAP, sizeof(struct ib_uverbs_qp_cap)),
	    OUT(CREATE_QP_RESP_QP_NUM, 4) },
	  7 },
	{ "OPEN_QP",
	  UVERBS_OBJECT_DEVICE,
	  UVERBS_METHOD_INVOKE_WRITE,
	  UVERBS_OBJECT_QP,
	  { CONST(WRITE_CMD, IB_USER_VERBS_CMD_OPEN_QP),
	    IN(CORE_IN, sizeof(struct ib_uverbs_open_qp)), OUT(CORE_OUT, 64) },
	  3 },
	{ CALL(QP, QP_DESTROY), 0, { HANDLE(DESTROY_QP_HANDLE, QP), OUT(DESTROY_QP_RESP, 4) }, 2 },
	{ CALL(SRQ, SRQ_DESTROY),
	  0,
	  { HANDLE(DESTROY_SRQ_HANDLE, SRQ), OUT(DESTROY_SRQ_RESP, 4) },
	  2 },
	{ "CLOSE_XRCD",
	  UVERBS_OBJECT_DEVICE,
	  UVERBS_METHOD_INVOKE_WRITE,
	  0,
	  { CONST(WRITE_CMD, IB_USER_VERBS_CMD_CLOSE_XRCD),
	    { UVERBS_ATTR_CORE_IN, ATTR_HANDLE, 4, UVERBS_OBJECT_XRCD } },
	  2 },
	{ CALL(CQ, CQ_DESTROY), 0, { HANDLE(DESTROY_CQ_HANDLE, CQ), OUT(DESTROY_CQ_RESP, 8) }, 2 },
	{ OUR_CALL(MR, MR_STATS),
	  0,
	  { OUR_HANDLE(MR_STATS_HANDLE, MR), OUR_OUT(MR_STATS_RESP, 112) },
	  2 },
	{ OUR_CALL(MR, MR_RESIDENCY),
	  0,
	  { OUR_HANDLE(MR_RESIDENCY_HANDLE, MR), OUR_IN(MR_RESIDENCY_REQ, 24),
	    OUR_OUT(MR_RESIDENCY_RESP_PAGES, 8) },
	  3 },
	{ OUR_CALL(QP, QP_ACCESS_ERROR),
	  0,
	  { OUR_HANDLE(QP_ACCESS_ERROR_HANDLE, QP), OUR_OUT(QP_ACCESS_ERROR_RESP, 96) },
	  2 },
	{ OUR_PREFETCH(START),
	  0,
	  { { RXE_ODP_ATTR_PREFETCH_START_HANDLE, ATTR_NEW, 0, ZOO_PREFETCH },
	    OUR_HANDLE(PREFETCH_START_PD_HANDLE, PD),
	    OUR_IN(PREFETCH_START_REQ, 16),
	    OUR_IN(PREFETCH_START_SPANS, sizeof(struct rxe_odp_span)) },
	  4 },
	{ OUR_PREFETCH(QUERY),
	  0,
	  { { RXE_ODP_ATTR_PREFETCH_QUERY_HANDLE, ATTR_HANDLE, 0, ZOO_PREFETCH },
	    OUR_OUT(PREFETCH_QUERY_RESP, 24),
	    OUR_OUT(PREFETCH_QUERY_RESP_SPANS, 4) },
	  3 },
	{ OUR_PREFETCH(DESTROY),
	  0,
	  { { RXE_ODP_ATTR_PREFETCH_DESTROY_HANDLE, ATTR_HANDLE, 0, ZOO_PREFETCH } },
	  1 },
	{ CALL(MR, REG_DMABUF_MR),
	  0,
	  { NEW(REG_DMABUF_MR_HANDLE),
	    HANDLE(REG_DMABUF_MR_PD_HANDLE, PD),
	    CONST(REG_DMABUF_MR_OFFSET, PAGE),
	    NUMBER(REG_DMABUF_MR_LENGTH, 8),
	    CONST(REG_DMABUF_MR_IOVA, 0),
	    { UVERBS_ATTR_REG_DMABUF_MR_FD, ATTR_DMA_BUF, 4, 0 },
	    NUMBER(REG_DMABUF_MR_ACCESS_FLAGS, 4),
	    OUT(REG_DMABUF_MR_RESP_LKEY, 4),
	    OUT(REG_DMABUF_MR_RESP_RKEY, 4) },
	  9 },
	{ CALL(MR, MR_DESTROY), 0, { HANDLE(DESTROY_MR_HANDLE, MR) }, 1 },
	{ CALL(MW, MW_DESTROY), 0, { HANDLE(DESTROY_MW_HANDLE, MW) }, 1 },
	{ CALL(PD, PD_DESTROY), 0, { HANDLE(DESTROY_PD_HANDLE, PD) }, 1 },
};

/* Mostly of that kind, if there is one. */
static uint64_t some_handle(struct zoo *z, uint16_t object)
{
	if (rnd_one_in(&z->rnd, 4))
		return rnd_below(&z->rnd, 16);
	return z->handles[object][rnd_below(&z->rnd, HANDLES)];
}

static void remember_handle(struct zoo *z, uint16_t object, uint32_t handle)
{
	z->handles[object][rnd_below(&z->rnd, HANDLES)] = handle;
}

union ioctl_input {
	struct rxe_odp_mr_residency residency;
	struct rxe_odp_prefetch prefetch;
	struct rxe_odp_span span; /* of the prefetch, in the same bytes */
	struct ib_uverbs_reg_mr mr;
	struct ib_uverbs_qp_cap cap;
	struct ib_uverbs_alloc_mw mw;
	struct ib_uverbs_open_xrcd xrcd;
	struct ib_uverbs_open_qp qp;
};

/* Of a file, mostly, that several domains may be asked for; of none; or of what is no file. */
static struct ib_uverbs_open_xrcd some_domain(struct zoo *z)
{
	struct rnd *r = &z->rnd;

	return (struct ib_uverbs_open_xrcd){
		.fd = rnd_one_in(r, 4) ? some_u32(r) :
		      rnd_one_in(r, 3) ? -1U :
					 (uint32_t)z->file,
		.oflags = rnd_one_in(r, 4) ? some_u32(r) :
					     (rnd_one_in(r, 4) ? 0 : O_CREAT) |
						     (rnd_one_in(r, 4) ? O_EXCL : 0),
	};
}

/* The target that was made last, by the domain it is in, and now and then one or the other is wrong. */
static struct ib_uverbs_open_qp some_target(struct zoo *z)
{
	struct rnd *r = &z->rnd;

	return (struct ib_uverbs_open_qp){
		.user_handle = rnd_next(r),
		.pd_handle = rnd_one_in(r, 4) ? some_handle(z, UVERBS_OBJECT_XRCD) : z->target_xrcd,
		.qpn = rnd_one_in(r, 8) ? some_u32(r) : z->target_num,
		.qp_type = rnd_one_in(r, 8) ? rnd_below(r, 16) : IBV_QPT_XRC_RECV,
	};
}

static void fill_input(struct zoo *z, const struct ioctl_shape *shape, union ioctl_input *input)
{
	struct rnd *r = &z->rnd;
	uint64_t at = (uintptr_t)z->memory + rnd_below(r, MEMORY);

	if (shape->object == UVERBS_OBJECT_QP) {
		input->cap = (struct ib_uverbs_qp_cap){ some_count(r), some_count(r),
							rnd_below(r, 8), rnd_below(r, 8),
							rnd_below(r, 500) };
	} else if (shape->object == UVERBS_OBJECT_MR) {
		input->residency = (struct rxe_odp_mr_residency){ rnd_one_in(r, 4) ? at : z->mr_at,
								  rnd_below(r, 64),
								  (uintptr_t)answer };
	} else if (shape->object == RXE_ODP_OBJECT_PREFETCH) {
		input->span = (struct rxe_odp_span){ at, 0, some_u32(r), 0 };
		input->prefetch.advice = rnd_below(r, 4);
		input->prefetch.eventfd = rnd_one_in(r, 8) ? (int)rnd_below(r, 64) : -1;
	} else if (shape->makes == UVERBS_OBJECT_MW) {
		input->mw = (struct ib_uverbs_alloc_mw){
			.pd_handle = some_handle(z, UVERBS_OBJECT_PD),
			.mw_type = rnd_below(r, 4),
		};
	} else if (shape->makes == UVERBS_OBJECT_XRCD) {
		input->xrcd = some_domain(z);
	} else if (shape->makes == UVERBS_OBJECT_QP) {
		input->qp = some_target(z);
	} else {
		input->mr = (struct ib_uverbs_reg_mr){
			.start = at,
			.hca_va = at,
			.length = rnd_below(r, 65536),
			.pd_handle = some_handle(z, UVERBS_OBJECT_PD),
			.access_flags = rnd_below(r, 16),
		};
	}
}

struct ioctl_call {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[MAX_ATTRS];
};

static uint64_t attr_data(struct zoo *z, const struct attr_shape *attr, union ioctl_input *input)
{
	switch (attr->kind) {
	case ATTR_HANDLE:
		return some_handle(z, attr->value);
	case ATTR_NUMBER:
		return some_count(&z->rnd);
	case ATTR_CONST:
		return attr->value;
	case ATTR_IN: /* eight bytes or fewer are in the attribute itself */
		return attr->len > 8 ? (uintptr_t)input : (uintptr_t)answer;
	case ATTR_OUT:
		return (uintptr_t)answer;
	case ATTR_DRIVER_OUT:
		return (uintptr_t)&driver_answer;
	case ATTR_DMA_BUF:
		return z->dma_buf;
	default:
		return 0;
	}
}

static void fill_call(struct zoo *z, const struct ioctl_shape *shape, struct ioctl_call *call,
		      union ioctl_input *input)
{
	size_t i;

	memset(call, 0, sizeof(*call));
	fill_input(z, shape, input);
	call->hdr.object_id = shape->object;
	call->hdr.method_id = shape->method;
	call->hdr.num_attrs = shape->nr;
	for (i = 0; i < shape->nr; i++)
		call->attrs[i] = (struct ib_uverbs_attr){
			.attr_id = shape->attrs[i].id,
			.len = shape->attrs[i].len,
			.flags = UVERBS_ATTR_F_MANDATORY,
			.data = attr_data(z, &shape->attrs[i], input),
		};
}

/* One thing that is not as it should be. */
static void spoil_call(struct rnd *r, struct ioctl_call *call)
{
	struct ib_uverbs_attr *attr = &call->attrs[rnd_below(r, call->hdr.num_attrs)];

	switch (rnd_below(r, 7)) {
	case 0:
		attr->attr_id = rnd_below(r, 16) | (rnd_one_in(r, 4) ? 0x1000 : 0);
		break;
	case 1:
		attr->len = rnd_one_in(r, 2) ? rnd_next(r) : rnd_below(r, 64);
		break;
	case 2:
		attr->data = some_u32(r);
		break;
	case 3:
		attr->data = rnd_next(r);
		break;
	case 4:
		rnd_fill(r, attr, sizeof(*attr));
		break;
	case 5: /* the last is missing */
		call->hdr.num_attrs--;
		break;
	default: /* another is there twice */
		*attr = call->attrs[rnd_below(r, call->hdr.num_attrs)];
	}
}

/* No shape at all. */
static void random_call(struct rnd *r, struct ioctl_call *call)
{
	size_t i;

	rnd_fill(r, call, sizeof(*call));
	call->hdr.object_id = rnd_below(r, 24) | (rnd_one_in(r, 8) ? 0x1000 : 0);
	call->hdr.method_id = rnd_below(r, 12) | (rnd_one_in(r, 4) ? 0x1000 : 0);
	call->hdr.num_attrs = rnd_below(r, 9);
	call->hdr.reserved1 = 0;
	call->hdr.reserved2 = 0;
	for (i = 0; i < call->hdr.num_attrs; i++) {
		call->attrs[i].attr_id = rnd_below(r, 16) | (rnd_one_in(r, 4) ? 0x1000 : 0);
		call->attrs[i].len = rnd_below(r, 64);
		call->attrs[i].flags = rnd_below(r, 2);
		call->attrs[i].attr_data.reserved = 0;
		if (rnd_one_in(r, 2))
			call->attrs[i].data = some_u32(r);
	}
}

static bool try_ioctl(struct zoo *z, struct ioctl_call *call)
{
	call->hdr.length = sizeof(call->hdr) + call->hdr.num_attrs * sizeof(call->attrs[0]);
	call->hdr.driver_id = rnd_one_in(&z->rnd, 16) ? rnd_next(&z->rnd) : RDMA_DRIVER_RXE;
	return !ioctl(z->wild->cmd_fd, RDMA_VERBS_IOCTL, &call->hdr);
}

static void wild_open(struct zoo *z)
{
	if (z->wild)
		assert_zero(ibv_close_device(z->wild));
	z->wild = rig_context(rig_device_name());
	assert_non_null(z->wild);
	memset(z->handles, 0, sizeof(z->handles));
}

/*
 * In a context of their own, so that what they destroy is nothing that z holds, and what they make
 * goes when it is closed.
 */
static bool ioctl_command(struct zoo *z)
{
	const struct ioctl_shape *shape;
	union ioctl_input input;
	struct ioctl_call call;
	size_t which = rnd_below(&z->rnd, ARRAY_SIZE(shapes));
	uint32_t handle;

	if (rnd_one_in(&z->rnd, 200))
		wild_open(z);
	if (rnd_one_in(&z->rnd, 4)) {
		random_call(&z->rnd, &call);
		return try_ioctl(z, &call);
	}
	shape = &shapes[which];
	fill_call(z, shape, &call, &input);
	if (rnd_one_in(&z->rnd, 3)) {
		spoil_call(&z->rnd, &call);
		return try_ioctl(z, &call);
	}
	if (!try_ioctl(z, &call))
		return false;
	z->ioctls[which]++;
	memcpy(&handle, answer, sizeof(handle));
	if (shape->makes == UVERBS_OBJECT_MR)
		z->mr_at = input.mr.start;
	/* What it answers last is its number. */
	if (!strcmp(shape->name, XRC_TARGET)) {
		z->target_xrcd = call.attrs[1].data;
		z->target_num = handle;
	}
	if (shape->makes)
		remember_handle(z, shape->makes, handle);
	else if (shape->attrs[0].kind == ATTR_NEW)
		remember_handle(z, shape->attrs[0].value ? shape->attrs[0].value : shape->object,
				call.attrs[0].data);
	return true;
}

static void clear(struct zoo *z)
{
	int i;

	for (i = 0; i < KEEP; i++) {
		if (z->ahs[i])
			ibv_destroy_ah(z->ahs[i]);
		if (z->qps[i])
			ibv_destroy_qp(z->qps[i]);
		if (z->mws[i])
			ibv_dealloc_mw(z->mws[i]);
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

static struct call {
	const char *name;
	bool (*fn)(struct zoo *z);
	unsigned int weight;
	unsigned long worked;
} calls[] = {
	{ "reg_mr", reg_mr, 2 },
	{ "advise", advise, 6 },
	{ "create_cq", create_cq, 1 },
	{ "resize_cq", resize_cq, 1 },
	{ "create_srq", create_srq, 1 },
	{ "modify_srq", modify_srq, 2 },
	{ "create_qp", create_qp, 1 },
	{ "create_ah", create_ah, 1 },
	{ "alloc_mw", alloc_mw, 1 },
	{ "modify_qp", modify_qp, 6 },
	{ "post", post, 3 },
	{ "map", map, 1 },
	{ "command", command, 1 },
	{ "ioctl", ioctl_command, 8 },
};

static struct call *some_call(struct rnd *r)
{
	unsigned int i, total = 0, left;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		total += calls[i].weight;
	left = rnd_below(r, total);
	for (i = 0; left >= calls[i].weight; i++)
		left -= calls[i].weight;
	return &calls[i];
}

/* What has never worked yet, or NULL. */
static const char *never_worked(const struct zoo *z)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (!calls[i].worked)
			return calls[i].name;
	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		if (!z->ioctls[i])
			return shapes[i].name;
	return NULL;
}

static void print_worked(const struct zoo *z, unsigned long tried)
{
	unsigned int i;

	printf("%lu calls; worked:", tried);
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		printf(" %s %lu", calls[i].name, calls[i].worked);
	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		printf(" %s %lu", shapes[i].name, z->ioctls[i]);
	printf("\n");
}

static void random_calls(void **state)
{
	double end = seconds() + env_number("FUZZ_S", 5);
	struct zoo z = { .rnd = { rnd_seed() } };
	struct conn conn = CONN;
	unsigned long tried = 0;
	struct pair pair;

	(void)state;
	rig_open(&z.rig);
	wild_open(&z);
	z.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(z.memory, MAP_FAILED);
	z.file = memfd_create("fuzz_uverbs", MFD_CLOEXEC);
	assert_true(z.file >= 0);
	z.dma_buf = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, 16 * PAGE);
	z.cqs[0] = ibv_create_cq(z.rig.ctx, 64, NULL, NULL, 0);
	assert_non_null(z.cqs[0]);
	/* A slow kernel is given what it takes until each kind of call was more than refused. */
	do {
		struct call *call = some_call(&z.rnd);

		call->worked += call->fn(&z);
		tried++;
	} while (seconds() < end || never_worked(&z));
	print_worked(&z, tried);
	if (never_worked(&z))
		fail_because("%s has never worked", never_worked(&z));
	clear(&z);
	munmap(z.memory, MEMORY);
	close(z.dma_buf);
	close(z.file);
	assert_zero(ibv_close_device(z.wild));
	/* What the commands made by hand goes with the file. */
	ibv_dealloc_pd(z.rig.pd);
	assert_zero(ibv_close_device(z.rig.ctx));
	memset(&z.rig, 0, sizeof(z.rig));
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

TEST_MAIN(TEST(random_calls))
