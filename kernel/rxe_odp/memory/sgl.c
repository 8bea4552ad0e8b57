// SPDX-License-Identifier: GPL-2.0
/* Copies between a packet's payload and the scatter/gather list of a WQE. */

#include "memory/sgl.h"

static int sgl_copy_entry(const struct rxo_sg *sg, const struct rxe_sge *sge, u32 skip, void *buf,
			  u32 bytes, bool to_mem, u32 *done, struct rxo_miss *miss)
{
	struct rxo_mr *mr;
	u32 copied = 0;
	int err;

	mr = rxo_mr_get(sg->pd, sge->lkey, RXO_LKEY, to_mem ? IB_ACCESS_LOCAL_WRITE : 0,
			sge->addr, sge->length);
	if (IS_ERR(mr))
		return PTR_ERR(mr);

	if (to_mem)
		err = rxo_mr_copy_to(mr, sge->addr + skip, buf, bytes, &copied);
	else
		err = rxo_mr_copy_from(mr, sge->addr + skip, buf, bytes, &copied);
	*done += copied;
	if (err == -EAGAIN) {
		u32 ahead = sg->length_bytes - sg->offset_bytes - min(*done, sg->length_bytes -
								      sg->offset_bytes);

		miss->mr = mr;
		miss->iova = sge->addr + skip + copied;
		miss->length_bytes = min(sge->length - skip - copied,
					 max(ahead, bytes - copied));
		return err;
	}
	rxo_mr_put(mr);
	return err;
}

int rxo_sg_copy(const struct rxo_sg *sg, void *buf, u32 bytes, bool to_mem, u32 *done,
		struct rxo_miss *miss)
{
	u32 skip = sg->offset_bytes + *done;
	u32 i;

	for (i = 0; i < sg->num && *done < bytes; i++) {
		const struct rxe_sge *sge = &sg->sge[i];
		u32 part;
		int err;

		if (skip >= sge->length) {
			skip -= sge->length;
			continue;
		}
		part = min(bytes - *done, sge->length - skip);
		err = sgl_copy_entry(sg, sge, skip, buf + *done, part, to_mem, done, miss);
		if (err)
			return err;
		skip = 0;
	}
	return *done == bytes ? 0 : -ERANGE;
}
