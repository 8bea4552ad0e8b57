// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Ring arithmetic against a queue that counts without wrapping. */
#include "unit.h"

#include "queue/ring.h"

static void shapes(void **state)
{
	u32 num, bytes, mask, shift;

	(void)state;
	for (num = 1; num < 5000; num++) {
		for (bytes = 1; bytes <= 4096; bytes = bytes * 3 / 2 + 1) {
			assert_true(rxo_ring_shape(num, bytes, &mask, &shift));
			/* Holds what was asked for, in a power of two, and not twice that. */
			assert_true(mask >= num);
			assert_int_equal(mask & (mask + 1), 0);
			assert_true(mask / 2 < num);
			assert_true(1U << shift >= bytes);
			assert_true(shift == 0 || 1U << (shift - 1) < bytes);
			assert_int_equal(rxo_ring_bytes(mask, shift), (u64)(mask + 1) << shift);
		}
	}
}

static void shape_bounds(void **state)
{
	u32 mask, shift;

	(void)state;
	assert_false(rxo_ring_shape(0, 64, &mask, &shift));
	assert_false(rxo_ring_shape(64, 0, &mask, &shift));
	assert_false(rxo_ring_shape(UINT32_MAX, 64, &mask, &shift));
	assert_false(rxo_ring_shape(64, UINT32_MAX, &mask, &shift));
	assert_false(rxo_ring_shape(RXO_RING_MAX_ENTRIES, 64, &mask, &shift));
	assert_false(rxo_ring_shape(64, RXO_RING_MAX_ELEM_BYTES + 1, &mask, &shift));

	assert_false(
		rxo_ring_shape(RXO_RING_MAX_ENTRIES - 1, RXO_RING_MAX_ELEM_BYTES, &mask, &shift));

	/* The largest CQ, 4 Mi and one free entry; the largest of each, as many of the other as the bytes allow. */
	assert_true(rxo_ring_shape(4194304, 64, &mask, &shift));
	assert_int_equal(mask, RXO_RING_MAX_ENTRIES - 1);
	assert_int_equal(rxo_ring_bytes(mask, shift), 512ULL << 20);
	assert_true(rxo_ring_shape(RXO_RING_MAX_ENTRIES - 1, 256, &mask, &shift));
	assert_int_equal(rxo_ring_bytes(mask, shift), RXO_RING_MAX_BYTES);
	assert_false(rxo_ring_shape(RXO_RING_MAX_ENTRIES - 1, 257, &mask, &shift));
	assert_true(rxo_ring_shape(32767, RXO_RING_MAX_ELEM_BYTES, &mask, &shift));
	assert_int_equal(rxo_ring_bytes(mask, shift), RXO_RING_MAX_BYTES);
	assert_false(rxo_ring_shape(32768, RXO_RING_MAX_ELEM_BYTES, &mask, &shift));

	/* A million requests of 32 SGEs; the process is told the bytes, and a page before them, in 32 bits. */
	assert_true(rxo_ring_shape(1048576, 1024, &mask, &shift));
	assert_true(rxo_ring_bytes(mask, shift) + 4096 <= UINT32_MAX);
}

static void counting(void **state)
{
	u64 produced = 0, consumed = 0, seed = 2;
	u32 producer = 0, consumer = 0, mask = 15;
	int i;

	(void)state;
	for (i = 0; i < 1000000; i++) {
		if (unit_random(&seed) % 2) {
			if (rxo_ring_full(producer, consumer, mask)) {
				assert_int_equal(produced - consumed, mask);
			} else {
				producer = rxo_ring_add(producer, 1, mask);
				produced++;
			}
		} else if (rxo_ring_count(producer, consumer, mask)) {
			consumer = rxo_ring_add(consumer, 1, mask);
			consumed++;
		}
		assert_int_equal(rxo_ring_count(producer, consumer, mask), produced - consumed);
		assert_int_equal(producer, produced % (mask + 1));
		assert_int_equal(consumer, consumed % (mask + 1));
	}
}

/* Whatever user space writes, the count stays within the ring and offsets inside it. */
static void hostile(void **state)
{
	u64 seed = 3;
	int i;

	(void)state;
	for (i = 0; i < 1000000; i++) {
		u32 shift = unit_random(&seed) % 17;
		u32 mask = (1U << (1 + unit_random(&seed) % 23)) - 1;
		u32 a = unit_random(&seed), b = unit_random(&seed);

		assert_true(rxo_ring_count(a, b, mask) <= mask);
		assert_true(rxo_ring_offset(a, mask, shift) + (1UL << shift) <=
			    rxo_ring_bytes(mask, shift));
		assert_true(rxo_ring_add(a, b, mask) <= mask);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(shape_bounds),
		cmocka_unit_test(counting),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
