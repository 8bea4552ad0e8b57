/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queue pairs.
 *
 * A QP is two engines that share little. The send side (req.c sends packets,
 * comp.c takes what the peer answers) lives under sq.lock, the receive side
 * (resp.c and exec.c) under rq.lock. An engine runs on a doorbell, a packet, a
 * timer, the end of a fault, or from its own work item. Each run starts from the
 * state under the lock alone, so it does not matter which context runs it, nor
 * how many events came at once.
 *
 * Order of locks: qp->mutex, sq.lock, rq.lock (both are _bh), then state_lock, rate_lock, a CQ's or
 * SRQ's lock, (through mr.c) a leaf's lock, or what net/tx.c and the network take. Both sq.lock and
 * rq.lock are held by qp_modify.c and qp_set_counter(), of one QP, and by a requester that executes
 * a request at a peer on this host (local.c): its own sq.lock, and the peer's rq.lock.
 * Packets are sent under sq.lock and rq.lock, and nothing is received inside a
 * send.
 */
#ifndef RXO_QP_H
#define RXO_QP_H

#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>
#include <rdma/rxe_odp-abi.h>
#include <rdma/uverbs_ioctl.h>
#include <umem_odp/umem_odp.h>

#include "device/dev.h"
#include "memory/mr.h"
#include "memory/sgl.h"
#include "net/net.h"
#include "net/packet.h"
#include "net/tx.h"
#include "queue/cq.h"
#include "queue/srq.h"
#include "queue/wqe_parse.h"
#include "transport/rate.h"
#include "transport/window.h"
#include "wire/psn.h"

#define RXO_READ_PKTS		64U	/* a READ is asked for in pieces of so many responses */
#define RXO_READ_PIECES		2U	/* of one READ, under way at once */
#define RXO_BUDGET_PKTS		64	/* packets in one run with BH off */
/*
 * The requester's run ends after a burst of so many bytes, and goes on from its work item. On
 * loopback and veth the packets wait on this CPU meanwhile: fewer are still in its cache when they
 * are delivered.
 */
#define RXO_RUN_BYTES		(128U * 1024)
#define RXO_HOLD_PKTS		256	/* packets held for a fault, each direction */

/*
 * Send WQEs that are copied and not completed, at most: a power of two. Of an RC QP, each has a
 * packet in the window, except the next one to be sent and local operations: so these are hardly
 * ever too few.
 */
#define RXO_SHADOW_WQES		256U
static_assert(RXO_WINDOW_MAX_PKTS + RXO_READ_PKTS < RXO_SHADOW_WQES);

/*
 * How long a request may wait for a page before its peer is told to come back: a quarter of an
 * ACK timeout of 4.096 us << n. The peer's timeout is unknown: we assume our own, at most the n
 * below, which perftest and most others use (67 ms).
 */
#define RXO_HOLD_NS(timeout)	((4096ULL << (timeout)) / 4)
#define RXO_MAX_HOLD_TIMEOUT	14

/* The same as the n that the device tells; its timer may come up to two ticks late. */
#define RXO_CA_ACK_DELAY	order_base_2(DIV_ROUND_UP( \
	(RXO_HOLD_NS(RXO_MAX_HOLD_TIMEOUT) / TICK_NSEC + 2) * TICK_NSEC, 4096))

#define RXO_FLUSH_WQES		1024U	/* completed in one go in the error state, with BH off */

struct rxo_qp;
struct rxo_ucontext;

/*
 * A fault that one direction of a QP waits for. @pending is protected by that
 * direction's lock. While it is set, the wait holds a reference to the QP and
 * one to the MR; both go when the fault thread wakes us or we cancel in time.
 */
struct rxo_wait {
	struct umem_odp_waiter waiter;
	struct rxo_qp *qp;
	struct rxo_mr *mr;
	void (*done)(struct rxo_qp *qp, int err);	/* called under the direction's lock */
	spinlock_t *lock;				/* the direction's */
	struct work_struct *work;			/* runs the engine again */
	struct delayed_work later;			/* queues @work again, after a jiffy */
	u64 start_ns;
	u64 iova;			/* of the first byte that is waited for */
	u32 key;			/* of its region */
	int failed;			/* the last fault's error, if final: access_error.c */
	bool pending;
};

