// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Whether two CPUs are used when two are free: what one process moves that is kept on one CPU, and what two move at once, each on
 * a CPU of its own, with a pair of queue pairs and memory of its own, on demand. Both ends of a flow are in one process, as in bw.
 * memcpy beside them tells what two CPUs have more of than one: caches and memory are shared.
 *
 * The two go through the same slices, and meet before and behind each; who has no part in one sleeps there. A slice of one process
 * is each process's by turns, since the CPUs need not be alike.
 */
#include "bench.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define COPY_BYTES (16 * MIB) /* between two looks at the clock */

enum lane { MEMCPY, PACKETS, PACKETS_VETH, LOCAL, LOCAL_VETH, STOCK_RXE, STOCK_VETH, LANES };

static const struct {
	const char *part;
	enum driver driver;
	enum place place;
	bool local;
} lanes[] = {
	[MEMCPY] = { "cpus", OURS, ONE_DEVICE, false },
	[PACKETS] = { "cpus", OURS, ONE_DEVICE, false },
	[PACKETS_VETH] = { "cpus-veth", OURS, VETH, false },
	[LOCAL] = { "cpus-local", OURS, ONE_DEVICE, true },
	[LOCAL_VETH] = { "cpus-local-veth", OURS, VETH, true },
	[STOCK_RXE] = { "cpus", STOCK, ONE_DEVICE, false },
	[STOCK_VETH] = { "cpus-veth", STOCK, VETH, false },
};

/* Each process writes its own of two, and reads the other's once they have met. Of a lane there is a run of one, and one of both. */
struct both {
	pthread_barrier_t barrier;
	double came[2];
	struct run {
		double rates[SLICES + 1][2];
		enum ibv_wc_status failed[2];
	} runs[LANES][2];
};

static struct both *shared;
static struct rig rigs[LANES][2]; /* the device, its peer */
static struct flow flows[LANES];
static unsigned int me;

static void lane_open(enum lane lane)
{
	struct rig *rig = rigs[lane];

	driver_open(&rig[0], lanes[lane].driver);
	driver_open_peer(&rig[1], lanes[lane].driver);
	flow_open(&flows[lane], &rig[0], &rig[lanes[lane].place == VETH], MIB,
		  IBV_ACCESS_ON_DEMAND);
	setenv("RDMA_ODP_DEVICE", "rxe_odp0", 1); /* for rig_set_local() */
}

static void lane_close(enum lane lane)
{
	flow_close(&flows[lane]);
	rig_close(&rigs[lane][0]);
	rig_close(&rigs[lane][1]);
}

static void copy_turn(struct flow *flow, size_t bytes)
{
	size_t at;

	for (at = 0; at < COPY_BYTES; at += bytes) {
		memcpy(flow->to->addr, flow->from->addr, bytes);
		asm volatile("" ::: "memory");
	}
	flow->posted += COPY_BYTES / bytes;
	flow->done = flow->posted;
}

/*
 * MB a second between two moments, which are the same for both processes: each is at work before the first, and what is under way
 * at the second is waited for, but not counted. Who looks late, since it had no CPU, has moved nothing meanwhile.
 */
static double slice_rate(enum lane lane, enum op op, size_t bytes, double from, double until,
			 enum ibv_wc_status *failed)
{
	unsigned long turn, done, before = 0;
	struct flow *flow = &flows[lane];
	bool began = false, idle = true;
	double now, rate = -1;

	for (turn = 1; rate < 0 || !idle; turn++) {
		if (lane == MEMCPY)
			copy_turn(flow, bytes);
		else if (!flow_turn(flow, op, bytes, bytes <= 64 * KIB ? 32 : 8, rate >= 0) &&
			 turn % 64 == 0)
			sched_yield();
		done = flows_done(flow, 1, &idle, failed);
		now = seconds();
		if (*failed != IBV_WC_SUCCESS) {
			lane_close(lane);
			lane_open(lane);
			return 0;
		}
		if (!began && now >= from) {
			began = true;
			before = done;
		}
		if (rate < 0 && now >= until)
			rate = (done - before) * bytes / (until - from) / 1e6;
		if (now > until + 60)
			fail_because("%s by %s of %zu bytes: no completion in 60 s",
				     lanes[lane].part, driver_names[lanes[lane].driver], bytes);
	}
	return rate;
}

