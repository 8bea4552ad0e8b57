// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "pattern.h"

/* splitmix64's mixer: eight bytes of the pattern at a time. */
static uint64_t pattern_word(uint32_t seed, size_t word)
{
	uint64_t x = ((uint64_t)seed << 40) + word + 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint8_t pattern_byte(uint32_t seed, size_t pos)
{
	return pattern_word(seed, pos / 8) >> (pos % 8 * 8);
}

void pattern_fill(void *addr, size_t bytes, uint32_t seed, size_t first)
{
	uint8_t *p = addr;
	size_t i = 0;

	while (i < bytes) {
		size_t pos = first + i;

		if (pos % 8 == 0 && bytes - i >= 8) {
			uint64_t w = pattern_word(seed, pos / 8);

			memcpy(p + i, &w, 8);
			i += 8;
		} else {
			p[i++] = pattern_byte(seed, pos);
		}
	}
}

static size_t wrong_bytes(const uint8_t *p, size_t bytes, uint32_t seed, size_t first,
			  size_t *where)
{
	size_t wrong = 0, i = 0;

	while (i < bytes) {
		size_t pos = first + i;
		uint64_t w;

		if (pos % 8 == 0 && bytes - i >= 8) {
			w = pattern_word(seed, pos / 8);
			if (!memcmp(p + i, &w, 8)) {
				i += 8;
				continue;
			}
		}
		if (p[i] != pattern_byte(seed, pos) && !wrong++)
			*where = i;
		i++;
	}
	return wrong;
}

int pattern_differs(const void *addr, size_t bytes, uint32_t seed, size_t first, const char *what)
{
	const uint8_t *p = addr;
	size_t where = 0;
	size_t wrong = wrong_bytes(p, bytes, seed, first, &where);

	if (!wrong)
		return 0;
	printf("FAIL: %s: %zu of %zu bytes wrong, first at %zu (in page %#lx): %02x, not %02x\n",
	       what, wrong, bytes, where, (unsigned long)(p + where) & 4095, p[where],
	       pattern_byte(seed, first + where));
	return -1;
}

void pattern_check_at(const char *file, int line, const void *addr, size_t bytes, uint32_t seed,
		      size_t first, const char *what)
{
	if (pattern_differs(addr, bytes, seed, first, what))
		fail_at(file, line, "%s: wrong data", what);
}
