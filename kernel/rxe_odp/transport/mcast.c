// SPDX-License-Identifier: GPL-2.0
/*
 * Multicast: each queue pair that is attached to a group gets a copy of each datagram to it.
 *
 * dev->mcast is a table of memberships by group. Receivers walk it under RCU. A queue pair outlives
 * its memberships (ib_core counts them as users of it), and its struct rxo_qpn outlives the
 * receivers that found it, so a member needs no reference to it.
 */
#include <linux/jhash.h>
#include <linux/slab.h>

#include "device/ctx.h"
#include "net/net.h"
#include "transport/qp.h"

struct mcast_member {
	struct hlist_node node;		/* in dev->mcast */
	union ib_gid group;
	struct rxo_qpn *qpn;
	struct rxo_ucontext *uctx;	/* NULL: the kernel's */
	struct rxo_joined joined;	/* the same for all of a group */
	struct rcu_head rcu;
};

/* A group, as one who is or would be a member sees it. */
struct mcast_view {
	struct mcast_member *own;	/* its membership, or NULL */
	struct mcast_member *other;	/* a member beside it, or NULL */
	u32 others;			/* how many there are */
	bool uctx_others;		/* some of which are of its context */
};

static struct hlist_head *mcast_bucket(struct rxo_dev *dev, const union ib_gid *group)
{
	return &dev->mcast[jhash(group, sizeof(*group), 0) % RXO_MCAST_BUCKETS];
}

static bool mcast_is_in(const struct mcast_member *member, const union ib_gid *group)
{
	return !memcmp(&member->group, group, sizeof(*group));
}

static struct rxo_ucontext *mcast_uctx(const struct rxo_qp *qp)
{
	return qp->user ? to_rxo_ucontext(qp->ibqp.pd->uobject->context) : NULL;
}

static struct mcast_view mcast_look(struct rxo_qp *qp, struct rxo_ucontext *uctx,
				    const union ib_gid *group)
{
	struct mcast_view view = {};
	struct mcast_member *member;

	lockdep_assert_held(&qp->dev->mcast_lock);
	hlist_for_each_entry(member, mcast_bucket(qp->dev, group), node) {
		if (!mcast_is_in(member, group))
			continue;
		if (member->qpn == qp->qpn) {
			view.own = member;
			continue;
		}
		view.other = member;
		view.others++;
		view.uctx_others |= member->uctx == uctx;
	}
	return view;
}

static bool mcast_has_room(const struct rxo_dev *dev, const struct rxo_ucontext *uctx,
			   const struct mcast_view *view)
{
	if (view->others >= RXO_MAX_MCAST_QPS)
		return false;
	if (!view->others && dev->mcast_groups >= RXO_MAX_MCAST_GROUPS)
		return false;
	return !uctx || view->uctx_others || uctx->mcast_groups < RXO_MAX_CTX_MCAST_GROUPS;
}

/* One more member of a group (1), or one less (-1). */
static void mcast_count(struct rxo_dev *dev, struct rxo_ucontext *uctx,
			const struct mcast_view *view, int n)
{
	if (!view->others)
		dev->mcast_groups += n;
	if (uctx && !view->uctx_others)
		uctx->mcast_groups += n;
}

/* The netdev joins a group with its first member; later ones share struct rxo_joined. */
static int mcast_add(struct rxo_qp *qp, struct mcast_member *new)
{
	struct rxo_dev *dev = qp->dev;
	struct mcast_view view;
	int err;

	guard(mutex)(&dev->mcast_lock);
	view = mcast_look(qp, new->uctx, &new->group);
	if (view.own)
		return -EEXIST;
	if (!mcast_has_room(dev, new->uctx, &view))
		return -ENOMEM;
	if (view.other) {
		new->joined = view.other->joined;
	} else {
		err = rxo_net_join(dev, &new->group, &new->joined);
		if (err)
			return err;
	}
	mcast_count(dev, new->uctx, &view, 1);
	hlist_add_head_rcu(&new->node, mcast_bucket(dev, &new->group));
	return 0;
}

int rxo_attach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct mcast_member *member;
	int err;

	member = kzalloc_obj(*member, GFP_KERNEL_ACCOUNT);
	if (!member)
		return -ENOMEM;
	member->group = *gid;
	member->qpn = qp->qpn;
	member->uctx = mcast_uctx(qp);
	err = mcast_add(qp, member);
	if (err)
		kfree(member);
	return err;
}

int rxo_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct rxo_dev *dev = qp->dev;
	struct rxo_ucontext *uctx = mcast_uctx(qp);
	struct mcast_view view;

	guard(mutex)(&dev->mcast_lock);
	view = mcast_look(qp, uctx, gid);
	if (!view.own)
		return -EINVAL;
	hlist_del_rcu(&view.own->node);
	mcast_count(dev, uctx, &view, -1);
	if (!view.other)
		rxo_net_leave(dev, gid, &view.own->joined);
	kfree_rcu(view.own, rcu);
	return 0;
}

/*
 * rxo_mcast_rcv - a datagram to a group
 *
 * Softirq, in an RCU read section. Consumes @skb. Without a member, or memory, it is dropped.
 */
void rxo_mcast_rcv(struct rxo_dev *dev, struct sk_buff *skb)
{
	struct mcast_member *member;
	bool taken = false;
	union ib_gid group;

	rxo_net_dgid(skb, &group);
	hlist_for_each_entry_rcu(member, mcast_bucket(dev, &group), node) {
		struct sk_buff *copy;

		if (!mcast_is_in(member, &group) || !refcount_inc_not_zero(&member->qpn->refs))
			continue;
		copy = skb_clone(skb, GFP_ATOMIC | __GFP_NOWARN);
		if (copy) {
			rxo_resp_rcv(member->qpn->qp, copy);
			taken = true;
		}
		rxo_qp_put(member->qpn->qp);
	}
	if (!taken)
		rxo_stat_inc(dev, RXO_STAT_RCV_DROPPED);
	consume_skb(skb);
}
