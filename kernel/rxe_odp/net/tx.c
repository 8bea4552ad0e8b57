// SPDX-License-Identifier: GPL-2.0
/*
 * Back-pressure of the local host.
 *
 * Packets are charged to a socket of their queue pair until the last queue of this host frees
 * them (skb_set_owner_w(), sock_wfree()). As packets of a connection leave in order and each charge
 * costs four atomic operations, only one in eight is charged; and the last of each burst, while
 * what was charged before has not left or packets are being refused. A direction that has too
 * much there waits on the socket's wait queue, which sock_wfree() wakes when less than half of it
 * is left (sock_writeable()).
 *
 * A queue that is shared may be full of other senders' packets. Then it refuses a packet
 * (NET_XMIT_DROP), and the direction is added to a list of the device. The first there is run
 * when a direction with its turn had a burst taken, and then goes to the end of the list; when a
 * packet of a direction that waits leaves; and at every jiffy, since packets of other senders
 * leave unnoticed. So a short queue is shared in turns of one burst each. A direction that was
 * not refused does not wait for the others: its queue may be another one (multiqueue, classes).
 *
 * A filter that drops a flow looks like a queue that is always full. So a direction's patience
 * ends: from then on what is refused counts as lost, like anything that the network loses, until a
 * packet is taken again.
 *
 *	direction (lock held)			sock_wfree() on another CPU
 *	---------------------			---------------------------
 *	on the wait queue			sk_wmem_alloc goes down
 *	smp_mb()				smp_mb() in sock_wfree()
 *	reads sk_wmem_alloc			looks at the wait queue
 *
 * One of the two sees the other.
 *
 * The wake function runs under the lock of the wait queue: once an entry was removed it is not
 * running for it, and the module may be unloaded while its packets are still in queues.
 */
#include <linux/jiffies.h>
#include <net/sock.h>

#include "device/dev.h"
#include "net/tx.h"

/* While packets are being handed over: their socket, and what is charged to it if none leaves. */
struct tx_sending {
	struct sock *sk;
	int bytes;
};

static DEFINE_PER_CPU(struct tx_sending, tx_sending);

/* Seven packets of 4096 bytes one by one, or a full burst. */
const struct rxo_tx_kind rxo_tx_rc = {
	.stop_bytes	= 64 * 1024,
	.charge_pkts	= 8,
	.patience	= HZ,
	.runs		= true,
};

const struct rxo_tx_kind rxo_tx_uc = {
	.stop_bytes	= 64 * 1024,
	.charge_pkts	= 8,
	.patience	= HZ,
};

/*
 * What a UDP socket may have by default, which is also what Linux keeps for a neighbour whose MAC
 * address is being asked for. Datagrams go to many places, and a late one is of less use.
 */
const struct rxo_tx_kind rxo_tx_ud = {
	.stop_bytes	= 208 * 1024,
	.charge_pkts	= 1,
	.patience	= HZ / 2,
};

struct socket *rxo_tx_sock(const struct rxo_tx_kind *kind)
{
	struct socket *sock;
	int err;

	/* Only an account, so any namespace will do: init_net never ends. */
	err = sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP, &sock);
	/* What the socket layer returns without memory for an inode. */
	if (err == -ENFILE)
		err = -ENOMEM;
	if (err)
		return ERR_PTR(err);
	WRITE_ONCE(sock->sk->sk_sndbuf, kind->stop_bytes);
	/* sock_wfree() then needs one atomic operation, and a barrier only if a sender waits. */
	sock_set_flag(sock->sk, SOCK_RCU_FREE);
	return sock;
}

static void tx_run(struct rxo_tx *tx)
{
	int cpu = READ_ONCE(*tx->cpu);

	if (cpu_online(cpu))
		queue_work_on(cpu, system_bh_wq, tx->work);
	else
		queue_work(system_bh_wq, tx->work);
}

/* Runs the first in the list, unless it was told to run already. False: the list is empty. */
static bool tx_run_first(struct rxo_dev *dev)
{
	struct rxo_tx *tx;

	lockdep_assert_held(&dev->tx_lock);
	tx = list_first_entry_or_null(&dev->tx_refused, struct rxo_tx, turn);
	if (!tx)
		return false;
	if (!tx->is_my_turn) {
		tx->is_my_turn = true;
		dev->tx_turn_jiffies = jiffies;
		tx_run(tx);
	}
	return true;
}

static void tx_leave_turns(struct rxo_tx *tx)
{
	lockdep_assert_held(&tx->dev->tx_lock);
	list_del_init(&tx->turn);
	tx->is_my_turn = false;
}

