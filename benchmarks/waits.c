// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What waiting for a page costs. One message of one of 64 queue pairs needs a page that userfaultfd brings after a while, at the end that
 * asks or at the one that answers; across a veth, between two devices of ours and between one of ours and stock rxe, the late page being
 * ours. Beside the same message with the page there:
 *
 *	packets		of the message, both ways
 *	beyond		how much longer it took than the fault, as the region measured that
 *	others		what the 63 others carry meanwhile, against before and after; for pages that take a second or more
 */
#include "bench.h"
#include "method.h"

#include <math.h>

#define MESSAGE	 (64 * KIB)
#define LATE_AT	 (32 * KIB)
#define OTHERS	 63
#define OTHER	 (4 * KIB)
#define REPEATED 8

enum pairing { OURS_BOTH, OURS_ASKS, STOCK_ASKS, PAIRINGS };
enum late_op { LATE_WRITE, LATE_READ, LATE_SEND, LATE_ATOMIC, LATE_OPS };

static const char *const pairing_names[] = { "ours to ours", "ours to stock", "stock to ours" };
static const char *const op_names[] = { "write", "read", "send", "atomic" };

struct bed {
	struct rig a, b;
	const char *ours; /* the device that is counted */
	struct flow late;
	struct flow others[OTHERS];
};

static void bed_open(struct bed *bed, enum pairing pairing)
{
	struct rig *rigs[] = { &bed->a, &bed->b };
	unsigned int i;

	if (pairing == OURS_BOTH) {
		bed->ours = "rxe_odp0";
		driver_open(&bed->a, OURS);
		driver_open_peer(&bed->b, OURS);
	} else {
		bed->ours = "rxe_odp2";
		setenv("RDMA_ODP_DEVICE", "rxe_odp2", 1);
		rig_open(rigs[pairing == STOCK_ASKS]);
		setenv("RDMA_ODP_DEVICE", "rxe2", 1);
		rig_open(rigs[pairing == OURS_ASKS]);
	}
	flow_open(&bed->late, &bed->a, &bed->b, MESSAGE, IBV_ACCESS_ON_DEMAND);
	for (i = 0; i < OTHERS; i++)
		flow_open(&bed->others[i], &bed->a, &bed->b, OTHER, 0);
}

static void bed_close(struct bed *bed)
{
	unsigned int i;

	for (i = 0; i < OTHERS; i++)
		flow_close(&bed->others[i]);
	flow_close(&bed->late);
	rig_close(&bed->a);
	rig_close(&bed->b);
}

static long packets(const struct bed *bed)
{
	static const char *const names[] = { "sent_pkts", "rcvd_pkts" };
	char path[128];
	long sum = 0, value;
	unsigned int i;
	FILE *f;

	/* ib_core reads them again after 10 ms, and a jiffy may be as long. */
	usleep(50000);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
			 bed->ours, names[i]);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%ld", &value) != 1)
			fail_because("no counter %s", path);
		fclose(f);
		sum += value;
	}
	return sum;
}

static void post(struct flow *flow, enum late_op op)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)flow->from->addr + LATE_AT,
		.length = 8,
		.lkey = flow->from->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic = { .remote_addr = (uintptr_t)flow->to->addr + LATE_AT,
			       .rkey = flow->to->rkey,
			       .compare_add = 1 },
	};

	if (op == LATE_ATOMIC) {
		assert_zero(ibv_post_send(flow->a.qp, &wr, &bad));
		flow->posted++;
		return;
	}
	if (op == LATE_SEND)
		flow_post_recv(flow);
	flow_post(flow,
		  op == LATE_WRITE ? OP_WRITE :
		  op == LATE_READ  ? OP_READ :
				     OP_SEND,
		  0, 0, MESSAGE);
}

/* One at least is under way: true when all have completed. */
static bool poll_late(struct flow *flow)
{
	flow_poll_cq(flow, flow->a.scq, &flow->done);
	flow_poll_cq(flow, flow->b.rcq, &flow->recv_done);
	if (flow->failed != IBV_WC_SUCCESS)
		fail_because("the late message: %s", ibv_wc_status_str(flow->failed));
	return flow->done == flow->posted && flow->recv_done == flow->recv_posted;
}

static void await_late(struct flow *flow, enum late_op op, double start)
{
	while (!poll_late(flow)) {
		if (seconds() - start > 120)
			fail_because("%s: no completion within 120 s", op_names[op]);
		sched_yield();
	}
}

static double exchange(struct flow *flow, enum late_op op)
{
	double start = seconds();

	post(flow, op);
	await_late(flow, op, start);
	return seconds() - start;
}

