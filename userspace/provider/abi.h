/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What goes to the kernel with each verb, and what comes back, behind libibverbs' own part. All of it is rxe's
 * (<rdma/rdma_user_rxe.h>) but for what <rdma/rxe_odp-abi.h> adds.
 */
#ifndef RXO_ABI_H
#define RXO_ABI_H

#include <infiniband/driver.h>
#include <infiniband/kern-abi.h>
#include <rdma/rdma_user_rxe.h>
#include <rdma/rxe_odp-abi.h>
#include <kernel-abi/rdma_user_rxe.h>
#include <kernel-abi/rxe_odp-abi.h>

/* The version of rxe's user ABI. */
#define RXO_RXE_ABI 2

DECLARE_DRV_CMD(rxo_get_context, IB_USER_VERBS_CMD_GET_CONTEXT, rxe_odp_alloc_ucontext_req,
		rxe_odp_alloc_ucontext_resp);
DECLARE_DRV_CMD(rxo_create_ah_cmd, IB_USER_VERBS_CMD_CREATE_AH, empty, rxe_create_ah_resp);
DECLARE_DRV_CMD(rxo_create_cq_cmd, IB_USER_VERBS_EX_CMD_CREATE_CQ, empty, rxe_create_cq_resp);
DECLARE_DRV_CMD(rxo_resize_cq_cmd, IB_USER_VERBS_CMD_RESIZE_CQ, empty, rxe_resize_cq_resp);
DECLARE_DRV_CMD(rxo_create_srq_cmd, IB_USER_VERBS_CMD_CREATE_XSRQ, empty, rxe_create_srq_resp);
DECLARE_DRV_CMD(rxo_modify_srq_cmd, IB_USER_VERBS_CMD_MODIFY_SRQ, rxe_modify_srq_cmd, empty);
DECLARE_DRV_CMD(rxo_create_qp_cmd, IB_USER_VERBS_EX_CMD_CREATE_QP, empty, rxe_create_qp_resp);

#endif /* RXO_ABI_H */