/* The first did not use its turn within a jiffy: it may have nothing to send. */
static void tx_dev_timeout(struct timer_list *timer)
{
	struct rxo_dev *dev = timer_container_of(dev, timer, tx_timer);
	struct rxo_tx *tx;

	guard(spinlock_irqsave)(&dev->tx_lock);
	tx = list_first_entry_or_null(&dev->tx_refused, struct rxo_tx, turn);
	if (tx && tx->is_my_turn && time_after(jiffies, dev->tx_turn_jiffies)) {
		tx_leave_turns(tx);
		/* Run it all the same: its run may only be late. */
		tx_run(tx);
	}
	if (tx_run_first(dev))
		mod_timer(timer, jiffies + 1);
}

static int tx_packet_left(struct wait_queue_entry *wait, unsigned int mode, int flags, void *key)
{
	struct rxo_tx *tx = container_of(wait, struct rxo_tx, wait);

	/* A refused packet is freed too, but that is no room: see rxo_tx_end(). */
	if (this_cpu_read(tx_sending.sk) == tx->sock->sk)
		return 0;
	list_del_init(&wait->entry);

	guard(spinlock_irqsave)(&tx->dev->tx_lock);
	tx_run_first(tx->dev);
	if (list_empty(&tx->turn))
		tx_run(tx);
	return 0;
}

static void tx_timeout(struct timer_list *timer)
{
	struct rxo_tx *tx = timer_container_of(tx, timer, timer);

	tx_run(tx);
}

void rxo_tx_init(struct rxo_tx *tx, struct rxo_dev *dev, struct socket *sock,
		 struct work_struct *work, const int *cpu, spinlock_t *lock,
		 const struct rxo_tx_kind *kind)
{
	tx->dev = dev;
	tx->sock = sock;
	tx->work = work;
	tx->cpu = cpu;
	tx->lock = lock;
	tx->kind = kind;
	tx->burst_pkts = RXO_TX_BURST_PKTS;
	tx->plain_until = jiffies;
	init_waitqueue_func_entry(&tx->wait, tx_packet_left);
	INIT_LIST_HEAD(&tx->wait.entry);
	INIT_LIST_HEAD(&tx->turn);
	timer_setup(&tx->timer, tx_timeout, 0);
}

void rxo_tx_dev_init(struct rxo_dev *dev)
{
	spin_lock_init(&dev->tx_lock);
	spin_lock_init(&dev->tx_send_lock);
	INIT_LIST_HEAD(&dev->tx_refused);
	dev->tx_crowded_until = jiffies;
	timer_setup(&dev->tx_timer, tx_dev_timeout, 0);
}

void rxo_tx_dev_exit(struct rxo_dev *dev)
{
	WARN_ON_ONCE(!list_empty(&dev->tx_refused));
	timer_delete_sync(&dev->tx_timer);
}

static void tx_wait_for_packets(struct rxo_tx *tx)
{
	struct wait_queue_head *head = &tx->sock->wq.wait;
	unsigned long flags;

	spin_lock_irqsave(&head->lock, flags);
	if (list_empty(&tx->wait.entry))
		__add_wait_queue_entry_tail(head, &tx->wait);
	spin_unlock_irqrestore(&head->lock, flags);
	smp_mb();	/* pairs with the one of sock_def_write_space_wfree(), drawn above */
}

void rxo_tx_wait_jiffy(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	if (!timer_pending(&tx->timer))
		mod_timer(&tx->timer, jiffies + 1);
}

/* To the end of the list of turns. */
static void tx_wait_for_turn(struct rxo_tx *tx)
{
	struct rxo_dev *dev = tx->dev;

	lockdep_assert_held(&dev->tx_lock);
	if (tx->is_my_turn)
		tx_leave_turns(tx);
	if (list_empty(&tx->turn))
		list_add_tail(&tx->turn, &dev->tx_refused);
	if (!timer_pending(&dev->tx_timer))
		mod_timer(&dev->tx_timer, jiffies + 1);
}

static bool tx_is_below(const struct rxo_tx *tx, int bytes)
{
	return sk_wmem_alloc_get(tx->sock->sk) < bytes;
}

static void tx_set_blocked(struct rxo_tx *tx)
{
	if (!tx->blocked)
		tx->blocked_jiffies = jiffies;
	tx->blocked = true;
}

static bool tx_has_patience(const struct rxo_tx *tx)
{
	return !tx->blocked || time_before(jiffies, tx->blocked_jiffies + tx->kind->patience);
}

