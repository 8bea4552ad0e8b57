// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bandwidth across a veth of ours, pinned and warm ODP, of siw (iWARP over the kernel's TCP) and of stock rxe. iWARP has no RoCE
 * addresses, so the queue pairs of all of them are connected by librdmacm, from an address of one network namespace to an
 * address of the other (lib/guest makes them). One thread holds both ends, as in bw; the samples alternate.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <rdma/rdma_cma.h>

#define QPS  4
#define PORT 7472

enum lane { PINNED, ODP, SIW, STOCK_RXE, LANES };

/* Each end of a lane is a device in a namespace of its own, which has the device's name. */
static const struct {
	const char *driver, *mode, *device[2], *address[2];
	int access;
} lanes[] = {
	[PINNED] = { "rxe_odp",
		     "pinned",
		     { "rxe_odp_c0", "rxe_odp_c1" },
		     { "10.82.0.1", "10.82.0.2" },
		     0 },
	[ODP] = { "rxe_odp",
		  "odp",
		  { "rxe_odp_c0", "rxe_odp_c1" },
		  { "10.82.0.1", "10.82.0.2" },
		  IBV_ACCESS_ON_DEMAND },
	[SIW] = { "siw", "pinned", { "siw_c0", "siw_c1" }, { "10.83.0.1", "10.83.0.2" }, 0 },
	[STOCK_RXE] = { "rxe", "pinned", { "rxe_c0", "rxe_c1" }, { "10.84.0.1", "10.84.0.2" }, 0 },
};

/* One end of a connection: its id, and a queue pair of no use beside it. */
struct side {
	struct rdma_event_channel *events;
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_qp *spare;
};

static struct flow flows[LANES][QPS];
static struct side sides[LANES][QPS][2];
static unsigned int num_lanes;

static void enter(const char *namespace)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail_because("the namespace %s cannot be entered: errno %d", namespace, errno);
	close(fd);
}

static struct sockaddr_in address_of(enum lane lane, unsigned int end, unsigned int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_true(inet_pton(AF_INET, lanes[lane].address[end], &sin.sin_addr) == 1);
	return sin;
}

static struct rdma_event_channel *channel_open(void)
{
	struct rdma_event_channel *events = rdma_create_event_channel();

	if (!events)
		fail_because("rdma_create_event_channel: errno %d", errno);
	return events;
}

/* Waits for it; what it says is about the id returned. */
static struct rdma_cm_id *await(struct rdma_event_channel *events, enum rdma_cm_event_type want)
{
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;

	if (rdma_get_cm_event(events, &event))
		fail_because("rdma_get_cm_event: errno %d", errno);
	if (event->event != want)
		fail_because("%s (status %d) instead of %s", rdma_event_str(event->event),
			     event->status, rdma_event_str(want));
	id = event->id;
	assert_zero(rdma_ack_cm_event(event));
	return id;
}

static bool one_cpu(void)
{
	cpu_set_t cpus;

	assert_zero(sched_getaffinity(0, sizeof(cpus), &cpus));
	return CPU_COUNT(&cpus) == 1;
}

static struct ibv_cq *cq_open(struct ibv_context *ctx, const struct conn *conn)
{
	struct ibv_cq *cq = ibv_create_cq(ctx, conn->cqe, NULL, NULL, 0);

	if (!cq)
		fail_because("ibv_create_cq: errno %d", errno);
	return cq;
}

/* The queue pair of an id that has a device, and what it wants. */
static struct ibv_mr *side_open(struct side *side, struct end *end, enum lane lane, unsigned int at,
				uint8_t filling)
{
	struct ibv_qp_init_attr attr = { .qp_type = IBV_QPT_RC };
	struct conn conn = bench_conn();
	const char *name = ibv_get_device_name(side->id->verbs->device);
	void *memory = map_pages(MIB);
	struct ibv_mr *mr;

	if (strcmp(name, lanes[lane].device[at]))
		fail_because("%s belongs to %s and not to %s", lanes[lane].address[at], name,
			     lanes[lane].device[at]);
	side->pd = ibv_alloc_pd(side->id->verbs);
	if (!side->pd)
		fail_because("ibv_alloc_pd: errno %d", errno);
	end->scq = cq_open(side->id->verbs, &conn);
	end->rcq = cq_open(side->id->verbs, &conn);
	attr.send_cq = end->scq;
	attr.recv_cq = end->rcq;
	attr.cap.max_send_wr = conn.send_wr;
	attr.cap.max_recv_wr = conn.recv_wr;
	attr.cap.max_send_sge = conn.sge;
	attr.cap.max_recv_sge = conn.sge;
	if (rdma_create_qp(side->id, side->pd, &attr))
		fail_because("rdma_create_qp: errno %d", errno);
	end->qp = side->id->qp;
	/*
	 * siw has a thread on each CPU for what a post does not send itself, and gives a new queue pair that with the fewest, of
	 * two with as many the last. With one of no use behind each, those that are used all have the last CPU, which is ours.
	 */
	if (lane == SIW && one_cpu()) {
		side->spare = ibv_create_qp(side->pd, &attr);
		if (!side->spare)
			fail_because("ibv_create_qp: errno %d", errno);
	}
	memset(memory, filling, MIB);
	mr = ibv_reg_mr(side->pd, memory, MIB, ACCESS_ALL | lanes[lane].access);
	if (!mr)
		fail_because("ibv_reg_mr: errno %d", errno);
	return mr;
}

