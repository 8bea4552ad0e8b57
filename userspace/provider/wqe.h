/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Work requests as the kernel reads them from a ring (kernel/rxe_odp/queue/wqe_parse.c). Pure.
 *
 * Of a WQE only that is written which the kernel looks at.
 */
#ifndef RXO_WQE_H
#define RXO_WQE_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_user_rxe.h>
#include <rdma/rxe_odp-abi.h>

#define RXO_MAX_MSG_BYTES 0x80000000U
#define RXO_ATOMIC_BYTES  8

/* What a queue was created with. */
struct rxo_wqe_bounds {
	uint32_t max_sge;
	uint32_t max_inline_bytes; /* send queues */
	bool ud;
	bool uc;
	bool xrc;
};

struct rxo_ah {
	struct ibv_ah ibah;
	uint32_t ah_num; /* names it in WQEs, never 0 */
};

/* Bytes of an entry of a queue with these bounds. */
size_t rxo_swqe_bytes(const struct rxo_wqe_bounds *bounds);
size_t rxo_rwqe_bytes(uint32_t max_sge);

/* IBV_QP_EX_WITH_* of what a queue pair of this kind executes. */
uint64_t rxo_send_ops(const struct rxo_wqe_bounds *bounds);

/*
 * The parts of a send WQE, in any order behind rxo_swqe_begin(), which looks at the opcode; errors are EINVAL, and leave a
 * WQE that must not be published. Two sums are looked at: that of inline data, for its room, and that of a list, for the longest message.
 */
int rxo_swqe_begin(struct rxe_send_wqe *wqe, uint64_t wr_id, unsigned int opcode,
		   unsigned int send_flags, const struct rxo_wqe_bounds *bounds);
int rxo_swqe_set_sges(struct rxe_send_wqe *wqe, const struct ibv_sge *sges, size_t num,
		      const struct rxo_wqe_bounds *bounds);
int rxo_swqe_set_inline(struct rxe_send_wqe *wqe, unsigned int opcode, unsigned int send_flags,
			const struct ibv_data_buf *bufs, size_t num,
			const struct rxo_wqe_bounds *bounds);
void rxo_swqe_set_rdma(struct rxe_send_wqe *wqe, uint64_t remote_addr, uint32_t rkey);
void rxo_swqe_set_atomic(struct rxe_send_wqe *wqe, uint64_t remote_addr, uint32_t rkey,
			 uint64_t compare_add, uint64_t swap);
void rxo_swqe_set_bind(struct rxe_send_wqe *wqe, const struct ibv_mw *mw, uint32_t rkey,
		       const struct ibv_mw_bind_info *info);
/* The bytes of an ATOMIC WRITE are in the WQE; where to is rxo_swqe_set_rdma()'s. */
void rxo_swqe_set_atomic_write(struct rxe_send_wqe *wqe, const void *data);
void rxo_swqe_set_flush(struct rxe_send_wqe *wqe, uint64_t remote_addr, uint32_t rkey,
			uint32_t length, uint8_t type, uint8_t level);
void rxo_swqe_set_ud(struct rxe_send_wqe *wqe, const struct ibv_ah *ah, uint32_t remote_qpn,
		     uint32_t remote_qkey);
void rxo_swqe_set_xrc(struct rxe_send_wqe *wqe, uint32_t srq_num);

/* A whole one of ibv_post_send(), ibv_post_recv(). */
int rxo_swqe_fill(struct rxe_send_wqe *wqe, const struct ibv_send_wr *wr,
		  const struct rxo_wqe_bounds *bounds);
int rxo_rwqe_fill(struct rxe_recv_wqe *wqe, const struct ibv_recv_wr *wr, uint32_t max_sge);

#endif /* RXO_WQE_H */
