/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the benchmarks share: the two drivers, flows of messages between two queue pairs of this
 * process, and the rows that are printed for scripts/bench.sh to collect.
 *
 * Each driver has one device at either end of a veth pair of MTU 9000, and each end is in a network
 * namespace of its own (lib/guest). The ends of a flow are on one device, or across the veth; the
 * one thread that holds both posts and polls everything without events. Where both are on one
 * device our packets go over lo; stock rxe sends none, it hands them over in memory.
 */
#ifndef BENCHMARKS_BENCH_H
#define BENCHMARKS_BENCH_H

#include "pair.h"

#include <inttypes.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS ((unsigned int)env_number("BENCH_ROUNDS", 5))

enum driver { OURS, STOCK, DRIVERS };
enum place { ONE_DEVICE, VETH, PLACES };

static const char *const driver_names[] = { [OURS] = "rxe_odp", [STOCK] = "rxe" };
static const char *const mode_names[] = { "pinned", "odp" };

/* One row: part,driver,what,mode,bytes,qps,round,value,unit. The kernel and the host's load are added outside. */
static inline void row(const char *part, const char *driver, const char *what, const char *mode,
		       size_t bytes, unsigned int qps, unsigned int round, double value,
		       const char *unit)
{
	printf("ROW,%s,%s,%s,%s,%zu,%u,%u,%.4f,%s\n", part, driver, what, mode, bytes, qps, round,
	       value, unit);
	fflush(stdout);
}

/* A thing that a driver could not do is a row as well. */
static inline void row_failed(const char *part, const char *driver, const char *what,
			      const char *mode, size_t bytes, unsigned int qps, unsigned int round,
			      const char *why)
{
	printf("ROW,%s,%s,%s,%s,%zu,%u,%u,,%s\n", part, driver, what, mode, bytes, qps, round, why);
	fflush(stdout);
}

/* MB/s, unless requests of it failed: @failed is IBV_WC_SUCCESS, or how. */
static inline void row_rate(const char *part, const char *driver, const char *what,
			    const char *mode, size_t bytes, unsigned int qps, unsigned int round,
			    double rate, enum ibv_wc_status failed)
{
	if (failed == IBV_WC_SUCCESS)
		row(part, driver, what, mode, bytes, qps, round, rate, "MB/s");
	else
		row_failed(part, driver, what, mode, bytes, qps, round, ibv_wc_status_str(failed));
}

static inline bool driver_wanted(enum driver driver)
{
	return driver == OURS || !access("/sys/class/infiniband/rxe0", F_OK);
}

static inline void driver_open(struct rig *rig, enum driver driver)
{
	setenv("RDMA_ODP_DEVICE", driver == STOCK ? "rxe0" : "rxe_odp0", 1);
	rig_open(rig);
}

/* The device at the other end of the veth. Stock rxe's are in this namespace, wherever their netdev is. */
static inline void driver_open_peer(struct rig *rig, enum driver driver)
{
	if (driver == STOCK) {
		setenv("RDMA_ODP_DEVICE", "rxe1", 1);
		rig_open(rig);
	} else {
		setenv("RDMA_ODP_DEVICE", "rxe_odp0", 1);
		rig_open_peer(rig);
	}
}

static inline struct conn bench_conn(void)
{
	struct conn conn = CONN;

	conn.mtu = IBV_MTU_4096;
	conn.timeout = 14;
	conn.send_wr = 128;
	conn.recv_wr = 128;
	conn.cqe = 512;
	conn.sge = 1;
	conn.inline_bytes = 0;
	return conn;
}

/* Memory in 4 KiB pages. */
static inline void *map_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

/* One QP pair with a buffer at each end. */
struct flow {
	struct end a, b;
	struct ibv_mr *from, *to;
	unsigned long posted, done; /* requests */
	unsigned long recv_posted, recv_done;
	enum ibv_wc_status failed;
};

/* From a buffer on one device into one on the other, which may be the same. */
static inline void flow_open(struct flow *flow, struct rig *rig, struct rig *to_rig, size_t bytes,
			     int access)
{
	struct conn conn = bench_conn();
	void *from = map_pages(bytes), *to = map_pages(bytes);

	memset(flow, 0, sizeof(*flow));
	ends_open(&flow->a, rig, &flow->b, to_rig, &conn);
	memset(from, 1, bytes);
	memset(to, 2, bytes);
	flow->from = ibv_reg_mr(rig->pd, from, bytes, ACCESS_ALL | access);
	flow->to = ibv_reg_mr(to_rig->pd, to, bytes, ACCESS_ALL | access);
	if (!flow->from || !flow->to)
		fail_because("ibv_reg_mr: errno %d", errno);
}

static inline void flow_close(struct flow *flow)
{
	struct ibv_mr *mrs[] = { flow->from, flow->to };
	unsigned int i;

	end_close(&flow->a);
	end_close(&flow->b);
	for (i = 0; i < ARRAY_SIZE(mrs); i++) {
		void *addr = mrs[i]->addr;
		size_t bytes = mrs[i]->length;

		assert_zero(ibv_dereg_mr(mrs[i]));
		munmap(addr, bytes);
	}
}

static inline void flow_post(struct flow *flow, enum op op, size_t from_at, size_t to_at,
			     size_t bytes)
{
	static const enum ibv_wr_opcode opcodes[] = {
		[OP_WRITE] = IBV_WR_RDMA_WRITE,
		[OP_READ] = IBV_WR_RDMA_READ,
		[OP_SEND] = IBV_WR_SEND,
	};
	struct ibv_sge sge = {
		.addr = (uintptr_t)flow->from->addr + from_at,
		.length = bytes,
		.lkey = flow->from->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcodes[op],
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)flow->to->addr + to_at,
			     .rkey = flow->to->rkey },
	};

	assert_zero(ibv_post_send(flow->a.qp, &wr, &bad));
	flow->posted++;
}

