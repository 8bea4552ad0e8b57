// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a process may wait for at a time is bounded, for file systems and for the rest apart: pages that never come hold up
 * no write to a file, a file system that does not write holds up no other page, and neither holds up what is at hand.
 */
#include <fcntl.h>
#include <unistd.h>

#include "ext4.h"
#include "fuse.h"
#include "mem.h"
#include "pattern.h"
#include "umem.h"

#define LATE	   32UL /* pages of a userfaultfd */
#define BOUND_MS   60000
#define FILE_BYTES (256 * KIB)

/* Memory of which the first pages never come, and a file; each with a region. */
static struct bed {
	uint8_t *map, *file;
	struct uffd uffd;
	int fd, file_fd, ext4;
} bed;

static int bed_open(void **state)
{
	(void)state;
	assert_zero(ext4_begin());
	bed.map = umem_map(HUGE_BYTES);
	uffd_register(&bed.uffd, bed.map, LATE * PAGE_BYTES);
	bed.fd = umem_region(bed.map, HUGE_BYTES);
	bed.ext4 = open(EXT4_DIR "/file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(bed.ext4 >= 0);
	assert_zero(ftruncate(bed.ext4, FILE_BYTES));
	bed.file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bed.ext4, 0);
	assert_ptr_not_equal(bed.file, MAP_FAILED);
	bed.file_fd = umem_region(bed.file, FILE_BYTES);
	return 0;
}

/* After a failure too: the file system thaws first, and what waits is sent away. */
static int bed_close(void **state)
{
	int rc = ext4_end();

	(void)state;
	fuse_end();
	umem_close(bed.file_fd);
	umem_close(bed.fd);
	uffd_close(&bed.uffd);
	munmap(bed.file, FILE_BYTES);
	munmap(bed.map, HUGE_BYTES);
	close(bed.ext4);
	return rc;
}

/* Asks for a byte and waits for it. */
static int wait_for(int fd, unsigned int slot, void *addr)
{
	int err = umem_async(fd, slot, addr, 1, true);

	return err == -EINPROGRESS ? umem_wait(fd, slot, BOUND_MS) : err;
}

static void file_beside(unsigned int late)
{
	unsigned int i;

	for (i = 0; i < late; i++)
		assert_int_equal(umem_async(bed.fd, i, bed.map + i * PAGE_BYTES, 1, true),
				 -EINPROGRESS);
	print_message("%u of %u pages are waited for\n", uffd_await(&bed.uffd, late), late);
	for (i = 0; i < FILE_BYTES / PAGE_BYTES; i++)
		assert_int_equal(wait_for(bed.file_fd, 0, bed.file + i * PAGE_BYTES), 0);
	umem_fill(bed.file_fd, bed.file, FILE_BYTES, 1);
	pattern_check(bed.file, FILE_BYTES, 1, 0, "the file");
	for (i = 0; i < late; i++)
		assert_int_equal(umem_wait(bed.fd, i, 0), -EINPROGRESS);
	uffd_give_zeros(&bed.uffd, bed.map, late * PAGE_BYTES);
	for (i = 0; i < late; i++)
		assert_int_equal(umem_wait(bed.fd, i, BOUND_MS), 0);
}

static void file_beside_seven_late_pages(void **state)
{
	(void)state;
	file_beside(7);
}

static void file_beside_twenty_late_pages(void **state)
{
	(void)state;
	file_beside(20);
}

/* A page that comes after a while does come, though twenty others wait for a file system. */
static void late_page_beside_a_frozen_file(void **state)
{
	unsigned int i;

	(void)state;
	ext4_freeze();
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_async(bed.file_fd, i, bed.file + i * PAGE_BYTES, 1, true),
				 -EINPROGRESS);
	/* That some of them wait in the file system by now cannot be seen from here. */
	usleep(200000);
	assert_int_equal(wait_for(bed.fd, 0, bed.map + HUGE_BYTES - PAGE_BYTES), 0);
	assert_int_equal(umem_async(bed.fd, 1, bed.map, 1, true), -EINPROGRESS);
	assert_ptr_equal(uffd_next(&bed.uffd, BOUND_MS), bed.map);
	uffd_give_zeros(&bed.uffd, bed.map, PAGE_BYTES);
	assert_int_equal(umem_wait(bed.fd, 1, BOUND_MS), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_wait(bed.file_fd, i, 0), -EINPROGRESS);
	ext4_thaw();
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_wait(bed.file_fd, i, BOUND_MS), 0);
}

/* One message over four pages, the second of which never comes. */
static void at_hand_in_the_same_message(void **state)
{
	uint8_t *map = bed.map;

	(void)state;
	uffd_give_zeros(&bed.uffd, map, PAGE_BYTES);
	uffd_give_zeros(&bed.uffd, map + 2 * PAGE_BYTES, 2 * PAGE_BYTES);
	assert_int_equal(umem_async(bed.fd, 0, map, 4 * PAGE_BYTES, true), -EINPROGRESS);
	assert_int_equal(umem_wait(bed.fd, 0, BOUND_MS), 0);
	assert_true(umem_is_present(bed.fd, map, true));
	assert_int_equal(umem_async(bed.fd, 1, map + PAGE_BYTES, 3 * PAGE_BYTES, true),
			 -EINPROGRESS);
	assert_ptr_equal(uffd_next(&bed.uffd, BOUND_MS), map + PAGE_BYTES);
	assert_int_equal(wait_for(bed.fd, 0, map + 2 * PAGE_BYTES), 0);
	assert_int_equal(wait_for(bed.fd, 0, map + 3 * PAGE_BYTES), 0);
	assert_int_equal(umem_wait(bed.fd, 1, 0), -EINPROGRESS);
	uffd_give_zeros(&bed.uffd, map + PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(umem_wait(bed.fd, 1, BOUND_MS), 0);
}

/* Of sixteen pages of a file the first is there, and its file system does not answer for the others. */
static void at_hand_in_a_file(void **state)
{
	uint8_t *map;
	int file, fd;

	(void)state;
	fuse_begin(true);
	file = open(FUSE_FILE, O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	map = mmap(NULL, 16 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close(file);
	map[0] = 1;
	fuse_hold();
	fd = umem_region(map, 16 * PAGE_BYTES);
	assert_int_equal(umem_async(fd, 0, map, 16 * PAGE_BYTES, true), -EINPROGRESS);
	assert_int_equal(umem_wait(fd, 0, BOUND_MS), 0);
	assert_int_equal(umem_async(fd, 1, map + PAGE_BYTES, 15 * PAGE_BYTES, true), -EINPROGRESS);
	assert_true(fuse_asked(BOUND_MS));
	/* The page that is there is used meanwhile, for reading at least: it may just have been written back. */
	assert_true(umem_is_present(fd, map, false));
	fuse_release();
	assert_int_equal(umem_wait(fd, 1, BOUND_MS), 0);
	umem_close(fd);
	munmap(map, 16 * PAGE_BYTES);
}

#define BED_TEST(fn) cmocka_unit_test_setup_teardown(fn, bed_open, bed_close)

TEST_MAIN(BED_TEST(file_beside_seven_late_pages), BED_TEST(file_beside_twenty_late_pages),
	  BED_TEST(late_page_beside_a_frozen_file), BED_TEST(at_hand_in_the_same_message),
	  BED_TEST(at_hand_in_a_file))
