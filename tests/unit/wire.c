// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The opcode table against the specification, written down here a second time
 * as table 38 of IBTA 9.2 prints it, and the parser against every packet length
 * and against random bytes.
 */
#include "unit.h"

#include <stdlib.h>

#include "wire/pkt.h"

/*
 * Extension headers, one letter each: (X)RCETH, (D)ETH, (R)ETH, (A)ETH, A(t)omicETH,
 * AtomicAc(K)ETH, (I)mmDt, IET(H), (F)ETH; what a (C)NP reserves.
 */
static const struct row {
	u8 opcode;
	const char *headers;
	bool payload;
	u32 flags;
} rows[] = {
	{ 0x00, "", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_START | RXO_OP_RECV },
	{ 0x01, "", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_MIDDLE | RXO_OP_RECV },
	{ 0x02, "", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0x03, "I", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0x04, "", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x05, "I", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x06, "R", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_START },
	{ 0x07, "", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_MIDDLE },
	{ 0x08, "", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_END },
	{ 0x09, "I", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_END | RXO_OP_RECV },
	{ 0x0a, "R", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_ONLY },
	{ 0x0b, "RI", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x0c, "R", false, RXO_OP_RC | RXO_OP_REQ | RXO_OP_READ | RXO_OP_ONLY },
	{ 0x0d, "A", true, RXO_OP_RC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_START },
	{ 0x0e, "", true, RXO_OP_RC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_MIDDLE },
	{ 0x0f, "A", true, RXO_OP_RC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_END },
	{ 0x10, "A", true, RXO_OP_RC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_ONLY },
	{ 0x11, "A", false, RXO_OP_RC | RXO_OP_ACK | RXO_OP_ONLY },
	{ 0x12, "AK", false, RXO_OP_RC | RXO_OP_ACK | RXO_OP_ATOMIC_ACK | RXO_OP_ONLY },
	{ 0x13, "t", false, RXO_OP_RC | RXO_OP_REQ | RXO_OP_ATOMIC | RXO_OP_ONLY },
	{ 0x14, "t", false, RXO_OP_RC | RXO_OP_REQ | RXO_OP_ATOMIC | RXO_OP_ONLY },
	{ 0x16, "H", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0x17, "H", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x1c, "FR", false, RXO_OP_RC | RXO_OP_REQ | RXO_OP_FLUSH | RXO_OP_ONLY },
	{ 0x1d, "R", true, RXO_OP_RC | RXO_OP_REQ | RXO_OP_ATOMIC_WRITE | RXO_OP_ONLY },
	{ 0x20, "", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_START | RXO_OP_RECV },
	{ 0x21, "", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_MIDDLE | RXO_OP_RECV },
	{ 0x22, "", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0x23, "I", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0x24, "", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x25, "I", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x26, "R", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_START },
	{ 0x27, "", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_MIDDLE },
	{ 0x28, "", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_END },
	{ 0x29, "I", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_END | RXO_OP_RECV },
	{ 0x2a, "R", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_ONLY },
	{ 0x2b, "RI", true, RXO_OP_UC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x64, "D", true, RXO_OP_UD | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x65, "DI", true, RXO_OP_UD | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0x81, "C", false, RXO_OP_RC | RXO_OP_UC | RXO_OP_XRC | RXO_OP_CNP },
	{ 0xa0, "X", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_START | RXO_OP_RECV },
	{ 0xa1, "X", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_MIDDLE | RXO_OP_RECV },
	{ 0xa2, "X", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0xa3, "XI", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0xa4, "X", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0xa5, "XI", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0xa6, "XR", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_START },
	{ 0xa7, "X", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_MIDDLE },
	{ 0xa8, "X", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_END },
	{ 0xa9, "XI", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_END | RXO_OP_RECV },
	{ 0xaa, "XR", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_ONLY },
	{ 0xab, "XRI", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_WRITE | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0xac, "XR", false, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_READ | RXO_OP_ONLY },
	{ 0xad, "A", true, RXO_OP_XRC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_START },
	{ 0xae, "", true, RXO_OP_XRC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_MIDDLE },
	{ 0xaf, "A", true, RXO_OP_XRC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_END },
	{ 0xb0, "A", true, RXO_OP_XRC | RXO_OP_ACK | RXO_OP_READ_RESP | RXO_OP_ONLY },
	{ 0xb1, "A", false, RXO_OP_XRC | RXO_OP_ACK | RXO_OP_ONLY },
	{ 0xb2, "AK", false, RXO_OP_XRC | RXO_OP_ACK | RXO_OP_ATOMIC_ACK | RXO_OP_ONLY },
	{ 0xb3, "Xt", false, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_ATOMIC | RXO_OP_ONLY },
	{ 0xb4, "Xt", false, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_ATOMIC | RXO_OP_ONLY },
	{ 0xb6, "XH", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_END | RXO_OP_RECV },
	{ 0xb7, "XH", true, RXO_OP_XRC | RXO_OP_REQ | RXO_OP_SEND | RXO_OP_ONLY | RXO_OP_RECV },
	{ 0xc0, "P", true, RXO_OP_RC | RXO_OP_PROBE },
};

