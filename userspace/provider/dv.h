/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the functions of the direct interface have in common. */
#ifndef RXO_DV_H
#define RXO_DV_H

#include <infiniband/cmd_ioctl.h>
#include <infiniband/rxe_odp_dv.h>

#include "device.h"
#include "provider.h"

/* The library shows nothing but these. */
#define RXO_DV_EXPORT __attribute__((visibility("default")))

/* How long a structure is that ends with @field: that of this interface's first version. */
#define RXO_DV_THROUGH(type, field) (offsetof(type, field) + sizeof(((type *)NULL)->field))

/* A name of the kernel's and one of the interface's that stand for the same. */
#define RXO_DV_SAME(ours, kernels) static_assert((int)(ours) == (int)(kernels), #ours)

/* 0 or what is to be returned instead; looks at nothing that is another provider's. */
static inline int rxo_dv_refuse(const struct ibv_context *ibctx, size_t size, size_t least_bytes)
{
	if (!ibctx || size < least_bytes)
		return EINVAL;
	return rxo_device_is_ours(ibctx->device) ? 0 : EOPNOTSUPP;
}

/*
 * What the public structures have behind comp_mask is the kernel's, in the kernel's layout: so it is filled in place. An older
 * kernel fills less, and zeroes the rest.
 */
struct rxo_dv_filled {
	void *bytes;
	size_t len;
};

static inline struct rxo_dv_filled rxo_dv_begin(void *to, size_t size, size_t known_bytes)
{
	memset(to, 0, size);
	if (size > known_bytes)
		size = known_bytes;
	return (struct rxo_dv_filled){ (uint8_t *)to + sizeof(uint64_t), size - sizeof(uint64_t) };
}

/* A method that the kernel does not know. */
static inline int rxo_dv_error(int err)
{
	return err == EPROTONOSUPPORT ? EOPNOTSUPP : err;
}

#endif /* RXO_DV_H */
