// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "method.h"
#include "same.h"

#include <arpa/inet.h>

#define TEXT_BYTES (64 * KIB)
#define MAX_SHOTS  8

/* What one run saw: lines of fields, and memory. */
struct same_record {
	char text[TEXT_BYTES];
	size_t used;
	struct shot {
		const char *name;
		uint8_t *bytes;
		size_t num;
		size_t target; /* where the end's memory begins; before and behind are guards */
	} shots[MAX_SHOTS];
	size_t num_shots;
};

/* Of operations; those behind RNR are about receivers that were not ready. */
enum { LOCAL_OPS, SENDS, RECVS, RNR, SENT_RNR, RNR_EXCEEDED, COUNTERS };

static const char *const counter_names[COUNTERS] = {
	[LOCAL_OPS] = "local_ops",   [SENDS] = "rdma_sends",
	[RECVS] = "rdma_recvs",	     [RNR] = "rcvd_rnr_err",
	[SENT_RNR] = "send_rnr_err", [RNR_EXCEEDED] = "retry_rnr_exceeded_err",
};

struct same_record *same_record_new(void)
{
	struct same_record *record = calloc(1, sizeof(*record));

	assert_non_null(record);
	return record;
}

static void record_vnote(struct same_record *record, const char *fmt, va_list args)
{
	size_t room = sizeof(record->text) - record->used;
	int bytes = vsnprintf(record->text + record->used, room, fmt, args);

	if (bytes < 0 || (size_t)bytes + 2 > room)
		fail_because("there is no room for what is to be compared");
	record->used += bytes;
	record->text[record->used++] = '\n';
	record->text[record->used] = 0;
}

void same_record_note(struct same_record *record, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	record_vnote(record, fmt, args);
	va_end(args);
}

void same_note(struct same *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	record_vnote(s->record, fmt, args);
	va_end(args);
}

static void record_free(struct same_record *record)
{
	size_t i;

	for (i = 0; i < record->num_shots; i++)
		free(record->shots[i].bytes);
	free(record);
}

/* The field of a line, which commas separate, in which a place lies. */
static int field_at(const char *line, const char *place, const char **field)
{
	const char *end = place + strcspn(place, ",\n");

	for (*field = place; *field > line && (*field)[-1] != ','; (*field)--)
		;
	while (**field == ' ')
		(*field)++;
	return end > *field ? end - *field : 0;
}

static int line_bytes(const char *line)
{
	return strcspn(line, "\n");
}

static void compare_text(const char *packets, const char *local)
{
	const char *line_p = packets, *line_l = local, *field_p, *field_l;
	int bytes_p, bytes_l;

	for (; *packets && *packets == *local; packets++, local++) {
		if (*packets == '\n') {
			line_p = packets + 1;
			line_l = local + 1;
		}
	}
	if (*packets == *local)
		return;
	bytes_p = field_at(line_p, packets, &field_p);
	bytes_l = field_at(line_l, local, &field_l);
	printf("with packets: %.*s\n     without: %.*s\n", line_bytes(line_p), line_p,
	       line_bytes(line_l), line_l);
	fail_because("with packets \"%.*s\", without \"%.*s\"", bytes_p, field_p, bytes_l, field_l);
}

static void compare_shots(const struct shot *packets, const struct shot *local)
{
	size_t i;

	assert_int_equal(packets->num, local->num);
	for (i = 0; i < packets->num && packets->bytes[i] == local->bytes[i]; i++)
		;
	if (i < packets->num)
		fail_because("%s: byte %zd of its target is %#x with packets, %#x without",
			     packets->name, (ssize_t)i - (ssize_t)packets->target,
			     packets->bytes[i], local->bytes[i]);
}

static void record_compare(const struct same_record *packets, const struct same_record *local)
{
	size_t i;

	compare_text(packets->text, local->text);
	assert_int_equal(packets->num_shots, local->num_shots);
	for (i = 0; i < packets->num_shots; i++)
		compare_shots(&packets->shots[i], &local->shots[i]);
}

