// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The provider's side of a ring under libFuzzer, with a kernel that writes what it likes: the geometry, both indexes again and
 * again, and every byte of completions. Nothing outside the mapping is touched, every loop ends, and what a program is told is
 * a completion or an error.
 */
#include <stdlib.h>
#include <string.h>

#include "cqe.h"
#include "fuzz.h"
#include "ring.h"
#include "wqe.h"

struct input {
	uint32_t mask, shift;
	uint8_t honest, pages, max_sge, max_inline, ud;
};

struct bytes {
	const uint8_t *data;
	size_t left;
};

static void take(struct bytes *in, void *to, size_t num)
{
	memset(to, 0, num);
	if (num > in->left)
		num = in->left;
	memcpy(to, in->data, num);
	in->data += num;
	in->left -= num;
}

static uint32_t take_word(struct bytes *in)
{
	uint32_t word;

	take(in, &word, sizeof(word));
	return word;
}

static void scribble(struct rxo_ring *ring, struct bytes *in)
{
	uint32_t at = take_word(in);
	size_t bytes = (size_t)1 << ring->elem_shift;

	ring->buf->producer_index = take_word(in);
	ring->buf->consumer_index = take_word(in);
	take(in, ring->buf->data + ((size_t)(at & ring->mask) << ring->elem_shift),
	     bytes < in->left ? bytes : in->left);
}

static void poll(struct rxo_ring *ring)
{
	uint32_t num = rxo_ring_filled(ring), i;
	struct ibv_wc wc;

	CHECK(num <= ring->mask);
	for (i = 0; i < num && i < 64; i++) {
		rxo_cqe_parse(&wc, rxo_ring_at(ring, i));
		CHECK(wc.status <= IBV_WC_GENERAL_ERR);
		CHECK(wc.status || wc.opcode <= IBV_WC_LOCAL_INV || wc.opcode == IBV_WC_FLUSH ||
		      wc.opcode == IBV_WC_ATOMIC_WRITE || wc.opcode == IBV_WC_RECV ||
		      wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM);
	}
	rxo_ring_take(ring, i);
	CHECK(ring->index <= ring->mask);
}

#define MODEL 64

/* The completions of others, as a list. */
static uint32_t list_others(const struct rxo_ring *ring, uint32_t qp_num, struct ib_uverbs_wc *list)
{
	uint32_t num = rxo_ring_filled(ring), n = 0, i;

	for (i = 0; i < num && i < MODEL; i++) {
		memcpy(&list[n], rxo_ring_at(ring, i), sizeof(*list));
		n += list[n].qp_num != qp_num;
	}
	return n;
}

/* The one's completions go, and the others' stay as they were. */
static void forget(struct rxo_ring *ring, uint32_t qp_num)
{
	struct ib_uverbs_wc before[MODEL], after[MODEL];
	uint32_t filled = rxo_ring_filled(ring), n;

	n = list_others(ring, qp_num, before);
	rxo_cqe_forget(ring, qp_num);
	if (filled > MODEL)
		return;
	CHECK(rxo_ring_filled(ring) == n);
	CHECK(list_others(ring, qp_num, after) == n);
	CHECK(!memcmp(before, after, n * sizeof(*before)));
}

static void post(struct rxo_ring *ring, const struct rxo_wqe_bounds *bounds, struct bytes *in)
{
	static uint8_t data[256];
	static struct rxo_ah ah = { .ah_num = 1 };
	struct ibv_sge sges[64] = {};
	static struct ibv_mw mw;
	struct ibv_send_wr wr = { .sg_list = sges, .bind_mw.mw = &mw };
	uint32_t room = rxo_ring_room(ring), i;
	int err;

	CHECK(room <= ring->mask);
	wr.opcode = take_word(in) % 20;
	wr.send_flags = take_word(in) % 32;
	wr.num_sge = take_word(in) % 64;
	for (i = 0; i < 64; i++) {
		sges[i].addr = (uintptr_t)data;
		sges[i].length = take_word(in) % sizeof(data);
	}
	if (bounds->ud)
		wr.wr.ud.ah = &ah.ibah;
	for (i = 0; i < room && i < 8; i++) {
		err = rxo_swqe_fill(rxo_ring_at(ring, i), &wr, bounds);
		CHECK(err == 0 || err == EINVAL);
		if (err)
			break;
	}
	rxo_ring_post(ring, i);
	CHECK(ring->index <= ring->mask);
}

static void batch_inline(struct rxo_ring *ring, const struct rxo_wqe_bounds *bounds,
			 struct bytes *in)
{
	static uint8_t data[256];
	struct ibv_data_buf bufs[4];
	struct rxe_send_wqe *wqe = rxo_ring_at(ring, 0);
	unsigned int opcode = take_word(in) % 20;
	int i;

	if (rxo_swqe_begin(wqe, 1, opcode, 0, bounds))
		return;
	/* What stands in the entry meanwhile is the kernel's word. */
	scribble(ring, in);
	for (i = 0; i < 4; i++)
		bufs[i] = (struct ibv_data_buf){ data, take_word(in) % sizeof(data) };
	rxo_swqe_set_inline(wqe, opcode, 0, bufs, 4, bounds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct rxo_wqe_bounds bounds = {};
	struct rxe_queue_buf *buf;
	struct rxo_ring ring;
	struct input input;
	size_t bytes;

	take(&in, &input, sizeof(input));
	bounds.max_sge = input.max_sge % 33;
	bounds.max_inline_bytes = input.max_inline;
	bounds.ud = input.ud & 1;
	bounds.uc = input.ud & 2;
	bounds.xrc = input.ud & 4;
	if (input.honest & 1) {
		input.shift = 8 + input.shift % 3;
		input.mask = (2U << (input.mask % 6)) - 1;
		bytes = sizeof(*buf) + (((size_t)input.mask + 1) << input.shift);
	} else {
		bytes = input.pages * 256;
	}
	buf = calloc(1, bytes > sizeof(*buf) ? bytes : sizeof(*buf));
	CHECK(buf);
	buf->log2_elem_size = input.shift;
	buf->index_mask = input.mask;
	if (!rxo_ring_init(&ring, buf, bytes, rxo_swqe_bytes(&bounds))) {
		CHECK(sizeof(*buf) + (((size_t)ring.mask + 1) << ring.elem_shift) <= bytes);
		while (in.left) {
			scribble(&ring, &in);
			forget(&ring, take_word(&in) % 4);
			poll(&ring);
			scribble(&ring, &in);
			post(&ring, &bounds, &in);
			batch_inline(&ring, &bounds, &in);
			rxo_ring_resume_posting(&ring);
			rxo_ring_resume_polling(&ring);
		}
		rxo_ring_kill(&ring);
		CHECK(!rxo_ring_room(&ring) && !rxo_ring_filled(&ring));
	}
	free(buf);
	return 0;
}
