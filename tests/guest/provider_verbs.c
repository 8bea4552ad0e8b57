// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What librxe has not, or not so: the extended ways to post and to poll, parent domains, a device and its objects imported by
 * another context, and what is refused at creation. Once as users have the provider, and once under ASan with UBSan.
 */
#include "pair.h"

#include <sys/wait.h>
#include <unistd.h>

#define BYTES 100

#define RC_OPS                                                                                     \
	(IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM | IBV_QP_EX_WITH_RDMA_WRITE |          \
	 IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM | IBV_QP_EX_WITH_RDMA_READ |                           \
	 IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP | IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD |                 \
	 IBV_QP_EX_WITH_SEND_WITH_INV)

struct rigged {
	struct pair pair;
	struct ibv_cq_ex *cq; /* of end a's sends */
	struct ibv_qp_ex *qp; /* end a's */
	struct buf from, to;
	struct ibv_td *td;
	struct ibv_pd *parent; /* of end a's queue pair, or NULL */
};

static struct ibv_qp_init_attr_ex qp_attr(struct pair *pair, enum ibv_qp_type type)
{
	return (struct ibv_qp_init_attr_ex){
		.qp_type = type,
		.send_cq = pair->a.scq,
		.recv_cq = pair->a.rcq,
		.pd = pair->rig.pd,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.cap = { .max_send_wr = 4,
			 .max_recv_wr = 4,
			 .max_send_sge = 2,
			 .max_recv_sge = 1,
			 .max_inline_data = BYTES },
	};
}

static void make_domain(struct rigged *r)
{
	struct ibv_parent_domain_init_attr attr = { .pd = r->pair.rig.pd };
	struct ibv_td_init_attr td_attr = {};

	r->td = ibv_alloc_td(r->pair.rig.ctx, &td_attr);
	assert_non_null(r->td);
	attr.td = r->td;
	r->parent = ibv_alloc_parent_domain(r->pair.rig.ctx, &attr);
	assert_non_null(r->parent);
}

/* Each keeps what it is made of, or is used in. */
static void destroy_domain(struct rigged *r)
{
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr = 4, .max_sge = 1 } };
	struct ibv_srq *srq = ibv_create_srq(r->parent, &srq_attr);

	assert_non_null(srq);
	assert_int_equal(ibv_dealloc_pd(r->parent), EBUSY);
	assert_int_equal(ibv_dealloc_td(r->td), EBUSY);
	assert_int_equal(ibv_dealloc_pd(r->pair.rig.pd), EBUSY);
	assert_zero(ibv_destroy_qp(r->pair.a.qp));
	r->pair.a.qp = NULL;
	assert_int_equal(ibv_dealloc_pd(r->parent), EBUSY);
	assert_zero(ibv_destroy_srq(srq));
	assert_zero(ibv_dealloc_pd(r->parent));
	assert_zero(ibv_dealloc_td(r->td));
}

/* A pair whose end a posts and polls the extended way, perhaps in a parent domain with a thread domain. */
static void rigged_open(struct rigged *r, bool in_domain)
{
	struct ibv_cq_init_attr_ex cq_attr = {
		.cqe = 64,
		.wc_flags = IBV_WC_STANDARD_FLAGS,
		.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS,
		.flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED,
	};
	struct ibv_qp_init_attr_ex attr;
	struct conn conn = CONN;

	memset(r, 0, sizeof(*r));
	pair_open(&r->pair, &conn);
	if (in_domain)
		make_domain(r);
	assert_zero(ibv_destroy_qp(r->pair.a.qp));
	assert_zero(ibv_destroy_cq(r->pair.a.scq));
	r->cq = ibv_create_cq_ex(r->pair.rig.ctx, &cq_attr);
	assert_non_null(r->cq);
	r->pair.a.scq = ibv_cq_ex_to_cq(r->cq);
	attr = qp_attr(&r->pair, IBV_QPT_RC);
	attr.send_ops_flags = RC_OPS;
	if (in_domain)
		attr.pd = r->parent;
	r->pair.a.qp = ibv_create_qp_ex(r->pair.rig.ctx, &attr);
	assert_non_null(r->pair.a.qp);
	r->qp = ibv_qp_to_qp_ex(r->pair.a.qp);
	assert_non_null(r->qp);
	pair_reconnect(&r->pair);
	buf_make(&r->from, r->pair.rig.pd, MEM_ANON, 2 * BYTES, 0, ACCESS_ALL);
	buf_make(&r->to, r->pair.rig.pd, MEM_ANON, 2 * BYTES, 0, ACCESS_ALL);
	pattern_fill(r->from.data, 2 * BYTES, 3, 0);
	memset(r->to.data, 0, 2 * BYTES);
}

