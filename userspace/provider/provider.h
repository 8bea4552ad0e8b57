/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * librxe_odp: the libibverbs provider of rxe_odp's devices.
 *
 * Objects and verbs. Each .c file is about one noun; ring.h, wqe and cqe are pure and know no libibverbs but its public types.
 *
 * Locks: a ring has a lock for this process's side of it, held while entries are written or read. None is ever taken under
 * another. Objects that are used by one thread at a time (a thread domain, a CQ made so) take none.
 */
#ifndef RXO_PROVIDER_H
#define RXO_PROVIDER_H

#include <pthread.h>
#include <stdatomic.h>

#include "abi.h"
#include "policy.h"
#include "ring.h"
#include "wqe.h"

struct rxo_device {
	struct verbs_device vdev;
};

struct rxo_context {
	struct verbs_context vctx;
	uint64_t caps; /* RXE_ODP_CAP_* that the kernel has as well */
	enum rxo_register
		plain; /* registrations; UNSET: as the device has it, or who opened it before us */
};

struct rxo_lock {
	pthread_mutex_t mutex;
	bool unneeded; /* one thread at a time, as the program promised */
};

struct rxo_td {
	struct ibv_td ibtd;
	atomic_int users; /* parent domains */
};

/* A protection domain, or a parent domain, which names one and perhaps a thread domain. */
struct rxo_pd {
	struct ibv_pd ibpd;
	struct rxo_pd *domain; /* of a parent domain: what it names */
	struct rxo_td *td;
	atomic_int users; /* parent domains that name it, objects in a parent domain */
};

struct rxo_cq {
	struct verbs_cq vcq;
	struct rxo_ring ring;
	struct rxo_lock lock;
	struct rxo_pd *parent;
	struct ibv_wc wc; /* the completion that an extended poll stands at */
};

struct rxo_srq {
	struct verbs_srq vsrq;
	struct rxo_ring ring;
	struct rxo_lock lock;
	uint32_t max_sge;
	struct rxo_pd *parent;
};

/* A batch of ibv_wr_*(), between start and complete or abort, under sq_lock. */
struct rxo_batch {
	uint32_t num;	     /* WQEs that were begun */
	int err;	     /* the first error */
	unsigned int opcode; /* of the last WQE */
	unsigned int send_flags;
	struct rxe_send_wqe *wqe; /* NULL: an error, nothing more is written */
};

struct rxo_qp {
	struct verbs_qp vqp;
	struct rxo_ring sq, rq; /* no rq with an SRQ or for XRC, no sq for a target */
	struct rxo_lock sq_lock, rq_lock;
	struct rxo_wqe_bounds bounds;
	uint32_t max_recv_sge;
	struct rxo_batch batch;
	struct rxo_pd *parent;
	atomic_bool failed; /* an asynchronous event said so; RESET makes it good */
};

static inline struct rxo_context *to_rxo_context(struct ibv_context *ibctx)
{
	return container_of(ibctx, struct rxo_context, vctx.context);
}

static inline struct rxo_pd *to_rxo_pd(struct ibv_pd *ibpd)
{
	return container_of(ibpd, struct rxo_pd, ibpd);
}

static inline struct rxo_cq *to_rxo_cq(struct ibv_cq *ibcq)
{
	return container_of(ibcq, struct rxo_cq, vcq.cq);
}

static inline struct rxo_cq *to_rxo_cq_ex(struct ibv_cq_ex *ibcq)
{
	return container_of(ibcq, struct rxo_cq, vcq.cq_ex);
}

static inline struct rxo_srq *to_rxo_srq(struct ibv_srq *ibsrq)
{
	return container_of(ibsrq, struct rxo_srq, vsrq.srq);
}

static inline struct rxo_qp *to_rxo_qp(struct ibv_qp *ibqp)
{
	return container_of(ibqp, struct rxo_qp, vqp.qp);
}

/* Rings are mapped where there is something to post. */
static inline bool rxo_ring_is_there(const struct rxo_ring *ring)
{
	return ring->buf;
}

static inline struct rxo_qp *to_rxo_qp_ex(struct ibv_qp_ex *ibqp)
{
	return container_of(ibqp, struct rxo_qp, vqp.qp_ex);
}

/* lock.c */
void rxo_lock_init(struct rxo_lock *lock, bool unneeded);
void rxo_lock_destroy(struct rxo_lock *lock);

static inline void rxo_lock(struct rxo_lock *lock)
{
	if (!lock->unneeded)
		pthread_mutex_lock(&lock->mutex);
}

static inline void rxo_unlock(struct rxo_lock *lock)
{
	if (!lock->unneeded)
		pthread_mutex_unlock(&lock->mutex);
}

/* map.c: 0 or an errno. A ring whose unmapping was asked for is dead. */
int rxo_ring_map(struct rxo_ring *ring, struct ibv_context *ibctx, const struct mminfo *mi,
		 size_t elem_bytes);
void rxo_ring_unmap(struct rxo_ring *ring);