static void slice(enum lane lane, unsigned int both, unsigned int i, enum op op, size_t bytes)
{
	double length = env_number("BENCH_SAMPLE_MS", 300) / 1e3 / SLICES, *came = shared->came;
	struct run *run = &shared->runs[lane][both];

	if (run->failed[0] != IBV_WC_SUCCESS || run->failed[1] != IBV_WC_SUCCESS)
		return;
	if (me == 0 && lanes[lane].driver == OURS)
		rig_set_local(lanes[lane].local);
	came[me] = seconds();
	pthread_barrier_wait(&shared->barrier);
	run->rates[i][me] = 0;
	if (both || i % 2 == me) {
		double start = (came[0] > came[1] ? came[0] : came[1]) + length / 4;

		run->rates[i][me] =
			slice_rate(lane, op, bytes, start, start + length, &run->failed[me]);
	}
	pthread_barrier_wait(&shared->barrier);
}

static void run_row(enum lane lane, unsigned int both, enum op op, size_t bytes, unsigned int round)
{
	const char *driver = lane == MEMCPY ? "cpu" : driver_names[lanes[lane].driver];
	const char *what = lane == MEMCPY ? "memcpy" : op_name(op);
	struct run *run = &shared->runs[lane][both];
	enum ibv_wc_status failed = run->failed[run->failed[0] == IBV_WC_SUCCESS];
	double sums[SLICES];
	unsigned int i;

	/* The first touches of the pages and of the caches are not the subject. */
	for (i = 0; i < SLICES; i++)
		sums[i] = run->rates[i + 1][0] + run->rates[i + 1][1];
	row_rate(lanes[lane].part, driver, what, "odp", bytes, 1 + both, round,
		 median(sums, SLICES), failed);
	run->failed[0] = IBV_WC_SUCCESS;
	run->failed[1] = IBV_WC_SUCCESS;
}

static void sample(enum lane num, enum op op, size_t bytes, unsigned int round)
{
	/* Memory is copied beside the writes. */
	unsigned int i, k, first = op == OP_WRITE ? MEMCPY : PACKETS, runs = (num - first) * 2;

	for (i = 0; i <= SLICES; i++)
		for (k = i; k < i + runs; k++)
			slice(first + k % runs / 2, k % 2, i, op, bytes);
	for (k = 0; me == 0 && k < runs; k++)
		run_row(first + k / 2, k % 2, op, bytes, round);
	pthread_barrier_wait(&shared->barrier);
}

static void process(enum lane num)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	unsigned int l, o, round;

	for (l = 0; l < num; l++)
		lane_open(l);
	for (round = 1; round <= ROUNDS; round++)
		for (o = 0; o < ARRAY_SIZE(ops); o++) {
			sample(num, ops[o], 64 * KIB, round);
			sample(num, ops[o], MIB, round);
		}
	for (l = 0; l < num; l++)
		lane_close(l);
}

int main(void)
{
	enum lane num = driver_wanted(STOCK) ? LANES : STOCK_RXE;
	pthread_barrierattr_t attr;
	cpu_set_t cpu;
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attr, 2);
	for (me = 0; me < 2; me++) {
		/* Before the fork: a process of User Mode Linux stays on the host's CPU where it was born. */
		CPU_ZERO(&cpu);
		CPU_SET(me, &cpu);
		assert_zero(sched_setaffinity(0, sizeof(cpu), &cpu));
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			process(num);
			exit(0);
		}
	}
	/* Who is left by the other waits for it until this one ends. */
	for (me = 0; me < 2; me++)
		if (wait(&status) < 0 || status)
			fail_because("a process ended with status %#x", status);
	/* The programs behind this one measure packets. */
	rig_set_local(false);
	return 0;
}