void same_compare(struct same_record *packets, struct same_record *local)
{
	record_compare(packets, local);
	record_free(packets);
	record_free(local);
}

static struct buf *memory_of(struct same *s, const struct end *end)
{
	return end == &s->pair.a ? &s->a : &s->b;
}

static const char *role(const struct same *s, const struct end *end)
{
	return end == &s->pair.a ? "a" : "b";
}

/* Queue pairs that are gone keep theirs. */
static const char *role_of_qpn(const struct same *s, uint32_t qpn)
{
	if (!qpn)
		return "none";
	if (qpn == s->qpn[0])
		return "a";
	return qpn == s->qpn[1] ? "b" : "another";
}

struct ibv_send_wr *same_add(struct same *s, struct end *end, enum ibv_wr_opcode opcode, size_t at,
			     size_t bytes)
{
	const struct buf *own = memory_of(s, end), *other = own == &s->a ? &s->b : &s->a;
	struct ibv_send_wr *wr = &s->wr[s->num_wr];
	struct ibv_sge *sge = s->sge[s->num_wr];

	assert_true(s->num_wr < SAME_LIST);
	sge[0] = buf_sge(own, at, bytes);
	if (opcode == IBV_WR_ATOMIC_CMP_AND_SWP || opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		*wr = wr_atomic(opcode, sge, other, at, 3, 7);
	else if (opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM ||
		 opcode == IBV_WR_SEND_WITH_INV)
		*wr = wr_make(opcode, sge, !!bytes);
	else
		*wr = wr_rdma(opcode, sge, !!bytes, other, at);
	wr->wr_id = s->next_send++;
	if (opcode == IBV_WR_SEND_WITH_IMM || opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		wr->imm_data = htonl(0xc0ffee00 + wr->wr_id);
	if (opcode == IBV_WR_SEND_WITH_INV)
		wr->invalidate_rkey = s->key;
	if (s->num_wr++)
		wr[-1].next = wr;
	return wr;
}

void same_ring(struct same *s, struct end *end)
{
	s->num_wr = 0;
	end_post(end, s->wr);
}

void same_do(struct same *s, struct end *end, enum ibv_wr_opcode opcode, size_t at, size_t bytes)
{
	same_add(s, end, opcode, at, bytes);
	same_ring(s, end);
	same_sent(s, end, 1);
}

void same_post_recv(struct same *s, struct end *end, size_t at, size_t bytes)
{
	struct ibv_sge sge = buf_sge(memory_of(s, end), at, bytes);

	end_post_recv(end, s->next_recv++, &sge, !!bytes);
}

static void note_completion(struct same *s, const char *queue, const struct ibv_wc *wc)
{
	char extra[40] = "";

	if (wc->wc_flags & IBV_WC_WITH_IMM)
		snprintf(extra, sizeof(extra), ", immediate %#x", ntohl(wc->imm_data));
	if (wc->wc_flags & IBV_WC_WITH_INV)
		snprintf(extra, sizeof(extra), ", invalidated %s key",
			 wc->invalidated_rkey == s->key ? "the" : "another");
	same_note(
		s,
		"%s: wr_id %llu, status %s, opcode %d, byte_len %u, wc_flags %#x%s, qp_num %s, src_qp %s, vendor_err %u, pkey_index %u, slid %u, sl %u, dlid_path_bits %u",
		queue, (unsigned long long)wc->wr_id, ibv_wc_status_str(wc->status), wc->opcode,
		wc->byte_len, wc->wc_flags, extra, role_of_qpn(s, wc->qp_num),
		role_of_qpn(s, wc->src_qp), wc->vendor_err, wc->pkey_index, wc->slid, wc->sl,
		wc->dlid_path_bits);
}

static const char *queue_name(struct same *s, const struct end *end, const struct ibv_cq *cq)
{
	static const char *const names[2][2] = { { "a received", "b received" },
						 { "a sent", "b sent" } };

	return names[cq == end->scq][end == &s->pair.b];
}

static void take(struct same *s, const struct end *end, struct ibv_cq *cq, unsigned int num)
{
	struct ibv_wc wc;

	while (num--) {
		if (!cq_poll_bounded(cq, &wc, BOUND_S))
			fail_because("%s: a completion does not come, %u more were to\n%s",
				     queue_name(s, end, cq), num + 1, s->record->text);
		if (wc.status && !s->scenario->fails)
			fail_because("%s: %s\n%s", queue_name(s, end, cq),
				     ibv_wc_status_str(wc.status), s->record->text);
		note_completion(s, queue_name(s, end, cq), &wc);
	}
}

void same_sent(struct same *s, struct end *end, unsigned int num)
{
	take(s, end, end->scq, num);
}

void same_received(struct same *s, struct end *end, unsigned int num)
{
	take(s, end, end->rcq, num);
}

void same_notified(struct same *s, struct end *end, struct ibv_cq *cq, bool expected)
{
	same_note(s, "%s: notified %d", queue_name(s, end, cq),
		  cq_event(end->channel, cq, expected ? BOUND_S * 1000 : 0));
}

static const char *role_of_event(const struct same *s, const struct ibv_async_event *event)
{
	const struct end *ends[] = { &s->pair.a, &s->pair.b };
	const void *of = event->element.qp;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (of && (of == ends[i]->qp || of == ends[i]->scq || of == ends[i]->rcq ||
			   of == ends[i]->srq))
			return role(s, ends[i]);
	return "another";
}

static void note_event(struct same *s, const struct ibv_async_event *event)
{
	same_note(s, "event: \"%s\", of %s", ibv_event_type_str(event->event_type),
		  role_of_event(s, event));
}

void same_event(struct same *s, struct end *end)
{
	struct ibv_async_event event;

	if (!async_any(end->rig->ctx, BOUND_S * 1000, &event))
		fail_because("no event at %s\n%s", role(s, end), s->record->text);
	note_event(s, &event);
}

static void note_shot(struct same *s, const char *name, const struct buf *buf)
{
	struct same_record *record = s->record;
	struct shot *shot = &record->shots[record->num_shots++];

	assert_true(record->num_shots <= MAX_SHOTS);
	*shot = (struct shot){ name, malloc(buf->map_bytes), buf->map_bytes, buf->guard_before };
	assert_non_null(shot->bytes);
	memcpy(shot->bytes, buf->map, buf->map_bytes);
}

void same_note_memory(struct same *s)
{
	note_shot(s, "a's memory", &s->a);
	note_shot(s, "b's memory", &s->b);
}

/* A few bytes, of which nothing is recorded. */
static void touch(struct same *s, struct end *end)
{
	bool is_a = end == &s->pair.a;
	struct ibv_sge sge = buf_sge(is_a ? &s->scratch_a : &s->scratch_b, 0, 8);
	struct ibv_send_wr wr =
		wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, is_a ? &s->scratch_b : &s->scratch_a, 8);

	end_post(end, &wr);
	cq_success(end->scq);
}

/*
 * Until requests of both ends go without packets, if they may: what is measured follows at once. How many have, and beside that no
 * counter moves meanwhile.
 */
static long prove(struct same *s, bool local)
{
	unsigned int ways = s->scenario->one_way ? 1 : 2;
	long ops = rig_counter("local_ops"), before;
	double end = seconds() + BOUND_S;

	do {
		if (seconds() > end)
			fail_because("no request went without packets");
		before = ops;
		touch(s, &s->pair.a);
		if (ways > 1)
			touch(s, &s->pair.b);
		ops = rig_counter("local_ops");
	} while (local && ops - before < ways);
	return ops;
}

static void warm_way(struct end *end, const struct buf *own, const struct buf *other)
{
	struct ibv_sge sge = buf_sge(own, 0, own->bytes);
	struct ibv_send_wr wr = wr_rdma(IBV_WR_RDMA_WRITE, &sge, 1, other, 0);

	end_post(end, &wr);
	cq_success(end->scq);
}

static void query(struct end *end, struct ibv_qp_attr *attr)
{
	struct ibv_qp_init_attr init;

	assert_zero(
		ibv_query_qp(end->qp, attr, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_RQ_PSN, &init));
}

static void note_psns(struct same *s)
{
	struct end *ends[] = { &s->pair.a, &s->pair.b };
	struct ibv_qp_attr attr;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		query(ends[i], &attr);
		s->qpn[i] = ends[i]->qp->qp_num;
		s->sq_psn[i] = attr.sq_psn;
		s->rq_psn[i] = attr.rq_psn;
	}
}