static const struct row *row_of(u8 opcode)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].opcode == opcode)
			return &rows[i];
	return NULL;
}

static u32 header_bytes(char header)
{
	switch (header) {
	case 'D':
		return 8;
	case 'C':
	case 'P':
	case 'R':
		return 16;
	case 't':
		return 28;
	case 'K':
		return 8;
	default:
		return 4;
	}
}

/* 0 if the row has no such header. */
static u32 offset_of(const struct row *row, char header)
{
	const char *h;
	u32 offset = 12;

	for (h = row->headers; *h; h++) {
		if (*h == header)
			return offset;
		offset += header_bytes(*h);
	}
	return header ? 0 : offset;
}

static void table(void **state)
{
	int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		const struct rxo_opcode_info *info = &rxo_opcodes[opcode];
		const u32 headers = RXO_OP_DETH | RXO_OP_RETH | RXO_OP_AETH | RXO_OP_ATOMIC_ETH |
				    RXO_OP_ATOMIC_ACK_ETH | RXO_OP_IMM | RXO_OP_IETH | RXO_OP_FETH |
				    RXO_OP_XRCETH;
		const struct row *row = row_of(opcode);

		if (!row) {
			static const struct rxo_opcode_info none;

			assert_memory_equal(info, &none, sizeof(none));
			continue;
		}
		assert_int_equal(info->hdr_bytes, offset_of(row, 0));
		assert_int_equal(info->xrceth, offset_of(row, 'X'));
		assert_int_equal(info->deth, offset_of(row, 'D'));
		assert_int_equal(info->reth, offset_of(row, 'R'));
		assert_int_equal(info->aeth, offset_of(row, 'A'));
		assert_int_equal(info->atomic_eth, offset_of(row, 't'));
		assert_int_equal(info->atomic_ack_eth, offset_of(row, 'K'));
		assert_int_equal(info->imm, offset_of(row, 'I'));
		assert_int_equal(info->ieth, offset_of(row, 'H'));
		assert_int_equal(info->feth, offset_of(row, 'F'));
		assert_int_equal(!!(info->flags & RXO_OP_XRCETH), !!info->xrceth);
		assert_int_equal(!!(info->flags & RXO_OP_DETH), !!info->deth);
		assert_int_equal(!!(info->flags & RXO_OP_RETH), !!info->reth);
		assert_int_equal(!!(info->flags & RXO_OP_AETH), !!info->aeth);
		assert_int_equal(!!(info->flags & RXO_OP_ATOMIC_ETH), !!info->atomic_eth);
		assert_int_equal(!!(info->flags & RXO_OP_ATOMIC_ACK_ETH), !!info->atomic_ack_eth);
		assert_int_equal(!!(info->flags & RXO_OP_IMM), !!info->imm);
		assert_int_equal(!!(info->flags & RXO_OP_IETH), !!info->ieth);
		assert_int_equal(!!(info->flags & RXO_OP_FETH), !!info->feth);
		assert_int_equal(!!(info->flags & RXO_OP_PAYLOAD), row->payload);
		assert_int_equal(info->flags & ~(headers | RXO_OP_PAYLOAD),
				 row->flags | RXO_OP_VALID);
		assert_true(info->hdr_bytes <= RXO_MAX_HDR_BYTES);
	}
}

