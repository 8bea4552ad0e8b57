// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Reregistration: other access, another protection domain, another range; the old terms end with it.
 * The stock provider has no ibv_rereg_mr(): the call is made by hand.
 */
#include "pair.h"

#include <rdma/ib_user_verbs.h>
#include <unistd.h>

#define BYTES 10000UL

static enum ibv_wc_status try_write(struct buf *from, struct buf *to, struct ibv_mr *mr,
				    struct pair *pair)
{
	struct ibv_sge sge = buf_sge(from, 0, 64);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, to, 0);

	wr.wr.rdma.rkey = mr->rkey;
	end_post(&pair->a, &wr);
	return cq_wait(pair->a.scq).status;
}

/* 0 or an errno; the keys are the new ones after it. */
static int rereg(struct ibv_mr *mr, int flags, struct ibv_pd *pd, void *addr, size_t bytes,
		 int access)
{
	struct ib_uverbs_rereg_mr_resp resp = { 0 };
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_rereg_mr cmd;
	} req = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_REREG_MR,
			.in_words = sizeof(req) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.cmd = {
			.response = (uintptr_t)&resp,
			.mr_handle = mr->handle,
			.flags = flags,
			.start = (uintptr_t)addr,
			.length = bytes,
			.hca_va = (uintptr_t)addr,
			.pd_handle = pd ? pd->handle : 0,
			.access_flags = access,
		},
	};

	if (write(mr->context->cmd_fd, &req, sizeof(req)) != sizeof(req))
		return errno;
	mr->lkey = resp.lkey;
	mr->rkey = resp.rkey;
	return 0;
}

static void reconnect(struct pair *pair)
{
	assert_zero(end_set_state(&pair->a, IBV_QPS_RESET));
	assert_zero(end_set_state(&pair->b, IBV_QPS_RESET));
	ends_connect(&pair->a, &pair->b, &pair->conn);
}

static void access_and_domain(void **state)
{
	struct conn conn = CONN;
	struct buf from, to;
	struct pair pair;
	struct ibv_pd *pd;
	int odp, rc;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	pd = ibv_alloc_pd(pair.b.rig->ctx);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_SUCCESS);
	rc = rereg(to.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, IBV_ACCESS_REMOTE_READ | odp);
	assert_int_equal(rc, 0);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	reconnect(&pair);
	rc = rereg(to.mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, ACCESS_ALL | odp);
	assert_int_equal(rc, 0);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_SUCCESS);
	rc = rereg(to.mr, IBV_REREG_MR_CHANGE_PD, pd, NULL, 0, 0);
	assert_int_equal(rc, 0);
	assert_int_equal(try_write(&from, &to, to.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	buf_free(&from);
	buf_free(&to);
	assert_zero(ibv_dealloc_pd(pd));
	pair_close(&pair);
}

static void another_range(void **state)
{
	struct conn conn = CONN;
	struct buf from, first, second;
	struct pair pair;
	int odp, rc;

	pair_open(&pair, &conn);
	odp = mode(&pair.rig, state);
	buf_make(&from, pair.a.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	buf_make(&first, pair.b.rig->pd, MEM_ANON, BYTES, 0, ACCESS_ALL | odp);
	buf_map(&second, MEM_ANON, BYTES, 99);
	rc = rereg(first.mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, second.data, BYTES, 0);
	if (rc == EOPNOTSUPP || rc == ENOSYS)
		skip_because("the device does not change a region's range");
	assert_int_equal(rc, 0);
	second.mr = first.mr;
	first.mr = NULL;
	pair_move_checked(&pair, OP_WRITE, &from, &second, 1);
	first.mr = second.mr;
	assert_int_equal(try_write(&from, &first, second.mr, &pair), IBV_WC_REM_ACCESS_ERR);
	first.mr = NULL;
	buf_free(&from);
	buf_free(&first);
	buf_free(&second);
	pair_close(&pair);
}

TEST_MAIN(TEST_BOTH(access_and_domain), TEST_BOTH(another_range))
