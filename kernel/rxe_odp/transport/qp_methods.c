// SPDX-License-Identifier: GPL-2.0
/* What a process can ask of its queue pairs beside the verbs (docs/user-abi.md). */
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>

#include "queue/ctx.h"
#include "transport/qp.h"

#define UVERBS_MODULE_NAME rxo_qp
#include <rdma/uverbs_named_ioctl.h>

static int UVERBS_HANDLER(RXE_ODP_METHOD_QP_ACCESS_ERROR)(struct uverbs_attr_bundle *attrs)
{
	struct ib_qp *ibqp = uverbs_attr_get_obj(attrs, RXE_ODP_ATTR_QP_ACCESS_ERROR_HANDLE);
	u64 uctx_id = to_rxo_ucontext(attrs->context)->id;
	struct rxe_odp_access_error error;

	/* An XRC target's object is ib_core's own, one for each process that opened it. */
	rxo_access_error_read(to_rxo_qp(ibqp->real_qp), uctx_id, &error);
	return uverbs_copy_to_struct_or_zero(attrs, RXE_ODP_ATTR_QP_ACCESS_ERROR_RESP, &error,
					     sizeof(error));
}

DECLARE_UVERBS_NAMED_METHOD(RXE_ODP_METHOD_QP_ACCESS_ERROR,
			    UVERBS_ATTR_IDR(RXE_ODP_ATTR_QP_ACCESS_ERROR_HANDLE, UVERBS_OBJECT_QP,
					    UVERBS_ACCESS_READ, UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_ODP_ATTR_QP_ACCESS_ERROR_RESP,
						UVERBS_ATTR_MIN_SIZE(sizeof(u64)), UA_MANDATORY));

ADD_UVERBS_METHODS(qp_methods, UVERBS_OBJECT_QP, &UVERBS_METHOD(RXE_ODP_METHOD_QP_ACCESS_ERROR));

const struct uapi_definition rxo_qp_uapi[] = {
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_QP, &qp_methods),
	{},
};
