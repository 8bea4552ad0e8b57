// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Implicit regions under mmap() and munmap() without a pause (STORM_S seconds, once each has had a turn): threads map, are written to through a region that was
 * there before, look, and unmap; another one only maps and unmaps; another registers implicit regions all the time, reads through
 * each, and releases it; and one takes memory away that is being written to.
 */
#include "pair.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define ODP   IBV_ACCESS_ON_DEMAND
#define PAGES 5
#define BYTES (PAGES * PAGE)

struct worker {
	const char *name;
	bool (*turn)(struct worker *w);
	struct rig *rig;
	struct end a, b;
	struct ibv_mr *all; /* of the test's beginning */
	struct buf local;
	uint32_t seed;
	volatile unsigned long turns;
	const char *volatile error;
	uint8_t *at; /* of the taker */
	pthread_t thread;
};

#define MAPS 8

static volatile bool stop;
static unsigned long calls; /* of mmap() and munmap(), by all threads */

/* Whoever maps unmaps as well. */
static uint8_t *map_some(void)
{
	uint8_t *map =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	__atomic_add_fetch(&calls, 2, __ATOMIC_RELAXED);
	return map == MAP_FAILED ? NULL : map;
}

/* Between the local buffer and another address, with the key of a region. */
static bool rdma(struct worker *w, enum ibv_wr_opcode opcode, void *at, struct ibv_mr *mr,
		 struct ibv_wc *wc)
{
	struct ibv_sge sge = buf_sge(&w->local, 0, BYTES);
	struct ibv_send_wr wr = wr_make(opcode, &sge, 1), *bad;

	wr.wr.rdma.remote_addr = (uintptr_t)at;
	wr.wr.rdma.rkey = mr->rkey;
	return !ibv_post_send(w->a.qp, &wr, &bad) && (!wc || cq_poll_bounded(w->a.scq, wc, 60));
}

static bool failed(struct worker *w, const char *what)
{
	w->error = what;
	return false;
}

static bool write_and_look(struct worker *w)
{
	uint8_t *map = map_some();
	struct ibv_wc wc;

	if (!map)
		return failed(w, "mmap");
	pattern_fill(w->local.data, BYTES, ++w->seed, 0);
	if (!rdma(w, IBV_WR_RDMA_WRITE, map, w->all, &wc))
		return failed(w, "no completion");
	if (wc.status != IBV_WC_SUCCESS)
		return failed(w, ibv_wc_status_str(wc.status));
	if (pattern_differs(map, BYTES, w->seed, 0, w->name))
		return failed(w, "wrong bytes");
	munmap(map, BYTES);
	return true;
}

static bool map_and_unmap(struct worker *w)
{
	uint8_t *maps[MAPS];
	unsigned int i;

	for (i = 0; i < MAPS; i++) {
		maps[i] = map_some();
		if (!maps[i]) {
			while (i)
				munmap(maps[--i], BYTES);
			return failed(w, "mmap");
		}
	}
	maps[0][PAGE] = 1;
	for (i = 0; i < MAPS; i++)
		munmap(maps[i], BYTES);
	return true;
}

static bool register_and_read(struct worker *w)
{
	struct ibv_mr *mr = ibv_reg_mr(w->rig->pd, NULL, SIZE_MAX, ACCESS_ALL | ODP);
	uint8_t *map = map_some();
	struct ibv_wc wc;

	if (!mr || !map)
		return failed(w, "no implicit region, or no memory");
	pattern_fill(map, BYTES, ++w->seed, 0);
	if (!rdma(w, IBV_WR_RDMA_READ, map, mr, &wc))
		return failed(w, "no completion");
	if (wc.status != IBV_WC_SUCCESS)
		return failed(w, ibv_wc_status_str(wc.status));
	if (pattern_differs(w->local.data, BYTES, w->seed, 0, w->name))
		return failed(w, "wrong bytes");
	munmap(map, BYTES);
	return !ibv_dereg_mr(mr) || failed(w, "deregistration");
}

