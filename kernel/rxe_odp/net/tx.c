// SPDX-License-Identifier: GPL-2.0
/*
 * Back-pressure of the local host.
 *
 * Packets are charged to a socket of their queue pair until the last queue of this host has let
 * go of them (skb_set_owner_w(), sock_wfree()). A direction that has too much there waits on the
 * socket's wait queue, to which sock_wfree() is the waker; half of the bound must have gone then
 * (sock_writeable()).
 *
 * A queue that is shared may be full with what others put there: then it refuses a packet
 * (NET_XMIT_DROP), and the direction waits for its turn in a queue of the device. The first there
 * runs when one before it had a burst taken, and whenever a packet leaves of one who waits or was
 * let before. One that comes anew goes behind those who wait. So a short queue is shared in turns, a
 * burst each, and nobody is passed over. What others than our queue pairs put there does not tell us
 * when it leaves: as long as a direction waits for its turn, a timer has the first one try at
 * every jiffy.
 *
 *	direction (lock held)			sock_wfree() on another CPU
 *	---------------------			---------------------------
 *	on the wait queue			sk_wmem_alloc goes down
 *	smp_mb()				smp_mb()
 *	reads sk_wmem_alloc			looks at the wait queue
 *
 * One of the two sees the other.
 *
 * The wake function runs under the lock of the wait queue, so that once an entry was removed
 * nobody is in it, and the module may go while packets of it are still on their way.
 */
#include <linux/jiffies.h>
#include <net/sock.h>

#include "device/dev.h"
#include "net/tx.h"

struct socket *rxo_tx_sock(u32 max_bytes)
{
	struct socket *sock;
	int err;

	/* Of a namespace that never ends: which one means nothing to an account. */
	err = sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP, &sock);
	/* The word of the socket layer when it has no memory for an inode. */
	if (err == -ENFILE)
		err = -ENOMEM;
	if (err)
		return ERR_PTR(err);
	WRITE_ONCE(sock->sk->sk_sndbuf, max_bytes);
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

/*
 * Lets the first that waits for its turn try. It keeps its place until it does, so that the others
 * go behind it; one that has not by the next jiffy (@late) may have nothing to send any more, and
 * loses its place, but not its turn. False when nobody waits. Any context.
 */
static bool tx_next_turn(struct rxo_dev *dev, bool late)
{
	struct rxo_tx *tx;

	guard(spinlock_irqsave)(&dev->tx_lock);
	tx = list_first_entry_or_null(&dev->tx_refused, struct rxo_tx, turn);
	if (tx && tx->is_my_turn && late) {
		list_del_init(&tx->turn);
		tx = list_first_entry_or_null(&dev->tx_refused, struct rxo_tx, turn);
	}
	if (!tx)
		return false;
	if (!tx->is_my_turn) {
		WRITE_ONCE(tx->is_my_turn, true);
		tx_run(tx);
	}
	return true;
}

bool rxo_tx_is_refused(const struct rxo_tx *tx)
{
	return !list_empty_careful(&tx->turn);
}

/* While a packet is being handed over: its socket. */
static DEFINE_PER_CPU(struct sock *, tx_sending);

void rxo_tx_begin(struct rxo_tx *tx, struct sk_buff *skb)
{
	skb_set_owner_w(skb, tx->sock->sk);
	this_cpu_write(tx_sending, tx->sock->sk);
}

void rxo_tx_end(void)
{
	this_cpu_write(tx_sending, NULL);
}

static int tx_packet_left(struct wait_queue_entry *wait, unsigned int mode, int flags, void *key)
{
	struct rxo_tx *tx = container_of(wait, struct rxo_tx, wait);

	/* A packet that is refused leaves as well, and tells nothing. */
	if (this_cpu_read(tx_sending) == tx->sock->sk)
		return 0;
	list_del_init(&wait->entry);
	if (!tx_next_turn(tx->dev, false) || !rxo_tx_is_refused(tx))
		tx_run(tx);
	return 0;
}

