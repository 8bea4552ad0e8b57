// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The ICRC: right for packets that another implementation sent and accepted;
 * blind to what routers change, and to nothing else.
 */
#include "unit.h"

#include <linux/crc32.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/crc.h"
#include "wire/icrc.h"
#include "icrc_packets.h"

#define NUM	  (sizeof(packets) / sizeof(*packets))
#define MAX_BYTES 1200

struct packet {
	u8 bytes[MAX_BYTES];
	u32 num; /* with the ICRC */
	u32 ip_bytes;
};

static void load(struct packet *p, const char *hex)
{
	unsigned int byte;

	for (p->num = 0; hex[2 * p->num]; p->num++) {
		assert_true(p->num < MAX_BYTES);
		assert_int_equal(sscanf(hex + 2 * p->num, "%2x", &byte), 1);
		p->bytes[p->num] = byte;
	}
	p->ip_bytes = p->bytes[0] >> 4 == 4 ? 20 : 40;
	assert_true(p->num >= p->ip_bytes + 8 + 12 + 4);
}

static u32 carried(const struct packet *p)
{
	const u8 *b = p->bytes + p->num - 4;

	return b[0] | b[1] << 8 | b[2] << 16 | (u32)b[3] << 24;
}

/* In memory that ends with the pad, so that a read past it is seen. */
static u32 computed(const struct packet *p)
{
	u8 *copy = malloc(p->num - 4);
	u32 icrc;

	assert_non_null(copy);
	memcpy(copy, p->bytes, p->num - 4);
	icrc = rxo_icrc(copy, p->ip_bytes, p->num - 4 - p->ip_bytes - 8);
	free(copy);
	return icrc;
}

/* The CRC of "123456789" is the check value that catalogues of CRCs give. */
static void crc_itself(void **state)
{
	(void)state;
	assert_int_equal(~crc32_le(~0U, "123456789", 9), 0xcbf43926);
}

/* By sixteen tables, whatever length and alignment, in one piece and in two: as bit by bit. */
static void sliced(void **state)
{
	u8 *data = malloc(200);
	size_t from, bytes, i;

	(void)state;
	assert_non_null(data);
	for (i = 0; i < 200; i++)
		data[i] = i * 89 ^ i >> 3;
	for (from = 0; from < 20; from++) {
		for (bytes = 0; bytes <= 200 - from; bytes++) {
			u32 want = crc32_le(0x1234567, data + from, bytes), got;

			assert_int_equal(rxo_crc32_sliced(0x1234567, data + from, bytes), want);
			got = rxo_crc32_sliced(0x1234567, data + from, bytes / 3);
			got = rxo_crc32_sliced(got, data + from + bytes / 3, bytes - bytes / 3);
			assert_int_equal(got, want);
		}
	}
	free(data);
}

static int make_tables(void **state)
{
	(void)state;
	rxo_crc_init();
	return 0;
}

static void captured(void **state)
{
	struct packet p;
	size_t i;

	(void)state;
	assert_true(NUM > 0);
	for (i = 0; i < NUM; i++) {
		load(&p, packets[i].hex);
		if (computed(&p) != carried(&p))
			fail_msg("%s: %08x, but the packet has %08x", packets[i].what, computed(&p),
				 carried(&p));
	}
}

/* Bits that a router may change, by their byte. */
static u8 variant_bits(const struct packet *p, u32 byte)
{
	u32 udp = p->ip_bytes;

	if (p->ip_bytes == 20 && (byte == 1 || byte == 8 || byte == 10 || byte == 11))
		return 0xff;
	if (p->ip_bytes == 40 && byte == 0)
		return 0x0f;
	if (p->ip_bytes == 40 && ((byte >= 1 && byte <= 3) || byte == 7))
		return 0xff;
	if (byte == udp + 6 || byte == udp + 7 || byte == udp + 8 + 4)
		return 0xff;
	return 0;
}

static void every_bit(void **state)
{
	struct packet p;
	u32 byte, bit;
	size_t i;

	(void)state;
	for (i = 0; i < NUM; i++) {
		load(&p, packets[i].hex);
		if (p.num > 200)
			continue;
		for (byte = 0; byte < p.num - 4; byte++) {
			for (bit = 0; bit < 8; bit++) {
				bool variant = variant_bits(&p, byte) & 1 << bit;

				p.bytes[byte] ^= 1 << bit;
				assert_int_equal(computed(&p) == carried(&p), variant);
				p.bytes[byte] ^= 1 << bit;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_itself),
		cmocka_unit_test(sliced),
		cmocka_unit_test(captured),
		cmocka_unit_test(every_bit),
	};

	return cmocka_run_group_tests(tests, make_tables, NULL);
}