static bool turn(struct worker *w)
{
	bool done = w->turn(w);

	w->turns += done;
	return done;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!stop && turn(w))
		;
	return NULL;
}

static bool map_at(uint8_t *at, int prot)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return mmap(at, BYTES, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at;
}

/* At addresses that nobody else gets: they are reserved in between. */
static bool take_away(struct worker *w)
{
	struct ibv_wc wc;

	if (!map_at(w->at, PROT_READ | PROT_WRITE))
		return failed(w, "mmap");
	if (!rdma(w, IBV_WR_RDMA_WRITE, w->at, w->all, NULL))
		return failed(w, "not posted");
	if (!map_at(w->at, PROT_NONE))
		return failed(w, "mmap of no access");
	if (!cq_poll_bounded(w->a.scq, &wc, 60))
		return failed(w, "no completion");
	if (wc.status == IBV_WC_SUCCESS)
		return true;
	if (wc.status != IBV_WC_REM_ACCESS_ERR)
		return failed(w, ibv_wc_status_str(wc.status));
	return !ends_reconnect(&w->a, &w->b, &CONN) || failed(w, "no new connection");
}

/* Each has had a turn, or one never will. */
static bool have_turned(const struct worker *workers, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!workers[i].turns && !workers[i].error)
			return false;
	return true;
}

static void worker_open(struct worker *w, struct pair *pair, struct ibv_mr *all)
{
	w->rig = &pair->rig;
	w->all = all;
	w->seed = (uintptr_t)w;
	ends_open(&w->a, &pair->rig, &w->b, &pair->rig, &CONN);
	buf_map(&w->local, MEM_ANON, BYTES, 0);
	w->local.mr = all;
}

static void worker_close(struct worker *w)
{
	w->local.mr = NULL;
	buf_free(&w->local);
	end_close(&w->a);
	end_close(&w->b);
}

static void mapped_and_unmapped(void **state)
{
	/* Not on the stack, which a failed test leaves while they run. */
	static struct worker workers[] = {
		{ .name = "writer 1", .turn = write_and_look },
		{ .name = "writer 2", .turn = write_and_look },
		{ .name = "mapper", .turn = map_and_unmap },
		{ .name = "registrar 1", .turn = register_and_read },
		{ .name = "registrar 2", .turn = register_and_read },
		{ .name = "taker", .turn = take_away },
	};
	const size_t threads = ARRAY_SIZE(workers) - 1;
	struct worker *taker = &workers[threads];
	struct conn conn = CONN;
	struct ibv_mr *all;
	struct pair pair;
	double begin, end;
	size_t i;

	(void)state;
	pair_open(&pair, &conn);
	rig_need_odp(&pair.rig, 0, 0);
	all = ibv_reg_mr(pair.rig.pd, NULL, SIZE_MAX, ACCESS_ALL | ODP);
	assert_non_null(all);
	taker->at = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(taker->at, MAP_FAILED);
	for (i = 0; i <= threads; i++)
		worker_open(&workers[i], &pair, all);
	begin = seconds();
	for (i = 0; i < threads; i++)
		assert_zero(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	while (turn(taker) && !have_turned(workers, threads))
		;
	end = seconds() + env_number("STORM_S", 2);
	while (!taker->error && seconds() < end)
		turn(taker);
	stop = true;
	for (i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
	end = seconds();
	for (i = 0; i <= threads; i++) {
		printf("%s: %lu turns, %.0f a second\n", workers[i].name, workers[i].turns,
		       workers[i].turns / (end - begin));
		if (workers[i].error)
			fail_because("%s: %s", workers[i].name, workers[i].error);
		assert_true(workers[i].turns);
	}
	printf("%.0f calls of mmap() and munmap() a second\n", calls / (end - begin));
	for (i = 0; i <= threads; i++)
		worker_close(&workers[i]);
	munmap(taker->at, BYTES);
	assert_zero(ibv_dereg_mr(all));
	pair_close(&pair);
}

TEST_MAIN(TEST(mapped_and_unmapped))
