/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Back-pressure of the local host: what a queue pair has in queues on the way out (a qdisc, a
 * driver's ring, a backlog, a neighbour that is being resolved), and waiting until it may send
 * more.
 */
#ifndef RXO_TX_H
#define RXO_TX_H

#include <linux/list.h>
#include <linux/net.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include "device/dev.h"

struct sk_buff;

#define RXO_TX_BURST_PKTS	64U	/* the most that is made at once, with BH off */

/*
 * For so long after a loss packets are plain: no runs, no wide ones, and an ICRC each. Longer if
 * some are lost again soon after that. A policer or shaper may have room for one packet and never
 * for a run, of which it may also drop a part; and packets without ICRC are lost if they leave this
 * host after all.
 */
#define RXO_TX_PLAIN_JIFFIES	 (10UL * HZ)
#define RXO_TX_MAX_PLAIN_JIFFIES (600UL * HZ)

/*
 * The bounds of back-pressure, by kind of queue pair.
 *
 * stop_bytes	sending stops with so much on its way out, in bytes of struct sk_buff.truesize that
 *		are charged; the burst that passes the mark goes out whole
 * charge_pkts	one packet in so many is charged while all leave at once
 * patience	jiffies, after which what is refused counts as lost
 * runs		what is lost is sent again, so that packets may be lost together (net/run.h)
 */
struct rxo_tx_kind {
	u32 stop_bytes;
	u32 charge_pkts;
	unsigned long patience;
	bool runs;
};

extern const struct rxo_tx_kind rxo_tx_rc, rxo_tx_uc, rxo_tx_ud;

/*
 * One direction of a queue pair. @wait belongs to the socket's wait queue; @turn and
 * @is_my_turn to dev->tx_lock; what follows them to the direction's lock. The rest is immutable.
 */
struct rxo_tx {
	struct rxo_dev *dev;
	struct socket *sock;		/* the queue pair's: its packets are charged to it */
	struct work_struct *work;	/* on system_bh_wq: runs the direction again */
	const int *cpu;			/* on this CPU */
	spinlock_t *lock;		/* the direction's */
	const struct rxo_tx_kind *kind;
	struct wait_queue_entry wait;	/* for a packet to leave */
	struct timer_list timer;	/* one jiffy */
	struct list_head turn;		/* of dev->tx_refused */
	bool is_my_turn;

	struct rxo_counter *counter;	/* that the queue pair is bound to, or NULL */
	bool blocked;			/* may_send() said no, or packets were refused */
	u32 burst_pkts;			/* worth making at once: half of them may be refused */
	u32 taken_bytes;		/* of the last list of packets */
	u32 uncharged_pkts;		/* since the last that was charged */
	unsigned long blocked_jiffies;	/* since when, while @blocked */
	unsigned long plain_until;	/* jiffies */
	unsigned long plain_jiffies;	/* how long that is, or was the last time */
	bool stays_here;		/* its packets stay in this host, as far as is known */
	unsigned long stays_until;	/* jiffies: how long that is good for */
	u32 wide_bytes;			/* payload of wide ones that arrive, as far as is known */
	bool wide_has_icrc;		/* they have an ICRC, and fit into a frame of the netdev */
	unsigned long wide_until;	/* jiffies: how long that is good for */
};

/**
 * rxo_tx_sock - an account for the packets of a queue pair
 * @kind: of the queue pair
 *
 * May sleep. A socket that is bound to nothing: what sock_wfree() needs, so that a packet which
 * outlives the queue pair, or this module, gives back what it took all the same. ERR_PTR on
 * failure. Undone by sock_release().
 */
struct socket *rxo_tx_sock(const struct rxo_tx_kind *kind);

void rxo_tx_init(struct rxo_tx *tx, struct rxo_dev *dev, struct socket *sock,
		 struct work_struct *work, const int *cpu, spinlock_t *lock,
		 const struct rxo_tx_kind *kind);

/* Of the device: before its first queue pair, after its last. The latter may sleep. */
void rxo_tx_dev_init(struct rxo_dev *dev);
void rxo_tx_dev_exit(struct rxo_dev *dev);

/*
 * Whether packets may be sent now. If not, the direction is run again when they may.
 * Under the direction's lock, as all below where nothing else is said.
 */
bool rxo_tx_may_send(struct rxo_tx *tx);

void rxo_tx_pass_turn(struct rxo_tx *tx);

/* The direction's run ends: passes a turn that it did not use on. */
static inline void rxo_tx_run_ends(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	if (!list_empty_careful(&tx->turn))
		rxo_tx_pass_turn(tx);
}

/* Have the direction run again at the next jiffy. */
void rxo_tx_wait_jiffy(struct rxo_tx *tx);

/*
 * Whether no packet of the queue pair that was charged is still in a queue of this host. Up to
 * kind->charge_pkts - 1 packets that were not charged may be. Any context.
 */
static inline bool rxo_tx_is_idle(const struct rxo_tx *tx)
{
	return !sk_wmem_alloc_get(tx->sock->sk);
}

/* Counts, for the device and for the counter that the queue pair is bound to. */
static inline void rxo_tx_count(struct rxo_tx *tx, enum rxo_stat stat, u64 n)
{
	lockdep_assert_held(tx->lock);
	rxo_stat_add(tx->dev, stat, n);
	rxo_counter_add(tx->dev, tx->counter, stat, n);
}

/* Some of what was sent was lost: packets are plain for RXO_TX_PLAIN_JIFFIES or longer. */
void rxo_tx_go_plain(struct rxo_tx *tx);

/* The direction has another path: forgets losses, and what probes found out. */
void rxo_tx_forget_path(struct rxo_tx *tx);

static inline bool rxo_tx_may_run(const struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	return tx->kind->runs && time_after_eq(jiffies, tx->plain_until);
}

/*
 * A probe of the direction arrived that was as long as a wide packet of @bytes of payload: so do
 * those for @valid_jiffies. 0: no more.
 */
static inline void rxo_tx_set_wide(struct rxo_tx *tx, u32 bytes, bool has_icrc,
				   unsigned long valid_jiffies)
{
	lockdep_assert_held(tx->lock);
	tx->wide_bytes = bytes;
	tx->wide_has_icrc = has_icrc;
	tx->wide_until = jiffies + valid_jiffies;
}

static inline u32 rxo_tx_wide_bytes(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	if (tx->wide_bytes && time_after(jiffies, tx->wide_until))
		tx->wide_bytes = 0;
	return tx->wide_bytes;
}

/* A probe of the direction stayed in this host: so do all packets for @valid_jiffies. */
static inline void rxo_tx_set_stays_here(struct rxo_tx *tx, unsigned long valid_jiffies)
{
	lockdep_assert_held(tx->lock);
	tx->stays_here = true;
	tx->stays_until = jiffies + valid_jiffies;
}

static inline bool rxo_tx_stays_here(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	if (tx->stays_here && time_after(jiffies, tx->stays_until))
		tx->stays_here = false;
	return tx->stays_here && time_after_eq(jiffies, tx->plain_until);
}

/* Ends all waiting of a direction that is not run any more. May sleep; @work may be queued. */
void rxo_tx_stop(struct rxo_tx *tx);

/*
 * For rxo_net_xmit(), with BH off.
 *
 * charge	a run of @num packets, if it is its turn or others are still there: how many bytes,
 *		or 0.
 *		@crowded: packets are being refused. @last: of a list
 * end		after a list of which something was charged; @refused_bytes: the refused packet
 * lost		after a refusal: whether it counts as lost, because they have outlasted the patience
 * refused	a queue was full after it took @num packets: the direction is run again
 * taken	all were; if others wait, the direction is run again after them (share_turns)
 */
u32 rxo_tx_charge_now(struct rxo_tx *tx, struct sk_buff *skb);
void rxo_tx_end(struct rxo_tx *tx, u32 refused_bytes);
bool rxo_tx_lost(struct rxo_tx *tx);
void rxo_tx_refused(struct rxo_tx *tx, u32 num);
void rxo_tx_share_turns(struct rxo_tx *tx);

static inline u32 rxo_tx_charge(struct rxo_tx *tx, struct sk_buff *skb, u32 num, bool crowded,
				bool last)
{
	lockdep_assert_held(tx->lock);
	tx->uncharged_pkts += num;
	if (tx->uncharged_pkts < tx->kind->charge_pkts &&
	    !(last && (crowded || !rxo_tx_is_idle(tx))))
		return 0;
	return rxo_tx_charge_now(tx, skb);
}

static inline void rxo_tx_taken(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	tx->blocked = false;
	if (tx->burst_pkts != RXO_TX_BURST_PKTS)
		tx->burst_pkts = min(2 * tx->burst_pkts, RXO_TX_BURST_PKTS);
	if (!list_empty_careful(&tx->dev->tx_refused))
		rxo_tx_share_turns(tx);
}

#endif /* RXO_TX_H */
