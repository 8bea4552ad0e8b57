// SPDX-License-Identifier: GPL-2.0
/*
 * What ib_drain_qp() relies on: behind the error state each request completes, once, and those that
 * a kernel user posts then complete too. It waits for the latter without end; here that is bounded.
 *
 * A line is two queue pairs that are connected to each other, or the first one to nobody, whose
 * completions ib_core polls in one of its contexts.
 */
#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "bed.h"

#define LINE_WRS	32
#define LINE_RECVS	16	/* fewer than the SENDs under way: some wait for one */
#define BOUND		(20 * HZ)
#define NOBODY		0xfffffd

struct drain_mark {
	struct ib_cqe cqe;
	struct completion end;
};

struct line_end {
	struct kuser_bed *bed;
	struct ib_cq *cq;
	struct ib_qp *qp;
	struct ib_cqe sent, received;
	bool ends;			/* handlers post no more */
	atomic_t credits;		/* how many may still be posted */
	atomic_t posted, completed;	/* of requests to send */
	atomic_t recvs_posted, recvs_completed;
	atomic_t turn;
	struct drain_mark send_mark, recv_mark;
};

struct line {
	struct line_end a, b;
};

static void drain_mark_done(struct ib_cq *cq, struct ib_wc *wc)
{
	complete(&container_of(wc->wr_cqe, struct drain_mark, cqe)->end);
}

static void drain_mark_wait(struct line_end *end, struct drain_mark *mark, const char *what)
{
	if (!kuser_failed(end->bed) && !wait_for_completion_timeout(&mark->end, BOUND))
		kuser_fail(end->bed, "a request posted to a %s queue in error does not complete",
			   what);
}

static void drain_to_error(struct line_end *end)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_ERR };

	kuser_check(end->bed, !ib_modify_qp(end->qp, &attr, IB_QP_STATE));
}

static void drain_sq(struct line_end *end)
{
	struct ib_rdma_wr wr = {
		.wr = { .opcode = IB_WR_RDMA_WRITE, .wr_cqe = &end->send_mark.cqe },
	};

	end->send_mark.cqe.done = drain_mark_done;
	reinit_completion(&end->send_mark.end);
	drain_to_error(end);
	if (kuser_check(end->bed, !ib_post_send(end->qp, &wr.wr, NULL)))
		drain_mark_wait(end, &end->send_mark, "send");
}

static void drain_rq(struct line_end *end)
{
	struct ib_recv_wr wr = { .wr_cqe = &end->recv_mark.cqe };

	end->recv_mark.cqe.done = drain_mark_done;
	reinit_completion(&end->recv_mark.end);
	drain_to_error(end);
	if (kuser_check(end->bed, !ib_post_recv(end->qp, &wr, NULL)))
		drain_mark_wait(end, &end->recv_mark, "receive");
}

static void drain_qp(struct line_end *end)
{
	if (!kuser_failed(end->bed))
		drain_sq(end);
	if (!kuser_failed(end->bed))
		drain_rq(end);
}

/* False if there are as many as may be. */
static bool drain_end_post(struct line_end *end)
{
	static const enum ib_wr_opcode opcodes[] = {
		IB_WR_SEND, IB_WR_RDMA_WRITE, IB_WR_RDMA_READ, IB_WR_RDMA_WRITE,
	};
	struct kuser_bed *bed = end->bed;
	u32 turn = atomic_inc_return(&end->turn);
	struct ib_sge sge = {
		.addr = (uintptr_t)kuser_byte(&bed->a, 0), .length = PAGE_SIZE,
		.lkey = bed->pd->local_dma_lkey,
	};
	struct ib_rdma_wr wr = kuser_rdma_wr(opcodes[turn % ARRAY_SIZE(opcodes)], &sge,
					     bed->b.mr->iova, bed->b.mr->rkey);

	if (atomic_dec_if_positive(&end->credits) < 0)
		return false;
	wr.wr.wr_cqe = &end->sent;
	atomic_inc(&end->posted);
	kuser_check(bed, !ib_post_send(end->qp, &wr.wr, NULL));
	return true;
}