/* Whether the peer is on this host, or else is one of ours (peer.c). */
struct rxo_local {
	u64 peer;			/* its cookie; 0: it never answered, or from elsewhere */
	bool elsewhere;			/* one of ours answered, on another host */
	unsigned long proven_until;	/* jiffies: until then its last answer counts */
	unsigned long asked;		/* jiffies: when the last probe was sent */
	unsigned long probe_jiffies;	/* so long after that the next is due; 0: none was sent */
	enum rxo_asked {
		RXO_ASKED_NOTHING,	/* or it was answered */
		RXO_ASKED_PLAIN,
		RXO_ASKED_FRAME,	/* by one as long as a frame of the netdev */
		RXO_ASKED_OPEN,		/* by a probe that only arrives in this host's memory */
		RXO_ASKED_WIDE,		/* and only where wide packets do */
		RXO_ASKED_KINDS,
	} asked_how, known;		/* @known: the last kind that was answered, or PLAIN */
	bool large;			/* messages of several packets, since the last long probe */
	u8 losses[RXO_ASKED_KINDS];	/* probes of a kind that were lost, in a row */
	unsigned long closed_until[RXO_ASKED_KINDS]; /* jiffies: no probe of a kind before that */
	unsigned long rest_until;	/* jiffies: by the wire until then, after MAX_FAILURES */
	u32 failures;			/* in a row: requests that could not be done at once */
	bool now;			/* this run may execute requests without packets */
	bool again;			/* this run left a request for the next one to execute so */
};

/*
 * Send side. Positions are relative to the oldest WQE that has not completed:
 * [0, copied) are in the shadow ring, @cur is the one being sent. PSNs:
 * una_psn <= psn <= sent_psn <= alloc_psn; una_psn is the oldest the peer has
 * not answered, psn the next to send (it goes back on a retry), sent_psn the
 * first that has never left, alloc_psn the next that a fresh WQE gets.
 */
struct rxo_sq {
	spinlock_t lock;		/* protects all of this but the producer side; _bh */
	spinlock_t post_lock;		/* kernel posters, irqsave, innermost */
	struct rxo_queue *queue;
	void *shadow;			/* of struct rxo_swqe, swqe_bytes apart; immutable */
	u32 shadow_mask;		/* its entries - 1, RXO_SHADOW_WQES at most */
	u32 swqe_bytes;
	u32 max_sge;
	u32 max_inline_bytes;
	u32 max_wr;

	u32 promise;			/* as in the ring's header; promise.c */
	bool ran_dry;			/* nothing more was posted when rxo_swqe_posted() looked */
	u32 copied;			/* also read without the lock: poll.c */
	u32 cur;
	u32 una_psn;			/* likewise, and psn: rxo_req_queue() */
	u32 psn;
	u32 sent_psn;
	u32 alloc_psn;
	u32 rd_atomic;			/* requests that the peer may owe a response to */
	int cpu;			/* ran the requester last */
	unsigned long sent_jiffies;	/* UC: when the requester sent something last */
	struct rxo_tx tx;
	struct rxo_window window;
	struct rxo_local local;
	u32 wide_psns;			/* most PSNs of a packet in this run; 0: not asked yet */
	u32 asked_psn;			/* the last that asked for an acknowledgment */
	u8 excused;			/* ACK timeouts that queues of this host excused */
	u8 retry_left;
	u8 rnr_left;
	bool rnr_wait;			/* RNR NAK: send nothing before rnr_timer fires */
	bool gap_retried;		/* went back for lost data, una_psn < gap_psn */
	u32 gap_psn;			/* the PSN to send next when it went back */
	bool awaits_ack;		/* until ack_deadline, in jiffies; see rxo_req_timer() */
	unsigned long ack_deadline;
	struct timer_list ack_timer;
	struct timer_list rnr_timer;
	struct rxo_wait wait;		/* for the memory that a WQE sends from */
	u32 wait_psn;			/* of the packet that waits; those before it may be sent */
	struct rxo_wait place_wait;	/* for the memory that a READ or atomic answers to */
	struct sk_buff_head held;	/* answers that wait for place_wait; own lock unused */
	struct work_struct work;	/* rxo_wq: where others may be let through first */
	struct work_struct bh_work;	/* system_bh_wq: at once, on a certain CPU */
	struct work_struct hop_work;	/* likewise, from bh_work on another CPU: req.c */
};

/* What is first in line on the receive side, when it waits for pages (late.c). */
enum rxo_late_state {
	RXO_LATE_NOT,		/* nothing waits, or only a datagram */
	RXO_LATE_HELD,		/* since @since_ns; the peer does not know */
	RXO_LATE_TOLD,		/* the peer was told to come back, the fault still runs */
	RXO_LATE_TOLD_STALE,	/* the same over a duplicate READ, which the peer may be past */
};

