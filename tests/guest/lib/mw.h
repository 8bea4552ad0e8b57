/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory windows of a pair: end b binds them over memory of its own, end a comes through them. */
#ifndef TESTS_GUEST_MW_H
#define TESTS_GUEST_MW_H

#include "pair.h"

/* What windows over a region can be for; the region itself is of no use to a peer. */
#define ACCESS_BIND   (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND)
#define ACCESS_WINDOW (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)

struct ibv_mw *mw_make(struct ibv_pd *pd, enum ibv_mw_type type);
void mw_free(struct ibv_mw *mw);

/*
 * Posts a bind, in the way that the window's type has, over buf's bytes [offset, offset + bytes); the window has its new key at
 * once. mw_post_bind_as() by a work request of the caller's key, as it may be for either type.
 */
void mw_post_bind(struct end *end, struct ibv_mw *mw, const struct buf *buf, size_t offset,
		  size_t bytes, int access);
void mw_post_bind_as(struct end *end, const struct ibv_mw *mw, uint32_t key, struct ibv_mr *mr,
		     uint64_t addr, uint64_t bytes, int access);
/* And waits for its success. */
void mw_bind(struct end *end, struct ibv_mw *mw, const struct buf *buf, size_t offset, size_t bytes,
	     int access);
/* Type 1: by a bind of nothing. */
void mw_unbind(struct end *end, struct ibv_mw *mw, const struct buf *buf);
void mw_post_local_inv(struct end *end, uint32_t key);
void mw_local_inv(struct end *end, uint32_t key);
/* A SEND of a to b, without data, which invalidates. */
void mw_send_inv(struct pair *pair, uint32_t key);

/* a comes by that key to addr: how it ends. An atomic adds 1. */
enum ibv_wc_status mw_try(struct pair *pair, enum ibv_wr_opcode opcode, const struct buf *local,
			  size_t bytes, uint32_t key, uint64_t addr);
/* It is refused; the pair is connected anew. */
void mw_refused_at(const char *file, int line, struct pair *pair, enum ibv_wr_opcode opcode,
		   const struct buf *local, size_t bytes, uint32_t key, uint64_t addr);
#define mw_refused(...) mw_refused_at(__FILE__, __LINE__, __VA_ARGS__)
void mw_granted_at(const char *file, int line, struct pair *pair, enum ibv_wr_opcode opcode,
		   const struct buf *local, size_t bytes, uint32_t key, uint64_t addr);
#define mw_granted(...) mw_granted_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
