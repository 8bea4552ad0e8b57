/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the calls of a run make and use, and the numbers that they are made of. */
#ifndef FUZZ_UVERBS_ZOO_H
#define FUZZ_UVERBS_ZOO_H

#include "random.h"
#include "rig.h"

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/rdma_user_rxe.h>

#define KEEP	16
#define HANDLES 4
#define SHAPES	29

/* Kinds of objects by their ids in uverbs, and behind them our own. */
#define ZOO_PREFETCH (UVERBS_OBJECT_XRCD + 1)
#define ZOO_KINDS    (ZOO_PREFETCH + 1)

/* What lives, of each kind; one is destroyed to make room. */
struct zoo {
	struct rig rig;
	struct rnd rnd;
	struct ibv_mr *mrs[KEEP];
	struct ibv_cq *cqs[KEEP];
	struct ibv_srq *srqs[KEEP];
	struct ibv_qp *qps[KEEP];
	struct ibv_ah *ahs[KEEP];
	struct ibv_mw *mws[KEEP];
	uint8_t *memory;
	int dma_buf;
	/*
	 * Where ioctls made by hand go, what they have made there of each kind, and how many of each
	 * shape worked.
	 */
	struct ibv_context *wild;
	uint32_t handles[ZOO_KINDS][HANDLES];
	unsigned long ioctls[SHAPES];
	uint64_t mr_at; /* where the last region that they made is */
	/* XRC: a file for domains, and the last target that they made: its domain and its number. */
	int file;
	uint32_t target_xrcd, target_num;
};

#define MEMORY (4 * MIB)

/* What the kernel answers to what is made by hand: as large as an attribute of an ioctl can say that it is. */
extern uint8_t zoo_answer[65536];

/* What the driver says of an object that an ioctl has made: where to map its first queue, and more. */
union zoo_driver_answer {
	struct mminfo queue;
	uint8_t bytes[64];
};
extern union zoo_driver_answer zoo_driver_answer;

/* Any number, mostly one at which something might end. */
uint32_t some_u32(struct rnd *r);
/* Of a queue: what may be had is kept small, or a few of them take all memory. */
uint32_t some_size(struct rnd *r);
/* The same, mostly plausible: for what takes several of them. */
uint32_t some_count(struct rnd *r);

void zoo_open(struct zoo *z);
/* Anew: what was made in it goes. */
void zoo_open_wild(struct zoo *z);
void zoo_close(struct zoo *z);

#endif
