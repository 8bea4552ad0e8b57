// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "way.h"

static const struct {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool remote;
	enum ibv_wc_status status;
} ways[WAYS] = {
	[REMOTE_WRITE] = { "remote write", IBV_WR_RDMA_WRITE, true, IBV_WC_REM_ACCESS_ERR },
	[REMOTE_READ] = { "remote read", IBV_WR_RDMA_READ, true, IBV_WC_REM_ACCESS_ERR },
	[REMOTE_ATOMIC] = { "remote atomic", IBV_WR_ATOMIC_FETCH_AND_ADD, true,
			    IBV_WC_REM_ACCESS_ERR },
	[LOCAL_SOURCE] = { "local source", IBV_WR_RDMA_WRITE, false, IBV_WC_LOC_PROT_ERR },
	[LOCAL_TARGET] = { "local target", IBV_WR_RDMA_READ, false, IBV_WC_LOC_PROT_ERR },
	[RECV] = { "receive", IBV_WR_SEND, true, IBV_WC_REM_OP_ERR },
};

const char *way_name(enum way way)
{
	return ways[way].name;
}

bool way_is_remote(enum way way)
{
	return ways[way].remote;
}

void way_is_refused(struct pair *pair, enum way way, const struct buf *good,
		    const struct ibv_mr *mr, uint64_t addr)
{
	struct ibv_sge bad = { addr, 8, mr->lkey };
	struct ibv_sge sge = ways[way].remote ? buf_sge(good, 0, 8) : bad;
	struct ibv_send_wr wr = wr_make(ways[way].opcode, &sge, 1);
	enum ibv_wc_status status;

	if (way == REMOTE_ATOMIC) {
		wr.wr.atomic.remote_addr = addr;
		wr.wr.atomic.rkey = mr->rkey;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = ways[way].remote ? addr : (uintptr_t)good->data;
		wr.wr.rdma.rkey = ways[way].remote ? mr->rkey : good->mr->rkey;
	}
	if (way == RECV)
		end_post_recv(&pair->b, 1, &bad, 1);
	end_post(&pair->a, &wr);
	status = cq_wait(pair->a.scq).status;
	if (status != ways[way].status)
		fail_because("%s at %#llx: \"%s\" and not \"%s\"", ways[way].name,
			     (unsigned long long)addr, ibv_wc_status_str(status),
			     ibv_wc_status_str(ways[way].status));
	if (way == RECV)
		cq_expect(pair->b.rcq, IBV_WC_LOC_PROT_ERR);
}
