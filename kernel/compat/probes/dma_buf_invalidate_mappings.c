// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-buf.h>

void probe(struct dma_buf_attachment *attach);

const struct dma_buf_attach_ops ops = { .invalidate_mappings = probe };
