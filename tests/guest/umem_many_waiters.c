// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Twenty thousand waiters at a time, on pages of a userfaultfd that does not answer, each on its own or all on one: other
 * pages are served, all are woken when the pages come, all can be cancelled, and a region that goes sends all away.
 */
#include <unistd.h>

#include "mem.h"
#include "umem.h"

#define MANY	 20000U
#define BYTES	 (MANY * PAGE_BYTES)
#define BEHIND	 HUGE_BYTES /* in the same region: pages that come at once */
#define BOUND_MS 60000

static struct bed {
	uint8_t *map, *other;
	struct uffd uffd;
	int fd, other_fd;
} bed;

static int bed_open(void **state)
{
	(void)state;
	bed.map = umem_map(BYTES + BEHIND);
	bed.other = umem_map(HUGE_BYTES);
	uffd_register(&bed.uffd, bed.map, BYTES);
	bed.fd = umem_region(bed.map, BYTES + BEHIND);
	bed.other_fd = umem_region(bed.other, HUGE_BYTES);
	return 0;
}

static int bed_close(void **state)
{
	(void)state;
	umem_close(bed.fd);
	umem_close(bed.other_fd);
	uffd_close(&bed.uffd);
	munmap(bed.other, HUGE_BYTES);
	munmap(bed.map, BYTES + BEHIND);
	return 0;
}

static void gather(size_t stride)
{
	double begin = seconds();

	assert_zero(umem_crowd(bed.fd, bed.map, stride, MANY, true));
	print_message("added in %.3f s\n", seconds() - begin);
	assert_non_null(uffd_next(&bed.uffd, BOUND_MS));
}

static void served(int fd, void *addr)
{
	double begin = seconds();
	int err = umem_async(fd, 0, addr, 1, true);

	if (err == -EINPROGRESS)
		err = umem_wait(fd, 0, BOUND_MS);
	assert_int_equal(err, 0);
	print_message("a page at hand: %.3f s\n", seconds() - begin);
}

/* Pages at hand, of the same region and of another one of the process. */
static void others_are_served(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		served(bed.fd, bed.map + BYTES + i * PAGE_BYTES);
		served(bed.other_fd, bed.other + i * PAGE_BYTES);
	}
}

static void all_are_woken(size_t bytes)
{
	double begin = seconds();
	struct umem_selftest_crowd_end end;

	uffd_give_zeros(&bed.uffd, bed.map, bytes);
	end = umem_crowd_end(bed.fd, BOUND_MS);
	print_message("woken in %.3f s\n", seconds() - begin);
	assert_int_equal(end.woken, MANY);
	assert_int_equal(end.cancelled + end.failed + end.present, 0);
	assert_true(umem_is_present(bed.fd, bed.map, true));
	assert_true(umem_is_present(bed.fd, bed.map + bytes - 1, true));
}

static void each_on_its_own_page(void **state)
{
	(void)state;
	gather(PAGE_BYTES);
	others_are_served();
	all_are_woken(BYTES);
}

static void all_on_one_page(void **state)
{
	(void)state;
	gather(0);
	others_are_served();
	all_are_woken(PAGE_BYTES);
}

static void cancelled(void **state)
{
	struct umem_selftest_crowd_end end;

	(void)state;
	gather(PAGE_BYTES);
	end = umem_crowd_end(bed.fd, 0);
	assert_int_equal(end.cancelled, MANY);
	assert_int_equal(end.woken + end.failed + end.present, 0);
	/* And the pages can be asked for again. */
	gather(PAGE_BYTES);
	others_are_served();
	all_are_woken(BYTES);
}

static void region_closed(void **state)
{
	struct umem_selftest_crowd_end end;

	(void)state;
	gather(PAGE_BYTES);
	assert_zero(umem_shutdown(bed.fd));
	end = umem_crowd_end(bed.fd, BOUND_MS);
	assert_int_equal(end.failed, MANY);
	assert_int_equal(end.woken + end.cancelled + end.present, 0);
	served(bed.other_fd, bed.other);
}

static void region_destroyed(void **state)
{
	(void)state;
	gather(PAGE_BYTES);
	assert_zero(umem_destroy(bed.fd));
	served(bed.other_fd, bed.other);
}

#define BED_TEST(fn) cmocka_unit_test_setup_teardown(fn, bed_open, bed_close)

TEST_MAIN(BED_TEST(each_on_its_own_page), BED_TEST(all_on_one_page), BED_TEST(cancelled),
	  BED_TEST(region_closed), BED_TEST(region_destroyed))
