// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Pages that come late, or never: a userfaultfd without an answer. A fault waits for it without disturbing others, ends
 * with cancel, close, release and the death of the owner, and goes on when the page comes.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "umem.h"

#define PAGES 64UL
#define BYTES (PAGES * PAGE_BYTES)

static int uffd_over(void *addr, size_t bytes)
{
	struct uffdio_register reg = { .range = { (uintptr_t)addr, bytes },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		skip_because("no userfaultfd: %s", strerror(errno));
	assert_zero(ioctl(uffd, UFFDIO_API, &api));
	assert_zero(ioctl(uffd, UFFDIO_REGISTER, &reg));
	return uffd;
}

/* The page that is asked for next. */
static uint8_t *asked(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	assert_int_equal(poll(&p, 1, 60000), 1);
	assert_int_equal(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
	return (uint8_t *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE_BYTES - 1));
}

static void give(int uffd, void *page, uint8_t fill)
{
	uint8_t src[PAGE_BYTES];
	struct uffdio_copy copy = { .dst = (uintptr_t)page,
				    .src = (uintptr_t)src,
				    .len = PAGE_BYTES };

	memset(src, fill, PAGE_BYTES);
	assert_zero(ioctl(uffd, UFFDIO_COPY, &copy));
}

static void a_late_page_comes(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), byte;
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);

	(void)state;
	assert_int_equal(umem_async(fd, 0, map + 3 * PAGE_BYTES, BYTES - 3 * PAGE_BYTES, false),
			 -EINPROGRESS);
	assert_ptr_equal(asked(uffd), map + 3 * PAGE_BYTES);
	assert_int_equal(umem_wait(fd, 0, 1500), -EINPROGRESS);
	/* The owner's mmap is not held up meanwhile. */
	munmap(mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE_BYTES);
	give(uffd, map + 3 * PAGE_BYTES, 0x42);
	assert_int_equal(umem_wait(fd, 0, 60000), 0);
	assert_zero(umem_from(fd, map + 3 * PAGE_BYTES, &byte, 1, UMEM_SELFTEST_NOFAULT, NULL));
	assert_int_equal(byte, 0x42);
	assert_true(umem_stats(fd).worst_fault_ns >= 1500000000);
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

static void a_stuck_page_holds_up_no_other(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, HUGE_BYTES);
	unsigned int i;

	(void)state;
	/* More stuck pages than the process may have threads for. */
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_async(fd, i, map + i * PAGE_BYTES, BYTES, i & 1),
				 -EINPROGRESS);
	/* Pages that come at once still come, in the same leaf. */
	umem_fill(fd, map + BYTES, HUGE_BYTES - BYTES, 1);
	pattern_check(map + BYTES, HUGE_BYTES - BYTES, 1, 0, "beside the stuck pages");
	/* A stuck page that is given wakes its waiter alone. */
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_wait(fd, i, 0), -EINPROGRESS);
	for (i = 0; i < 20; i++) {
		give(uffd, map + i * PAGE_BYTES, i);
		assert_int_equal(umem_wait(fd, i, 60000), 0);
	}
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

