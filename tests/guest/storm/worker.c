// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "worker.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#define MAX_BYTES (48 * KIB)
#define PIECES	  4
#define MAX_WRS	  (2 * PIECES + 1)

struct worker workers[WORKERS];
volatile bool storm_stop;
bool storm_lazy_mmu;

static struct pair *the_pair;
static int self_mem;

/* Work requests that are posted as one list. */
struct flight {
	struct ibv_send_wr wr[MAX_WRS];
	struct ibv_sge sge[MAX_WRS];
	unsigned int wrs, recvs;
};

bool failed(struct worker *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->failure, sizeof(w->failure), fmt, args);
	va_end(args);
	storm_stop = true;
	return false;
}

/* What a peer is owed for memory that is not there, or not to be written. */
static bool is_owed(enum ibv_wr_opcode opcode, enum ibv_wc_status status)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_READ:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return status == IBV_WC_REM_ACCESS_ERR;
	case IBV_WR_SEND:
		return status == IBV_WC_REM_OP_ERR;
	default:
		return false;
	}
}

static bool reconnect(struct worker *w)
{
	struct ibv_wc wc;

	if (end_set_state(&w->a, IBV_QPS_RESET) || end_set_state(&w->b, IBV_QPS_RESET))
		return failed(w, "a QP does not go to RESET");
	while (ibv_poll_cq(w->a.scq, 1, &wc) || ibv_poll_cq(w->b.rcq, 1, &wc))
		;
	if (end_to_init(&w->a, &the_pair->conn) || end_to_init(&w->b, &the_pair->conn) ||
	    end_to_rtr(&w->a, &w->b, &the_pair->conn) ||
	    end_to_rtr(&w->b, &w->a, &the_pair->conn) || end_to_rts(&w->a, &the_pair->conn) ||
	    end_to_rts(&w->b, &the_pair->conn))
		return failed(w, "a QP does not connect again");
	w->reconnects++;
	return true;
}

/* Posts them and takes all completions. False when the worker must end, or must leave this transaction. */
static bool fly(struct worker *w, struct flight *f)
{
	enum ibv_wc_status first = IBV_WC_SUCCESS;
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	unsigned int i;

	for (i = 0; i < f->wrs; i++) {
		f->wr[i].wr_id = i;
		f->wr[i].next = i + 1 < f->wrs ? &f->wr[i + 1] : NULL;
	}
	if (ibv_post_send(w->a.qp, f->wr, &bad))
		return failed(w, "ibv_post_send");
	for (i = 0; i < f->wrs; i++) {
		if (!cq_poll_bounded(w->a.scq, &wc, BOUND_S))
			return failed(w, "no completion of opcode %d within %d s", f->wr[i].opcode,
				      BOUND_S);
		if (wc.wr_id != i)
			return failed(w, "completion of request %u comes as number %u",
				      (unsigned int)wc.wr_id, i);
		if (first == IBV_WC_SUCCESS) {
			first = wc.status;
			if (first == IBV_WC_SUCCESS ||
			    (is_wild(w) && is_owed(f->wr[i].opcode, first)))
				continue;
		} else if (wc.status == IBV_WC_WR_FLUSH_ERR) {
			continue;
		}
		return failed(w, "request %u of %u, opcode %d: \"%s\" is not owed", i, f->wrs,
			      f->wr[i].opcode, ibv_wc_status_str(wc.status));
	}
	if (storm_lazy_mmu)
		sched_yield();
	if (first != IBV_WC_SUCCESS) {
		w->owed++;
		reconnect(w);
		return false;
	}
	for (i = 0; i < f->recvs; i++)
		if (!cq_poll_bounded(w->b.rcq, &wc, BOUND_S) || wc.status != IBV_WC_SUCCESS)
			return failed(w, "a SEND arrived, its receive did not complete");
	return true;
}

static void add_wr(struct worker *w, struct flight *f, enum ibv_wr_opcode opcode,
		   const struct buf *local, size_t local_at, size_t at, size_t bytes)
{
	struct ibv_send_wr *wr = &f->wr[f->wrs];

	f->sge[f->wrs] = buf_sge(local, local_at, bytes);
	*wr = wr_make(opcode, &f->sge[f->wrs], 1);
	wr->wr.rdma.remote_addr = (uintptr_t)w->slice + at;
	wr->wr.rdma.rkey = w->memory->mr->rkey;
	f->wrs++;
}