/* The first end asks, as it does later: an iWARP connection begins with a message of the end that asked for it. */
static void flow_connect(struct flow *flow, struct side *a, struct side *b, enum lane lane)
{
	struct sockaddr_in from = address_of(lane, 0, 0), to = address_of(lane, 1, PORT);
	struct rdma_conn_param param = {
		.responder_resources = CONN.rd_atomic,
		.initiator_depth = CONN.rd_atomic,
		.retry_count = CONN.retry_cnt,
		.rnr_retry_count = CONN.rnr_retry,
	};
	struct rdma_cm_id *listener;

	memset(flow, 0, sizeof(*flow));
	a->events = channel_open();
	b->events = channel_open();
	enter(lanes[lane].device[1]);
	assert_zero(rdma_create_id(b->events, &listener, NULL, RDMA_PS_TCP));
	if (rdma_bind_addr(listener, (struct sockaddr *)&to) || rdma_listen(listener, 1))
		fail_because("%s: no listener at %s: errno %d", lanes[lane].device[1],
			     lanes[lane].address[1], errno);
	/* siw makes its sockets where it is called. */
	enter(lanes[lane].device[0]);
	assert_zero(rdma_create_id(a->events, &a->id, NULL, RDMA_PS_TCP));
	assert_zero(
		rdma_resolve_addr(a->id, (struct sockaddr *)&from, (struct sockaddr *)&to, 10000));
	await(a->events, RDMA_CM_EVENT_ADDR_RESOLVED);
	assert_zero(rdma_resolve_route(a->id, 10000));
	await(a->events, RDMA_CM_EVENT_ROUTE_RESOLVED);
	flow->from = side_open(a, &flow->a, lane, 0, 1);
	assert_zero(rdma_connect(a->id, &param));
	b->id = await(b->events, RDMA_CM_EVENT_CONNECT_REQUEST);
	flow->to = side_open(b, &flow->b, lane, 1, 2);
	assert_zero(rdma_accept(b->id, &param));
	await(a->events, RDMA_CM_EVENT_ESTABLISHED);
	await(b->events, RDMA_CM_EVENT_ESTABLISHED);
	assert_zero(rdma_destroy_id(listener));
}

static void side_close(struct side *side, struct end *end, struct ibv_mr *mr)
{
	void *memory = mr->addr;

	rdma_destroy_qp(side->id);
	if (side->spare)
		assert_zero(ibv_destroy_qp(side->spare));
	assert_zero(ibv_destroy_cq(end->scq));
	assert_zero(ibv_destroy_cq(end->rcq));
	assert_zero(ibv_dereg_mr(mr));
	munmap(memory, MIB);
	assert_zero(ibv_dealloc_pd(side->pd));
	assert_zero(rdma_destroy_id(side->id));
	rdma_destroy_event_channel(side->events);
	memset(side, 0, sizeof(*side));
}

static void lane_open(enum lane lane)
{
	unsigned int i;

	for (i = 0; i < QPS; i++)
		flow_connect(&flows[lane][i], &sides[lane][i][0], &sides[lane][i][1], lane);
}

static void lane_close(enum lane lane)
{
	unsigned int i;

	for (i = 0; i < QPS; i++) {
		struct flow *flow = &flows[lane][i];

		rdma_disconnect(sides[lane][i][0].id);
		side_close(&sides[lane][i][0], &flow->a, flow->from);
		side_close(&sides[lane][i][1], &flow->b, flow->to);
	}
}

static void sample(enum op op, size_t bytes, unsigned int qps, unsigned int round)
{
	struct flow *of[LANES];
	enum ibv_wc_status failed[LANES];
	double rates[LANES];
	unsigned int k;

	for (k = 0; k < num_lanes; k++)
		of[k] = flows[k];
	lanes_rates(of, num_lanes, qps, op, bytes, rates, failed);
	for (k = 0; k < num_lanes; k++) {
		row_rate("siw", lanes[k].driver, op_name(op), lanes[k].mode, bytes, qps, round,
			 rates[k], failed[k]);
		if (failed[k] != IBV_WC_SUCCESS) {
			lane_close(k);
			lane_open(k);
		}
	}
}

int main(void)
{
	static const enum op ops[] = { OP_WRITE, OP_READ, OP_SEND };
	static const size_t sizes[] = { 4 * KIB, 64 * KIB, MIB };
	unsigned int round, l, o, s;

	num_lanes = access("/run/netns/rxe_c0", F_OK) ? STOCK_RXE : LANES;
	for (l = 0; l < num_lanes; l++)
		lane_open(l);
	for (round = 1; round <= ROUNDS; round++)
		for (o = 0; o < ARRAY_SIZE(ops); o++)
			for (s = 0; s < ARRAY_SIZE(sizes); s++) {
				sample(ops[o], sizes[s], 1, round);
				sample(ops[o], sizes[s], QPS, round);
			}
	for (l = 0; l < num_lanes; l++)
		lane_close(l);
	return 0;
}