struct rxo_late {
	enum rxo_late_state state;
	u32 psn;			/* TOLD*: of what the peer was told to ask again */
	u64 since_ns;			/* not NOT */
	u64 fault_ns;			/* how long recent faults took, a running mean */
	struct timer_list timer;	/* HELD: when the peer is to be told */
};

/*
 * A probe to be sent.
 *
 * wide_bytes		it is as long as a wide packet with so much payload; 0: only its headers
 * arrived_bytes	of FRAME: the same of what it answers
 */
struct rxo_probe {
	enum rxo_asked kind;
	u64 to;				/* cookie of whom it answers; 0: it asks */
	u32 wide_bytes;
	u32 arrived_bytes;
};

/* An answer that a full queue of this host refused. */
enum rxo_owed_kind { RXO_OWED_NOTHING, RXO_OWED_ACK, RXO_OWED_ATOMIC, RXO_OWED_DONE };

struct rxo_owed {
	enum rxo_owed_kind kind;
	u8 syndrome;			/* of an ACK */
	u32 psn;
};

/* A READ that is being answered. */
struct rxo_read {
	u64 va;
	u64 srq_id;			/* XRC: whose keys it names */
	u32 srq_num;			/* likewise */
	u32 rkey;
	u32 length_bytes;
	u32 offset_bytes;
	u32 psn;			/* of the next response */
	u32 first_psn;			/* of the first one */
	u32 end_psn;			/* behind the last one */
	u32 ready_bytes;		/* found present up to here; all, once responses leave */
	bool active;
	bool duplicate;			/* asked again: the peer may have forgotten it by now */
};

/* An atomic that was executed: a duplicate gets the same answer. */
struct rxo_atomic_res {
	u32 psn;
	u64 old;
	bool valid;
};

/* The message that a peer is sending us. */
struct rxo_msg {
	u64 va;				/* WRITE: where the next byte goes */
	u64 srq_id;			/* XRC: of the SRQ that its first packet named */
	u32 rkey;
	u32 resid_bytes;		/* WRITE: what the RETH still owes */
	u32 offset_bytes;		/* SEND: bytes received in earlier packets; WRITE: same */
	u32 kind;			/* RXO_OP_SEND or _WRITE between packets, else 0 */
};

/* What a SEND or WRITE says with its last packet, beside the data. */
struct rxo_msg_end {
	u32 flags;			/* RXO_OP_* of the packet or step */
	bool solicited;
	__be32 imm;			/* with RXO_OP_IMM */
	u32 invalidate_key;		/* with RXO_OP_IETH */
};

/* Receive side. */
struct rxo_rq {
	spinlock_t lock;		/* protects all of this but the producer side; _bh */
	spinlock_t post_lock;		/* kernel posters, irqsave, innermost */
	struct rxo_queue *queue;	/* NULL with an SRQ, and of XRC */
	u32 max_sge;
	u32 max_wr;

	u32 psn;			/* expected */
	u32 msn;
	struct sk_buff_head held;	/* not executed, as they came; own lock unused */
	struct rxo_msg msg;
	struct rxo_rwqe wqe;
	bool have_wqe;
	int wqe_err;			/* -EINVAL: it is malformed, and to be completed in error */
	u32 wqe_srq_num;		/* XRC: of @wqe's SRQ; may be another SRQ's number by now */
	u64 wqe_srq_id;
	struct rxo_srq *xrc_srq;	/* XRC: of the request in execution, with a reference */
	bool quiet;			/* a NAK was sent: no other until the expected PSN comes */
	struct rxo_owed owed;
	struct rxo_late late;
	u64 local_peer;			/* cookie of a peer whose probe came; 0: none */
	unsigned long local_until;	/* jiffies: how long it may do without packets */
	bool peer_sends_wide;		/* the peer may send wide packets with an ICRC: rcv.c */
	bool frame_answered;		/* by one as long as a frame, of which the peer has not said
					 * yet that it arrived
					 */
	struct rxo_probe owed_probe;	/* an answer that had to wait; .to is 0: none */
	bool established;		/* IB_EVENT_COMM_EST was raised */
	bool last_wqe;			/* IB_EVENT_QP_LAST_WQE_REACHED was raised */
	int fault_err;			/* the last fault's error, for the first packet */
	int cpu;			/* answered last; see rxo_req_kick() */
	u64 cnp_ns;			/* when the peer was told of congestion last */
	struct rxo_read read;
	struct rxo_atomic_res *atomics;	/* the last RXO_MAX_RD_ATOMIC; NULL: an XRC initiator */
	u32 atomic_next;
	unsigned long look_jiffies;	/* in error: when to look for receives again */
	struct timer_list look_timer;
	struct rxo_wait wait;
	struct rxo_tx tx;
	struct work_struct work;	/* as the send side's */
	struct work_struct bh_work;
};

