// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The thread of the kernel that polls send queues (RXE_ODP_POLL_US): posts need no doorbell while it is awake, none is lost when it
 * falls asleep, it goes with its context and with its process, it is where its owner is, and there are never many.
 */
#include "cgroup.h"
#include "doorbell.h"
#include "pair.h"
#include "random.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define POSTS	    1000U
#define MAX_THREADS 64U
#define IDLE_US	    50U

static void idle_us(unsigned int us)
{
	char text[20];

	snprintf(text, sizeof(text), "%u", us);
	setenv("RXE_ODP_POLL_US", text, 1);
}

static bool is_poll_thread(pid_t pid)
{
	char path[40], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = 0;
	fclose(f);
	return !strcmp(name, "rxe_odp_poll\n");
}

static unsigned int threads_find(pid_t *tids)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	unsigned int nr = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !is_poll_thread(atoi(entry->d_name)))
			continue;
		assert_true(nr < MAX_THREADS);
		tids[nr++] = atoi(entry->d_name);
	}
	closedir(dir);
	return nr;
}

static pid_t await_threads(unsigned int want)
{
	pid_t tids[MAX_THREADS] = { 0 };
	double end = seconds() + BOUND_S;

	while (threads_find(tids) != want) {
		if (seconds() > end)
			fail_because("not %u polling threads", want);
		usleep(1000);
	}
	return tids[0];
}

static void await_promise(struct doorbell *bell, uint32_t want)
{
	double end = seconds() + BOUND_S;

	while (doorbell_promise(bell) != want)
		if (seconds() > end)
			fail_because("the promise stays %u and does not become %u",
				     doorbell_promise(bell), want);
}

static void setup(struct pair *pair, struct buf *buf, enum ibv_qp_type type)
{
	struct conn conn = CONN;

	conn.type = type;
	pair_open(pair, &conn);
	buf_make(buf, pair->rig.pd, MEM_ANON, 4096, 0, ACCESS_ALL);
	memset(buf->data, 1, buf->bytes);
}

static void done(struct pair *pair, struct buf *buf)
{
	doorbells_end();
	buf_free(buf);
	pair_close(pair);
	await_threads(0);
}

static int post_writes(struct pair *pair, const struct buf *buf, unsigned int num)
{
	struct ibv_sge sge = buf_sge(buf, 0, 8);
	struct ibv_send_wr wrs[32], *bad;
	unsigned int i;

	for (i = 0; i < num; i++) {
		wrs[i] = pair->conn.type == IBV_QPT_UD ?
				 wr_make(IBV_WR_SEND, &sge, 1) :
				 wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, buf, 8);
		if (pair->a.ah) {
			wrs[i].wr.ud.ah = pair->a.ah;
			wrs[i].wr.ud.remote_qpn = pair->b.qp->qp_num;
			wrs[i].wr.ud.remote_qkey = UD_QKEY;
		}
		wrs[i].next = i + 1 < num ? &wrs[i + 1] : NULL;
	}
	return ibv_post_send(pair->a.qp, wrs, &bad);
}

static void move(struct pair *pair, const struct buf *buf, unsigned int num)
{
	assert_zero(post_writes(pair, buf, num));
	while (num--)
		cq_success(pair->a.scq);
}

static void no_doorbell(void **state)
{
	struct doorbell *bell;
	struct pair pair;
	unsigned int i;
	struct buf buf;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	setup(&pair, &buf, IBV_QPT_RC);
	await_threads(1);
	bell = doorbell_begin(pair.a.qp);
	move(&pair, &buf, 1);
	for (i = 0; i < POSTS; i++)
		move(&pair, &buf, i % 32 + 1);
	/* It slept before the first; a machine that is late by a second may let it sleep again. */
	assert_in_range(bell->rung, 0, POSTS / 2);
	await_promise(bell, 0);
	move(&pair, &buf, 1);
	done(&pair, &buf);
}

