/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of a dma-buf, reached by the CPU. A device with a DMA engine maps a buffer for its bus;
 * this one copies, so it asks the exporter for a kernel address instead (vmap).
 */
#ifndef RXO_DMABUF_H
#define RXO_DMABUF_H

#include <linux/types.h>

struct rxo_dev;
struct rxo_dmabuf;

/**
 * rxo_dmabuf_open - hold [offset, offset + length) of a dma-buf ready for accesses
 * @dev: for which device
 * @fd: of current, hostile
 * @offset: into the buffer, hostile
 * @length: bytes, hostile
 *
 * May sleep: until the exporter has the buffer in memory, and what other devices do with it has
 * ended. ERR_PTR: -EBADF, -EINVAL (no dma-buf, or not so large), -EACCES (the descriptor is for
 * writing alone), -EOPNOTSUPP (this exporter has no kernel address for it, or not one of memory),
 * -ERESTARTSYS, and what the exporter says.
 */
struct rxo_dmabuf *rxo_dmabuf_open(struct rxo_dev *dev, int fd, u64 offset, u64 length);

/* No access is under way, and none follows. May sleep. */
void rxo_dmabuf_close(struct rxo_dmabuf *dmabuf);

/* Whether the descriptor that it was opened by may be written through. */
bool rxo_dmabuf_is_writable(const struct rxo_dmabuf *dmabuf);

/* Whether the exporter has taken it back, which it may do at any moment, for good. Any context. */
bool rxo_dmabuf_is_taken_back(const struct rxo_dmabuf *dmabuf);

/*
 * The kernel address of @offset, good until rxo_dmabuf_end(); NULL, with no end, if the exporter
 * has taken the buffer back. Any context up to softirq; no sleep until the end.
 */
void *rxo_dmabuf_begin(const struct rxo_dmabuf *dmabuf, u64 offset);
void rxo_dmabuf_end(void);

#endif /* RXO_DMABUF_H */
