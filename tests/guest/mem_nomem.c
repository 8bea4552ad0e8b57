// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that is not there, for the NIC: every allocation of every verb that creates something, prefetches, or moves a QP from
 * state to state, and some of making a link, fails once, and the verb fails with ENOMEM or works all the same; then those of faults fail at random, and every byte arrives, late.
 *
 * rdma-odp: timeout 120
 */
#include "dmabuf.h"
#include "failslab.h"
#include "method.h"
#include "pair.h"

#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES 400
/* Of an injector: more than there will be. */
#define TIMES "100000"

struct bed {
	struct rig *rig;
	const struct conn *conn;
	struct end *end;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	void *memory;
	struct ibv_mr *odp_mr;
	int dmabuf, moving_dmabuf;
	size_t bytes;
};

/* Each creates one thing and destroys it: 0 or an errno. */
static int context(struct bed *bed)
{
	struct ibv_context *ctx = ibv_open_device(bed->rig->ctx->device);

	/* The library tries several ways, and what is left in errno is the last one's. */
	return ctx ? ibv_close_device(ctx) : ENOMEM;
}

static int pd(struct bed *bed)
{
	struct ibv_pd *pd = ibv_alloc_pd(bed->rig->ctx);

	return pd ? ibv_dealloc_pd(pd) : errno;
}

static int channel(struct bed *bed)
{
	struct ibv_comp_channel *channel = ibv_create_comp_channel(bed->rig->ctx);

	return channel ? ibv_destroy_comp_channel(channel) : errno;
}

static int pinned(struct bed *bed)
{
	struct ibv_mr *mr = ibv_reg_mr(bed->rig->pd, bed->memory, bed->bytes, ACCESS_ALL);

	return mr ? ibv_dereg_mr(mr) : errno;
}

static int odp(struct bed *bed)
{
	struct ibv_mr *mr = ibv_reg_mr(bed->rig->pd, bed->memory, bed->bytes,
				       ACCESS_ALL | IBV_ACCESS_ON_DEMAND);

	return mr ? ibv_dereg_mr(mr) : errno;
}

static int implicit(struct bed *bed)
{
	struct ibv_mr *mr =
		ibv_reg_mr(bed->rig->pd, NULL, SIZE_MAX, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);

	return mr ? ibv_dereg_mr(mr) : errno;
}

/* From pinned to on demand and back; what failed is as it was. */
static int reregistered(struct bed *bed)
{
	struct ibv_mr *mr = ibv_reg_mr(bed->rig->pd, bed->memory, bed->bytes, ACCESS_ALL);
	int flags = IBV_REREG_MR_CHANGE_ACCESS, err;

	if (!mr)
		return errno;
	err = mr_rereg(mr, flags, NULL, NULL, 0, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!err)
		err = mr_rereg(mr, flags, NULL, NULL, 0, ACCESS_ALL);
	assert_zero(ibv_dereg_mr(mr));
	return err;
}

static int register_dmabuf(struct bed *bed, int fd)
{
	struct ibv_mr *mr = dmabuf_reg(bed->rig->pd, 0, bed->bytes, 0, fd, ACCESS_ALL);

	return mr ? dmabuf_dereg(mr) : errno;
}

static int of_dmabuf(struct bed *bed)
{
	return register_dmabuf(bed, bed->dmabuf);
}
static int of_moving_dmabuf(struct bed *bed)
{
	return register_dmabuf(bed, bed->moving_dmabuf);
}

static int window(struct bed *bed)
{
	struct ibv_mw *mw = ibv_alloc_mw(bed->rig->pd, IBV_MW_TYPE_2);

	return mw ? ibv_dealloc_mw(mw) : errno;
}

/* Its own region, so that what it could not do is there to be done the next time. */
static int prefetch(struct bed *bed, uint32_t flags)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)bed->memory,
		.length = bed->bytes,
		.lkey = bed->odp_mr->lkey,
	};

	madvise(bed->memory, bed->bytes, MADV_DONTNEED);
	return mr_advise(bed->rig->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, flags, &sge, 1);
}

static int prefetch_and_wait(struct bed *bed)
{
	return prefetch(bed, IBV_ADVISE_MR_FLAG_FLUSH);
}