/*
 * What a QPN leads to. ib_core frees a QP as soon as it is destroyed, while a receiver may have
 * looked up its number and not yet taken a reference. So the references are apart from the QP,
 * and this is freed after RCU. @refs is one for the number, one for each packet that is being
 * received, one for each fault under way. @num is set before this stands in dev->recent_qpns, where
 * alone it is read. The rest is immutable.
 */
struct rxo_qpn {
	u32 num;
	refcount_t refs;
	struct rxo_qp *qp;		/* there as long as a reference is */
	struct completion unused;	/* the last reference went */
	u64 cookie;			/* RC: leads to it too, from any device (peer.c) */
	struct hlist_node cookie_node;	/* peer.c's */
	struct rcu_head rcu;
};

/*
 * In what the types of queue pairs differ.
 *
 * opcodes	RXO_OP_*: one of these is in the flags of each packet that is for such a QP
 * opcode_base	added to RC's opcodes in the packets that it sends
 * connected	it has one peer, and takes packets from that address alone
 * acked	the responder answers requests, and the requester waits for that
 * send		NULL: an XRC target, which has no send queue and nothing of a requester
 * take		NULL: an XRC initiator, which has no receives and nothing of a responder
 */
struct rxo_qp_kind {
	u32 opcodes;
	u8 opcode_base;
	bool connected;
	bool acked;
	const struct rxo_tx_kind *tx;
	/* Sends what may be sent, within bounds. True: there is more. Under sq.lock. */
	bool (*send)(struct rxo_qp *qp);
	/* Executes a request. 0 when done with it, -EAGAIN to hold it. Under rq.lock. */
	int (*take)(struct rxo_qp *qp, struct sk_buff *skb);
};

/* The last that was reported. */
struct rxo_access_error {
	spinlock_t lock;		/* protects the rest; _bh, innermost */
	struct rxe_odp_access_error last;
	u64 uctx_id;			/* XRC target: the context that it is about; else 0 */
};

struct rxo_qp {
	struct ib_qp ibqp;
	struct rxo_dev *dev;
	const struct rxo_qp_kind *kind;
	u64 id;				/* no other queue pair ever has it; immutable */
	struct rxo_qpn *qpn;		/* has the references; immutable once published */
	struct rxo_pd *pd;
	struct rxo_cq *send_cq;
	struct rxo_cq *recv_cq;
	struct rxo_srq *srq;
	struct ib_xrcd *xrcd;		/* XRC target, which has no pd and no CQs: else NULL */
	bool sq_sig_all;
	bool user;
	bool promises;			/* its context knows of promise.c; immutable */

	struct mutex mutex;		/* serialises modify; protects attr, have_path */
	struct ib_qp_attr attr;
	bool have_path;

	spinlock_t state_lock;		/* writers of state; _bh */
	enum ib_qp_state state;		/* read with rxo_qp_state() */
	bool sqd_notify;		/* SQD, and an event is owed when drained; under sq.lock */

	/* Set in INIT to RTS under qp->mutex with both engines locked out, then read-only. */
	struct rxo_path path;		/* connected */
	u32 mtu_bytes;
	u32 dest_qpn;
	u32 qkey;
	u32 access;			/* IB_ACCESS_REMOTE_* */
	u32 max_rd_atomic;
	u32 max_dest_rd_atomic;
	u32 timeout_shift;		/* attr.timeout: 4.096 us << n; 0 is for ever */
	u8 retry_cnt;
	u8 rnr_retry;
	u8 min_rnr_timer;

	spinlock_t rate_lock;		/* protects rate; _bh, innermost */
	struct rxo_rate rate;
	struct rxo_access_error access_error;
	struct list_head poll_node;	/* in its context's poll.qps, poll.lock */
	u32 polled_index;		/* the polling thread's: what was posted when it looked */
	struct socket *tx_sock;		/* what both sides' packets are charged to */
	struct rxo_sq sq;
	struct rxo_rq rq;
};

static inline struct rxo_qp *to_rxo_qp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct rxo_qp, ibqp);
}