/* In error PSNs may have been given to requests that were never sent; those of an end that sends nothing are set when it likes. */
static void note_states(struct same *s)
{
	struct end *ends[] = { &s->pair.a, &s->pair.b };
	struct ibv_qp_attr attr[2];
	bool error = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i]->qp) {
			query(ends[i], &attr[i]);
			same_note(s, "%s: state %d", role(s, ends[i]), attr[i].qp_state);
		}
		error |= !ends[i]->qp || attr[i].qp_state == IBV_QPS_ERR;
	}
	for (i = 0; !error && i < ARRAY_SIZE(ends); i++) {
		if (i == 0 || !s->scenario->one_way)
			same_note(s, "%s: sq_psn %u", role(s, ends[i]),
				  (attr[i].sq_psn - s->sq_psn[i]) & 0xffffff);
		if (i == 1 || !s->scenario->one_way)
			same_note(s, "%s: rq_psn %u", role(s, ends[i]),
				  (attr[i].rq_psn - s->rq_psn[i]) & 0xffffff);
	}
}

/* Of one side: what was refused last, wherever it lies. */
static void note_access_error(struct same *s, const struct end *end, uint32_t psn)
{
	struct rxe_odp_access_error e;

	assert_zero(qp_access_error(end->qp, &e, sizeof(e)));
	if (!e.count)
		return;
	same_note(
		s,
		"%s: access errors %llu, side %u, wr_id %llu, opcode %u, access %#x, reason %u, error %u, bytes %llu, failed at %lld, psn %u",
		role(s, end), (unsigned long long)e.count, e.side, (unsigned long long)e.wr_id,
		e.opcode, e.access, e.reason, e.error, (unsigned long long)e.length,
		(long long)(e.fault_address - e.address), (e.psn - psn) & 0xffffff);
}

