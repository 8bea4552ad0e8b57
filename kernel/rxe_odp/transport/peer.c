// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the peer of a connection is on this host, and packets between the two come through.
 *
 * The wire itself says so. A queue pair sends a probe with its cookie, a random number that only
 * this kernel can resolve. If that arrives at the queue pair which is its peer, this answers with
 * its own cookie, by the wire too. From then on, for PROVEN_JIFFIES, requests may be executed
 * without packets (local.c). Probes are sent again while requests are, by the run that sends them:
 * there is no timer. So bridges, veth and namespaces need no special case, and what an
 * administrator cuts off is cut off for local requests as well, as soon as the last answer is old.
 *
 *	A, requester			network			B, responder
 *	------------			-------			------------
 *	PROBE from=A to=0	----------------------->	A is found, and is B's peer:
 *								rq.local_peer = A
 *	sq.local.peer = B	<-----------------------	PROBE from=B to=A
 *
 *	open PROBE from=A to=0	----------------------->	the same
 *	tx.stays_here, B's too	<-----------------------	open PROBE from=B to=A
 *
 *	wide PROBE from=A to=0	----------------------->	the same
 *	tx.carries_wide, B's	<-----------------------	wide PROBE from=B to=A
 *
 * What has to be sent all the same has no ICRC while packets stay in memory on their way to B and
 * back, and the payload of several goes as one wide packet where that arrives. Open probes, which
 * only arrive so (rxo_net_mark_open()), tell the one, and wide probes, as long as a wide packet,
 * both: A sends one of the next kind as soon as one of a kind is answered, and from then on only
 * such, but that wide ones are for messages of several packets. When one is lost the next is of the
 * kind before; after MAX_LOSSES of a kind none are for CLOSED_JIFFIES. "Memory" may be a guest's in
 * between: that the other end is this kernel's the cookies say, and net_no_icrc (net.c) that a
 * packet is.
 *
 * The peer keeps for itself how long ago a probe has come, so that who can see and send packets at
 * one end gains nothing by answers that he makes up.
 *
 * A cookie leads to a queue pair as its number does (qp.c), so neither end keeps a pointer to the
 * other. A cookie that somebody has read on the wire says no more than the addresses there do: it
 * must be that of the queue pair which is connected to the one that received it.
 */
#include <linux/hashtable.h>
#include <linux/random.h>

#include "transport/qp.h"

/* How long an answer is good for, and when the next is asked for. */
#define PROVEN_JIFFIES		(1 + HZ / 10)
#define PROBE_JIFFIES		(1 + HZ / 40)
#define MAX_PROBE_JIFFIES	HZ

/* After so many open or wide probes in a row that were lost, when that is tried again. */
#define MAX_LOSSES		2
#define CLOSED_JIFFIES		(10 * HZ)

/* After so many requests in a row that could not be done at once, for how long none is tried. */
#define MAX_FAILURES		4
#define REST_JIFFIES		(1 + HZ / 100)

static DEFINE_HASHTABLE(peer_cookies, 12);
static DEFINE_SPINLOCK(peer_cookies_lock);	/* writers; _bh */

static bool peer_has_cookie(const struct rxo_qp *qp)
{
	return qp->ibqp.qp_type == IB_QPT_RC;
}

void rxo_peer_publish(struct rxo_qpn *qpn)
{
	if (!peer_has_cookie(qpn->qp))
		return;
	do {
		qpn->cookie = get_random_u64();
	} while (!qpn->cookie);
	spin_lock_bh(&peer_cookies_lock);
	hash_add_rcu(peer_cookies, &qpn->cookie_node, qpn->cookie);
	spin_unlock_bh(&peer_cookies_lock);
}

void rxo_peer_unpublish(struct rxo_qpn *qpn)
{
	if (!peer_has_cookie(qpn->qp))
		return;
	spin_lock_bh(&peer_cookies_lock);
	hash_del_rcu(&qpn->cookie_node);
	spin_unlock_bh(&peer_cookies_lock);
}

/* A reference, or NULL. */
static struct rxo_qp *peer_get(u64 cookie)
{
	struct rxo_qpn *qpn;

	guard(rcu)();
	hash_for_each_possible_rcu(peer_cookies, qpn, cookie_node, cookie)
		if (qpn->cookie == cookie && refcount_inc_not_zero(&qpn->refs))
			return qpn->qp;
	return NULL;
}

static struct sk_buff *peer_build_probe(struct rxo_qp *qp, u64 to, enum rxo_asked kind)
{
	const u8 opcode = RXO_OPCODE_PROBE, hdr_bytes = rxo_opcodes[opcode].hdr_bytes;
	u32 bytes = kind == RXO_ASKED_WIDE ? RXO_WIDE_BYTES + RXO_MAX_HDR_BYTES : 0;
	struct sk_buff *skb = rxo_net_alloc(qp->dev, &qp->path, hdr_bytes + bytes);

