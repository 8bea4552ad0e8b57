// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the peer of a connection is on this host, or else is one of ours, and what packets
 * between the two come through.
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
 *	tx.wide_bytes, B's	<-----------------------	wide PROBE from=B to=A
 *
 * Requests that are sent as packets have no ICRC while packets stay in memory on their way to B and
 * back, and one wide packet carries the payload of several where such packets arrive. An open probe
 * arrives only if it stays in memory (rxo_net_mark_open()), and so shows the former; a wide probe,
 * as long as a wide packet, shows both. When a probe of one kind is answered, A sends one of the
 * next kind, and probes with that kind from then on; wide ones only while there are messages of
 * several packets. When a probe is lost, the next one is of the kind before (peer_before); after
 * MAX_LOSSES of a kind none of it is sent for CLOSED_JIFFIES. "In memory" may be through a guest:
 * that the other end is in this kernel the cookies show, and that a packet is of this kernel,
 * net_no_icrc (net.c).
 *
 * A peer whose cookie is not of this kernel, but that knows ours, is one of this driver on another
 * host. There, and on this host where packets do not stay in memory, one packet carries the payload
 * of several, too: with an ICRC, and no longer than a frame of the netdev:
 *
 *	long PROBE from=A to=0	----------------------->	B takes what A's BTHs say of PSNs
 *	A's tx.wide_bytes,	<-----------------------	long PROBE from=B to=A arrived=n
 *	and takes B's PSNs
 *	PROBE from=A to=B arrived=n  ------------------>	B's tx.wide_bytes
 *
 * Each end gets its own cookie back, and how much arrived: so it knows that its long probe did
 * arrive. The answer is no longer than the question.
 *
 * Before B executes requests without packets, or sends responses without ICRC, it must have got a
 * probe of A itself, lately (rxo_peer_is_allowed(), peer_set_stays_here()). So somebody who can
 * read and send packets at one end gains nothing by forged answers, but that packets fill frames,
 * and are lost if those do not pass.
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

/* Likewise of a peer on another host: seldom, since these probes take the wire's time. */
#define PROVEN_ELSEWHERE_JIFFIES (3 * HZ)
#define PROBE_ELSEWHERE_JIFFIES	HZ

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

static struct sk_buff *peer_build_probe(struct rxo_qp *qp, const struct rxo_probe *probe)
{
	const u8 opcode = RXO_OPCODE_PROBE, hdr_bytes = rxo_opcodes[opcode].hdr_bytes;
	u32 bytes = probe->wide_bytes ? RXO_MAX_HDR_BYTES + probe->wide_bytes : hdr_bytes;
	struct sk_buff *skb = rxo_net_alloc(qp->dev, &qp->path, bytes);

	if (!skb)
		return NULL;
	memset(skb->data + hdr_bytes, 0, bytes - hdr_bytes);
	rxo_bth_init(rxo_pkt_bth(skb), opcode, false, 0, IB_DEFAULT_PKEY_FULL, qp->dest_qpn,
		     false, probe->arrived_bytes);
	rxo_pkt_bth(skb)->flags |= RXO_PROBE_TVER;
	rxo_pkt_probeth(skb)->from = cpu_to_be64(qp->qpn->cookie);
	rxo_pkt_probeth(skb)->to = cpu_to_be64(probe->to);
	if (probe->kind >= RXO_ASKED_OPEN)
		rxo_net_mark_open(skb);
	if (probe->kind == RXO_ASKED_WIDE || probe->kind == RXO_ASKED_FRAME)
		rxo_bth_set_psns(rxo_pkt_bth(skb), 2);	/* any number is wide */
	return skb;
}

/* Of a received probe: the payload of a wide packet of its length. */
static u32 peer_wide_bytes(const struct sk_buff *skb)
{
	return skb->len > RXO_MAX_HDR_BYTES ? skb->len - RXO_MAX_HDR_BYTES : 0;
}

/* Under @tx's lock. False: it is lost, a queue of this host has no room for it. */
static bool peer_send_probe(struct rxo_qp *qp, struct rxo_tx *tx, const struct rxo_probe *probe)
{
	struct sk_buff *skb;
	bool taken;

	lockdep_assert_held(tx->lock);
	if (tx->blocked)
		return false;
	skb = peer_build_probe(qp, probe);
	if (!skb)
		return false;
	taken = rxo_net_xmit_one(qp->dev, &qp->path, tx, skb);
	tx->blocked = false;
	return taken;
}

