// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The corners of an address space: regions of many TiB, the last page of it, stacks that grow, and memory that is sealed, guarded or
 * protected by a key.
 */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#define MAP_ANYWHERE (MAP_PRIVATE | MAP_ANONYMOUS)

static void map_page_at(uint8_t *at)
{
	if (mmap(at, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_ANYWHERE | MAP_FIXED_NOREPLACE, -1,
		 0) != at)
		fail_because("no page at %p: errno %d", at, errno);
}

/* Space of so many bytes in which nothing is mapped. */
static uint8_t *unused_space(size_t bytes)
{
	uint8_t *at = mmap(NULL, bytes, PROT_NONE, MAP_ANYWHERE | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	munmap(at, bytes);
	return at;
}

/* Through the region into memory, and back; both for the first time. */
static void goes_in_and_out(int fd, uint8_t *at, size_t bytes, uint32_t seed)
{
	umem_fill(fd, at, bytes, seed);
	pattern_check(at, bytes, seed, 0, "written through the region");
	pattern_fill(at, bytes, seed + 1, 0);
	umem_check(fd, at, bytes, seed + 1);
}

static void is_refused(int fd, uint8_t *at)
{
	uint8_t byte = 1;

	assert_int_equal(umem_from(fd, at, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_to(fd, at, &byte, 1, 0, NULL), -EFAULT);
}

static void sixteen_tib(void **state)
{
	size_t bytes = 16 * TIB, at;
	uint8_t *space = unused_space(bytes);
	struct umem_selftest_stats st;
	int fd = umem_region(space, bytes), pages = 0;

	(void)state;
	assert_zero(umem_stats(fd).resident_pages);
	for (at = 0; at < bytes; at += TIB / 2 + 7 * PAGE_BYTES) {
		map_page_at(space + at);
		goes_in_and_out(fd, space + at, PAGE_BYTES, ++pages);
	}
	map_page_at(space + bytes - PAGE_BYTES);
	goes_in_and_out(fd, space + bytes - PAGE_BYTES, PAGE_BYTES, ++pages);
	is_refused(fd, space + PAGE_BYTES);
	is_refused(fd, space + 9 * TIB);
	is_refused(fd, space + bytes - PAGE_BYTES - 1);
	is_refused(fd, space + bytes);
	st = umem_stats(fd);
	assert_int_equal(st.resident_pages, pages);
	/* Each has a chunk, and a leaf with its entries; 16 TiB have nothing besides. */
	assert_in_range(st.table_bytes, pages * 2 * PAGE_BYTES, pages * 3 * PAGE_BYTES);
	assert_zero(munmap(space, bytes));
	assert_zero(umem_stats(fd).resident_pages);
	umem_close(fd);
}

/* The first address behind all that a process can map. Where something is mapped, there is room. */
static uint8_t *top_of_the_address_space(void)
{
	uintptr_t low = 0, high = 1UL << 57, at;
	void *map;

	while (high - low > PAGE_BYTES) {
		at = (low + (high - low) / 2) & ~(PAGE_BYTES - 1);
		map = mmap((void *)at, PAGE_BYTES, PROT_NONE, MAP_ANYWHERE | MAP_FIXED_NOREPLACE,
			   -1, 0);
		if (map == MAP_FAILED && errno != EEXIST) {
			high = at;
			continue;
		}
		if (map != MAP_FAILED)
			munmap(map, PAGE_BYTES);
		low = at;
	}
	return (uint8_t *)high;
}

static void the_last_page(void **state)
{
	uint8_t *top = top_of_the_address_space(), *last = top - PAGE_BYTES, byte = 0;
	int fd, large;
	bool ours;

	(void)state;
	print_message("the address space ends at %p\n", top);
	/* Something may lie there that is the kernel's choice, such as the stack: it can be read. */
	ours = mmap(last, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_ANYWHERE | MAP_FIXED_NOREPLACE,
		    -1, 0) == last;
	assert_true(ours || errno == EEXIST);
	fd = umem_region(last, PAGE_BYTES);
	large = umem_region(top - 5 * GIB, 5 * GIB);
	if (ours) {
		goes_in_and_out(fd, last, PAGE_BYTES, 1);
		umem_check(large, last, PAGE_BYTES, 2);
		assert_zero(madvise(last, PAGE_BYTES, MADV_DONTNEED));
		assert_zero(umem_stats(fd).resident_pages);
		assert_int_equal(umem_stats(large).invalidated_pages, 1);
		goes_in_and_out(large, last, PAGE_BYTES, 3);
	}
	assert_zero(umem_from(fd, top - 1, &byte, 1, 0, NULL));
	assert_int_equal(byte, top[-1]);
	assert_zero(umem_from(large, top - 1, &byte, 1, 0, NULL));
	is_refused(fd, top);
	is_refused(large, top);
	assert_int_equal(umem_from(large, top - 1, &byte, 2, 0, NULL), -EFAULT);
	umem_close(fd);
	umem_close(large);

	fd = umem_open();
	assert_int_equal(umem_create(fd, last, PAGE_BYTES + 1, 0), -EINVAL);
	assert_int_equal(umem_create(fd, top - 1, 2, 0), -EINVAL);
	assert_int_equal(umem_create(fd, top, 1, 0), -EINVAL);
	assert_int_equal(umem_create(fd, NULL, (size_t)top + 1, 0), -EINVAL);
	/* All of it is allowed. */
	assert_zero(umem_create(fd, NULL, (size_t)top, UMEM_SELFTEST_WRITE));
	assert_zero(umem_from(fd, top - 1, &byte, 1, 0, NULL));
	is_refused(fd, NULL);
	umem_close(fd);
	if (ours)
		munmap(last, PAGE_BYTES);
}

/* A device does not grow a stack: what lies below is not mapped until the process has been there. */
static void a_stack_that_grows(void **state)
{
	static const size_t depths[] = { PAGE_BYTES, 5 * PAGE_BYTES, 40 * PAGE_BYTES, MIB };
	size_t bytes = 64 * MIB;
	uint8_t *space = unused_space(bytes), *stack = space + bytes - 4 * PAGE_BYTES, *at;
	unsigned int i;
	int fd;

	(void)state;
	assert_ptr_equal(mmap(stack, 4 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_ANYWHERE | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0),
			 stack);
	fd = umem_region(space, bytes);
	goes_in_and_out(fd, stack, 4 * PAGE_BYTES, 1);
	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		at = stack - depths[i];
		is_refused(fd, at);
		/* The error was final, and is none any longer. */
		*(volatile uint8_t *)at = 1;
		goes_in_and_out(fd, at, depths[i], i);
	}
	umem_close(fd);
	munmap(space, bytes);
}

/* Sealed memory cannot be unmapped: it goes with a process of its own. */
static int use_sealed(int fd)
{
	uint8_t *map = umem_map(HUGE_BYTES), buf[PAGE_BYTES];
	unsigned long dropped;

	madvise(map, HUGE_BYTES, MADV_NOHUGEPAGE);
	pattern_fill(map, PAGE_BYTES, 1, 0);
	if (umem_create(fd, map, HUGE_BYTES, UMEM_SELFTEST_WRITE))
		return 1;
	if (mprotect(map, PAGE_BYTES, PROT_READ))
		return 2;
	if (syscall(SYS_mseal, map, HUGE_BYTES, 0))
		return errno == ENOSYS ? 77 : 3;
	/* What may be written, and what may only be read. */
	pattern_fill(buf, PAGE_BYTES, 2, 0);
	if (umem_to(fd, map + PAGE_BYTES, buf, PAGE_BYTES, 0, NULL) ||
	    pattern_differs(map + PAGE_BYTES, PAGE_BYTES, 2, 0, "written while sealed"))
		return 4;
	if (umem_to(fd, map, buf, 1, 0, NULL) != -EFAULT)
		return 5;
	if (umem_from(fd, map, buf, PAGE_BYTES, 0, NULL) ||
	    pattern_differs(buf, PAGE_BYTES, 1, 0, "read while sealed"))
		return 6;
	/* Nothing of that is done, so no entry goes. */
	dropped = umem_stats(fd).invalidated_pages;
	if (!madvise(map, PAGE_BYTES, MADV_DONTNEED) || errno != EPERM)
		return 7;
	if (!munmap(map, HUGE_BYTES) || !mprotect(map, HUGE_BYTES, PROT_NONE) ||
	    mremap(map, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map + 8 * PAGE_BYTES) != MAP_FAILED)
		return 8;
	if (umem_stats(fd).invalidated_pages != dropped || !umem_is_present(fd, map, false) ||
	    !umem_is_present(fd, map + PAGE_BYTES, true))
		return 9;
	/* Sealing forbids to discard what may not be written, and nothing else. */
	if (madvise(map + PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED) ||
	    umem_is_present(fd, map + PAGE_BYTES, false))
		return 10;
	return umem_from(fd, map + PAGE_BYTES, buf, 1, 0, NULL) || buf[0] ? 11 : 0;
}

static void sealed_memory(void **state)
{
	int fd = umem_open(), status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(use_sealed(fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	umem_close(fd);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_because("no mseal");
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void guard_regions(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), *at = map + 5 * PAGE_BYTES;
	int fd = umem_region(map, HUGE_BYTES);

	(void)state;
	madvise(map, HUGE_BYTES, MADV_NOHUGEPAGE);
	goes_in_and_out(fd, map, 16 * PAGE_BYTES, 1);
	if (madvise(at, 2 * PAGE_BYTES, MADV_GUARD_INSTALL)) {
		umem_close(fd);
		munmap(map, HUGE_BYTES);
		skip_because("no guard regions: %s", strerror(errno));
	}
	assert_false(umem_is_present(fd, at, false));
	is_refused(fd, at);
	is_refused(fd, at + 2 * PAGE_BYTES - 1);
	assert_int_equal(umem_async(fd, 0, at, 1, true), -EINPROGRESS);
	assert_int_equal(umem_wait(fd, 0, 60000), -EFAULT);
	/* The neighbours are what they were, also where a span begins that ends in the guard. */
	umem_check(fd, map, 5 * PAGE_BYTES, 2);
	goes_in_and_out(fd, at + 2 * PAGE_BYTES, PAGE_BYTES, 3);
	assert_zero(madvise(map, 5 * PAGE_BYTES, MADV_DONTNEED));
	assert_int_equal(umem_fault(fd, map, 16 * PAGE_BYTES, true), -EFAULT);
	assert_true(umem_is_present(fd, at - 1, true));
	assert_zero(madvise(at, 2 * PAGE_BYTES, MADV_GUARD_REMOVE));
	goes_in_and_out(fd, map, 16 * PAGE_BYTES, 4);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

/* A key binds the threads of the process, each by its own register, and no device. */
static void protection_keys(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int fd = umem_region(map, HUGE_BYTES), key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

	(void)state;
	if (key < 0) {
		umem_close(fd);
		munmap(map, HUGE_BYTES);
		skip_because("no protection keys: %s", strerror(errno));
	}
	pattern_fill(map, PAGE_BYTES, 1, 0);
	assert_zero(pkey_mprotect(map, HUGE_BYTES, PROT_READ | PROT_WRITE, key));
	umem_check(fd, map, PAGE_BYTES, 1);
	umem_fill(fd, map + 100, 2 * PAGE_BYTES, 2);
	assert_zero(pkey_set(key, 0));
	pattern_check(map + 100, 2 * PAGE_BYTES, 2, 0, "written past the key");
	assert_zero(pkey_set(key, PKEY_DISABLE_WRITE));
	umem_fill(fd, map + 100, 2 * PAGE_BYTES, 3);
	pattern_check(map + 100, 2 * PAGE_BYTES, 3, 0, "written while the process may only read");
	umem_close(fd);
	munmap(map, HUGE_BYTES);
	assert_zero(pkey_free(key));
}

TEST_MAIN(TEST(sixteen_tib), TEST(the_last_page), TEST(a_stack_that_grows), TEST(sealed_memory),
	  TEST(guard_regions), TEST(protection_keys))
