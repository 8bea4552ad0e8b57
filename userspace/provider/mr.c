// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory regions: the kernel's, all of them. */
#include <stdlib.h>

#include "provider.h"

/* What a verb returns that made @vmr, or failed to. */
static struct ibv_mr *mr_made(struct verbs_mr *vmr, int err)
{
	if (!err)
		return &vmr->ibv_mr;
	free(vmr);
	errno = err;
	return NULL;
}

struct ibv_mr *rxo_reg_mr(struct ibv_pd *ibpd, void *addr, size_t length, uint64_t iova, int access)
{
	struct verbs_mr *vmr = calloc(1, sizeof(*vmr));
	struct ib_uverbs_reg_mr_resp resp;
	struct ibv_reg_mr cmd;

	if (!vmr)
		return NULL;
	return mr_made(vmr, ibv_cmd_reg_mr(ibpd, addr, length, iova, access, vmr, &cmd, sizeof(cmd),
					   &resp, sizeof(resp)));
}

struct ibv_mr *rxo_reg_dmabuf_mr(struct ibv_pd *ibpd, uint64_t offset, size_t length, uint64_t iova,
				 int fd, int access)
{
	struct verbs_mr *vmr = calloc(1, sizeof(*vmr));

	if (!vmr)
		return NULL;
	return mr_made(vmr,
		       ibv_cmd_reg_dmabuf_mr(ibpd, offset, length, iova, fd, access, vmr, NULL));
}

int rxo_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *ibpd, void *addr, size_t length,
		 int access)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct ibv_rereg_mr cmd;

	return ibv_cmd_rereg_mr(vmr, flags, addr, length, (uintptr_t)addr, access, ibpd, &cmd,
				sizeof(cmd), &resp, sizeof(resp));
}

int rxo_dereg_mr(struct verbs_mr *vmr)
{
	int err = ibv_cmd_dereg_mr(vmr);

	if (err)
		return err;
	free(vmr);
	return 0;
}

struct ibv_mr *rxo_import_mr(struct ibv_pd *ibpd, uint32_t handle)
{
	struct verbs_mr *vmr = calloc(1, sizeof(*vmr));

	if (!vmr)
		return NULL;
	return mr_made(vmr, ibv_cmd_query_mr(ibpd, vmr, handle));
}

void rxo_unimport_mr(struct ibv_mr *ibmr)
{
	free(verbs_get_mr(ibmr));
}