static bool peer_may_ask(struct rxo_qp *qp, enum rxo_asked kind)
{
	const struct rxo_local *local = &qp->sq.local;
	bool may_omit_icrc = local->peer && rxo_net_omits_icrc();

	lockdep_assert_held(&qp->sq.lock);
	if (kind == RXO_ASKED_PLAIN)
		return true;
	if (time_before(jiffies, local->closed_until[kind]))
		return false;
	switch (kind) {
	case RXO_ASKED_FRAME:
		/* Two packets in one, at least. */
		return (local->peer || local->elsewhere) && local->large &&
		       rxo_net_frame_bytes(qp->dev, &qp->path, &qp->sq.tx) >= 2 * qp->mtu_bytes;
	case RXO_ASKED_OPEN:
		return may_omit_icrc;
	case RXO_ASKED_WIDE:
		return may_omit_icrc && local->large &&
		       rxo_net_may_probe_wide(qp->dev, &qp->path, &qp->sq.tx);
	default:
		return false;
	}
}

/* What to ask when one of a kind was lost, or may not be asked. */
static const enum rxo_asked peer_before[RXO_ASKED_KINDS] = {
	[RXO_ASKED_FRAME]	= RXO_ASKED_PLAIN,
	[RXO_ASKED_OPEN]	= RXO_ASKED_PLAIN,
	[RXO_ASKED_WIDE]	= RXO_ASKED_OPEN,
};

/* What to ask after @kind was answered: FRAME only where packets without ICRC do not arrive. */
static enum rxo_asked peer_next(struct rxo_qp *qp, enum rxo_asked kind)
{
	static const enum rxo_asked next[RXO_ASKED_KINDS][2] = {
		[RXO_ASKED_PLAIN] = { RXO_ASKED_OPEN, RXO_ASKED_FRAME },
		[RXO_ASKED_FRAME] = { RXO_ASKED_OPEN },
		[RXO_ASKED_OPEN] = { RXO_ASKED_WIDE },
	};
	int i;

	lockdep_assert_held(&qp->sq.lock);
	for (i = 0; i < ARRAY_SIZE(next[kind]); i++)
		if (next[kind][i] && peer_may_ask(qp, next[kind][i]))
			return next[kind][i];
	return RXO_ASKED_NOTHING;
}

/* How long one of a kind is: see struct rxo_probe. */
static u32 peer_probe_bytes(struct rxo_qp *qp, struct rxo_tx *tx, enum rxo_asked kind)
{
	switch (kind) {
	case RXO_ASKED_FRAME:
		return rxo_net_frame_bytes(qp->dev, &qp->path, tx);
	case RXO_ASKED_WIDE:
		return RXO_WIDE_BYTES;
	default:
		return 0;
	}
}

static void peer_send_question(struct rxo_qp *qp, enum rxo_asked how)
{
	struct rxo_local *local = &qp->sq.local;
	struct rxo_probe probe = { .kind = how };

	lockdep_assert_held(&qp->sq.lock);
	probe.wide_bytes = peer_probe_bytes(qp, &qp->sq.tx, how);
	if (probe.wide_bytes)
		local->large = false;
	local->asked = jiffies;
	local->asked_how = peer_send_probe(qp, &qp->sq.tx, &probe) ? how : RXO_ASKED_NOTHING;
}

/* The last probe has no answer: what a kind that is not plain tells is no longer known. */
static void peer_lost(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;
	enum rxo_asked kind = local->asked_how;

	if (kind <= RXO_ASKED_PLAIN)
		return;
	if (kind == RXO_ASKED_WIDE || kind == RXO_ASKED_FRAME)
		rxo_tx_set_wide(&qp->sq.tx, 0, false, 0);
	local->known = peer_before[kind];
	if (++local->losses[kind] < MAX_LOSSES)
		return;
	local->losses[kind] = 0;
	local->closed_until[kind] = jiffies + CLOSED_JIFFIES;
}

/*
 * Whether it is time to ask. A peer on another host is asked seldom: then the first large message
 * after some small ones does not wait for that.
 */
static bool peer_ask_is_due(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;

	lockdep_assert_held(&qp->sq.lock);
	if (!local->probe_jiffies || time_after_eq(jiffies, local->asked + local->probe_jiffies))
		return true;
	if (!local->elsewhere || !local->large || local->asked_how != RXO_ASKED_NOTHING ||
	    local->known != RXO_ASKED_PLAIN ||
	    time_before(jiffies, local->closed_until[RXO_ASKED_FRAME]))
		return false;
	if (peer_may_ask(qp, RXO_ASKED_FRAME))
		return true;
	/* Frames are too short: no route is looked up for that in each run. */
	local->closed_until[RXO_ASKED_FRAME] = jiffies + PROBE_JIFFIES;
	return false;
}

