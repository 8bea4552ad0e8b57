// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The send window: begins small, doubles, halves once for what is lost together, grows by one then, keeps its bounds. */
#include "unit.h"

#include <stdlib.h>

#include "transport/window.h"

/* Acknowledges whole windows from @psn on; the PSN behind them. */
static u32 windows(struct rxo_window *w, u32 psn, int num)
{
	while (num--) {
		u32 pkts = w->pkts;

		psn = rxo_psn_add(psn, pkts);
		rxo_window_acked(w, pkts, psn);
	}
	return psn;
}

static void begins_small_and_doubles(void **state)
{
	struct rxo_window w;
	u32 psn = 0xfffff0, pkts;

	(void)state;
	rxo_window_init(&w);
	assert_int_equal(w.pkts, RXO_WINDOW_FIRST_PKTS);
	for (pkts = RXO_WINDOW_FIRST_PKTS; pkts < RXO_WINDOW_MAX_PKTS; pkts *= 2) {
		assert_int_equal(w.pkts, pkts);
		psn = windows(&w, psn, 1);
	}
	assert_int_equal(w.pkts, RXO_WINDOW_MAX_PKTS);
	windows(&w, psn, 3);
	assert_int_equal(w.pkts, RXO_WINDOW_MAX_PKTS);
}

static void halves_once_for_a_window(void **state)
{
	struct rxo_window w;
	u32 psn;

	(void)state;
	rxo_window_init(&w);
	psn = windows(&w, 0xffff00, 5);
	rxo_window_lost(&w, psn, rxo_psn_add(psn, 128));
	assert_int_equal(w.pkts, 64);
	/* Another of the same window, and the same again. */
	rxo_window_lost(&w, rxo_psn_add(psn, 100), rxo_psn_add(psn, 128));
	rxo_window_lost(&w, rxo_psn_add(psn, 100), rxo_psn_add(psn, 128));
	assert_int_equal(w.pkts, 64);
	/* All of it has arrived: what is lost from here on is lost anew. */
	rxo_window_acked(&w, 28, rxo_psn_add(psn, 128));
	rxo_window_lost(&w, rxo_psn_add(psn, 128), rxo_psn_add(psn, 192));
	assert_int_equal(w.pkts, 32);
}

static void grows_by_one_after_a_loss(void **state)
{
	struct rxo_window w;
	u32 psn;

	(void)state;
	rxo_window_init(&w);
	psn = windows(&w, 0, 5);
	rxo_window_lost(&w, psn, rxo_psn_add(psn, 128));
	psn = windows(&w, psn, 1);
	assert_int_equal(w.pkts, 65);
	windows(&w, psn, 63);
	assert_int_equal(w.pkts, RXO_WINDOW_MAX_PKTS);
}

static void what_fits(void **state)
{
	struct rxo_window w;

	(void)state;
	rxo_window_init(&w);
	rxo_window_shrink(&w, 100);
	assert_int_equal(w.pkts, RXO_WINDOW_FIRST_PKTS);
	rxo_window_shrink(&w, 7);
	assert_int_equal(w.pkts, 7);
	rxo_window_shrink(&w, 0);
	assert_int_equal(w.pkts, RXO_WINDOW_MIN_PKTS);
}

/* Whatever happens, it keeps its bounds, and asks at least once for a window. */
static void bounds(void **state)
{
	struct rxo_window w;
	u32 psn = 0, num;
	int i;

	(void)state;
	srand(1);
	rxo_window_init(&w);
	for (i = 0; i < 1000000; i++) {
		num = rand() % 64;
		switch (rand() % 8) {
		case 0:
			rxo_window_lost(&w, psn, rxo_psn_add(psn, num));
			break;
		case 1:
			rxo_window_shrink(&w, num);
			break;
		default:
			psn = rxo_psn_add(psn, num);
			rxo_window_acked(&w, num, psn);
		}
		assert_in_range(w.pkts, RXO_WINDOW_MIN_PKTS, RXO_WINDOW_MAX_PKTS);
		assert_in_range(rxo_window_ask_pkts(&w), 1, w.pkts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_small_and_doubles),
		cmocka_unit_test(halves_once_for_a_window),
		cmocka_unit_test(grows_by_one_after_a_loss),
		cmocka_unit_test(what_fits),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
