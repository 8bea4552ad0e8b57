/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A page that does not come, and who must not wait for it. The owner of the memory is a process of its own, its device is
 * hang0 in the network namespace "hang". A peer's request for its memory hangs in a fault, and then the owner maps
 * other memory, deregisters, exits, is killed, or its device or namespace goes: each must return. The kinds of hanging are the
 * programs'.
 *
 * What waits is a child of the test, so a test that fails goes on: its teardown lets the page come.
 */
#ifndef TESTS_GUEST_HANG_H
#define TESTS_GUEST_HANG_H

#include "pair.h"

#define HANG_BYTES (4 * PAGE)

struct hang {
	bool read; /* the peer reads, and must find pattern read_seed; else it writes */
	uint32_t read_seed;
	/* In the test's process, before the owner begins, and when all is over. */
	void (*begin)(void);
	void (*end)(void);
	/* In the owner: maps HANG_BYTES. A file that the test needs as well goes to *fd. */
	uint8_t *(*map)(int *fd);
	/* In the test's process: nothing comes from now on; waits until something hangs; lets it come. */
	void (*stop)(void);
	void (*await)(void);
	void (*release)(void);
	/* Has the peer's write reached what is behind the memory? */
	void (*check)(uint32_t seed);
};

/* A peer's write to a file of FUSE that is read ahead. */
extern const struct hang hang_fuse_ahead;
/* Its read of one whose pages are read by who needs them, who cannot be killed once the server has seen the request. */
extern const struct hang hang_fuse_at_once;

/* The copy of the owner's *fd, and where its memory is. */
int hang_fd(void);
uint8_t *hang_addr(void);
/* Waits until the peer of hang0 was told to come again, because a fault takes too long. */
void hang_await_rnr(void);

int hang_setup(void **state);
int hang_teardown(void **state);
/* The namespace, its device and the owner are there, the request is posted, and hangs. */
void hang_begin(const struct hang *hang);
void hang_owner_exits(void);
void hang_link_del(void);
/* Runs a command, which must return. */
void hang_run(const char *command);
/* A condition of the shell that must come true. */
void hang_until(const char *condition);

/* Tests. */
void other_memory_is_mapped(void **state);
void deregisters(void **state);
void exits(void **state);
void is_killed(void **state);
void link_goes(void **state);
void namespace_goes(void **state);
void page_comes(void **state);

/* clang-format off */
#define HANG_TEST(fn, kind)						\
	{ #fn " (" #kind ")", fn, hang_setup, hang_teardown, (void *)&(kind) }
/* clang-format on */

#endif