/* Asks, unless it was asked lately. Less often where nobody answers. */
static void peer_ask(struct rxo_qp *qp)
{
	struct rxo_local *local = &qp->sq.local;
	enum rxo_asked kind;

	lockdep_assert_held(&qp->sq.lock);
	if (qp->sq.tx.blocked || !peer_ask_is_due(qp))
		return;
	local->probe_jiffies = clamp(2 * local->probe_jiffies, PROBE_JIFFIES, MAX_PROBE_JIFFIES);
	peer_lost(qp);
	kind = max(local->known, RXO_ASKED_PLAIN);
	if (local->elsewhere && peer_may_ask(qp, RXO_ASKED_FRAME))
		kind = RXO_ASKED_FRAME;
	while (!peer_may_ask(qp, kind))
		kind = peer_before[kind];
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

/*
 * Whether the answer to a probe would be used: for local requests, for packets without ICRC, or for
 * long ones.
 */
static bool peer_is_asked(const struct rxo_qp *qp)
{
	return peer_has_cookie(qp) && (READ_ONCE(qp->dev->local) || rxo_net_omits_icrc() ||
				       rxo_net_fills_frames());
}

/* Under sq.lock, behind each burst of a run: when the run began there may have been no room. */
void rxo_peer_ask(struct rxo_qp *qp)
{
	if (peer_is_asked(qp))
		peer_ask(qp);
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

/*
 * Sends an answer, or, where the responder waits for room, has it sent behind what that sends next:
 * it takes no turn from the data. One that a queue refuses is lost.
 */
static void peer_send_answer(struct rxo_qp *qp, const struct rxo_probe *probe)
{
	struct rxo_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	if (probe->kind == RXO_ASKED_FRAME && probe->wide_bytes)
		rq->frame_answered = true;
	rq->owed_probe = *probe;
	rxo_peer_settle(qp);
}

/* Of the responder, under rq.lock: an answer that had to wait, if it need not any more. */
void rxo_peer_settle(struct rxo_qp *qp)
{
	struct rxo_rq *rq = &qp->rq;
	struct rxo_probe probe = rq->owed_probe;

	lockdep_assert_held(&rq->lock);
	if (!probe.to || rq->tx.blocked || !rxo_resp_takes_requests(qp))
		return;
	rq->owed_probe.to = 0;
	peer_send_probe(qp, &rq->tx, &probe);
}

/* @here: on this host. */
static void peer_answer(struct rxo_qp *qp, u64 from, bool here, enum rxo_asked kind, u32 wide_bytes)
{
	struct rxo_probe probe = { .kind = kind, .to = from };
	struct rxo_rq *rq = &qp->rq;

	guard(spinlock)(&rq->lock);
	if (!rxo_resp_takes_requests(qp))
		return;
	if (here) {
		rq->local_peer = from;
		rq->local_until = jiffies + PROVEN_JIFFIES;
	}
	if (kind == RXO_ASKED_FRAME) {
		WRITE_ONCE(rq->peer_sends_wide, true);
		probe.arrived_bytes = wide_bytes;
	}
	probe.wide_bytes = min(wide_bytes, peer_probe_bytes(qp, &rq->tx, kind));
	peer_send_answer(qp, &probe);
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
		rxo_tx_set_wide(tx, RXO_WIDE_BYTES, false, PROVEN_JIFFIES);
}

/* Packets of @bytes with an ICRC arrive. Wide ones without ICRC are longer, and preferred. */
static void peer_set_frame(struct rxo_tx *tx, u32 bytes, bool here)
{
	if (!rxo_tx_wide_bytes(tx) || tx->wide_has_icrc)
		rxo_tx_set_wide(tx, bytes, true, here ? PROVEN_JIFFIES : PROVEN_ELSEWHERE_JIFFIES);
}

/* Probe and answer stayed in this host: so do the peer's responses. */
static void peer_set_stays_here(struct rxo_qp *peer, u64 to, bool wide)
{
	struct rxo_rq *rq = &peer->rq;

	guard(spinlock)(&rq->lock);
	if (rq->local_peer == to && time_before_eq(jiffies, rq->local_until))
		peer_set_tx(&rq->tx, wide);
}

/*
 * The peer has our probe that is as long as a frame. It learns that of its own, if this is one, by
 * another, which is short and is not answered. @asked: ours was a question; else it was an answer,
 * and this is the short one.
 */
static void peer_take_frame(struct rxo_qp *qp, u64 from, bool here, bool asked, u32 wide_bytes,
			    u32 arrived_bytes)
{
	struct rxo_probe probe = {
		.kind = RXO_ASKED_FRAME, .to = from, .arrived_bytes = wide_bytes,
	};
	struct rxo_rq *rq = &qp->rq;

	scoped_guard(spinlock, &rq->lock) {
		if (!rxo_resp_takes_requests(qp) || (!asked && !rq->frame_answered))
			return;
		if (!asked)
			rq->frame_answered = false;
		WRITE_ONCE(rq->peer_sends_wide, true);
		peer_set_frame(&rq->tx, arrived_bytes, here);
		if (wide_bytes)
			peer_send_answer(qp, &probe);
	}
	scoped_guard(spinlock, &qp->sq.lock)
		if (rxo_comp_takes_answers(qp))
			peer_set_frame(&qp->sq.tx, arrived_bytes, here);
}

/* Whether our last probe was of FRAME and has no answer yet; one from before a reset is none. */
static bool peer_awaits_frame(struct rxo_qp *qp)
{
	guard(spinlock)(&qp->sq.lock);
	return rxo_comp_takes_answers(qp) && qp->sq.local.asked_how == RXO_ASKED_FRAME;
}

static void peer_was_answered(struct rxo_qp *qp, u64 from, bool here, enum rxo_asked kind)
{
	struct rxo_local *local = &qp->sq.local;
	enum rxo_asked next;
	bool first;

	guard(spinlock)(&qp->sq.lock);
	/* This path may not have asked yet: the answer is one to a path before it. */
	if (!rxo_comp_takes_answers(qp) || !local->probe_jiffies || (!here && local->peer))
		return;
	local->elsewhere = !here;
	if (here) {
		local->peer = from;
		local->proven_until = jiffies + PROVEN_JIFFIES;
	}
	local->probe_jiffies = here ? PROBE_JIFFIES : PROBE_ELSEWHERE_JIFFIES;
	if (kind >= RXO_ASKED_OPEN)
		peer_set_tx(&qp->sq.tx, kind == RXO_ASKED_WIDE);
	local->losses[kind] = 0;
	local->closed_until[kind] = jiffies;
	/* One of the next kind for each that was answered. */
	first = local->asked_how == kind;
	if (local->asked_how <= kind)
		local->asked_how = RXO_ASKED_NOTHING;
	local->known = kind;
	next = first ? peer_next(qp, kind) : RXO_ASKED_NOTHING;
	if (next != RXO_ASKED_NOTHING)
		peer_send_question(qp, next);
}

static enum rxo_asked peer_kind(const struct sk_buff *skb)
{
	if (rxo_pkt(skb)->psns > 1)
		return RXO_ASKED_WIDE;
	if (rxo_bth_psns(rxo_pkt_bth(skb)) > 1)
		return RXO_ASKED_FRAME;
	return rxo_net_stayed_here(skb) ? RXO_ASKED_OPEN : RXO_ASKED_PLAIN;
}

/* Whether a probe of @kind is to be taken. @peer: the owner of its cookie, or NULL. */
static bool peer_is_heard(const struct rxo_qp *qp, const struct rxo_qp *peer, enum rxo_asked kind)
{
	if (peer && !peer_is_ours(qp, peer))
		return false;
	if (!peer && kind >= RXO_ASKED_OPEN)
		return false;
	return (peer && kind != RXO_ASKED_FRAME) || rxo_net_fills_frames();
}

/* A probe with the address of the queue pair's peer: anybody may have sent it. Softirq. */
void rxo_peer_rcv(struct rxo_qp *qp, const struct sk_buff *skb)
{
	u64 from = be64_to_cpu(rxo_pkt_probeth(skb)->from);
	u64 to = be64_to_cpu(rxo_pkt_probeth(skb)->to);
	enum rxo_asked kind = peer_kind(skb);
	u32 wide_bytes = peer_wide_bytes(skb);
	struct rxo_qp *peer;
	bool asked = true;

	if (!from || !peer_is_asked(qp) || (to && to != qp->qpn->cookie))
		return;
	peer = peer_get(from);
	if (!peer_is_heard(qp, peer, kind))
		goto out;
	if (!to) {
		peer_answer(qp, from, peer, kind, wide_bytes);
		goto out;
	}
	if (kind == RXO_ASKED_FRAME) {
		asked = peer_awaits_frame(qp);
		if (asked || !wide_bytes)
			peer_take_frame(qp, from, peer, asked, wide_bytes, rxo_pkt(skb)->psn);
	} else if (kind >= RXO_ASKED_OPEN) {
		peer_set_stays_here(peer, qp->qpn->cookie, kind == RXO_ASKED_WIDE);
	}
	if (asked)
		peer_was_answered(qp, from, peer, kind);
out:
	if (peer)
		rxo_qp_put(peer);
}