static void add_recv(struct worker *w, struct flight *f, size_t at, size_t bytes)
{
	struct ibv_sge sge = { (uintptr_t)w->slice + at, bytes, w->memory->mr->lkey };
	struct ibv_recv_wr recv = { .sg_list = &sge, .num_sge = 1 }, *bad;

	if (ibv_post_recv(w->b.qp, &recv, &bad))
		failed(w, "ibv_post_recv");
	f->recvs++;
}

/* The whole of it, in pieces that are posted one behind the other. */
static void add_pieces(struct worker *w, struct flight *f, enum ibv_wr_opcode opcode,
		       const struct buf *local, size_t at, size_t bytes)
{
	size_t n = 1 + rnd_below(&w->rnd, PIECES), i;

	if (n > bytes)
		n = 1;
	for (i = 0; i < n; i++) {
		size_t from = bytes * i / n, piece = bytes * (i + 1) / n - from;

		if (opcode == IBV_WR_SEND)
			add_recv(w, f, at + from, piece);
		add_wr(w, f, opcode, local, from, at + from, piece);
	}
}

/* What is there after the transaction: a pattern, and a sum in its middle. */
struct content {
	uint32_t seed;
	size_t bytes, sum_at; /* sum_at == bytes: no sum */
	uint64_t before, sum;
};

static uint8_t content_byte(const struct content *c, size_t i)
{
	if (i >= c->sum_at && i < c->sum_at + 8)
		return c->sum >> 8 * (i - c->sum_at);
	return pattern_byte(c->seed, i);
}

/* What is wild may be gone; it is never somebody else's. */
static bool is_right(struct worker *w, const uint8_t *data, const struct content *c,
		     const char *where)
{
	size_t i;

	for (i = 0; i < c->bytes; i++) {
		if (data[i] == content_byte(c, i) ||
		    (is_wild(w) && (!data[i] || (i >= c->sum_at && i < c->sum_at + 8))))
			continue;
		return failed(w, "byte %zu of %zu %s is %#x, not %#x", i, c->bytes, where, data[i],
			      content_byte(c, i));
	}
	return true;
}

static void is_seen(struct worker *w, size_t at, const struct content *c)
{
	const uint8_t *data = w->slice + at;

	if (storm_lazy_mmu) {
		if (pread(self_mem, w->back.data, c->bytes, (uintptr_t)data) != (ssize_t)c->bytes) {
			failed(w, "/proc/self/mem: errno %d", errno);
			return;
		}
		sched_yield();
		data = w->back.data;
	}
	is_right(w, data, c, "seen by the CPU");
}

/* Adds to eight bytes of what was written. */
static void add_sum(struct worker *w, struct flight *f, size_t at, struct content *c)
{
	size_t first = -at & 7, i;
	struct ibv_send_wr *wr;

	c->sum_at = c->bytes;
	if (c->bytes < first + 8 || !rnd_one_in(&w->rnd, 3))
		return;
	c->sum_at = first + 8 * rnd_below(&w->rnd, (c->bytes - first) / 8);
	for (i = 0, c->before = 0; i < 8; i++)
		c->before |= (uint64_t)pattern_byte(c->seed, c->sum_at + i) << 8 * i;
	wr = &f->wr[f->wrs];
	add_wr(w, f, IBV_WR_ATOMIC_FETCH_AND_ADD, &w->old, 0, at + c->sum_at, 8);
	wr->wr.atomic.remote_addr = (uintptr_t)w->slice + at + c->sum_at;
	wr->wr.atomic.rkey = w->memory->mr->rkey;
	wr->wr.atomic.compare_add = rnd_next(&w->rnd);
	c->sum = c->before + wr->wr.atomic.compare_add;
}

