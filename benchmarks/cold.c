// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * An RDMA WRITE of 64 MiB into an ODP region that nothing has touched, per page, beside the CPU's
 * own first touch of as much memory and the same write when it is warm; and after a prefetch. As
 * one message and as 64, into 4 KiB pages and into transparent huge pages. The source is warm and
 * pinned. Who waits sleeps: on few CPUs a thread that polls would take from the fault threads what
 * it does not take from the softirqs of a warm write. A prefetch of a GiB of huge pages beside
 * touching it.
 */
#include "bench.h"
#include "method.h"

#include <poll.h>

#define BYTES (64 * MIB)
#define HUGE  (2 * MIB)

enum pages { SMALL, LARGE, PAGE_KINDS };

static const char *const page_names[] = { "4 KiB", "2 MiB" };

struct memory {
	uint8_t *map, *at;
	size_t bytes;
};

static struct memory memory_map(enum pages pages, size_t bytes)
{
	struct memory m = { .map = map_pages(bytes + HUGE), .bytes = bytes };

	m.at = (uint8_t *)(((uintptr_t)m.map + HUGE - 1) & ~(HUGE - 1));
	if (pages == LARGE && madvise(m.at, bytes, MADV_HUGEPAGE))
		fail_because("no transparent huge pages: errno %d", errno);
	return m;
}

static void memory_unmap(struct memory *m)
{
	munmap(m->map, m->bytes + HUGE);
}

/* In us a page of 4 KiB, as everything. */
static double per_page(double start, size_t bytes)
{
	return (seconds() - start) / (bytes / PAGE) * 1e6;
}

