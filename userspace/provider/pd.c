// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Protection domains, parent domains and thread domains. The kernel knows protection domains alone; a parent domain is
 * another name for one, which adds what the process knows: that what is made in it is used by one thread at a time.
 */
#include <stdlib.h>

#include "provider.h"

void rxo_pd_join(struct rxo_pd *pd)
{
	atomic_fetch_add(&pd->users, 1);
}

void rxo_pd_leave(struct rxo_pd *pd)
{
	atomic_fetch_sub(&pd->users, 1);
}

bool rxo_pd_single_threaded(const struct rxo_pd *pd)
{
	return pd->td;
}

struct ibv_pd *rxo_alloc_pd(struct ibv_context *ibctx)
{
	struct ib_uverbs_alloc_pd_resp resp;
	struct ibv_alloc_pd cmd;
	struct rxo_pd *pd;
	int err;

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	err = ibv_cmd_alloc_pd(ibctx, &pd->ibpd, &cmd, sizeof(cmd), &resp, sizeof(resp));
	if (err) {
		free(pd);
		errno = err;
		return NULL;
	}
	return &pd->ibpd;
}

struct ibv_pd *rxo_alloc_parent_domain(struct ibv_context *ibctx,
				       struct ibv_parent_domain_init_attr *attr)
{
	struct rxo_pd *pd;

	if (ibv_check_alloc_parent_domain(attr))
		return NULL;
	/* Rings are the kernel's memory: a program's allocator is never asked for any. */
	if (!check_comp_mask(attr->comp_mask, IBV_PARENT_DOMAIN_INIT_ATTR_ALLOCATORS |
						      IBV_PARENT_DOMAIN_INIT_ATTR_PD_CONTEXT)) {
		errno = EINVAL;
		return NULL;
	}
	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	pd->domain = to_rxo_pd(attr->pd);
	rxo_pd_join(pd->domain);
	if (attr->td) {
		pd->td = container_of(attr->td, struct rxo_td, ibtd);
		atomic_fetch_add(&pd->td->users, 1);
	}
	ibv_initialize_parent_domain(&pd->ibpd, attr->pd);
	return &pd->ibpd;
}

static void parent_domain_free(struct rxo_pd *pd)
{
	if (pd->td)
		atomic_fetch_sub(&pd->td->users, 1);
	rxo_pd_leave(pd->domain);
	free(pd);
}

int rxo_dealloc_pd(struct ibv_pd *ibpd)
{
	struct rxo_pd *pd = to_rxo_pd(ibpd);
	int err;

	if (atomic_load(&pd->users))
		return EBUSY;
	if (pd->domain) {
		parent_domain_free(pd);
		return 0;
	}
	err = ibv_cmd_dealloc_pd(ibpd);
	if (err)
		return err;
	free(pd);
	return 0;
}

struct ibv_pd *rxo_import_pd(struct ibv_context *ibctx, uint32_t handle)
{
	struct rxo_pd *pd = calloc(1, sizeof(*pd));

	if (!pd)
		return NULL;
	pd->ibpd.context = ibctx;
	pd->ibpd.handle = handle;
	return &pd->ibpd;
}

void rxo_unimport_pd(struct ibv_pd *ibpd)
{
	free(to_rxo_pd(ibpd));
}

struct ibv_td *rxo_alloc_td(struct ibv_context *ibctx, struct ibv_td_init_attr *attr)
{
	struct rxo_td *td;

	if (attr->comp_mask) {
		errno = EINVAL;
		return NULL;
	}
	td = calloc(1, sizeof(*td));
	if (!td)
		return NULL;
	td->ibtd.context = ibctx;
	return &td->ibtd;
}

int rxo_dealloc_td(struct ibv_td *ibtd)
{
	struct rxo_td *td = container_of(ibtd, struct rxo_td, ibtd);

	if (atomic_load(&td->users))
		return EBUSY;
	free(td);
	return 0;
}
