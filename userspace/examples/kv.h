/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What a client of kv finds in the server's memory. The server changes it while clients read: what is read may be half old and half
 * new, moved, or freed and used for something else. So everything has a checksum over all that it says, and a sequence number
 * that no other has had.
 */
#ifndef EXAMPLES_KV_H
#define EXAMPLES_KV_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "both ends use these structures as they are");

#define PORT	     "18601"
#define MAGIC	     0x31766b31U
#define KEY_BYTES    64
#define VALUE_BYTES  8192
#define BUCKET_SLOTS 4

/* Told with the connection: a key for all of the server's memory, and where the root is. */
struct welcome {
	uint32_t magic;
	uint32_t rkey;
	uint64_t root;
};

/* Where the buckets are. They move when there are more of them. */
struct root {
	uint64_t buckets;
	uint32_t count; /* a power of two */
	uint32_t crc;
	uint64_t seq;
};

/* All zero: empty. */
struct slot {
	uint64_t hash;
	uint64_t record;
	uint64_t seq;	/* the record's */
	uint32_t bytes; /* of the record */
	uint32_t crc;
};

struct bucket {
	struct slot slots[BUCKET_SLOTS];
};

struct record {
	uint64_t seq;
	uint32_t key_bytes, value_bytes;
	uint32_t zero, crc;
	char data[]; /* the key, the value */
};

#define RECORD_BYTES (sizeof(struct record) + KEY_BYTES + VALUE_BYTES)

/* What a client sends. The answer is an errno, or 0, of 32 bits. */
enum { SET = 1, DELETE };

struct request {
	uint32_t op;
	uint32_t key_bytes, value_bytes;
	uint32_t zero;
	char data[]; /* as in a record */
};

#define REQUEST_BYTES (sizeof(struct request) + KEY_BYTES + VALUE_BYTES)

/* CRC-32, begun with ~0 and ended by ~. */
static inline uint32_t crc_step(uint32_t crc, const void *bytes, size_t n)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = bytes;

	while (n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return crc;
}

/* Of an object without its field of the CRC. */
static inline uint32_t crc_without(const void *object, size_t bytes, size_t field)
{
	uint32_t crc = crc_step(~0U, object, field);

	field += sizeof(uint32_t);
	return ~crc_step(crc, (const char *)object + field, bytes - field);
}

#define CRC_OF(object, bytes) crc_without(object, bytes, offsetof(typeof(*(object)), crc))

/* FNV-1a; never 0. */
static inline uint64_t hash_of(const char *key, size_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	while (bytes--)
		hash = (hash ^ (uint8_t)*key++) * 0x100000001b3ULL;
	return hash ?: 1;
}

/* kv_client.c: what main() returns. */
int client(int argc, char **argv);

#endif
