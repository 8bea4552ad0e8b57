/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Completions as the kernel writes them into a ring (kernel/rxe_odp/queue/cq.c). Pure. */
#ifndef RXO_CQE_H
#define RXO_CQE_H

#include <stdint.h>
#include <infiniband/verbs.h>
#include <rdma/ib_user_verbs.h>

#include "ring.h"

/*
 * Copies one completion. One whose status or opcode is none that a program could know is an error: it completes with
 * IBV_WC_GENERAL_ERR, whose other fields do not count.
 */
void rxo_cqe_parse(struct ibv_wc *to, const struct ib_uverbs_wc *from);

/*
 * Takes a queue pair's completions out of a CQ's ring, once the kernel adds no more of them. Those of others keep their order; the
 * kernel goes on adding behind the last.
 */
void rxo_cqe_forget(struct rxo_ring *ring, uint32_t qp_num);

#endif /* RXO_CQE_H */