static int prefetch_unwaited(struct bed *bed)
{
	return prefetch(bed, 0);
}

static int cq(struct bed *bed)
{
	struct ibv_cq *cq = ibv_create_cq(bed->rig->ctx, 100, NULL, NULL, 0);

	return cq ? ibv_destroy_cq(cq) : errno;
}

static int resized_cq(struct bed *bed)
{
	static int cqe = 100;

	return ibv_resize_cq(bed->cq, cqe ^= 300);
}

static int srq(struct bed *bed)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 100, .max_sge = 4 } };
	struct ibv_srq *srq = ibv_create_srq(bed->rig->pd, &attr);

	return srq ? ibv_destroy_srq(srq) : errno;
}

static int resized_srq(struct bed *bed)
{
	static uint32_t max_wr = 100;
	struct ibv_srq_attr attr = { .max_wr = max_wr ^= 300 };

	return ibv_modify_srq(bed->srq, &attr, IBV_SRQ_MAX_WR);
}

static int create_qp(struct bed *bed, enum ibv_qp_type type)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = type,
		.send_cq = bed->cq,
		.recv_cq = bed->cq,
		.cap = { .max_send_wr = 64,
			 .max_recv_wr = 64,
			 .max_send_sge = 4,
			 .max_recv_sge = 4 },
	};
	struct ibv_qp *qp = ibv_create_qp(bed->rig->pd, &attr);

	return qp ? ibv_destroy_qp(qp) : errno;
}

static int rc_qp(struct bed *bed)
{
	return create_qp(bed, IBV_QPT_RC);
}
static int uc_qp(struct bed *bed)
{
	return create_qp(bed, IBV_QPT_UC);
}
static int ud_qp(struct bed *bed)
{
	return create_qp(bed, IBV_QPT_UD);
}

static int ah(struct bed *bed)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = { .dgid = bed->rig->gids[0], .sgid_index = bed->rig->gid4, .hop_limit = 64 },
	};
	struct ibv_ah *ah = ibv_create_ah(bed->rig->pd, &attr);

	return ah ? ibv_destroy_ah(ah) : errno;
}

static int to_init(struct bed *bed)
{
	return end_to_init(bed->end, bed->conn);
}
static int to_rtr(struct bed *bed)
{
	return end_to_rtr(bed->end, bed->end, bed->conn);
}
static int to_rts(struct bed *bed)
{
	return end_to_rts(bed->end, bed->conn);
}
static int to_reset(struct bed *bed)
{
	return end_set_state(bed->end, IBV_QPS_RESET);
}

/* A step that fails leaves the QP where it was, and can be made again. */
static int states(struct bed *bed)
{
	static const struct {
		enum ibv_qp_state from;
		int (*step)(struct bed *bed);
	} steps[] = {
		{ IBV_QPS_RESET, to_init },
		{ IBV_QPS_INIT, to_rtr },
		{ IBV_QPS_RTR, to_rts },
		{ IBV_QPS_RTS, to_reset },
	};
	int err, failed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		err = steps[i].step(bed);
		if (!err)
			continue;
		failed = err;
		assert_int_equal(end_state(bed->end), steps[i].from);
		assert_zero(steps[i].step(bed));
	}
	return failed;
}

static void each_allocation(struct bed *bed, int file, const char *name, int (*verb)(struct bed *),
			    bool pages)
{
	unsigned int nth, failed = 0, left = 0;
	int err;

	fail_pages_too(pages);
	for (nth = 1; nth < TRIES && !left; nth++) {
		fail_nth(file, nth);
		err = verb(bed);
		left = fail_nth_left(file);
		fail_nth(file, 0);
		/* ENOBUFS is what routes and neighbours call it. */
		if (err && (left || (err != ENOMEM && err != ENOBUFS)))
			fail_because("%s, allocation %u: errno %d", name, nth, err);
		failed += !!err;
	}
	printf("%s: %u allocations, %u failed it\n", name, nth - 2, failed);
	assert_true((failed > 0 || pages) && nth < TRIES);
}