static void rigged_close(struct rigged *r)
{
	buf_free(&r->from);
	buf_free(&r->to);
	if (r->parent)
		destroy_domain(r);
	pair_close(&r->pair);
}

/* The next completion, which stays the one that the poll stands at. */
static void await_start(struct rigged *r)
{
	struct ibv_poll_cq_attr attr = {};
	double last = seconds() + BOUND_S;
	int err;

	while ((err = ibv_start_poll(r->cq, &attr)) == ENOENT)
		if (seconds() > last)
			fail_because("no completion");
	assert_int_equal(err, 0);
}

static void expect(struct rigged *r, uint64_t wr_id, enum ibv_wc_opcode opcode)
{
	await_start(r);
	assert_int_equal(r->cq->status, IBV_WC_SUCCESS);
	assert_int_equal(r->cq->wr_id, wr_id);
	assert_int_equal(ibv_wc_read_opcode(r->cq), opcode);
	assert_int_equal(ibv_wc_read_qp_num(r->cq), r->pair.a.qp->qp_num);
	ibv_end_poll(r->cq);
}

static void begin(struct rigged *r, uint64_t wr_id)
{
	ibv_wr_start(r->qp);
	r->qp->wr_id = wr_id;
	r->qp->wr_flags = IBV_SEND_SIGNALED;
}

static void recv_into(struct rigged *r, uint64_t wr_id)
{
	struct ibv_sge sge = buf_sge(&r->to, 0, BYTES);

	end_post_recv(&r->pair.b, wr_id, &sge, 1);
}

static void writes_and_reads(struct rigged *r)
{
	struct ibv_sge halves[2] = { buf_sge(&r->from, 0, BYTES / 2),
				     buf_sge(&r->from, BYTES / 2, BYTES / 2) };
	uint32_t rkey = r->to.mr->rkey;
	struct ibv_wc wc;

	begin(r, 1);
	ibv_wr_rdma_write(r->qp, rkey, (uintptr_t)r->to.data);
	ibv_wr_set_sge_list(r->qp, 2, halves);
	assert_zero(ibv_wr_complete(r->qp));
	expect(r, 1, IBV_WC_RDMA_WRITE);
	pattern_check(r->to.data, BYTES, 3, 0, "written");

	recv_into(r, 7);
	begin(r, 2);
	ibv_wr_rdma_write_imm(r->qp, rkey, (uintptr_t)r->to.data, 0x1234);
	ibv_wr_set_sge(r->qp, r->from.mr->lkey, (uintptr_t)r->from.data, BYTES);
	assert_zero(ibv_wr_complete(r->qp));
	expect(r, 2, IBV_WC_RDMA_WRITE);
	wc = cq_success(r->pair.b.rcq);
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.imm_data, 0x1234);

	memset(r->from.data, 0, BYTES);
	begin(r, 3);
	ibv_wr_rdma_read(r->qp, rkey, (uintptr_t)r->to.data);
	ibv_wr_set_sge(r->qp, r->from.mr->lkey, (uintptr_t)r->from.data, BYTES);
	assert_zero(ibv_wr_complete(r->qp));
	expect(r, 3, IBV_WC_RDMA_READ);
	pattern_check(r->from.data, BYTES, 3, 0, "read back");
}