/* Whether there is room on the way out, or the lack of it has lasted too long to wait. */
static bool tx_has_room(struct rxo_tx *tx)
{
	int stop_bytes = tx->kind->stop_bytes;

	if (tx_is_below(tx, stop_bytes))
		return true;
	tx_wait_for_packets(tx);
	if (tx_is_below(tx, stop_bytes / 2))
		return true;
	rxo_tx_wait_jiffy(tx);
	return !tx_has_patience(tx);
}

static bool tx_has_turn(struct rxo_tx *tx)
{
	if (list_empty_careful(&tx->turn))
		return true;
	guard(spinlock_irqsave)(&tx->dev->tx_lock);
	return tx->is_my_turn;
}

bool rxo_tx_may_send(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	if (tx_has_room(tx) && tx_has_turn(tx))
		return true;
	tx_set_blocked(tx);
	return false;
}

void rxo_tx_pass_turn(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	guard(spinlock_irqsave)(&tx->dev->tx_lock);
	if (tx->is_my_turn) {
		tx_leave_turns(tx);
		tx_run_first(tx->dev);
	}
}

u32 rxo_tx_charge_now(struct rxo_tx *tx, struct sk_buff *skb)
{
	/* A run may stand for several that would have been charged. */
	u32 times = max(1, tx->uncharged_pkts / tx->kind->charge_pkts);
	struct sock *sk = tx->sock->sk;

	lockdep_assert_held(tx->lock);
	tx->uncharged_pkts = 0;
	if (!this_cpu_read(tx_sending.sk)) {
		this_cpu_write(tx_sending.bytes, sk_wmem_alloc_get(sk));
		this_cpu_write(tx_sending.sk, sk);
	}
	skb->truesize *= times;
	skb_set_owner_w(skb, sk);
	this_cpu_add(tx_sending.bytes, skb->truesize);
	return skb->truesize;
}

void rxo_tx_end(struct rxo_tx *tx, u32 refused_bytes)
{
	int bytes = this_cpu_read(tx_sending.bytes) - refused_bytes;
	struct sock *sk = tx->sock->sk;

	this_cpu_write(tx_sending.sk, NULL);
	/* Packets left since the first of the list was charged, while wakes were ignored. */
	if (sk_wmem_alloc_get(sk) < bytes)
		sk->sk_write_space(sk);
}

void rxo_tx_go_plain(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	/* Packets are plain already: this loss has another reason. */
	if (time_before(jiffies, tx->plain_until))
		return;
	if (time_after(jiffies, tx->plain_until + RXO_TX_PLAIN_JIFFIES))
		tx->plain_jiffies = 0;
	tx->plain_jiffies = clamp(2 * tx->plain_jiffies, RXO_TX_PLAIN_JIFFIES,
				  RXO_TX_MAX_PLAIN_JIFFIES);
	tx->plain_until = jiffies + tx->plain_jiffies;
}

void rxo_tx_forget_path(struct rxo_tx *tx)
{
	lockdep_assert_held(tx->lock);
	tx->plain_until = jiffies;
	tx->plain_jiffies = 0;
	tx->stays_here = false;
	tx->wide_bytes = 0;
}

bool rxo_tx_lost(struct rxo_tx *tx)
{
	tx_set_blocked(tx);
	if (tx_has_patience(tx))
		return false;
	rxo_tx_go_plain(tx);
	return true;
}

void rxo_tx_refused(struct rxo_tx *tx, u32 num)
{
	lockdep_assert_held(tx->lock);
	if (num) {
		tx->blocked = false;
		tx_set_blocked(tx);
	}
	tx->burst_pkts = clamp(num, 1, RXO_TX_BURST_PKTS);
	WRITE_ONCE(tx->dev->tx_crowded_until, jiffies + HZ);
	scoped_guard(spinlock_irqsave, &tx->dev->tx_lock)
		tx_wait_for_turn(tx);
	tx_wait_for_packets(tx);
}

void rxo_tx_share_turns(struct rxo_tx *tx)
{
	struct rxo_dev *dev = tx->dev;

	lockdep_assert_held(tx->lock);
	scoped_guard(spinlock_irqsave, &dev->tx_lock) {
		tx_leave_turns(tx);
		if (!tx_run_first(dev))
			return;
		tx_wait_for_turn(tx);
	}
	/* The others run when these packets leave. */
	tx_wait_for_packets(tx);
}

void rxo_tx_stop(struct rxo_tx *tx)
{
	timer_delete_sync(&tx->timer);
	remove_wait_queue(&tx->sock->wq.wait, &tx->wait);
	INIT_LIST_HEAD(&tx->wait.entry);
	scoped_guard(spinlock_irqsave, &tx->dev->tx_lock)
		tx_leave_turns(tx);
	tx->blocked = false;
	tx->burst_pkts = RXO_TX_BURST_PKTS;
}
