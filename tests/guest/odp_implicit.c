// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An implicit region: one key for all memory of the process, whatever is mapped when. Every operation at both ends, beside explicit
 * regions, and nothing outside of the user address space.
 */
#include "method.h"
#include "pair.h"
#include "way.h"

#include <sys/mman.h>
#include <unistd.h>

#define ODP   IBV_ACCESS_ON_DEMAND
#define BYTES (10 * KIB + 123)

static struct ibv_mr *reg_implicit(struct ibv_pd *pd, int access)
{
	struct ibv_mr *mr = ibv_reg_mr(pd, NULL, SIZE_MAX, access | ODP);

	if (!mr)
		fail_because("no implicit region: errno %d (%s)", errno, strerror(errno));
	return mr;
}

/* Mapped after the registration, and touched by nobody. */
static void map_in(struct buf *buf, struct ibv_mr *mr, enum mem kind, size_t bytes,
		   size_t page_offset)
{
	buf_map(buf, kind, bytes, page_offset);
	buf->mr = mr;
}

static void unmap(struct buf *buf)
{
	buf->mr = NULL;
	buf_free(buf);
}

static void is_claimed(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	assert_true(rig.attr.odp_caps.general_caps & IBV_ODP_SUPPORT_IMPLICIT);
	rig_close(&rig);
}

static void every_operation(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	uint64_t sum = 0;
	struct pair pair;
	struct ibv_mr *mr;
	int kind, op;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, IBV_ODP_SUPPORT_ATOMIC, 0);
	mr = reg_implicit(pair.rig.pd, ACCESS_ALL);
	for (kind = 0; kind < MEM_KINDS; kind++) {
		for (op = 0; op < OP_KINDS; op++) {
			map_in(&from, mr, kind, BYTES, 33);
			map_in(&to, mr, kind, BYTES, 4001);
			pair_move_checked(&pair, op, &from, &to, 7 * kind + op);
			unmap(&from);
			unmap(&to);
		}
	}
	map_in(&from, mr, MEM_ANON, 8, 0);
	map_in(&to, mr, MEM_ANON, 8, 8);
	pair_add_checked(&pair, &from, &to, &sum);
	pair_add_checked(&pair, &from, &to, &sum);
	unmap(&from);
	unmap(&to);
	assert_zero(ibv_dereg_mr(mr));
	pair_close(&pair);
}

static void datagram(void **state)
{
	struct conn conn = CONN;
	struct ibv_send_wr wr;
	struct ibv_sge src, dst;
	struct buf from, to;
	struct pair pair;
	struct ibv_mr *mr;

	(void)state;
	conn.type = IBV_QPT_UD;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV);
	mr = reg_implicit(pair.rig.pd, IBV_ACCESS_LOCAL_WRITE);
	map_in(&from, mr, MEM_SHARED, 4000, 4000);
	map_in(&to, mr, MEM_ANON, 4040, 4080);
	pattern_fill(from.alias + from.guard_before, 4000, 5, 0);
	src = buf_sge(&from, 0, 4000);
	dst = buf_sge(&to, 0, 4040);
	end_post_recv(&pair.b, 1, &dst, 1);
	wr = wr_make(IBV_WR_SEND, &src, 1);
	wr.wr.ud.remote_qpn = pair.b.qp->qp_num;
	end_post(&pair.a, &wr);
	cq_success(pair.a.scq);
	cq_success(pair.b.rcq);
	pattern_check(to.data + 40, 4000, 5, 0, "a datagram");
	unmap(&from);
	unmap(&to);
	assert_zero(ibv_dereg_mr(mr));
	pair_close(&pair);
}

struct at {
	uint64_t addr;
	uint32_t reason;
};

static void is_refused(struct pair *pair, struct buf *good, struct ibv_mr *mr, enum way way,
		       const struct at *at)
{
	struct ibv_qp *whose = way_is_remote(way) ? pair->b.qp : pair->a.qp;
	struct rxe_odp_access_error error;

	way_is_refused(pair, way, good, mr, at->addr);
	assert_int_equal(qp_access_error(whose, &error, sizeof(error)), 0);
	if (error.reason != at->reason)
		fail_because("%s at %#llx: reason %u and not %u", way_name(way),
			     (unsigned long long)at->addr, error.reason, at->reason);
	pair_reconnect(pair);
}

