// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory regions: the kernel's, all of them.
 *
 * Fork. After ibv_fork_init(), where the kernel does not copy pinned pages for a child at once (Linux before 5.12, or where it
 * cannot be asked), libibverbs keeps registered memory from children: ibv_dontfork_range() before a registration that the
 * program did not ask to be on demand, ibv_dofork_range() after a deregistration of what is not. Memory on demand needs none of
 * that, for the NIC follows the parent's page tables as its CPUs do; so what becomes so by policy is given back to children
 * here, and marked in verbs_mr.access for libibverbs' deregistration. In its table each pinned region counts once, one on
 * demand not at all.
 */
#include <infiniband/rxe_odp_dv.h>
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

static pthread_once_t counts_once = PTHREAD_ONCE_INIT;
static bool counts;

static void mr_find_counts(void)
{
	counts = ibv_is_fork_initialized() == IBV_FORK_ENABLED;
}

/* Does libibverbs count? It cannot begin to when there is a plain registration. */
static bool mr_counts(void)
{
	pthread_once(&counts_once, mr_find_counts);
	return counts;
}

/* The rights of a region with what the kernel has made of them; what the device says is asked for only where it matters. */
static int mr_access(struct ibv_mr *ibmr, int access)
{
	enum rxo_register plain = to_rxo_context(ibmr->context)->plain;
	struct rxe_odp_dv_mr_stats stats;

	if (access & IBV_ACCESS_ON_DEMAND)
		return access;
	if (plain == RXO_REGISTER_UNSET && mr_counts() &&
	    !rxe_odp_dv_query_mr(ibmr, &stats, sizeof(stats)) &&
	    stats.kind == RXE_ODP_DV_MR_ON_DEMAND)
		plain = RXO_REGISTER_ON_DEMAND;
	return plain == RXO_REGISTER_ON_DEMAND ? access | IBV_ACCESS_ON_DEMAND : access;
}

struct ibv_mr *rxo_reg_mr(struct ibv_pd *ibpd, void *addr, size_t length, uint64_t iova, int access)
{
	struct verbs_mr *vmr = calloc(1, sizeof(*vmr));
	struct ib_uverbs_reg_mr_resp resp;
	struct ibv_reg_mr cmd;
	int err;

	if (!vmr)
		return NULL;
	err = ibv_cmd_reg_mr(ibpd, addr, length, iova, access, vmr, &cmd, sizeof(cmd), &resp,
			     sizeof(resp));
	if (!err) {
		vmr->access = mr_access(&vmr->ibv_mr, access);
		if (vmr->access != access)
			ibv_dofork_range(addr, length);
	}
	return mr_made(vmr, err);
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

/* What libibverbs counts for a change of the translation, it counts for pinned regions: the new memory now, the old one next. */
static void mr_recount(struct verbs_mr *vmr, int flags, void *addr, size_t length, int access)
{
	bool was = vmr->access & IBV_ACCESS_ON_DEMAND, is = access & IBV_ACCESS_ON_DEMAND;
	struct ibv_mr *ibmr = &vmr->ibv_mr;

	if (!(flags & IBV_REREG_MR_CHANGE_TRANSLATION)) {
		if (was == is)
			return;
		addr = ibmr->addr;
		length = ibmr->length;
	}
	if (was)
		ibv_dontfork_range(ibmr->addr, ibmr->length);
	if (is)
		ibv_dofork_range(addr, length);
}

int rxo_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *ibpd, void *addr, size_t length,
		 int access)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct ibv_rereg_mr cmd;
	int err, now = vmr->access;

	err = ibv_cmd_rereg_mr(vmr, flags, addr, length, (uintptr_t)addr, access, ibpd, &cmd,
			       sizeof(cmd), &resp, sizeof(resp));
	if (err)
		return err;
	if (flags & IBV_REREG_MR_CHANGE_ACCESS)
		now = mr_access(&vmr->ibv_mr, access);
	mr_recount(vmr, flags, addr, length, now);
	vmr->access = now;
	return 0;
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
