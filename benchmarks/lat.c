// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How long single rounds take, and how many take milliseconds: two processes, one on each CPU, that spin until the other's
 * write has come, beside the same two without a NIC, which shows what the scheduler does alone; and one that waits for
 * completions. Not two threads: a User Mode Linux runs one thread of a process at a time. Timers of the driver are whole
 * jiffies, 10 ms there.
 */
#include "bench.h"

#include <sys/wait.h>

#define MESSAGE 4096UL
#define SLOTS	256UL

static int rounds(void)
{
	return 1000 * ROUNDS;
}

struct player {
	struct end *end;
	struct buf *from;
	struct buf *to;			  /* of the other */
	volatile uint64_t *mine, *theirs; /* the last word of what I receive; of what I send */
	double *took;
	int cpu, rc;
	bool first, nic;
};

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *what, const char *mode, double *took, int n)
{
	int i, two = 0, nine = 0;

	qsort(took, n, sizeof(*took), by_size);
	for (i = 0; i < n; i++) {
		two += took[i] > 2e-3;
		nine += took[i] > 9e-3;
	}
	printf("%-22s %-16s %9.1f %9.1f %9.1f %9.1f %6d %6d of %d\n", what, mode, took[n / 2] * 1e6,
	       took[n * 99 / 100] * 1e6, took[n * 999L / 1000] * 1e6, took[n - 1] * 1e6, two, nine,
	       n);
	fflush(stdout);
}

static int player_sends(struct player *p, uint64_t round)
{
	struct ibv_sge sge = buf_sge(p->from, 0, MESSAGE);
	struct ibv_send_wr *bad, wr;
	struct ibv_wc wc;

	*p->theirs = round;
	if (!p->nic)
		return 0;
	wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, p->to, 0);
	if (ibv_post_send(p->end->qp, &wr, &bad))
		return 1;
	return cq_poll_bounded(p->end->scq, &wc, 60) && wc.status == IBV_WC_SUCCESS ? 0 : 2;
}

static void play(struct player *p)
{
	cpu_set_t cpus;
	double start;
	int i;

	CPU_ZERO(&cpus);
	CPU_SET(p->cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	/* Who fails leaves the other spinning. */
	alarm(300);
	for (i = 1; i <= rounds() && !p->rc; i++) {
		start = seconds();
		if (p->first)
			p->rc = player_sends(p, i);
		while (!p->rc && *p->mine != (uint64_t)i)
			;
		if (!p->first)
			p->rc = player_sends(p, i);
		p->took[i - 1] = seconds() - start;
	}
	alarm(0);
}

static void ping_pong(struct pair *pair, const char *mode, int access, bool nic)
{
	double *took = calloc(rounds(), sizeof(*took));
	struct buf from[2], to[2];
	struct player player[2];
	int i, status;
	pid_t child;

	assert_non_null(took);
	for (i = 0; i < 2; i++) {
		buf_make(&from[i], pair->rig.pd, MEM_SHARED, MESSAGE, 0, ACCESS_ALL | access);
		buf_make(&to[i], pair->rig.pd, MEM_SHARED, MESSAGE, 0, ACCESS_ALL | access);
		memset(from[i].data, 0, MESSAGE);
		memset(to[i].data, 0, MESSAGE);
	}
	for (i = 0; i < 2; i++) {
		volatile uint64_t *sent = (void *)(from[i].data + MESSAGE - 8);

		player[i] = (struct player){
			.end = i ? &pair->b : &pair->a,
			.from = &from[i],
			.to = &to[!i],
			.mine = (void *)(to[i].data + MESSAGE - 8),
			.theirs = nic ? sent : (void *)(to[!i].data + MESSAGE - 8),
			.took = took,
			.cpu = i,
			.first = !i,
			.nic = nic,
		};
	}
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	play(&player[child ? 0 : 1]);
	if (!child)
		_exit(player[1].rc);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(player[0].rc | status, 0);
	report(nic ? "ping-pong, 4 KiB write" : "ping-pong, memory", mode, took, rounds());
	for (i = 0; i < 2; i++) {
		buf_free(&from[i]);
		buf_free(&to[i]);
	}
	free(took);
}

/* One thread; where fresh is set, each round goes to a page that is not there. */
static void completions(struct pair *pair, const char *mode, int access, bool atomic, bool fresh)
{
	double *took = calloc(rounds(), sizeof(*took)), start;
	struct buf from, to;
	struct ibv_sge sge;
	int i;

	assert_non_null(took);
	buf_make(&from, pair->rig.pd, MEM_ANON, MESSAGE, 0, ACCESS_ALL | access);
	buf_make(&to, pair->rig.pd, MEM_ANON, SLOTS * MESSAGE, 0, ACCESS_ALL | access);
	memset(from.data, 1, MESSAGE);
	memset(to.data, 0, SLOTS * MESSAGE);
	sge = buf_sge(&from, 0, atomic ? 8 : MESSAGE);
	for (i = 0; i < rounds(); i++) {
		size_t at = i % SLOTS * MESSAGE;
		struct ibv_send_wr wr =
			atomic ? wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, &to, at, 1, 0) :
				 wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &to, at);

		if (fresh && !at)
			assert_zero(madvise(to.data, SLOTS * MESSAGE, MADV_DONTNEED));
		start = seconds();
		end_post(&pair->a, &wr);
		cq_success(pair->a.scq);
		took[i] = seconds() - start;
	}
	report(atomic ? "8 byte fetch-add" : "4 KiB write", mode, took, rounds());
	buf_free(&from);
	buf_free(&to);
	free(took);
}

static void latency(void **state)
{
	struct conn conn = CONN;
	struct pair pair;

	(void)state;
	conn.mtu = IBV_MTU_4096;
	pair_open(&pair, &conn);
	printf("%-22s %-16s %9s %9s %9s %9s %6s %6s\n", "one round, us", "", "median", "99 %",
	       "99.9 %", "most", ">2 ms", ">9 ms");
	ping_pong(&pair, "no NIC", 0, false);
	ping_pong(&pair, "pinned", 0, true);
	ping_pong(&pair, "odp", IBV_ACCESS_ON_DEMAND, true);
	completions(&pair, "pinned", 0, false, false);
	completions(&pair, "odp", IBV_ACCESS_ON_DEMAND, false, false);
	completions(&pair, "odp, first touch", IBV_ACCESS_ON_DEMAND, false, true);
	completions(&pair, "pinned", 0, true, false);
	completions(&pair, "odp", IBV_ACCESS_ON_DEMAND, true, false);
	completions(&pair, "odp, first touch", IBV_ACCESS_ON_DEMAND, true, true);
	pair_close(&pair);
}

TEST_MAIN(TEST(latency))