/* Puts a pattern there, adds to it and gets it back, all in flight at once; then the CPU looks. */
static void transaction(struct worker *w)
{
	struct content c = { .bytes = 1 + rnd_below(&w->rnd, MAX_BYTES),
			     .seed = rnd_next(&w->rnd) };
	size_t at = rnd_below(&w->rnd, SLICE_BYTES - c.bytes);
	struct flight f = { .wrs = 0 };
	uint64_t old;

	/* Pages that are alike, for KSM. */
	if (rnd_one_in(&w->rnd, 4)) {
		c.seed %= 4;
		at &= ~(PAGE - 1);
	}
	pattern_fill(w->local.data, c.bytes, c.seed, 0);
	memset(w->back.data, 0x77, c.bytes);
	add_pieces(w, &f, rnd_one_in(&w->rnd, 2) ? IBV_WR_RDMA_WRITE : IBV_WR_SEND, &w->local, at,
		   c.bytes);
	add_sum(w, &f, at, &c);
	add_pieces(w, &f, IBV_WR_RDMA_READ, &w->back, at, c.bytes);
	if (!fly(w, &f) || !is_right(w, w->back.data, &c, "read back"))
		return;
	memcpy(&old, w->old.data, 8);
	if (!is_wild(w) && c.sum_at < c.bytes && old != c.before) {
		failed(w, "an atomic returns %#lx, not %#lx", (long)old, (long)c.before);
		return;
	}
	/* The wild one's may be unmapped: the CPU would be killed. */
	if (!is_wild(w))
		is_seen(w, at, &c);
	w->done++;
}

/* A counter of each worker's own, in memory that nobody takes away. */
static void count_one(struct worker *w)
{
	struct flight f = { .wrs = 1 };
	uint64_t before, old;

	f.sge[0] = buf_sge(&w->old, 0, 8);
	f.wr[0] = wr_atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, &f.sge[0], &w->count, 0, 1, 0);
	memcpy(&before, w->count.data, 8);
	if (!fly(w, &f))
		return;
	memcpy(&old, w->old.data, 8);
	if (old != before || *(volatile uint64_t *)w->count.data != before + 1)
		failed(w, "an atomic was lost or done twice");
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!storm_stop) {
		if (!is_wild(w))
			pthread_mutex_lock(&w->lock);
		if (rnd_one_in(&w->rnd, 8))
			count_one(w);
		else
			transaction(w);
		if (!is_wild(w))
			pthread_mutex_unlock(&w->lock);
		while (!is_wild(w) && w->wanted)
			usleep(20);
	}
	return NULL;
}

static void worker_make(struct worker *w, unsigned int nr, struct pair *pair, uint64_t seed)
{
	int odp = nr & 2 ? IBV_ACCESS_ON_DEMAND : 0;

	w->nr = nr;
	w->rnd.state = seed + nr;
	w->memory = &memories[nr % MEMORIES];
	w->slice = w->memory->data + nr * SLICE_BYTES;
	pthread_mutex_init(&w->lock, NULL);
	ends_open(&w->a, &pair->rig, &w->b, &pair->rig, &pair->conn);
	buf_make(&w->local, pair->rig.pd, MEM_ANON, MAX_BYTES, 100 * nr, ACCESS_ALL | odp);
	buf_make(&w->back, pair->rig.pd, MEM_ANON, MAX_BYTES, 200 * nr, ACCESS_ALL | odp);
	buf_make(&w->old, pair->rig.pd, MEM_ANON, 8, 8 * nr, ACCESS_ALL | odp);
	buf_make(&w->count, pair->rig.pd, MEM_ANON, 8, 64, ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	memset(w->count.data, 0, 8);
}

static void worker_free(struct worker *w)
{
	end_close(&w->a);
	end_close(&w->b);
	buf_free(&w->local);
	buf_free(&w->back);
	buf_free(&w->old);
	buf_free(&w->count);
}

void workers_make(struct pair *pair, uint64_t seed)
{
	unsigned int i;

	the_pair = pair;
	storm_lazy_mmu = slow_kernel();
	self_mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(self_mem >= 0);
	for (i = 0; i < WORKERS; i++)
		worker_make(&workers[i], i, pair, seed);
}

void workers_start(void)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		assert_zero(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
}

void workers_join(void)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
}

void workers_check(void)
{
	unsigned long owed = 0;
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		const struct worker *w = &workers[i];

		owed += w->owed;
		printf("worker %u%s: %lu transactions, %lu errors that were owed, %lu reconnects\n",
		       i, is_wild(w) ? " (wild)" : "", w->done, w->owed, w->reconnects);
	}
	for (i = 0; i < WORKERS; i++)
		if (workers[i].failure[0])
			fail_because("worker %u: %s", i, workers[i].failure);
	for (i = 0; i < WORKERS; i++)
		assert_true(workers[i].done > 0);
	assert_true(owed > 0);
}

void workers_free(void)
{
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		worker_free(&workers[i]);
	close(self_mem);
}
