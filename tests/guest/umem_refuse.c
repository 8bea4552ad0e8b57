// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that the kernel must not touch for a device is refused for good, and its neighbours are not.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

static void refused(void *at, bool readable_around)
{
	uint8_t *map = at, byte = 1;
	int fd = umem_region(map - PAGE_BYTES, 3 * PAGE_BYTES);

	assert_int_equal(umem_from(fd, map, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_to(fd, map, &byte, 1, 0, NULL), -EFAULT);
	assert_int_equal(umem_async(fd, 0, map, 1, false), -EINPROGRESS);
	assert_int_equal(umem_wait(fd, 0, 60000), -EFAULT);
	if (readable_around) {
		/* A span that runs into it: the pages before it come, and it is an error only when reached. */
		assert_int_equal(umem_async(fd, 0, map - PAGE_BYTES, 2 * PAGE_BYTES, true),
				 -EINPROGRESS);
		assert_int_equal(umem_wait(fd, 0, 60000), 0);
		assert_true(umem_is_present(fd, map - PAGE_BYTES, true));
		umem_fill(fd, map - PAGE_BYTES, PAGE_BYTES, 1);
		umem_fill(fd, map + PAGE_BYTES, PAGE_BYTES, 2);
	}
	umem_close(fd);
}

static void memfd_secret_is_refused(void **state)
{
	int file = syscall(SYS_memfd_secret, 0);
	uint8_t *map = umem_map(HUGE_BYTES);

	(void)state;
	if (file < 0)
		skip_because("no memfd_secret: %s", strerror(errno));
	assert_zero(ftruncate(file, PAGE_BYTES));
	assert_ptr_equal(mmap(map + PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, file, 0),
			 map + PAGE_BYTES);
	map[PAGE_BYTES] = 7;
	refused(map + PAGE_BYTES, true);
	assert_int_equal(map[PAGE_BYTES], 7);
	munmap(map, HUGE_BYTES);
	close(file);
}

static void a_pfn_mapping_is_refused(void **state)
{
	int file = open("/dev/mem", O_RDWR);
	uint8_t *map = umem_map(HUGE_BYTES);

	(void)state;
	if (file < 0)
		skip_because("no /dev/mem: %s", strerror(errno));
	if (mmap(map + PAGE_BYTES, PAGE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0xf0000) ==
	    MAP_FAILED)
		skip_because("/dev/mem cannot be mapped: %s", strerror(errno));
	refused(map + PAGE_BYTES, true);
	munmap(map, HUGE_BYTES);
	close(file);
}

static void the_vdso_is_not_written(void **state)
{
	unsigned long start = 0, end;
	uint8_t byte = 0;
	char line[256];
	FILE *maps;
	int fd;

	(void)state;
	maps = fopen("/proc/self/maps", "r");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			break;
		start = 0;
	}
	fclose(maps);
	if (!start)
		skip_because("no vdso");
	fd = umem_region((void *)start, PAGE_BYTES);
	assert_int_equal(umem_to(fd, (void *)start, &byte, 1, 0, NULL), -EFAULT);
	umem_close(fd);
}

static void the_text_of_the_program_is_read_only(void **state)
{
	uint8_t *text = (uint8_t *)(uintptr_t)the_vdso_is_not_written, byte = 0;
	int fd = umem_region(text, 1);

	(void)state;
	assert_zero(umem_from(fd, text, &byte, 1, 0, NULL));
	assert_int_equal(byte, *text);
	assert_int_equal(umem_to(fd, text, &byte, 1, 0, NULL), -EFAULT);
	umem_close(fd);
}

TEST_MAIN(TEST(memfd_secret_is_refused), TEST(a_pfn_mapping_is_refused),
	  TEST(the_vdso_is_not_written), TEST(the_text_of_the_program_is_read_only))