	if (!skb)
		return NULL;
	memset(skb->data + hdr_bytes, 0, bytes);
	rxo_bth_init(rxo_pkt_bth(skb), opcode, false, 0, IB_DEFAULT_PKEY_FULL, qp->dest_qpn,
		     false, 0);
	rxo_pkt_bth(skb)->flags |= RXO_PROBE_TVER;
	rxo_pkt_probeth(skb)->from = cpu_to_be64(qp->qpn->cookie);
	rxo_pkt_probeth(skb)->to = cpu_to_be64(to);
	if (kind == RXO_ASKED_OPEN)
		rxo_net_mark_open(skb);
	if (kind == RXO_ASKED_WIDE)
		rxo_bth_set_psns(rxo_pkt_bth(skb), 2);	/* any number is wide */
	return skb;
}

/* Under @tx's lock. False: it is lost, a queue of this host has no room for it. */
static bool peer_send_probe(struct rxo_qp *qp, struct rxo_tx *tx, u64 to, enum rxo_asked kind)
{
	struct sk_buff *skb;
	bool taken;

	lockdep_assert_held(tx->lock);
	if (tx->blocked)
		return false;
	skb = peer_build_probe(qp, to, kind);
	if (!skb)
		return false;
	taken = rxo_net_xmit_one(qp->dev, &qp->path, tx, skb);
	tx->blocked = false;
	return taken;
}

static bool peer_may_ask(struct rxo_qp *qp, enum rxo_asked kind)
{
	const struct rxo_local *local = &qp->sq.local;

	lockdep_assert_held(&qp->sq.lock);
	if (kind == RXO_ASKED_PLAIN)
		return true;
	if (kind == RXO_ASKED_KINDS || !local->peer || !rxo_net_omits_icrc() ||
	    time_before(jiffies, local->closed_until[kind]))
		return false;
	return kind == RXO_ASKED_OPEN ||
	       (local->large && rxo_net_may_probe_wide(qp->dev, &qp->path, &qp->sq.tx));
}

static void peer_send_question(struct rxo_qp *qp, enum rxo_asked how)
{
	struct rxo_local *local = &qp->sq.local;

	lockdep_assert_held(&qp->sq.lock);
	local->asked = jiffies;
	local->asked_how = peer_send_probe(qp, &qp->sq.tx, 0, how) ? how : RXO_ASKED_NOTHING;
	if (how == RXO_ASKED_WIDE)
		local->large = false;
}

/* The last probe has no answer: what a kind that is not plain tells is no longer known. */
static void peer_lost(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;
	enum rxo_asked kind = local->asked_how;

	if (kind <= RXO_ASKED_PLAIN)
		return;
	if (kind == RXO_ASKED_WIDE)
		rxo_tx_set_wide(&qp->sq.tx, 0);
	local->known = kind - 1;
	if (++local->losses[kind] < MAX_LOSSES)
		return;
	local->losses[kind] = 0;
	local->closed_until[kind] = jiffies + CLOSED_JIFFIES;
}

/* Asks, unless it was asked lately. Less often where nobody answers. */
static void peer_ask(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;
	enum rxo_asked kind;

	lockdep_assert_held(&qp->sq.lock);
	if (local->probe_jiffies && time_before(jiffies, local->asked + local->probe_jiffies))
		return;
	local->probe_jiffies = clamp(2 * local->probe_jiffies, PROBE_JIFFIES, MAX_PROBE_JIFFIES);
	peer_lost(qp);
	kind = max(local->known, RXO_ASKED_PLAIN);
	while (!peer_may_ask(qp, kind))
		kind--;
	peer_send_question(qp, kind);
}

/*
 * A request could not be done at once, and goes by the wire. Each waits for those before it, which
 * is worth that only if most can be done: after some in a row all go by the wire for a while.
 */
void rxo_peer_failed(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;

	lockdep_assert_held(&qp->sq.lock);
	if (++local->failures >= MAX_FAILURES)
		local->rest_until = jiffies + REST_JIFFIES;
}

/* Whether the answer to a probe would be used: for local requests, or for packets without ICRC. */
static bool peer_is_asked(const struct rxo_qp *qp)
{
	return peer_has_cookie(qp) && (READ_ONCE(qp->dev->local) || rxo_net_omits_icrc());
}

/*
 * rxo_peer_get_local - the peer, if requests to it need no packets now
 *
 * Under sq.lock, in a run that has something to send. A reference, or NULL.
 */