static void atomics(struct rigged *r)
{
	uint64_t *word = (uint64_t *)r->to.data, *old = (uint64_t *)(r->from.data + BYTES + 4);

	*word = 5;
	begin(r, 4);
	ibv_wr_atomic_fetch_add(r->qp, r->to.mr->rkey, (uintptr_t)word, 3);
	ibv_wr_set_sge(r->qp, r->from.mr->lkey, (uintptr_t)old, 8);
	assert_zero(ibv_wr_complete(r->qp));
	expect(r, 4, IBV_WC_FETCH_ADD);
	assert_int_equal(*old, 5);
	begin(r, 5);
	ibv_wr_atomic_cmp_swp(r->qp, r->to.mr->rkey, (uintptr_t)word, 8, 99);
	ibv_wr_set_sge(r->qp, r->from.mr->lkey, (uintptr_t)old, 8);
	assert_zero(ibv_wr_complete(r->qp));
	expect(r, 5, IBV_WC_COMP_SWAP);
	assert_int_equal(*old, 8);
	assert_int_equal(*word, 99);
}

/* Two in one batch, both inline: one in a piece, one in two. */
static void sends_inline(struct rigged *r)
{
	uint8_t mine[BYTES];
	struct ibv_data_buf pieces[2] = { { mine, 60 }, { mine + 60, BYTES - 60 } };
	struct ibv_wc wc;

	pattern_fill(mine, BYTES, 9, 0);
	recv_into(r, 11);
	recv_into(r, 12);
	begin(r, 6);
	ibv_wr_send(r->qp);
	ibv_wr_set_inline_data(r->qp, mine, 10);
	r->qp->wr_id = 7;
	ibv_wr_send_imm(r->qp, 77);
	ibv_wr_set_inline_data_list(r->qp, 2, pieces);
	/* Copied by now. */
	memset(mine, 0, sizeof(mine));
	assert_zero(ibv_wr_complete(r->qp));
	await_start(r);
	assert_int_equal(r->cq->wr_id, 6);
	while (ibv_next_poll(r->cq))
		;
	assert_int_equal(r->cq->wr_id, 7);
	assert_int_equal(ibv_wc_read_opcode(r->cq), IBV_WC_SEND);
	assert_int_equal(ibv_next_poll(r->cq), ENOENT);
	ibv_end_poll(r->cq);
	assert_int_equal(cq_success(r->pair.b.rcq).byte_len, 10);
	wc = cq_success(r->pair.b.rcq);
	assert_int_equal(wc.byte_len, BYTES);
	assert_int_equal(wc.imm_data, 77);
	pattern_check(r->to.data, BYTES, 9, 0, "inline");
}

/* A batch with an error is as if it had not been: the queue is as empty as before. */
static void spoilt(struct rigged *r)
{
	uint32_t rkey = r->to.mr->rkey;
	struct ibv_sge sges[65] = {};
	uint8_t much[4096] = {};
	int i;

	begin(r, 20);
	ibv_wr_rdma_write(r->qp, rkey, (uintptr_t)r->to.data);
	ibv_wr_set_inline_data(r->qp, much, sizeof(much));
	assert_int_equal(ibv_wr_complete(r->qp), EINVAL);
	begin(r, 21);
	ibv_wr_rdma_write(r->qp, rkey, (uintptr_t)r->to.data);
	ibv_wr_set_sge_list(r->qp, 65, sges);
	assert_int_equal(ibv_wr_complete(r->qp), EINVAL);
	begin(r, 22);
	ibv_wr_rdma_read(r->qp, rkey, (uintptr_t)r->to.data);
	ibv_wr_set_inline_data(r->qp, much, 8);
	assert_int_equal(ibv_wr_complete(r->qp), EINVAL);
	begin(r, 23);
	for (i = 0; i < 4096; i++)
		ibv_wr_send(r->qp);
	assert_int_equal(ibv_wr_complete(r->qp), ENOMEM);
	begin(r, 24);
	ibv_wr_send(r->qp);
	ibv_wr_abort(r->qp);
	cq_assert_empty(r->pair.a.scq);
}

