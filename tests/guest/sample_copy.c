// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The sample driver: two processes expose memory, and bytes go both ways at every alignment; what is not mapped, not allowed or
 * not exposed is refused; an owner may change its memory, or end, in the middle; and the module goes afterwards.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "test.h"
#include "umem_copy/umem_copy.h"

#define MODULE "/odp/host/modules/umem_copy.ko"
#define DEVICE "/dev/umem_copy"
#define BYTES  (256 * KIB)
#define PAGE   4096UL

/* The test's own memory, and a child's: shared, so that the test sees both; each process has page tables of its own. */
struct scene {
	int mine, theirs;
	uint8_t *here, *there;
};

static pid_t child;

static void load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_zero(syscall(SYS_finit_module, fd, "", 0));
	close(fd);
}

static int unload(void)
{
	return syscall(SYS_delete_module, "umem_copy", O_NONBLOCK) ? errno : 0;
}

static int open_device(int flags)
{
	int fd = open(DEVICE, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int expose(int fd, const void *start, size_t bytes)
{
	struct umem_copy_range range = { (uintptr_t)start, bytes };

	return ioctl(fd, UMEM_COPY_EXPOSE, &range) ? errno : 0;
}

static int copy_some(int to, size_t to_offset, int from, size_t from_offset, size_t bytes,
		     size_t *done)
{
	struct umem_copy_order order = { .from_fd = from,
					 .from_offset = from_offset,
					 .to_offset = to_offset,
					 .length_bytes = bytes,
					 .done_bytes = 77 };
	int err = ioctl(to, UMEM_COPY_COPY, &order) ? errno : 0;

	*done = order.done_bytes;
	return err;
}

static int copy(int to, size_t to_offset, int from, size_t from_offset, size_t bytes)
{
	size_t done;
	int err = copy_some(to, to_offset, from, from_offset, bytes, &done);

	assert_true(err || done == bytes);
	return err;
}

static uint8_t *map_shared(void)
{
	uint8_t *map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return map;
}

/* What the child does until it is told to: its memory is exposed, and it waits. */
static void begin(struct scene *s)
{
	int told[2];
	char ok = 0;

	s->mine = open_device(O_RDWR);
	s->theirs = open_device(O_RDWR);
	s->here = map_shared();
	s->there = map_shared();
	assert_zero(pipe(told));
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ok = !expose(s->theirs, s->there, BYTES);
		/* Only the parent has the file open now. */
		close(s->theirs);
		if (write(told[1], &ok, 1) == 1)
			pause();
		_exit(0);
	}
	close(told[1]);
	assert_int_equal(read(told[0], &ok, 1), 1);
	close(told[0]);
	assert_true(ok);
	assert_zero(expose(s->mine, s->here, BYTES));
}

static void child_ends(void)
{
	if (child > 0 && !kill(child, SIGKILL))
		waitpid(child, NULL, 0);
	child = 0;
}

static void end(struct scene *s)
{
	close(s->mine);
	close(s->theirs);
	munmap(s->here, BYTES);
	munmap(s->there, BYTES);
}

static void both_ways(void **state)
{
	static const size_t offsets[] = { 0, 1, 4095, 65537 };
	static const size_t lengths[] = { 1, 8, 4097, 130001 };
	struct scene s;
	size_t i, j;

	(void)state;
	begin(&s);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			size_t from = offsets[i], to = offsets[ARRAY_SIZE(offsets) - 1 - i];
			unsigned int seed = 10 * i + j;

			memset(s.there, 0, BYTES);
			pattern_fill(s.here + from, lengths[j], seed, 0);
			assert_zero(copy(s.theirs, to, s.mine, from, lengths[j]));
			pattern_check(s.there + to, lengths[j], seed, 0, "copied there");
			assert_true(!to || !s.there[to - 1]);
			assert_zero(s.there[to + lengths[j]]);
			memset(s.here, 0, BYTES);
			assert_zero(copy(s.mine, from + 3, s.theirs, to, lengths[j]));
			pattern_check(s.here + from + 3, lengths[j], seed, 0, "copied back");
			assert_zero(s.here[from + 2] | s.here[from + 3 + lengths[j]]);
		}
	}
	/* From a file to itself, too. */
	pattern_fill(s.here, 5000, 5, 0);
	assert_zero(copy(s.mine, 100001, s.mine, 0, 5000));
	pattern_check(s.here + 100001, 5000, 5, 0, "copied beside");
	assert_zero(copy(s.mine, 0, s.theirs, 0, 0));
	child_ends();
	end(&s);
}