/* Each post comes about when the thread falls asleep, and is waited for. */
static void asleep_and_woken(enum ibv_qp_type type)
{
	struct rnd rnd = { rnd_seed() };
	double end = seconds() + env_number("STORM_S", 2);
	unsigned long posts = 0;
	struct doorbell *bell;
	struct pair pair;
	struct buf buf;

	idle_us(IDLE_US);
	setup(&pair, &buf, type);
	bell = doorbell_begin(pair.a.qp);
	move(&pair, &buf, 1);
	while (seconds() < end) {
		double until = seconds() + rnd_below(&rnd, 3 * IDLE_US) / 1e6;
		unsigned int num = 1 + rnd_below(&rnd, 3);

		while (seconds() < until)
			;
		move(&pair, &buf, num);
		posts += num;
	}
	printf("%lu posts, %lu doorbells\n", posts, bell->rung);
	await_promise(bell, 0);
	done(&pair, &buf);
}

static void asleep_and_woken_rc(void **state)
{
	(void)state;
	asleep_and_woken(IBV_QPT_RC);
}

static void asleep_and_woken_ud(void **state)
{
	(void)state;
	asleep_and_woken(IBV_QPT_UD);
}

/* What a doorbell would be refused is refused, and not executed later. */
static void reset_while_polled(void **state)
{
	struct pair pair;
	struct buf buf;
	int i;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	setup(&pair, &buf, IBV_QPT_RC);
	for (i = 0; i < 30; i++) {
		move(&pair, &buf, 1);
		assert_zero(post_writes(&pair, &buf, 30));
		assert_zero(end_set_state(&pair.a, i % 2 ? IBV_QPS_RESET : IBV_QPS_ERR));
		assert_zero(end_set_state(&pair.a, IBV_QPS_RESET));
		assert_zero(end_to_init(&pair.a, &pair.conn));
		assert_int_equal(post_writes(&pair, &buf, 1), EINVAL);
		pair_reconnect(&pair);
		cq_assert_empty(pair.a.scq);
	}
	done(&pair, &buf);
}

static void flushed_while_polled(void **state)
{
	struct pair pair;
	struct buf buf;
	int i;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	setup(&pair, &buf, IBV_QPT_RC);
	move(&pair, &buf, 1);
	assert_zero(end_set_state(&pair.a, IBV_QPS_ERR));
	for (i = 0; i < 100; i++) {
		assert_zero(post_writes(&pair, &buf, 3));
		cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR);
		cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR);
		cq_expect(pair.a.scq, IBV_WC_WR_FLUSH_ERR);
	}
	done(&pair, &buf);
}

static void destroyed_while_polled(void **state)
{
	struct end more[2];
	struct pair pair;
	struct buf buf;
	int i;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	setup(&pair, &buf, IBV_QPT_RC);
	for (i = 0; i < 50; i++) {
		struct ibv_sge sge = buf_sge(&buf, 0, 8);
		struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, &buf, 8);

		ends_open(&more[0], &pair.rig, &more[1], &pair.rig, &pair.conn);
		end_post(&more[0], &wr);
		end_post(&more[1], &wr);
		end_close(&more[0]);
		end_close(&more[1]);
		move(&pair, &buf, 1);
	}
	done(&pair, &buf);
}

static void killed_with_the_thread_busy(void **state)
{
	int ready[2], i;
	char c;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	for (i = 0; i < 5; i++) {
		pid_t pid;

		assert_zero(pipe(ready));
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			struct pair pair;
			struct buf buf;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			setup(&pair, &buf, IBV_QPT_RC);
			move(&pair, &buf, 1);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			for (;;)
				move(&pair, &buf, 30);
		}
		assert_int_equal(read(ready[0], &c, 1), 1);
		close(ready[0]);
		close(ready[1]);
		await_threads(1);
		assert_zero(kill(pid, SIGKILL));
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		await_threads(0);
	}
}

/* A child that is left behind keeps the context, and so the thread; it does not keep the parent's queue from working. */
static void forked(void **state)
{
	struct pair pair;
	struct buf buf;
	pid_t pid;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	setup(&pair, &buf, IBV_QPT_RC);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	move(&pair, &buf, 30);
	await_threads(1);
	assert_zero(kill(pid, SIGKILL));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	move(&pair, &buf, 30);
	done(&pair, &buf);
}

