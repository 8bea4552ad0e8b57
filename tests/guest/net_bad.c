// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A bad wire between the two namespaces: loss, reordering, duplication, corruption, delay, a low rate. Every operation
 * arrives with the right bytes, every retry succeeds below the limits, and the ICRC rejects what was corrupted.
 */
#include "netem.h"
#include "pair.h"

#define ROUNDS	  (slow_cpu() ? 3 : 6)
#define MAX_BYTES (24 * KIB)

static int clean_wire(void **state)
{
	(void)state;
	netem_end();
	return 0;
}

static void traffic(const char *options, int odp)
{
	struct buf from, to, counter_from, counter_to;
	struct conn conn = CONN;
	struct pair pair;
	uint64_t sum = 0;
	unsigned int i;

	conn.wire = true;
	conn.timeout = 14;
	pair_open(&pair, &conn);
	if (odp) {
		odp = IBV_ACCESS_ON_DEMAND;
		rig_need_odp(&pair.rig, 0, 0);
	}
	/* Shared: its bytes are still there when its pages are dropped. */
	buf_make(&from, pair.a.rig->pd, MEM_SHARED, MAX_BYTES, 24, ACCESS_ALL | odp);
	buf_make(&to, pair.b.rig->pd, MEM_ANON, MAX_BYTES, 40, ACCESS_ALL | odp);
	buf_make(&counter_from, pair.a.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	buf_make(&counter_to, pair.b.rig->pd, MEM_ANON, 8, 0, ACCESS_ALL | odp);
	memset(counter_to.data, 0, 8);
	if (!netem_begin(options))
		fail_because("no netem");
	for (i = 0; i < ROUNDS * OP_KINDS; i++) {
		size_t bytes = 1 + (i * 7919) % MAX_BYTES;

		pattern_fill(from.data, bytes, i, 0);
		memset(to.data, 0, bytes);
		if (odp && i & 1)
			buf_forget(&to);
		if (odp && i & 2)
			buf_forget(&from);
		pair_move(&pair, i % OP_KINDS, &from, 0, &to, 0, bytes);
		pattern_check(to.data, bytes, i, 0, options);
		pair_add_checked(&pair, &counter_from, &counter_to, &sum);
	}
	netem_end();
	assert_int_equal(end_state(&pair.a), IBV_QPS_RTS);
	assert_int_equal(end_state(&pair.b), IBV_QPS_RTS);
	buf_free(&counter_from);
	buf_free(&counter_to);
	buf_free(&from);
	buf_free(&to);
	pair_close(&pair);
}

static void both(const char *options)
{
	traffic(options, 0);
	traffic(options, 1);
}

static void loss(void **state)
{
	long timeouts = rig_counter("ack_timeout"), retried = rig_counter("retried_pkts");

	(void)state;
	both("loss 2%");
	timeouts = rig_counter("ack_timeout") - timeouts;
	retried = rig_counter("retried_pkts") - retried;
	printf("%ld timeouts, %ld packets again\n", timeouts, retried);
	assert_true(rig_is_stock() || retried > 0);
}

static void reordering(void **state)
{
	long out = rig_counter("out_of_seq_request");

	(void)state;
	both("delay 1ms reorder 75% 25%");
	out = rig_counter("out_of_seq_request") - out;
	printf("%ld requests out of sequence\n", out);
	assert_true(rig_is_stock() || out > 0);
}

static void duplication(void **state)
{
	long before = rig_counter("duplicate_request");

	(void)state;
	both("duplicate 20%");
	assert_true(rig_is_stock() || rig_counter("duplicate_request") > before);
}

static void corruption(void **state)
{
	long before = rig_counter("rx_icrc_encapsulated");

	(void)state;
	both("corrupt 2%");
	assert_true(rig_is_stock() || rig_counter("rx_icrc_encapsulated") > before);
}

static void delay(void **state)
{
	(void)state;
	both("delay 3ms 1ms");
}

/* The queue is shorter than a message: it refuses what does not fit, which is sent when it does. */
static void rate(void **state)
{
	long refused, retried = rig_counter("retried_pkts");

	(void)state;
	refused = rig_is_stock() ? 0 : rig_counter("send_refused");
	both("rate 1mbit limit 4");
	retried = rig_counter("retried_pkts") - retried;
	if (rig_is_stock())
		return;
	refused = rig_counter("send_refused") - refused;
	printf("%ld packets refused, %ld again\n", refused, retried);
	assert_true(refused > 0);
}

/* clang-format off */
#define BAD(fn) { #fn, fn, NULL, clean_wire, NULL }
/* clang-format on */

TEST_MAIN(BAD(loss), BAD(reordering), BAD(duplication), BAD(corruption), BAD(delay), BAD(rate))
