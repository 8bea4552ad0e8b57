/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What a client of odpfs and its server say to each other: fixed sizes, little endian. */
#ifndef EXAMPLES_ODPFS_H
#define EXAMPLES_ODPFS_H

#include <stdint.h>

#define PORT	   "18600"
#define MAGIC	   0x3166706fU
#define NAME_BYTES 112

enum { OPEN_TO_READ = 1, OPEN_TO_WRITE, SYNC };

/* A connection has one file; opening another closes it. */
struct request {
	uint32_t magic;
	uint32_t op;
	uint64_t bytes; /* OPEN_TO_WRITE: how long the file is from now on */
	char name[NAME_BYTES];
};

struct reply {
	uint32_t error; /* Linux's errno, or 0 */
	uint32_t rkey;
	uint64_t address;
	uint64_t bytes;
};

/* odpfs_client.c: "get", "put", "verify" and "randread" with their arguments; what main() returns. */
int client(int argc, char **argv);

#endif
