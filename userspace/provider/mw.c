// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows. Allocated by the kernel, bound by work requests: those of type 2 by the program's, those of type 1 by one that
 * is made here, with the next key.
 */
#include <stdlib.h>

#include "provider.h"

struct ibv_mw *rxo_alloc_mw(struct ibv_pd *ibpd, enum ibv_mw_type type)
{
	struct ibv_mw *ibmw = calloc(1, sizeof(*ibmw));
	struct ib_uverbs_alloc_mw_resp resp;
	struct ibv_alloc_mw cmd;
	int err;

	if (!ibmw)
		return NULL;
	err = ibv_cmd_alloc_mw(ibpd, type, ibmw, &cmd, sizeof(cmd), &resp, sizeof(resp));
	if (err) {
		free(ibmw);
		errno = err;
		return NULL;
	}
	return ibmw;
}

int rxo_dealloc_mw(struct ibv_mw *ibmw)
{
	int err = ibv_cmd_dealloc_mw(ibmw);

	if (err)
		return err;
	free(ibmw);
	return 0;
}

/* The window has its new key at once, as ibv_bind_mw(3) has it; who finds that the bind failed puts the old one back. */
int rxo_bind_mw(struct ibv_qp *ibqp, struct ibv_mw *ibmw, struct ibv_mw_bind *bind)
{
	struct ibv_send_wr wr = {
		.wr_id = bind->wr_id,
		.opcode = IBV_WR_BIND_MW,
		.send_flags = bind->send_flags,
		.bind_mw = { .mw = ibmw,
			     .rkey = ibv_inc_rkey(ibmw->rkey),
			     .bind_info = bind->bind_info },
	};
	struct ibv_send_wr *bad;
	int err;

	if (bind->bind_info.mw_access_flags & IBV_ACCESS_ZERO_BASED)
		return EINVAL;
	err = rxo_post_send(ibqp, &wr, &bad);
	if (!err)
		ibmw->rkey = wr.bind_mw.rkey;
	return err;
}