/* Until there is a completion, or may be one. */
static void await_completion(struct flow *flow)
{
	struct pollfd fd = { .fd = flow->a.channel->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *context;

	assert_zero(ibv_req_notify_cq(flow->a.scq, 0));
	if (flow_poll_cq(flow, flow->a.scq, &flow->done))
		return;
	if (poll(&fd, 1, 300000) != 1)
		fail_because("a write does not complete");
	assert_zero(ibv_get_cq_event(flow->a.channel, &cq, &context));
	ibv_ack_cq_events(cq, 1);
}

static double write_all(struct flow *flow, size_t message)
{
	double start = seconds();
	size_t at = 0;

	while (at < BYTES || flow->posted != flow->done) {
		while (at < BYTES && flow->posted - flow->done < 16) {
			flow_post(flow, OP_WRITE, at, at, message);
			at += message;
		}
		if (!flow_poll_cq(flow, flow->a.scq, &flow->done))
			await_completion(flow);
		if (flow->failed != IBV_WC_SUCCESS)
			fail_because("write: %s", ibv_wc_status_str(flow->failed));
	}
	return per_page(start, BYTES);
}

static double first_touch(enum pages pages, size_t bytes)
{
	struct memory m = memory_map(pages, bytes);
	volatile uint8_t *p = m.at;
	double start = seconds();
	size_t at;

	for (at = 0; at < bytes; at += PAGE)
		p[at] = 1;
	start = per_page(start, bytes);
	if (pages == LARGE && smaps_kb(m.at, "AnonHugePages") < (long)(bytes / KIB))
		fail_because("the kernel gave no huge pages");
	memory_unmap(&m);
	return start;
}

/* 0 or an errno; *us is how long it took, per page. */
static int prefetch(struct rig *rig, struct ibv_mr *mr, double *us)
{
	struct ibv_sge sge = { (uintptr_t)mr->addr, mr->length, mr->lkey };
	double start = seconds();
	int err;

	err = mr_advise(rig->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, IBV_ADVISE_MR_FLAG_FLUSH,
			&sge, 1);
	*us = per_page(start, mr->length);
	return err;
}

static struct ibv_mr *reg_odp(struct rig *rig, const struct memory *m)
{
	struct ibv_mr *mr = ibv_reg_mr(rig->pd, m->at, m->bytes, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);

	if (!mr)
		fail_because("ibv_reg_mr: errno %d", errno);
	return mr;
}

struct sample {
	double touch, cold, warm, prefetch, ahead;
	int err; /* of the prefetch */
};

/* The writes of a fresh target: cold and warm, or after a prefetch. */
static void measure_target(struct rig *rig, struct flow *flow, enum pages pages, size_t message,
			   bool ahead, struct sample *s)
{
	struct memory to = memory_map(pages, BYTES);

	flow->to = reg_odp(rig, &to);
	if (ahead) {
		s->err = prefetch(rig, flow->to, &s->prefetch);
		s->ahead = write_all(flow, message);
	} else {
		s->cold = write_all(flow, message);
		s->warm = write_all(flow, message);
	}
	if (memcmp(flow->from->addr, to.at, BYTES))
		fail_because("wrong data");
	assert_zero(ibv_dereg_mr(flow->to));
	memory_unmap(&to);
}

static void measure(struct rig *rig, enum driver driver, enum pages pages, size_t message,
		    unsigned int round)
{
	const char *name = driver_names[driver], *mode = page_names[pages];
	struct memory from = memory_map(SMALL, BYTES);
	struct conn conn = bench_conn();
	struct flow flow = { 0 };
	struct sample s;

	memset(from.at, 7, BYTES);
	ends_open(&flow.a, rig, &flow.b, rig, &conn);
	flow.from = ibv_reg_mr(rig->pd, from.at, BYTES, ACCESS_ALL);
	if (!flow.from)
		fail_because("ibv_reg_mr: errno %d", errno);
	s.touch = first_touch(pages, BYTES);
	measure_target(rig, &flow, pages, message, false, &s);
	measure_target(rig, &flow, pages, message, true, &s);
	row("cold", name, "cpu first touch", mode, message, 1, round, s.touch, "us/page");
	row("cold", name, "warm write", mode, message, 1, round, s.warm, "us/page");
	row("cold", name, "cold write", mode, message, 1, round, s.cold, "us/page");
	row("cold", name, "cold / (first touch + warm)", mode, message, 1, round,
	    s.cold / (s.touch + s.warm), "x");
	if (s.err) {
		row_failed("cold", name, "prefetch", mode, message, 1, round, "no prefetch");
	} else {
		row("cold", name, "prefetch", mode, message, 1, round, s.prefetch, "us/page");
		row("cold", name, "prefetched write", mode, message, 1, round, s.ahead, "us/page");
	}
	end_close(&flow.a);
	end_close(&flow.b);
	assert_zero(ibv_dereg_mr(flow.from));
	memory_unmap(&from);
}

static void measure_gib(struct rig *rig, enum driver driver, unsigned int round)
{
	const char *name = driver_names[driver], *mode = page_names[LARGE];
	struct memory m;
	struct ibv_mr *mr;
	double us;
	int err;

	us = first_touch(LARGE, GIB);
	row("cold", name, "cpu first touch", mode, GIB, 1, round, us, "us/page");
	m = memory_map(LARGE, GIB);
	mr = reg_odp(rig, &m);
	err = prefetch(rig, mr, &us);
	if (err)
		row_failed("cold", name, "prefetch", mode, GIB, 1, round, "no prefetch");
	else
		row("cold", name, "prefetch", mode, GIB, 1, round, us, "us/page");
	assert_zero(ibv_dereg_mr(mr));
	memory_unmap(&m);
}

static bool has_huge_pages(void)
{
	return !access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK);
}

static void measure_all(struct rig *rig, enum driver driver, unsigned int round)
{
	static const size_t messages[] = { MIB, BYTES };
	unsigned int pages, m;

	for (pages = SMALL; pages < (has_huge_pages() ? PAGE_KINDS : LARGE); pages++)
		for (m = 0; m < ARRAY_SIZE(messages); m++)
			measure(rig, driver, pages, messages[m], round);
	if (has_huge_pages())
		measure_gib(rig, driver, round);
}

int main(void)
{
	struct rig rigs[DRIVERS];
	unsigned int round, d;

	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			driver_open(&rigs[d], d);
	for (round = 1; round <= ROUNDS; round++)
		for (d = 0; d < DRIVERS; d++)
			if (driver_wanted(d))
				measure_all(&rigs[d], d, round);
	for (d = 0; d < DRIVERS; d++)
		if (driver_wanted(d))
			rig_close(&rigs[d]);
	return 0;
}
