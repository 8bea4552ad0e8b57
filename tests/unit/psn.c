// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* PSN arithmetic against a model that never wraps: positions in an endless sequence. */
#include "unit.h"

#include "wire/psn.h"

#define SPACE (1LL << 24)

static const s64 positions[] = {
	0,	  1,	     2,		0x7ffffe,  0x7fffff,  0x800000,	 0x800001,     0xfffffe,
	0xffffff, 0x1000000, 0x1000001, 0x17fffff, 0x1800000, 0x2345678, 0x7fffffffff,
};

static void check_pair(s64 a, s64 b)
{
	s64 distance = a - b;

	if (distance >= SPACE / 2 || distance < -SPACE / 2)
		return;
	assert_int_equal(rxo_psn_cmp(a % SPACE, b % SPACE), distance);
	if (distance >= 0) {
		assert_int_equal(rxo_psn_sub(a % SPACE, b % SPACE), distance);
		assert_int_equal(rxo_psn_add(b % SPACE, distance), a % SPACE);
	}
}

static void edges(void **state)
{
	static const s64 distances[] = {
		0, 1, 2, 127, 0x7ffffe, 0x7fffff,
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(positions) / sizeof(*positions); i++) {
		for (j = 0; j < sizeof(distances) / sizeof(*distances); j++) {
			check_pair(positions[i] + distances[j], positions[i]);
			check_pair(positions[i], positions[i] + distances[j]);
		}
		for (j = 0; j < sizeof(positions) / sizeof(*positions); j++)
			check_pair(positions[i], positions[j]);
	}
}

static void random_pairs(void **state)
{
	u64 seed = 1;
	int i;

	(void)state;
	for (i = 0; i < 1000000; i++) {
		s64 a = unit_random(&seed) >> 24;

		check_pair(a, a + (s64)(unit_random(&seed) % SPACE) - SPACE / 2);
	}
}

/* Half the space apart neither is later by the rule; both must agree on one sign. */
static void opposite(void **state)
{
	(void)state;
	assert_true(rxo_psn_cmp(0x800000, 0) < 0);
	assert_true(rxo_psn_cmp(0, 0x800000) < 0);
}

/* Bits above the 24 do not count: a PSN that user space set may have them. */
static void high_bits(void **state)
{
	(void)state;
	assert_int_equal(rxo_psn_cmp(0xab000005, 0xcd000003), 2);
	assert_int_equal(rxo_psn_add(0xffffffff, 1), 0);
	assert_int_equal(rxo_psn_add(0xff000001, 2), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(random_pairs),
		cmocka_unit_test(opposite),
		cmocka_unit_test(high_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
