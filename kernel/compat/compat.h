/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only place that tells kernels apart. It is included before every source file of both modules
 * (-include), and makes older kernels look like the newest. What a kernel has is found out by
 * compiling probes (probe.sh and probes/), never by its version.
 */
#ifndef ODP_COMPAT_H
#define ODP_COMPAT_H

#include "compat_config.h"

/* Before <linux/printk.h> gives it another meaning; a source may say the same again. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

/*
 * These headers are included here so that the macros below cannot change the declarations that
 * they stand for.
 */
#include <linux/dma-buf.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/udp_tunnel.h>
#include <rdma/ib_umem.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_counter.h>

#ifndef HAVE_IB_UMEM_GET_VA
static inline struct ib_umem *ib_umem_get_va(struct ib_device *device, unsigned long addr,
					     size_t size, int access)
{
	return ib_umem_get(device, addr, size, access);
}
#endif

/* Older kernels make every device in the initial namespace; "rdma dev set netns" moves it. */
#ifndef HAVE_IB_ALLOC_DEVICE_NET
#define ib_alloc_device_with_net(drv_struct, member, net) \
	((void)(net), ib_alloc_device(drv_struct, member))
#endif

/* Before, a tunnel was set up on the struct socket. */
#ifndef HAVE_UDP_TUNNEL_SOCK_SK
#define setup_udp_tunnel_sock(net, sk, cfg) (setup_udp_tunnel_sock)(net, (sk)->sk_socket, cfg)
#define udp_tunnel_sock_release(sk) (udp_tunnel_sock_release)((sk)->sk_socket)
#endif

/* A macro, so it needs no probe. */
#ifndef kzalloc_obj
#define kzalloc_obj(obj, gfp) kzalloc(sizeof(obj), gfp)
#endif

/* The return type of clear_young, clear_flush_young and test_young in struct mmu_notifier_ops. */
#ifdef HAVE_MMU_NOTIFIER_YOUNG_BOOL
#define compat_young_t bool
#else
#define compat_young_t int
#endif

/* Bits of struct ib_odp_caps that older kernels do not define. */
#ifndef HAVE_IB_ODP_SUPPORT_FLUSH
#define IB_ODP_SUPPORT_FLUSH		BIT(6)
#define IB_ODP_SUPPORT_ATOMIC_WRITE	BIT(7)
#endif

#ifndef HAVE_TIMER_CONTAINER_OF
#define timer_container_of(var, callback_timer, timer_fieldname) \
	from_timer(var, callback_timer, timer_fieldname)
#endif

/* On older kernels the argument is no string: MODULE_IMPORT_NS() stringifies it itself. */
#ifdef HAVE_MODULE_IMPORT_NS_BARE
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns) MODULE_INFO(import_ns, ns)
#endif

#ifndef HAVE_DMA_BUF_INVALIDATE_MAPPINGS
#define invalidate_mappings move_notify
#define dma_buf_invalidate_mappings dma_buf_move_notify
#endif

/*
 * Verbs whose prototype has changed: a driver says COMPAT_DEFINE_VERB(function) once, and
 * compat_VERB(function) in its table, and older kernels get an adaptor.
 */
#ifdef HAVE_REG_USER_MR_DMAH
#define COMPAT_DEFINE_REG_USER_MR(fn)
#define compat_reg_user_mr(fn) fn
#else
struct ib_dmah;
#define COMPAT_DEFINE_REG_USER_MR(fn) \
static struct ib_mr *fn##_adaptor(struct ib_pd *pd, u64 start, u64 length, u64 iova, int access, \
				  struct ib_udata *udata) \
{ \
	return fn(pd, start, length, iova, access, NULL, udata); \
}

#define compat_reg_user_mr(fn) fn##_adaptor
#endif

#ifdef HAVE_REG_USER_MR_DMABUF_DMAH
#define COMPAT_DEFINE_REG_USER_MR_DMABUF(fn)
#define compat_reg_user_mr_dmabuf(fn) fn
#else
#define COMPAT_DEFINE_REG_USER_MR_DMABUF(fn) \
static struct ib_mr *fn##_adaptor(struct ib_pd *pd, u64 offset, u64 length, u64 iova, int fd, \
				  int access, struct uverbs_attr_bundle *attrs) \
{ \
	return fn(pd, offset, length, iova, fd, access, NULL, attrs); \
}

#define compat_reg_user_mr_dmabuf(fn) fn##_adaptor
#endif

#ifdef HAVE_COUNTER_BIND_QP_PORT
#define COMPAT_DEFINE_COUNTER_BIND_QP(fn)
#define compat_counter_bind_qp(fn) fn
#define COMPAT_DEFINE_COUNTER_UNBIND_QP(fn)
#define compat_counter_unbind_qp(fn) fn
#else
#define COMPAT_DEFINE_COUNTER_BIND_QP(fn) \
static int fn##_adaptor(struct rdma_counter *counter, struct ib_qp *qp) \
{ \
	return fn(counter, qp, 1); \
}

#define compat_counter_bind_qp(fn) fn##_adaptor
#define COMPAT_DEFINE_COUNTER_UNBIND_QP(fn) \
static int fn##_adaptor(struct ib_qp *qp) \
{ \
	return fn(qp, 1); \
}

#define compat_counter_unbind_qp(fn) fn##_adaptor
#endif

/* Newer kernels want counter_init and a size even of a driver that adds nothing to a counter. */
#ifdef HAVE_COUNTER_INIT
struct compat_counter {
	struct rdma_counter core;
};

#define COMPAT_DEFINE_COUNTER_INIT(fn) \
static void fn(struct rdma_counter *counter) \
{ \
}

#define compat_counter_init(fn) \
	.counter_init = fn, \
	INIT_RDMA_OBJ_SIZE(rdma_counter, compat_counter, core),
#else
#define COMPAT_DEFINE_COUNTER_INIT(fn)
#define compat_counter_init(fn)
#endif

#ifdef HAVE_RESIZE_USER_CQ
#define COMPAT_DEFINE_RESIZE_USER_CQ(fn)
#define compat_resize_user_cq(fn) fn
#else
#define COMPAT_DEFINE_RESIZE_USER_CQ(fn) \
static int fn##_adaptor(struct ib_cq *cq, int cqe, struct ib_udata *udata) \
{ \
	return fn(cq, cqe, udata); \
}

#define compat_resize_user_cq(fn) fn##_adaptor
#define resize_user_cq resize_cq
#endif

#endif
