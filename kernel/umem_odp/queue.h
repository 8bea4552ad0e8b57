/* SPDX-License-Identifier: GPL-2.0 */
/* The queue of a mirror: who waits for which page, and the passes that serve them. */
#ifndef UMEM_ODP_QUEUE_H
#define UMEM_ODP_QUEUE_H

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct umem_odp_mirror;
struct umem_odp_pass;
struct umem_odp_region;
struct umem_odp_user;
struct umem_odp_waiter;

/* What a pass can wait for. Each has a budget of its own, so that neither starves the other. */
enum umem_odp_wait {
	UMEM_ODP_WAIT_PAGE,		/* I/O, a userfaultfd */
	UMEM_ODP_WAIT_FILE_SYSTEM,	/* page_mkwrite, which may be throttled */
	UMEM_ODP_WAITS,
};

/* So many waiters are claimed under one hold of the lock, which keeps softirqs off. */
#define UMEM_ODP_QUEUE_BATCH	64U

/* A waiter whose page does not come is tried again after 10 ms, 20 ms, ... 2.6 s. */
#define UMEM_ODP_BACKOFFS	9

/**
 * struct umem_odp_queue - who waits, and who works
 * @lock: protects all below, and what waiters, passes and regions say it does. Always _bh: faults
 *	are asked for in softirq
 * @waiting: the leaders of waiters by page and mode (waiters.c)
 * @ready: leaders that a thread is to take
 * @again: likewise, those that were slow before
 * @turn: counts leaders taken: decides from which list and end the next one is
 * @slow: leaders whose page does not come, by how often they were tried
 * @retry: makes those in @slow ready again
 * @retry_at: when, in jiffies
 * @passes: at work
 * @nr_threads: threads that exist, or are being made
 * @nr_idle: threads that have nothing to do
 * @nr_blocked: passes that wait, by what for
 * @growing: a thread is being made
 * @wait: where idle threads sleep
 * @grow: makes a thread
 * @user: whose threads these are
 */
struct umem_odp_queue {
	spinlock_t lock;	/* all below */
	struct rb_root waiting;
	struct list_head ready;
	struct list_head again;
	unsigned int turn;
	struct list_head slow[UMEM_ODP_BACKOFFS];
	struct delayed_work retry;
	unsigned long retry_at;
	struct list_head passes;
	unsigned int nr_threads;
	unsigned int nr_idle;
	unsigned int nr_blocked[UMEM_ODP_WAITS];
	bool growing;
	wait_queue_head_t wait;
	struct work_struct grow;
	struct umem_odp_user *user;
};

void umem_odp_queue_init(struct umem_odp_queue *q, struct umem_odp_user *user);
void umem_odp_queue_destroy(struct umem_odp_queue *q);

int umem_odp_queue_add(struct umem_odp_waiter *w);
bool umem_odp_queue_cancel(struct umem_odp_waiter *w);
bool umem_odp_queue_stop(struct umem_odp_waiter *w);
void umem_odp_queue_close(struct umem_odp_region *r);
bool umem_odp_queue_is_idle(struct umem_odp_region *r);
void umem_odp_queue_no_thread(struct umem_odp_queue *q, int err);
void umem_odp_queue_end_idle(struct umem_odp_queue *q);

void umem_odp_queue_call_thread(struct umem_odp_queue *q);
bool umem_odp_queue_claim_group(struct umem_odp_queue *q, struct umem_odp_waiter *leader,
				struct list_head *claimed, unsigned int *budget);
void umem_odp_queue_wake(struct umem_odp_queue *q, struct list_head *claimed, int err);

/* retry.c */
void umem_odp_queue_make_slow(struct umem_odp_queue *q, struct umem_odp_waiter *w);
void umem_odp_queue_retry_soon(struct umem_odp_queue *q);
void umem_odp_queue_retry_work(struct work_struct *work);

/* serve.c */
struct umem_odp_pass *umem_odp_queue_find_pass(struct umem_odp_queue *q,
					       const struct umem_odp_waiter *w);
void umem_odp_queue_stop_if_unwanted(struct umem_odp_pass *pass);
void umem_odp_queue_stop_ahead(struct umem_odp_queue *q);
bool umem_odp_queue_take(struct umem_odp_queue *q, struct umem_odp_pass *pass);
void umem_odp_queue_run(struct umem_odp_pass *pass);
void umem_odp_queue_serve(struct umem_odp_pass *pass, u64 start, u64 end, unsigned int put_in);
void umem_odp_queue_wake_served(struct umem_odp_pass *pass);
bool umem_odp_queue_block(struct umem_odp_pass *pass, enum umem_odp_wait wait);
void umem_odp_queue_unblock(struct umem_odp_pass *pass, enum umem_odp_wait wait);
#endif