static void offsets(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct rxo_bth, flags), 1);
	assert_int_equal(offsetof(struct rxo_bth, pkey), 2);
	assert_int_equal(offsetof(struct rxo_bth, qpn), 4);
	assert_int_equal(offsetof(struct rxo_bth, apsn), 8);
	assert_int_equal(offsetof(struct rxo_deth, sqp), 4);
	assert_int_equal(offsetof(struct rxo_reth, rkey), 8);
	assert_int_equal(offsetof(struct rxo_reth, len), 12);
	assert_int_equal(offsetof(struct rxo_atomic_eth, rkey), 8);
	assert_int_equal(offsetof(struct rxo_atomic_eth, swap_add), 12);
	assert_int_equal(offsetof(struct rxo_atomic_eth, comp), 20);
}

static void bth(void **state)
{
	static const u8 all[12] = { 0x05, 0xf0, 0xff, 0xff, 0x00, 0x12,
				    0x34, 0x56, 0x80, 0xab, 0xcd, 0xef };
	static const u8 none[12] = { 0x11, 0x40, 0x12, 0x34, 0x00, 0xff,
				     0xff, 0xff, 0x00, 0x00, 0x00, 0x01 };
	struct rxo_bth b;

	(void)state;
	rxo_bth_init(&b, 0x05, true, 3, 0xffff, 0xff123456, true, 0xffabcdef);
	assert_memory_equal(&b, all, sizeof(all));
	assert_int_equal(rxo_bth_pad(&b), 3);
	assert_true(rxo_bth_solicited(&b));
	assert_true(rxo_bth_ack_req(&b));
	assert_int_equal(rxo_bth_psns(&b), 1);
	rxo_bth_set_psns(&b, 112);
	assert_int_equal(rxo_bth_psns(&b), 112);
	assert_int_equal(rxo_bth_psn(&b), 0xabcdef);
	assert_true(rxo_bth_ack_req(&b));
	assert_int_equal(rxo_bth_qpn(&b), 0x123456);
	assert_int_equal(rxo_bth_psn(&b), 0xabcdef);

	rxo_bth_init(&b, 0x11, false, 0, 0x1234, 0xffffff, false, 1);
	assert_memory_equal(&b, none, sizeof(none));
	assert_int_equal(rxo_bth_pad(&b), 0);
	assert_false(rxo_bth_solicited(&b));
	assert_false(rxo_bth_ack_req(&b));
}

static void aeth(void **state)
{
	static const u8 bytes[4] = { 0x2e, 0x12, 0x34, 0x56 };
	struct rxo_aeth a;

	(void)state;
	rxo_aeth_init(&a, RXO_AETH_RNR | 14, 0x77123456);
	assert_memory_equal(&a, bytes, sizeof(bytes));
	assert_int_equal(rxo_aeth_syndrome(&a), 0x2e);
	assert_int_equal(rxo_aeth_msn(&a), 0x123456);
}

static void pads(void **state)
{
	u32 bytes;

	(void)state;
	for (bytes = 0; bytes < 5000; bytes++) {
		assert_true(rxo_pad(bytes) < 4);
		assert_int_equal((bytes + rxo_pad(bytes)) % 4, 0);
	}
}

/* What the parser must answer, in the words of the specification. */
static bool acceptable(const u8 *p, u32 bytes)
{
	const struct row *row;
	u32 rest;

	if (bytes < 12 || bytes > 65535 || bytes % 4 || (p[1] & 0x0f) != (p[0] == 0xc0 ? 0x0f : 0))
		return false;
	row = row_of(p[0]);
	if (!row || bytes < offset_of(row, 0))
		return false;
	rest = bytes - offset_of(row, 0);
	return row->payload ? rest >= ((p[1] >> 4) & 3u) : !rest && !((p[1] >> 4) & 3);
}