static inline enum ib_qp_state rxo_qp_state(const struct rxo_qp *qp)
{
	return smp_load_acquire(&qp->state);	/* pairs with rxo_qp_set_state() */
}

static inline bool rxo_qp_is_ud(const struct rxo_qp *qp)
{
	return !qp->kind->connected;
}

/* The opcode with which this QP's service sends an operation; @operation is RC's opcode. */
static inline u8 rxo_qp_opcode(const struct rxo_qp *qp, u8 operation)
{
	return qp->kind->opcode_base + operation;
}

/* Whose keys the receive WQEs name. Under rq.lock. */
static inline struct rxo_pd *rxo_rq_pd(const struct rxo_qp *qp)
{
	struct rxo_srq *srq = qp->rq.xrc_srq ?: qp->srq;

	return srq ? rxo_srq_pd(srq) : qp->pd;
}

/*
 * Whose keys the peer may name. An XRC target has no protection domain: its peer reaches what
 * belongs to that of the SRQ which the request names. Under rq.lock.
 */
static inline struct rxo_pd *rxo_rq_remote_pd(const struct rxo_qp *qp)
{
	return qp->rq.xrc_srq ? rxo_srq_pd(qp->rq.xrc_srq) : qp->pd;
}

/* How many PSNs a packet of a connection may have now. Under @tx's lock, BH off. */
static inline u32 rxo_qp_wide_psns(struct rxo_qp *qp, struct rxo_tx *tx)
{
	return max(1u, rxo_net_wide_bytes(qp->dev, &qp->path, tx) / qp->mtu_bytes);
}

/* The last PSN of a received packet. */
static inline u32 rxo_pkt_last_psn(const struct rxo_pkt *pkt)
{
	return rxo_psn_add(pkt->psn, pkt->psns - 1);
}

/* A received packet, which the device has counted already. Under @tx's lock. */
static inline void rxo_qp_count_received(struct rxo_tx *tx, const struct sk_buff *skb)
{
	u32 bytes = skb->data - skb_network_header(skb) + skb->len + RXO_ICRC_BYTES;

	lockdep_assert_held(tx->lock);
	rxo_counter_add(tx->dev, tx->counter, RXO_STAT_RCVD_PKTS, 1);
	rxo_counter_add(tx->dev, tx->counter, RXO_STAT_RCVD_BYTES, bytes);
	if (tx->counter && rxo_net_is_multicast(skb))
		rxo_counter_add(tx->dev, tx->counter, RXO_STAT_RCVD_MCAST_PKTS, 1);
}

/* Another reference, for a caller that has one. */
static inline void rxo_qp_hold(struct rxo_qp *qp)
{
	refcount_inc(&qp->qpn->refs);
}

static inline void rxo_qp_put(struct rxo_qp *qp)
{
	struct rxo_qpn *qpn = qp->qpn;

	if (refcount_dec_and_test(&qpn->refs))
		complete(&qpn->unused);
}

/* qp.c: the object and its life */
int rxo_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init, struct ib_udata *udata);
int rxo_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata);
/* To a counter of "rdma statistic qp", and away from it. May sleep. */
int rxo_counter_bind_qp(struct rdma_counter *counter, struct ib_qp *ibqp, u32 port);
int rxo_counter_unbind_qp(struct ib_qp *ibqp, u32 port);
/* A reference, or NULL. Softirq. */
struct rxo_qp *rxo_qp_get(struct rxo_dev *dev, u32 qpn);
/* To the error state from inside an engine: any lock of the QP may be held; both engines flush. */
void rxo_qp_set_error(struct rxo_qp *qp);
/* A completion was lost, or an SRQ is in error: only an event can tell. Likewise. */
void rxo_qp_set_fatal(struct rxo_qp *qp);
/* A datagram could not be sent: to SQE, where receiving goes on. Any lock of the QP may be held. */
void rxo_qp_set_send_error(struct rxo_qp *qp);
/* Raise an asynchronous event. Any context. */
void rxo_qp_event(struct rxo_qp *qp, enum ib_event_type type);
/* Empties both engines; under qp->mutex, state is RESET. May sleep. */
void rxo_qp_quiesce(struct rxo_qp *qp);

/* Publishes a state; under state_lock. */
void rxo_qp_set_state(struct rxo_qp *qp, enum ib_qp_state state);

/* qp_modify.c: the state machine */
int rxo_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask, struct ib_udata *udata);
int rxo_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init);