/* Receives take the whole buffer, whatever is sent. */
static inline void flow_post_recv(struct flow *flow)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)flow->to->addr,
		.length = flow->to->length,
		.lkey = flow->to->lkey,
	};
	struct ibv_recv_wr *bad, wr = { .sg_list = &sge, .num_sge = 1 };

	assert_zero(ibv_post_recv(flow->b.qp, &wr, &bad));
	flow->recv_posted++;
}

/* Takes what has completed: how many. */
static inline int flow_poll_cq(struct flow *flow, struct ibv_cq *cq, unsigned long *count)
{
	struct ibv_wc wc[16];
	int i, n = ibv_poll_cq(cq, ARRAY_SIZE(wc), wc);

	assert_true(n >= 0);
	for (i = 0; i < n; i++)
		if (wc[i].status != IBV_WC_SUCCESS && flow->failed == IBV_WC_SUCCESS)
			flow->failed = wc[i].status;
	*count += n;
	return n;
}

/* Polls, and unless told to stop fills the queue again. True if anything moved. */
static inline bool flow_turn(struct flow *flow, enum op op, size_t bytes, unsigned int depth,
			     bool stop)
{
	bool moved = flow_poll_cq(flow, flow->a.scq, &flow->done) > 0;

	if (op == OP_SEND)
		moved |= flow_poll_cq(flow, flow->b.rcq, &flow->recv_done) > 0;
	if (stop || flow->failed != IBV_WC_SUCCESS)
		return moved;
	while (flow->posted - flow->done < depth &&
	       (op != OP_SEND || flow->recv_posted - flow->recv_done < 128)) {
		/* A receive for each: none is left when the flow stands still. */
		if (op == OP_SEND)
			flow_post_recv(flow);
		flow_post(flow, op, 0, 0, bytes);
		moved = true;
	}
	return moved;
}

static inline unsigned long flows_done(const struct flow *flows, unsigned int n, bool *idle,
				       enum ibv_wc_status *failed)
{
	unsigned long done = 0;
	unsigned int i;

	*idle = true;
	for (i = 0; i < n; i++) {
		done += flows[i].done;
		if (flows[i].posted != flows[i].done || flows[i].recv_posted != flows[i].recv_done)
			*idle = false;
		if (flows[i].failed != IBV_WC_SUCCESS)
			*failed = flows[i].failed;
	}
	return done;
}

/*
 * Keeps depth messages under way in each of n flows, for that time: MB (10^6 bytes) a second, or -1
 * with *failed set.
 */
static inline double flows_rate(struct flow *flows, unsigned int n, enum op op, size_t bytes,
				unsigned int depth, double duration, enum ibv_wc_status *failed)
{
	/* A turn may post several messages, and a long one takes its time. */
	unsigned int look_every = bytes >= 64 * KIB ? 1 : 32;
	double start = seconds(), now = start;
	unsigned long before, done, turn;
	bool idle, stop = false;
	unsigned int i;

	*failed = IBV_WC_SUCCESS;
	before = flows_done(flows, n, &idle, failed);
	for (turn = 1;; turn++) {
		bool any = false;

		for (i = 0; i < n; i++)
			any |= flow_turn(&flows[i], op, bytes, depth, stop);
		if (!any && turn % 64 == 0)
			sched_yield();
		if (turn % look_every && !stop)
			continue;
		now = seconds();
		stop = now - start >= duration;
		done = flows_done(flows, n, &idle, failed);
		if (*failed != IBV_WC_SUCCESS)
			return -1;
		if (stop && idle)
			break;
		if (now - start > duration + 60)
			fail_because("%s of %zu bytes: no completion within 60 s", op_name(op),
				     bytes);
	}
	return (done - before) * (double)bytes / (now - start) / 1e6;
}

static inline int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

#define SLICES	  10
#define MAX_LANES 4

/*
 * One sample of each lane, whose flows have @qps queue pairs: cut into slices, by turns, it is their median. What the host does to this
 * guest lasts longer than a slice. failed[lane] is IBV_WC_SUCCESS, or why there is no rate.
 */
static inline void lanes_rates(struct flow *const *lanes, unsigned int num, unsigned int qps,
			       enum op op, size_t bytes, double *rate, enum ibv_wc_status *failed)
{
	double slice = env_number("BENCH_SAMPLE_MS", 300) / 1e3 / SLICES;
	unsigned int depth = bytes <= 4 * KIB ? 128 : bytes <= 64 * KIB ? 32 : 8, i, k;
	double rates[MAX_LANES][SLICES + 1];

	assert_true(num <= MAX_LANES);
	for (k = 0; k < num; k++)
		failed[k] = IBV_WC_SUCCESS;
	for (i = 0; i <= SLICES; i++)
		for (k = 0; k < num; k++) {
			unsigned int lane = (i + k) % num;

			if (failed[lane] == IBV_WC_SUCCESS)
				rates[lane][i] = flows_rate(lanes[lane], qps, op, bytes, depth,
							    slice, &failed[lane]);
		}
	/* The first touches of the pages and of the caches are not the subject. */
	for (k = 0; k < num; k++)
		if (failed[k] == IBV_WC_SUCCESS)
			rate[k] = median(rates[k] + 1, SLICES);
}

#endif
