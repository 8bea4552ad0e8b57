// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "mw.h"

struct ibv_mw *mw_make(struct ibv_pd *pd, enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(pd, type);

	if (!mw)
		fail_because("ibv_alloc_mw of type %d: errno %d", type, errno);
	return mw;
}

void mw_free(struct ibv_mw *mw)
{
	assert_zero(ibv_dealloc_mw(mw));
}

void mw_post_bind_as(struct end *end, const struct ibv_mw *mw, uint32_t key, struct ibv_mr *mr,
		     uint64_t addr, uint64_t bytes, int access)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_BIND_MW, NULL, 0);

	wr.bind_mw.mw = (struct ibv_mw *)mw;
	wr.bind_mw.rkey = key;
	wr.bind_mw.bind_info = (struct ibv_mw_bind_info){ mr, addr, bytes, access };
	end_post(end, &wr);
}

void mw_post_bind(struct end *end, struct ibv_mw *mw, const struct buf *buf, size_t offset,
		  size_t bytes, int access)
{
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = { buf->mr, (uintptr_t)buf->data + offset, bytes, access },
	};
	uint32_t key = ibv_inc_rkey(mw->rkey);

	if (mw->type == IBV_MW_TYPE_1) {
		assert_zero(ibv_bind_mw(end->qp, mw, &bind));
		assert_int_equal(mw->rkey, key);
		return;
	}
	mw_post_bind_as(end, mw, key, buf->mr, (uintptr_t)buf->data + offset, bytes, access);
	mw->rkey = key;
}

void mw_bind(struct end *end, struct ibv_mw *mw, const struct buf *buf, size_t offset, size_t bytes,
	     int access)
{
	mw_post_bind(end, mw, buf, offset, bytes, access);
	assert_int_equal(cq_success(end->scq).opcode, IBV_WC_BIND_MW);
}

void mw_unbind(struct end *end, struct ibv_mw *mw, const struct buf *buf)
{
	mw_bind(end, mw, buf, 0, 0, 0);
}

void mw_post_local_inv(struct end *end, uint32_t key)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_LOCAL_INV, NULL, 0);

	wr.invalidate_rkey = key;
	end_post(end, &wr);
}

void mw_local_inv(struct end *end, uint32_t key)
{
	mw_post_local_inv(end, key);
	assert_int_equal(cq_success(end->scq).opcode, IBV_WC_LOCAL_INV);
}

void mw_send_inv(struct pair *pair, uint32_t key)
{
	struct ibv_send_wr wr = wr_make(IBV_WR_SEND_WITH_INV, NULL, 0);
	struct ibv_wc wc;

	wr.invalidate_rkey = key;
	end_post_recv(&pair->b, 1, NULL, 0);
	end_post(&pair->a, &wr);
	cq_success(pair->a.scq);
	wc = cq_success(pair->b.rcq);
	assert_true(wc.wc_flags & IBV_WC_WITH_INV);
	assert_int_equal(wc.invalidated_rkey, key);
}

enum ibv_wc_status mw_try(struct pair *pair, enum ibv_wr_opcode opcode, const struct buf *local,
			  size_t bytes, uint32_t key, uint64_t addr)
{
	struct ibv_sge sge = buf_sge(local, 0, bytes);
	struct ibv_send_wr wr = wr_make(opcode, &sge, 1);

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = addr;
		wr.wr.atomic.rkey = key;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = addr;
		wr.wr.rdma.rkey = key;
	}
	end_post(&pair->a, &wr);
	return cq_wait(pair->a.scq).status;
}

void mw_refused_at(const char *file, int line, struct pair *pair, enum ibv_wr_opcode opcode,
		   const struct buf *local, size_t bytes, uint32_t key, uint64_t addr)
{
	enum ibv_wc_status status = mw_try(pair, opcode, local, bytes, key, addr);

	if (status != IBV_WC_REM_ACCESS_ERR)
		fail_at(file, line, "opcode %d by key %#x at %#llx, %zu bytes: \"%s\"", opcode, key,
			(unsigned long long)addr, bytes, ibv_wc_status_str(status));
	end_await_state(&pair->b, IBV_QPS_ERR);
	pair_reconnect(pair);
}

void mw_granted_at(const char *file, int line, struct pair *pair, enum ibv_wr_opcode opcode,
		   const struct buf *local, size_t bytes, uint32_t key, uint64_t addr)
{
	enum ibv_wc_status status = mw_try(pair, opcode, local, bytes, key, addr);

	if (status != IBV_WC_SUCCESS)
		fail_at(file, line, "opcode %d by key %#x at %#llx, %zu bytes: \"%s\"", opcode, key,
			(unsigned long long)addr, bytes, ibv_wc_status_str(status));
}