static void every_allocation_of_a_verb(void **state)
{
	static const struct {
		const char *name;
		int (*verb)(struct bed *bed);
	} verbs[] = {
		{ "context", context },
		{ "PD", pd },
		{ "completion channel", channel },
		{ "pinned region", pinned },
		{ "on-demand region", odp },
		{ "implicit region", implicit },
		{ "reregistered region", reregistered },
		{ "region of a dma-buf", of_dmabuf },
		{ "region of a dma-buf that moves", of_moving_dmabuf },
		{ "memory window", window },
		{ "prefetch that is waited for", prefetch_and_wait },
		{ "prefetch", prefetch_unwaited },
		{ "CQ", cq },
		{ "resized CQ", resized_cq },
		{ "SRQ", srq },
		{ "resized SRQ", resized_srq },
		{ "RC QP", rc_qp },
		{ "UC QP", uc_qp },
		{ "UD QP", ud_qp },
		{ "AH", ah },
		{ "states of a QP", states },
	};
	struct conn conn = CONN;
	struct end end = { 0 };
	struct rig rig;
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr = 100, .max_sge = 4 } };
	struct bed bed = { .rig = &rig, .conn = &conn, .end = &end, .bytes = 256 * KIB };
	struct pair pair;
	size_t i;
	int file;

	(void)state;
	failslab_begin();
	file = fail_nth_open();
	rig_open(&rig);
	bed.memory = aligned_alloc(PAGE, bed.bytes);
	memset(bed.memory, 1, bed.bytes);
	bed.cq = ibv_create_cq(rig.ctx, 100, NULL, NULL, 0);
	assert_non_null(bed.cq);
	bed.dmabuf = dmabuf_export(EXPORTER_OURS, 0, bed.bytes);
	bed.moving_dmabuf = dmabuf_export(EXPORTER_OURS, RXE_ODP_EXPORT_MOVES, bed.bytes);
	bed.srq = ibv_create_srq(rig.pd, &srq_attr);
	assert_non_null(bed.srq);
	bed.odp_mr = ibv_reg_mr(rig.pd, bed.memory, bed.bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	assert_non_null(bed.odp_mr);
	end_create(&end, &rig, &conn);
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		each_allocation(&bed, file, verbs[i].name, verbs[i].verb, true);
		each_allocation(&bed, file, verbs[i].name, verbs[i].verb, false);
	}
	end_close(&end);
	assert_zero(ibv_dereg_mr(bed.odp_mr));
	assert_zero(ibv_destroy_cq(bed.cq));
	assert_zero(ibv_destroy_srq(bed.srq));
	close(bed.dmabuf);
	close(bed.moving_dmabuf);
	free(bed.memory);
	rig_close(&rig);
	close(file);
	pair_open(&pair, &conn);
	pair_assert_works(&pair);
	pair_close(&pair);
}

#define LINK "rxe_odp_nomem"

