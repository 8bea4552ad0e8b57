// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The rate after congestion: none before it is told, half at first, back in a few steps, and what is sent keeps to it. */
#include "unit.h"

#include <stdlib.h>

#include "transport/rate.h"

#define MS  1000000ULL
#define PKT 4200

/* Sends as much as it lets from @from to @to, looking every 4 ms; bytes. */
static u64 send_all(struct rxo_rate *r, u64 from, u64 to)
{
	u64 now, bytes = 0;

	for (now = from; now < to; now += 4 * MS)
		while (rxo_rate_may_send(r, now) && bytes < 1000000000ULL) {
			rxo_rate_charge(r, PKT, now);
			bytes += PKT;
			if (!r->bytes_per_s)
				break;
		}
	return bytes;
}

static void no_rate_at_first(void **state)
{
	struct rxo_rate r;

	(void)state;
	rxo_rate_init(&r);
	assert_true(rxo_rate_may_send(&r, 1000 * MS));
	assert_int_equal(r.bytes_per_s, 0);
}

/* 100 packets in 10 ms are 42 MB/s: half of that, and of many tellings at once one counts. */
static void half_of_what_was_sent(void **state)
{
	struct rxo_rate r;
	u64 now = 1000 * MS;
	int i;

	(void)state;
	rxo_rate_init(&r);
	for (i = 0; i < 100; i++)
		rxo_rate_charge(&r, PKT, now += MS / 10);
	assert_true(rxo_rate_cut(&r, now));
	assert_in_range(r.bytes_per_s, 18000000, 24000000);
	assert_false(rxo_rate_cut(&r, now + MS / 2));
	now += RXO_RATE_CUT_NS;
	assert_true(rxo_rate_cut(&r, now));
	assert_in_range(r.bytes_per_s, 9000000, 12000000);
}

static void keeps_to_it(void **state)
{
	struct rxo_rate r;
	u64 now = 1000 * MS, bytes;

	(void)state;
	rxo_rate_init(&r);
	rxo_rate_charge(&r, 400000, now);
	rxo_rate_cut(&r, now + 10 * MS);
	r.bytes_per_s = 10000000;
	now += 10 * MS;
	r.raise_ns = now;
	r.target_bytes_per_s = r.bytes_per_s;
	bytes = send_all(&r, now, now + 20 * MS);
	/* 20 ms of 10 MB/s, and a packet more. */
	assert_in_range(bytes, 140000, 215000);
}

static void rises_again(void **state)
{
	struct rxo_rate r;
	u64 now = 1000 * MS, low, i;

	(void)state;
	rxo_rate_init(&r);
	rxo_rate_charge(&r, 400000, now);
	rxo_rate_cut(&r, now + 10 * MS);
	low = r.bytes_per_s;
	now += 10 * MS;
	rxo_rate_may_send(&r, now + RXO_RATE_FAST_STEPS * RXO_RATE_RAISE_NS);
	assert_in_range(r.bytes_per_s, low * 19 / 10, low * 2 + 100);
	for (i = 0; i < 20000 && r.bytes_per_s; i++)
		rxo_rate_may_send(&r, now += RXO_RATE_RAISE_NS);
	assert_int_equal(r.bytes_per_s, 0);
}

/* Told after a pause, with nothing sent lately. */
static void never_below_the_least(void **state)
{
	struct rxo_rate r;
	u64 now = 1000 * MS;
	int i;

	(void)state;
	rxo_rate_init(&r);
	rxo_rate_cut(&r, now);
	for (i = 0; i < 8; i++) {
		assert_in_range(r.bytes_per_s, RXO_RATE_MIN_BYTES_PER_S,
				100 * RXO_RATE_MIN_BYTES_PER_S);
		rxo_rate_may_send(&r, now += RXO_RATE_RAISE_NS);
	}
}

/* Whatever happens, and however long nothing does: a rate in its bounds, a credit that is no burst. */
static void bounds(void **state)
{
	struct rxo_rate r;
	u64 now = 1;
	int i;

	(void)state;
	srand(1);
	rxo_rate_init(&r);
	for (i = 0; i < 1000000; i++) {
		now += rand() % 1000 ? (u64)rand() % 100000 : (u64)rand() * 1000;
		if (rand() % 100 == 0)
			rxo_rate_cut(&r, now);
		if (rxo_rate_may_send(&r, now))
			rxo_rate_charge(&r, rand() % 5000, now);
		if (!r.bytes_per_s)
			continue;
		assert_in_range(r.bytes_per_s, RXO_RATE_MIN_BYTES_PER_S, RXO_RATE_MAX_BYTES_PER_S);
		assert_in_range(r.alpha, 0, RXO_RATE_ALPHA_ONE);
		assert_true(r.credit_bytes >= -5000 &&
			    r.credit_bytes <= (s64)(RXO_RATE_MAX_BYTES_PER_S / 50));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rate_at_first),	 cmocka_unit_test(half_of_what_was_sent),
		cmocka_unit_test(keeps_to_it),		 cmocka_unit_test(rises_again),
		cmocka_unit_test(never_below_the_least), cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
