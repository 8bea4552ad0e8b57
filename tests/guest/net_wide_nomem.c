// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * No memory for a wide packet: it has half of the payload, and half of that, as much as there is memory for, and in the end packets
 * go one by one; no message is lost, and none comes twice. With memory packets are as wide as before.
 */
#include "failslab.h"
#include "wide.h"

#define PAGES "fail_page_alloc"
#define TIMES "1000000"

/* Of a test that failed, too. */
static int tear_down(void **state)
{
	write_text("/sys/kernel/debug/" PAGES "/probability", "0");
	write_text("/sys/kernel/debug/failslab/probability", "0");
	return wide_tear_down(state);
}

/* Allocations of so many pages (as a power of two) and more fail, whoever asks; memory for packets is asked for in softirqs, too. */
static void fail_from(unsigned int order, unsigned int percent)
{
	char text[16];

	fail_set(PAGES, "task-filter", "N");
	fail_set(PAGES, "times", percent ? TIMES : "1");
	snprintf(text, sizeof(text), "%u", order);
	fail_set(PAGES, "min-order", text);
	snprintf(text, sizeof(text), "%u", percent);
	fail_set(PAGES, "probability", text);
}

static void move(struct wide *bed, struct buf *from, struct buf *to, uint32_t seed)
{
	enum op op;

	for (op = 0; op < OP_KINDS; op++)
		pair_move_checked(&bed->pair, op, from, to, seed + op);
}

/*
 * How wide packets are while so many of those allocations fail. Where the machine stands still for 100 ms meanwhile the wire is to be
 * asked anew whether wide packets arrive, for which there is no memory: then it begins again.
 */
static void move_wide(struct wide *bed, struct buf *from, struct buf *to, unsigned int order,
		      unsigned int percent, unsigned int *request, unsigned int *response)
{
	double end = seconds() + BOUND_S;
	static uint32_t seed;

	do {
		wide_await(bed, true);
		fail_from(order, percent);
		move(bed, from, to, seed);
		fail_from(order, 0);
		wide_widest(bed, request, response);
		seed += OP_KINDS;
	} while ((*request == 1 || *response == 1) && seconds() < end);
}

/*
 * By the length of a packet of so many PSNs, with its headers and what an skb has behind it: 2^3 pages hold 28, 2^2 pages 14; memory
 * for 7 is of a slab, which is there or needs some.
 */
static void no_pages_in_a_row(void **state)
{
	static const unsigned int orders[] = { 3, 2 };
	long again = rig_counter("retried_pkts"), gaps = rig_counter("out_of_seq_request");
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	unsigned int i, request, response;
	struct buf from, to;
	struct wide bed;

	(void)state;
	fail_begin(PAGES);
	wide_open(&bed, &conn);
	buf_make(&from, bed.pair.a.rig->pd, MEM_ANON, 300001, 3, ACCESS_ALL);
	buf_make(&to, bed.pair.b.rig->pd, MEM_ANON, 300001, 40, ACCESS_ALL);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		move_wide(&bed, &from, &to, orders[i], 0, &request, &response);
		assert_int_equal(request, 28);
		assert_int_equal(response, 28);
		move_wide(&bed, &from, &to, orders[i], 100, &request, &response);
		printf("without pages of order %u: %u and %u PSNs\n", orders[i], request, response);
		assert_in_range(request, orders[i] == 3 ? 14 : 3, 28 >> (i + 1));
		assert_in_range(response, orders[i] == 3 ? 14 : 3, 28 >> (i + 1));
	}
	move_wide(&bed, &from, &to, 3, 0, &request, &response);
	assert_int_equal(request, 28);
	buf_free(&from);
	buf_free(&to);
	wide_close(&bed);
	assert_int_equal(rig_counter("retried_pkts"), again);
	assert_int_equal(rig_counter("out_of_seq_request"), gaps);
}

/* Whether a cache of that name can be marked as one whose allocations fail. Packets of one PSN are among them, and ACKs. */
static bool mark(const char *cache, bool fails)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", cache);
	return !write_text(path, fails ? "1" : "0");
}

static void no_memory_now_and_then(void **state)
{
	static const char *const caches[] = { "kmalloc-2k", "kmalloc-4k", "kmalloc-8k",
					      "skbuff_small_head" };
	struct conn conn = wide_conn(true, IBV_MTU_1024, false);
	unsigned int i, k, marked = 0;
	struct buf from, to;
	struct wide bed;
	int odp;

	fail_begin(PAGES);
	failslab_begin();
	for (k = 0; k < ARRAY_SIZE(caches); k++)
		marked += mark(caches[k], true);
	if (!marked)
		skip_because("caches of this kernel cannot be told apart");
	/* 1 s: a READ is answered slowly meanwhile. */
	conn.timeout = 18;
	for (i = 0; i < 4; i++) {
		wide_open(&bed, &conn);
		odp = mode(&bed.pair.rig, state);
		buf_make(&from, bed.pair.a.rig->pd, MEM_SHARED, 300001, 3, ACCESS_ALL | odp);
		buf_make(&to, bed.pair.b.rig->pd, MEM_SHARED, 300001, 40, ACCESS_ALL | odp);
		wide_await(&bed, true);
		failslab_set("cache-filter", "Y");
		failslab_set("task-filter", "N");
		failslab_set("times", TIMES);
		failslab_set("probability", "5");
		fail_from(2, 50);
		move(&bed, &from, &to, i);
		fail_from(2, 0);
		failslab_set("probability", "0");
		buf_free(&from);
		buf_free(&to);
		wide_close(&bed);
	}
	printf("%ld allocations failed\n",
	       atol(TIMES) - read_number("/sys/kernel/debug/failslab/times", atol(TIMES)));
	assert_true(read_number("/sys/kernel/debug/failslab/times", atol(TIMES)) < atol(TIMES));
	failslab_set("cache-filter", "N");
	failslab_set("times", "1");
	for (k = 0; k < ARRAY_SIZE(caches); k++)
		mark(caches[k], false);
}

/* clang-format off */
#define NOMEM(fn)     { #fn, fn, wide_set_up, tear_down, NULL }
#define NOMEM_ODP(fn) { #fn "_odp", fn, wide_set_up, tear_down, (void *)(uintptr_t)1 }
/* clang-format on */

TEST_MAIN(NOMEM(no_pages_in_a_row), NOMEM(no_memory_now_and_then),
	  NOMEM_ODP(no_memory_now_and_then))