static void note_access_errors(struct same *s)
{
	if (s->pair.a.qp)
		note_access_error(s, &s->pair.a, s->sq_psn[0]);
	if (s->pair.b.qp)
		note_access_error(s, &s->pair.b, s->rq_psn[1]);
}

/* Completions and events that the scenario did not wait for. */
static void note_left(struct same *s)
{
	struct end *ends[] = { &s->pair.a, &s->pair.b };
	struct ibv_async_event event;
	struct ibv_wc wc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		while (ibv_poll_cq(ends[i]->scq, 1, &wc))
			note_completion(s, "one more sent", &wc);
		while (ibv_poll_cq(ends[i]->rcq, 1, &wc))
			note_completion(s, "one more received", &wc);
		while (async_any(ends[i]->rig->ctx, 0, &event))
			note_event(s, &event);
	}
}

/* How many requests went without packets. */
static long note_counters(struct same *s, const long *before)
{
	/* Pages that are late are told as receivers that are not ready. */
	bool rnr = !s->scenario->rnr_by_time && s->scenario->memory != SAME_COLD;
	long now[COUNTERS];
	int i;

	rig_counters(counter_names, now, COUNTERS);
	for (i = LOCAL_OPS + 1; i < COUNTERS; i++)
		if (i < RNR || rnr)
			same_note(s, "%s: %ld", counter_names[i], now[i] - before[i]);
	return now[LOCAL_OPS] - before[LOCAL_OPS];
}

