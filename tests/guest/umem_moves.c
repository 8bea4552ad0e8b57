// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The address space moves under a region: after each change the region's bytes are the process's bytes, or the error is
 * the one that is owed. Write-protecting events leave entries for reading in place.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

#define BYTES (4 * HUGE_BYTES)
#define USED  200000UL

struct fix {
	uint8_t *map;
	int fd;
};

static struct fix begin(void)
{
	struct fix f;

	f.map = umem_map(BYTES);
	madvise(f.map, BYTES, MADV_NOHUGEPAGE);
	f.fd = umem_region(f.map, BYTES);
	umem_fill(f.fd, f.map, USED, 1);
	return f;
}

static void end(struct fix *f)
{
	umem_close(f->fd);
	munmap(f->map, BYTES);
}

static void dontneed(void **state)
{
	struct fix f = begin();
	uint8_t zero[USED] = { 0 }, buf[USED];

	(void)state;
	assert_zero(madvise(f.map, BYTES, MADV_DONTNEED));
	assert_int_equal(umem_stats(f.fd).resident_pages, 0);
	assert_zero(umem_from(f.fd, f.map, buf, USED, 0, NULL));
	assert_memory_equal(buf, zero, USED);
	end(&f);
}

static void unmapped_and_mapped_again(void **state)
{
	struct fix f = begin();
	uint8_t byte = 1;

	(void)state;
	assert_zero(munmap(f.map, BYTES));
	assert_int_equal(umem_from(f.fd, f.map, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_to(f.fd, f.map + USED, &byte, 1, 0, NULL), -EFAULT);
	assert_ptr_equal(mmap(f.map, BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 f.map);
	assert_zero(umem_from(f.fd, f.map, &byte, 1, 0, NULL));
	assert_int_equal(byte, 0);
	umem_fill(f.fd, f.map, USED, 2);
	pattern_check(f.map, USED, 2, 0, "the new mapping");
	end(&f);
}

static void moved_by_mremap(void **state)
{
	struct fix f = begin();
	uint8_t *to = umem_map(BYTES), byte;

	(void)state;
	assert_ptr_equal(mremap(f.map, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	assert_int_equal(umem_from(f.fd, f.map, &byte, 1, 0, NULL), -EFAULT);
	pattern_fill(to, USED, 2, 0);
	assert_ptr_equal(mremap(to, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, f.map), f.map);
	umem_check(f.fd, f.map, USED, 2);
	end(&f);
}

static void protected_and_released(void **state)
{
	struct fix f = begin();
	uint8_t byte = 9;

	(void)state;
	assert_zero(mprotect(f.map, BYTES, PROT_READ));
	umem_check(f.fd, f.map, USED, 1);
	assert_int_equal(umem_to(f.fd, f.map, &byte, 1, 0, NULL), -EFAULT);
	assert_zero(mprotect(f.map, BYTES, PROT_NONE));
	assert_int_equal(umem_from(f.fd, f.map, &byte, 1, 0, NULL), -EFAULT);
	assert_zero(mprotect(f.map, BYTES, PROT_READ | PROT_WRITE));
	umem_check(f.fd, f.map, USED, 1);
	umem_fill(f.fd, f.map, USED, 2);
	pattern_check(f.map, USED, 2, 0, "after mprotect");
	end(&f);
}

/* The child tells what it sees, told through a pipe that ends when the parent has written. */
static int child_sees(struct fix *f, int go, uint32_t seed)
{
	char c;

	if (read(go, &c, 1) != 1)
		return 3;
	return pattern_differs(f->map, USED, seed, 0, "the child") ? 1 : 0;
}

static void fork_and_copy_on_write(void **state)
{
	struct fix f = begin();
	struct umem_selftest_stats before = umem_stats(f.fd), after;
	int go[2], status;
	pid_t pid;

	(void)state;
	assert_zero(pipe(go));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(child_sees(&f, go[0], 1));
	/* Fork only write-protects: reading goes on without a fault, writing misses. */
	after = umem_stats(f.fd);
	assert_int_equal(after.resident_pages, before.resident_pages);
	assert_in_range(after.downgrades, USED / PAGE_BYTES, USED / PAGE_BYTES + 2);
	assert_true(umem_is_present(f.fd, f.map, false));
	assert_false(umem_is_present(f.fd, f.map, true));
	umem_check(f.fd, f.map, USED, 1);
	assert_int_equal(umem_stats(f.fd).faults, before.faults);
	/* The parent's region writes the parent's pages, and the child sees the old ones. */
	umem_fill(f.fd, f.map, USED, 2);
	pattern_check(f.map, USED, 2, 0, "the parent");
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	umem_check(f.fd, f.map, USED, 2);
	end(&f);
}

static void cpu_writes_after_fork(void **state)
{
	struct fix f = begin();
	int go[2], status;
	pid_t pid;

	(void)state;
	assert_zero(pipe(go));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(child_sees(&f, go[0], 1));
	/* The entries show the shared pages until the parent's CPU copies them. */
	pattern_fill(f.map, USED, 3, 0);
	umem_check(f.fd, f.map, USED, 3);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	end(&f);
}

static void paged_out(void **state)
{
	struct fix f = begin();

	(void)state;
	/* With or without swap: what the region wrote must be there afterwards. */
	madvise(f.map, BYTES, MADV_PAGEOUT);
	pattern_check(f.map, USED, 1, 0, "after MADV_PAGEOUT");
	umem_check(f.fd, f.map, USED, 1);
	end(&f);
}

static void freed_lazily(void **state)
{
	struct fix f = begin();

	(void)state;
	assert_zero(madvise(f.map, BYTES, MADV_FREE));
	assert_false(umem_is_present(f.fd, f.map, false));
	/* A write makes the page the process's again. */
	umem_fill(f.fd, f.map, USED, 2);
	madvise(f.map, BYTES, MADV_PAGEOUT);
	pattern_check(f.map, USED, 2, 0, "written after MADV_FREE");
	end(&f);
}

static int memfd_of(size_t bytes)
{
	int fd = memfd_create("umem", 0);

	assert_true(fd >= 0);
	assert_zero(ftruncate(fd, bytes));
	return fd;
}

static void a_shared_file(void **state)
{
	int file = memfd_of(BYTES), fd;
	uint8_t *map = umem_map(BYTES), *other, byte;

	(void)state;
	assert_ptr_equal(mmap(map, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0),
			 map);
	other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_ptr_not_equal(other, MAP_FAILED);
	fd = umem_region(map, BYTES);
	umem_fill(fd, map, USED, 1);
	pattern_check(other, USED, 1, 0, "another mapping");
	/* Read by the CPU, written by the region, paged out: the dirty bit must not be lost. */
	madvise(map, BYTES, MADV_PAGEOUT);
	madvise(other, BYTES, MADV_PAGEOUT);
	pattern_check(other, USED, 1, 0, "after MADV_PAGEOUT");
	/* A hole is zeros, and written again. */
	assert_zero(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      USED & ~(PAGE_BYTES - 1)));
	assert_zero(umem_from(fd, map, &byte, 1, 0, NULL));
	assert_int_equal(byte, 0);
	umem_fill(fd, map, USED, 2);
	pattern_check(other, USED, 2, 0, "in the hole");
	/* Behind the end of the file there is nothing, and growing it brings it back. */
	assert_zero(ftruncate(file, PAGE_BYTES));
	assert_int_equal(umem_from(fd, map + PAGE_BYTES, &byte, 1, 0, NULL), -EFAULT);
	assert_zero(umem_from(fd, map, &byte, 1, 0, NULL));
	assert_int_equal(byte, pattern_byte(2, 0));
	assert_zero(ftruncate(file, BYTES));
	assert_zero(umem_from(fd, map + PAGE_BYTES, &byte, 1, 0, NULL));
	assert_int_equal(byte, 0);
	umem_close(fd);
	munmap(map, BYTES);
	munmap(other, BYTES);
	close(file);
}

static void a_private_file(void **state)
{
	int file = memfd_of(BYTES), fd;
	uint8_t *map = umem_map(BYTES), byte;

	(void)state;
	assert_int_equal(pwrite(file, "\x55", 1, 0), 1);
	assert_ptr_equal(mmap(map, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0),
			 map);
	fd = umem_region(map, BYTES);
	assert_zero(umem_from(fd, map, &byte, 1, 0, NULL));
	assert_int_equal(byte, 0x55);
	byte = 0x66;
	assert_zero(umem_to(fd, map, &byte, 1, 0, NULL));
	assert_int_equal(map[0], 0x66);
	assert_int_equal(pread(file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0x55);
	umem_close(fd);
	munmap(map, BYTES);
	close(file);
}

/* ext4 tracks writes: writeback takes WRITE away and leaves the entry. */
static void a_shared_file_on_disk(void **state)
{
	char name[] = "/var/tmp/umem_XXXXXX";
	int file = mkstemp(name), direct, fd;
	uint8_t *map, *buf;

	(void)state;
	if (file < 0)
		skip_because("no file in /var/tmp");
	assert_zero(ftruncate(file, BYTES));
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	fd = umem_region(map, BYTES);
	umem_fill(fd, map, USED, 1);
	assert_true(umem_is_present(fd, map, true));
	assert_zero(msync(map, BYTES, MS_SYNC));
	assert_true(umem_is_present(fd, map, false));
	umem_check(fd, map, USED, 1);
	umem_fill(fd, map, USED, 2);
	assert_zero(fsync(file));
	assert_zero(madvise(map, BYTES, MADV_DONTNEED));
	assert_zero(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	direct = open(name, O_RDONLY | O_DIRECT);
	if (direct >= 0) {
		assert_zero(posix_memalign((void **)&buf, 4096, BYTES));
		assert_int_equal(read(direct, buf, BYTES), BYTES);
		pattern_check(buf, USED, 2, 0, "on the disk");
		free(buf);
		close(direct);
	}
	umem_check(fd, map, USED, 2);
	assert_zero(ftruncate(file, 0));
	assert_int_equal(umem_fault(fd, map, 1, false), -EFAULT);
	umem_close(fd);
	munmap(map, BYTES);
	close(file);
	unlink(name);
}

TEST_MAIN(TEST(dontneed), TEST(unmapped_and_mapped_again), TEST(moved_by_mremap),
	  TEST(protected_and_released), TEST(fork_and_copy_on_write), TEST(cpu_writes_after_fork),
	  TEST(paged_out), TEST(freed_lazily), TEST(a_shared_file), TEST(a_private_file),
	  TEST(a_shared_file_on_disk))