/* What no program has: kernel addresses, none at all, the last of all, and page 0, where nothing is mapped. */
static void outside(void **state)
{
	static const struct at ats[] = {
		{ 0, RXE_ODP_REASON_NOT_MAPPED },
		{ 1ULL << 56, RXE_ODP_REASON_RANGE },
		{ 1ULL << 63, RXE_ODP_REASON_RANGE },
		{ 0xffff888000000000ULL, RXE_ODP_REASON_RANGE },
		{ 0xffffffffff600000ULL, RXE_ODP_REASON_RANGE },
		{ UINT64_MAX - 7, RXE_ODP_REASON_RANGE },
		{ UINT64_MAX - 15, RXE_ODP_REASON_RANGE },
	};
	struct conn conn = CONN;
	struct pair pair;
	struct ibv_mr *mr;
	struct buf good;
	size_t i, way;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	mr = reg_implicit(pair.rig.pd, ACCESS_ALL);
	buf_make(&good, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	for (i = 0; i < ARRAY_SIZE(ats); i++)
		for (way = 0; way < WAYS; way++)
			is_refused(&pair, &good, mr, way, &ats[i]);
	assert_zero(ibv_dereg_mr(mr));
	buf_free(&good);
	pair_close(&pair);
}

static bool write_goes(struct pair *pair, struct buf *from, struct buf *to, struct ibv_mr *mr)
{
	struct ibv_sge sge = buf_sge(from, 0, 64);
	struct ibv_send_wr wr = wr_make(IBV_WR_RDMA_WRITE, &sge, 1);
	enum ibv_wc_status status;

	wr.wr.rdma.remote_addr = (uintptr_t)to->data;
	wr.wr.rdma.rkey = mr->rkey;
	end_post(&pair->a, &wr);
	status = cq_wait(pair->a.scq).status;
	if (status == IBV_WC_SUCCESS)
		return true;
	assert_int_equal(status, IBV_WC_REM_ACCESS_ERR);
	pair_reconnect(pair);
	return false;
}

static uint64_t resident(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_int_equal(mr_stats(mr, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.kind, RXE_ODP_MR_ON_DEMAND);
	return stats.resident_pages;
}

/* Each key has its own rights, and its end takes only what no other covers. */
static void beside_explicit(void **state)
{
	struct ibv_mr *reads, *writes, *part;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	uint64_t before;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_map(&to, MEM_ANON, 4 * PAGE, 0);
	reads = reg_implicit(pair.rig.pd, IBV_ACCESS_REMOTE_READ);
	part = ibv_reg_mr(pair.rig.pd, to.data, PAGE, ACCESS_ALL | ODP);
	assert_non_null(part);
	assert_false(write_goes(&pair, &from, &to, reads));
	assert_true(write_goes(&pair, &from, &to, part));
	writes = reg_implicit(pair.rig.pd, ACCESS_ALL);
	before = resident(writes);
	assert_int_equal(before, resident(reads));
	assert_true(before >= 1);
	assert_zero(ibv_dereg_mr(part));
	assert_int_equal(resident(writes), before);
	assert_true(write_goes(&pair, &from, &to, writes));

	part = ibv_reg_mr(pair.rig.pd, to.data, PAGE, ACCESS_ALL | ODP);
	assert_non_null(part);
	assert_zero(ibv_dereg_mr(writes));
	assert_zero(ibv_dereg_mr(reads));
	assert_int_equal(resident(part), 1);
	assert_true(write_goes(&pair, &from, &to, part));
	assert_zero(ibv_dereg_mr(part));
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void reg_is_refused(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova, int access)
{
	struct ibv_mr *mr;

	errno = 0;
	mr = ibv_reg_mr_iova(pd, addr, bytes, iova, access);
	assert_null(mr);
	assert_int_equal(errno, EINVAL);
}

/* Whatever the device makes of plain registrations. */
static void only_on_demand_at_its_own_addresses(void **state)
{
	char path[200];
	struct rig rig;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	reg_is_refused(rig.pd, NULL, SIZE_MAX, 0, ACCESS_ALL);
	assert_zero(write_text(path, "on-demand"));
	reg_is_refused(rig.pd, NULL, SIZE_MAX, 0, ACCESS_ALL);
	reg_is_refused(rig.pd, NULL, SIZE_MAX, PAGE, ACCESS_ALL | ODP);
	reg_is_refused(rig.pd, (void *)PAGE, SIZE_MAX - PAGE, PAGE, ACCESS_ALL | ODP);
	reg_is_refused(rig.pd, NULL, SIZE_MAX - 1, 0, ACCESS_ALL | ODP);
	rig_close(&rig);
}

static int restore(void **state)
{
	char path[200];

	(void)state;
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/register", rig_device_name());
	return write_text(path, "pinned");
}

static void registered_again(void **state)
{
	int both = IBV_REREG_MR_CHANGE_ACCESS | IBV_REREG_MR_CHANGE_TRANSLATION;
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	struct ibv_mr *mr;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	buf_make(&from, pair.rig.pd, MEM_ANON, PAGE, 0, ACCESS_ALL);
	buf_map(&to, MEM_ANON, PAGE, 0);
	mr = reg_implicit(pair.rig.pd, IBV_ACCESS_REMOTE_READ);
	assert_false(write_goes(&pair, &from, &to, mr));
	assert_int_equal(mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL),
			 EINVAL);
	assert_int_equal(mr_rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL | ODP),
			 0);
	assert_true(write_goes(&pair, &from, &to, mr));
	/* To a range that does not have the target, with either kind, and back. */
	assert_int_equal(mr_rereg(mr, both, NULL, from.data, PAGE, ACCESS_ALL | ODP), 0);
	assert_false(write_goes(&pair, &from, &to, mr));
	assert_int_equal(mr_rereg(mr, both, NULL, NULL, SIZE_MAX, ACCESS_ALL | ODP), 0);
	assert_true(write_goes(&pair, &from, &to, mr));
	assert_int_equal(mr_rereg(mr, both, NULL, from.data, PAGE, ACCESS_ALL), 0);
	assert_false(write_goes(&pair, &from, &to, mr));
	assert_int_equal(mr_rereg(mr, both, NULL, NULL, SIZE_MAX, ACCESS_ALL), EINVAL);
	assert_int_equal(mr_rereg(mr, both, NULL, NULL, SIZE_MAX, ACCESS_ALL | ODP), 0);
	assert_true(write_goes(&pair, &from, &to, mr));
	assert_zero(ibv_dereg_mr(mr));
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

/* What is asked about addresses that the process cannot have, and about all that it can. */
static void asked_about(void **state)
{
	uint8_t pages[4] = { 0xee, 0xee, 0xee, 0xee };
	struct ibv_sge span = { 0, PAGE, 0 };
	struct ibv_mr *mr;
	struct rig rig;
	uint64_t nr;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	mr = reg_implicit(rig.pd, ACCESS_ALL);
	assert_int_equal(mr_residency(mr, pages, sizeof(pages), pages, &nr), 0);
	assert_true(nr == 1 && pages[0] == 0);
	assert_int_equal(mr_residency(mr, (void *)(UINTPTR_MAX - 2 * PAGE), PAGE, pages, &nr),
			 EFAULT);
	span.lkey = mr->lkey;
	span.addr = UINT64_MAX - 2 * PAGE;
	assert_int_equal(mr_advise(rig.pd, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, 0, &span,
				   1),
			 EFAULT);
	span.addr = (uintptr_t)pages & ~(PAGE - 1);
	assert_zero(mr_advise(rig.pd, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, 0, &span, 1));
	assert_int_equal(resident(mr), 1);
	assert_zero(ibv_dereg_mr(mr));
	rig_close(&rig);
}

/* Nearly all of it is empty, which costs nothing to pass over. */
static void looked_at_as_a_whole(void **state)
{
	struct rxe_odp_prefetch req = { 0, IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, -1 };
	struct method m = method_of(RXE_ODP_OBJECT_PREFETCH, RXE_ODP_METHOD_PREFETCH_START);
	struct rxe_odp_span span = { 0 };
	struct ibv_mr *mr;
	struct rig rig;
	uint8_t *map;

	(void)state;
	rig_open(&rig);
	rig_need_odp(&rig, 0, 0);
	map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	mr = reg_implicit(rig.pd, ACCESS_ALL);
	/* Up to the stack, which is the last of what is mapped. */
	span.length = (uintptr_t)&span;
	span.key = mr->lkey;
	method_handle(&m, RXE_ODP_ATTR_PREFETCH_START_HANDLE, 0);
	method_handle(&m, RXE_ODP_ATTR_PREFETCH_START_PD_HANDLE, rig.pd->handle);
	method_in(&m, RXE_ODP_ATTR_PREFETCH_START_REQ, &req, sizeof(req));
	method_in(&m, RXE_ODP_ATTR_PREFETCH_START_SPANS, &span, sizeof(span));
	assert_int_equal(method_call(rig.ctx->cmd_fd, &m), 0);
	assert_true(resident(mr) >= 3);
	munmap(map, 3 * PAGE);
	assert_zero(ibv_dereg_mr(mr));
	rig_close(&rig);
}

#define RESTORED(fn)                                                                               \
	{                                                                                          \
#fn, fn, NULL, restore, NULL                                                       \
	}

TEST_MAIN(TEST(is_claimed), TEST(every_operation), TEST(datagram), TEST(outside),
	  TEST(beside_explicit), RESTORED(only_on_demand_at_its_own_addresses),
	  TEST(registered_again), TEST(asked_about), TEST(looked_at_as_a_whole))