static void others_are_served_meanwhile(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd, fd, status;
	unsigned int i;
	pid_t pid;

	(void)state;
	uffd = uffd_over(map, BYTES);
	fd = umem_region(map, BYTES);
	for (i = 0; i < 30; i++)
		assert_int_equal(umem_async(fd, i, map + i * PAGE_BYTES, 1, true), -EINPROGRESS);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		uint8_t *mine = umem_map(8 * HUGE_BYTES);
		int other = umem_region(mine, 8 * HUGE_BYTES);

		_exit(umem_fault(other, mine, 8 * HUGE_BYTES, true) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

static void faults_on_one_page_join(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);
	unsigned int i;

	(void)state;
	assert_int_equal(umem_async(fd, 0, map, 1, true), -EINPROGRESS);
	assert_ptr_equal(asked(uffd), map);
	for (i = 1; i < 20; i++)
		assert_int_equal(umem_async(fd, i, map + i, 1, true), -EINPROGRESS);
	assert_int_equal(umem_stats(fd).joined_faults, 19);
	/* One goes away, the rest stay. */
	assert_true(umem_cancel(fd, 0));
	give(uffd, map, 1);
	for (i = 1; i < 20; i++)
		assert_int_equal(umem_wait(fd, i, 60000), 0);
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

static void a_reader_is_not_failed_with_a_writer(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES), byte;
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);

	(void)state;
	assert_int_equal(umem_async(fd, 0, map, 1, true), -EINPROGRESS);
	assert_ptr_equal(asked(uffd), map);
	assert_int_equal(umem_async(fd, 1, map, 1, false), -EINPROGRESS);
	assert_zero(mprotect(map, PAGE_BYTES, PROT_READ));
	give(uffd, map, 0x33);
	assert_int_equal(umem_wait(fd, 0, 60000), -EFAULT);
	assert_int_equal(umem_wait(fd, 1, 60000), 0);
	assert_zero(umem_from(fd, map, &byte, 1, 0, NULL));
	assert_int_equal(byte, 0x33);
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

static void cancelled(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);
	unsigned int i;

	(void)state;
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_async(fd, i, map + i * PAGE_BYTES, 1, true), -EINPROGRESS);
	assert_non_null(asked(uffd));
	for (i = 0; i < 20; i++)
		assert_true(umem_cancel(fd, i));
	/* The threads are free again. */
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_async(fd, i, map + i * PAGE_BYTES, 1, true), -EINPROGRESS);
	for (i = 0; i < 20; i++) {
		give(uffd, map + i * PAGE_BYTES, 1);
		assert_int_equal(umem_wait(fd, i, 60000), 0);
	}
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

static void closed_and_destroyed(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);
	unsigned int i;

	(void)state;
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_async(fd, i, map + i * PAGE_BYTES, 1, true), -EINPROGRESS);
	assert_non_null(asked(uffd));
	assert_zero(umem_shutdown(fd));
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_wait(fd, i, 60000), -ESHUTDOWN);
	umem_close(fd);

	/* And without closing it first. */
	fd = umem_region(map, BYTES);
	for (i = 0; i < 20; i++)
		assert_int_equal(umem_async(fd, i, map + i * PAGE_BYTES, 1, true), -EINPROGRESS);
	umem_close(fd);
	close(uffd);
	munmap(map, HUGE_BYTES);
}

#define MUCH (32 * HUGE_BYTES)

static volatile bool enough;

/* Invalidations that take their time, of what lies behind the late pages. */
static void *invalidates(void *map)
{
	while (!enough) {
		memset((uint8_t *)map + HUGE_BYTES, 1, MUCH - HUGE_BYTES);
		madvise((uint8_t *)map + HUGE_BYTES, MUCH - HUGE_BYTES, MADV_DONTNEED);
	}
	return NULL;
}

/*
 * Also between a pass that begins, which an invalidation holds up, and its wait for a page: who had joined it for another page
 * is sent away too.
 */
static void closed_at_any_moment(void **state)
{
	uint8_t *map = umem_map(MUCH);
	int uffd = uffd_over(map, BYTES), fd;
	pthread_t thread;
	unsigned int n, i;

	(void)state;
	enough = false;
	assert_zero(pthread_create(&thread, NULL, invalidates, map));
	for (n = 0; n < 100; n++) {
		fd = umem_region(map, MUCH);
		assert_int_equal(umem_async(fd, 0, map, BYTES, true), -EINPROGRESS);
		assert_int_equal(umem_async(fd, 1, map + 7 * PAGE_BYTES, 1, true), -EINPROGRESS);
		usleep(100 * (n % 8));
		assert_zero(umem_shutdown(fd));
		for (i = 0; i < 2; i++)
			assert_int_equal(umem_wait(fd, i, 60000), -ESHUTDOWN);
		umem_close(fd);
	}
	enough = true;
	pthread_join(thread, NULL);
	close(uffd);
	munmap(map, MUCH);
}

