/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* dma-bufs of the kernel's exporters and of rxe_odp_exporter.ko, and their registration. */
#ifndef TESTS_GUEST_DMABUF_H
#define TESTS_GUEST_DMABUF_H

#include "mem.h"

#include <rxe_odp/selftest.h>

enum exporter {
	EXPORTER_OURS,	  /* with flags */
	EXPORTER_UDMABUF, /* a memfd's pages */
	EXPORTER_HEAP,	  /* the system heap */
};

/* A new buffer's descriptor. Skips the test where the kernel has no such exporter. */
int dmabuf_export(enum exporter exporter, uint32_t flags, size_t bytes);
/* Of a buffer of ours. */
struct rxe_odp_export_uses dmabuf_uses(int fd);
/* 0 or an errno: it is taken back and freed. */
int dmabuf_revoke(int fd);
/* DMA_BUF_IOCTL_SYNC around what the CPU does with a mapping. */
void dmabuf_sync(int fd, bool start);

/*
 * ibv_reg_dmabuf_mr(), or where stock librxe drives the device, which has none, the ioctl itself. NULL with errno;
 * dmabuf_dereg() alone takes the region back.
 */
struct ibv_mr *dmabuf_reg(struct ibv_pd *pd, uint64_t offset, uint64_t length, uint64_t iova,
			  int fd, int access);
int dmabuf_dereg(struct ibv_mr *mr);

/* A buffer, mapped, with guards, and the target between them registered: its iova is its address. */
void dmabuf_make(struct buf *buf, struct ibv_pd *pd, enum exporter exporter, uint32_t flags,
		 size_t bytes, size_t page_offset, int access);
void dmabuf_free(struct buf *buf);

#endif