static void drain_end_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct line_end *end = container_of(wc->wr_cqe, struct line_end, sent);

	atomic_inc(&end->completed);
	atomic_inc(&end->credits);
	if (!wc->status && !READ_ONCE(end->ends))
		drain_end_post(end);
}

static void drain_end_receive(struct line_end *end)
{
	struct ib_sge sge = kuser_plain_sge(end->bed, &end->bed->b, PAGE_SIZE, PAGE_SIZE);
	struct ib_recv_wr wr = { .wr_cqe = &end->received, .sg_list = &sge, .num_sge = 1 };

	atomic_inc(&end->recvs_posted);
	/* In RESET nothing can be posted. */
	if (ib_post_recv(end->qp, &wr, NULL))
		atomic_dec(&end->recvs_posted);
}

static void drain_end_received(struct ib_cq *cq, struct ib_wc *wc)
{
	struct line_end *end = container_of(wc->wr_cqe, struct line_end, received);

	atomic_inc(&end->recvs_completed);
	if (!wc->status && !READ_ONCE(end->ends))
		drain_end_receive(end);
}

static void drain_end_open(struct kuser_bed *bed, struct line_end *end,
			   enum ib_poll_context context)
{
	struct ib_qp_init_attr attr = {
		.qp_type = IB_QPT_RC, .sq_sig_type = IB_SIGNAL_ALL_WR,
		.cap = { LINE_WRS + 1, LINE_WRS + 1, 1, 1 },
	};

	end->bed = bed;
	end->sent.done = drain_end_sent;
	end->received.done = drain_end_received;
	init_completion(&end->send_mark.end);
	init_completion(&end->recv_mark.end);
	end->cq = ib_alloc_cq_any(bed->dev, bed, 4 * LINE_WRS, context);
	if (!kuser_check(bed, !IS_ERR(end->cq)))
		return;
	attr.send_cq = end->cq;
	attr.recv_cq = end->cq;
	end->qp = ib_create_qp(bed->pd, &attr);
	kuser_check(bed, !IS_ERR(end->qp));
}

/* Behind ib_free_cq() no handler runs. */
static void drain_end_close(struct line_end *end)
{
	if (!IS_ERR_OR_NULL(end->qp))
		ib_destroy_qp(end->qp);
	if (!IS_ERR_OR_NULL(end->cq))
		ib_free_cq(end->cq);
}

static void drain_line_close(struct line *line)
{
	if (!line)
		return;
	drain_end_close(&line->a);
	drain_end_close(&line->b);
	kfree(line);
}

DEFINE_FREE(drain_line_close, struct line *, drain_line_close(_T))

static struct line *drain_line_open(struct kuser_bed *bed, enum ib_poll_context context)
{
	struct line *line = kzalloc(sizeof(*line), GFP_KERNEL);

	if (!kuser_check(bed, line))
		return NULL;
	drain_end_open(bed, &line->a, context);
	if (!kuser_failed(bed))
		drain_end_open(bed, &line->b, context);
	return line;
}

static void drain_end_begin(struct line_end *end, u32 peer)
{
	WRITE_ONCE(end->ends, false);
	atomic_set(&end->credits, LINE_WRS);
	atomic_set(&end->posted, 0);
	atomic_set(&end->completed, 0);
	atomic_set(&end->recvs_posted, 0);
	atomic_set(&end->recvs_completed, 0);
	kuser_connect(end->bed, end->qp, peer);
}

static void drain_end_expect(struct line_end *end)
{
	struct kuser_bed *bed = end->bed;

	kuser_check(bed, atomic_read(&end->completed) == atomic_read(&end->posted));
	kuser_check(bed, atomic_read(&end->recvs_completed) == atomic_read(&end->recvs_posted));
}

static unsigned int drain_nth_cpu(unsigned int nth)
{
	return cpumask_nth(nth % num_online_cpus(), cpu_online_mask);
}

/* A thread that has the queue pair's work item send what is posted, as any modification does. */
struct sender {
	struct line_end *end;
	u32 psn;
	bool sent;
};