/* qp_methods.c: methods of our own */
extern const struct uapi_definition rxo_qp_uapi[];

/* qp_restrack.c */
int rxo_fill_res_qp_entry(struct sk_buff *msg, struct ib_qp *ibqp);

/* access_error.c: the last access that was refused, for people to read */
void rxo_access_error_init(struct rxo_qp *qp);
void rxo_access_error_send(struct rxo_qp *qp, const struct rxo_swqe *wqe, struct rxo_wait *wait,
			   u32 offset, int err);			/* under sq.lock */
void rxo_access_error_local(struct rxo_qp *qp, const struct rxo_swqe *wqe, int err);
void rxo_access_error_peer(struct rxo_qp *qp);			/* under sq.lock */
void rxo_access_error_receive(struct rxo_qp *qp, int err);	/* under rq.lock */
void rxo_access_error_invalidate(struct rxo_qp *qp, u32 key, int err);	/* under rq.lock */
void rxo_access_error_read(struct rxo_qp *qp, u64 uctx_id, struct rxe_odp_access_error *error);

/* wait.c: waiting for a page */
void rxo_wait_init(struct rxo_wait *wait, struct rxo_qp *qp, spinlock_t *lock,
		   struct work_struct *work, void (*done)(struct rxo_qp *qp, int err));
bool rxo_fault_is_final(int err);
int rxo_wait_fault(struct rxo_wait *wait, struct rxo_miss *miss, bool write);
int rxo_wait_again(struct rxo_wait *wait, int err);
bool rxo_wait_hold(struct rxo_wait *wait, struct sk_buff_head *held, struct sk_buff *skb);
void rxo_wait_charge_first(struct rxo_wait *wait, struct sk_buff_head *held);
int rxo_wait_copy(struct rxo_wait *wait, const struct rxo_sg *sg, void *buf, u32 bytes,
		  bool to_mem, u32 *done);
void rxo_wait_cancel(struct rxo_wait *wait);
void rxo_wait_stop(struct rxo_wait *wait);

/* wqe.c: send WQEs, copied once */
struct rxo_swqe *rxo_swqe_at(struct rxo_qp *qp, u32 nth);
bool rxo_swqe_posted(struct rxo_qp *qp);
struct rxo_swqe *rxo_swqe_copy_next(struct rxo_qp *qp);
void rxo_swqe_complete(struct rxo_qp *qp, enum ib_wc_status status);
bool rxo_sq_flush(struct rxo_qp *qp);			/* under sq.lock */

/* promise.c: posts that need no doorbell; all under sq.lock */
void rxo_promise_make(struct rxo_qp *qp);
bool rxo_promise_review(struct rxo_qp *qp);
void rxo_promise_withdraw(struct rxo_qp *qp);
bool rxo_promise_poll(struct rxo_qp *qp);
bool rxo_promise_poll_ends(struct rxo_qp *qp);

/* The requester is going to run, on this CPU or by a work item. Under sq.lock. */
static inline void rxo_promise_run(struct rxo_qp *qp)
{
	if (qp->promises)
		rxo_promise_make(qp);
}

/* The requester has run. True: it must run again. Under sq.lock. */
static inline bool rxo_promise_run_ends(struct rxo_qp *qp)
{
	return qp->promises && rxo_promise_review(qp);
}

/* poll.c: the thread that polls the send queues of a context; may sleep */
int rxo_poll_begin(struct rxo_ucontext *uctx);
void rxo_poll_end(struct rxo_ucontext *uctx);
void rxo_poll_add(struct rxo_qp *qp);
void rxo_poll_remove(struct rxo_qp *qp);
void rxo_poll_call(const struct rxo_qp *qp);		/* any context */

/* post.c: kernel users, and the doorbell of user space */
int rxo_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr, const struct ib_send_wr **bad);
int rxo_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr, const struct ib_recv_wr **bad);

