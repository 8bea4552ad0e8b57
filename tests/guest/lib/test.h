/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The frame of a guest test: a program about one behaviour, made of a few cmocka tests.
 *
 * It ends with 0 (passed), 1 (failed) or 77 (something was skipped; the reason was printed). A program that hangs is
 * ended by an alarm after TEST_LIMIT_S seconds, which is no timing assertion but a bound on patience.
 *
 * cmocka leaves a failed test by longjmp: its assertions belong in the thread that runs the test. Other threads
 * and child processes report by return values.
 */
#ifndef TESTS_GUEST_TEST_H
#define TESTS_GUEST_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <setjmp.h>
#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define KIB 1024UL
#define MIB (1024UL * KIB)
#define GIB (1024UL * MIB)
#define TIB (1024UL * GIB)

/* Runs the tests; what main() returns. */
int test_run(const struct CMUnitTest *tests, size_t count);

/* clang-format knows no macro that is an initialiser. */
/* clang-format off */
#define TEST_MAIN(...)							\
	int main(void)							\
	{								\
		const struct CMUnitTest tests[] = { __VA_ARGS__ };	\
									\
		return test_run(tests, ARRAY_SIZE(tests));		\
	}

#define TEST(fn) { #fn, fn, NULL, NULL, NULL }

/* One test twice, with pinned and with on-demand-paging registrations: the test asks mode(state). */
#define TEST_PINNED(fn) { #fn " (pinned)", fn, NULL, NULL, NULL }
#define TEST_ODP(fn) { #fn " (odp)", fn, NULL, NULL, (void *)(uintptr_t)1 }
/* clang-format on */

#define TEST_BOTH(fn) TEST_PINNED(fn), TEST_ODP(fn)

/* Ends the running test as skipped and says why. */
void skip_because(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Ends the running test as failed and says why, with the place of the caller. */
void fail_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define fail_because(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* assert_zero(call): for calls that return 0 or an errno or -1 with errno. */
/* clang-format off */
#define assert_zero(call)						\
	do {								\
		errno = 0;						\
		int _rc = (call);					\
									\
		if (_rc)						\
			fail_because("%s: returned %d, errno %d (%s)",	\
				     #call, _rc, errno, strerror(errno)); \
	} while (0)
/* clang-format on */

/* Monotonic seconds, for bounds and reports. */
double seconds(void);

/* The first integer of a file such as /proc/sys/...; fallback if it cannot be read. */
long read_number(const char *path, long fallback);

/* The first line of a file; fails the test where there is none. */
void read_text(const char *path, char *text, int bytes);

/* Writes text to a file: 0 or -errno. */
int write_text(const char *path, const char *text);

/* A field of /proc/self/smaps, such as "Swap", of the mapping that holds addr. */
long smaps_kb(const void *addr, const char *field);

/* An unsigned number from the environment. */
unsigned long env_number(const char *name, unsigned long fallback);

/* True in a User Mode Linux, which is instrumented and slow: tests take less data there. */
bool slow_kernel(void);

/* True where the CPU is emulated, but for the long set: what is only done again and again, and on uml too, is done less often. */
bool emulated_cpu(void);

/* Either of the two. */
bool slow_cpu(void);

#endif