/* Adds an attribute of netlink to what will be sent. */
static void put_text(struct nlmsghdr *nlh, uint16_t type, const char *text)
{
	struct nlattr *attr = (void *)((char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + strlen(text) + 1;
	memcpy((char *)attr + NLA_HDRLEN, text, strlen(text) + 1);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

/* As "rdma link add", with nothing but the system call under fail-nth: 0 or an errno. */
static int add_link(int netlink)
{
	union {
		struct nlmsghdr nlh;
		char bytes[512];
	} out = { .nlh = { .nlmsg_len = NLMSG_LENGTH(0),
			   .nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK),
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	union {
		struct nlmsghdr nlh;
		char bytes[1024];
	} in;

	put_text(&out.nlh, RDMA_NLDEV_ATTR_DEV_NAME, LINK);
	put_text(&out.nlh, RDMA_NLDEV_ATTR_NDEV_NAME, LINK);
	put_text(&out.nlh, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe_odp");
	if (send(netlink, &out, out.nlh.nlmsg_len, 0) < 0)
		return errno;
	if (recv(netlink, &in, sizeof(in), 0) < 0)
		return errno;
	return -((struct nlmsgerr *)NLMSG_DATA(&in.nlh))->error;
}

/*
 * Of a link: one that was refused is not there, and the next one can be made. The first hundred are those of the driver, and
 * what ib_core begins with. It goes on for thousands, for GIDs and sysfs, of which fewer and fewer are taken.
 */
static void every_allocation_of_a_link(void **state)
{
	unsigned int nth, tried = 0, failed = 0, left = 0;
	int file, netlink, err;

	(void)state;
	fail_pages_too(true);
	failslab_begin();
	file = fail_nth_open();
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	assert_true(netlink >= 0);
	assert_zero(system("ip link add " LINK " up type dummy"));
	for (nth = 1; nth < 20000 && !left; nth += 1 + nth / 100 * (nth / 8)) {
		fail_nth(file, nth);
		tried++;
		err = add_link(netlink);
		left = fail_nth_left(file);
		fail_nth(file, 0);
		if (err && (left || (err != ENOMEM && err != ENOBUFS)))
			fail_because("link, allocation %u: errno %d", nth, err);
		failed += !!err;
		/* The link may be there although there was no memory for the answer. */
		if (!access("/sys/class/infiniband/" LINK, F_OK))
			assert_zero(system("rdma link delete " LINK));
	}
	printf("link: %u of its allocations, %u failed it\n", tried - 1, failed);
	assert_true(failed > 0 && left > 0);
	assert_zero(system("ip link delete " LINK));
	close(netlink);
	close(file);
}

static long times_left(const char *injector)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/times", injector);
	return read_number(path, atol(TIMES));
}

static void faults(const char *injector, const char *percent)
{
	const int odp_access = ACCESS_ALL | IBV_ACCESS_ON_DEMAND;
	struct buf from, to, result, target;
	unsigned int threads = 0, i;
	struct conn conn = CONN;
	struct pair pair;
	uint64_t sum = 0;
	long failures;

	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, 256 * KIB, 0, odp_access);
	buf_make(&to, pair.rig.pd, MEM_ANON, 256 * KIB, 64, odp_access);
	buf_make(&result, pair.rig.pd, MEM_ANON, PAGE, 0, odp_access);
	buf_make(&target, pair.rig.pd, MEM_ANON, PAGE, 0, odp_access);
	fail_set(injector, "times", TIMES);
	fail_set(injector, "task-filter", "Y");
	fail_set(injector, "probability", percent);
	for (i = 0; i < 60; i++) {
		threads += pick_fault_threads();
		buf_forget(i & 1 ? &to : &from);
		pair_move_checked(&pair, i % OP_KINDS, &from, &to, i);
		buf_forget(i & 1 ? &target : &result);
		if (i & 1)
			sum = 0;
		pair_add_checked(&pair, &result, &target, &sum);
	}
	fail_set(injector, "probability", "0");
	fail_set(injector, "task-filter", "N");
	failures = atol(TIMES) - times_left(injector);
	fail_set(injector, "times", "1");
	printf("%ld allocations of fault threads failed\n", failures);
	assert_true(threads > 0 && failures > 0);
	buf_free(&target);
	buf_free(&result);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void allocations_of_faults(void **state)
{
	(void)state;
	failslab_begin();
	faults("failslab", "30");
}

/* The memory itself, and its page tables. */
static void pages_of_faults(void **state)
{
	static const char injector[] = "fail_page_alloc";

	(void)state;
	fail_pages_too(true);
	faults(injector, "10");
}

static int no_failures(void **state)
{
	(void)state;
	/* Of a test that failed, too; where there is no failslab there is nothing to do. */
	write_text("/sys/kernel/debug/failslab/probability", "0");
	write_text("/sys/kernel/debug/fail_page_alloc/probability", "0");
	/* What a link lay on, with it. */
	if (!access("/sys/class/net/" LINK, F_OK))
		assert_zero(system("ip link delete " LINK));
	return 0;
}

TEST_MAIN({ "every_allocation_of_a_verb", every_allocation_of_a_verb, NULL, no_failures, NULL },
	  { "every_allocation_of_a_link", every_allocation_of_a_link, NULL, no_failures, NULL },
	  { "allocations_of_faults", allocations_of_faults, NULL, no_failures, NULL },
	  { "pages_of_faults", pages_of_faults, NULL, no_failures, NULL })
