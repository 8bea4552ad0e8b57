/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Work requests out of memory that a process may write at any time: copied once,
 * checked, and from then on the kernel's own. Pure, so that user space can test it.
 */
#ifndef RXO_WQE_PARSE_H
#define RXO_WQE_PARSE_H

#include <linux/types.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#define RXO_MAX_SGE		32
#define RXO_MAX_MSG_BYTES	0x80000000U

/*
 * Where a datagram goes, by a WQE of a librxe that knows no address handles by number. The
 * addresses are of the process's choice: dgid any, sgid_index perhaps of no GID.
 */
struct rxo_swqe_av {
	u8 dgid[16];
	u32 flow_label;
	u8 sgid_index;
	u8 hop_limit;
	u8 traffic_class;
};

/* A window's memory, rights and keys: as in struct rxe_send_wr. */
struct rxo_swqe_bind {
	u64 addr;
	u64 length;
	u32 lkey;
	u32 mw_key;
	u32 new_key;
	u32 access;
};

/*
 * A send WQE as the kernel sees it. Lives in the send queue's shadow ring, under sq.lock.
 */
struct rxo_swqe {
	u64 wr_id;
	union {
		struct {		/* connected */
			u64 remote_addr;	/* REG_MR: the iova */
			u64 compare_add;
			u64 swap;
			u32 access;		/* REG_MR */
			u8 flush_placement;	/* IB_FLUSH_GLOBAL, IB_FLUSH_PERSISTENT */
			bool flush_whole;	/* the whole region, not a range of it */
		};
		struct rxo_swqe_bind bind;
		struct rxo_swqe_av av;	/* UD, where ah_num is 0 */
	};
	u32 rkey;		/* of the peer's memory; to be invalidated; REG_MR: the new key */
	u32 length_bytes;
	u32 num_sge;
	u32 first_psn;		/* valid once started */
	u32 last_psn;
	union {
		u32 remote_qpn;	/* UD */
		u32 srq_num;	/* XRC: the lower 24 bits count */
	};
	u32 remote_qkey;
	u32 ah_num;
	__be32 imm;
	u8 opcode;		/* enum ib_wr_opcode */
	u8 send_flags;		/* IB_SEND_*: all below 1 << 8 */
	u8 status;		/* enum ib_wc_status: why it may not be sent */
	bool started;
	bool by_wire;		/* packets of it were made, or have to be */
	u8 counts_rd;		/* in sq.rd_atomic: what the peer may have to answer at once */
	union {			/* by IB_SEND_INLINE */
		DECLARE_FLEX_ARRAY(struct rxe_sge, sge);
		DECLARE_FLEX_ARRAY(u8, inline_data);
	};
};

/* What the device does by itself, in the order of its queue: no packet leaves for it. */
static inline bool rxo_swqe_is_local(const struct rxo_swqe *wqe)
{
	return wqe->opcode == IB_WR_LOCAL_INV || wqe->opcode == IB_WR_REG_MR ||
	       wqe->opcode == IB_WR_BIND_MW;
}

static inline bool rxo_swqe_is_atomic(const struct rxo_swqe *wqe)
{
	return wqe->opcode == IB_WR_ATOMIC_CMP_AND_SWP || wqe->opcode == IB_WR_ATOMIC_FETCH_AND_ADD;
}

/* A scatter/gather list of our own, copied once and checked. */
struct rxo_sgl {
	u32 length_bytes;	/* sum of the entries */
	u32 num;
	struct rxe_sge sge[RXO_MAX_SGE];
};

struct rxo_rwqe {
	u64 wr_id;
	struct rxo_sgl sgl;
};

/* What a send queue was created with. */
struct rxo_swqe_bounds {
	u32 max_sge;
	u32 max_inline_bytes;
	u32 max_datagram_bytes;
	bool ud;
	bool uc;
	bool xrc;
	bool kernel;		/* not of a process */
};

/**
 * rxo_swqe_parse - copy one send WQE and check it
 * @to: filled; with room for @bounds' entries and inline data behind it
 * @from: hostile bytes, with as much room behind them
 * @bounds: of the send queue
 *
 * Any context. Returns IB_WC_SUCCESS, or the status that it is to complete with
 * when its turn comes: its wr_id, opcode and flags are valid then too.
 */
enum ib_wc_status rxo_swqe_parse(struct rxo_swqe *to, const struct rxe_send_wqe *from,
				 const struct rxo_swqe_bounds *bounds);

/**
 * rxo_rwqe_parse - copy one receive WQE and check it
 * @to: filled
 * @from: hostile bytes, with room for @max_sge entries
 * @max_sge: of the queue
 *
 * Any context. Returns 0 or -EINVAL (too many entries, a length past 2^31);
 * @to->wr_id is valid then too.
 */
int rxo_rwqe_parse(struct rxo_rwqe *to, const struct rxe_recv_wqe *from, u32 max_sge);

#endif /* RXO_WQE_PARSE_H */