static void the_owner_is_killed(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int fd = umem_open(), go[2], status;
	unsigned int i;
	pid_t pid;
	char c;

	(void)state;
	assert_zero(pipe(go));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* The file is the child's alone, so its end releases the region. */
		int mine = umem_open(), uffd = uffd_over(map, BYTES);

		close(fd);
		if (umem_create(mine, map, BYTES, UMEM_SELFTEST_WRITE))
			_exit(1);
		for (i = 0; i < 20; i++)
			umem_async(mine, i, map + i * PAGE_BYTES, 1, true);
		asked(uffd);
		if (write(go[1], "", 1) != 1)
			_exit(2);
		/* And a thread that sleeps in a fault. */
		umem_fault(mine, map + 40 * PAGE_BYTES, 1, true);
		_exit(3);
	}
	assert_int_equal(read(go[0], &c, 1), 1);
	usleep(100000);
	assert_zero(kill(pid, SIGKILL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(go[0]);
	close(go[1]);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

static void the_userfaultfd_goes_first(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);

	(void)state;
	assert_int_equal(umem_async(fd, 0, map, BYTES, true), -EINPROGRESS);
	assert_ptr_equal(asked(uffd), map);
	close(uffd);
	assert_int_equal(umem_wait(fd, 0, 60000), 0);
	assert_true(umem_is_present(fd, map, true));
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

#define THREADS_MAX "/proc/sys/kernel/threads-max"

/*
 * The owner's only thread is stuck, and no other can be made: who waits is tried again, and not left to the stuck one. Idle
 * threads go after ten seconds.
 */
static void no_thread_for_a_while(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, HUGE_BYTES), rc;
	char before[32];

	(void)state;
	snprintf(before, sizeof(before), "%ld", read_number(THREADS_MAX, 0));
	while (!system("pgrep -x umem_odp_fault >/dev/null"))
		usleep(100000);
	assert_int_equal(umem_async(fd, 0, map, 1, true), -EINPROGRESS);
	assert_ptr_equal(asked(uffd), map);
	assert_zero(write_text(THREADS_MAX, "20"));
	rc = umem_async(fd, 1, map + HUGE_BYTES - PAGE_BYTES, 1, true);
	if (rc == -EINPROGRESS)
		rc = umem_wait(fd, 1, 500);
	assert_zero(write_text(THREADS_MAX, before));
	assert_int_equal(rc, -EINPROGRESS);
	assert_int_equal(umem_wait(fd, 1, 60000), 0);
	assert_int_equal(umem_wait(fd, 0, 0), -EINPROGRESS);
	close(uffd);
	assert_int_equal(umem_wait(fd, 0, 60000), 0);
	umem_close(fd);
	munmap(map, HUGE_BYTES);
}

static void unmapped_while_it_is_waited_for(void **state)
{
	uint8_t *map = umem_map(HUGE_BYTES);
	int uffd = uffd_over(map, BYTES), fd = umem_region(map, BYTES);

	(void)state;
	assert_int_equal(umem_async(fd, 0, map, BYTES, true), -EINPROGRESS);
	assert_ptr_equal(asked(uffd), map);
	assert_zero(munmap(map, HUGE_BYTES));
	close(uffd);
	assert_int_equal(umem_wait(fd, 0, 60000), -EFAULT);
	umem_close(fd);
}

TEST_MAIN(TEST(a_late_page_comes), TEST(a_stuck_page_holds_up_no_other),
	  TEST(others_are_served_meanwhile), TEST(faults_on_one_page_join),
	  TEST(a_reader_is_not_failed_with_a_writer), TEST(cancelled), TEST(closed_and_destroyed),
	  TEST(closed_at_any_moment), TEST(the_owner_is_killed), TEST(the_userfaultfd_goes_first),
	  TEST(unmapped_while_it_is_waited_for), TEST(no_thread_for_a_while))