struct rxo_qp *rxo_peer_get_local(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;
	struct rxo_qp *peer;

	lockdep_assert_held(&qp->sq.lock);
	if (!peer_is_asked(qp))
		return NULL;
	if (local->peer && time_after(jiffies, local->proven_until))
		local->peer = 0;
	peer_ask(qp);
	if (!local->peer || !READ_ONCE(qp->dev->local))
		return NULL;
	if (local->failures >= MAX_FAILURES) {
		if (time_before(jiffies, local->rest_until))
			return NULL;
		local->failures = 0;
	}
	peer = peer_get(local->peer);
	if (peer && !READ_ONCE(peer->dev->local)) {
		rxo_qp_put(peer);
		return NULL;
	}
	return peer;
}

/* Whether @peer is connected to @qp. Both may be being changed: then the next probe tells. */
static bool peer_is_ours(const struct rxo_qp *qp, const struct rxo_qp *peer)
{
	return peer_has_cookie(peer) && READ_ONCE(peer->dest_qpn) == qp->ibqp.qp_num &&
	       READ_ONCE(qp->dest_qpn) == peer->ibqp.qp_num;
}

static void peer_answer(struct rxo_qp *qp, u64 from, enum rxo_asked kind)
{
	struct rxo_rq *rq = &qp->rq;

	guard(spinlock)(&rq->lock);
	if (!rxo_resp_takes_requests(qp))
		return;
	rq->local_peer = from;
	rq->local_until = jiffies + PROVEN_JIFFIES;
	peer_send_probe(qp, &rq->tx, from, kind);
}

/*
 * rxo_peer_is_allowed - whether @from's requests may be executed at @qp without packets
 *
 * Under @qp's rq.lock and @from's sq.lock. Each end goes by what has reached itself: one that could
 * make the other's answers up gets no further. They may have been connected to others since.
 */
bool rxo_peer_is_allowed(const struct rxo_qp *qp, const struct rxo_qp *from)
{
	const struct rxo_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	lockdep_assert_held(&from->sq.lock);
	return READ_ONCE(qp->dev->local) && rq->local_peer == from->qpn->cookie &&
	       time_before_eq(jiffies, rq->local_until) &&
	       from->dest_qpn == qp->ibqp.qp_num && qp->dest_qpn == from->ibqp.qp_num;
}

static void peer_set_tx(struct rxo_tx *tx, bool wide)
{
	rxo_tx_set_stays_here(tx, PROVEN_JIFFIES);
	if (wide)
		rxo_tx_set_wide(tx, PROVEN_JIFFIES);
}

/* Probe and answer stayed in this host: so do the peer's responses. */
static void peer_set_stays_here(struct rxo_qp *peer, u64 to, bool wide)
{
	struct rxo_rq *rq = &peer->rq;

	guard(spinlock)(&rq->lock);
	if (rq->local_peer == to && time_before_eq(jiffies, rq->local_until))
		peer_set_tx(&rq->tx, wide);
}

static void peer_was_answered(struct rxo_qp *qp, struct rxo_qp *peer, u64 from,
			      enum rxo_asked kind)
{
	struct rxo_local *local = &qp->sq.local;
	bool first;

	if (kind != RXO_ASKED_PLAIN)
		peer_set_stays_here(peer, qp->qpn->cookie, kind == RXO_ASKED_WIDE);

	guard(spinlock)(&qp->sq.lock);
	/* This path may not have asked yet: the answer is one to a path before it. */
	if (!rxo_comp_takes_answers(qp) || !local->probe_jiffies)
		return;
	local->peer = from;
	local->proven_until = jiffies + PROVEN_JIFFIES;
	local->probe_jiffies = PROBE_JIFFIES;
	if (kind != RXO_ASKED_PLAIN)
		peer_set_tx(&qp->sq.tx, kind == RXO_ASKED_WIDE);
	local->losses[kind] = 0;
	local->closed_until[kind] = jiffies;
	/* One of the next kind for each that was answered. */
	first = local->asked_how == kind;
	if (local->asked_how <= kind)
		local->asked_how = RXO_ASKED_NOTHING;
	local->known = kind;
	if (first && peer_may_ask(qp, kind + 1))
		peer_send_question(qp, kind + 1);
}

/* A probe from the queue pair's peer, which is anybody. Softirq. */
void rxo_peer_rcv(struct rxo_qp *qp, const struct sk_buff *skb)
{
	u64 from = be64_to_cpu(rxo_pkt_probeth(skb)->from);
	u64 to = be64_to_cpu(rxo_pkt_probeth(skb)->to);
	enum rxo_asked kind = rxo_pkt(skb)->psns > 1 ? RXO_ASKED_WIDE :
			      rxo_net_stayed_here(skb) ? RXO_ASKED_OPEN : RXO_ASKED_PLAIN;
	struct rxo_qp *peer;

	if (!peer_is_asked(qp) || (to && to != qp->qpn->cookie))
		return;
	peer = peer_get(from);
	if (!peer)
		return;
	if (peer_is_ours(qp, peer)) {
		if (to)
			peer_was_answered(qp, peer, from, kind);
		else
			peer_answer(qp, from, kind);
	}
	rxo_qp_put(peer);
}