static void all_ways(bool in_domain)
{
	struct rigged r;

	rigged_open(&r, in_domain);
	writes_and_reads(&r);
	atomics(&r);
	spoilt(&r);
	sends_inline(&r);
	rigged_close(&r);
}

static void extended(void **state)
{
	(void)state;
	all_ways(false);
}

static void in_a_thread_domain(void **state)
{
	(void)state;
	all_ways(true);
}

static void refuse_qp(struct pair *pair, enum ibv_qp_type type, uint64_t ops)
{
	struct ibv_qp_init_attr_ex attr = qp_attr(pair, type);

	attr.send_ops_flags = ops;
	errno = 0;
	assert_null(ibv_create_qp_ex(pair->rig.ctx, &attr));
	assert_int_equal(errno, EOPNOTSUPP);
}

static void refused_at_creation(void **state)
{
	static const uint64_t none[] = { IBV_QP_EX_WITH_TSO };
	struct ibv_cq_init_attr_ex cq_attr = {
		.cqe = 4,
		.wc_flags = IBV_WC_EX_WITH_COMPLETION_TIMESTAMP,
	};
	struct conn conn = CONN;
	struct pair pair;
	size_t i;

	(void)state;
	pair_open(&pair, &conn);
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		refuse_qp(&pair, IBV_QPT_RC, IBV_QP_EX_WITH_SEND | none[i]);
		refuse_qp(&pair, IBV_QPT_UD, IBV_QP_EX_WITH_SEND | none[i]);
	}
	refuse_qp(&pair, IBV_QPT_UD, IBV_QP_EX_WITH_RDMA_WRITE);
	refuse_qp(&pair, IBV_QPT_UD, IBV_QP_EX_WITH_LOCAL_INV);
	refuse_qp(&pair, IBV_QPT_UD, IBV_QP_EX_WITH_BIND_MW);
	refuse_qp(&pair, IBV_QPT_UD, IBV_QP_EX_WITH_FLUSH);
	refuse_qp(&pair, IBV_QPT_UD, IBV_QP_EX_WITH_ATOMIC_WRITE);
	refuse_qp(&pair, IBV_QPT_UC, IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_RDMA_READ);
	refuse_qp(&pair, IBV_QPT_RAW_PACKET, IBV_QP_EX_WITH_SEND);
	assert_null(ibv_create_cq_ex(pair.rig.ctx, &cq_attr));
	assert_int_equal(errno, EOPNOTSUPP);
	cq_attr.wc_flags = IBV_WC_STANDARD_FLAGS;
	cq_attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS;
	for (cq_attr.flags = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN; cq_attr.flags;
	     cq_attr.flags <<= 1) {
		errno = 0;
		assert_null(ibv_create_cq_ex(pair.rig.ctx, &cq_attr));
		assert_int_equal(errno, EOPNOTSUPP);
	}
	pair_close(&pair);
}

/* By its file alone, as another process would. */
static void imported(void **state)
{
	struct conn conn = CONN;
	struct ibv_context *ctx;
	struct pair pair;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct buf buf;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&buf, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	ctx = ibv_import_device(dup(pair.rig.ctx->cmd_fd));
	assert_non_null(ctx);
	pd = ibv_import_pd(ctx, pair.rig.pd->handle);
	assert_non_null(pd);
	mr = ibv_import_mr(pd, buf.mr->handle);
	assert_non_null(mr);
	assert_int_equal(mr->lkey, buf.mr->lkey);
	assert_int_equal(mr->rkey, buf.mr->rkey);
	assert_int_equal(mr->length, BYTES);
	ibv_unimport_mr(mr);
	assert_null(ibv_import_mr(pd, 0xffffff));
	ibv_unimport_pd(pd);
	assert_zero(ibv_close_device(ctx));
	pair_assert_works(&pair);
	buf_free(&buf);
	pair_close(&pair);
}