static void tx_timeout(struct timer_list *timer)
{
	struct rxo_tx *tx = timer_container_of(tx, timer, timer);

	if (!rxo_tx_is_refused(tx)) {
		tx_run(tx);
		return;
	}
	tx_next_turn(tx->dev, true);
	if (rxo_tx_is_refused(tx))
		mod_timer(&tx->timer, jiffies + 1);
}

void rxo_tx_init(struct rxo_tx *tx, struct rxo_dev *dev, struct socket *sock,
		 struct work_struct *work, const int *cpu)
{
	tx->dev = dev;
	tx->sock = sock;
	tx->work = work;
	tx->cpu = cpu;
	tx->burst_pkts = RXO_TX_BURST_PKTS;
	init_waitqueue_func_entry(&tx->wait, tx_packet_left);
	INIT_LIST_HEAD(&tx->wait.entry);
	INIT_LIST_HEAD(&tx->turn);
	timer_setup(&tx->timer, tx_timeout, 0);
}

static void tx_wait_for_packets(struct rxo_tx *tx)
{
	struct wait_queue_head *head = &tx->sock->wq.wait;
	unsigned long flags;

	spin_lock_irqsave(&head->lock, flags);
	if (list_empty(&tx->wait.entry))
		__add_wait_queue_entry_tail(head, &tx->wait);
	spin_unlock_irqrestore(&head->lock, flags);
	smp_mb();	/* see above */
}

static bool tx_is_below(const struct rxo_tx *tx, int bytes)
{
	return sk_wmem_alloc_get(tx->sock->sk) < bytes;
}

void rxo_tx_wait_jiffy(struct rxo_tx *tx)
{
	if (!timer_pending(&tx->timer))
		mod_timer(&tx->timer, jiffies + 1);
}

/* Goes behind those who wait for their turn. */
static void tx_wait_for_turn(struct rxo_tx *tx)
{
	struct rxo_dev *dev = tx->dev;

	scoped_guard(spinlock_irqsave, &dev->tx_lock) {
		if (list_empty(&tx->turn))
			list_add_tail(&tx->turn, &dev->tx_refused);
	}
	tx_wait_for_packets(tx);
	rxo_tx_wait_jiffy(tx);
}

static bool tx_has_turn(struct rxo_tx *tx)
{
	struct rxo_dev *dev = tx->dev;

	if (list_empty_careful(&dev->tx_refused) && !READ_ONCE(tx->is_my_turn))
		return true;

	guard(spinlock_irqsave)(&dev->tx_lock);
	if (!tx->is_my_turn && !list_empty(&dev->tx_refused))
		return false;
	WRITE_ONCE(tx->is_my_turn, false);
	list_del_init(&tx->turn);
	return true;
}

bool rxo_tx_may_send(struct rxo_tx *tx)
{
	int max_bytes = READ_ONCE(tx->sock->sk->sk_sndbuf);

	if (!tx_is_below(tx, max_bytes)) {
		tx_wait_for_packets(tx);
		if (!tx_is_below(tx, max_bytes / 2))
			return false;
	}
	if (tx_has_turn(tx))
		return true;
	tx_wait_for_turn(tx);
	return false;
}

void rxo_tx_refused(struct rxo_tx *tx, u32 num)
{
	tx->burst_pkts = clamp(num, 1, RXO_TX_BURST_PKTS);
	tx_wait_for_turn(tx);
}

void rxo_tx_taken(struct rxo_tx *tx)
{
	tx->burst_pkts = min(2 * tx->burst_pkts, RXO_TX_BURST_PKTS);
	if (list_empty_careful(&tx->dev->tx_refused))
		return;
	/* These packets are what the others wait for. */
	tx_wait_for_packets(tx);
	tx_next_turn(tx->dev, false);
}

bool rxo_tx_is_idle(const struct rxo_tx *tx)
{
	return tx_is_below(tx, 1);
}

void rxo_tx_stop(struct rxo_tx *tx)
{
	struct rxo_dev *dev = tx->dev;

	timer_delete_sync(&tx->timer);
	remove_wait_queue(&tx->sock->wq.wait, &tx->wait);
	INIT_LIST_HEAD(&tx->wait.entry);
	scoped_guard(spinlock_irqsave, &dev->tx_lock) {
		list_del_init(&tx->turn);
		tx->is_my_turn = false;
	}
}
