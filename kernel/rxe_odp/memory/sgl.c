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

/* A part of a side that lies in one region. */
struct sgl_part {
	struct rxo_mr *mr;		/* with a reference; NULL: a buffer */
	u64 iova;
	u32 bytes;
};

static int sgl_find_entry(const struct rxo_sg *sg, u32 skip, u32 bytes, bool write,
			  struct sgl_part *part)
{
	const struct rxe_sge *sge = sg->sge;
	u32 i;

	for (i = 0; i < sg->num && skip >= sge->length; i++)
		skip -= sge++->length;
	if (i == sg->num)
		return -ERANGE;
	part->mr = rxo_mr_get(sg->pd, sge->lkey, RXO_LKEY, write ? IB_ACCESS_LOCAL_WRITE : 0,
			      sge->addr, sge->length);
	part->iova = sge->addr + skip;
	part->bytes = min(bytes, sge->length - skip);
	return PTR_ERR_OR_ZERO(part->mr);
}

static int sgl_find_part(const struct rxo_side *side, u32 offset, u32 bytes, bool write,
			 struct sgl_part *part)
{
	*part = (struct sgl_part) { .bytes = bytes };
	if (side->buf)
		return 0;
	if (!side->mr)
		return sgl_find_entry(side->sg, side->sg->offset_bytes + offset, bytes, write,
				      part);
	refcount_inc(&side->mr->refs);
	part->mr = side->mr;
	part->iova = side->iova + offset;
	return 0;
}

static int sgl_move_part(const struct sgl_part *to, const struct rxo_side *from, u32 offset,
			 u32 *moved)
{
	struct sgl_part part;
	u32 done;
	int err;

	err = sgl_find_part(from, offset, to->bytes, false, &part);
	if (err)
		return err;
	*moved = part.bytes;
	if (!part.mr)
		return rxo_mr_copy_to(to->mr, to->iova, from->buf + offset, part.bytes, &done);
	err = rxo_mr_move(to->mr, to->iova, part.mr, part.iova, part.bytes);
	rxo_mr_put(part.mr);
	return err;
}

int rxo_sg_move(const struct rxo_side *to, const struct rxo_side *from, u32 bytes)
{
	struct sgl_part part;
	u32 done = 0, moved;
	int err = 0;

	while (!err && done < bytes) {
		err = sgl_find_part(to, done, bytes - done, true, &part);
		if (err)
			break;
		err = sgl_move_part(&part, from, done, &moved);
		rxo_mr_put(part.mr);
		done += err ? 0 : moved;
	}
	return err;
}

bool rxo_sg_present(const struct rxo_side *from, u32 bytes)
{
	struct sgl_part part;
	u32 done = 0;
	u64 there;

	while (done < bytes) {
		if (sgl_find_part(from, done, bytes - done, false, &part))
			return false;
		there = part.bytes;
		if (part.mr) {
			there = rxo_mr_present(part.mr, part.iova, part.bytes, false);
			rxo_mr_put(part.mr);
		}
		if (there < part.bytes)
			return false;
		done += part.bytes;
	}
	return true;
}
