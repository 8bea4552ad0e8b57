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

#include "net/net.h"
#include "transport/qp.h"

struct mcast_member {
	struct hlist_node node;		/* in dev->mcast */
	union ib_gid group;
	struct rxo_qpn *qpn;
	struct rcu_head rcu;
};

static struct hlist_head *mcast_bucket(struct rxo_dev *dev, const union ib_gid *group)
{
	return &dev->mcast[jhash(group, sizeof(*group), 0) % RXO_MCAST_BUCKETS];
}

static bool mcast_is_in(const struct mcast_member *member, const union ib_gid *group)
{
	return !memcmp(&member->group, group, sizeof(*group));
}

/* The queue pair's membership, or NULL; @others is how many the group has beside it. */
static struct mcast_member *mcast_find(struct rxo_qp *qp, const union ib_gid *group, u32 *others)
{
	struct mcast_member *member, *found = NULL;

	lockdep_assert_held(&qp->dev->mcast_lock);
	*others = 0;
	hlist_for_each_entry(member, mcast_bucket(qp->dev, group), node) {
		if (!mcast_is_in(member, group))
			continue;
		if (member->qpn == qp->qpn)
			found = member;
		else
			++*others;
	}
	return found;
}

/* The first member's device joins the group. */
static int mcast_add(struct rxo_qp *qp, struct mcast_member *new)
{
	struct rxo_dev *dev = qp->dev;
	u32 others;
	int err;

	guard(mutex)(&dev->mcast_lock);
	if (mcast_find(qp, &new->group, &others))
		return -EEXIST;
	if (others >= RXO_MAX_MCAST_QPS || dev->mcast_members >= RXO_MAX_MCAST_MEMBERS)
		return -ENOMEM;
	err = others ? 0 : rxo_net_join(dev, &new->group);
	if (err)
		return err;
	dev->mcast_members++;
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
	err = mcast_add(qp, member);
	if (err)
		kfree(member);
	return err;
}

int rxo_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid)
{
	struct rxo_qp *qp = to_rxo_qp(ibqp);
	struct rxo_dev *dev = qp->dev;
	struct mcast_member *member;
	u32 others;

	guard(mutex)(&dev->mcast_lock);
	member = mcast_find(qp, gid, &others);
	if (!member)
		return -EINVAL;
	hlist_del_rcu(&member->node);
	dev->mcast_members--;
	if (!others)
		rxo_net_leave(dev, gid);
	kfree_rcu(member, rcu);
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
