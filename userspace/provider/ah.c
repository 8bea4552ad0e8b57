// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Address handles: the kernel resolves the address once, and work requests name it by number. */
#include <stdlib.h>

#include "provider.h"

struct ibv_ah *rxo_create_ah(struct ibv_pd *ibpd, struct ibv_ah_attr *attr)
{
	struct rxo_create_ah_cmd_resp resp = {};
	struct rxo_ah *ah = calloc(1, sizeof(*ah));
	int err;

	if (!ah)
		return NULL;
	err = ibv_cmd_create_ah(ibpd, &ah->ibah, attr, &resp.ibv_resp, sizeof(resp));
	if (err)
		goto err_free;
	/* 0 is none: a work request with it would have to carry the address itself. */
	if (!resp.ah_num) {
		err = EIO;
		goto err_destroy;
	}
	ah->ah_num = resp.ah_num;
	return &ah->ibah;

err_destroy:
	ibv_cmd_destroy_ah(&ah->ibah);
err_free:
	free(ah);
	errno = err;
	return NULL;
}

int rxo_destroy_ah(struct ibv_ah *ibah)
{
	int err = ibv_cmd_destroy_ah(ibah);

	if (err)
		return err;
	free(container_of(ibah, struct rxo_ah, ibah));
	return 0;
}