/* req.c: when requests are sent */
struct rxo_swqe *rxo_req_next_wqe(struct rxo_qp *qp, u32 *budget);	/* under sq.lock */
void rxo_req_init(struct rxo_qp *qp);
bool rxo_req_send_rc(struct rxo_qp *qp);		/* under sq.lock */
bool rxo_req_send_uc(struct rxo_qp *qp);		/* under sq.lock */
bool rxo_req_send_ud(struct rxo_qp *qp);		/* under sq.lock */
void rxo_req_run(struct rxo_qp *qp);			/* under sq.lock */
void rxo_req_kick(struct rxo_qp *qp);			/* under sq.lock */
void rxo_req_resume(struct rxo_qp *qp);			/* under sq.lock */
void rxo_req_queue(struct rxo_qp *qp);			/* any context, interrupts off */
void rxo_req_back_to(struct rxo_qp *qp, u32 psn);	/* under sq.lock */
void rxo_req_skip_to(struct rxo_qp *qp, u32 psn);	/* under sq.lock */
void rxo_req_fail(struct rxo_qp *qp, enum ib_wc_status status);	/* the oldest WQE; under sq.lock */
void rxo_req_timer(struct rxo_qp *qp, bool progress);	/* under sq.lock */

/* req_packet.c: what its packets are */
struct sk_buff *rxo_req_build(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 *next);
u32 rxo_req_read_piece_end(const struct rxo_swqe *wqe, u32 psn);
int rxo_req_payload(struct rxo_qp *qp, struct rxo_swqe *wqe, u32 offset, void *to, u32 bytes,
		    u32 *done);

/* comp.c: what the peer answers */
void rxo_comp_init(struct rxo_qp *qp);
void rxo_comp_rcv(struct rxo_qp *qp, struct sk_buff *skb);
bool rxo_comp_takes_answers(const struct rxo_qp *qp);
void rxo_comp_local(struct rxo_qp *qp, u32 psn, bool last);	/* under sq.lock */
void rxo_comp_drain(struct rxo_qp *qp);			/* under sq.lock */
bool rxo_comp_retry(struct rxo_qp *qp);			/* under sq.lock */

/* resp.c: what the peer asks; order and answers */
void rxo_resp_init(struct rxo_qp *qp);
int rxo_resp_take_rc(struct rxo_qp *qp, struct sk_buff *skb);	/* under rq.lock */
int rxo_resp_take_uc(struct rxo_qp *qp, struct sk_buff *skb);	/* under rq.lock */
void rxo_resp_rcv(struct rxo_qp *qp, struct sk_buff *skb);
void rxo_resp_run(struct rxo_qp *qp);			/* under rq.lock */
int rxo_resp_take_wqe(struct rxo_qp *qp);		/* under rq.lock */
void rxo_resp_recv_done(struct rxo_qp *qp, struct ib_wc *wc, bool solicited);
/* An ACK or NAK; sent later when a queue of this host is full. Under rq.lock. */
void rxo_resp_send_ack(struct rxo_qp *qp, u8 syndrome, u32 psn);
void rxo_resp_send_rnr(struct rxo_qp *qp, u8 timer, u32 psn);	/* under rq.lock */
bool rxo_resp_takes_requests(const struct rxo_qp *qp);
bool rxo_resp_in_sequence(const struct rxo_qp *qp, u32 flags);	/* under rq.lock */
void rxo_resp_advance(struct rxo_qp *qp, const struct rxo_msg_end *end, u32 psns,
		      u32 bytes);				/* under rq.lock */

/* resp_xrc.c: SRQs that requests name, or that are in error; under rq.lock */
int rxo_resp_take_xrc(struct rxo_qp *qp, struct sk_buff *skb);
void rxo_resp_flush_message(struct rxo_qp *qp);
bool rxo_resp_xrc_get_read(struct rxo_qp *qp);
void rxo_resp_xrc_put(struct rxo_rq *rq);
void rxo_resp_refuse_srq(struct rxo_qp *qp, u32 psn);
void rxo_resp_refuse_broken_srq(struct rxo_qp *qp, u32 psn);

/* peer.c: whether the peer is on this host, or else is one of ours */
void rxo_peer_publish(struct rxo_qpn *qpn);
void rxo_peer_unpublish(struct rxo_qpn *qpn);
struct rxo_qp *rxo_peer_get_local(struct rxo_qp *qp);	/* under sq.lock */
void rxo_peer_ask(struct rxo_qp *qp);			/* likewise */
void rxo_peer_failed(struct rxo_qp *qp);		/* likewise */
bool rxo_peer_is_allowed(const struct rxo_qp *qp, const struct rxo_qp *from);
void rxo_peer_rcv(struct rxo_qp *qp, const struct sk_buff *skb);
void rxo_peer_settle(struct rxo_qp *qp);		/* under rq.lock */

/* local.c: requests to a peer on this host; under sq.lock */
bool rxo_local_run(struct rxo_qp *qp, struct rxo_qp *peer, u32 *budget);