static void open_run(struct same *s, const struct scenario *scenario)
{
	int odp = scenario->memory == SAME_PINNED ? 0 : IBV_ACCESS_ON_DEMAND;
	size_t bytes = scenario->bytes ?: SAME_BYTES;
	struct conn conn = CONN;

	memset(s, 0, sizeof(*s));
	s->scenario = scenario;
	s->record = same_record_new();
	conn.timeout = 20;
	if (scenario->connect)
		scenario->connect(&conn);
	pair_open(&s->pair, &conn);
	buf_make(&s->a, s->pair.a.rig->pd, MEM_ANON, bytes, 64, ACCESS_ALL | odp);
	buf_make(&s->b, s->pair.b.rig->pd, MEM_ANON, bytes, 128,
		 ACCESS_ALL | scenario->access | odp);
	buf_make(&s->scratch_a, s->pair.a.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	buf_make(&s->scratch_b, s->pair.b.rig->pd, MEM_ANON, 16, 0, ACCESS_ALL);
	s->qpn[0] = s->pair.a.qp->qp_num;
	s->qpn[1] = s->pair.b.qp->qp_num;
}

static void close_run(struct same *s)
{
	buf_free(&s->scratch_a);
	buf_free(&s->scratch_b);
	if (s->mr)
		assert_zero(ibv_dereg_mr(s->mr));
	buf_free(&s->a);
	buf_free(&s->b);
	if (s->pd)
		assert_zero(ibv_dealloc_pd(s->pd));
	pair_close(&s->pair);
}

/* What was recorded; *ops requests went without packets. */
static struct same_record *run_once(const struct scenario *scenario, bool local, long *ops)
{
	long counters[COUNTERS];
	struct same s;

	rig_set_local(local);
	open_run(&s, scenario);
	if (scenario->memory == SAME_WARM) {
		warm_way(&s.pair.a, &s.a, &s.b);
		warm_way(&s.pair.b, &s.b, &s.a);
	}
	pattern_fill(s.a.data, s.a.bytes, 1, 0);
	pattern_fill(s.b.data, s.b.bytes, 2, 0);
	if (scenario->prepare)
		scenario->prepare(&s);
	rig_counters(counter_names, counters, COUNTERS);
	counters[LOCAL_OPS] = prove(&s, local);
	note_psns(&s);
	scenario->run(&s);
	note_left(&s);
	note_states(&s);
	note_access_errors(&s);
	same_note_memory(&s);
	*ops = note_counters(&s, counters);
	close_run(&s);
	return s.record;
}

static bool is_all(const struct scenario *scenario, long ops)
{
	if (scenario->memory != SAME_COLD)
		return ops == scenario->ops;
	return ops && ops < scenario->ops;
}

void same_test(void **state)
{
	const struct scenario *scenario = *state;
	struct same_record *packets, *local;
	double end = seconds() + BOUND_S;
	long ops;

	packets = run_once(scenario, false, &ops);
	if (ops)
		fail_because("with packets %ld requests went without", ops);
	do {
		if (seconds() > end)
			fail_because("%ld requests of %u went without packets", ops, scenario->ops);
		local = run_once(scenario, true, &ops);
		record_compare(packets, local);
		record_free(local);
		if (ops > scenario->ops)
			fail_because("%ld requests went without packets, and not %u", ops,
				     scenario->ops);
	} while (!is_all(scenario, ops));
	record_free(packets);
}

int same_run(const struct CMUnitTest *tests, size_t count)
{
	int rc = test_run(tests, count);

	rig_set_local(true);
	return rc;
}