/* pd.c. An object may be made in a parent domain: it keeps that in use, and may do without locks. */
void rxo_pd_join(struct rxo_pd *pd);
void rxo_pd_leave(struct rxo_pd *pd);
bool rxo_pd_single_threaded(const struct rxo_pd *pd);
struct ibv_pd *rxo_alloc_pd(struct ibv_context *ibctx);
struct ibv_pd *rxo_alloc_parent_domain(struct ibv_context *ibctx,
				       struct ibv_parent_domain_init_attr *attr);
int rxo_dealloc_pd(struct ibv_pd *ibpd);
struct ibv_pd *rxo_import_pd(struct ibv_context *ibctx, uint32_t handle);
void rxo_unimport_pd(struct ibv_pd *ibpd);
struct ibv_td *rxo_alloc_td(struct ibv_context *ibctx, struct ibv_td_init_attr *attr);
int rxo_dealloc_td(struct ibv_td *ibtd);

/* mr.c */
struct ibv_mr *rxo_reg_mr(struct ibv_pd *ibpd, void *addr, size_t length, uint64_t iova,
			  int access);
struct ibv_mr *rxo_reg_dmabuf_mr(struct ibv_pd *ibpd, uint64_t offset, size_t length, uint64_t iova,
				 int fd, int access);
int rxo_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *ibpd, void *addr, size_t length,
		 int access);
int rxo_dereg_mr(struct verbs_mr *vmr);
struct ibv_mr *rxo_import_mr(struct ibv_pd *ibpd, uint32_t handle);
void rxo_unimport_mr(struct ibv_mr *ibmr);

/* mw.c */
struct ibv_mw *rxo_alloc_mw(struct ibv_pd *ibpd, enum ibv_mw_type type);
int rxo_dealloc_mw(struct ibv_mw *ibmw);
int rxo_bind_mw(struct ibv_qp *ibqp, struct ibv_mw *ibmw, struct ibv_mw_bind *bind);

/* ah.c */
struct ibv_ah *rxo_create_ah(struct ibv_pd *ibpd, struct ibv_ah_attr *attr);
int rxo_destroy_ah(struct ibv_ah *ibah);

/* cq.c, cq_ex.c. A queue pair's completions go with it, and with its RESET: rxo_cq_forget(), once the kernel adds none. */
void rxo_cq_forget(struct rxo_cq *cq, uint32_t qp_num);
struct ibv_cq *rxo_create_cq(struct ibv_context *ibctx, int cqe, struct ibv_comp_channel *channel,
			     int comp_vector);
struct ibv_cq_ex *rxo_create_cq_ex(struct ibv_context *ibctx, struct ibv_cq_init_attr_ex *attr);
int rxo_resize_cq(struct ibv_cq *ibcq, int cqe);
int rxo_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc);
int rxo_destroy_cq(struct ibv_cq *ibcq);
void rxo_cq_ex_init(struct ibv_cq_ex *cq, uint64_t wc_flags);

/* srq.c */
struct ibv_srq *rxo_create_srq(struct ibv_pd *ibpd, struct ibv_srq_init_attr *attr);
struct ibv_srq *rxo_create_srq_ex(struct ibv_context *ibctx, struct ibv_srq_init_attr_ex *attr);
int rxo_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask);
int rxo_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr);
int rxo_destroy_srq(struct ibv_srq *ibsrq);
int rxo_get_srq_num(struct ibv_srq *ibsrq, uint32_t *srq_num);
int rxo_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

/* xrcd.c */
struct ibv_xrcd *rxo_open_xrcd(struct ibv_context *ibctx, struct ibv_xrcd_init_attr *attr);
int rxo_close_xrcd(struct ibv_xrcd *ibxrcd);
struct ibv_qp *rxo_open_qp(struct ibv_context *ibctx, struct ibv_qp_open_attr *attr);

/* qp.c */
struct ibv_qp *rxo_create_qp(struct ibv_pd *ibpd, struct ibv_qp_init_attr *attr);
struct ibv_qp *rxo_create_qp_ex(struct ibv_context *ibctx, struct ibv_qp_init_attr_ex *attr);
int rxo_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask);
int rxo_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init);
int rxo_destroy_qp(struct ibv_qp *ibqp);
void rxo_async_event(struct ibv_context *ibctx, struct ibv_async_event *event);

/* post.c: posting; rxo_post_doorbell() under sq_lock, after WQEs were published: 0 or an errno, and then they are gone. */
int rxo_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
int rxo_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
int rxo_post_doorbell(struct rxo_qp *qp);
int rxo_post_sent(struct rxo_qp *qp); /* under sq_lock: rings, if need be */
/* Receives, as far as they are good and fit: how many; *err is why not all, of *bad. Under the ring's lock. */
uint32_t rxo_post_fill_recvs(struct rxo_ring *ring, uint32_t max_sge, struct ibv_recv_wr *wr,
			     struct ibv_recv_wr **bad, int *err);

/* wr.c: ibv_wr_*() */
void rxo_wr_init(struct ibv_qp_ex *qp, uint64_t send_ops);

#endif /* RXO_PROVIDER_H */