static int drain_sender(void *data)
{
	struct ib_qp_attr attr = { .min_rnr_timer = 2 };
	struct sender *sender = data;
	struct ib_qp_init_attr init;

	ib_modify_qp(sender->end->qp, &attr, IB_QP_MIN_RNR_TIMER);
	while (!kthread_should_stop()) {
		if (!ib_query_qp(sender->end->qp, &attr, IB_QP_SQ_PSN, &init) &&
		    attr.sq_psn != sender->psn)
			WRITE_ONCE(sender->sent, true);
		usleep_range(20, 50);
	}
	return 0;
}

/*
 * A request waits for this CPU, the first, to send it, and meanwhile is sent by the second. Returns
 * whether it came to that: the second one may be busy.
 */
static bool drain_sent_elsewhere(struct line_end *end)
{
	struct kuser_bed *bed = end->bed;
	struct sender sender = { .end = end, .psn = bed->psn };
	struct task_struct *task = kthread_create(drain_sender, &sender, "drain_sender");
	int us;

	if (!kuser_check(bed, !IS_ERR(task)))
		return false;
	kthread_bind(task, drain_nth_cpu(1));
	local_bh_disable();
	drain_end_post(end);
	wake_up_process(task);
	for (us = 0; us < 200000 && !READ_ONCE(sender.sent); us += 5)
		udelay(5);
	local_bh_enable();
	kthread_stop(task);
	return us < 200000;
}

static u32 drain_end_psn(struct line_end *end)
{
	struct ib_qp_init_attr init;
	struct ib_qp_attr attr = {};

	kuser_check(end->bed, !ib_query_qp(end->qp, &attr, IB_QP_SQ_PSN, &init));
	return attr.sq_psn;
}

/* One more, from here: it is sent although nothing was answered. */
static void drain_send_behind(struct line_end *end)
{
	unsigned long until = jiffies + BOUND;
	u32 psn = drain_end_psn(end);

	drain_end_post(end);
	while (drain_end_psn(end) == psn && !kuser_failed(end->bed)) {
		if (time_after(jiffies, until))
			kuser_fail(end->bed, "what this CPU posted is not sent by the other one");
		usleep_range(20, 50);
	}
}

/*
 * The packets of a flow are sent by one CPU as long as some are not acknowledged, and the peer of
 * this one never answers. What was left to the first CPU holds up neither a request nor the flush.
 */