/* The copy is as long as the packet, so that a read past it is seen. */
static void check_parse(const u8 *from, u32 bytes)
{
	struct rxo_pkt pkt;
	u8 *p = malloc(bytes ?: 1);
	const struct row *row;

	assert_non_null(p);
	memcpy(p, from, bytes);
	if (!acceptable(p, bytes)) {
		assert_int_not_equal(rxo_pkt_parse(&pkt, p, bytes), 0);
		free(p);
		return;
	}
	assert_int_equal(rxo_pkt_parse(&pkt, p, bytes), 0);
	row = row_of(p[0]);
	assert_int_equal(pkt.opcode, p[0]);
	assert_int_equal(pkt.flags, rxo_opcodes[p[0]].flags);
	assert_int_equal(pkt.solicited, p[1] >> 7);
	assert_int_equal(pkt.pkey, p[2] << 8 | p[3]);
	assert_int_equal(pkt.qpn, p[5] << 16 | p[6] << 8 | p[7]);
	assert_int_equal(pkt.ack_req, p[8] >> 7);
	assert_int_equal(pkt.psn, p[9] << 16 | p[10] << 8 | p[11]);
	assert_int_equal(pkt.payload_off, offset_of(row, 0));
	assert_int_equal(pkt.payload_bytes, bytes - pkt.payload_off - ((p[1] >> 4) & 3));
	assert_int_equal(pkt.done_bytes, 0);
	free(p);
}

static void parse_every_length(void **state)
{
	u8 p[96];
	u32 opcode, flags, bytes;

	(void)state;
	memset(p, 0xa5, sizeof(p));
	for (opcode = 0; opcode < 256; opcode++) {
		for (flags = 0; flags < 256; flags++) {
			if ((flags & 0x0e) && (flags & 0x0f) != 0x0f)
				continue;
			for (bytes = 0; bytes <= sizeof(p); bytes++) {
				p[0] = opcode;
				p[1] = flags;
				check_parse(p, bytes);
			}
		}
	}
}

static void parse_random(void **state)
{
	u64 seed = 4;
	int i;

	(void)state;
	for (i = 0; i < 300000; i++) {
		u32 bytes = unit_random(&seed) % 65, j;
		u8 p[72];

		for (j = 0; j < sizeof(p); j += 8) {
			u64 r = unit_random(&seed);

			memcpy(p + j, &r, 8);
		}
		p[0] = rows[unit_random(&seed) % (sizeof(rows) / sizeof(*rows))].opcode;
		if (unit_random(&seed) % 8)
			p[1] = (p[1] & 0xf0) | (p[0] == 0xc0 ? 0x0f : 0);
		check_parse(p, bytes);
	}
}

static void parse_too_long(void **state)
{
	struct rxo_pkt pkt;
	u8 *p = calloc(1, 65540);

	(void)state;
	assert_non_null(p);
	p[0] = 0x04;
	assert_int_equal(rxo_pkt_parse(&pkt, p, 65532), 0);
	assert_int_equal(pkt.payload_bytes, 65520);
	assert_int_not_equal(rxo_pkt_parse(&pkt, p, 65536), 0);
	free(p);
}

static void accessors(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		u8 bytes[64] = { row->opcode };

		if (strchr(row->headers, 'D'))
			assert_ptr_equal(rxo_bth_deth(bytes), bytes + offset_of(row, 'D'));
		if (strchr(row->headers, 'R'))
			assert_ptr_equal(rxo_bth_reth(bytes), bytes + offset_of(row, 'R'));
		if (strchr(row->headers, 'A'))
			assert_ptr_equal(rxo_bth_aeth(bytes), bytes + offset_of(row, 'A'));
		if (strchr(row->headers, 't'))
			assert_ptr_equal(rxo_bth_atomic_eth(bytes), bytes + offset_of(row, 't'));
		if (strchr(row->headers, 'K'))
			assert_ptr_equal(rxo_bth_atomic_ack_eth(bytes),
					 bytes + offset_of(row, 'K'));
		if (strchr(row->headers, 'I'))
			assert_ptr_equal(rxo_bth_imm(bytes), bytes + offset_of(row, 'I'));
		if (strchr(row->headers, 'H'))
			assert_ptr_equal(rxo_bth_ieth(bytes), bytes + offset_of(row, 'H'));
		if (strchr(row->headers, 'F'))
			assert_ptr_equal(rxo_bth_feth(bytes), bytes + offset_of(row, 'F'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),	cmocka_unit_test(offsets),
		cmocka_unit_test(bth),		cmocka_unit_test(aeth),
		cmocka_unit_test(pads),		cmocka_unit_test(parse_every_length),
		cmocka_unit_test(parse_random), cmocka_unit_test(parse_too_long),
		cmocka_unit_test(accessors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