/* ib_core takes no write() from a process whose credentials are others than those that opened the device. */
static void credentials_changed(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	pair_open(&pair, &conn);
	assert_zero(setegid(1));
	pair_assert_works(&pair);
	assert_zero(setegid(0));
	pair_assert_works(&pair);
	pair_close(&pair);
}

static void await_event_of(struct pair *pair, struct ibv_qp *qp)
{
	struct ibv_async_event event;
	bool found = false;

	while (!found) {
		assert_zero(ibv_get_async_event(pair->rig.ctx, &event));
		found = event.element.qp == qp && event.event_type == IBV_EVENT_QP_ACCESS_ERR;
		ibv_ack_async_event(&event);
	}
}

/* The kernel found the error, and the program has not asked for the state: what it posts then is given back all the same. */
static void receive_behind_an_error(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct pair pair;
	struct buf buf;

	(void)state;
	pair_open(&pair, &conn);
	buf_make(&buf, pair.rig.pd, MEM_ANON, BYTES, 0, ACCESS_ALL);
	sge = buf_sge(&buf, 0, BYTES);
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &buf, 0);
	wr.wr.rdma.rkey ^= 0x100;
	end_post(&pair.a, &wr);
	cq_expect(pair.a.scq, IBV_WC_REM_ACCESS_ERR);
	await_event_of(&pair, pair.b.qp);
	end_post_recv(&pair.b, 5, &sge, 1);
	assert_int_equal(cq_expect(pair.b.rcq, IBV_WC_WR_FLUSH_ERR).wr_id, 5);
	pair_reconnect(&pair);
	pair_assert_works(&pair);
	buf_free(&buf);
	pair_close(&pair);
}

/* Valgrind ends a program with a status of its own when it finds an error, or memory that nothing points to any more. */
static void exec_again(const char *self, const char *variant)
{
	if (strcmp(variant, "valgrind"))
		execl(self, self, NULL);
	else
		execlp("valgrind", "valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
		       "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite", self,
		       NULL);
}

/* This program again, through the provider as it is, under ASan or in Valgrind. */
static int run_again(const char *self, const char *variant)
{
	char lib[256] = "";
	int status;
	pid_t child;
	FILE *f;

	if (!strcmp(variant, "asan")) {
		f = popen("gcc -print-file-name=libasan.so", "r");
		if (!f || !fgets(lib, sizeof(lib), f))
			return 1;
		pclose(f);
		lib[strcspn(lib, "\n")] = '\0';
	}
	fflush(stdout);
	child = fork();
	if (!child) {
		setenv("PROVIDER_VARIANT", variant, 1);
		if (*lib)
			setenv("LD_PRELOAD", lib, 1);
		exec_again(self, variant);
		_exit(1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		printf("FAIL: the provider, %s: status %#x\n", variant, status);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(extended), TEST(in_a_thread_domain),  TEST(refused_at_creation),
		TEST(imported), TEST(credentials_changed), TEST(receive_behind_an_error)
	};
	const char *variant = getenv("PROVIDER_VARIANT");
	const char *kernel = getenv("RDMA_ODP_KERNEL");

	(void)argc;
	/* Valgrind interprets each instruction: not where an emulator does that already. */
	if (!variant)
		return run_again(argv[0], "plain") | run_again(argv[0], "asan") |
		       (kernel && !strcmp(kernel, "uml") && run_again(argv[0], "valgrind"));
	rig_use_provider(!strcmp(variant, "asan") ? variant : NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
