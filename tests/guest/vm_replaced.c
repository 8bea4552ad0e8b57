// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What is mapped over is gone: where a mapping replaces another, and with it whole page tables, in one system call that also
 * populates a part, no page of the old one can be reached.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

/* What one table of the last level maps. */
#define TABLE (2 * MIB)
#define PAGE  (4 * KIB)

static sigjmp_buf fault;

static void on_bus(int sig)
{
	siglongjmp(fault, sig);
}

static bool readable(const volatile char *p)
{
	if (sigsetjmp(fault, 1))
		return false;
	(void)*p;
	return true;
}

static char *map(char *at, size_t len, int flags, int fd)
{
	char *p = mmap(at, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	assert_ptr_equal(p, at);
	return p;
}

static size_t count_readable(const char *from, const char *end)
{
	sighandler_t before = signal(SIGBUS, on_bus);
	size_t n = 0;

	for (; from < end; from += PAGE)
		n += readable(from);
	signal(SIGBUS, before);
	return n;
}

/* The file has one page, which is populated; behind its end there is nothing. */
static void replace(char *at)
{
	int fd = memfd_create("replaced", 0);

	assert_true(fd >= 0);
	assert_zero(ftruncate(fd, PAGE));
	memset(map(at, TABLE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1), 0xaa, TABLE);
	map(at, TABLE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd);
	assert_int_equal(at[0], 0);
	assert_int_equal(count_readable(at + PAGE, at + TABLE), 0);
	assert_zero(munmap(at, TABLE));
	assert_zero(close(fd));
}

/* Two levels of tables end. */
static void alone_in_a_gibibyte(void **state)
{
	(void)state;
	replace((char *)(64 * GIB));
}

static void alone_in_its_table(void **state)
{
	char *other = map((char *)(66 * GIB + GIB / 2), PAGE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1);

	(void)state;
	other[0] = 1;
	replace((char *)(66 * GIB));
	assert_zero(munmap(other, PAGE));
}

TEST_MAIN(TEST(alone_in_a_gibibyte), TEST(alone_in_its_table))