/* More than there are CPUs are not had; a context without one rings. */
static void many_contexts(void **state)
{
	struct ibv_context *ctxs[MAX_THREADS];
	unsigned int i, cpus = sysconf(_SC_NPROCESSORS_ONLN), max = cpus + 3;
	struct pair pair;
	struct buf buf;

	(void)state;
	if (max > MAX_THREADS)
		max = MAX_THREADS;
	idle_us(1000);
	for (i = 0; i < max; i++) {
		ctxs[i] = rig_context(rig_device_name());
		assert_non_null(ctxs[i]);
	}
	await_threads(cpus);
	setup(&pair, &buf, IBV_QPT_RC);
	move(&pair, &buf, 30);
	for (i = 0; i < max; i++)
		assert_zero(ibv_close_device(ctxs[i]));
	done(&pair, &buf);
}

static void killed_by_an_administrator(void **state)
{
	struct pair pair;
	struct buf buf;
	pid_t tid;

	(void)state;
	idle_us(RXE_ODP_POLL_MAX_US);
	setup(&pair, &buf, IBV_QPT_RC);
	move(&pair, &buf, 1);
	tid = await_threads(1);
	assert_zero(kill(tid, SIGKILL));
	move(&pair, &buf, 1);
	await_threads(0);
	move(&pair, &buf, 30);
	done(&pair, &buf);
}

static bool read_cgroup(pid_t pid, char *text, size_t bytes)
{
	char path[40];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, bytes - 1, f);
	text[n] = 0;
	fclose(f);
	return n > 0;
}

/* In a child, which cannot become less nice again. Returns the step that went wrong. */
static int owner(void)
{
	char mine[512], its_group[512];
	cpu_set_t one, its;
	struct pair pair;
	struct buf buf;
	pid_t tid;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) || setpriority(PRIO_PROCESS, 0, 7))
		return 1;
	idle_us(1000);
	setup(&pair, &buf, IBV_QPT_RC);
	tid = await_threads(1);
	if (sched_getaffinity(tid, sizeof(its), &its) || !CPU_EQUAL(&one, &its))
		return 2;
	if (getpriority(PRIO_PROCESS, tid) != 7)
		return 3;
	if (!read_cgroup(getpid(), mine, sizeof(mine)) ||
	    !read_cgroup(tid, its_group, sizeof(its_group)) || strcmp(mine, its_group))
		return 4;
	move(&pair, &buf, 30);
	done(&pair, &buf);
	return 0;
}

/* In its cgroups, on its CPUs, and as nice. */
static void where_its_owner_is(void **state)
{
	(void)state;
	group_run(owner, "200M");
}

/* The process writes into its queues what it likes while they are polled. */
static void scribbled_while_polled(void **state)
{
	struct rnd rnd = { rnd_seed() };
	double end = seconds() + env_number("FUZZ_S", 3);

	(void)state;
	idle_us(IDLE_US);
	while (seconds() < end) {
		struct ring rings[16];
		unsigned int nr, i;
		struct pair pair;
		struct buf buf;

		setup(&pair, &buf, IBV_QPT_RC);
		nr = rings_find(rings, ARRAY_SIZE(rings));
		for (i = 0; i < 20000; i++) {
			const struct ring *ring = &rings[rnd_below(&rnd, nr)];
			static const size_t at[] = { RING_PRODUCER_AT, RING_CONSUMER_AT,
						     RING_PROMISE_AT };

			if (rnd_one_in(&rnd, 4))
				rnd_fill(&rnd, ring->addr + RING_DATA_AT, 256);
			*(volatile uint32_t *)(ring->addr + at[rnd_below(&rnd, 3)]) =
				rnd_one_in(&rnd, 2) ? rnd_next(&rnd) : rnd_below(&rnd, 4);
		}
		done(&pair, &buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_doorbell),
		TEST(asleep_and_woken_rc),
		TEST(asleep_and_woken_ud),
		TEST(reset_while_polled),
		TEST(flushed_while_polled),
		TEST(destroyed_while_polled),
		TEST(killed_with_the_thread_busy),
		TEST(forked),
		TEST(many_contexts),
		TEST(killed_by_an_administrator),
		TEST(where_its_owner_is),
		TEST(scribbled_while_polled),
	};

	rig_use_provider(NULL);
	return test_run(tests, ARRAY_SIZE(tests));
}
