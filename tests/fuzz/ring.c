// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The ring and its work requests under libFuzzer: shape, indices and every byte of the entries are the input's. What is
 * counted lies inside the ring; what is parsed lies inside its entry, fits its copy and keeps the bounds of its queue.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "queue/ring.h"
#include "queue/wqe_parse.h"

struct input {
	u32 num, producer, consumer;
	u8 max_sge, max_inline, flags, datagram;
};

static u64 list_bytes(const struct rxe_sge *sge, u32 num)
{
	u64 sum = 0;

	while (num--)
		sum += sge++->length;
	return sum;
}

/* Without the number of an address handle the entry itself says where to, at a port that is there. */
static bool keeps_address(const struct rxo_swqe *wqe, const struct rxe_av *av)
{
	return wqe->ah_num || (av->port_num == 1 &&
			       !memcmp(wqe->av.dgid, av->grh.dgid.raw, sizeof(wqe->av.dgid)) &&
			       wqe->av.flow_label == av->grh.flow_label &&
			       wqe->av.sgid_index == av->grh.sgid_index &&
			       wqe->av.hop_limit == av->grh.hop_limit &&
			       wqe->av.traffic_class == av->grh.traffic_class);
}

static void check_send(const void *entry, const struct rxo_swqe_bounds *bounds, u32 room)
{
	struct rxo_swqe *wqe = malloc(sizeof(*wqe) + room);
	enum ib_wc_status status;

	CHECK(wqe);
	status = rxo_swqe_parse(wqe, entry, bounds);
	CHECK(wqe->opcode <= IB_WR_BIND_MW || wqe->opcode == IB_WR_SEND_WITH_INV ||
	      wqe->opcode == IB_WR_FLUSH || wqe->opcode == IB_WR_ATOMIC_WRITE);
	if (status == IB_WC_SUCCESS && wqe->opcode == IB_WR_FLUSH) {
		CHECK(!bounds->ud && !wqe->num_sge && !(wqe->send_flags & IB_SEND_INLINE));
		CHECK(wqe->flush_placement && wqe->flush_placement <= 3);
	} else if (status == IB_WC_SUCCESS) {
		CHECK(wqe->length_bytes <= RXO_MAX_MSG_BYTES);
		CHECK(wqe->opcode != IB_WR_ATOMIC_WRITE || wqe->length_bytes == 8);
		CHECK(!bounds->ud || wqe->length_bytes <= bounds->max_datagram_bytes);
		CHECK(!bounds->ud || wqe->opcode == IB_WR_SEND ||
		      wqe->opcode == IB_WR_SEND_WITH_IMM);
		CHECK(!bounds->ud ||
		      keeps_address(wqe, &((const struct rxe_send_wqe *)entry)->wr.wr.ud.av));
		if (rxo_swqe_is_local(wqe))
			CHECK(!wqe->length_bytes && !wqe->num_sge);
		else if (wqe->send_flags & IB_SEND_INLINE)
			CHECK(wqe->length_bytes <= bounds->max_inline_bytes && !wqe->num_sge);
		else
			CHECK(wqe->num_sge <= bounds->max_sge &&
			      wqe->length_bytes == list_bytes(wqe->sge, wqe->num_sge));
	}
	free(wqe);
}

static void check_recv(const void *entry, u32 max_sge)
{
	struct rxo_rwqe wqe;

	if (rxo_rwqe_parse(&wqe, entry, max_sge)) {
		CHECK(!wqe.sgl.num && !wqe.sgl.length_bytes);
		return;
	}
	CHECK(wqe.sgl.num <= max_sge);
	CHECK(wqe.sgl.length_bytes == list_bytes(wqe.sgl.sge, wqe.sgl.num));
}

/* Every entry that the indices say is there, each in memory of exactly its size. */
static void walk(const struct input *in, const u8 *bytes, size_t size)
{
	struct rxo_swqe_bounds bounds = {
		.max_sge = in->max_sge % (RXO_MAX_SGE + 1),
		.max_inline_bytes = in->max_inline,
		.max_datagram_bytes = 256U << in->datagram % 5,
		.ud = in->flags & 1,
		.uc = in->flags & 4,
		.xrc = in->flags & 8,
	};
	bool send = in->flags & 2;
	u32 list = bounds.max_sge * sizeof(struct rxe_sge);
	u32 room = list > bounds.max_inline_bytes ? list : bounds.max_inline_bytes;
	u32 elem = send ? sizeof(struct rxe_send_wqe) + room : sizeof(struct rxe_recv_wqe) + list;
	u32 mask, shift, index, n;
	u8 *entry;

	if (!rxo_ring_shape(in->num % 64, elem, &mask, &shift))
		return;
	CHECK(1U << shift >= elem);
	n = rxo_ring_count(in->producer, in->consumer, mask);
	CHECK(n <= mask && rxo_ring_full(in->producer, in->consumer, mask) == (n == mask));
	entry = malloc(elem);
	CHECK(entry);
	for (index = in->consumer; n--; index = rxo_ring_add(index, 1, mask)) {
		size_t at = rxo_ring_offset(index, mask, shift), i;

		CHECK(at + elem <= rxo_ring_bytes(mask, shift));
		for (i = 0; i < elem; i++)
			entry[i] = size ? bytes[(at + i) % size] : 0;
		if (send)
			check_send(entry, &bounds, room);
		else
			check_recv(entry, bounds.max_sge);
	}
	free(entry);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	walk(&in, data + sizeof(in), size - sizeof(in));
	return 0;
}
