// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <sys/mman.h>

#include "provider.h"

int rxo_ring_map(struct rxo_ring *ring, struct ibv_context *ibctx, const struct mminfo *mi,
		 size_t elem_bytes)
{
	void *buf;
	int err;

	if (!mi->size)
		return EIO;
	buf = mmap(NULL, mi->size, PROT_READ | PROT_WRITE, MAP_SHARED, ibctx->cmd_fd, mi->offset);
	if (buf == MAP_FAILED)
		return errno;
	err = rxo_ring_init(ring, buf, mi->size, elem_bytes);
	if (err)
		munmap(buf, mi->size);
	return err;
}

void rxo_ring_unmap(struct rxo_ring *ring)
{
	if (ring->buf)
		munmap(ring->buf, ring->buf_bytes);
	ring->buf = NULL;
	rxo_ring_kill(ring);
}