static void drain_bound(struct kuser_bed *bed)
{
	struct line *line __free(drain_line_close) = drain_line_open(bed, IB_POLL_SOFTIRQ);
	int tries, hits = 0;

	if (num_online_cpus() < 2)
		return;
	kuser_map(bed, &bed->b, 0, KUSER_BYTES);
	kuser_register(bed, &bed->b, 1, KUSER_ALL, IB_WC_SUCCESS);
	bed->ack_timeout = 0;
	set_cpus_allowed_ptr(current, cpumask_of(drain_nth_cpu(0)));
	for (tries = 0; tries < 100 && hits < 5 && !kuser_failed(bed); tries++) {
		drain_end_begin(&line->a, NOBODY);
		if (drain_sent_elsewhere(&line->a)) {
			hits++;
			drain_send_behind(&line->a);
		}
		drain_qp(&line->a);
		drain_end_expect(&line->a);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	kuser_check(bed, hits);
}

/* How the peer goes before its queue pair is drained as well. */
enum peer_goes { PEER_STAYS, PEER_RESET, PEER_ERROR, PEER_STARVES, PEER_GOES_KINDS };

static int drain_poster(void *data)
{
	struct line_end *end = data;

	while (!kthread_should_stop()) {
		if (kuser_failed(end->bed) || !drain_end_post(end))
			usleep_range(20, 50);
		else
			cond_resched();
	}
	return 0;
}

static int drain_peer(void *data)
{
	drain_qp(data);
	while (!kthread_should_stop())
		usleep_range(20, 50);
	return 0;
}

static struct task_struct *drain_thread(struct kuser_bed *bed, int (*run)(void *data),
					struct line_end *end, unsigned int cpu)
{
	struct task_struct *task = kthread_create(run, end, "drain_thread");

	if (!kuser_check(bed, !IS_ERR(task)))
		return NULL;
	kthread_bind(task, cpu);
	wake_up_process(task);
	return task;
}

static void drain_thread_end(struct task_struct *task)
{
	if (task)
		kthread_stop(task);
}

static void drain_peer_goes(struct line_end *peer, enum peer_goes how)
{
	struct ib_qp_attr init = { .qp_state = IB_QPS_INIT, .port_num = 1 };
	struct ib_qp_attr reset = { .qp_state = IB_QPS_RESET };

	switch (how) {
	case PEER_RESET:
		/* Nobody answers. What it has posted is dropped. */
		kuser_check(peer->bed, !ib_modify_qp(peer->qp, &reset, IB_QP_STATE));
		kuser_check(peer->bed, !ib_modify_qp(peer->qp, &init, IB_QP_STATE |
						     IB_QP_PKEY_INDEX | IB_QP_PORT |
						     IB_QP_ACCESS_FLAGS));
		break;
	case PEER_ERROR:
		drain_to_error(peer);
		break;
	default:
		break;
	}
}

/* Posters on two CPUs and in the handlers, who go on during the drain in every other round. */
static void drain_storm_round(struct kuser_bed *bed, struct line *line, int round)
{
	bool until_drained = round / PEER_GOES_KINDS % 2;
	enum peer_goes how = round % PEER_GOES_KINDS;
	struct task_struct *posters[2], *peer;
	unsigned int i;

	drain_end_begin(&line->a, line->b.qp->qp_num);
	drain_end_begin(&line->b, line->a.qp->qp_num);
	WRITE_ONCE(line->b.ends, how == PEER_STARVES);
	for (i = 0; i < LINE_RECVS; i++)
		drain_end_receive(&line->b);
	for (i = 0; i < ARRAY_SIZE(posters); i++)
		posters[i] = drain_thread(bed, drain_poster, &line->a, drain_nth_cpu(i));
	usleep_range(100 + round * 37 % 1000, 1200 + round * 37 % 1000);
	drain_peer_goes(&line->b, how);
	if (how == PEER_RESET)
		usleep_range(100 + round * 91 % 3000, 200 + round * 91 % 3000);
	if (!until_drained)
		for (i = 0; i < ARRAY_SIZE(posters); i++)
			drain_thread_end(posters[i]);
	peer = drain_thread(bed, drain_peer, &line->b, drain_nth_cpu(round));
	drain_qp(&line->a);
	if (until_drained)
		for (i = 0; i < ARRAY_SIZE(posters); i++)
			drain_thread_end(posters[i]);
	WRITE_ONCE(line->a.ends, true);
	drain_qp(&line->a);
	drain_thread_end(peer);
	WRITE_ONCE(line->b.ends, true);
	drain_qp(&line->b);
	drain_end_expect(&line->a);
	if (how != PEER_RESET)
		drain_end_expect(&line->b);
}

static void drain_storm_on(struct kuser_bed *bed, enum ib_poll_context context)
{
	struct line *line __free(drain_line_close) = drain_line_open(bed, context);
	int round;

	for (round = 0; round < 200 && !kuser_failed(bed); round++)
		drain_storm_round(bed, line, round);
	if (kuser_failed(bed))
		pr_info("round %d, context %d: %s\n", round - 1, context, bed->why);
}

static void drain_storm(struct kuser_bed *bed)
{
	kuser_map(bed, &bed->b, 0, KUSER_BYTES);
	kuser_register(bed, &bed->b, 1, KUSER_ALL, IB_WC_SUCCESS);
	drain_storm_on(bed, IB_POLL_SOFTIRQ);
	drain_storm_on(bed, IB_POLL_WORKQUEUE);
	drain_storm_on(bed, IB_POLL_UNBOUND_WORKQUEUE);
}

const struct kuser_test kuser_drain_tests[] = {
	{ "drain_bound", drain_bound },
	{ "drain_storm", drain_storm },
	{}
};