static void what_is_refused(void **state)
{
	struct umem_copy_order reserved = { .reserved = 1 };
	struct scene s;
	size_t done;
	int fd, reader, writer;

	(void)state;
	begin(&s);
	/* Once, and a range that there is. */
	assert_int_equal(expose(s.mine, s.here, BYTES), EBUSY);
	fd = open_device(O_RDWR);
	assert_int_equal(expose(fd, s.here, 0), EINVAL);
	assert_int_equal(expose(fd, s.here, SIZE_MAX), EINVAL);
	assert_int_equal(expose(fd, (void *)-PAGE, PAGE), EINVAL);
	assert_int_equal(ioctl(fd, UMEM_COPY_EXPOSE, NULL), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(ioctl(fd, UMEM_COPY_COPY, 1), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(ioctl(fd, 0, NULL), -1);
	assert_int_equal(errno, ENOTTY);
	/* Nothing is exposed there. */
	assert_int_equal(copy(fd, 0, s.mine, 0, 1), ENODATA);
	assert_int_equal(copy(s.mine, 0, fd, 0, 1), ENODATA);
	close(fd);
	/* What is no such file. */
	assert_int_equal(copy(s.mine, 0, -1, 0, 1), EBADF);
	assert_int_equal(copy(s.mine, 0, fd, 0, 1), EBADF);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(copy(s.mine, 0, fd, 0, 1), EBADF);
	close(fd);
	assert_int_equal(ioctl(s.mine, UMEM_COPY_COPY, &reserved), -1);
	assert_int_equal(errno, EINVAL);
	/* Outside. */
	assert_int_equal(copy(s.mine, 0, s.theirs, BYTES - 1, 2), EINVAL);
	assert_int_equal(copy(s.mine, BYTES - 1, s.theirs, 0, 2), EINVAL);
	assert_int_equal(copy(s.mine, BYTES + 1, s.theirs, 0, 0), EINVAL);
	assert_int_equal(copy(s.mine, 0, s.theirs, 2, SIZE_MAX), EINVAL);
	/* A file is as it was opened. */
	reader = open_device(O_RDONLY);
	writer = open_device(O_WRONLY);
	assert_zero(expose(reader, s.here, BYTES));
	assert_zero(expose(writer, s.here, BYTES));
	assert_int_equal(copy(reader, 0, s.theirs, 0, 1), EBADF);
	assert_int_equal(copy(s.theirs, 0, writer, 0, 1), EBADF);
	assert_zero(copy(s.theirs, 0, reader, 0, 1));
	assert_zero(copy(writer, 0, s.theirs, 0, 1));
	close(reader);
	close(writer);
	/* A hole in the source, and a target that is not to be written; it stops where that begins. */
	assert_zero(munmap(s.here + 8 * PAGE, PAGE));
	assert_int_equal(copy_some(s.theirs, 0, s.mine, 7 * PAGE + 1, 2 * PAGE, &done), EFAULT);
	assert_int_equal(done, PAGE - 1);
	assert_zero(mprotect(s.here, PAGE, PROT_READ));
	assert_int_equal(copy_some(s.mine, 10, s.theirs, 0, 100, &done), EFAULT);
	assert_zero(done);
	child_ends();
	end(&s);
}

/* Copies go on while the owner of one side takes its pages away, and end with an error of their own when it ends. */
static void an_owner_that_ends(void **state)
{
	pid_t copier;
	struct scene s;
	int status, i;

	(void)state;
	begin(&s);
	copier = fork();
	if (!copier) {
		size_t done;
		int err;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		do
			err = copy_some(s.theirs, 5, s.theirs, 100003, 100000, &done);
		while (!err);
		_exit(err);
	}
	/* The pages of the range, of its owner: it has none any more. */
	for (i = 0; i < 50; i++)
		assert_zero(madvise(s.there, BYTES, MADV_REMOVE));
	child_ends();
	assert_int_equal(waitpid(copier, &status, 0), copier);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EOWNERDEAD);
	assert_int_equal(copy(s.mine, 0, s.theirs, 0, 1), EOWNERDEAD);
	assert_int_equal(copy(s.theirs, 0, s.mine, 0, 1), EOWNERDEAD);
	end(&s);
}

static void the_module_goes(void **state)
{
	int fd = open_device(O_RDWR);

	(void)state;
	assert_zero(expose(fd, &fd, sizeof(fd)));
	assert_int_equal(unload(), EAGAIN);
	close(fd);
	assert_zero(unload());
	assert_int_equal(access(DEVICE, F_OK), -1);
	load();
}

static int set_up(void **state)
{
	(void)state;
	load();
	return 0;
}

/* Of a test that failed, too. */
static int tear_down(void **state)
{
	(void)state;
	child_ends();
	close_range(STDERR_FILENO + 1, ~0U, 0);
	return unload();
}

TEST_MAIN({ "both_ways", both_ways, set_up, tear_down, NULL },
	  { "what_is_refused", what_is_refused, set_up, tear_down, NULL },
	  { "an_owner_that_ends", an_owner_that_ends, set_up, tear_down, NULL },
	  { "the_module_goes", the_module_goes, set_up, tear_down, NULL })