/* A request without packets, or a part of one, as resp_local.c needs it. */
struct rxo_local_req {
	struct rxo_msg_end msg;
	u32 psns;			/* that its packets, or a READ's responses, would take */
	u64 va;				/* what it is about at the peer: of a READ this part */
	u32 rkey;
	u32 length_bytes;		/* of the whole message */
	u32 bytes;			/* of this part */
	struct rxo_side own;		/* the requester's memory */
};

/*
 * resp_local.c: @qp is the peer, whose rq.lock is held. 0: executed. Else nothing was, but bytes
 * that the request covers may have been copied.
 */
bool rxo_resp_local_may(const struct rxo_qp *qp, const struct rxo_qp *from);
int rxo_resp_local_data(struct rxo_qp *qp, const struct rxo_local_req *req);
int rxo_resp_local_read(struct rxo_qp *qp, const struct rxo_local_req *req);
int rxo_resp_local_atomic(struct rxo_qp *qp, u64 va, u32 rkey, enum rxo_atomic_op op,
			  u64 compare_add, u64 swap, u64 *old);

/* The rights that a FLUSH needs of its QP and its region. */
static inline u32 rxo_flush_access(const struct sk_buff *skb)
{
	u32 bits = be32_to_cpu(rxo_pkt_feth(skb)->bits);

	return (bits & RXO_FETH_GLOBAL ? IB_ACCESS_FLUSH_GLOBAL : 0) |
	       (bits & RXO_FETH_PERSISTENT ? IB_ACCESS_FLUSH_PERSISTENT : 0);
}

/* late.c: pages that a peer's request waits for; all under rq.lock */
void rxo_late_init(struct rxo_qp *qp);
void rxo_late_reset(struct rxo_qp *qp);
void rxo_late_begin(struct rxo_qp *qp);
void rxo_late_end(struct rxo_qp *qp);
bool rxo_late_rcv(struct rxo_qp *qp, const struct rxo_pkt *pkt);
bool rxo_late_page_came(struct rxo_qp *qp);

/*
 * exec.c: what a request does; all under rq.lock. 0, -EAGAIN with a fault under way or, for a READ,
 * with more to send than one run may, or an errno that resp.c turns into a NAK.
 */
int rxo_exec_write(struct rxo_qp *qp, struct sk_buff *skb);
int rxo_exec_send(struct rxo_qp *qp, struct sk_buff *skb);
int rxo_exec_atomic(struct rxo_qp *qp, struct sk_buff *skb);
int rxo_exec_atomic_write(struct rxo_qp *qp, struct sk_buff *skb);
int rxo_exec_flush(struct rxo_qp *qp, struct sk_buff *skb);
int rxo_exec_read(struct rxo_qp *qp, u32 *budget);
void rxo_exec_resend_atomic(struct rxo_qp *qp, u32 psn);
void rxo_exec_keep_atomic(struct rxo_qp *qp, u32 psn, u64 old);

/* ecn.c */
bool rxo_ecn_limits(struct rxo_qp *qp);
bool rxo_ecn_rate_allows(struct rxo_qp *qp, struct rxo_tx *tx);
void rxo_ecn_charge_rate(struct rxo_qp *qp, u32 bytes);
void rxo_ecn_uncharge(struct rxo_qp *qp, u32 bytes);
void rxo_ecn_rcv_marked(struct rxo_qp *qp);
void rxo_ecn_rcv_cnp(struct rxo_qp *qp);

/*
 * Whether the queue pair's rate, if its device limits any, allows a packet now. Under the
 * direction's lock. If not, the direction is run again in a jiffy.
 */
static inline bool rxo_ecn_may_send(struct rxo_qp *qp, struct rxo_tx *tx)
{
	return !READ_ONCE(qp->dev->ecn) || rxo_ecn_rate_allows(qp, tx);
}

/* Charges a new packet of @bytes. Under a direction's lock. */
static inline void rxo_ecn_charge(struct rxo_qp *qp, u32 bytes)
{
	if (READ_ONCE(qp->dev->ecn))
		rxo_ecn_charge_rate(qp, bytes);
}

/* ud.c */
int rxo_ud_send(struct rxo_qp *qp, struct rxo_swqe *wqe);
int rxo_ud_exec(struct rxo_qp *qp, struct sk_buff *skb);

/* mcast.c */
int rxo_attach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid);
int rxo_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid);
void rxo_mcast_rcv(struct rxo_dev *dev, struct sk_buff *skb);

/* rcv.c */
extern const struct rxo_transport rxo_transport;

#endif /* RXO_QP_H */