static double fault_seconds(const struct ibv_mr *mr)
{
	struct rxe_odp_mr_stats stats;

	assert_zero(mr_stats(mr, &stats, sizeof(stats)));
	return stats.last_fault_ns / 1e9;
}

struct result {
	double packets, beyond, others;
};

static double others_rate(struct bed *bed, double duration)
{
	enum ibv_wc_status failed;

	return flows_rate(bed->others, OTHERS, OP_WRITE, OTHER, 2, duration, &failed);
}

/* NAN where the others' last messages took longer than the page. Ends when the late message has completed, too. */
static double others_meanwhile(struct bed *bed, enum late_op op, unsigned int delay_us)
{
	double before = others_rate(bed, 1), during, start = seconds();
	bool late;

	post(&bed->late, op);
	during = others_rate(bed, delay_us * 0.9 / 1e6);
	late = !poll_late(&bed->late);
	await_late(&bed->late, op, start);
	if (!late)
		return NAN;
	return 2 * during / (before + others_rate(bed, 1));
}

static void measure(struct bed *bed, enum late_op op, const struct ibv_mr *mr,
		    unsigned int delay_us, struct result *result)
{
	unsigned int repeats = delay_us < 1000000 ? REPEATED : 1, i;
	double warm_s, warm_packets, beyond[REPEATED], took[REPEATED];
	void *page = (uint8_t *)mr->addr + LATE_AT;
	struct uffd uffd;
	long before;

	exchange(&bed->late, op);
	before = packets(bed);
	for (i = 0; i < REPEATED; i++)
		took[i] = exchange(&bed->late, op);
	warm_packets = packets(bed) - before;
	warm_s = median(took, REPEATED);

	uffd_register(&uffd, page, PAGE);
	uffd_serve_us(&uffd, 1, delay_us);
	before = packets(bed);
	for (i = 0; i < repeats; i++) {
		assert_zero(madvise(page, PAGE, MADV_DONTNEED));
		took[i] = exchange(&bed->late, op);
		beyond[i] = (took[i] - warm_s - fault_seconds(mr)) * 1e3;
	}
	result->packets = (packets(bed) - before) / (warm_packets * repeats / REPEATED);
	result->beyond = median(beyond, repeats);
	if (delay_us >= 1000000) {
		assert_zero(madvise(page, PAGE, MADV_DONTNEED));
		result->others = others_meanwhile(bed, op, delay_us);
	}
	assert_int_equal(uffd.asked, repeats + (delay_us >= 1000000));
	uffd_close(&uffd);
}

static void print_row(enum pairing pairing, bool asker, unsigned int delay_us, enum late_op op,
		      unsigned int round, const char *figure, double value, const char *unit)
{
	char what[80];

	snprintf(what, sizeof(what), "%s %s %u %s", op_names[op], asker ? "asks" : "answers",
		 delay_us, figure);
	row("waits", pairing_names[pairing], what, "odp", op == LATE_ATOMIC ? 8 : MESSAGE,
	    OTHERS + 1, round, value, unit);
}

static void measure_and_print(enum pairing pairing, bool asker, unsigned int delay_us,
			      unsigned int round)
{
	static struct bed bed;
	struct result result = {};
	enum late_op op;

	memset(&bed, 0, sizeof(bed));
	bed_open(&bed, pairing);
	for (op = 0; op < LATE_OPS; op++) {
		measure(&bed, op, asker ? bed.late.from : bed.late.to, delay_us, &result);
		print_row(pairing, asker, delay_us, op, round, "packets", result.packets, "x");
		print_row(pairing, asker, delay_us, op, round, "beyond", result.beyond, "ms");
		if (delay_us >= 1000000 && !isnan(result.others))
			print_row(pairing, asker, delay_us, op, round, "others", result.others,
				  "x");
	}
	bed_close(&bed);
}

int main(void)
{
	static const unsigned int delays_us[] = { 0, 100, 10000, 1000000, 30000000 };
	unsigned int n = ARRAY_SIZE(delays_us), i, round;
	enum pairing pairing;

	/* Half a minute: a quarter of an hour a round. */
	if (!env_number("TEST_LONG", 0))
		n--;
	for (round = 1; round <= ROUNDS; round++)
		for (pairing = 0; pairing < PAIRINGS; pairing++)
			for (i = 0; i < n; i++) {
				if (pairing && !driver_wanted(STOCK))
					continue;
				if (pairing != STOCK_ASKS)
					measure_and_print(pairing, true, delays_us[i], round);
				if (pairing != OURS_ASKS)
					measure_and_print(pairing, false, delays_us[i], round);
			}
	return 0;
}
